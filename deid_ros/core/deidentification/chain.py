# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""The chain: encoder (de-identifying) ▶ decoder ▶ deblurrer ▶ smoothener, with its weights.

That of synthetic identities ends with its decoder, which draws finished faces.

There are two ways to de-identify. `finetuned`, the paper's: an encoder trained to give the shifted
latent itself. `runtime`: the plain encoder, whose latent is then shifted with a small table; there
alpha can be changed from one frame to the next.
"""

import hashlib
import json
from typing import Dict, List, NamedTuple, Optional

import numpy as np

from deid_ros.core.deidentification.weights import ModelStore, Network
from deid_ros.core.errors import ConfigurationError

SHIFT_APPLY = ('finetuned', 'runtime')
#: The way that `models.json` names as the mode's own.
AUTO = 'auto'
#: The kind of shift that gives every face one of a gallery of synthetic identities.
SYNTHETIC = 'synthetic'


class RuntimeShift(NamedTuple):
    """A shift of plain latents by eq. (11), with centres in the place of the training set.

    `kind` says what a latent is drawn to:
    `cluster`, the nearest of the (K, D) `centres`;
    `neighbour`, that one of the `n` nearest centres that is nearest to the (D,) `mean`;
    `cell`, in each of the 4 cells the `n`-th nearest of that cell's (4, K, D / 4) `centres`;
    `synthetic`, x + g, with g that one of the (M, D) `identities` which was chosen for the face.
    There, the encoder tells nothing of a face but its pose, expression and the like, and with
    (K, D) `centres` x becomes the nearest of them first.
    """

    kind: str
    n: int
    arrays: Dict[str, np.ndarray]

    @property
    def identities(self) -> Optional[np.ndarray]:
        """Return the (M, D) float32 synthetic identities; None where faces are not given any."""
        return self.arrays['identities'] if self.kind == SYNTHETIC else None

    @property
    def control_size(self) -> int:
        """Return D of the (N, D) offsets α g that steer the shift, or 0 where α itself does."""
        return self.arrays['identities'].shape[1] if self.kind == SYNTHETIC else 0


class Chain(NamedTuple):
    """What a backend runs.

    `name`: mode and way, as in `cluster/runtime`.
    `color`: BGR faces, else luminance. `networks`: encoder, decoder and, for some, deblurrer and
    smoothener.
    `shift`: between encoder and decoder, with `alpha` as its default strength; None where the
    encoder shifts by itself. `key`: a hash of all of it, for files derived from the chain.
    `hashes`: SHA-256 of each file of weights in use, by file name.
    """

    name: str
    color: bool
    networks: List[Network]
    shift: Optional[RuntimeShift]
    alpha: float
    key: str
    hashes: Dict[str, str]


def load_chain(store: ModelStore, shift_mode: str, shift_apply: str = AUTO, k: int = 0) -> Chain:
    """Read the chain of one mode.

    :param shift_apply: one of `SHIFT_APPLY`, or `AUTO`.
    :param k: for synthetic identities, how many people at least must look the same to the chain,
        see `_indistinguishable`; 0: not asked for.
    :raises ConfigurationError: when the mode is unknown (the message lists the known ones), cannot
        be applied in the asked way, or its weights are not the ones they should be.
    """
    if shift_apply not in SHIFT_APPLY + (AUTO,):
        raise ConfigurationError(
            f'shift_apply {shift_apply!r} is none of {", ".join((AUTO,) + SHIFT_APPLY)}')
    if shift_mode not in store.modes:
        raise ConfigurationError(
            f'shift_mode {shift_mode!r} is none of {", ".join(sorted(store.modes))}')
    mode = store.modes[shift_mode]
    if shift_apply == AUTO:
        shift_apply = mode.get('auto', 'finetuned')
    variant = mode['apply'].get(shift_apply)
    if variant is None:
        raise ConfigurationError(
            f'shift_mode {shift_mode!r} cannot be applied as {shift_apply!r}, '
            f'only as {", ".join(sorted(mode["apply"]))}')
    names = [variant['encoder']] + mode['networks']
    networks = [store.network(name) for name in names]
    shift = None
    if 'shift' in variant:
        table = variant['shift']
        arrays = store.arrays(table['table'])
        if table['kind'] == SYNTHETIC:
            arrays = _indistinguishable(arrays, k)
        shift = RuntimeShift(table['kind'], int(table['n']), arrays)
        names.append(table['table'])
    if k and (shift is None or shift.kind != SYNTHETIC):
        raise ConfigurationError(
            f'deid.k is {k}, but shift_mode {shift_mode!r} has no synthetic identities; use the '
            f'shift_mode {SYNTHETIC!r}, or k = 0')
    hashes = {store.entries[name]['file']: store.entries[name]['sha256'] for name in names}
    content = json.dumps([mode['color'], variant, [network.layers for network in networks],
                          list(hashes.values())] + ([k] if k else []), sort_keys=True)
    alpha = float(variant.get('alpha', mode['alpha']))
    return Chain(f'{shift_mode}/{shift_apply}', bool(mode['color']), networks, shift, alpha,
                 hashlib.sha256(content.encode()).hexdigest(), hashes)


def measures_key(chain: Chain, alpha: float) -> str:
    """Return where `models.json` keeps what was measured of a chain at a strength."""
    return chain.name if alpha == chain.alpha else f'{chain.name}, alpha {alpha:g}'


def _indistinguishable(arrays: Dict[str, np.ndarray], k: int) -> Dict[str, np.ndarray]:
    """Return the identities of a gallery and, where `k` is above 0, the centres for it.

    A gallery holds centres for several k, as `centres_K`: each of them is the nearest one to faces
    of K training people at least.

    :raises ConfigurationError: there are none for a k as large.
    """
    chosen = {'identities': arrays['identities']}
    if k:
        levels = sorted(int(name.split('_')[1]) for name in arrays if name.startswith('centres_'))
        level = next((level for level in levels if level >= k), None)
        if level is None:
            raise ConfigurationError(
                f'deid.k is {k}; this gallery goes up to {max(levels, default=0)}')
        chosen['centres'] = arrays[f'centres_{level}']
    return chosen
