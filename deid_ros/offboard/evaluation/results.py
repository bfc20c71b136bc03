# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""`evaluate table`, `results` and `page`: measure tables row by row, and write the page of them.

Each row is written to the CSV file of its table as soon as it is measured. Results of networks on a
face are cached. So a run that was stopped continues where it was.
"""

import argparse
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path

import cv2
import numpy as np
from tqdm import tqdm

from deid_ros.core.deidentification.weights import ModelStore
from deid_ros.core.detection import make_detector
from deid_ros.core.errors import ConfigurationError
from deid_ros.core.resources import models_directory
from deid_ros.offboard.common import face_networks
from deid_ros.offboard.common.datasets import Faces, gray, load_faces, training_faces
from deid_ros.offboard.common.store import Store
from deid_ros.offboard.common.training_people import TrainingPeople, people_of
from deid_ros.offboard.evaluation import detection
from deid_ros.offboard.evaluation.measures import suite
from deid_ros.offboard.evaluation.measures.figures import Figure
from deid_ros.offboard.evaluation.modes import sample
from deid_ros.offboard.evaluation.options import Subparsers, classifier_of, new_command
from deid_ros.offboard.evaluation.paper import latent_map, page
from deid_ros.offboard.evaluation.paper.inputs import EvaluationInputs
from deid_ros.offboard.evaluation.paper.methods import ShippedMode
from deid_ros.offboard.evaluation.paper.tables import (
    DETECTION,
    DETECTORS,
    DOWNSTREAM,
    LATENTS,
    METHODS,
    NAMES,
    TABLES,
    Table,
)
from deid_ros.offboard.evaluation.report import Measured, write_csv

_SHEET_FACES = 12


def add_command(subparsers: Subparsers) -> None:
    """Add the subcommands."""
    table = new_command(subparsers, 'table', run,
                        'Measure tables of the results, the paper\'s and others.')
    table.add_argument('names', nargs='+', choices=NAMES, metavar='NAME',
                       help=f'of {", ".join(NAMES)}')
    results = new_command(subparsers, 'results', run, 'Measure all tables of the results.')
    results.set_defaults(names=NAMES)
    for parser in (table, results):
        _add_options(parser)
    page_parser = new_command(subparsers, 'page', write_page,
                              'Write the page of the results, and its plots, from stored figures.',
                              table=lambda _: '')
    _add_output(page_parser)


def _add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument('--data', type=Path, required=True, metavar='TAR',
                        help='tar or folder of face images to measure on, one folder a person')
    parser.add_argument('--training-data', type=Path, required=True, metavar='TAR',
                        help='tar or folder that the shipped networks were trained on')
    parser.add_argument('--training-labels', type=Path, required=True, metavar='CSV',
                        help='attributes of these images')
    parser.add_argument('--labels', type=Path, metavar='CSV',
                        help='labels -1 and 1 of the images to measure on, for smile and mouth '
                             'open')
    parser.add_argument('--classifier', type=Path, metavar='NPZ',
                        help='attribute classifier on descriptors, for ATTR and gender')
    parser.add_argument('--photos', type=Path, metavar='TAR',
                        help='tar or folder of photos with boxes.json, for the table detection')
    parser.add_argument('--models', type=Path, help='folder with models.json')
    parser.add_argument('--runs', type=Path, default=Path('runs') / 'ablation',
                        help='folder for the networks of the tables (default: runs/ablation)')
    parser.add_argument('--count', type=int, default=1000,
                        help='faces, drawn with seed 0 (default: 1000)')
    parser.add_argument('--sheets', type=Path, metavar='FOLDER',
                        help='also draw originals and new faces side by side; do not publish these')
    _add_output(parser)


def _add_output(parser: argparse.ArgumentParser) -> None:
    parser.add_argument('--output', type=Path, default=Path('docs') / 'results',
                        help='folder for figures and plots; RESULTS.md is written beside it '
                             '(default: docs/results)')


class _EvaluationData:
    """The data that tables are measured on, loaded when first needed."""

    def __init__(self, options: argparse.Namespace) -> None:
        self._options = options
        self.store = Store(options.cache)
        self.inputs = EvaluationInputs(
            ModelStore(str(options.models or models_directory())), options.training_data,
            options.training_labels, options.runs, options.cache)

    @cached_property
    def faces(self) -> Faces:
        """Return all faces to measure on, (N, 64, 64, 3) BGR."""
        return load_faces(self._options.data, self._options.cache)

    @cached_property
    def training(self) -> Faces:
        """Return the faces that the shipped networks were trained on."""
        return training_faces(self._options.training_data, self._options.cache)

    @cached_property
    def training_people(self) -> TrainingPeople:
        """Return the people of the training set."""
        return people_of(self.training, self.store)

    def originals(self, table: Table, color: bool) -> suite.Originals:
        """Return the faces to measure a table on, with the inputs of its measures."""
        if table.people:
            faces = self.faces.take(suite.Originals(self.faces).one_per_person)
        else:
            faces = sample(self.faces, self._options.count)
        if not color:
            faces = Faces(gray(faces.pixels), faces.names, faces.identities)
        classifier = classifier_of(self._options)
        if table is not METHODS:
            return suite.Originals(faces, self.store, classifier)
        return suite.Originals(faces, self.store, classifier, self._options.labels,
                               self.training_people, make_detector(DOWNSTREAM))


def run(options: argparse.Namespace) -> Measured:
    """Measure the named tables, and write the page of all stored figures."""
    data = _EvaluationData(options)
    options.output.mkdir(parents=True, exist_ok=True)
    page.record_facts(options.output, data=options.data.name, training=options.training_data.name)
    measured = {}
    for name in options.names:
        if name == DETECTION:
            _measure_detectors(options)
        elif name == LATENTS:
            latent_map.write(page.file_of(options.output, name),
                             latent_map.panels(data.training, data.inputs))
            continue
        else:
            _measure_rows(TABLES[name], data, options)
        measured.update({f'{name}: {label}': figures for label, figures
                         in page.stored(options.output, name).items()})
    write_page(options)
    options.table = lambda _: '\n'.join(page.section(options.output, name)
                                        for name in options.names)
    return measured


def write_page(options: argparse.Namespace) -> Measured:
    """Write page and plots from the stored figures; measure nothing."""
    draw(options.output)
    page.write(options.output)
    return {}


def _measure_rows(table: Table, data: _EvaluationData, options: argparse.Namespace) -> None:
    # New faces are compared with what the networks got: gray models get gray originals.
    originals = {color: data.originals(table, color)
                 for color in {row.method.color(data.inputs) for row in table.rows}}
    references = [originals[row.method.color(data.inputs)] for row in table.rows]
    made = [row.method.new_faces(reference.faces.pixels, data.inputs) for row, reference
            in zip(tqdm(table.rows, desc=f'new faces of table {table.name}', unit='row'),
                   references)]
    for reference in originals.values():
        _precompute(np.concatenate([reference.faces.pixels, *(
            new_faces for new_faces, own in zip(made, references) if own is reference)]),
            data.store)
    measured: dict[str, Mapping[str, Figure]] = dict(page.stored(options.output, table.name))
    for row, reference, new_faces in zip(
            tqdm(table.rows, desc=f'table {table.name}', unit='row'), references, made):
        sources = (row.method.contributors(reference.faces.pixels, data.training, data.inputs)
                   if table is METHODS else None)
        figures = suite.measure(reference, new_faces, sources, row.method.with_other_keys(
            reference.faces.pixels, data.inputs) if table is METHODS else ())
        measured[row.label] = figures if table is METHODS else {
            name: figures[name] for name in table.measures if name in figures}
        write_csv(page.file_of(options.output, table.name),
                  {each.label: measured[each.label] for each in table.rows
                   if each.label in measured})
        if isinstance(row.method, ShippedMode) and table is METHODS:
            # Shows later whether the figures are those of the shipped networks.
            page.record_facts(options.output, **{row.label:
            row.method.chain(data.inputs.models).key})
    if options.sheets:
        options.sheets.mkdir(parents=True, exist_ok=True)
        sheet = np.vstack([_line(faces) for reference, new_faces in zip(references, made)
                           for faces in (reference.faces.pixels, new_faces)])
        cv2.imwrite(str(options.sheets / f'table_{table.name}.png'), sheet)


def _precompute(faces: np.ndarray, store: Store) -> None:
    """Store the results of dlib's networks on the faces of all rows.

    Doing this once for all rows starts processes and loads networks once.
    """
    for network in (face_networks.descriptors, face_networks.landmarks, face_networks.detected):
        network(faces, store)


def _line(faces: np.ndarray) -> np.ndarray:
    """Return the first faces side by side, BGR."""
    line = np.hstack(list(faces[:_SHEET_FACES]))
    return line if line.ndim == 3 else cv2.cvtColor(line, cv2.COLOR_GRAY2BGR)


def _measure_detectors(options: argparse.Namespace) -> None:
    if options.photos is None:
        raise ConfigurationError(f'the table {DETECTION} needs --photos')
    photos = detection.read_photos(options.photos)
    page.record_facts(options.output, photos=options.photos.name)
    measured = dict(page.stored(options.output, DETECTION))
    for row in tqdm(DETECTORS, desc='detectors', unit='row'):
        measured[row.label] = detection.figures(detection.measure(
            make_detector(list(row.detectors)), photos, row.width, row.threshold))
        write_csv(page.file_of(options.output, DETECTION), measured)


def draw(folder: Path) -> None:
    """Draw the plots for which a folder holds figures."""
    # Only plots need matplotlib.
    from deid_ros.offboard.evaluation.paper import plots

    plots.trade_off(folder / page.TRADE_OFF, {name: page.stored(folder, name) for name in TABLES})
    detectors = page.stored(folder, DETECTION)
    if detectors:
        plots.recall_by_height(folder / page.RECALL, {
            row.label: detectors[row.label] for row in DETECTORS
            if row.is_plain and row.label in detectors})
    latents = page.file_of(folder, LATENTS)
    if latents.exists():
        plots.latent_map(folder / page.FIGURE_2, latent_map.read(latents))
