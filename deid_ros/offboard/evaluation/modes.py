# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""`evaluate modes`: all measures of the shipped modes, on tight crops of faces (section 4.1)."""

import argparse
import json
from pathlib import Path

import numpy as np

from deid_ros.core.backends import BACKENDS, Backend, make_backend
from deid_ros.core.deidentification.chain import SHIFT_APPLY, Chain, load_chain
from deid_ros.core.deidentification.weights import MODELS_FILE, ModelStore
from deid_ros.core.errors import ConfigurationError
from deid_ros.offboard.common.datasets import Faces, gray, load_faces, training_faces
from deid_ros.offboard.common.identities import KEY, KEYS, new_faces_of, with_other_keys
from deid_ros.offboard.common.store import Store
from deid_ros.offboard.common.training_people import people_of
from deid_ros.offboard.evaluation.measures import suite
from deid_ros.offboard.evaluation.measures.figures import SEED, Figure
from deid_ros.offboard.evaluation.options import (
    CHANGES_FACES,
    Subparsers,
    add_measure_options,
    classifier_of,
    downstream_of,
    new_command,
    recognizer_of,
)
from deid_ros.offboard.evaluation.paper import contributors
from deid_ros.offboard.evaluation.report import Measured


def add_command(subparsers: Subparsers) -> None:
    """Add the subcommand."""
    parser = new_command(subparsers, 'modes', run, 'Measure the shipped modes on face images.',
                         always=CHANGES_FACES)
    parser.add_argument('--data', type=Path, required=True,
                        help='tar or folder of face images, one folder for each person')
    parser.add_argument('--models', type=Path, default=Path('models'),
                        help='folder with models.json (default: models)')
    parser.add_argument('--modes', nargs='+', metavar='MODE',
                        help='shift modes (default: all that can be applied as asked)')
    parser.add_argument('--apply', choices=SHIFT_APPLY, default='finetuned')
    parser.add_argument('--alpha', type=float, help='strength of a shift at run time')
    parser.add_argument('--key', default=KEY,
                        help='decides which identities faces get in the mode synthetic; '
                        f're-identification is over {KEYS} keys made of this one '
                        f'(default: {KEY})')
    parser.add_argument('--backend', choices=BACKENDS, default='onnxruntime')
    parser.add_argument('--count', type=int, default=2000,
                        help='faces, drawn with seed 0 (default: 2000)')
    parser.add_argument('--record', action='store_true',
                        help='write the figures into models.json')
    add_measure_options(parser)
    parser.add_argument('--labels', type=Path, metavar='CSV',
                        help='labels -1 and 1 of the images, for smile and mouth open')
    parser.add_argument('--training-labels', type=Path, metavar='CSV',
                        help='attributes of the training data, for LEAK of the mode attribute')
    parser.add_argument('--recipes', type=Path, default=Path('config/training'),
                        help='folder of the recipes of the modes (default: config/training)')


def run(options: argparse.Namespace) -> Measured:
    """Measure each mode."""
    if options.record and options.key != KEY:
        raise ConfigurationError('--record keeps figures that others can reproduce, those with '
                                 f'--key {KEY}, not {options.key}; leave out one of the two')
    models = ModelStore(str(options.models))
    recognizer = recognizer_of(options)
    names = options.modes or [name for name, mode in models.modes.items()
                              if options.apply in mode['apply']]
    chains = {name: load_chain(models, name, options.apply) for name in names}
    backends = {name: _backend(chain, options) for name, chain in chains.items()}
    faces = sample(load_faces(options.data, options.cache), options.count)
    store = Store(options.cache)
    training = (training_faces(options.training_data, options.cache)
                if options.training_data else None)
    training_people = people_of(training, store) if training else None
    originals = {color: suite.Originals(
        faces if color else Faces(gray(faces.pixels), faces.names, faces.identities),
        store, classifier_of(options), options.labels,
        training_people, downstream_of(options), recognizer)
        for color in {chain.color for chain in chains.values()}}

    measured: dict[str, dict[str, Figure]] = {}
    for name, backend in backends.items():
        # New faces are compared with what the networks got: gray models get gray originals.
        reference = originals[backend.color]
        sources = None
        if training is not None:
            sources = contributors.of_mode(models, options.recipes, name, options.apply,
                                           reference.faces.pixels, training,
                                           options.training_labels, options.cache, options.key)
        figures = suite.measure(
            reference, new_faces_of(reference.faces.pixels, backend, options.key), sources,
            with_other_keys(reference.faces.pixels, backend, options.key))
        measured[chains[name].name] = figures
        if options.record:
            # The chain's hash shows later whether the figures are those of the weights beside them.
            _record(options.models / MODELS_FILE, chains[name].name, {
                'chain': chains[name].key, 'data': options.data.name, 'N': len(faces),
                'alpha': backend.alpha,
                **{measure: [round(part, 4) for part in (figure.value, figure.low, figure.high)]
                   for measure, figure in figures.items()}})
    return measured


def sample(faces: Faces, count: int) -> Faces:
    """Return `count` random faces, or all if there are fewer."""
    return faces.take(np.sort(np.random.default_rng(SEED).permutation(len(faces))[:count]))


def _backend(chain: Chain, options: argparse.Namespace) -> Backend:
    backend = make_backend(options.backend, chain)
    if options.alpha is not None:
        if chain.shift is None:
            raise ConfigurationError(f'--alpha: {chain.name} has its strength from training; only '
                                     '--apply runtime can be given another')
        backend.alpha = options.alpha
    return backend


def _record(path: Path, key: str, figures: dict[str, object]) -> None:
    content = json.loads(path.read_text(encoding='utf-8'))
    content['measures'][key] = figures
    path.write_text(json.dumps(content, indent=1, ensure_ascii=False) + '\n', encoding='utf-8')
