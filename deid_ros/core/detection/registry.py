# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Face detectors by name. Each imports its own packages only when it is made."""

from typing import Callable, Dict, Sequence, Union

from deid_ros.core.detection.centerface import CenterFace
from deid_ros.core.detection.centerface_int8 import CenterFaceInt8
from deid_ros.core.detection.detector import Detector
from deid_ros.core.detection.dlib_cnn import DlibCnn
from deid_ros.core.detection.dlib_hog import DlibHog
from deid_ros.core.detection.ensemble import Ensemble
from deid_ros.core.detection.libfacedetection import LibFaceDetection
from deid_ros.core.detection.yunet import YuNet
from deid_ros.core.errors import ConfigurationError

#: The values that the parameters `detector.type` and `detector.ensemble` may have.
DETECTORS: Dict[str, Callable[..., Detector]] = {
    'centerface': CenterFace,
    'centerface_int8': CenterFaceInt8,
    'yunet': YuNet,
    'libfacedetection': LibFaceDetection,
    'dlib_cnn': DlibCnn,
    'dlib_hog': DlibHog,
}

#: The detectors that take `model_path`: those that cannot do without one first.
_WITH_MODEL_PATH = ('yunet', 'centerface', 'centerface_int8', 'dlib_cnn')


def make_detector(names: Union[str, Sequence[str]], model_path: str = '') -> Detector:
    """Return the detector of that name, or one that unites the boxes of several.

    :param names: one of `DETECTORS`, or several of them.
    :param model_path: the network file of the one detector that needs it (`yunet`), else of the
        one that can take another than its own (such as `centerface`); '' where none is meant.
    :raises ConfigurationError: a name is unknown or given twice, no named detector takes
        `model_path`, or a package or file is missing; the message says what to do.
    """
    chosen = [names] if isinstance(names, str) else list(names)
    for name in chosen:
        if name not in DETECTORS:
            raise ConfigurationError('There is no detector {!r}. Allowed: {}.'.format(
                name, ', '.join(DETECTORS)))
    if not chosen or len(set(chosen)) != len(chosen):
        raise ConfigurationError('The detectors are {}. Name at least one of {}, each once.'.format(
            chosen, ', '.join(DETECTORS)))
    owner = next((name for name in _WITH_MODEL_PATH if name in chosen), None)
    if model_path and owner is None:
        raise ConfigurationError('detector.model_path is {!r}, but {} takes no network file. '
                                 'Leave it empty.'.format(model_path, ' + '.join(chosen)))
    detectors = [DETECTORS[name](model_path) if name == owner else DETECTORS[name]()
                 for name in chosen]
    return detectors[0] if len(detectors) == 1 else Ensemble(detectors)
