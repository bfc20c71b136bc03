# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
import hashlib
import json

import numpy as np
import pytest

_WIDTHS = (32, 64, 128, 128, 256, 256, 512, 512, 512, 512, 512, 512, 1024, 1024)


@pytest.fixture
def faceres_files(tmp_path, monkeypatch):
    """Return a function that writes a network shaped like FaceRes and returns its path.

    Each of its channels gives what the first one was given at the middle of its kernels, so that
    the descriptor is the mean of some pixels of the red channel, kept within 0 and 6.
    """

    def write():
        arrays = {'conv1/convolution/merged_input': np.zeros((3, 3, 3, _WIDTHS[0])),
                  'conv1_bn/batchnorm_1/sub': np.zeros(_WIDTHS[0])}
        arrays['conv1/convolution/merged_input'][1, 1, 0] = 1
        for block, (before, after) in enumerate(zip(_WIDTHS, _WIDTHS[1:], strict=False), 1):
            depthwise = np.zeros((3, 3, before, 1))
            depthwise[1, 1] = 0.5
            pointwise = np.zeros((1, 1, before, after))
            pointwise[:, :, 0] = 1
            arrays.update({f'conv_dw_{block}/depthwise_kernel': depthwise,
                           f'conv_dw_{block}_bn/batchnorm_1/mul': np.full(before, 2.0),
                           f'conv_dw_{block}_bn/batchnorm_1/sub': np.zeros(before),
                           f'conv_pw_{block}/convolution/merged_input': pointwise,
                           f'conv_pw_{block}_bn/batchnorm_1/sub': np.zeros(after)})
        data = b''.join(array.astype('<f2').tobytes() for array in arrays.values())
        (tmp_path / 'faceres.bin').write_bytes(data)
        (tmp_path / 'faceres.json').write_text(json.dumps({'weightsManifest': [{'weights': [
            {'name': name, 'shape': array.shape, 'dtype': 'float32',
             'quantization': {'dtype': 'float16'}} for name, array in arrays.items()]}]}))
        monkeypatch.setattr('deid_ros.offboard.training.synthetic.faceres.SHA256',
                            hashlib.sha256(data).hexdigest())
        return tmp_path / 'faceres.json'

    return write
