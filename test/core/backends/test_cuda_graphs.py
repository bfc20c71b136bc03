# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Small batches as CUDA graphs; on a stand-in that replays by calling the module again."""

import contextlib
import types

import numpy as np
import pytest

torch = pytest.importorskip('torch')
from small_chains import small_chain  # noqa: E402

from deid_ros.core.backends import cuda  # noqa: E402
from deid_ros.core.backends.cuda_graphs import CudaGraphs  # noqa: E402
from deid_ros.core.backends.torch_backend import ChainModule, TorchBackend  # noqa: E402


class _Module:
    """A chain's module that remembers its last call, which is what a capture records."""

    def __init__(self, chain):
        self.chain = chain
        self._module = ChainModule(chain).eval()
        self.calls = 0

    def __call__(self, faces, control):
        self.calls += 1
        self.inputs = faces, control
        self.output = self._module(faces, control)
        return self.output


@pytest.fixture
def module(monkeypatch):
    module = _Module(small_chain('fully connected', 'cluster', 'graphs'))

    class Graph:
        def replay(self):
            with torch.no_grad():
                self.output.copy_(module._module(*self.inputs))

    @contextlib.contextmanager
    def capture(graph, stream):
        yield
        graph.inputs, graph.output = module.inputs, module.output

    stream = types.SimpleNamespace(synchronize=lambda: None, wait_stream=lambda other: None)
    monkeypatch.setattr(torch.cuda, 'CUDAGraph', Graph)
    monkeypatch.setattr(torch.cuda, 'graph', capture)
    monkeypatch.setattr(torch.cuda, 'current_stream', lambda: None)
    monkeypatch.setattr(cuda, 'new_stream', lambda: stream)
    monkeypatch.setattr(cuda, 'on_stream', lambda stream: contextlib.ExitStack())
    for name in ('device_buffer', 'host_buffer'):
        monkeypatch.setattr(cuda, name, lambda shape: torch.empty(list(shape)))
    return module


@pytest.mark.parametrize('count', [1, 2, 3, 4])
def test_a_replay_gives_what_the_module_gives(module, count):
    graphs = CudaGraphs(module, module.chain, (1, 2, 4))
    captured = module.calls
    faces = np.random.default_rng(0).random((count, 64, 64), np.float32)
    for alpha in (1.0, 0.3):
        control = np.full((1, 1), alpha, np.float32)
        with torch.no_grad():
            expected = module._module(torch.from_numpy(faces), torch.from_numpy(control)).numpy()
        assert np.abs(graphs.run(faces, control) - expected).max() <= 1e-5
    assert module.calls == captured, 'nothing is captured while frames flow'


def test_results_are_the_callers_own(module):
    graphs = CudaGraphs(module, module.chain, (1, 2))
    random = np.random.default_rng(0)
    first = graphs.run(random.random((2, 64, 64), np.float32), np.full((1, 1), 0.5, np.float32))
    before = first.copy()
    graphs.run(random.random((2, 64, 64), np.float32), np.full((1, 1), 0.5, np.float32))
    assert np.array_equal(first, before)


@pytest.mark.skipif(not torch.cuda.is_available(), reason='needs a CUDA device')
@pytest.mark.parametrize('kind', [None, 'cluster', 'neighbour', 'cell'])
def test_on_a_device(kind):
    chain = small_chain('convolutional color', kind, 'graphs')
    with_graphs, without = TorchBackend(chain), TorchBackend(chain, graphs=False)
    faces = np.random.default_rng(0).random((20, 64, 64, 3), np.float32)
    for count in (1, 3, 16, 20):
        assert np.abs(with_graphs.run(faces[:count]) - without.run(faces[:count])).max() <= 1e-4
