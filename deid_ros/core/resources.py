# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Where the files that this package brings, and the packages that it needs, are found."""

import hashlib
import importlib
import importlib.util
import os
import pathlib
import sys
from typing import Any, List

from deid_ros.core.errors import ConfigurationError

MODELS_VARIABLE = 'DEID_ROS_MODELS'
THREADS_VARIABLE = 'DEID_ROS_THREADS'


def models_directory() -> pathlib.Path:
    """Return the folder of the networks that this package ships.

    It is `shared_directory('models')`, or what the environment variable `DEID_ROS_MODELS` names.

    :raises ConfigurationError: there is no such folder; lists the places looked at.
    """
    override = os.environ.get(MODELS_VARIABLE)
    if not override:
        return shared_directory('models')
    if not os.path.isdir(override):
        raise ConfigurationError('{} is {!r}, which is no folder. Set it to the folder that holds '
                                 'centerface.onnx, or not at all.'.format(
                                     MODELS_VARIABLE, override))
    return pathlib.Path(override)


def shared_directory(name: str) -> pathlib.Path:
    """Return a folder of data files that come with this package, such as `models` or `config`.

    In a source checkout (also one installed with `pip install -e`) it is `<checkout>/<name>`, else
    `share/deid_ros/<name>` of the prefix into which colcon or pip installed the package.

    :raises ConfigurationError: there is no such folder; lists the places looked at.
    """
    candidates = _candidates(name)
    for candidate in candidates:
        if candidate.is_dir():
            return candidate
    raise ConfigurationError('The folder {!r} of deid_ros was not found. Looked at: {}. Install '
                             'the package again.'.format(
                                 name, ', '.join(str(candidate) for candidate in candidates)))


def _candidates(name: str) -> List[pathlib.Path]:
    package = pathlib.Path(os.path.abspath(__file__)).parents[1]
    candidates = []
    # colcon --symlink-install reaches the checkout through links. The marker tells a checkout
    # from a site-packages folder, where `models` would be somebody else's package.
    checkout = package.resolve().parent
    if (checkout / 'resource' / 'deid_ros').is_file():
        candidates.append(checkout / name)
    prefixes = [pathlib.Path(sys.prefix)]
    if package.parent.name in ('site-packages', 'dist-packages'):
        # <prefix>/lib/python3.X/site-packages/deid_ros; Debian and Ubuntu put packages under
        # <prefix>/local/lib, while data stays in <prefix>/share.
        prefix = package.parents[3]
        prefixes = [prefix] + ([prefix.parent] if prefix.name == 'local' else []) + prefixes
    for prefix in prefixes:
        shared = prefix / 'share' / 'deid_ros' / name
        if shared not in candidates:
            candidates.append(shared)
    return candidates


def require(module: str, command: str) -> Any:
    """Import a package that only some configurations need.

    :param module: name to import.
    :param command: what a user types to install it.
    :raises ConfigurationError: it cannot be imported; the message holds the command.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise ConfigurationError(f'The Python package {module!r} cannot be imported ({error}). '
                                 f'Install it with: {command}') from error


def packaged_file(package: str, file: str, pip_name: str = '') -> pathlib.Path:
    """Return the path of a file inside an installed package, which is not imported for it.

    :param package: name as in `import`.
    :param file: path below the package's folder.
    :param pip_name: what to install, where it is not named like the package.
    :raises ConfigurationError: there is no such package or file.
    """
    spec = importlib.util.find_spec(package)
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        path = pathlib.Path(folder) / file
        if path.is_file():
            return path
    raise ConfigurationError(f'The file {file} of the Python package {package!r} is missing. '
                             f'Install it with: pip install {pip_name or package}')


def network_threads() -> int:
    """Return how many threads a network may use on the CPU; 0 leaves it to the engine.

    It is what the environment variable `DEID_ROS_THREADS` says, else 0. Tools that run several
    processes set it; the results are the same with any number.

    :raises ConfigurationError: the variable holds no whole number from 0 on.
    """
    value = os.environ.get(THREADS_VARIABLE, '0')
    if not value.isdigit():
        raise ConfigurationError('{} is {!r}, must be a whole number, 0 for as many threads as '
                                 'there are cores.'.format(THREADS_VARIABLE, value))
    return int(value)


def sha256_of(content: bytes) -> str:
    """Return the SHA-256 of a file's content, as hexadecimal digits."""
    return hashlib.sha256(content).hexdigest()


def read_model(path: pathlib.Path, advice: str) -> bytes:
    """Return the content of a network file.

    :param advice: a sentence that says how to get the file.
    :raises ConfigurationError: the file cannot be read; the message ends with the advice.
    """
    try:
        return path.read_bytes()
    except OSError as error:
        raise ConfigurationError(
            f'The network file {path} cannot be read ({error.strerror}). {advice}') from error
