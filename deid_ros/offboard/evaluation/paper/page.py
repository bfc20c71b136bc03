# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""`RESULTS.md`: what was measured, in two minutes, made of nothing but the stored figures."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from deid_ros.core.deidentification.weights import ModelStore
from deid_ros.core.resources import models_directory
from deid_ros.offboard.common.identities import KEYS
from deid_ros.offboard.evaluation.measures.catalogue import MEASURES, RECALLS
from deid_ros.offboard.evaluation.measures.figures import Figure
from deid_ros.offboard.evaluation.paper.methods import Shipped
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

Each face is a tight 64×64 crop from {data}, in luminance where the networks take no color, and
replaced by a new one. dlib's networks judge both:

- **FCNS**: the new face is still a face. **DEID**: it is taken for another person than the
  original. **DIV**: two new faces are taken for different people. Each is easy alone: a blur has
  DEID, an original has FCNS and DIV.
- **re-id**: the person is found by the new face in a gallery of originals. **parrot**: the same,
  where the attacker de-identified the gallery with the same tool. *rank-1*: the nearest image is
  of the right person. *TAR*: share of right pairs accepted where 1 % of wrong ones (FAR) are.
  Where new faces depend on a secret, the attacker has another one; both are over {keys} of them.
- **LEAK**: the new face is a real person of the training data. *near*, *rank-1*: one that it was
  made of. *crowd*: anyone, more closely than 95 % of unseen people are to theirs, so 5 % is
  chance.
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

*Up and to the right is better; dark means that few are faces still.*
'''

_PRIVACY_TEXT = '''\
## Privacy

In percent, lower is better but for DEID. In parentheses: what chance gives, where that differs
from row to row. It is {chance} for rank-1 of re-id and parrot, 1 % for TAR, 5 % for LEAK crowd.
`–`: made of no training faces.
'''

_UTILITY_TEXT = '''\
## Utility

In percent, higher is better; but landmarks, in percent of the distance between the eyes, and roll
and yaw, in degrees, are errors: lower is better. A classifier with cross-validation tells smile
and mouth; on the originals it is right in {smile} and {mouth}. *detection*: another detector
({downstream}) finds the new face where it found the original.
'''

_DETECTION_TEXT = '''\
## Detection

A face that is missed is published. Recall in percent by the face's height, of {drawn} faces with
hand-drawn boxes in {images} photos ({photos}). False positives: boxes beyond those in an image,
some of which are faces that nobody drew. Time: milliseconds an image on the machine that
measured, whatever else it did; compare rows.
'''

_RECALL_TEXT = '''\
![Recall by the height of the face]({folder}/{recall})
'''

_TABLES_TEXT = '''\
## The paper's tables

Ours with its 95 % interval, then the paper's. N: our faces, the `COUNT` that each table was
measured with. The data differs ({data} here), and ours are trained for few epochs where a table
trains its own networks, so compare rows within a table first.
'''

_FIGURE_2_TEXT = '''\
### Figure 2: latents in two dimensions (PCA), before and after shifts

![Four scatter plots]({folder}/{figure_2})

*Faces of {training}: women yellow, men blue; young and not white square, white and not young
round. A group has the same gender and the same of the two. Shifts as in Tables 3 and 5, with K =
10.*
'''

_LIMITS = '''\
## Limits

- DEID, DIV, re-id and LEAK are what one recognizer makes of the crop alone. A stronger one, or
  somebody who knows the person, sees more; so do hair, clothes and place around it.
- No face was trained on, but the strengths of the shipped modes were chosen with faces of the
  same set in sight, so their figures are a little too good.
- k-Same needs all faces before it makes the first new one, which a camera cannot give. It
  promises k people where it is given one face of each, as in Table 8; among the alternatives
  above it gets several faces of a person.
- The paper's networks are not public. Ours keep more or less of a face where the paper does not
  tell how they were trained, so the same row can lie elsewhere on the way from DIV to DEID.
'''

_COMMANDS = '''\
## Make it again

```
make results              # all of it: hours on two cores; a run that was stopped goes on
make results TABLE=6      # one of {names}
```

`TEST_DATA`, `TEST_LABELS`, `DATA`, `LABELS`, `CLASSIFIER` and `PHOTOS` name the data, `COUNT` the
number of faces; `ARGS='--sheets FOLDER'` draws new faces of each row beside their originals.
'''


def file_of(folder: Path, name: str) -> Path:
    """Return the file of the figures of a table."""
    return folder / (f'table_{name}.csv' if name.isdigit() else f'{name}.csv')


def stored(folder: Path, name: str) -> Measured:
    """Return the figures of a table as far as they are measured."""
    path = file_of(folder, name)
    return read_csv(path) if path.exists() else {}


def note(folder: Path, **facts: str) -> None:
    """Keep what the figures are of: the names of the data, the hashes of the modes' chains."""
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
    words = _words(folder)
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
    words = _words(folder)
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


def _words(folder: Path) -> dict[str, str]:
    """Return what the texts have places for."""
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
    """Return a figure that is the same for all rows."""
    found = [figures[name].value for figures in measured.values() if name in figures]
    return f'{found[0]:.1f} %' if found else NOT_MEASURED


def _number(measured: Measured, name: str) -> str:
    """Return the N of a figure that has the same for all rows."""
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
    # A bootstrap sample misses a third of the people, so it says little about the least of them.
    return f'{figure.value:.0f}' if figure.unit == MEASURES['ANON'].unit else str(figure)


def _plain(labels: Sequence[str], names: Sequence[str], measured: Measured) -> str:
    """Return a Markdown table of values without intervals."""
    lines = [row(['', *names]), row(['---'] * (1 + len(names)))]
    for label in labels:
        figures = measured.get(label, {})
        lines.append(row([label, *(_value(figures, name) for name in names)]))
    return '\n'.join(lines) + '\n'


def _value(figures: Mapping[str, Figure], name: str) -> str:
    """Return a value, with that of chance in parentheses where each row has its own."""
    if name not in figures:
        return NOT_MEASURED
    chance = figures.get(f'{name} by chance') if name.startswith('LEAK') else None
    return f'{figures[name].value:.1f}' + (f' ({chance.value:.1f})' if chance else '')


def _missing(folder: Path) -> str:
    """Return which rows were not measured as they are now, so that nobody looks for gaps."""
    expected = {name: [each.label for each in table.rows] for name, table in TABLES.items()}
    expected[DETECTION] = [each.label for each in DETECTORS]
    gaps = [f'{name}, {label}: not measured' for name, labels in expected.items()
            for label in labels if label not in stored(folder, name)]
    models = ModelStore(str(models_directory()))
    facts = _facts(folder)
    gaps += [f'{METHODS.name}, {each.label}: measured with networks that are no longer shipped'
             for each in METHODS.rows if isinstance(each.subject, Shipped)
             and facts.get(each.label, '') not in ('', each.subject.chain(models).key)]
    lines = [f'- Table {gap}' for gap in gaps]
    return '\n'.join(['## Gaps\n', *lines, '']) if lines else ''
