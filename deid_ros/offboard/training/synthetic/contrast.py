# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Train a generator with synthetic identities: contrastive, adversarial and attribute losses.

A generator that only reconstructs its training faces blurs them, and mixed identities look alike.
So it is trained further, with identities that are made in the same way as those of the gallery.

- Recognition: some identities are rendered with the attributes of two photos of one person, as if
  that person were tracked. Recognition networks describe these faces, most of them composited into
  a frame. Faces of one identity should be one person. Faces of two identities should be two people,
  even with the attributes of the same photos. No face should be the person of the photo.
- Soft biometrics: gender and the like, estimated from the same descriptors, should be those asked
  for.
- Attributes: the attribute network should find those that were asked for.
- Critic: a conditional discriminator should take the faces for photos, both alone and in frames.
- Reconstruction: photos of people should still be reconstructed.

The final weights are an exponential moving average over the steps, as single steps leave noise in
the faces.
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
from deid_ros.offboard.training.common import augmentation, compositing
from deid_ros.offboard.training.common.data import TrainingData
from deid_ros.offboard.training.common.recipe import UNLABELLED, Recipe
from deid_ros.offboard.training.common.runs import encode, load_run, save_module
from deid_ros.offboard.training.common.trainer import Stateful, epoch_seed, restore, save
from deid_ros.offboard.training.synthetic import candidates
from deid_ros.offboard.training.synthetic.attributes import landmarks
from deid_ros.offboard.training.synthetic.critic import (
    Critic,
    adversarial_loss,
    critic_loss,
    jittered,
)
from deid_ros.offboard.training.synthetic.faceres import INSTALL_FACERES
from deid_ros.offboard.training.synthetic.generator import (
    NO_IDENTITY,
    PEOPLE,
    people_with_identity,
)
from deid_ros.offboard.training.synthetic.losses import BatchLabels
from deid_ros.offboard.training.synthetic.recognition_network import alignments_of
from deid_ros.offboard.training.synthetic.teachers import Recognizer, Teacher, recognizers

#: Steps in an epoch. A checkpoint follows each epoch.
STEPS = 50
# In each step, the recognition networks get this many identities, which takes most of the time;
# each with this many faces. This many identities have the attributes of the same photos.
_IDENTITIES, _FACES_EACH, _IDENTITIES_PER_PERSON = 16, 2, 4
# Weights of losses relative to that of reconstruction. Those of the critic and of recognition are
# in the recipe.
_ATTRIBUTES, _SOFT_BIOMETRICS = 2.0, 0.2
# Learning rate of the critic.
_CRITIC_RATE = 1e-3
# Of the exponential moving average of the weights.
_DECAY = 0.995
# Standard deviation of the jitter of alignments, as a share of the recognition network's input. New
# faces are aligned by the landmarks of the photo, which differ from their own.
_ALIGNMENT_JITTER = 0.02
# Least side in pixels of faces that are composited into frames.
_SMALLEST = 24
# Recognition networks get the faces of every fourth person as they are, and all others in frames.
_ALONE = 4
# Layers of the encoder behind the attributes.
_TAIL = len(attribute_decoder(1, 1))


class ConditionalGenerator(nn.Module):
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


class AttributeGains:
    """The attributes that new faces should show, given those of photos; see `Recipe`.

    What is averaged is drawn to the mean, not to zero: faces of attributes near zero are rare in
    the training data, so the decoder would make them pale and alike.

    :param codes: (N, attributes) of the photos.
    """

    def __init__(self, recipe: Recipe, codes: torch.Tensor) -> None:
        kept = _factors(recipe, {name: 1 - share for name, share in recipe.averaged.items()})
        self._factors = (kept * _factors(recipe, recipe.gains)).to(codes)
        self._offsets = torch.where(kept.to(codes) < 1, (1 - self._factors) * codes.mean(dim=0), 0)
        self._final = _factors(recipe, recipe.final_gains)

    def apply(self, codes: torch.Tensor) -> torch.Tensor:
        """Return the (N, attributes) of new faces for those of photos."""
        return self._offsets + self._factors * codes

    def fold(self, tail: nn.Sequential) -> None:
        """Put all gains, including the final ones, into the weights of the layer behind."""
        first = tail[0]
        assert isinstance(first, nn.Linear)
        with torch.no_grad():
            first.weight.mul_(self._final.to(first.weight))
            first.bias.add_(first.weight @ self._offsets.to(first.weight))
            first.weight.mul_(self._factors.to(first.weight))


def _factors(recipe: Recipe, by_name: dict[str, float]) -> torch.Tensor:
    """Return (attributes,) factors; 1 for those that are not named. See `Recipe.columns`."""
    factors = torch.ones(recipe.attribute_count)
    for name, factor in by_name.items():
        factors[recipe.columns(name)] = factor
    return factors


class _TrainingPhotos:
    """The training photos, and what is computed from them once.

    :ivar faces: (N, 1, 64, 64).
    :ivar backgrounds: (N, 1, 64, 64), what is left of them in a frame behind a new face.
    :ivar codes: (N, attributes).
    :ivar identities: (N, D), zero where unknown.
    :ivar alignments: (N, 2, 3).
    :ivar trained: indices of the photos to train on.
    """

    def __init__(self, data: TrainingData, attributes: nn.Module, identities: np.ndarray,
                 device: torch.device) -> None:
        faces = augmentation.view(augmentation.planes(data.faces.pixels, color=False), None, 0)
        self.faces = faces.to(device)
        blurred = compositing.backgrounds(augmentation.pixels(faces))
        self.backgrounds = (torch.from_numpy(blurred[:, None]).float() / 127.5 - 1).to(device)
        self.codes = torch.from_numpy(encode(attributes, faces, device)).to(device)
        _, numbers = people_with_identity(data.faces.identities, ~data.held_out)
        self.trained = np.flatnonzero(~data.held_out)
        self._of_people = [self.trained[numbers[self.trained] == person]
                           for person in range(len(identities))]
        self.identities = torch.from_numpy(
            np.where((numbers != NO_IDENTITY)[:, None], identities[numbers], 0)).to(device)
        self.alignments = alignments_of(landmarks(faces)).to(device)

    def of_people(self, count: int, each: int, random: np.random.Generator) -> np.ndarray:
        """Return (count, each) indices of random photos, a row for each person."""
        people = random.choice(len(self._of_people), count, replace=False)
        return np.stack([random.choice(self._of_people[person], each, replace=False)
                         for person in people])

    def any(self, count: int, random: np.random.Generator) -> np.ndarray:
        """Return the indices of random photos."""
        return random.choice(self.trained, count)


class _Trainer:
    """The networks that are trained, their optimizers and losses.

    :param people: the identities of people, from which new ones are mixed.
    :param gallery: (M, D) identities to train with; None to mix new ones in each step.
    """

    def __init__(self, recipe: Recipe, generator: ConditionalGenerator, attributes: nn.Module,
                 photos: _TrainingPhotos, people: candidates.Identities,
                 gallery: np.ndarray | None, found: list[Recognizer], device: torch.device
                 ) -> None:
        self._device, self._gallery = device, gallery
        self._recipe, self._generator, self._attributes = recipe, generator, attributes
        self._photos, self._people = photos, people
        self.gains = AttributeGains(recipe, photos.codes[photos.trained])
        self._weights = _factors(recipe, {'pose': recipe.pose}).to(device)
        self._soft_biometrics = [UNLABELLED + recipe.attributes.index(name)
                                 for name in recipe.soft_biometrics]
        has = (photos.codes[:, self._soft_biometrics] > 0).cpu().numpy()
        for name, values in zip(recipe.soft_biometrics, has[photos.trained].T, strict=True):
            if values.all() or not values.any():
                raise ValueError(f'{recipe.name}: the attribute network finds {name} in all faces '
                                 'or in none; train it longer, or take it out of '
                                 'soft_biometrics')
        self._teachers = [Teacher(recognizer, photos.faces, photos.alignments, has, photos.trained)
                          for recognizer in found]
        self.averaged = AveragedModel(generator, multi_avg_fn=get_ema_multi_avg_fn(_DECAY))
        self._critic = Critic(len(recipe.attributes)).to(device)
        self._optimizer = torch.optim.Adam(generator.parameters(), recipe.learning_rate)
        self._critic_optimizer = torch.optim.Adam(self._critic.parameters(), _CRITIC_RATE,
                                                  betas=(0.0, 0.99))

    @property
    def parts(self) -> dict[str, Stateful]:
        """Return the state of a checkpoint."""
        return {'generator': self._generator, 'averaged': self.averaged, 'critic': self._critic,
                'optimizer': self._optimizer, 'critic optimizer': self._critic_optimizer}

    def step(self, random: np.random.Generator, progress: float) -> dict[str, float]:
        """Do a step of the optimizers, and return the losses.

        :param progress: how much of the training is done, 0…1.
        """
        for group in self._optimizer.param_groups:
            group['lr'] = self._recipe.learning_rate * (0.5 + 0.5 * math.cos(math.pi * progress))
        with torch.autocast(self._device.type, torch.bfloat16,
                            enabled=self._recipe.precision == 'bfloat16'):
            losses = self._losses(random)
        weights = {'attributes': _ATTRIBUTES, 'recognition': self._recipe.recognition,
                   'soft_biometrics': _SOFT_BIOMETRICS, 'critic': self._recipe.critic,
                   'reconstruction': 1.0}
        self._optimizer.zero_grad()
        torch.stack([weights[name] * loss for name, loss in losses.items()]).sum().backward()
        self._optimizer.step()
        self.averaged.update_parameters(self._generator)
        return {name: loss.item() for name, loss in losses.items()}

    def _losses(self, random: np.random.Generator) -> dict[str, torch.Tensor]:
        photos, tracked = self._photos, _IDENTITIES * _FACES_EACH
        others = self._recipe.batch_size - tracked
        chosen = photos.of_people(_IDENTITIES // _IDENTITIES_PER_PERSON, _FACES_EACH, random
                                  ).repeat(_IDENTITIES_PER_PERSON, axis=0)
        sources = np.concatenate([chosen.reshape(-1), photos.any(others, random)])
        numbers = np.concatenate([np.arange(_IDENTITIES).repeat(_FACES_EACH),
                                  _IDENTITIES + np.arange(others)])
        identities = torch.from_numpy(self._sampled_identities(_IDENTITIES, others, random)
                                      ).to(self._device)
        originals, codes = photos.faces[sources], photos.codes[sources]
        jittered_boxes, alignments = compositing.with_box_jitter(
            originals[:tracked], photos.alignments[sources[:tracked]], _SMALLEST, random)
        originals = torch.cat([jittered_boxes, originals[tracked:]])
        with torch.no_grad():
            codes = torch.cat([self._attributes(jittered_boxes).float(), codes[tracked:]])
            codes = self.gains.apply(codes)
        faces = self._generator(codes, identities[numbers]).float()
        codes = codes.clamp(-1, 1)  # The attribute network cannot give more.
        framed = compositing.in_frame(faces, originals, photos.backgrounds[sources])
        found = self._attributes(faces).float(), self._attributes(jittered(faces, random)).float()
        repeated = photos.any(self._recipe.batch_size, random)
        real = photos.faces[repeated]
        reconstructed = self._generator(photos.codes[repeated], photos.identities[repeated])
        # The critic gets every other face in a frame.
        real_framed = compositing.in_frame(real, real, photos.backgrounds[repeated])
        every_other = (torch.arange(len(faces), device=self._device) % 2 == 0)[:, None, None, None]
        fake_input, real_input = (torch.where(every_other, inside, alone) for inside, alone
                                  in ((framed, faces), (real_framed, real)))
        asked, labels = (each[:, UNLABELLED:] for each in (codes, photos.codes[repeated]))
        recognition, soft_biometrics = self._recognition_losses(
            framed[:tracked], faces[:tracked], alignments, numbers[:tracked], sources[:tracked],
            random)
        return {
            'attributes': (self._weights * (found[0] - codes) ** 2).mean() + functional.mse_loss(
                found[1][:, UNLABELLED:], asked),
            'recognition': recognition, 'soft_biometrics': soft_biometrics,
            'critic': self._train_critic(jittered(fake_input, random), asked,
                                         jittered(real_input, random), labels),
            'reconstruction': functional.mse_loss(reconstructed.float(), real)}

    def _sampled_identities(self, distinct: int, others: int, random: np.random.Generator
                            ) -> np.ndarray:
        """Return (distinct + others, D) identities, of which the first ones all differ."""
        if self._gallery is None:
            return candidates.mixed(self._people, distinct + others, random).vectors
        chosen = [random.choice(len(self._gallery), distinct, replace=False),
                  random.choice(len(self._gallery), others)]
        return self._gallery[np.concatenate(chosen)]

    def _recognition_losses(self, framed: torch.Tensor, faces: torch.Tensor,
                            alignments: torch.Tensor, identities: np.ndarray, sources: np.ndarray,
                            random: np.random.Generator) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the sums of the losses of all teachers; see `Teacher.losses`."""
        people = torch.from_numpy(identities // _IDENTITIES_PER_PERSON).to(self._device)
        small = compositing.at_size(framed, int(random.integers(_SMALLEST, FACE_SIZE,
                                                                endpoint=True)))
        inputs = torch.where((people % _ALONE != 0)[:, None, None, None], small, faces)
        jitter = _ALIGNMENT_JITTER * random.normal(size=tuple(alignments.shape)).astype(np.float32)
        asked = self.gains.apply(self._photos.codes[sources]).clamp(-1, 1)[
            :, self._soft_biometrics]
        signs = asked > 0
        labels = BatchLabels(torch.from_numpy(identities).to(self._device),
                             torch.from_numpy(sources).to(self._device), people,
                             (signs[:, None] == signs[None]).all(dim=2))
        losses = [teacher.losses(inputs, alignments + torch.from_numpy(jitter).to(self._device),
                                 labels, 0.5 + 0.5 * asked) for teacher in self._teachers]
        recognition, soft_biometrics = (torch.stack(each).sum()
                                        for each in zip(*losses, strict=True))
        return recognition, soft_biometrics

    def _train_critic(self, faces: torch.Tensor, of_faces: torch.Tensor, photos: torch.Tensor,
                      of_photos: torch.Tensor) -> torch.Tensor:
        """Do a step of the critic's optimizer, and return the adversarial loss of the faces."""
        loss = critic_loss(self._critic, photos, of_photos, faces.detach(), of_faces)
        self._critic_optimizer.zero_grad()
        loss.backward()
        self._critic_optimizer.step()
        return adversarial_loss(self._critic(faces, of_faces))


def train_contrast(recipe: Recipe, data: TrainingData, runs: Path, *, device: torch.device,
                   until: int | None = None) -> None:
    """Train a chain for synthetic identities; see `stages.train`.

    It starts from a generator, or from another such chain. The run has the encoder and the decoder
    of the chain, and `people.npz` as that of the generator.

    :raises ValueError: there are too few people with two photos or too few faces in a batch, or the
        photos all agree in a soft biometric.
    """
    assert recipe.start is not None
    run = runs / recipe.name
    run.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(recipe.seed)
    encoder = load_run(runs, recipe.start, 'encoder', recipe)
    attributes = encoder[:-_TAIL].requires_grad_(False).to(device)
    generator = ConditionalGenerator(
        nn.Sequential(*encoder[-_TAIL:].children()),
        load_run(runs, recipe.start, 'decoder', recipe))
    generator.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    people = candidates.of_people(runs / recipe.start)
    gallery = candidates.of_start(runs, recipe.start).vectors if recipe.gallery else None
    if recipe.batch_size <= _IDENTITIES * _FACES_EACH:
        raise ValueError(f'{recipe.name}: batch_size {recipe.batch_size} must be above the '
                         f'{_IDENTITIES * _FACES_EACH} faces that recognition networks get')
    least_people = _IDENTITIES // _IDENTITIES_PER_PERSON
    if len(people.vectors) < least_people:
        raise ValueError(f'{recipe.name} needs {least_people} people with two photos or more, not '
                         f'{len(people.vectors)}')
    if gallery is not None and len(gallery) < _IDENTITIES:
        raise ValueError(f'{recipe.name} needs a gallery of {_IDENTITIES} or more, not '
                         f'{len(gallery)}')
    if recipe.faceres and data.faceres is None:
        raise ValueError(f'{recipe.name} needs FaceRes, too; give its file by --faceres. '
                         f'To get it: {INSTALL_FACERES}')
    photos = _TrainingPhotos(data, attributes, people.vectors, device)
    trainer = _Trainer(recipe, generator, attributes, photos, people, gallery,
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
        assert isinstance(made, ConditionalGenerator)
        trainer.gains.fold(made.tail)
        save_arrays(str(run / f'{PEOPLE}.npz'), {'identities': people.vectors})
        save_module(run / 'encoder.npz', nn.Sequential(*attributes.children(),
                                                       *made.tail.children()))
        save_module(run / 'decoder.npz', made.decoder)
