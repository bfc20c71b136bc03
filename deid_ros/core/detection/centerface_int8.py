# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""CenterFace in 8 bits: on the CPU, two thirds of the time for the same faces."""

from deid_ros.core.detection.centerface import CenterFace


class CenterFaceInt8(CenterFace):
    """CenterFace with weights and activations quantized; see `CenterFace`."""

    name = 'centerface_int8'
    file = 'centerface_int8.onnx'
    command = 'python -m deid_ros.offboard.maintenance.quantize_centerface'
    sha256 = 'fc3f7a0a2c935a463f9b0fdfac64dc41f37edc653194bc1d3eb80400456b0cbe'
