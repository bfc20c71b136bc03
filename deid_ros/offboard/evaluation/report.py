# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Figures as Markdown, CSV and JSON."""

import csv
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from deid_ros.offboard.evaluation.measures.catalogue import MEASURES
from deid_ros.offboard.evaluation.measures.figures import Figure

#: Figures by measure, by method or recording.
Measured = Mapping[str, Mapping[str, Figure]]
NOT_MEASURED = '–'


def row(cells: Sequence[object]) -> str:
    """Return a line of a Markdown table."""
    return '| ' + ' | '.join(str(cell) for cell in cells) + ' |'


def markdown(measured: Measured) -> str:
    """Return a table with a row for each measure and a column for each method."""
    taken = [name for name in MEASURES if any(name in figures for figures in measured.values())]
    lines = [row(['measure', *measured, 'N', 'meaning']), row(['---'] * (len(measured) + 3))]
    for name in taken:
        measure = MEASURES[name]
        found = [figures.get(name) for figures in measured.values()]
        title = ' '.join(part for part in (
            name, f'({measure.unit})' if measure.unit else '', measure.better) if part)
        lines.append(row([title, *(_cell(figure) for figure in found), _counts(measured, name),
                          measure.meaning]))
    return '\n'.join(lines)


def markdown_by_method(measured: Measured) -> str:
    """Return a table with a row for each method and a column for each measure."""
    taken = [name for name in MEASURES if any(name in figures for figures in measured.values())]
    titles = [', '.join(filter(None, (name, MEASURES[name].unit, f'N = {_counts(measured, name)}')))
              for name in taken]
    return '\n'.join([row(['', *titles]), row(['---'] * (len(taken) + 1)),
                      *(row([method, *(_cell(figures.get(name)) for name in taken)])
                        for method, figures in measured.items())])


def _counts(measured: Measured, name: str) -> str:
    counts = {figures[name].count for figures in measured.values() if name in figures}
    return ' or '.join(str(count) for count in sorted(counts))


def _cell(figure: Figure | None) -> str:
    return NOT_MEASURED if figure is None else f'{figure}'


def write_csv(path: Path, measured: Measured) -> None:
    """Write a line for each figure."""
    with open(path, 'w', newline='', encoding='utf-8') as file:
        writer = csv.writer(file, lineterminator='\n')
        writer.writerow(['subject', 'measure', 'value', 'low', 'high', 'count', 'unit'])
        for subject, figures in measured.items():
            for name, figure in figures.items():
                writer.writerow([subject, name, *asdict(figure).values()])


def read_csv(path: Path) -> dict[str, dict[str, Figure]]:
    """Return what `write_csv` wrote."""
    measured: dict[str, dict[str, Figure]] = {}
    with open(path, newline='', encoding='utf-8') as file:
        for line in csv.DictReader(file):
            measured.setdefault(line['subject'], {})[line['measure']] = Figure(
                float(line['value']), float(line['low']), float(line['high']),
                int(line['count']), line['unit'])
    return measured


def write_json(path: Path, measured: Measured) -> None:
    """Write an object of objects: figures by measure, by method.

    An infinite value is written as null, as JSON has no number for it.
    """
    content = {subject: {name: {key: None if value in (float('inf'), float('-inf')) else value
                                for key, value in asdict(figure).items()}
                         for name, figure in figures.items()}
               for subject, figures in measured.items()}
    path.write_text(json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False) + '\n',
                    encoding='utf-8')
