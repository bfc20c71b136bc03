# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""The benchmark of the chain: its arithmetic about floors, and that it says what it did not run."""

import json

import numpy as np
import pytest

pytest.importorskip('onnxruntime')
from small_chains import small_chain  # noqa: E402

from deid_ros.core.deidentification.chain import load_chain  # noqa: E402
from deid_ros.core.deidentification.weights import ModelStore  # noqa: E402
from deid_ros.core.resources import models_directory  # noqa: E402
from deid_ros.offboard.benchmarks import chain as benchmark  # noqa: E402
from deid_ros.offboard.benchmarks import floor  # noqa: E402

_DEVICE = floor.Device('Some', 10e9, {'fp32': 1e12}, 'a test')


@pytest.fixture(autouse=True)
def _own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'cache'))


def test_work_is_counted_from_the_layers():
    chain = small_chain('fully connected', 'cluster', 'work')
    work = floor.work_of(chain)
    dense = 2 * (4096 * 48 + 48 * 32)
    deblurrer = 2 * 4096 * 9 * (1 * 4 + 4 * 4 + 4 * 4 + 4 * 1)
    smoothener = 2 * 9 * (4096 * 4 + 1024 * 4 * 8 + 4096 * 8)
    assert work.operations == 2 * dense + deblurrer + smoothener + 2 * 40 * 32
    assert work.values == 40 * 32 + sum(
        array.size for network in chain.networks for array in network.arrays.values())
    assert work.pixels == 4096


@pytest.mark.parametrize(('mode', 'apply'), [
    ('cluster', 'finetuned'), ('neighbour', 'finetuned'), ('cell', 'finetuned'),
    ('synthetic', 'runtime')])
def test_operations_of_the_shipped_chains_are_those_of_torch(mode, apply):
    torch = pytest.importorskip('torch')
    from torch.utils.flop_counter import FlopCounterMode

    from deid_ros.core.backends.torch_backend import ChainModule

    chain = load_chain(ModelStore(str(models_directory())), mode, apply)
    shape = (1, 64, 64) + ((3,) if chain.color else ())
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        size = chain.shift.control_size if chain.shift else 0
        ChainModule(chain).eval()(torch.zeros(shape), torch.ones(1, size or 1))
    assert counter.get_total_flops() == floor.work_of(chain).operations


def test_floor_is_the_slower_of_reading_and_computing():
    work = floor.Work(values=10_000_000, operations=1_000_000_000, pixels=0)
    one = floor.floor_of(work, _DEVICE, 'fp32', 1)
    assert (one.memory, one.compute, one.limit) == (4.0, 1.0, 'memory')
    many = floor.floor_of(work, _DEVICE, 'fp32', 16)
    assert (many.milliseconds, many.limit) == (1.0, 'compute')
    assert floor.floor_of(work, _DEVICE, 'fp16', 1) is None


def test_known_devices_are_found_by_the_name_that_cuda_gives():
    assert floor.known_device('NVIDIA Tegra X2').bytes_per_second == 59.7e9
    assert floor.known_device('NVIDIA GeForce 256') is None


def test_report_names_what_ran_and_what_did_not(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(benchmark, 'measure_cpu',
                        lambda name, values, clock: _DEVICE._replace(name=name))
    benchmark.main(['--modes', 'cell', '--apply', 'finetuned', '--backends', 'onnxruntime',
                    'tensorrt', '--batches', '1', '3', '--seconds', '0',
                    '--json', str(tmp_path / 'report.json'),
                    '--markdown', str(tmp_path / 'report.md')])
    report = json.loads((tmp_path / 'report.json').read_text())
    rows = [row for row in report['rows'] if row['device'] == 'cpu']
    assert [row['batch'] for row in rows] == [1, 3]
    for row in rows:
        assert 0 < row['p50_ms'] <= row['p95_ms'] <= row['p99_ms']
        assert row['ratio'] == pytest.approx(row['p50_ms'] / row['floor_ms'])
        assert np.isfinite(row['faces_per_second'])
    text = (tmp_path / 'report.md').read_text()
    assert text == capsys.readouterr().out
    assert '| `cell/finetuned` | onnxruntime | cpu | fp32 | 1 |' in text
    if not any(row['backend'] == 'tensorrt' for row in report['rows']):
        assert 'not run: tensorrt on cuda, fp16: ' in text


def test_estimate_measures_nothing(monkeypatch, capsys):
    monkeypatch.setattr(benchmark, 'measure_cpu', None)
    benchmark.main(['--estimate', '--modes', 'cluster'])
    out = capsys.readouterr().out
    assert '59.7 GB/s, 1.33 TFLOP/s. Paper: 0.65 ms' in out
    assert '`cluster/runtime`' in out
