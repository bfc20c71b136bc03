# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""The chain as an ONNX file, which is written without the package `onnx`, and read with it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_chains import small_chain

from deid_ros.core.backends.onnx_graph import build_model, control_input
from deid_ros.core.deidentification.chain import load_chain
from deid_ros.core.deidentification.weights import ModelStore
from deid_ros.core.protobuf import field, fields, number_field
from deid_ros.core.resources import models_directory

_CASES = [(family, kind) for family in ('fully connected', 'convolutional gray',
                                        'convolutional color')
          for kind in (None, 'cluster', 'neighbour', 'cell')
          if (family, kind) != ('fully connected', 'cell')]


def _check(chain):
    import onnx

    content = build_model(chain)
    model = onnx.load_from_string(content)
    onnx.checker.check_model(model, full_check=True)
    # That package's own file of the same model, byte for byte: nothing is left out or misplaced.
    assert model.SerializeToString() == content
    names = [value.name for value in model.graph.input]
    assert names == ['faces'] + [name for name in [control_input(chain)] if name]


@pytest.mark.parametrize(('family', 'kind'), _CASES + [('fully connected', 'synthetic'),
                                                       ('fully connected', 'synthetic, k')])
def test_every_kind_of_chain_is_a_valid_model(family, kind):
    _check(small_chain(family, kind, 'chain'))


def test_every_shipped_mode_is_a_valid_model():
    store = ModelStore(str(models_directory()))
    for mode in store.modes:
        for way in store.modes[mode]['apply']:
            _check(load_chain(store, mode, way))


@given(number=st.integers(1, 2 ** 29 - 1), value=st.integers(-2 ** 63, 2 ** 63 - 1),
       content=st.binary())
def test_what_is_written_is_read(number, value, content):
    written = number_field(number, value) + field(number, content)
    (first, raw, _), (second, _, payload) = fields(written)
    assert (first, second) == (number, number)
    assert raw == number_field(number, value)
    assert payload == content


@pytest.mark.parametrize('value', [0, 1, 127, 128, -1, -2 ** 63, 2 ** 63 - 1])
def test_numbers_are_written_as_the_package_writes_them(value):
    import onnx

    attribute = onnx.AttributeProto()
    attribute.i = value
    assert number_field(3, value) == attribute.SerializeToString()
