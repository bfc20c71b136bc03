# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""All measures: the name, the unit and a one-line meaning of each."""

from typing import NamedTuple

from deid_ros.offboard.common.training_people import CLOSE_QUANTILE
from deid_ros.offboard.evaluation.measures.other_recognizer import FALSE_ACCEPT_RATE
from deid_ros.offboard.evaluation.measures.reidentification import FALSE_ACCEPT_RATES


class Measure(NamedTuple):
    """A measure.

    `unit`: see `Figure`. `better`: the better direction, `↑` or `↓`; empty for figures that are
    there for comparison. `is_share`: whether it is a part of a whole, 0…100 %.
    """

    unit: str
    better: str
    meaning: str
    is_share: bool = True


def _attacks(prefix: str, attack: str) -> dict[str, Measure]:
    return {
        f'{prefix} rank-1': Measure('%', '↓', f'{attack}: nearest in the gallery is the same '
                                    'person'),
        f'{prefix} rank-1 by chance': Measure('%', '', 'the same for an image at random'),
        **{f'{prefix} TAR at FAR {rate:g}': Measure(
            '%', '↓', f'{attack}: pairs of one person accepted where {100 * rate:g} % of other '
            'pairs are (which is chance)') for rate in FALSE_ACCEPT_RATES},
    }


#: Recall by the face's height: names of the measures, and heights in pixels, at least the first
#: and below the second.
RECALLS = {'recall 0-16 px': (0, 16), 'recall 16-32 px': (16, 32), 'recall 32-64 px': (32, 64),
           'recall 64 px up': (64, 1 << 30)}

#: Visible faces that are treated, by the height of the head.
TREATED = {'treated 10-14 px': (10, 14), 'treated 14-20 px': (14, 20), 'treated 20-30 px': (20, 30),
           'treated 30 px up': (30, 1 << 30)}

_DISTANCE = ('', '', 'distance to the nearest training identity', False)

#: In the order of tables.
MEASURES: dict[str, Measure] = {
    'FCNS': Measure('%', '↑', 'a neural detector finds a face in the new face'),
    'DEID': Measure('%', '↑', 'further than 0.6 from its own original'),
    'DIV': Measure('%', '↑', 'pairs of new faces further than 0.6 apart'),
    'unchanged': Measure('%', '↓', 'new faces that are the originals, pixel by pixel'),
    'ANON': Measure('faces', '↑', 'least number of new faces that are alike', False),
    'ATTR': Measure('%', '↑', 'right ones among the attributes that new faces seem to have'),
    'LEAK near': Measure('%', '↓', 'within 0.6 of somebody the new face was made of'),
    'LEAK near by chance': Measure('%', '', 'the same for as many training identities at random'),
    'LEAK rank-1': Measure('%', '↓', 'nearest training identity is one it was made of'),
    'LEAK rank-1 by chance': Measure('%', '', 'the same for a training identity at random'),
    'LEAK crowd': Measure('%', '↓', 'nearer to a training identity than '
                          f'{100 * (1 - CLOSE_QUANTILE):g} % of unseen people are '
                          f'({100 * CLOSE_QUANTILE:g} % by chance)'),
    'LEAK crowd: unseen people, 1 % quantile': Measure(*_DISTANCE),
    'LEAK crowd: unseen people, 5 % quantile': Measure(*_DISTANCE),
    'LEAK crowd: unseen people, 50 % quantile': Measure(*_DISTANCE),
    **_attacks('re-id', 'gallery of originals'),
    **_attacks('parrot', 'gallery de-identified, too'),
    'other matched': Measure('%', '', 'another recognizer: pairs of one person accepted, among '
                             f'originals, where {100 * FALSE_ACCEPT_RATE:g} % of other pairs are'),
    'other DEID': Measure('%', '↑', 'another recognizer: not accepted as its own original'),
    'other DIV': Measure('%', '↑', 'another recognizer: pairs of new faces not accepted'),
    **_attacks('other re-id', 'another recognizer, gallery of originals'),
    'landmarks': Measure('%', '↓', 'shift of 5 landmarks, of the distance between the eyes', False),
    'roll': Measure('°', '↓', 'turn of the head in the image plane', False),
    'yaw': Measure('°', '↓', 'turn of the head to the side', False),
    'smile': Measure('%', '↑', 'smiles or not as labelled'),
    'smile, originals': Measure('%', '', 'the same for the originals'),
    'mouth open': Measure('%', '↑', 'mouth open or not as labelled'),
    'mouth open, originals': Measure('%', '', 'the same for the originals'),
    'gender': Measure('%', '↑', 'gender seems the same as in the original'),
    'detection': Measure('%', '↑', 'faces that another detector still finds in their place'),
    'same in the next frame': Measure('%', '↑', 'new faces of a track that are one person in '
                                      'two frames in a row'),
    'another in another run': Measure('%', '↑', 'faces that are another person in another run'),
    'two people in a frame, originals': Measure(
        '%', '', 'pairs of original faces in one frame that are two people to the recognition '
        'network'),
    'outside exact': Measure('%', '↑', 'frames without any change outside of the faces'),
    'outside PSNR': Measure('dB', '↑', 'of what lies outside of the faces', False),
    'outside SSIM': Measure('', '↑', 'of what lies outside of the faces', False),
    'recall': Measure('%', '↑', 'drawn faces that are found'),
    **{name: Measure('%', '↑', 'the same, of faces of that height') for name in RECALLS},
    'false positives': Measure('', '↓', 'boxes in an image that meet no drawn face', False),
    'treated': Measure('%', '↑', 'frames in which a visible face is treated'),
    **{name: Measure('%', '↑', 'the same, of heads of that height') for name in TREATED},
    'beyond heads': Measure('%', '↓', 'share of the picture that is treated, but lies in no head'),
    'time': Measure('ms', '↓', 'for an image, median', False),
    'matched': Measure('%', '↑', 'pairs of one person within 0.6'),
}


def key(name: str) -> str:
    """Return a measure's name as it is compared: in small letters, words joined by `-`."""
    return '-'.join(name.casefold().replace(',', ' ').replace(':', ' ').replace('_', ' ')
                    .replace('-', ' ').split())
