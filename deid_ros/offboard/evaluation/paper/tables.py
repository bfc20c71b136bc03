# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""The tables of the results: their rows, the method of each row, the paper's figures.

Paper: P. Nousi et al., "Deep autoencoders for attribute preserving face de-identification" (2020).
Values that it does not state (epochs of fine-tuning, α and β of Tables 3, 4 and 7) are those of the
shipped recipes, or fewer epochs, as the notes say.
"""

from dataclasses import dataclass

from deid_ros.offboard.evaluation.paper import baselines
from deid_ros.offboard.evaluation.paper.methods import (
    Ablation,
    Baseline,
    LatentKSame,
    Method,
    ShippedMode,
    Unchanged,
)

_SCORES = ('FCNS', 'DEID', 'DIV')
_ETHNICITY, _MOOD, _MOUTH = 'ethnicity', 'emotion', 'Mouth_Slightly_Open'

#: Epochs of training: few, so that two processor cores can reproduce the tables.
PLAIN_EPOCHS = 12
CLUSTER_EPOCHS = 15
ATTRIBUTE_EPOCHS = 12
CONVOLUTIONAL_EPOCHS = 4


@dataclass(frozen=True)
class Row:
    """A row of a table: its label, its method, and the paper's figures.

    `paper` has a figure, or None, for each measure of the table.
    """

    label: str
    method: Method
    paper: tuple[float | None, ...] = ()


@dataclass(frozen=True)
class Table:
    """A table.

    :ivar name: the number in the paper, or a word for other tables.
    :ivar note: what differs from the paper.
    :ivar measures: the columns that the paper has, too, with its figures in `Row.paper`.
    :ivar people: whether it is measured on one face of each person.
    """

    name: str
    title: str
    note: str
    rows: tuple[Row, ...]
    measures: tuple[str, ...] = _SCORES
    people: bool = False


def _plain(widths: tuple[int, ...], epochs: int = PLAIN_EPOCHS) -> Ablation:
    name = 'fc_' + '_'.join(map(str, widths)) + f'_epochs_{epochs}'
    return Ablation(name, 'fc', {'widths': widths, 'epochs': epochs})


def _attribute(n: int, *attributes: str) -> Ablation:
    name = f'fc_attribute_{n}_' + '_'.join(name[:2].lower() for name in attributes)
    return Ablation(name, 'fc_attribute', {
        'epochs': ATTRIBUTE_EPOCHS, 'epochs_per_view': 6}, {'n': n, 'attributes': attributes})


def _cluster(k: int) -> Ablation:
    return Ablation(f'fc_cluster_{k}', 'fc_cluster', {'epochs': CLUSTER_EPOCHS},
                    {'k': k, 'alpha': 1.0})


def _neighbour(n: int, alpha: float) -> Ablation:
    return Ablation(f'conv_neighbour_{n}_{round(10 * alpha):02}', 'conv_neighbour', {
        'epochs': CONVOLUTIONAL_EPOCHS, 'epochs_per_view': 2}, {'n': n, 'alpha': alpha})


def _cell(n: int) -> Ablation:
    return Ablation(f'conv_cell_{n}', 'conv_cell', {
        'epochs': CONVOLUTIONAL_EPOCHS, 'epochs_per_view': 2, 'color': False, 'base': 'conv_gray'},
        {'n': n, 'alpha': 0.5})


#: K of k-Same.
SAME_K = 10

PAPER_TABLES = (
    Table('1', 'Architecture of the fully connected autoencoder', (
        f'Plain autoencoders without deblurrer and smoothener, {PLAIN_EPOCHS} epochs each.'), (
        Row('2048', _plain((2048,)), (74.53, 85.44, 69.80)),
        Row('1024', _plain((1024,)), (77.23, 84.30, 72.53)),
        Row('512', _plain((512,)), (76.55, 84.74, 70.33)),
        Row('1024-768', _plain((1024, 768)), (73.43, 90.37, 75.94)),
        Row('1024-768-512', _plain((1024, 768, 512)), (74.44, 94.40, 75.94)),
        Row('2048-1024-762-512', _plain((2048, 1024, 762, 512)), (56.62, 97.38, 78.42)),
    )),
    Table('2', 'Epochs of training of the plain autoencoder 1024-768-512', (
        'A 25th of the paper\'s epochs, without deblurrer and smoothener.'), tuple(
        Row(f'{epochs} (ours: {epochs // 25})', _plain((1024, 768, 512), epochs // 25), paper)
        for epochs, paper in ((150, (74.74, 94.00, 66.77)), (200, (74.97, 94.64, 74.51)),
                              (300, (74.46, 93.00, 74.20)), (400, (74.55, 92.64, 75.33))))),
    Table('3', 'Supervised shift, k neighbours', (
        f'{ATTRIBUTE_EPOCHS} epochs of fine-tuning each; α = 0.71 and β = 0.5, which the paper '
        'does not tell.'), (
        Row('No shift', ShippedMode('reconstruct', 'finetuned'), (92.88, 85.22, 59.47)),
        Row('k=10 Ethn', _attribute(10, _ETHNICITY), (96.82, 88.12, 59.27)),
        Row('k=10 Ethn+Mood', _attribute(10, _ETHNICITY, _MOOD), (99.10, 91.88, 48.51)),
        Row('k=10 Ethn+Mood+Mth', _attribute(10, _ETHNICITY, _MOOD, _MOUTH),
            (98.25, 91.87, 43.40)),
        Row('k=20 Ethn+Mood', _attribute(20, _ETHNICITY, _MOOD), (99.76, 92.36, 51.44)),
        Row('k=20 Ethn+Mood+Mth', _attribute(20, _ETHNICITY, _MOOD, _MOUTH),
            (99.85, 92.65, 48.25)),
    )),
    Table('4', 'Order of the supervised shifts, k = 20', (
        f'{ATTRIBUTE_EPOCHS} epochs of fine-tuning each; α and β as in Table 3.'), (
        Row('Ethn+Mood+Mth', _attribute(20, _ETHNICITY, _MOOD, _MOUTH), (99.85, 92.65, 48.25)),
        Row('Ethn+Mth+Mood', _attribute(20, _ETHNICITY, _MOUTH, _MOOD), (99.78, 92.56, 48.96)),
        Row('Mood+Ethn+Mth', _attribute(20, _MOOD, _ETHNICITY, _MOUTH), (99.71, 92.74, 39.60)),
        Row('Mood+Mth+Ethn', _attribute(20, _MOOD, _MOUTH, _ETHNICITY), (99.76, 92.94, 51.28)),
        Row('Mth+Mood+Ethn', _attribute(20, _MOUTH, _MOOD, _ETHNICITY), (99.52, 93.02, 41.08)),
        Row('Mth+Ethn+Mood', _attribute(20, _MOUTH, _ETHNICITY, _MOOD), (99.62, 93.22, 34.00)),
    )),
    Table('5', 'Shift to the k-means centre', (
        f'{CLUSTER_EPOCHS} epochs of fine-tuning each, all the way to the centre (α = 1).'), (
        Row('K=10', _cluster(10), (100, 97.74, 7.42)),
        Row('K=50', _cluster(50), (100, 95.76, 27.37)),
        Row('K=180', _cluster(180), (99.83, 95.10, 44.93)),
        Row('K=300', _cluster(300), (99.53, 94.91, 44.77)),
    )),
    Table('6', 'Shift to the one of n neighbours nearest to the mean (convolutional)', (
        f'{CONVOLUTIONAL_EPOCHS} epochs of fine-tuning each, on LFW alone; the paper adds 10,000 '
        'faces of CelebA.'), (
        Row('α=0.4 n=5', _neighbour(5, 0.4), (98.66, 56.14, 87.87)),
        Row('α=0.4 n=7', _neighbour(7, 0.4), (98.92, 72.46, 78.00)),
        Row('α=0.4 n=9', _neighbour(9, 0.4), (99.51, 91.48, 66.08)),
        Row('α=0.8 n=5', _neighbour(5, 0.8), (98.87, 59.25, 86.75)),
        Row('α=0.8 n=7', _neighbour(7, 0.8), (99.15, 76.43, 76.72)),
        Row('α=0.8 n=9', _neighbour(9, 0.8), (99.80, 93.97, 55.14)),
    )),
    Table('7', 'Shift of each latent cell to its n-th neighbour (convolutional)', (
        f'{CONVOLUTIONAL_EPOCHS} epochs of fine-tuning each, in luminance, on LFW alone; α = 0.5, '
        'which the paper does not tell.'), (
        Row('n=1', _cell(1), (98.04, 59.72, 88.76)),
        Row('n=5', _cell(5), (98.48, 61.29, 84.93)),
        Row('n=10', _cell(10), (98.62, 57.55, 87.43)),
        Row('n=20', _cell(20), (98.15, 65.11, 84.45)),
    )),
    Table('8', 'Anonymity and attributes, one face of each person', (
        'The networks of Table 5, on as many people as the data has; the paper has 200, and names '
        'a rate of about 90 % for the best of the k-Same-M family. k-Same here is the plain one, '
        f'in pixel space, k = {SAME_K}.'), (
        Row('K=10', _cluster(10), (99, 39, 58)),
        Row('K=50', _cluster(50), (99, 81, 55)),
        Row('K=180', _cluster(180), (100, 55, 49)),
        Row('K=300', _cluster(300), (99, 49, 55)),
        Row('k-Same', Baseline(baselines.k_same_pixels, SAME_K), (90, None, None)),
    ), ('DEID', 'ANON', 'ATTR'), people=True),
)


def _paper(table: str, label: str) -> tuple[float | None, ...]:
    return next(row.paper for each in PAPER_TABLES if each.name == table
                for row in each.rows if row.label == label)


METHODS = Table('methods', 'The shipped modes and the alternatives', (
    'The figures of the paper are those of its most similar variant: Table 5, K = 180; Table 3, '
    'k = 20 Ethn+Mood+Mth; Table 6, α = 0.8 n = 9; Table 7, n = 20; Table 3, no shift. It has '
    'nothing like synthetic; beside that row is its best variant for DEID and DIV together. The '
    'network that measures DEID and DIV was used to train the chain of synthetic, so these may '
    'flatter it; see models/README.md.'), (
    Row('synthetic (default)', ShippedMode('synthetic', 'runtime'), _paper('6', 'α=0.8 n=9')),
    Row('cluster at run time', ShippedMode('cluster', 'runtime'), _paper('5', 'K=180')),
    Row('cluster', ShippedMode('cluster'), _paper('5', 'K=180')),
    Row('attribute', ShippedMode('attribute'), _paper('3', 'k=20 Ethn+Mood+Mth')),
    Row('neighbour', ShippedMode('neighbour'), _paper('6', 'α=0.8 n=9')),
    Row('neighbour at run time', ShippedMode('neighbour', 'runtime'), _paper('6', 'α=0.8 n=9')),
    Row('cell', ShippedMode('cell'), _paper('7', 'n=20')),
    Row('cell at run time', ShippedMode('cell', 'runtime'), _paper('7', 'n=20')),
    Row('reconstruct', ShippedMode('reconstruct'), _paper('3', 'No shift')),
    Row('original', Unchanged(), (98.63, None, 99.1)),
    Row('blur, as shipped', Baseline(baselines.shipped, 'blur')),
    Row('blur, σ = 9 px', Baseline(baselines.blur, 9)),
    Row('blur, σ = 5 px', Baseline(baselines.blur, 5)),
    Row('pixelate, as shipped', Baseline(baselines.shipped, 'pixelate')),
    Row('pixelate, 8 squares', Baseline(baselines.pixelate, 8)),
    Row('pixelate, 16 squares', Baseline(baselines.pixelate, 16)),
    Row('mask, as shipped', Baseline(baselines.shipped, 'mask')),
    Row(f'k-Same, k = {SAME_K}', Baseline(baselines.k_same_pixels, SAME_K)),
    Row(f'k-Same of latents, k = {SAME_K}', LatentKSame(SAME_K)),
))

#: All tables of new faces, by name.
TABLES = {table.name: table for table in (METHODS, *PAPER_TABLES)}


@dataclass(frozen=True)
class DetectorRow:
    """A row of the table of detectors.

    `width`: images are shrunk to this width in pixels; 0: never. `threshold`: least score; None for
    the default of each detector.
    """

    detectors: tuple[str, ...]
    width: int = 640
    threshold: float | None = None

    @property
    def label(self) -> str:
        """Return the label of the row."""
        name = ' + '.join(self.detectors)
        size = f', {self.width} px' if self.width else ', full size'
        return name + size + (f', score ≥ {self.threshold:g}' if self.threshold else '')

    @property
    def is_plain(self) -> bool:
        """Tell whether width and threshold are the defaults."""
        return self == DetectorRow(self.detectors)


#: The table of detectors: a missed face is published.
DETECTION = 'detection'
DETECTORS = (
    DetectorRow(('centerface',)),
    *(DetectorRow(('centerface',), threshold=threshold) for threshold in (0.3, 0.5)),
    *(DetectorRow(('centerface',), width) for width in (960, 0)),
    DetectorRow(('centerface', 'libfacedetection')),
    *(DetectorRow((name,)) for name in ('libfacedetection', 'dlib_hog', 'dlib_cnn')),
)

#: Detector for the measure `detection`; not the node's default, nor the one that made the crops.
DOWNSTREAM = 'libfacedetection'

#: Figure 2, latents in two dimensions before and after shifts; see `latent_map`.
LATENTS = 'figure_2'

#: Names of everything that can be measured.
NAMES = (*TABLES, DETECTION, LATENTS)
