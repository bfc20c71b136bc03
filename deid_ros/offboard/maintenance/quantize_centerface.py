# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Make models/centerface_int8.onnx: CenterFace computed in 8 bits, from models/centerface.onnx.

Quantized statically: weights for each channel, activations by the least and greatest values that
photos give them. Photos with faces of all sizes will do; how many pixels they have does not matter.

Weights keep to 7 bits. With all 8, sums overflow on processors without instructions for dot
products of bytes, and the network would find other faces there.

    python -m deid_ros.offboard.maintenance.quantize_centerface --data detection_dev.tar
"""

import argparse
import hashlib
import pathlib
import sys
import tempfile
from collections.abc import Sequence

import cv2
import numpy as np
import onnx
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process

from deid_ros.core.detection.centerface import MULTIPLE
from deid_ros.core.detection.geometry import padded
from deid_ros.core.errors import ConfigurationError
from deid_ros.core.resources import models_directory
from deid_ros.offboard.common.datasets import decoded, encoded_images
from deid_ros.offboard.maintenance.import_centerface import INPUT_NAME, PROPERTIES

#: The first one whose quantization has a scale for each channel.
OPSET = 13
WIDTH = 640  # pixels of the photos, as the network sees them


class _Photos(CalibrationDataReader):
    """Gives the network's input for each photo."""

    def __init__(self, photos: Sequence[np.ndarray]) -> None:
        self._rest = iter(photos)

    def get_next(self) -> dict[str, np.ndarray] | None:
        """Return the next input, None at the end."""
        photo = next(self._rest, None)
        if photo is None:
            return None
        height = round(photo.shape[0] * WIDTH / photo.shape[1])
        image = cv2.resize(photo, (WIDTH, height), interpolation=cv2.INTER_AREA)
        image = padded(image, WIDTH, height + -height % MULTIPLE)
        return {INPUT_NAME: cv2.dnn.blobFromImage(image, swapRB=True)}


def quantized(network: bytes, photos: Sequence[np.ndarray]) -> onnx.ModelProto:
    """Return CenterFace in 8 bits.

    :param network: the ONNX file of CenterFace.
    :param photos: (H, W, 3) uint8 BGR each.
    """
    with tempfile.TemporaryDirectory() as folder:
        plain, folded, result = (str(pathlib.Path(folder) / name)
                                 for name in ('plain.onnx', 'folded.onnx', 'int8.onnx'))
        onnx.save(onnx.version_converter.convert_version(
            onnx.load_model_from_string(network), OPSET), plain)
        quant_pre_process(plain, folded, skip_symbolic_shape=True)
        quantize_static(folded, result, _Photos(photos), quant_format=QuantFormat.QDQ,
                        per_channel=True, reduce_range=True,
                        activation_type=QuantType.QUInt8, weight_type=QuantType.QInt8)
        model = onnx.load(result)
    # The tool lists operator sets that no layer is of; old run times refuse those they do not know.
    domains = {node.domain for node in model.graph.node}
    used = [entry for entry in model.opset_import if entry.domain in domains]
    del model.opset_import[:]
    model.opset_import.extend(used)
    onnx.helper.set_model_props(model, PROPERTIES)
    onnx.checker.check_model(model)
    return model


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('--data', type=pathlib.Path, required=True,
                        help='tar or folder of photos to calibrate with')
    parser.add_argument('--count', type=int, default=24, help='photos (default: 24)')
    parser.add_argument('--output', type=pathlib.Path, default='models/centerface_int8.onnx')
    options = parser.parse_args(arguments)
    try:
        images = list(encoded_images(options.data))
        if not images:
            raise ConfigurationError(f'--data: {options.data} holds no image.')
        chosen = images[::max(1, len(images) // options.count)][:options.count]
        model = quantized((models_directory() / 'centerface.onnx').read_bytes(),
                          [decoded(*image) for image in chosen])
    except (ConfigurationError, ValueError, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    content = model.SerializeToString(deterministic=True)
    options.output.write_bytes(content)
    print(f'{options.output}: {len(content)} bytes, sha256 {hashlib.sha256(content).hexdigest()}')
    return 0


if __name__ == '__main__':
    sys.exit(main())
