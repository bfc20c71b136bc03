# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Where shipped files are found."""

import pathlib
import sys

import pytest

from deid_ros.core import resources
from deid_ros.core.errors import ConfigurationError


@pytest.fixture(autouse=True)
def no_override(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(resources.MODELS_VARIABLE, raising=False)


def install(monkeypatch: pytest.MonkeyPatch, prefix: pathlib.Path, library: str) -> pathlib.Path:
    """Pretend that the package lies in `library` of a prefix; returns the folder of its data."""
    monkeypatch.setattr(resources, '__file__',
                        str(prefix / library / 'deid_ros' / 'core' / 'resources.py'))
    models = prefix / 'share' / 'deid_ros' / 'models'
    models.mkdir(parents=True)
    return models


def test_a_checkout_has_its_own() -> None:
    assert (resources.models_directory() / 'centerface.onnx').is_file()


@pytest.mark.parametrize('library', [
    'lib/python3.12/site-packages', 'lib/python3/dist-packages',
    'local/lib/python3.10/dist-packages',
])
def test_an_install_has_them_in_share(monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path,
                                      library: str) -> None:
    models = install(monkeypatch, tmp_path, library)
    assert resources.models_directory() == models


def test_the_prefix_of_python_is_looked_at(monkeypatch: pytest.MonkeyPatch,
                                           tmp_path: pathlib.Path) -> None:
    models = install(monkeypatch, tmp_path, 'somewhere/else')
    monkeypatch.setattr(sys, 'prefix', str(tmp_path))
    assert resources.models_directory() == models


def test_models_of_somebody_else_are_not_ours(monkeypatch: pytest.MonkeyPatch,
                                              tmp_path: pathlib.Path) -> None:
    models = install(monkeypatch, tmp_path, 'lib/python3.12/site-packages')
    (tmp_path / 'lib/python3.12/site-packages/models').mkdir(parents=True)
    assert resources.models_directory() == models


def test_the_variable_wins(monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path) -> None:
    monkeypatch.setenv(resources.MODELS_VARIABLE, str(tmp_path))
    assert resources.models_directory() == tmp_path


def test_a_wrong_variable_is_not_ignored(monkeypatch: pytest.MonkeyPatch,
                                         tmp_path: pathlib.Path) -> None:
    monkeypatch.setenv(resources.MODELS_VARIABLE, str(tmp_path / 'missing'))
    with pytest.raises(ConfigurationError, match=str(tmp_path / 'missing')):
        resources.models_directory()


def test_the_places_looked_at_are_listed(monkeypatch: pytest.MonkeyPatch,
                                         tmp_path: pathlib.Path) -> None:
    models = install(monkeypatch, tmp_path, 'lib/python3.12/site-packages')
    models.rmdir()
    monkeypatch.setattr(sys, 'prefix', str(tmp_path / 'python'))
    with pytest.raises(ConfigurationError) as caught:
        resources.models_directory()
    assert str(models) in str(caught.value)
    assert str(tmp_path / 'python' / 'share' / 'deid_ros' / 'models') in str(caught.value)


def test_networks_use_as_many_threads_as_the_variable_says(
        monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(resources.THREADS_VARIABLE, raising=False)
    assert resources.network_threads() == 0
    monkeypatch.setenv(resources.THREADS_VARIABLE, '1')
    assert resources.network_threads() == 1
    monkeypatch.setenv(resources.THREADS_VARIABLE, 'all')
    with pytest.raises(ConfigurationError, match="'all'"):
        resources.network_threads()
