# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""The plots of the results, made from the stored figures; readable in shades of gray."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas
from matplotlib.lines import Line2D

from deid_ros.offboard.evaluation.measures.catalogue import RECALLS
from deid_ros.offboard.evaluation.paper.latent_map import Panel
from deid_ros.offboard.evaluation.paper.tables import METHODS, TABLES, Row
from deid_ros.offboard.evaluation.report import Measured

# Its lightness rises steadily, so that it can be read in gray, too.
_COLORS = mpl.colormaps['cividis']
_LEAST_FACENESS = 60
# Above this DEID, names stand in a column, with this line height.
_CROWDED, _LINE = 85, 3.4
_INK = '#333333'
_STYLE: dict[Any, Any] = {
    'svg.hashsalt': 'deid_ros',  # the same figures give the same file
    'svg.fonttype': 'none',
    'font.family': 'sans-serif',
    'font.size': 9,
    'axes.edgecolor': _INK,
    'axes.labelcolor': _INK,
    'axes.spines.top': False,
    'axes.spines.right': False,
    'axes.grid': True,
    'axes.axisbelow': True,
    'grid.color': '#dddddd',
    'grid.linewidth': 0.6,
    'legend.frameon': False,
    'text.color': _INK,
    'xtick.color': _INK,
    'ytick.color': _INK,
}


@contextmanager
def _drawing(path: Path, width: float, height: float) -> Iterator[Canvas]:
    """Yield a canvas, sized in inches, and write it to `path` at the end."""
    with mpl.rc_context(_STYLE):
        canvas = Canvas((width, height), layout='constrained')
        yield canvas
        canvas.savefig(path, metadata={'Date': None})


def trade_off(path: Path, measured: Mapping[str, Measured]) -> None:
    """Draw DIV over DEID, with FCNS as shade: our rows and the points of the paper.

    :param measured: stored figures by table.
    """
    ours = [(row, measured.get(name, {}).get(row.label, {}))
            for name, table in TABLES.items() if table is not METHODS and 'DIV' in table.measures
            for row in table.rows]
    methods = [(row, measured.get(METHODS.name, {}).get(row.label, {})) for row in METHODS.rows]
    paper = sorted({row.paper for row, _ in ours if len(row.paper) == 3})
    with _drawing(path, 7.6, 6.0) as canvas:
        axes = canvas.add_subplot()
        _points(axes, [point for point in paper if None not in point], '^', 34)
        _points(axes, _scores(ours), 'o', 30)
        _points(axes, _scores(methods), 's', 52)
        _name_points(axes, methods)
        axes.set(xlim=(-3, 103), ylim=(-4, 103), xlabel='DEID: taken for another person, %',
                 ylabel='DIV: new faces that differ from each other, %')
        shades = mpl.cm.ScalarMappable(mpl.colors.Normalize(_LEAST_FACENESS, 100), _COLORS)
        canvas.colorbar(shades, ax=axes, location='bottom', shrink=0.6, aspect=40, extend='min',
                        label='FCNS: still a face for a detector, %')
        axes.legend(handles=[_marker('s', 'shipped modes and alternatives'),
                             _marker('o', 'Tables 1 to 7, ours'),
                             _marker('^', 'Tables 1 to 7, the paper')],
                    loc='lower left', bbox_to_anchor=(0, 0.06))


def _scores(rows: list[tuple[Row, Mapping]]) -> list[tuple[float, ...]]:
    return [tuple(figures[name].value for name in ('FCNS', 'DEID', 'DIV'))
            for _, figures in rows if {'FCNS', 'DEID', 'DIV'} <= set(figures)]


def _points(axes: Axes, scores: list, marker: str, size: float) -> None:
    if scores:
        faceness, deid, div = zip(*scores)
        axes.scatter(deid, div, s=size, c=faceness, marker=marker, cmap=_COLORS,
                     vmin=_LEAST_FACENESS, vmax=100, edgecolors=_INK, linewidths=0.6)


def _name_points(axes: Axes, rows: list[tuple[Row, Mapping]]) -> None:
    """Write names beside the points; those near the right border stand in a column."""
    points = sorted(((figures['DEID'].value, figures['DIV'].value, row.label)
                     for row, figures in rows if figures), key=lambda point: -point[1])
    crowded = [point for point in points if point[0] > _CROWDED]
    # As near to their points as the line height allows, from the top down; then pushed up.
    places: list[float] = []
    for _, y, _ in crowded:
        places.append(min(y, places[-1] - _LINE if places else y))
    for index in reversed(range(len(places))):
        floor = places[index + 1] + _LINE if index + 1 < len(places) else 0
        places[index] = max(places[index], floor)
    for (x, y, label), place in zip(crowded, places):
        axes.annotate(label, (x, y), (106, place), fontsize=7, va='center', annotation_clip=False,
                      arrowprops={'arrowstyle': '-', 'relpos': (0, 0.5), 'color': '#999999',
                                  'linewidth': 0.6})
    for x, y, label in points:
        if x <= _CROWDED:
            axes.annotate(label, (x, y), (x + 1.8, y), fontsize=7, va='center')


def _marker(shape: str, label: str) -> Line2D:
    return Line2D([], [], linestyle='', marker=shape, markerfacecolor='#bbbbbb',
                  markeredgecolor=_INK, label=label)


def recall_by_height(path: Path, detectors: Measured) -> None:
    """Draw the recall of each detector by the height of faces in the photo."""
    styles = [(marker, line) for line in ('-', '--', ':') for marker in 'osD^v']
    with _drawing(path, 7.2, 3.8) as canvas:
        axes = canvas.add_subplot()
        places = np.arange(len(RECALLS))
        for index, (name, figures) in enumerate(detectors.items()):
            marker, line = styles[index % len(styles)]
            axes.plot(places, [figures[recall].value for recall in RECALLS], line, marker=marker,
                      color=_COLORS(0.85 * index / max(1, len(detectors) - 1)),
                      markeredgecolor=_INK, markeredgewidth=0.5, label=name)
        some = next(iter(detectors.values()))
        axes.set_xticks(places, [f'{name.removeprefix("recall ")}\nN = {some[name].count}'
                                 for name in RECALLS])
        axes.set(ylim=(0, 102), ylabel='faces found, %', xlabel='height of the face in the photo')
        axes.legend(loc='upper left', bbox_to_anchor=(1.0, 1.0), fontsize=7)


def latent_map(path: Path, panels: list[Panel]) -> None:
    """Draw Figure 2: latents in two dimensions, before and after shifts."""
    with _drawing(path, 7.2, 2.3) as canvas:
        for axes, panel in zip(canvas.subplots(1, len(panels), sharex=True, sharey=True), panels):
            for chosen, color in ((panel.female, '#d9a400'), (~panel.female, '#22376b')):
                for has, marker in ((~panel.young, 'o'), (panel.young, 's')):
                    points = panel.points[chosen & has]
                    axes.scatter(points[:, 0], points[:, 1], s=6, c=color, marker=marker,
                                 alpha=0.7, linewidths=0)
            axes.set_title(panel.title, fontsize=8)
            axes.tick_params(labelsize=7)
