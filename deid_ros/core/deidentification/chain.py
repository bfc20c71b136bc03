# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""The chain: encoder (de-identifying) ▶ decoder ▶ deblurrer ▶ smoothener, with its weights.

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


class RuntimeShift(NamedTuple):
    """A shift of plain latents by eq. (11), with centres in the place of the training set.

    `kind` says what a latent is drawn to:
    `cluster`, the nearest of the (K, D) `centres`;
    `neighbour`, that one of the `n` nearest centres that is nearest to the (D,) `mean`;
    `cell`, in each of the 4 cells the `n`-th nearest of that cell's (4, K, D / 4) `centres`.
    """

    kind: str
    n: int
    arrays: Dict[str, np.ndarray]


class Chain(NamedTuple):
    """What a backend runs.

    `name`: mode and way, as in `cluster/runtime`.
    `color`: BGR faces, else luminance. `networks`: encoder, decoder, deblurrer, smoothener.
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


def load_chain(store: ModelStore, shift_mode: str, shift_apply: str = AUTO) -> Chain:
    """Read the chain of one mode.

    :param shift_apply: one of `SHIFT_APPLY`, or `AUTO`.

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
        shift = RuntimeShift(table['kind'], int(table['n']), store.arrays(table['table']))
        names.append(table['table'])
    hashes = {store.entries[name]['file']: store.entries[name]['sha256'] for name in names}
    content = json.dumps([mode['color'], variant, [network.layers for network in networks],
                          list(hashes.values())], sort_keys=True)
    alpha = float(variant.get('alpha', mode['alpha']))
    return Chain(f'{shift_mode}/{shift_apply}', bool(mode['color']), networks, shift, alpha,
                 hashlib.sha256(content.encode()).hexdigest(), hashes)
