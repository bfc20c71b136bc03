# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""`evaluate`: FCNS, DEID and DIV of the shipped modes on a set of faces."""

import argparse
import hashlib
import json
from pathlib import Path

import cv2
import numpy as np

from deid_ros.core.backends import BACKENDS, make_backend
from deid_ros.core.deidentification.chain import SHIFT_APPLY, load_chain
from deid_ros.core.deidentification.weights import MODELS_FILE, ModelStore
from deid_ros.core.errors import ConfigurationError
from deid_ros.offboard.datasets import load_faces
from deid_ros.offboard.evaluation import measures

_SEED = 0


def parser() -> argparse.ArgumentParser:
    """Return the command line's parser."""
    result = argparse.ArgumentParser(prog='evaluate', description=str(__doc__).replace('`', ''))
    result.add_argument('--data', type=Path, required=True, help='tar or folder of face images')
    result.add_argument('--models', type=Path, default=Path('models'),
                        help='folder with models.json (default: models)')
    result.add_argument('--modes', nargs='+', metavar='MODE',
                        help='shift modes (default: all that can be applied as asked)')
    result.add_argument('--apply', choices=SHIFT_APPLY, default='finetuned')
    result.add_argument('--alpha', type=float, help='strength of a shift at run time')
    result.add_argument('--backend', choices=BACKENDS, default='onnxruntime')
    result.add_argument('--count', type=int, default=2000,
                        help='faces, drawn with seed 0 (default: 2000)')
    result.add_argument('--cache', type=Path, default=Path.home() / '.cache' / 'deid_ros',
                        help='folder for the cropped faces (default: ~/.cache/deid_ros)')
    result.add_argument('--record', action='store_true',
                        help='write the figures into models.json')
    return result


def main(arguments: list[str] | None = None) -> None:
    """Run the command."""
    command = parser()
    options = command.parse_args(arguments)
    try:
        store = ModelStore(str(options.models))
        modes = options.modes or [name for name, mode in store.modes.items()
                                  if options.apply in mode['apply']]
        chains = {mode: load_chain(store, mode, options.apply) for mode in modes}
        backends = {mode: make_backend(options.backend, chain) for mode, chain in chains.items()}
        faces = load_faces(options.data, options.cache).pixels
    except (ConfigurationError, FileNotFoundError, ValueError) as error:
        command.exit(1, f'evaluate: {error}\n')
    chosen = np.random.default_rng(_SEED).permutation(len(faces))[:options.count]
    color = faces[np.sort(chosen)]
    gray = np.stack([cv2.cvtColor(face, cv2.COLOR_BGR2GRAY) for face in color])
    first, second = measures.random_pairs(len(color))

    for mode, backend in backends.items():
        if options.alpha is not None:
            backend.alpha = options.alpha
        # Compared with what the networks were given: for gray models, the gray original.
        originals = color if backend.color else gray
        new_faces = backend.run(originals)
        found = measures.detected(new_faces)
        described = measures.descriptors(new_faces)
        shares = {
            'FCNS': measures.share(found),
            'DEID': measures.share(measures.differing(
                _originals(originals, options.cache), described)),
            'DIV': measures.share(measures.differing(described[first], described[second])),
        }
        print(f'{mode} ({options.apply}, N={len(color)}): '
              + ' · '.join(f'{name} {value}' for name, value in shares.items()), flush=True)
        if options.record:
            # The key tells later whether the figures are still those of the weights beside them.
            _record(options.models / MODELS_FILE, f'{mode}/{options.apply}', {
                'chain': chains[mode].key, 'data': options.data.name, 'N': len(color),
                'pairs': len(first), 'alpha': backend.alpha,
                **{name: [round(part, 2) for part in (value.percent, value.low, value.high)]
                   for name, value in shares.items()}})


def _originals(faces: np.ndarray, cache: Path) -> np.ndarray:
    """Return the descriptors of original faces, computed once."""
    path = cache / f'descriptors-{hashlib.sha256(faces.tobytes()).hexdigest()[:16]}.npy'
    if not path.exists():
        np.save(path, measures.descriptors(faces))
    return np.load(path, allow_pickle=False)


def _record(path: Path, key: str, figures: dict[str, object]) -> None:
    content = json.loads(path.read_text(encoding='utf-8'))
    content['measures'][key] = figures
    path.write_text(json.dumps(content, indent=1) + '\n', encoding='utf-8')


if __name__ == '__main__':
    main()
