# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""What was done to a frame, as facts: never with pixels or embeddings of a face."""

import json
import time
from typing import Any, Dict, NamedTuple, Optional, Sequence

from deid_ros.core.faces import Box, Region


class FaceReport(NamedTuple):
    """One treated face: where it was found, the region that may have changed, and by what.

    `why_fallback` says why the fallback treated it, empty if it did not. `track` and `held` are
    those of the face; see `deid_ros.core.faces.Face`.
    """

    box: Box
    score: float
    region: Region
    method: str
    why_fallback: str = ''
    track: Optional[int] = None
    held: bool = False


class Stopwatch:
    """Times the stages of a frame, in milliseconds."""

    def __init__(self) -> None:
        self.milliseconds: Dict[str, float] = {}
        self._last = time.perf_counter()

    def lap(self, stage: str) -> None:
        """Book the time since the last lap on `stage`."""
        now = time.perf_counter()
        self.milliseconds[stage] = self.milliseconds.get(stage, 0.0) + 1e3 * (now - self._last)
        self._last = now


def report_json(header: Any, status: str, reason: str, faces: Sequence[FaceReport],
                milliseconds: Dict[str, float]) -> str:
    """Return the report of one frame.

    :param header: the frame's `std_msgs/Header`.
    :param status: `published`, `masked` or `withheld`.
    :param reason: why the frame was masked or withheld, else empty.
    :param milliseconds: time by stage; `total` is from arrival to here.
    """
    return json.dumps({
        'stamp': {'sec': header.stamp.sec, 'nanosec': header.stamp.nanosec},
        'frame_id': header.frame_id,
        'status': status,
        'reason': reason,
        'faces': [_face(face) for face in faces],
        'milliseconds': {stage: round(value, 2) for stage, value in milliseconds.items()},
    })


def _face(face: FaceReport) -> Dict[str, Any]:
    entry: Dict[str, Any] = {
        'box': [round(float(value), 1) for value in face.box],
        'score': round(float(face.score), 3),
        'region': [int(value) for value in face.region],
        'method': face.method,
    }
    if face.why_fallback:
        entry['why_fallback'] = face.why_fallback
    if face.track is not None:
        entry['track'] = face.track
        entry['held'] = face.held
    return entry
