# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Face de-identification for robots: a ROS 2 node, a tool for recordings, and their frame path.

`Deidentifier` treats single images and messages, `anonymize` whole recordings.
"""

from typing import TYPE_CHECKING, Any

from deid_ros.core.deidentifier import Deidentifier
from deid_ros.version import __version__

if TYPE_CHECKING:
    from deid_ros.offboard.recordings.api import anonymize

__all__ = ['Deidentifier', '__version__', 'anonymize']


def __getattr__(name: str) -> Any:
    # Recordings need Python 3.10 and packages that a robot may lack, so only when asked for.
    if name == 'anonymize':
        from deid_ros.offboard.recordings.api import anonymize

        return anonymize
    raise AttributeError('module {!r} has no attribute {!r}'.format(__name__, name))
