# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Where the detector looks in each frame: closely where it pays, within a budget.

Every frame is looked at as a whole, coarsely, which finds near faces. Small ones need more pixels
than there is time for: the parts of the picture are looked at closely in turn, and around each
small face that is known there is a close look in every frame, so that it is not lost between two
turns. A new scene is looked at closely as a whole, as far as a few budgets reach.

All of it follows from sizes, tracks and turns, and nothing from a clock: the same recording is
looked at in the same way on every computer.
"""

import math
from typing import Any, Dict, List, NamedTuple, Sequence, Tuple

from deid_ros.core.detection.looks import Look, Plan, scale_for, whole
from deid_ros.core.faces import Box, Face, Region

# A face of this height, in pixels of what the detector sees, is found for nearly certain.
_SURE_HEIGHT = 20.0
# More than doubled, pictures show nothing more.
_MOST_SCALE = 2.0
# Of the budget: the look at the whole frame, at most, and those at known faces.
_COARSE_SHARE, _KNOWN_SHARE = 0.33, 0.5
# How many budgets a new scene may take, and a turn of close looks. Where that is too little, all is
# seen smaller: who comes between two looks is seen by neither.
_NEW_SCENE, _TURN = 4, 12
# A look at a known face is so many times as wide as the face, and at least so many pixels of what
# the detector sees. One size for all that are small: a network takes them at once.
_AROUND, _CROP = 3.0, 96
# Parts overlap by so many times the height of a face that the coarse look is certain to find.
_OVERLAP = 1.25
# In thorough looks, pixels of the coarse one, and of a part at most.
_COARSE, _TILE = 250000, 2500000
# Of the turn of a part, in comparison with an empty one: with people.
_PEOPLE = 2.0


class Search(NamedTuple):
    """What is looked for, and what it may cost."""

    #: Height of the smallest face that is to be found, in pixels of the frame.
    smallest_face: float = 10.0
    #: Pixels that the detector computes for a frame, on average.
    budget: int = 750000
    #: Look at everything closely, in every frame, in all ways there are: for recordings.
    thorough: bool = False


class Schedule:
    """Whose turn it is, for one camera."""

    def __init__(self) -> None:
        self._tiles: List[Look] = []
        self._ages: List[int] = []
        self._credit = 0

    def plan(self, width: int, height: int, search: Search, known: Sequence[Face],
             is_new_scene: bool) -> Plan:
        """Return how to look at the next frame, and take it as looked at.

        :param width, height: of the frame, in pixels.
        :param known: faces of the frames before, where they must be by now.
        """
        if search.thorough:
            return Plan(_thorough(width, height))
        fine = min(_MOST_SCALE, _SURE_HEIGHT / search.smallest_face,
                   scale_for(width, height, (1 - _COARSE_SHARE) * _TURN * search.budget))
        coarse = min(fine, scale_for(width, height, _COARSE_SHARE * search.budget))
        expected = [face.box for face in known]
        looks = [whole(width, height, coarse)]
        if whole(width, height, fine).cost <= search.budget - looks[0].cost or is_new_scene:
            scale = min(fine, scale_for(width, height, _NEW_SCENE * search.budget))
            if scale > coarse:
                looks.append(whole(width, height, scale))
            self._ages = [0] * len(self._ages)
            # What a new scene takes is saved on the turns after it.
            self._credit = search.budget - sum(look.cost for look in looks)
            return Plan(looks, expected)
        self._credit = min(self._credit, search.budget) + search.budget - looks[0].cost
        small = [face for face in known if face.box.height * coarse < _SURE_HEIGHT]
        tile = self._next_tile(width, height, fine, coarse, search.budget - looks[0].cost, known)
        crops = _crops(small, width, height, fine, tile)
        crops = crops[:int(_KNOWN_SHARE * search.budget) // (_CROP * _CROP)]
        self._credit -= sum(crop.cost for crop in crops)
        return Plan(looks + tile + crops, expected)

    def _next_tile(self, width: int, height: int, fine: float, coarse: float, most: int,
                   known: Sequence[Face]) -> List[Look]:
        """Return the part whose turn it is, if there is credit for it."""
        tiles = _tiles(width, height, fine, _OVERLAP * _SURE_HEIGHT / coarse, most)
        if tiles != self._tiles:
            self._tiles, self._ages = tiles, [0] * len(tiles)
        self._ages = [age + 1 for age in self._ages]
        urgency = [age * (_PEOPLE if any(tile.shows(face.box) for face in known) else 1.0)
                   for tile, age in zip(tiles, self._ages)]
        turn = urgency.index(max(urgency))
        if tiles[turn].cost > self._credit:
            return []
        self._credit -= tiles[turn].cost
        self._ages[turn] = 0
        return [tiles[turn]]

    def state(self) -> Dict[str, Any]:
        """Return what it knows, as numbers and lists."""
        return {'tiles': [[list(tile.region), tile.scale] for tile in self._tiles],
                'ages': self._ages, 'credit': self._credit}

    @staticmethod
    def with_state(state: Dict[str, Any]) -> 'Schedule':
        """Return the schedule that knows what `state` gave."""
        schedule = Schedule()
        schedule._tiles = [Look(Region(*region), scale) for region, scale in state['tiles']]
        schedule._ages, schedule._credit = list(state['ages']), state['credit']
        return schedule


def _thorough(width: int, height: int) -> List[Look]:
    """Return looks at all of a frame: at several scales, mirrored, and turned."""
    coarse = min(1.0, scale_for(width, height, _COARSE))
    looks = [whole(width, height, coarse)]
    looks += [look._replace(mirrored=mirrored) for mirrored in (False, True)
              for look in _tiles(width, height, 1.0, _OVERLAP * _SURE_HEIGHT / coarse, _TILE)]
    looks += _tiles(width, height, _MOST_SCALE, _OVERLAP * _SURE_HEIGHT / coarse, _TILE)
    return looks + [look._replace(turns=turns) for turns in (1, 2, 3)
                    for look in _tiles(width, height, 1.0, _OVERLAP * _SURE_HEIGHT / coarse, _TILE)]


def _tiles(width: int, height: int, scale: float, overlap: float, most: int) -> List[Look]:
    """Return parts that cover the frame, the fewest of which each costs `most` at most."""
    best: List[Look] = []
    for rows in range(1, 1 + int(height)):
        columns = 1
        tiles = _grid(width, height, columns, rows, scale, overlap)
        while tiles[0].cost > most and (width + (columns - 1) * overlap) / columns > 2 * overlap:
            columns += 1
            tiles = _grid(width, height, columns, rows, scale, overlap)
        if tiles[0].cost <= most and (not best or len(tiles) * tiles[0].cost
                                      < len(best) * best[0].cost):
            best = tiles
        if (height + rows * overlap) / (rows + 1) <= 2 * overlap:
            break
    return best or tiles


def _grid(width: int, height: int, columns: int, rows: int, scale: float, overlap: float
          ) -> List[Look]:
    across, down = _parts(width, columns, overlap), _parts(height, rows, overlap)
    return [Look(Region(left, top, right, bottom), scale)
            for top, bottom in down for left, right in across]


def _parts(length: int, count: int, overlap: float) -> List[Tuple[int, int]]:
    """Return `count` parts of one size that cover a length and overlap by so much."""
    size = min(length, int(math.ceil((length + (count - 1) * overlap) / count)))
    step = (length - size) / (count - 1) if count > 1 else 0.0
    return [(int(round(index * step)), int(round(index * step)) + size) for index in range(count)]


def _crops(faces: Sequence[Face], width: int, height: int, scale: float, done: Sequence[Look]
           ) -> List[Look]:
    """Return close looks around small faces, the least certain first, one for those side by side.

    :param done: looks in which faces need no other.
    """
    crops: List[Look] = []
    for face in sorted(faces, key=lambda face: -face.doubt):
        around = face.extent.grown(0.25)
        if any(look.shows(around) for look in list(done) + crops):
            continue
        crops.append(_crop(face.extent, width, height, scale))
    return crops


def _crop(box: Box, width: int, height: int, scale: float) -> Look:
    # What is too large for the usual size is seen smaller instead: it is the larger for it.
    side = max(_CROP / scale, _AROUND * max(box.width, box.height))
    side = min(side, width, height)
    left = min(max(0, int(round(box.x + box.width / 2 - side / 2))), width - int(side))
    top = min(max(0, int(round(box.y + box.height / 2 - side / 2))), height - int(side))
    return Look(Region(left, top, left + int(side), top + int(side)), _CROP / int(side))
