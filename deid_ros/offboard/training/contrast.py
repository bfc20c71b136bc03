# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Teach a generator to make one person of an identity, whatever the attributes, and to show these.

A generator that has learned to repeat its training faces blurs them, and lets people who are mixed
of others look alike. So it goes on learning with identities that are made up as those of the
gallery are, each shown with the attributes of two photos of one person, as if that person were
tracked. What comes out of the whole chain is judged by

- dlib's recognition network: new faces of one identity within 0.6, those of others and the photo
  that the attributes are of beyond it, all with a margin;
- the network of attributes, which should find those that were asked for;
- a critic that learns to tell new faces from photos (hinge loss, J. Lim and J. Ye, "Geometric GAN",
  2017);
- and by photos of people, each of which it still has to repeat.

The weights that are kept are an exponential average over the steps: single ones leave the grain of
their learning rate on the skin.
"""

import math
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn import functional
from torch.nn.utils.parametrizations import spectral_norm
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from tqdm import tqdm

from deid_ros.core.deidentification.networks import FACE_SIZE, attribute_decoder
from deid_ros.core.deidentification.weights import save_arrays
from deid_ros.core.recognition import FaceRecognizer, model_file
from deid_ros.offboard.training import candidates, views
from deid_ros.offboard.training.attributes import landmarks
from deid_ros.offboard.training.data import TrainingData
from deid_ros.offboard.training.generator import NOBODY, PEOPLE, people_with_identity
from deid_ros.offboard.training.recipe import Recipe
from deid_ros.offboard.training.recognition_network import RecognitionNetwork, alignments_of
from deid_ros.offboard.training.runs import encode, load_run, save_module
from deid_ros.offboard.training.trainer import Stateful, epoch_seed, restore, save

#: Steps that count as an epoch: so many stand between two checkpoints.
STEPS = 50
# Made-up people in a step, and how often each is shown.
_SUBJECTS, _LOOKS = 16, 2
# Photos of people in a step that the finishing networks repeat, too, which takes them longest.
_FINISHED = 48
# Distances of descriptors: 0.6 with margins.
_SAME, _OTHER = 0.35, 0.95
# What the judgements weigh beside the mean square error of repeated photos; what the critic's
# weighs is said by the recipe.
_ATTRIBUTES, _RECOGNITION = 1.0, 0.3
# The finishing networks are small, and the critic has to keep up.
_FINISH_RATE, _CRITIC_RATE = 1e-3, 4e-4
_DECAY = 0.995
# Width of the blur, in pixels, under which the last layer of the decoder learns.
_SIGMA = 1.0
_FINISH = ('deblurrer', 'smoothener')
# Layers of the encoder behind the attributes.
_TAIL = len(attribute_decoder(1, 1))


class SmoothLinear(nn.Module):
    """A layer that gives images, and learns only what is smooth in them.

    The pixels of such a layer learn each by itself, which looks like noise. What it learns is
    blurred here; being linear, that is the same as a layer with blurred weights.

    :param base: the layer as it is, to (N, 4096) pixels.
    """

    def __init__(self, base: nn.Linear) -> None:
        super().__init__()
        self._base = base.requires_grad_(False)
        self._learned = nn.Linear(base.in_features, base.out_features)
        nn.init.zeros_(self._learned.weight)
        nn.init.zeros_(self._learned.bias)
        reach = math.ceil(3 * _SIGMA)
        line = torch.exp(-torch.arange(-reach, reach + 1).square() / (2 * _SIGMA ** 2))
        self._kernel: torch.Tensor
        self.register_buffer('_kernel', torch.outer(line, line)[None, None] / line.sum() ** 2,
                             persistent=False)

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        """Return (N, 4096) pixels."""
        return self._base(values) + self._blurred(self._learned(values))

    def merged(self) -> nn.Linear:
        """Return one layer that does the same."""
        result = nn.Linear(self._base.in_features, self._base.out_features)
        with torch.no_grad():
            result.weight.copy_(self._base.weight + self._blurred(self._learned.weight.T).T)
            result.bias.copy_(self._base.bias + self._blurred(self._learned.bias[None])[0])
        return result

    def _blurred(self, pixels: torch.Tensor) -> torch.Tensor:
        reach = self._kernel.shape[-1] // 2
        images = functional.pad(pixels.reshape(-1, 1, FACE_SIZE, FACE_SIZE), (reach,) * 4,
                                mode='replicate')
        return functional.conv2d(images, self._kernel).flatten(1)


class Maker(nn.Module):
    """From attributes and an identity to a finished face.

    :param tail: from (N, attributes) to (N, D) latents.
    :param decoder: from latents to faces; its last layer but one gives all pixels.
    :param finish: deblurrer and smoothener.
    """

    def __init__(self, tail: nn.Sequential, decoder: nn.Sequential, finish: nn.Sequential) -> None:
        super().__init__()
        last = decoder[-2]
        assert isinstance(last, nn.Linear)
        self.tail = tail
        self._decoder = nn.Sequential(*decoder[:-2].children(), SmoothLinear(last), decoder[-1])
        self.finish = finish

    def unfinished(self, codes: torch.Tensor, identities: torch.Tensor) -> torch.Tensor:
        """Return (N, 1, 64, 64) faces as the decoder gives them."""
        return self._decoder(self.tail(codes) + identities)

    def forward(self, codes: torch.Tensor, identities: torch.Tensor) -> torch.Tensor:
        """Return (N, 1, 64, 64) faces."""
        return self.finish(self.unfinished(codes, identities))

    def decoder_parameters(self) -> list[nn.Parameter]:
        """Return what the decoder learns."""
        return [each for each in self._decoder.parameters() if each.requires_grad]

    def merged_decoder(self) -> nn.Sequential:
        """Return the decoder with the layers that it is stored with."""
        *layers, smooth, last = self._decoder.children()
        assert isinstance(smooth, SmoothLinear)
        return nn.Sequential(*layers, smooth.merged(), last)


def told_apart(described: torch.Tensor, subjects: torch.Tensor, photos: torch.Tensor
               ) -> torch.Tensor:
    """Return how badly made-up people are told from each other and from people.

    :param described: (N, 128) descriptors of new faces; `subjects` (N,) whose they are.
    :param photos: (N, 128) descriptors of the faces that the attributes are of.
    """
    between = torch.cdist(described, described, compute_mode='donot_use_mm_for_euclid_dist')
    same = subjects[:, None] == subjects[None]
    others = between[~same]
    looks = between[same & ~torch.eye(len(subjects), dtype=torch.bool, device=same.device)]
    to_photos = (described - photos).norm(dim=1)
    return (2 * functional.relu(looks - _SAME).square().mean()
            + 2 * functional.relu(_OTHER - others).square().mean()
            + functional.relu(_OTHER - to_photos).square().mean())


def make_critic() -> nn.Sequential:
    """Return a network that judges patches of (N, 1, 64, 64) faces: above 0, they are photos."""
    layers: list[nn.Module] = []
    for inputs, outputs in ((1, 32), (32, 64), (64, 128)):
        layers += [spectral_norm(nn.Conv2d(inputs, outputs, 4, 2, 1)), nn.LeakyReLU(0.2)]
    critic = nn.Sequential(*layers, spectral_norm(nn.Conv2d(128, 1, 4)))
    return critic.to(memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]


class _Photos:
    """What is known of the training faces.

    :ivar shown: (N, 1, 64, 64); `codes` (N, attributes); `identities` (N, D), zero where unknown;
        `described` (N, 128); `alignments` (N, 2, 3).
    :ivar trained: indices of those to learn from.
    """

    def __init__(self, data: TrainingData, attributes: nn.Module, identities: np.ndarray,
                 recognition: RecognitionNetwork, device: torch.device) -> None:
        shown = views.view(views.planes(data.faces.pixels, color=False), None, 0)
        self.shown = shown.to(device)
        self.codes = torch.from_numpy(encode(attributes, shown, device)).to(device)
        _, numbers = people_with_identity(data.faces.identities, ~data.held_out)
        self.trained = np.flatnonzero(~data.held_out)
        self._of_people = [self.trained[numbers[self.trained] == person]
                           for person in range(len(identities))]
        self.identities = torch.from_numpy(
            np.where((numbers != NOBODY)[:, None], identities[numbers], 0)).to(device)
        self.alignments = alignments_of(landmarks(shown)).to(device)
        with torch.no_grad():
            self.described = torch.cat([
                recognition(*part) for part in tqdm(
                    list(zip(self.shown.split(64), self.alignments.split(64), strict=True)),
                    desc='descriptors', unit='×64')])

    def of_people(self, count: int, each: int, random: np.random.Generator) -> np.ndarray:
        """Return the indices of `each` photos of so many people, one person after the other."""
        people = random.choice(len(self._of_people), count, replace=False)
        return np.concatenate([random.choice(self._of_people[person], each, replace=False)
                               for person in people])


class _Trainer:
    """All that learns, and what it learns from.

    :param identities: (P, D) of people.
    """

    def __init__(self, recipe: Recipe, maker: Maker, attributes: nn.Module, photos: _Photos,
                 identities: np.ndarray, recognition: RecognitionNetwork, device: torch.device
                 ) -> None:
        self._device = device
        self._recipe, self._maker, self._attributes = recipe, maker, attributes
        self._photos, self._identities, self._recognition = photos, identities, recognition
        self.averaged = AveragedModel(maker, multi_avg_fn=get_ema_multi_avg_fn(_DECAY))
        self._critic = make_critic().to(device)
        self._optimizer = torch.optim.Adam([
            {'params': [*maker.tail.parameters(), *maker.decoder_parameters()],
             'rate': recipe.learning_rate},
            {'params': list(maker.finish.parameters()), 'rate': _FINISH_RATE}])
        self._critic_optimizer = torch.optim.Adam(self._critic.parameters(), _CRITIC_RATE,
                                                  betas=(0.5, 0.99))

    @property
    def parts(self) -> dict[str, Stateful]:
        """Return what a later run needs to go on."""
        return {'maker': self._maker, 'averaged': self.averaged, 'critic': self._critic,
                'optimizer': self._optimizer, 'critic optimizer': self._critic_optimizer}

    def step(self, random: np.random.Generator, progress: float) -> float:
        """Learn once, and return the loss.

        :param progress: how much of the training is done, 0…1.
        """
        for group in self._optimizer.param_groups:
            group['lr'] = group['rate'] * (0.5 + 0.5 * math.cos(math.pi * progress))
        repeated = torch.from_numpy(random.choice(self._photos.trained, self._recipe.batch_size))
        faces, loss = self._judged(random)
        loss = loss + self._repeating(repeated) - self._recipe.critic * self._train_critic(
            self._photos.shown[repeated[:len(faces)]], faces)
        self._optimizer.zero_grad()
        loss.backward()
        self._optimizer.step()
        self.averaged.update_parameters(self._maker)
        return loss.item()

    def _judged(self, random: np.random.Generator) -> tuple[torch.Tensor, torch.Tensor]:
        """Return faces of people who are made up, and how they are judged by two networks."""
        made = torch.from_numpy(candidates.made_of(
            self._identities, candidates.trios(len(self._identities), _SUBJECTS, random), random
        )).to(self._device)
        subjects = torch.arange(_SUBJECTS, device=self._device).repeat_interleave(_LOOKS)
        sources = torch.from_numpy(self._photos.of_people(_SUBJECTS, _LOOKS, random))
        codes = self._photos.codes[sources]
        faces = self._maker(codes, made[subjects])
        with torch.autocast(self._device.type, torch.bfloat16,
                            enabled=self._recipe.precision == 'bfloat16'):
            described = self._recognition(faces, self._photos.alignments[sources])
        loss = (_ATTRIBUTES * functional.mse_loss(self._attributes(faces), codes)
                + _RECOGNITION * told_apart(described.float(), subjects,
                                            self._photos.described[sources]))
        return faces, loss

    def _repeating(self, chosen: torch.Tensor) -> torch.Tensor:
        """Return how far photos of people are from what is made of their numbers."""
        shown = self._photos.shown[chosen]
        plain = self._maker.unfinished(self._photos.codes[chosen], self._photos.identities[chosen])
        return functional.mse_loss(plain, shown) + functional.mse_loss(
            self._maker.finish(plain[:_FINISHED]), shown[:_FINISHED])

    def _train_critic(self, photos: torch.Tensor, faces: torch.Tensor) -> torch.Tensor:
        """Teach the critic, and return what it then thinks of the faces."""
        error = (functional.relu(1 - self._critic(photos)).mean()
                 + functional.relu(1 + self._critic(faces.detach())).mean())
        self._critic_optimizer.zero_grad()
        error.backward()
        self._critic_optimizer.step()
        return self._critic(faces).mean()


def train_contrast(recipe: Recipe, data: TrainingData, runs: Path, *, device: torch.device,
                   until: int | None = None) -> None:
    """Train a chain for synthetic identities; see `stages.train`.

    It starts from a generator, or goes on from another such chain. The run has the four networks of
    the chain, and `people.npz` as that of the generator.

    :raises ValueError: there are too few people with two photos.
    """
    assert recipe.start is not None
    run = runs / recipe.name
    run.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(recipe.seed)
    encoder = load_run(runs, recipe.start, 'encoder', recipe)
    # A generator has none of its own yet.
    finish = [layer for role in _FINISH for layer in load_run(
        runs, recipe.start if (runs / recipe.start / f'{role}.npz').exists() else f'{role}_gray',
        role, recipe)]
    attributes = encoder[:-_TAIL].requires_grad_(False).to(device)
    maker = Maker(nn.Sequential(*encoder[-_TAIL:].children()),
                  load_run(runs, recipe.start, 'decoder', recipe), nn.Sequential(*finish))
    maker.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    with np.load(runs / recipe.start / f'{PEOPLE}.npz', allow_pickle=False) as arrays:
        identities = arrays['identities'].astype(np.float32)
    if len(identities) < _SUBJECTS:
        raise ValueError(f'{recipe.name} needs {_SUBJECTS} people with two photos or more, '
                         f'not {len(identities)}')
    recognition = RecognitionNetwork(Path(model_file(FaceRecognizer.NETWORK))).to(device)
    photos = _Photos(data, attributes, identities, recognition, device)
    trainer = _Trainer(recipe, maker, attributes, photos, identities, recognition, device)
    start = restore(run, trainer.parts)
    for epoch in range(start, recipe.epochs if until is None else until):
        random = np.random.default_rng(epoch_seed(recipe.seed, epoch))
        losses = [trainer.step(random, (epoch + step / STEPS) / recipe.epochs)
                  for step in tqdm(range(STEPS), desc=f'{recipe.name} {epoch + 1}/{recipe.epochs}')]
        save(run, trainer.parts, epoch + 1, {'loss': float(np.mean(losses))})
    if until is None:
        made = trainer.averaged.module
        assert isinstance(made, Maker)
        save_arrays(str(run / f'{PEOPLE}.npz'), {'identities': identities})
        save_module(run / 'encoder.npz', nn.Sequential(*attributes.children(),
                                                       *made.tail.children()))
        save_module(run / 'decoder.npz', made.merged_decoder())
        layers = len(recipe.networks()['deblurrer'])
        save_module(run / 'deblurrer.npz', made.finish[:layers])
        save_module(run / 'smoothener.npz', nn.Sequential(*made.finish[layers:].children()))
