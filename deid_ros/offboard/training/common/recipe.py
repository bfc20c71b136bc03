# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""A recipe: all settings of a training, in one YAML file."""

from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import yaml

from deid_ros.core.deidentification import networks

STAGES = ('autoencoder', 'encoder', 'deblurrer', 'smoothener', 'attributes', 'generator',
          'contrast')
SHIFTS = ('cluster', 'attribute', 'neighbour', 'cell')
# Stages that train a generator of faces.
_GENERATOR_STAGES = ('generator', 'contrast')
#: Number of attributes that need no labels: five landmarks (pose), and light.
UNLABELLED = 15
_UNLABELLED_COLUMNS = {'pose': range(10), 'light': range(10, UNLABELLED)}


@dataclass(frozen=True)
class Augmentation:
    """Random changes of faces.

    `shift` and `scale` are shares of the face's size, `rotation` is in degrees; each value is drawn
    evenly between plus and minus the limit. `flip` mirrors every other face. The rest is for
    attribute networks: `light` is the standard deviation of the logarithm of contrast, and of
    brightness in −1…1; every other face is reduced to a side between `detail` pixels and 64.
    """

    flip: bool = True
    shift: float = 0.0
    scale: float = 0.0
    rotation: float = 0.0
    light: float = 0.0
    detail: int = networks.FACE_SIZE


@dataclass(frozen=True)
class Shift:
    """A shift of latents (section 3.2 of the paper): its mode and parameters.

    `k`: number of clusters. `n`: size of attraction and repulsion sets, or number of the neighbour.
    `attributes`: column names of the label file in the order of application.
    """

    mode: str
    alpha: float = 1.0
    beta: float = 0.0
    k: int = 180
    n: int = 20
    attributes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.mode not in SHIFTS:
            raise ValueError(f'shift mode {self.mode!r} is none of {", ".join(SHIFTS)}')
        object.__setattr__(self, 'attributes', tuple(self.attributes))


@dataclass(frozen=True)
class Recipe:
    """How one network, or one encoder and decoder, is trained.

    :ivar stage: one of `STAGES`.
    :ivar family: `fully_connected` or `convolutional`, for autoencoders and their encoders.
    :ivar color: whether the networks take BGR faces, else luminance.
    :ivar widths: of the layers of the encoder; for a generator, those of the decoder, see
        `networks.generating_decoder`.
    :ivar base: for an encoder, the recipe of its autoencoder; for a generator, that of its
        attribute network.
    :ivar start: the recipe whose weights the training starts from. For color networks, the same
        networks for luminance; for the stage contrast, a generator, or another one of that stage.
    :ivar attributes: columns of the label file that an attribute network learns, besides pose and
        light, which need no labels; COLUMN=WORD where a column holds words.
    :ivar auxiliary: further columns that improve its training; their outputs are dropped.
    :ivar soft_biometrics: those of `attributes` that describe the person, as gender. In the stage
        contrast, a classifier on the descriptors of new faces should find them, too.
    :ivar gains: factors of attributes, `pose` or `light` of new faces relative to photos, in the
        stage contrast: above 1 for what gets lost in training, below 1 for what identifies people.
    :ivar averaged: by attribute, `pose` or `light`, how far it is drawn to its mean over all photos
        there: from 0, not at all, to 1, the same for all; for what identifies people.
    :ivar final_gains: factors in addition to the above, applied after the training.
    :ivar pose: weight of errors of the pose there, relative to those of other attributes.
    :ivar shift: an encoder's targets.
    :ivar blur: largest σ in pixels of the Gaussian blur that a deblurrer learns to undo.
    :ivar critic: weight of the adversarial loss in the stage contrast. More of it makes faces more
        natural, and more alike.
    :ivar recognition: weight of the loss of each recognition network there.
    :ivar faceres: whether the stage contrast uses the network FaceRes besides dlib's.
    :ivar gallery: whether the stage contrast trains with the identities of the gallery that was
        built with the recipe it starts from, instead of random mixes.
    :ivar mixed_gallery: whether its own gallery is then built of mixes of those, instead of those.
    :ivar epochs_per_view: for how many epochs the same augmented data and targets are used.
    """

    name: str
    stage: str
    family: str = 'fully_connected'
    color: bool = False
    widths: tuple[int, ...] = ()
    base: str | None = None
    start: str | None = None
    shift: Shift | None = None
    attributes: tuple[str, ...] = ()
    auxiliary: tuple[str, ...] = ()
    soft_biometrics: tuple[str, ...] = ()
    gains: dict[str, float] = field(default_factory=dict)
    averaged: dict[str, float] = field(default_factory=dict)
    final_gains: dict[str, float] = field(default_factory=dict)
    pose: float = 1.0
    blur: float = 2.0
    critic: float = 0.1
    recognition: float = 0.5
    faceres: bool = False
    gallery: bool = False
    mixed_gallery: bool = False
    epochs: int = 60
    epochs_per_view: int = 1
    batch_size: int = 256
    learning_rate: float = 1e-3
    weight_decay: float = 0.0
    seed: int = 1
    precision: str = 'bfloat16'
    augmentation: Augmentation = field(default_factory=Augmentation)

    def __post_init__(self) -> None:
        if self.stage not in STAGES:
            raise ValueError(f'stage {self.stage!r} is none of {", ".join(STAGES)}')
        if self.stage == 'encoder' and (self.base is None or self.shift is None):
            raise ValueError('an encoder needs the keys base and shift')
        if self.stage == 'generator' and self.base is None:
            raise ValueError('a generator needs the key base')
        if self.stage == 'contrast' and (self.start is None or not self.soft_biometrics):
            raise ValueError('contrast needs the keys start and soft_biometrics')
        known = {*self.attributes, *_UNLABELLED_COLUMNS}
        for key, names, allowed in (
                ('soft_biometrics', self.soft_biometrics, set(self.attributes)),
                ('gains', self.gains, known), ('averaged', self.averaged, known),
                ('final_gains', self.final_gains, known)):
            if not set(names) <= allowed:
                raise ValueError(f'the key {key} names {", ".join(sorted(set(names) - allowed))}, '
                                 f'which is not among {", ".join(sorted(allowed))}')
        if not all(0 <= share <= 1 for share in self.averaged.values()):
            raise ValueError(f'the key averaged holds shares within 0 and 1, not {self.averaged}')
        for key in ('gains', 'averaged', 'final_gains', 'pose', 'critic', 'recognition', 'faceres',
                    'gallery'):
            # A field with a default factory is no attribute of the class; here these are empty
            # dicts.
            if getattr(self, key) != getattr(Recipe, key, {}) and self.stage != 'contrast':
                raise ValueError(f'the key {key} is for contrast')
        if self.mixed_gallery and not self.gallery:
            raise ValueError('the key mixed_gallery is for recipes with gallery')
        if self.start is not None and not self.color and self.stage != 'contrast':
            raise ValueError('the key start is for color networks and contrast')
        if self.precision not in ('bfloat16', 'float32'):
            raise ValueError(f'precision {self.precision!r} is neither bfloat16 nor float32')

    @property
    def channels(self) -> int:
        """Return how many channels a face has: 1 (luminance) or 3 (BGR)."""
        return 3 if self.color else 1

    @property
    def attribute_count(self) -> int:
        """Return the number of outputs of an attribute network."""
        return UNLABELLED + len(self.attributes)

    def columns(self, name: str) -> list[int]:
        """Return the indices of the outputs for an attribute, `pose` or `light`."""
        if name in _UNLABELLED_COLUMNS:
            return list(_UNLABELLED_COLUMNS[name])
        return [UNLABELLED + self.attributes.index(name)]

    def networks(self) -> dict[str, networks.Layers]:
        """Return the layers of each network that the recipe trains, by role."""
        if self.stage == 'deblurrer':
            return {'deblurrer': networks.deblurrer(self.channels)}
        if self.stage == 'smoothener':
            return {'smoothener': networks.smoothener(self.channels)}
        if self.stage == 'attributes':
            return {'attributes': networks.attribute_network(self.attribute_count)}
        if self.stage in _GENERATOR_STAGES:
            return {'encoder': networks.attribute_network(self.attribute_count)
                    + networks.attribute_decoder(self.attribute_count, self.widths[0]),
                    'decoder': networks.generating_decoder(self.widths)}
        if self.family == 'fully_connected':
            if self.color:
                raise ValueError('the fully connected autoencoder is for luminance only')
            coders = {'encoder': networks.fully_connected_encoder(self.widths),
                      'decoder': networks.fully_connected_decoder(self.widths)}
        elif self.family == 'convolutional':
            coders = {'encoder': networks.convolutional_encoder(self.channels, self.widths),
                      'decoder': networks.convolutional_decoder(self.channels, self.widths)}
        else:
            raise ValueError(f'family {self.family!r} is neither fully_connected nor convolutional')
        return coders if self.stage == 'autoencoder' else {'encoder': coders['encoder']}


def _checked(kind: type, values: dict[str, Any], path: Path) -> dict[str, Any]:
    unknown = set(values) - {entry.name for entry in fields(kind)}
    if unknown:
        raise ValueError(f'{path}: unknown key {", ".join(sorted(unknown))}')
    return values


def load_recipe(path: Path) -> Recipe:
    """Read a recipe; its name is the file's.

    :raises ValueError: naming the file and the key when something is wrong.
    """
    values = yaml.safe_load(path.read_text(encoding='utf-8'))
    if not isinstance(values, dict):
        raise ValueError(f'{path}: a recipe is a mapping of keys to values')
    try:
        if 'shift' in values:
            values['shift'] = Shift(**_checked(Shift, values['shift'], path))
        if 'augmentation' in values:
            values['augmentation'] = Augmentation(
                **_checked(Augmentation, values['augmentation'], path))
        for key in ('widths', 'attributes', 'auxiliary', 'soft_biometrics'):
            values[key] = tuple(values.get(key, ()))
        return Recipe(name=path.stem, **_checked(Recipe, values, path))
    except (TypeError, ValueError) as error:
        raise ValueError(error if str(path) in str(error) else f'{path}: {error}') from error
