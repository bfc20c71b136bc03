# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""What a tracker knows, as plain values: to go on in another process, or another day."""

from typing import Any, Dict, List, Optional

import numpy as np

from deid_ros.core.detection import Schedule
from deid_ros.core.faces import Box, Face
from deid_ros.core.tracking.motion import Motion
from deid_ros.core.tracking.tracker import Tracker, _Track

_TRACKER = ('_last_number', '_seconds', '_period', '_frames_since_look', '_must_look')
_TRACK = ('number', 'best_score', 'sights', 'missed')


def state_of(tracker: Tracker) -> Dict[str, Any]:
    """Return what a tracker knows: numbers, lists and texts, but for the `View` at `view`."""
    state: Dict[str, Any] = {name: _plain(getattr(tracker, name)) for name in _TRACKER}
    state['view'] = tracker._view
    state['schedule'] = tracker.schedule.state()
    state['tracks'] = [_track_state(track) for track in tracker._tracks]
    return state


def tracker_with(state: Dict[str, Any]) -> Tracker:
    """Return a tracker that knows what `state_of` gave; every number is the same, to the bit."""
    tracker = Tracker()
    for name in _TRACKER:
        setattr(tracker, name, state[name])
    tracker._view = state['view']
    tracker.schedule = Schedule.with_state(state['schedule'])
    tracker._tracks = [_track_with(entry) for entry in state['tracks']]
    return tracker


def face_state(face: Face) -> List[Any]:
    """Return a face as numbers and lists."""
    landmarks = None if face.landmarks is None else [
        [float(x), float(y)] for x, y in face.landmarks]
    return [[float(value) for value in face.box], float(face.score), landmarks, face.track,
            float(face.doubt)]


def face_with(state: List[Any]) -> Face:
    """Return the face that `face_state` gave."""
    box, score, landmarks, track, doubt = state
    points: Optional[np.ndarray] = None
    if landmarks is not None:
        points = np.array(landmarks, np.float32).reshape(-1, 2)
    return Face(Box(*box), score, points, track, doubt)


def _track_state(track: _Track) -> Dict[str, Any]:
    state: Dict[str, Any] = {name: _plain(getattr(track, name)) for name in _TRACK}
    state['last'] = face_state(track.last)
    state['motion'] = {name: float(value) for name, value in vars(track.motion).items()}
    return state


def _track_with(state: Dict[str, Any]) -> _Track:
    track = _Track(state['number'], face_with(state['last']))
    for name in _TRACK:
        setattr(track, name, state[name])
    motion = Motion(track.last.box)
    vars(motion).update(state['motion'])
    track.motion = motion
    return track


def _plain(value: Any) -> Any:
    """Return numpy's numbers as Python's own, which have the same bits."""
    return value.item() if isinstance(value, np.generic) else value
