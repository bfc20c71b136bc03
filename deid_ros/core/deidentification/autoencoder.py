# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""The paper's anonymizer: every face becomes another one that the autoencoder chain makes of it."""

import copy
from typing import List, Optional, Sequence

import cv2
import numpy as np

from deid_ros.core.backends import make_backend
from deid_ros.core.backends.options import DEFAULT_OPTIONS, BackendOptions
from deid_ros.core.compositing import Patch, composite
from deid_ros.core.deidentification import alignment
from deid_ros.core.deidentification.alignment import TIGHT, BoxMapping, Square, square_of
from deid_ros.core.deidentification.anonymizer import Anonymizer
from deid_ros.core.deidentification.chain import AUTO, load_chain
from deid_ros.core.deidentification.identities import IdentityChooser
from deid_ros.core.deidentification.networks import FACE_SIZE
from deid_ros.core.deidentification.simple import Blur, blurred
from deid_ros.core.deidentification.weights import ModelStore
from deid_ros.core.faces import Face
from deid_ros.core.resources import models_directory

# A face with less of it inside the image would be completed with its border, which is no face.
_LEAST_INSIDE = 0.85
# A mode that leaves more people recognizable than this, by its measured DEID, comes with a warning.
_LEAST_DEID = 90.0
# A gray model's face keeps the original's colors, without their detail: σ as a share of its side.
_CHROMA_SIGMA = 0.08
#: Blur between the face's box and the grown box: σ as a share of the box's height.
RING_SIGMA = 0.06
# The new face fades into what is around it over this part of its half-width.
_FEATHER = 0.2
# From this much of the new face on, what is below it shows less and less.
_INVENTED = 0.9
# The ellipse in which a face shows its tone, as shares of the square, and where it fades.
_TONE_WIDTH, _TONE_HEIGHT, _TONE_FEATHER = 0.75, 0.9, 0.4


def face_weight() -> np.ndarray:
    """Return (64, 64) float32: how much of the new face is shown in the square, 0 at its border.

    The shape between an ellipse and a square follows cheeks and jaw and leaves out the corners.
    """
    position = _positions()
    radius = (position[:, None] ** 4 + position[None, :] ** 4) ** 0.25
    share = np.clip((1 - radius) / _FEATHER, 0, 1)
    return share * share * (3 - 2 * share)


def _positions() -> np.ndarray:
    """Return (64,) float32: how far each pixel is from the middle, 1 at the square's border."""
    return np.abs((np.arange(FACE_SIZE, dtype=np.float32) + 0.5) * 2 / FACE_SIZE - 1)


def tone_weight() -> np.ndarray:
    """Return (64, 64) float32: how much each pixel counts for the tone of a face.

    Only the middle: hair, collar and background would be matched with skin.
    """
    position = _positions()
    radius = np.sqrt((position[None, :] / _TONE_WIDTH) ** 2
                     + (position[:, None] / _TONE_HEIGHT) ** 2)
    return np.clip((1 - radius) / _TONE_FEATHER, 0, 1)


def _lighter_outside(patch: Patch, bgr: np.ndarray, face: Face) -> Patch:
    """Return the patch with a lighter blur of the frame outside of where the face can be."""
    light = blurred(bgr[patch.region.slices], max(1.0, RING_SIGMA * face.box.height)
                    ).astype(np.float32)
    box = face.extent
    x = (np.arange(patch.region.left, patch.region.right) + 0.5 - box.x) * 2 / box.width - 1
    y = (np.arange(patch.region.top, patch.region.bottom) + 0.5 - box.y) * 2 / box.height - 1
    radius = np.sqrt(np.square(x)[None, :] + np.square(y)[:, None])
    inside = np.clip((1.2 - radius) / 0.4, 0, 1).astype(np.float32)[:, :, None]
    pixels = light + inside * (patch.pixels.astype(np.float32) - light)
    return patch._replace(pixels=np.rint(pixels).astype(np.uint8))


def _weakness(store: ModelStore, name: str) -> str:
    measured = store.measures.get(name, {}).get('DEID')
    if measured is None:
        return 'how well {} hides people was never measured'.format(name)
    if measured[0] < _LEAST_DEID:
        return '{} leaves {:.0f} % of the people recognizable'.format(name, 100 - measured[0])
    return ''


class AutoencoderAnonymizer(Anonymizer):
    """Gives every face a new identity (P. Nousi et al., sections 3 and 4).

    The new face lies over a blur of the whole grown box, so nothing of the original is left where
    the new face does not reach. Inside the detector's box, where the original face is, that blur is
    the anonymizer `blur`; towards the grown box's border, over hair and background, it is a lighter
    one, which keeps the colors in their places and so shows no halo.
    """

    name = 'autoencoder'

    def __init__(self, shift_mode: str = 'synthetic', shift_apply: str = AUTO,
                 backend: str = 'onnxruntime', models: Optional[str] = None,
                 box_mapping: BoxMapping = TIGHT, align: bool = True,
                 backend_options: BackendOptions = DEFAULT_OPTIONS, k: int = 0,
                 key: str = '') -> None:
        """Load the chain.

        :param shift_mode: how identities change: `synthetic`, `cluster`, `attribute`, `neighbour`,
            `cell` or `reconstruct`.
        :param shift_apply: `finetuned`; `runtime`, which allows to change `alpha`; or `auto`, the
            mode's own way.
        :param backend: `onnxruntime`, `torch` or `tensorrt`.
        :param models: folder with `models.json`; None for the one that comes with the package.
        :param box_mapping: of the detector that finds the faces.
        :param align: whether to turn faces upright, where there are landmarks.
        :param backend_options: for the backend.
        :param k: see `load_chain`.
        :param key: of the choice of synthetic identities, see `IdentityChooser`.
        :raises ConfigurationError: when any of it is unknown, missing or damaged.
        """
        store = ModelStore(models or str(models_directory()))
        chain = load_chain(store, shift_mode, shift_apply, k)
        self.weakness = _weakness(store, chain.name)
        self._backend = make_backend(backend, chain, backend_options)
        self._default_alpha = chain.alpha
        self._identities = (IdentityChooser(self._backend.identity_count, key)
                            if self._backend.identity_count else None)
        self.device = self._backend.device
        self.backend = ', '.join(filter(None, (self._backend.name, self._backend.note)))
        self.stands_in = self._backend.stands_in
        self.model_hashes = chain.hashes
        self.box_mapping = box_mapping
        self._align = align
        self._weight, self._tone_weight = face_weight(), tone_weight()
        self._blur = Blur()

    @property
    def alpha(self) -> float:
        """Strength of a shift at run time, 0 (none) to 1 (all the way); see `with_alpha`."""
        return self._backend.alpha

    def with_alpha(self, alpha: Optional[float]) -> 'AutoencoderAnonymizer':
        """See `Anonymizer.with_alpha`."""
        twin = copy.copy(self)
        twin._backend = copy.copy(self._backend)
        twin._backend.alpha = self._default_alpha if alpha is None else alpha
        return twin

    def can_treat(self, face: Face, image_width: int, image_height: int) -> Optional[str]:
        """Return None where a good new face can be made, else why not, in a few words."""
        square = square_of(face, self.box_mapping, self._align)
        if square.share_inside(image_width, image_height) < _LEAST_INSIDE:
            return 'beyond the edge of the image'
        return alignment.misfit(face)

    def anonymize(self, bgr: np.ndarray, faces: Sequence[Face], box_margin: float) -> List[Patch]:
        """See `Anonymizer.anonymize`; all faces go through the chain in one batch."""
        if not faces:
            return []
        squares = [square_of(face, self.box_mapping, self._align) for face in faces]
        originals = [alignment.cut(bgr, square, FACE_SIZE) for square in squares]
        identities = self._identities.choose(faces, originals) if self._identities else None
        new_faces = self._backend.run(np.stack(
            [face if self._backend.color else cv2.cvtColor(face, cv2.COLOR_BGR2GRAY)
             for face in originals]), identities)
        # Where two faces are close, the lighter blur around one must not show the other again.
        hidden = composite(bgr, self._blur.anonymize(bgr, faces, 0.0))
        blurred = [_lighter_outside(patch, hidden, face) for patch, face
                   in zip(self._blur.anonymize(bgr, faces, box_margin), faces)]
        return [self._laid_over(patch, self._toned(new, original), square)
                for patch, new, original, square in zip(blurred, new_faces, originals, squares)]

    def _toned(self, new: np.ndarray, original: np.ndarray) -> np.ndarray:
        """Return the new face in the original's tone and sharpness, (64, 64, 3) float32 BGR.

        :param new: uint8; (64, 64, 3) BGR, or (64, 64) luminance, which gets the original's hues.
        :param original: (64, 64, 3) uint8 BGR.
        """
        if new.ndim == 3:
            return self._matched(new, original)
        old = cv2.cvtColor(original, cv2.COLOR_BGR2YCrCb)
        result = blurred(old, _CHROMA_SIGMA * FACE_SIZE)
        result[:, :, 0] = np.rint(self._matched(new, old[:, :, 0]))
        return cv2.cvtColor(result, cv2.COLOR_YCrCb2BGR).astype(np.float32)

    def _matched(self, new: np.ndarray, original: np.ndarray) -> np.ndarray:
        """Return the new face, float32 in 0…255, as if the same camera had seen it."""
        return alignment.match_tone(alignment.match_detail(new, original, self._tone_weight),
                                    original, self._tone_weight)

    def _laid_over(self, patch: Patch, picture: np.ndarray, square: Square) -> Patch:
        # As one picture of four channels, which is quicker than two.
        laid = alignment.put(np.dstack([picture, self._weight]), square, patch.region)
        new, weight = laid[:, :, :3], laid[:, :, 3].clip(0, 1)  # Cubic interpolation overshoots.
        below = patch.pixels.astype(np.float32)
        pixels = below + weight[:, :, None] * (new - below)
        return Patch(patch.region, np.clip(np.rint(pixels), 0, 255).astype(np.uint8),
                     np.maximum(patch.alpha, weight),
                     np.clip((weight - _INVENTED) / (1 - _INVENTED), 0, 1))
