# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""`RESULTS.md`: a page of results, made from the stored figures alone."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from deid_ros.core.deidentification.weights import ModelStore
from deid_ros.core.resources import models_directory
from deid_ros.offboard.common.identities import KEYS
from deid_ros.offboard.evaluation.measures.catalogue import MEASURES, RECALLS
from deid_ros.offboard.evaluation.measures.figures import Figure
from deid_ros.offboard.evaluation.paper.methods import ShippedMode
from deid_ros.offboard.evaluation.paper.tables import (
    DETECTION,
    DETECTORS,
    DOWNSTREAM,
    LATENTS,
    METHODS,
    NAMES,
    PAPER_TABLES,
    TABLES,
    Row,
    Table,
)
from deid_ros.offboard.evaluation.report import NOT_MEASURED, Measured, read_csv, row

TRADE_OFF = 'trade_off.svg'
RECALL = 'recall_by_height.svg'
FIGURE_2 = 'figure_2.svg'
_FACTS = 'facts.json'
_PAGE = 'RESULTS.md'

_PRIVACY = ('DEID', 're-id rank-1', 're-id TAR at FAR 0.01', 'parrot rank-1',
            'parrot TAR at FAR 0.01', 'LEAK near', 'LEAK rank-1', 'LEAK crowd')
_UTILITY = ('FCNS', 'landmarks', 'roll', 'yaw', 'smile', 'mouth open', 'gender', 'ATTR',
            'detection')

RECALL_MEASURES = ('recall', *RECALLS, 'false positives', 'time')

_INTRODUCTION = '''\
# Results

Written by `make results` from the figures in [{folder}/]({folder}), which hold a 95 % bootstrap
interval and N of each; a test compares the two.

Each face is a tight 64×64 crop from {data}, in luminance if the networks take no color. Each is
replaced by a new face. dlib's networks compare the two:

- **FCNS**: a face is detected in the new face. **DEID**: the new face is another person than the
  original. **DIV**: two new faces are different people. Each is easy alone: a blur has DEID, an
  original has FCNS and DIV.
- **re-id**: the new face finds the person in a gallery of originals. **parrot**: the same with a
  gallery that the attacker de-identified with the same tool. *rank-1*: the nearest image shows the
  right person. *TAR*: share of right pairs accepted where 1 % of wrong ones (FAR) are. Where new
  faces depend on a key, the attacker has another one, and figures are over {keys} keys.
- **LEAK**: the new face shows a real person of the training data. *near*, *rank-1*: a person that
  it was made of. *crowd*: any person, at a distance that only 5 % of unseen people have to their
  nearest one; so 5 % is chance.
- **Utility**: what the new face keeps of pose, expression and attributes.

[evaluation.md](evaluation.md) defines each measure. The paper is P. Nousi et al., "Deep
autoencoders for attribute preserving face de-identification" (2020), which took 10,000 faces of
CelebA.
'''

_HEADLINE = '''\
## The shipped modes beside the paper

In percent, higher is better. {note}
'''

_TRADE_OFF_TEXT = '''\
![DIV over DEID, FCNS as shade]({folder}/{trade_off})

*Up and to the right is better; dark: few new faces are still detected as faces.*
'''

_PRIVACY_TEXT = '''\
## Privacy

In percent; lower is better, except for DEID. In parentheses: the chance level, if it differs
between rows. It is {chance} for rank-1 of re-id and parrot, 1 % for TAR, 5 % for LEAK crowd.
`–`: made of no training faces.
'''

_UTILITY_TEXT = '''\
## Utility

In percent; higher is better. Landmarks (in percent of the distance between the eyes), roll and yaw
(in degrees) are errors: lower is better. Smile and mouth are measured by a classifier with
cross-validation, which is right for {smile} and {mouth} of the originals. *detection*: another
detector ({downstream}) finds the new face where it found the original.
'''

_DETECTION_TEXT = '''\
## Detection

A face that is missed is published. Recall is in percent, by the face's height, of {drawn} faces
with hand-drawn boxes in {images} photos ({photos}). False positives: other boxes in an image; some
are faces without a drawn box. Time: milliseconds for an image, on a machine with other load, so
compare rows only.
'''

_RECALL_TEXT = '''\
![Recall by the height of the face]({folder}/{recall})
'''

_TABLES_TEXT = '''\
## The paper's tables

Our figure with its 95 % interval, then the paper's. N: the number of our faces, the `COUNT` of each
table. The data differs ({data} here). Networks that a table trains are trained for few epochs. So
compare rows within a table first.
'''

_FIGURE_2_TEXT = '''\
### Figure 2: latents in two dimensions (PCA), before and after shifts

![Four scatter plots]({folder}/{figure_2})

*Faces of {training}: women yellow, men blue; young and not white: squares, white and not young:
circles. Each of the four combinations is a group. Shifts as in Tables 3 and 5, with K = 10.*
'''

_LIMITS = '''\
## Limits

- DEID, DIV, re-id and LEAK are those of one recognizer on the crop alone. A stronger recognizer,
  or a human who knows the person, recognizes more. So do hair, clothes and place around the face.
- No face here was trained on. But the strengths of the shipped modes were chosen by faces of the
  same set, so their figures are a little too good.
- k-Same needs all faces before it makes the first new one, which is impossible with a camera. It
  guarantees k people if it gets one face of each, as in Table 8; in the comparison above it gets
  several faces of a person.
- The paper's networks are not public, and it does not state all details of their training. Ours
  may keep more or less of a face, which moves a row between DIV and DEID.
'''

_COMMANDS = '''\
## Make it again

```
make results              # all: hours on two cores; a run that was stopped continues
make results TABLE=6      # one of {names}
```

`TEST_DATA`, `TEST_LABELS`, `DATA`, `LABELS`, `CLASSIFIER` and `PHOTOS` are the data, `COUNT` is the
number of faces. `ARGS='--sheets FOLDER'` also draws new faces of each row beside their originals.
'''


def file_of(folder: Path, name: str) -> Path:
    """Return the file of the figures of a table."""
    return folder / (f'table_{name}.csv' if name.isdigit() else f'{name}.csv')


def stored(folder: Path, name: str) -> Measured:
    """Return the figures of a table that were measured so far."""
    path = file_of(folder, name)
    return read_csv(path) if path.exists() else {}


def record_facts(folder: Path, **facts: str) -> None:
    """Store what the figures are of: names of the data, hashes of the modes' chains."""
    path = folder / _FACTS
    known = _facts(folder) if path.exists() else {}
    path.write_text(json.dumps({**known, **facts}, indent=1, sort_keys=True) + '\n',
                    encoding='utf-8')


def _facts(folder: Path) -> dict[str, str]:
    facts: dict[str, str] = json.loads((folder / _FACTS).read_text(encoding='utf-8'))
    return facts


def write(folder: Path) -> None:
    """Write the page beside the folder of the stored figures."""
    (folder.parent / _PAGE).write_text(page(folder), encoding='utf-8')


def page(folder: Path) -> str:
    """Return the page of the figures in a folder; it links to the plots there."""
    words = _placeholders(folder)
    return '\n'.join((
        _INTRODUCTION.format_map(words),
        section(folder, METHODS.name),
        section(folder, DETECTION),
        _TABLES_TEXT.format_map(words),
        *(section(folder, table.name) for table in PAPER_TABLES),
        section(folder, LATENTS),
        _LIMITS,
        _missing(folder),
        _COMMANDS.format_map(words),
    ))


def section(folder: Path, name: str) -> str:
    """Return the part of the page about one table."""
    words = _placeholders(folder)
    if name == LATENTS:
        return _FIGURE_2_TEXT.format_map(words)
    measured = stored(folder, name)
    if name == METHODS.name:
        labels = [each.label for each in METHODS.rows]
        return '\n'.join((
            _HEADLINE.format_map(words),
            _compared(METHODS, [each for each in METHODS.rows if each.paper], measured),
            _TRADE_OFF_TEXT.format_map(words),
            _PRIVACY_TEXT.format_map(words), _plain(labels, _PRIVACY, measured),
            _UTILITY_TEXT.format_map(words), _plain(labels, _UTILITY, measured)))
    if name == DETECTION:
        return '\n'.join((
            _DETECTION_TEXT.format_map(words),
            _plain([each.label for each in DETECTORS], RECALL_MEASURES, measured),
            _RECALL_TEXT.format_map(words)))
    table = TABLES[name]
    return '\n'.join((f'### Table {name}: {table.title}\n', f'{table.note}\n',
                      _compared(table, table.rows, measured)))


def _placeholders(folder: Path) -> dict[str, str]:
    """Return the values of the placeholders in the texts."""
    methods, detectors = stored(folder, METHODS.name), stored(folder, DETECTION)
    return {
        'photos': NOT_MEASURED, **_facts(folder),
        'folder': folder.name, 'keys': str(KEYS), 'note': METHODS.note, 'names': ', '.join(NAMES),
        'downstream': DOWNSTREAM, 'trade_off': TRADE_OFF, 'recall': RECALL, 'figure_2': FIGURE_2,
        'chance': _percent(methods, 're-id rank-1 by chance'),
        'smile': _percent(methods, 'smile, originals'),
        'mouth': _percent(methods, 'mouth open, originals'),
        'drawn': _number(detectors, 'recall'), 'images': _number(detectors, 'time'),
    }


def _percent(measured: Measured, name: str) -> str:
    """Return a figure that all rows share."""
    found = [figures[name].value for figures in measured.values() if name in figures]
    return f'{found[0]:.1f} %' if found else NOT_MEASURED


def _number(measured: Measured, name: str) -> str:
    """Return the N of a figure, which all rows share."""
    found = [figures[name].count for figures in measured.values() if name in figures]
    return str(found[0]) if found else NOT_MEASURED


def _compared(table: Table, rows: Sequence[Row], measured: Measured) -> str:
    """Return a Markdown table with the paper's figure beside each of ours."""
    lines = [row(['', *(cell for name in table.measures for cell in (name, 'paper')), 'N']),
             row(['---'] * (2 + 2 * len(table.measures)))]
    for each in rows:
        figures = measured.get(each.label, {})
        cells: list[str] = []
        for index, name in enumerate(table.measures):
            cells.append(_with_interval(figures.get(name)))
            paper = each.paper[index] if each.paper else None
            cells.append(NOT_MEASURED if paper is None else f'{paper:g}')
        count = str(figures['DEID'].count) if 'DEID' in figures else NOT_MEASURED
        lines.append(row([each.label, *cells, count]))
    return '\n'.join(lines) + '\n'


def _with_interval(figure: Figure | None) -> str:
    if figure is None:
        return NOT_MEASURED
    # ANON is a minimum. Bootstrap samples miss a third of the people, so its interval says little.
    return f'{figure.value:.0f}' if figure.unit == MEASURES['ANON'].unit else str(figure)


def _plain(labels: Sequence[str], names: Sequence[str], measured: Measured) -> str:
    """Return a Markdown table of values without intervals."""
    lines = [row(['', *names]), row(['---'] * (1 + len(names)))]
    for label in labels:
        figures = measured.get(label, {})
        lines.append(row([label, *(_value(figures, name) for name in names)]))
    return '\n'.join(lines) + '\n'


def _value(figures: Mapping[str, Figure], name: str) -> str:
    """Return a value, with its chance level in parentheses if that differs between rows."""
    if name not in figures:
        return NOT_MEASURED
    chance = figures.get(f'{name} by chance') if name.startswith('LEAK') else None
    return f'{figures[name].value:.1f}' + (f' ({chance.value:.1f})' if chance else '')


def _missing(folder: Path) -> str:
    """Return a list of the rows that were not measured, or not with the shipped networks."""
    expected = {name: [each.label for each in table.rows] for name, table in TABLES.items()}
    expected[DETECTION] = [each.label for each in DETECTORS]
    gaps = [f'{name}, {label}: not measured' for name, labels in expected.items()
            for label in labels if label not in stored(folder, name)]
    models = ModelStore(str(models_directory()))
    facts = _facts(folder)
    gaps += [f'{METHODS.name}, {each.label}: measured with networks that are no longer shipped'
             for each in METHODS.rows if isinstance(each.method, ShippedMode)
             and facts.get(each.label, '') not in ('', each.method.chain(models).key)]
    lines = [f'- Table {gap}' for gap in gaps]
    return '\n'.join(['## Gaps\n', *lines, '']) if lines else ''
