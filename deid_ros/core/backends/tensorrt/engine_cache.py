# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Where a TensorRT engine lies in the cache, and what it was built for and from.

An engine runs on the GPU model and the TensorRT version that built it, and crashes or lies
elsewhere. So what it was built for is part of the file's name, which lets engines for several
devices lie side by side, and stands in the file as well.
"""

import hashlib
import json
import os
import re
from typing import Dict, NamedTuple

from deid_ros.core.backends.cache import cache_directory

# Raised when engines are built in another way.
_BUILD = '1'


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

    @property
    def facts(self) -> Dict[str, str]:
        """Return what stands in the file."""
        return dict(self._asdict(), build=_BUILD)
