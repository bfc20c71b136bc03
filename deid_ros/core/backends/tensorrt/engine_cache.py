# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""TensorRT engines on disk, each with all that it was built for and from.

An engine runs on the GPU model and the TensorRT version that built it, and crashes or lies
elsewhere. So what it was built for is part of the file's name, which lets engines for several
devices lie side by side, and stands in the file as well, which settles what a file copied from
another machine is. A file: a line that names the format, a line of JSON, the engine.
"""

import hashlib
import json
import os
import re
from typing import NamedTuple

from deid_ros.core.backends.cache import cache_directory, write_atomically
from deid_ros.core.resources import sha256_of

# Raised when engines are built in another way or files look different.
_MAGIC = b'deid_ros TensorRT engine 1\n'
_SHA256 = 'engine_sha256'


class UnusableEngineError(Exception):
    """A file is not the engine that it should be; the message says what is different."""


class EngineKey(NamedTuple):
    """What makes an engine another one.

    `chain`: the hash of networks, weights and shift. `mode`: mode and way, as in `cluster/runtime`.
    `profile`: the smallest, the best and the largest batch, as in `1-8-32`.
    """

    chain: str
    mode: str
    precision: str
    profile: str
    tensorrt: str
    compute_capability: str
    device: str

    @property
    def path(self) -> str:
        """Return where the engine lies in the cache."""
        digest = hashlib.sha256(json.dumps(list(self)).encode()).hexdigest()[:16]
        words = '-'.join([self.mode, self.precision, self.profile, self.device])
        return os.path.join(cache_directory(), 'engine-{}-{}.trt'.format(
            re.sub(r'[^A-Za-z0-9]+', '-', words), digest))


def read_engine(key: EngineKey) -> bytes:
    """Return the cached engine.

    :raises FileNotFoundError: there is none.
    :raises UnusableEngineError: the file is damaged, or was built for or from something else.
    """
    try:
        with open(key.path, 'rb') as file:
            content = file.read()
    except FileNotFoundError:
        raise
    except OSError as error:
        raise UnusableEngineError('it cannot be read: {}'.format(error.strerror)) from error
    if not content.startswith(_MAGIC):
        raise UnusableEngineError('it is no engine file of this version')
    header, separator, engine = content[len(_MAGIC):].partition(b'\n')
    try:
        facts = json.loads(header.decode('utf-8'))
        sha256 = facts.pop(_SHA256)
    except (ValueError, KeyError, AttributeError, TypeError) as error:
        raise UnusableEngineError('its header is damaged') from error
    expected = key._asdict()
    for name in sorted(set(expected) | set(facts)):
        if facts.get(name) != expected.get(name):
            raise UnusableEngineError('its {} is {!r}, not {!r}'.format(
                name, facts.get(name), expected.get(name)))
    if not separator or sha256_of(engine) != sha256:
        raise UnusableEngineError('the engine in it is damaged')
    return engine


def write_engine(key: EngineKey, engine: bytes) -> None:
    """Keep an engine.

    :raises OSError: the cache cannot be written to.
    """
    facts = dict(key._asdict())
    facts[_SHA256] = sha256_of(engine)
    header = json.dumps(facts, sort_keys=True).encode('utf-8')
    write_atomically(key.path, _MAGIC + header + b'\n' + engine)
