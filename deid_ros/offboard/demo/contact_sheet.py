# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Draws some frames of the flight: before in the upper row, after in the lower row."""

import pathlib
from collections.abc import Sequence

import cv2
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from deid_ros.offboard.demo.verification import ComparedFrame

MOMENTS = 4

_PANEL_WIDTH = 480  # pixels
_GAP, _SIDE, _LABEL = 12, 16, 34  # between panels, around them, line of text
_DPI = 100
_PAPER, _INK, _FAINT = '#ffffff', '#202020', '#707070'


class ContactSheet:
    """Chooses some of the frames, and draws them.

    The flight is cut into `MOMENTS` parts of equal length; in each the frame with the most faces
    is taken, and of those the one nearest to the part's middle.

    :param frame_count: of the whole flight.
    :param rate: frames per second, for the captions.
    """

    def __init__(self, frame_count: int, rate: float) -> None:
        self._frame_count = frame_count
        self._rate = rate
        self._best: dict[int, ComparedFrame] = {}

    def add(self, frame: ComparedFrame) -> None:
        """Consider a frame."""
        part = frame.index * MOMENTS // self._frame_count
        if part not in self._best or self._interest(frame) > self._interest(self._best[part]):
            self._best[part] = frame

    @property
    def chosen(self) -> list[ComparedFrame]:
        """The frames to draw, in the order of time."""
        return [self._best[part] for part in sorted(self._best)]

    def save(self, path: pathlib.Path, method: str) -> None:
        """Write the picture; nothing if no frame was seen.

        :param method: what happened between before and after, for the caption.
        """
        if self.chosen:
            captions = [self._caption(frame) for frame in self.chosen]
            _draw(self.chosen, captions, method).print_png(path)

    def _interest(self, frame: ComparedFrame) -> tuple[int, float]:
        place = frame.index * MOMENTS / self._frame_count % 1
        return len(frame.distances), -abs(place - 0.5)

    def _caption(self, frame: ComparedFrame) -> str:
        distances = ', '.join(f'{distance:.2f}' for distance in frame.distances)
        time = f'{frame.index / self._rate:.1f} s'
        return f'{time}: dlib distance {distances}' if distances else time


def _draw(frames: Sequence[ComparedFrame], captions: Sequence[str], method: str
          ) -> FigureCanvasAgg:
    height, width = frames[0].before.shape[:2]
    panel_height = round(_PANEL_WIDTH * height / width)
    total_width = 2 * _SIDE + _LABEL + len(frames) * (_PANEL_WIDTH + _GAP) - _GAP
    total_height = 2 * _SIDE + _LABEL + 2 * panel_height + _GAP
    figure = Figure((total_width / _DPI, total_height / _DPI), dpi=_DPI, facecolor=_PAPER)
    canvas = FigureCanvasAgg(figure)
    for row, label in enumerate(('before', f'after ({method})')):
        top = _SIDE + row * (panel_height + _GAP)
        figure.text((_SIDE + _LABEL / 3) / total_width,
                    1 - (top + panel_height / 2) / total_height, label,
                    rotation=90, ha='center', va='center', color=_INK, fontsize=14)
        for column, frame in enumerate(frames):
            left = _SIDE + _LABEL + column * (_PANEL_WIDTH + _GAP)
            image = cv2.resize(frame.after if row else frame.before, (_PANEL_WIDTH, panel_height),
                               interpolation=cv2.INTER_AREA)
            figure.figimage(np.ascontiguousarray(image[:, :, ::-1]), left,
                            total_height - top - panel_height)
    for column, caption in enumerate(captions):
        left = _SIDE + _LABEL + column * (_PANEL_WIDTH + _GAP)
        figure.text((left + _PANEL_WIDTH / 2) / total_width, _SIDE / total_height, caption,
                    ha='center', va='bottom', color=_FAINT, fontsize=11)
    return canvas
