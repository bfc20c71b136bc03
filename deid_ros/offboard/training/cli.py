# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""`train`: train the networks of recipes, one after the other."""

import argparse
import os
from dataclasses import replace
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import torch

from deid_ros.offboard.common.datasets import CONTEXT, CONTEXT_SIZE, load_faces
from deid_ros.offboard.training.common.colorization import colorized
from deid_ros.offboard.training.common.data import TrainingData, read_labels
from deid_ros.offboard.training.common.recipe import Recipe, load_recipe
from deid_ros.offboard.training.common.trainer import choose_device
from deid_ros.offboard.training.stages import train
from deid_ros.offboard.training.synthetic.attributes import wanted_columns
from deid_ros.offboard.training.synthetic.faceres import INSTALL_FACERES

_SEED = 0


def parser() -> argparse.ArgumentParser:
    """Return the command line's parser."""
    result = argparse.ArgumentParser(prog='train', description=str(__doc__).replace('`', ''))
    result.add_argument('recipes', nargs='+', type=Path, metavar='RECIPE.yaml',
                        help='recipes; trained in an order in which each starts from finished ones')
    result.add_argument('--data', required=True, type=Path,
                        help='tar or folder of face images, one folder for each person')
    result.add_argument('--labels', type=Path,
                        help='CSV with a column image and one for each attribute, for supervised '
                             'shifts')
    result.add_argument('--color-data', type=Path,
                        help='tar or folder of faces in color; gray data gets their chroma, for '
                             'color networks')
    result.add_argument('--faceres', type=Path, metavar='FACERES.json',
                        help='the network FaceRes, for recipes that use it; '
                             f'to get it: {INSTALL_FACERES}')
    result.add_argument('--runs', type=Path, default=Path('runs'),
                        help='folder for checkpoints, curves and networks (default: runs)')
    result.add_argument('--cache', type=Path, default=Path.home() / '.cache' / 'deid_ros',
                        help='folder for the cropped faces (default: ~/.cache/deid_ros)')
    result.add_argument('--choice', choices=('central', 'largest'), default='central',
                        help='which face, where an image has several (default: central)')
    result.add_argument('--device', default='auto', help='auto, cpu or cuda (default: auto)')
    result.add_argument('--threads', type=int, default=os.cpu_count(),
                        help='threads on the CPU (default: one for each core)')
    return result


def labelled_columns(recipe: Recipe) -> tuple[str, ...]:
    """Return the columns of labels that a recipe needs."""
    if recipe.stage == 'attributes':
        return wanted_columns(recipe.attributes + recipe.auxiliary)
    return recipe.shift.attributes if recipe.shift else ()


def in_order(recipes: list[Recipe]) -> list[Recipe]:
    """Return recipes in an order in which each one follows those it starts from.

    :raises ValueError: some start from each other.
    """
    by_name = {recipe.name: recipe for recipe in recipes}
    graph = TopologicalSorter({
        recipe.name: {name for name in by_name if name in (recipe.base, recipe.start)}
        for recipe in recipes})
    try:
        return [by_name[name] for name in graph.static_order()]
    except CycleError as error:
        raise ValueError(f'the recipes {", ".join(error.args[1][1:])} start from each other'
                         ) from error


def main(arguments: list[str] | None = None) -> None:
    """Run the command; a finished recipe is left as it is, a started one is resumed."""
    command = parser()
    options = command.parse_args(arguments)
    torch.set_num_threads(options.threads)
    device = choose_device(options.device)
    try:
        recipes = in_order([load_recipe(path) for path in options.recipes])
        faces = load_faces(options.data, options.cache, choice=options.choice, size=CONTEXT_SIZE,
                           context=CONTEXT)
        in_color = faces
        if options.color_data is not None and any(recipe.color for recipe in recipes):
            color_faces = load_faces(options.color_data, options.cache, size=CONTEXT_SIZE,
                                     context=CONTEXT)
            in_color = replace(faces, pixels=colorized(faces.pixels, color_faces.pixels, _SEED))
        for recipe in recipes:
            attributes = labelled_columns(recipe)
            if attributes and options.labels is None:
                raise ValueError(f'the recipe {recipe.name} needs --labels')
            chosen = in_color if recipe.color else faces
            data = (read_labels(options.labels, chosen, attributes,
                                soft=recipe.stage == 'attributes')
                    if attributes else TrainingData(chosen, {}))
            train(recipe, replace(data, faceres=options.faceres), options.runs, device=device)
    except (FileNotFoundError, ValueError) as error:
        command.exit(1, f'train: {error}\n')


if __name__ == '__main__':
    main()
