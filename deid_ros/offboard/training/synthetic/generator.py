# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""A generator of faces: attributes and an identity in, a face out.

    latent = A(attributes) + identity,   face = decoder(latent)

A and the decoder are networks. The identity is a vector that is learned for each person of the
training set, the same for all of their images (after P. Bojanowski et al., "Optimizing the latent
space of generative networks", ICML 2018). So differences between the images of a person can only
come from the attributes. Over all people, identities are uncorrelated with attributes. So an
identity can be exchanged while pose, expression, light, gender and skin stay.
"""

import dataclasses
import functools
from pathlib import Path

import numpy as np
import torch
from torch import nn

from deid_ros.core.backends.torch_layers import module_of
from deid_ros.core.deidentification.networks import attribute_decoder
from deid_ros.core.deidentification.weights import save_arrays
from deid_ros.offboard.training.common import augmentation
from deid_ros.offboard.training.common.data import TrainingData
from deid_ros.offboard.training.common.recipe import Augmentation, Recipe
from deid_ros.offboard.training.common.runs import encode, load_run, save_module
from deid_ros.offboard.training.common.trainer import epoch_seed, fit

#: File with the identities in the run of a generator.
PEOPLE = 'people'
#: The number of people without an identity: those with one image, and those held out.
NO_IDENTITY = -1
# Identities are stored divided by this, as Adam moves each value by the learning rate at most.
_IDENTITY_SCALE = 8.0


class Generator(nn.Module):
    """The networks and the learned identities.

    :param tail: A, from (N, attributes) to (N, D) latents.
    :param decoder: from (N, D) to (N, 1, 64, 64).
    :param people: number of people with an identity.
    :param attributes: (people, attributes) mean attributes of each.
    """

    def __init__(self, tail: nn.Sequential, decoder: nn.Sequential, people: int,
                 attributes: torch.Tensor) -> None:
        super().__init__()
        self.tail, self.decoder = tail, decoder
        last = tail[-1]
        assert isinstance(last, nn.Linear)
        self._identities = nn.Parameter(torch.zeros(people, last.out_features))
        design = torch.cat([torch.ones(people, 1), attributes], 1)
        self._design: torch.Tensor
        self._inverse: torch.Tensor
        self.register_buffer('_design', design, persistent=False)
        self.register_buffer('_inverse', torch.linalg.pinv(design), persistent=False)

    @property
    def identities(self) -> np.ndarray:
        """Return the (people, D) float32 identities."""
        return _IDENTITY_SCALE * self._identities.detach().cpu().numpy()

    def decorrelate(self) -> None:
        """Remove the part of the identities that is linear in people's mean attributes."""
        with torch.no_grad():
            self._identities.sub_(self._design @ (self._inverse @ self._identities))

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """Return faces.

        :param inputs: (N, attributes + 1): attributes, then the number of the person or
            `NO_IDENTITY`.
        """
        person = inputs[:, -1].long()
        known = (person != NO_IDENTITY)[:, None]
        identity = _IDENTITY_SCALE * self._identities[person.clamp(min=0)] * known
        return self.decoder(self.tail(inputs[:, :-1]) + identity)


def people_with_identity(identities: np.ndarray, trained: np.ndarray
                         ) -> tuple[np.ndarray, np.ndarray]:
    """Return the people who get an identity: those with two trained images or more.

    :param identities: (N,) the person in each face; `trained` (N,) bool.
    :return: their names, sorted, and (N,) the number of each face's person, or `NO_IDENTITY`.
    """
    names, counts = np.unique(identities[trained], return_counts=True)
    names = names[counts > 1]
    numbers = {name: number for number, name in enumerate(names)}
    return names, np.array([numbers.get(name, NO_IDENTITY) for name in identities])


def load_people(run: Path) -> np.ndarray:
    """Return the (P, D) float32 identities of people that a run has learned."""
    with np.load(run / f'{PEOPLE}.npz', allow_pickle=False) as arrays:
        return arrays['identities'].astype(np.float32)


def train_generator(recipe: Recipe, data: TrainingData, runs: Path, *, device: torch.device,
                    until: int | None = None) -> None:
    """Train a generator on attributes as an attribute network estimates them; see `stages.train`.

    The run has the encoder, which is that network followed by A, the decoder, and `people.npz` with
    the identities of real people, which must not be shipped.
    """
    assert recipe.base is not None
    torch.manual_seed(recipe.seed)
    run = runs / recipe.name
    attributes = load_run(runs, recipe.base, 'attributes',
                          dataclasses.replace(recipe, stage='attributes', start=None))
    decoder = module_of(recipe.networks()['decoder'])
    tail = module_of(attribute_decoder(recipe.attribute_count, recipe.widths[0]))
    faces = augmentation.planes(data.faces.pixels, color=False)
    cpu = torch.device('cpu')
    plain = encode(attributes, augmentation.view(faces, None, 0), cpu)
    names, numbers = people_with_identity(data.faces.identities, ~data.held_out)
    generator = Generator(tail, decoder, len(names), torch.from_numpy(
        np.stack([plain[numbers == number].mean(axis=0) for number in range(len(names))])))

    def pairs(changes: Augmentation | None, seed: int, chosen: np.ndarray
              ) -> tuple[torch.Tensor, torch.Tensor]:
        inputs = augmentation.view(faces[torch.from_numpy(chosen)], changes, seed)
        codes = encode(attributes, inputs, cpu)
        return torch.from_numpy(np.concatenate(
            [codes, numbers[chosen, None].astype(np.float32)], axis=1)), inputs

    @functools.lru_cache(maxsize=1)
    def training_pairs(number: int) -> tuple[torch.Tensor, torch.Tensor]:
        return pairs(recipe.augmentation, epoch_seed(recipe.seed, number), ~data.held_out)

    def decorrelated_pairs(epoch: int) -> tuple[torch.Tensor, torch.Tensor]:
        generator.decorrelate()
        return training_pairs(epoch // recipe.epochs_per_view)

    fit(generator, recipe, decorrelated_pairs, lambda _: pairs(None, 0, data.held_out), run,
        device=device, until=until)
    if until is None:
        generator.decorrelate()
        save_module(run / 'encoder.npz', nn.Sequential(*attributes, *generator.tail))
        save_module(run / 'decoder.npz', generator.decoder)
        save_arrays(str(run / f'{PEOPLE}.npz'), {'identities': generator.identities})
