# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Teach a generator to make one person of an identity, whatever the attributes, and to show these.

A generator that has learned to repeat its training faces blurs them, and lets people who are mixed
of others look alike. So it goes on learning with identities that are made up as those of the
gallery are. Some are shown with the attributes of two photos of one person, as if that person were
tracked, and judged by recognition networks, most of them as they are seen in a frame, the others as
they come: new faces of one identity are to be one person, those of others, even with the attributes
of the same photos, are to be others, and nobody is to be the person of the photo; gender and the
like are to be told from them.

All are judged by the network of attributes, which should find those that were asked for, and by a
critic that learns to tell new faces from photos that show the same, both alone and in frames.
Besides, photos of people still have to be repeated.

The weights that are kept are an exponential average over the steps: single ones leave the grain of
their learning rate on the skin.
"""

import math
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn import functional
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from tqdm import tqdm

from deid_ros.core.deidentification.networks import FACE_SIZE, attribute_decoder
from deid_ros.core.deidentification.weights import save_arrays
from deid_ros.offboard.training.common import framing, views
from deid_ros.offboard.training.common.data import TrainingData
from deid_ros.offboard.training.common.recipe import UNLABELLED, Recipe
from deid_ros.offboard.training.common.runs import encode, load_run, save_module
from deid_ros.offboard.training.common.trainer import Stateful, epoch_seed, restore, save
from deid_ros.offboard.training.synthetic import candidates
from deid_ros.offboard.training.synthetic.attributes import landmarks
from deid_ros.offboard.training.synthetic.faceres import INSTALL_FACERES
from deid_ros.offboard.training.synthetic.generator import (
    NOBODY,
    PEOPLE,
    people_with_identity,
)
from deid_ros.offboard.training.synthetic.judges import (
    Critic,
    Shown,
    critic_error,
    jittered,
    unnatural,
)
from deid_ros.offboard.training.synthetic.recognition_network import alignments_of
from deid_ros.offboard.training.synthetic.teachers import Recognizer, Teacher, recognizers

#: Steps that count as an epoch: so many stand between two checkpoints.
STEPS = 50
# Made-up people in a step whom the recognition networks see, which takes longest; how often each is
# shown, and how many have the attributes of the same photos.
_SUBJECTS, _LOOKS, _RIVALS = 16, 2, 4
# What the judgements weigh beside the mean square error of repeated photos. For those of the critic
# and of recognition networks, the recipe says it.
_ATTRIBUTES, _LASTING = 2.0, 0.2
# The critic has to keep up.
_CRITIC_RATE = 1e-3
_DECAY = 0.995
# How far the landmarks of a new face may be from those of the photo, which it is aligned by: as
# shares of what the recognition network sees.
_MISALIGNED = 0.02
# Sides, in pixels, at which faces are seen in frames. So the recognition networks see them but for
# one person in so many, who is seen as the faces come.
_SMALLEST, _AS_THEY_COME = 24, 4
# Layers of the encoder behind the attributes.
_TAIL = len(attribute_decoder(1, 1))


class Maker(nn.Module):
    """From attributes and an identity to a face.

    :param tail: from (N, attributes) to (N, D) latents.
    :param decoder: from latents to faces.
    """

    def __init__(self, tail: nn.Sequential, decoder: nn.Sequential) -> None:
        super().__init__()
        self.tail, self.decoder = tail, decoder

    def forward(self, codes: torch.Tensor, identities: torch.Tensor) -> torch.Tensor:
        """Return (N, 1, 64, 64) faces."""
        return self.decoder(self.tail(codes) + identities)


class Emphasis:
    """What new faces are to show of the attributes of photos, as the recipe says.

    What is averaged is drawn to the mean: zero would be something that the decoder hardly knows, so
    that faces fade, and are alike.

    :param codes: (N, attributes) of the photos.
    """

    def __init__(self, recipe: Recipe, codes: torch.Tensor) -> None:
        kept = _factors(recipe, {name: 1 - share for name, share in recipe.averaged.items()})
        self._factors = (kept * _factors(recipe, recipe.emphasis)).to(codes)
        self._offsets = torch.where(kept.to(codes) < 1, (1 - self._factors) * codes.mean(dim=0), 0)
        self._corrections = _factors(recipe, recipe.corrected)

    def of(self, codes: torch.Tensor) -> torch.Tensor:
        """Return (N, attributes) of what is seen in photos."""
        return self._offsets + self._factors * codes

    def fold(self, tail: nn.Sequential) -> None:
        """Let what follows the attributes take them as they are seen, and correct them as well."""
        first = tail[0]
        assert isinstance(first, nn.Linear)
        with torch.no_grad():
            first.weight.mul_(self._corrections.to(first.weight))
            first.bias.add_(first.weight @ self._offsets.to(first.weight))
            first.weight.mul_(self._factors.to(first.weight))


def _factors(recipe: Recipe, by_name: dict[str, float]) -> torch.Tensor:
    """Return (attributes,) factors, 1 where none is named; see `Recipe.columns`."""
    factors = torch.ones(recipe.attribute_count)
    for name, factor in by_name.items():
        factors[recipe.columns(name)] = factor
    return factors


class _Photos:
    """What is known of the training faces.

    :ivar shown: (N, 1, 64, 64); `around` likewise, what is left of them in a frame.
    :ivar codes: (N, attributes); `identities` (N, D), zero where unknown; `alignments` (N, 2, 3).
    :ivar trained: indices of those to learn from.
    """

    def __init__(self, data: TrainingData, attributes: nn.Module, identities: np.ndarray,
                 device: torch.device) -> None:
        shown = views.view(views.planes(data.faces.pixels, color=False), None, 0)
        self.shown = shown.to(device)
        left = framing.surroundings(views.pixels(shown))
        self.around = (torch.from_numpy(left[:, None]).float() / 127.5 - 1).to(device)
        self.codes = torch.from_numpy(encode(attributes, shown, device)).to(device)
        _, numbers = people_with_identity(data.faces.identities, ~data.held_out)
        self.trained = np.flatnonzero(~data.held_out)
        self._of_people = [self.trained[numbers[self.trained] == person]
                           for person in range(len(identities))]
        self.identities = torch.from_numpy(
            np.where((numbers != NOBODY)[:, None], identities[numbers], 0)).to(device)
        self.alignments = alignments_of(landmarks(shown)).to(device)

    def of_people(self, count: int, each: int, random: np.random.Generator) -> np.ndarray:
        """Return (count, each) indices of photos, a row for each person."""
        people = random.choice(len(self._of_people), count, replace=False)
        return np.stack([random.choice(self._of_people[person], each, replace=False)
                         for person in people])

    def any(self, count: int, random: np.random.Generator) -> np.ndarray:
        """Return the indices of so many photos."""
        return random.choice(self.trained, count)


class _Trainer:
    """All that learns, and what it learns from.

    :param people: their identities.
    :param gallery: (M, D) those to tell apart; None where they are made up anew in each step.
    """

    def __init__(self, recipe: Recipe, maker: Maker, attributes: nn.Module, photos: _Photos,
                 people: candidates.Identities, gallery: np.ndarray | None,
                 found: list[Recognizer], device: torch.device) -> None:
        self._device, self._gallery = device, gallery
        self._recipe, self._maker, self._attributes = recipe, maker, attributes
        self._photos, self._people = photos, people
        self.emphasis = Emphasis(recipe, photos.codes[photos.trained])
        self._weights = _factors(recipe, {'pose': recipe.pose}).to(device)
        self._lasting = [UNLABELLED + recipe.attributes.index(name) for name in recipe.lasting]
        has = (photos.codes[:, self._lasting] > 0).cpu().numpy()
        for name, values in zip(recipe.lasting, has[photos.trained].T, strict=True):
            if values.all() or not values.any():
                raise ValueError(f'{recipe.name}: the network of attributes sees {name} in all '
                                 'faces or in none; train it longer, or take it out of lasting')
        self._teachers = [Teacher(recognizer, photos.shown, photos.alignments, has, photos.trained)
                          for recognizer in found]
        self.averaged = AveragedModel(maker, multi_avg_fn=get_ema_multi_avg_fn(_DECAY))
        self._critic = Critic(len(recipe.attributes)).to(device)
        self._optimizer = torch.optim.Adam(maker.parameters(), recipe.learning_rate)
        self._critic_optimizer = torch.optim.Adam(self._critic.parameters(), _CRITIC_RATE,
                                                  betas=(0.0, 0.99))

    @property
    def parts(self) -> dict[str, Stateful]:
        """Return what a later run needs to go on."""
        return {'maker': self._maker, 'averaged': self.averaged, 'critic': self._critic,
                'optimizer': self._optimizer, 'critic optimizer': self._critic_optimizer}

    def step(self, random: np.random.Generator, progress: float) -> dict[str, float]:
        """Learn once, and return what each judgement was.

        :param progress: how much of the training is done, 0…1.
        """
        for group in self._optimizer.param_groups:
            group['lr'] = self._recipe.learning_rate * (0.5 + 0.5 * math.cos(math.pi * progress))
        with torch.autocast(self._device.type, torch.bfloat16,
                            enabled=self._recipe.precision == 'bfloat16'):
            losses = self._losses(random)
        weights = {'attributes': _ATTRIBUTES, 'recognition': self._recipe.recognition,
                   'lasting': _LASTING, 'critic': self._recipe.critic, 'repeating': 1.0}
        self._optimizer.zero_grad()
        torch.stack([weights[name] * loss for name, loss in losses.items()]).sum().backward()
        self._optimizer.step()
        self.averaged.update_parameters(self._maker)
        return {name: loss.item() for name, loss in losses.items()}

    def _losses(self, random: np.random.Generator) -> dict[str, torch.Tensor]:
        photos, tracked = self._photos, _SUBJECTS * _LOOKS
        others = self._recipe.batch_size - tracked
        chosen = photos.of_people(_SUBJECTS // _RIVALS, _LOOKS, random).repeat(_RIVALS, axis=0)
        sources = np.concatenate([chosen.reshape(-1), photos.any(others, random)])
        subjects = np.concatenate([np.arange(_SUBJECTS).repeat(_LOOKS),
                                   _SUBJECTS + np.arange(others)])
        made = torch.from_numpy(self._made_up(_SUBJECTS, others, random)).to(self._device)
        shown, codes = photos.shown[sources], photos.codes[sources]
        alignments = photos.alignments[sources[:tracked]]
        seen_again, alignments = framing.seen_again(shown[:tracked], alignments, _SMALLEST, random)
        shown = torch.cat([seen_again, shown[tracked:]])
        with torch.no_grad():
            codes = torch.cat([self._attributes(seen_again).float(), codes[tracked:]])
            codes = self.emphasis.of(codes)
        faces = self._maker(codes, made[subjects]).float()
        codes = codes.clamp(-1, 1)  # More than that cannot be seen in a face.
        framed = framing.in_frame(faces, shown, photos.around[sources])
        found = self._attributes(faces).float(), self._attributes(jittered(faces, random)).float()
        repeated = photos.any(self._recipe.batch_size, random)
        originals = photos.shown[repeated]
        repetition = self._maker(photos.codes[repeated], photos.identities[repeated])
        # Every other face is judged in a frame, as what it is laid over shows, too.
        originals_framed = framing.in_frame(originals, originals, photos.around[repeated])
        every_other = (torch.arange(len(faces), device=self._device) % 2 == 0)[:, None, None, None]
        seen, natural = (torch.where(every_other, inside, alone)
                         for inside, alone in ((framed, faces), (originals_framed, originals)))
        asked, labels = (each[:, UNLABELLED:] for each in (codes, photos.codes[repeated]))
        recognition, lasting = self._recognized(
            framed[:tracked], faces[:tracked], alignments, subjects[:tracked], sources[:tracked],
            random)
        return {
            'attributes': (self._weights * (found[0] - codes) ** 2).mean() + functional.mse_loss(
                found[1][:, UNLABELLED:], asked),
            'recognition': recognition, 'lasting': lasting,
            'critic': self._criticized(jittered(seen, random), asked, jittered(natural, random),
                                        labels),
            'repeating': functional.mse_loss(repetition.float(), originals)}

    def _made_up(self, subjects: int, others: int, random: np.random.Generator) -> np.ndarray:
        """Return (subjects + others, D) identities, of which the first are all different."""
        if self._gallery is None:
            return candidates.mixed(self._people, subjects + others, random).vectors
        chosen = [random.choice(len(self._gallery), subjects, replace=False),
                  random.choice(len(self._gallery), others)]
        return self._gallery[np.concatenate(chosen)]

    def _recognized(self, framed: torch.Tensor, faces: torch.Tensor, alignments: torch.Tensor,
                    subjects: np.ndarray, sources: np.ndarray, random: np.random.Generator
                    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return what the teachers say of the tracked faces; see `Teacher.judge`."""
        people = torch.from_numpy(subjects // _RIVALS).to(self._device)
        small = framing.at_size(framed, int(random.integers(_SMALLEST, FACE_SIZE, endpoint=True)))
        shown = torch.where((people % _AS_THEY_COME != 0)[:, None, None, None], small, faces)
        error = _MISALIGNED * random.normal(size=tuple(alignments.shape)).astype(np.float32)
        lasting = self.emphasis.of(self._photos.codes[sources]).clamp(-1, 1)[:, self._lasting]
        signs = lasting > 0
        who = Shown(torch.from_numpy(subjects).to(self._device),
                    torch.from_numpy(sources).to(self._device), people,
                    (signs[:, None] == signs[None]).all(dim=2))
        judged = [teacher.judge(shown, alignments + torch.from_numpy(error).to(self._device), who,
                                0.5 + 0.5 * lasting) for teacher in self._teachers]
        recognition, traits = (torch.stack(losses).sum() for losses in zip(*judged, strict=True))
        return recognition, traits

    def _criticized(self, faces: torch.Tensor, of_faces: torch.Tensor, photos: torch.Tensor,
                    of_photos: torch.Tensor) -> torch.Tensor:
        """Teach the critic, and return how little the faces then seem photos to it."""
        error = critic_error(self._critic, photos, of_photos, faces.detach(), of_faces)
        self._critic_optimizer.zero_grad()
        error.backward()
        self._critic_optimizer.step()
        return unnatural(self._critic(faces, of_faces))


def train_contrast(recipe: Recipe, data: TrainingData, runs: Path, *, device: torch.device,
                   until: int | None = None) -> None:
    """Train a chain for synthetic identities; see `stages.train`.

    It starts from a generator, or goes on from another such chain. The run has the encoder and the
    decoder of the chain, and `people.npz` as that of the generator.

    :raises ValueError: there are too few people with two photos or faces in a batch, or all have a
        lasting attribute.
    """
    assert recipe.start is not None
    run = runs / recipe.name
    run.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(recipe.seed)
    encoder = load_run(runs, recipe.start, 'encoder', recipe)
    attributes = encoder[:-_TAIL].requires_grad_(False).to(device)
    maker = Maker(nn.Sequential(*encoder[-_TAIL:].children()),
                  load_run(runs, recipe.start, 'decoder', recipe))
    maker.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    people = candidates.of_people(runs / recipe.start)
    gallery = candidates.of_start(runs, recipe.start).vectors if recipe.gallery else None
    if recipe.batch_size <= _SUBJECTS * _LOOKS:
        raise ValueError(f'{recipe.name}: batch_size {recipe.batch_size} must be above the '
                         f'{_SUBJECTS * _LOOKS} faces of a step that the recognition network sees')
    if len(people.vectors) < _SUBJECTS // _RIVALS:
        raise ValueError(f'{recipe.name} needs {_SUBJECTS // _RIVALS} people with two photos or '
                         f'more, not {len(people.vectors)}')
    if gallery is not None and len(gallery) < _SUBJECTS:
        raise ValueError(f'{recipe.name} needs a gallery of {_SUBJECTS} or more, not '
                         f'{len(gallery)}')
    if recipe.faceres and data.faceres is None:
        raise ValueError(f'{recipe.name} learns from FaceRes, too; give its file by --faceres. '
                         f'To get it: {INSTALL_FACERES}')
    photos = _Photos(data, attributes, people.vectors, device)
    trainer = _Trainer(recipe, maker, attributes, photos, people, gallery,
                       recognizers(data.faceres if recipe.faceres else None, device), device)
    start = restore(run, trainer.parts)
    for epoch in range(start, recipe.epochs if until is None else until):
        random = np.random.default_rng(epoch_seed(recipe.seed, epoch))
        steps = [trainer.step(random, (epoch + step / STEPS) / recipe.epochs)
                 for step in tqdm(range(STEPS), desc=f'{recipe.name} {epoch + 1}/{recipe.epochs}')]
        save(run, trainer.parts, epoch + 1, {
            name: float(np.mean([losses[name] for losses in steps])) for name in steps[0]})
    if until is None:
        made = trainer.averaged.module
        assert isinstance(made, Maker)
        trainer.emphasis.fold(made.tail)
        save_arrays(str(run / f'{PEOPLE}.npz'), {'identities': people.vectors})
        save_module(run / 'encoder.npz', nn.Sequential(*attributes.children(),
                                                       *made.tail.children()))
        save_module(run / 'decoder.npz', made.decoder)
