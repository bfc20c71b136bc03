# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""`export_onnx`: write whole chains as ONNX models, for trtexec and ONNX Runtime's providers.

Each holds scaling, encoder, shift, decoder, deblurrer and smoothener, in operators of opset 13,
which TensorRT 8.2 and later read. Input faces: N luminance faces, (N, 64, 64), or BGR ones,
(N, 64, 64, 3), where the mode is in color, float32 in 0…1; where the mode shifts at run time also
alpha, (1, 1) float32, or offsets. Output result: as faces.
"""

import argparse
import sys
from pathlib import Path

from deid_ros.core.backends.onnx_graph import OPSET, build_model
from deid_ros.core.deidentification.chain import AUTO, SHIFT_APPLY, load_chain
from deid_ros.core.deidentification.networks import FACE_SIZE
from deid_ros.core.deidentification.weights import ModelStore
from deid_ros.core.errors import ConfigurationError
from deid_ros.core.resources import models_directory


def main(arguments: list[str] | None = None) -> int:
    """Run the command."""
    command = argparse.ArgumentParser(
        prog='export_onnx', description=str(__doc__).replace('`', ''),
        formatter_class=argparse.RawDescriptionHelpFormatter)
    command.add_argument('output', type=Path, metavar='FOLDER')
    command.add_argument('--modes', nargs='+', metavar='MODE', help='default: all')
    command.add_argument('--apply', choices=(AUTO, *SHIFT_APPLY), default=AUTO,
                         help="how identities are changed; auto: the mode's own way")
    command.add_argument('--models', type=Path, help='folder with models.json')
    options = command.parse_args(arguments)
    try:
        store = ModelStore(str(options.models or models_directory()))
        chains = [load_chain(store, mode, options.apply)
                  for mode in options.modes or sorted(store.modes)]
    except ConfigurationError as error:
        command.exit(2, f'export_onnx: {error}\n')
    options.output.mkdir(parents=True, exist_ok=True)
    for chain in chains:
        path = options.output / (chain.name.replace('/', '-') + '.onnx')
        model = build_model(chain)
        path.write_bytes(model.SerializeToString())
        face = 'x'.join([str(FACE_SIZE)] * 2 + ['3'] * chain.color)
        print(f'{path}: opset {OPSET}, inputs {", ".join(node.name for node in model.graph.input)}')
        print(f'  trtexec --onnx={path} --fp16 --minShapes=faces:1x{face} '
              f'--optShapes=faces:8x{face} --maxShapes=faces:32x{face}')
    return 0


if __name__ == '__main__':
    sys.exit(main())
