# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""A recipe: everything that decides what a training gives, from one YAML file."""

from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import yaml

from deid_ros.core.deidentification import networks

STAGES = ('autoencoder', 'encoder', 'deblurrer', 'smoothener', 'attributes', 'generator',
          'contrast')
SHIFTS = ('cluster', 'attribute', 'neighbour', 'cell')
# Stages that give a generator of faces.
_MAKERS = ('generator', 'contrast')
#: How many numbers describe a face without labels: five landmarks, and how light falls on it.
UNLABELLED = 15
_UNLABELLED_COLUMNS = {'pose': range(10), 'light': range(10, UNLABELLED)}


@dataclass(frozen=True)
class Augmentation:
    """Random changes of every face in every view of the data.

    `shift` and `scale` are shares of the face's size, `rotation` is in degrees; each value is drawn
    evenly between plus and minus the limit. `flip` mirrors every other face. What follows is for
    networks of attributes: `light` is the standard deviation of the logarithm of contrast, and of
    brightness in −1…1; of every other face, only the detail is left that it has at `detail` pixels
    a side or more.
    """

    flip: bool = True
    shift: float = 0.0
    scale: float = 0.0
    rotation: float = 0.0
    light: float = 0.0
    detail: int = networks.FACE_SIZE


@dataclass(frozen=True)
class Shift:
    """Where encodings are shifted to (section 3.2): a mode and its parameters, all after the paper.

    `k`: clusters. `n`: samples in an attraction or repulsion set, or which neighbour.
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
    :ivar widths: of the layers of the encoder; of a generator's decoder, see
        `networks.generating_decoder`.
    :ivar base: the recipe whose autoencoder an encoder starts from, or whose attributes a generator
        makes faces of.
    :ivar start: for color networks, the recipe of the same networks for luminance whose weights
        they start with; for contrast, that of a generator, or of contrast, too.
    :ivar attributes: columns of the label file that a network of attributes learns besides what it
        can be shown without labels; COLUMN=WORD where a column holds words.
    :ivar auxiliary: columns that it learns besides and that are left out then: they teach it to
        see.
    :ivar lasting: those of `attributes` that stay with a person, which in the stage contrast are
        also to be told from how a recognition network describes the new faces.
    :ivar emphasis: by attribute, `pose` or `light`, how much more of it new faces show than is seen
        in photos, in the stage contrast: above 1 for what is easily lost, below for what tells too
        much of who it is.
    :ivar averaged: by attribute, `pose` or `light`, how far it is drawn to its mean over all photos
        there, from 0, not at all, to 1, the same for everybody: for what tells too much of who it
        is.
    :ivar corrected: by attribute, `pose` or `light`, a factor of how much of it new faces show, on
        top of the above, when the training has ended.
    :ivar pose: what errors of the pose weigh there, beside those of other attributes.
    :ivar shift: an encoder's targets.
    :ivar blur: largest σ in pixels of the Gaussian blur that a deblurrer learns to undo.
    :ivar critic: what a critic's judgement weighs in the stage contrast; more of it makes faces
        more natural, and lets them look more alike.
    :ivar recognition: what the judgement of each recognition network weighs there.
    :ivar faceres: whether the network FaceRes teaches the stage contrast besides dlib's.
    :ivar gallery: whether the people whom the stage contrast makes up are those of the gallery that
        was built with the recipe it starts from, so that it learns to tell these apart.
    :ivar remixed: whether its own gallery is then made of mixes of those, rather than of them.
    :ivar views: how many epochs use one augmented view of the data (and the targets made of it).
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
    lasting: tuple[str, ...] = ()
    emphasis: dict[str, float] = field(default_factory=dict)
    averaged: dict[str, float] = field(default_factory=dict)
    corrected: dict[str, float] = field(default_factory=dict)
    pose: float = 1.0
    blur: float = 2.0
    critic: float = 0.1
    recognition: float = 0.5
    faceres: bool = False
    gallery: bool = False
    remixed: bool = False
    epochs: int = 60
    views: int = 1
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
        if self.stage == 'contrast' and (self.start is None or not self.lasting):
            raise ValueError('contrast needs the keys start and lasting')
        known = {*self.attributes, *_UNLABELLED_COLUMNS}
        for key, names, allowed in (('lasting', self.lasting, set(self.attributes)),
                                    ('emphasis', self.emphasis, known),
                                    ('averaged', self.averaged, known),
                                    ('corrected', self.corrected, known)):
            if not set(names) <= allowed:
                raise ValueError(f'the key {key} names {", ".join(sorted(set(names) - allowed))}, '
                                 f'which is not among {", ".join(sorted(allowed))}')
        if not all(0 <= share <= 1 for share in self.averaged.values()):
            raise ValueError(f'the key averaged holds shares within 0 and 1, not {self.averaged}')
        for key in ('emphasis', 'averaged', 'corrected', 'pose', 'critic', 'recognition', 'faceres',
                    'gallery'):
            # Defaults are attributes of the class, but for those that are made anew: empty ones.
            if getattr(self, key) != getattr(Recipe, key, {}) and self.stage != 'contrast':
                raise ValueError(f'the key {key} is for contrast')
        if self.remixed and not self.gallery:
            raise ValueError('the key remixed is for recipes with gallery')
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
        """Return how many numbers an attribute network gives."""
        return UNLABELLED + len(self.attributes)

    def columns(self, name: str) -> list[int]:
        """Return which of those numbers are an attribute's, or those of `pose` or `light`."""
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
        if self.stage in _MAKERS:
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
        for key in ('widths', 'attributes', 'auxiliary', 'lasting'):
            values[key] = tuple(values.get(key, ()))
        return Recipe(name=path.stem, **_checked(Recipe, values, path))
    except (TypeError, ValueError) as error:
        raise ValueError(error if str(path) in str(error) else f'{path}: {error}') from error
