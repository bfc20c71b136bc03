# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Files that other pip packages carry."""

import importlib.util
import pathlib

from deid_ros.core.errors import ConfigurationError


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
