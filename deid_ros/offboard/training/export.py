# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""`export_models`: copies trained networks into the folder of shipped models."""

import argparse
import hashlib
import json
import shutil
from collections.abc import Collection
from datetime import date
from pathlib import Path
from typing import Any

import yaml

from deid_ros.core.deidentification.weights import MODELS_FILE
from deid_ros.offboard.training.common.recipe import load_recipe
from deid_ros.offboard.training.common.runs import TABLE
from deid_ros.offboard.training.synthetic.gallery import REPORT

#: The file that lists the modes and the networks of their chains.
MODES_FILE = 'modes.yaml'


def _entry(runs: Path, recipes: Path, name: str, data: str, color_data: str) -> dict[str, Any]:
    """Return the entry of an array file of a run, NAME being RECIPE/ROLE."""
    recipe_name, role = name.split('/')
    recipe_path = recipes / f'{recipe_name}.yaml'
    recipe = load_recipe(recipe_path)
    source = runs / f'{name}.npz'
    entry: dict[str, Any] = {
        'file': f'{recipe_name}_{role}.npz',
        'sha256': hashlib.sha256(source.read_bytes()).hexdigest(),
        'recipe': recipe_path.name,
        'recipe_sha256': hashlib.sha256(recipe_path.read_bytes()).hexdigest(),
        'data': f'{data}, colored by {color_data}' if recipe.color and color_data else data,
        'date': date.fromtimestamp(source.stat().st_mtime).isoformat(),
    }
    report = runs / recipe_name / REPORT
    if role != TABLE:
        entry['layers'] = recipe.networks()[role]
    elif report.exists():
        entry['report'] = json.loads(report.read_text(encoding='utf-8'))
    return entry


def export(recipes: Path, runs: Path, models: Path, data: str,
           color_data: str = '', only: Collection[str] = ()) -> None:
    """Write the array files of all modes and `models.json`; measures in an older one are kept.

    Nothing is written where one is missing.

    :param recipes: the folder with the recipes.
    :param models: the folder with `modes.yaml`, to which the files are written.
    :param data: description of the training data.
    :param color_data: description of the faces that colorized it for color networks.
    :param only: names of recipes whose files are written, while those of others stay; if empty, all
        are written.
    :raises FileNotFoundError: a network has not been trained, or one that should stay is missing.
    :raises ValueError: no mode uses a recipe in `only`.
    """
    modes = yaml.safe_load((models / MODES_FILE).read_text(encoding='utf-8'))
    names = {name for mode in modes.values() for name in mode['networks']}
    for mode in modes.values():
        for variant in mode['apply'].values():
            names.add(variant['encoder'])
            if 'shift' in variant:
                names.add(variant['shift']['table'])
    used = {_recipe_of(name) for name in names}
    for recipe in only:
        if recipe not in used:
            raise ValueError(f'no mode uses {recipe}; they use {", ".join(sorted(used))}')
    path = models / MODELS_FILE
    older = (json.loads(path.read_text(encoding='utf-8')) if path.exists()
             else {'measures': {}, 'files': {}})
    stay = {name for name in names if only and _recipe_of(name) not in only}
    if missing := stay - older['files'].keys():
        raise FileNotFoundError(f'{path} has no {", ".join(sorted(missing))}, which should stay')
    files = {name: older['files'][name] if name in stay
             else _entry(runs, recipes, name, data, color_data) for name in sorted(names)}
    # Only after all were found, so that a failure leaves no files without their hashes.
    for name in sorted(names - stay):
        shutil.copyfile(runs / f'{name}.npz', models / files[name]['file'])
    path.write_text(json.dumps({'modes': modes, 'measures': older['measures'], 'files': files},
                               indent=1) + '\n', encoding='utf-8')


def _recipe_of(name: str) -> str:
    return name.split('/')[0]


def main(arguments: list[str] | None = None) -> None:
    """Run the command."""
    command = argparse.ArgumentParser(prog='export_models',
                                      description=str(__doc__).replace('`', ''))
    command.add_argument('--recipes', type=Path, required=True, help='folder of the recipes')
    command.add_argument('--runs', type=Path, default=Path('runs'), help='folder of the runs')
    command.add_argument('--models', type=Path, required=True, help='folder of modes.yaml')
    command.add_argument('--data', required=True, help='description of the training data')
    command.add_argument('--color-data', default='',
                         help='description of the faces that colorized it')
    command.add_argument('--only', nargs='+', default=[], metavar='RECIPE',
                         help='recipes whose files are written; those of others stay')
    options = command.parse_args(arguments)
    try:
        export(options.recipes, options.runs, options.models, options.data, options.color_data,
               options.only)
    except (FileNotFoundError, ValueError) as error:
        command.exit(1, f'export_models: {error}\n')


if __name__ == '__main__':
    main()
