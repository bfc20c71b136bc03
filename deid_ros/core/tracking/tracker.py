# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Faces over time: who is who, and where somebody is whom the detector has missed."""

from typing import List, Optional, Sequence

import numpy as np

from deid_ros.core.detection import Plan, Schedule, Search
from deid_ros.core.faces import Box, Face, region_of
from deid_ros.core.tracking.camera import View, shift_between
from deid_ros.core.tracking.motion import Motion

# A pause of more than this, in seconds, in either direction of time, and nothing is held across it.
_PAUSE = 2.0
# What passes between two frames whose stamps do not tell, in seconds, until two of them have.
_PERIOD = 1 / 30
# Two frames less alike than the first are pictures of different things: nothing is left to be held.
# Between the two numbers something has happened to the picture, and what moved where is not known.
_CUT, _UNSURE = 0.3, 0.6
# By how much a face's place is off after such a moment, in sizes of the face.
_UNSURE_DEVIATION = 0.3
# A held face is treated as far as its place may be off: so many standard deviations, up to so many
# sizes of the face on each side, beyond which more would be blurred than hidden.
_DEVIATIONS, _MOST_DOUBT = 2.0, 0.75
# A box and a track whose places share less than this are two faces.
_LEAST_IOU = 0.3
# A face that was seen with this score once is held for the full time. What never was, which may be
# none, is held for this many frames for each time it was seen: a real one is seen again and again.
_SURE_SCORE, _FRAMES_PER_SIGHT = 0.5, 2


class _Track:
    """One face over time."""

    def __init__(self, number: int, face: Face) -> None:
        self.number = number
        self.motion = Motion(face.box)
        self.last = face
        self.best_score = face.score
        self.sights = 0
        #: Frames since the detector looked and missed it for the first time; 0 while it does not.
        self.missed = 0

    def see(self, face: Face) -> Face:
        """Take a detected face as this one; return it with the track's number."""
        if self.sights:
            self.motion.correct(face.box)
        self.last = face
        self.best_score = max(self.best_score, face.score)
        self.sights += 1
        self.missed = 0
        return face._replace(track=self.number)

    def may_be_held(self, hold_frames: int) -> bool:
        """Tell whether a face that the detector has missed goes on being treated."""
        if self.best_score < _SURE_SCORE:
            hold_frames = min(hold_frames, _FRAMES_PER_SIGHT * self.sights)
        return self.missed <= hold_frames

    @property
    def doubt(self) -> float:
        """How far off the predicted place may be; see `Face`."""
        return min(_MOST_DOUBT, _DEVIATIONS * self.motion.deviation)

    @property
    def prediction(self) -> Face:
        """The face where it should be now. Its landmarks go with the box."""
        box, before, landmarks = self.motion.box, self.last.box, self.last.landmarks
        if landmarks is not None:
            scale = np.array([box.width / before.width, box.height / before.height])
            landmarks = ((landmarks - (before.x, before.y)) * scale
                         + (box.x, box.y)).astype(np.float32)
        return Face(box, self.last.score, landmarks, self.number, self.doubt)


class Tracker:
    """Follows the faces of one camera.

    For each frame in the order of time: `advance`, then, if `is_detection_due`, the detector, then
    `update` with what it found. Everything that comes out is one of the detector's own faces,
    unchanged but for its track, or one held where the detector saw none: never less than it saw.
    """

    def __init__(self) -> None:
        self._tracks: List[_Track] = []
        self._last_number = 0
        self._view: Optional[View] = None
        #: Where the detector looks, by turns.
        self.schedule = Schedule()
        self._plan: Optional[Plan] = None
        self._seconds = 0.0
        self._period = _PERIOD
        self._frames_since_look = 0
        self._must_look = True

    def reset(self) -> None:
        """Forget all faces. Their numbers are not used again."""
        self._tracks = []
        self._must_look = True

    def advance(self, seconds: float, view: View) -> None:
        """Go on to the next frame.

        :param seconds: the stamp of its header.
        :param view: of the frame, by `view_of`.
        """
        if self._view is not None:
            self._move(seconds - self._seconds, self._view, view)
        self._seconds, self._view = seconds, view
        self._frames_since_look += 1

    def _move(self, elapsed: float, before: View, after: View) -> None:
        if abs(elapsed) > _PAUSE or (before.width, before.height) != (after.width, after.height):
            self.reset()
            return
        if elapsed > 0:
            self._period = elapsed  # A clock that stands, or was set back a little, tells nothing.
        shift = shift_between(before, after)
        # Only a picture that is another one for certain ends a hold. To hold on for nothing costs
        # some pixels for a moment, to let go too early shows a face.
        if shift.correlation < _CUT:
            self.reset()
        for track in self._tracks:
            track.motion.shift(shift.x, shift.y)
            track.motion.advance(self._period)
            if shift.correlation < _UNSURE:
                track.motion.loosen(_UNSURE_DEVIATION)
        self._must_look = self._must_look or shift.correlation < _UNSURE

    def is_detection_due(self, interval: int) -> bool:
        """Tell whether the detector must look at this frame.

        It must at each `interval`-th frame, and before that if the picture has changed, or if the
        place of a face that it saw at its last look has become uncertain.
        """
        return (self._must_look or self._frames_since_look >= interval
                or any(track.prediction.is_uncertain and not track.missed
                       for track in self._tracks))

    def plan(self, search: Search) -> Plan:
        """Return how the detector looks at this frame; for once, as the turns go on."""
        assert self._view is not None, 'advance comes first'
        self._plan = self.schedule.plan(
            self._view.width, self._view.height, search,
            [track.prediction for track in self._tracks], self._must_look)
        return self._plan

    def update(self, detected: Optional[Sequence[Face]], hold_frames: int) -> List[Face]:
        """Return the faces of this frame: those detected, in their order, then those held.

        :param detected: None if the detector did not look.
        :param hold_frames: for how many frames a face that the detector misses is held.
        """
        known, self._tracks = self._tracks, []
        faces: List[Face] = []
        if detected is not None:
            self._tracks = [track or self._new_track(face) for track, face
                            in zip(_owners(detected, known), detected)]
            faces = [track.see(face) for track, face in zip(self._tracks, detected)]
            self._frames_since_look, self._must_look = 0, False
        for track in [track for track in known if track not in self._tracks]:
            if detected is not None or track.missed:
                track.missed += 1
            face = track.prediction
            if self._is_refuted(track):
                continue
            if track.may_be_held(hold_frames) and self._touches(face.extent):
                self._tracks.append(track)
                faces.append(face)
        self._plan = None
        return faces

    def _is_refuted(self, track: _Track) -> bool:
        """Tell whether a close look has not seen again what never was a face for certain."""
        return (self._plan is not None and track.best_score < _SURE_SCORE
                and any(look.shows(track.motion.box) for look in self._plan.looks[1:]))

    def _new_track(self, face: Face) -> _Track:
        self._last_number += 1
        return _Track(self._last_number, face)

    def _touches(self, box: Box) -> bool:
        return self._view is None or not region_of(
            box, self._view.width, self._view.height).is_empty


def _owners(faces: Sequence[Face], tracks: Sequence[_Track]) -> List[Optional[_Track]]:
    """Return the track of each face, None for new ones: the best pairs first, each track once.

    A track whose face is not certainly this one stays without a face, and so is held: to treat one
    face twice costs less than to take a neighbour for it and leave it untreated.
    """
    owners: List[Optional[_Track]] = [None] * len(faces)
    if not (faces and tracks):
        return owners
    doubts = np.array([track.doubt for track in tracks])[:, None]
    iou = _iou(_grown(np.array([track.motion.box for track in tracks])[:, None], doubts),
               _grown(np.array([face.box for face in faces])[None], doubts))
    taken = set()
    for pair in np.argsort(-iou, axis=None, kind='stable'):
        row, column = divmod(int(pair), len(faces))
        if not iou[row, column] >= _LEAST_IOU:
            break
        if row not in taken and owners[column] is None:
            taken.add(row)
            owners[column] = tracks[row]
    return owners


def _grown(boxes: np.ndarray, margins: np.ndarray) -> np.ndarray:
    """Return boxes (T or 1, F or 1, 4) grown by (T, 1) margins, as near and far corners."""
    sizes = boxes[..., 2:]
    near = boxes[..., :2] - margins[..., None] * sizes
    return np.concatenate([near, near + (1 + 2 * margins[..., None]) * sizes], axis=-1)


def _iou(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Return the intersection over union of corners (T, 1, 4) and (T, F, 4), as (T, F)."""
    sides = np.maximum(0, np.minimum(first[..., 2:], second[..., 2:])
                       - np.maximum(first[..., :2], second[..., :2]))
    shared = sides.prod(axis=-1)
    areas = [(boxes[..., 2:] - boxes[..., :2]).prod(axis=-1) for boxes in (first, second)]
    return shared / (areas[0] + areas[1] - shared)
