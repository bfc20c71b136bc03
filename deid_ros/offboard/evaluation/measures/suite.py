# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""All measures of an anonymizer's new faces. What they need of the originals is computed once."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from deid_ros.core.detection.detector import Detector
from deid_ros.core.errors import ConfigurationError
from deid_ros.core.faces import Face
from deid_ros.offboard.common import face_networks
from deid_ros.offboard.common.datasets import Faces
from deid_ros.offboard.common.store import Store
from deid_ros.offboard.common.training_people import TrainingPeople
from deid_ros.offboard.evaluation.measures import (
    anonymity,
    deidentification,
    expressions,
    leak,
    reidentification,
    utility,
)
from deid_ros.offboard.evaluation.measures.figures import SEED, Figure, share
from deid_ros.offboard.evaluation.measures.other_recognizer import (
    OtherRecognizer,
    figures_by_other_recognizer,
)


@dataclass(frozen=True)
class Originals:
    """Original faces, and what the measures beyond FCNS, DEID and DIV need.

    :param faces: `pixels` are (N, 64, 64) luminance or (N, 64, 64, 3) BGR, as the anonymizer got
        them. `identities` say which faces show one person; one name for all means that this is not
        known.
    :param store: keeps results of dlib's networks.
    :param classifier: for ATTR and gender.
    :param labels: CSV of −1 and 1 by image name, for expressions.
    :param training_people: the people of the training set, for LEAK.
    :param detector: for detection agreement.
    :param recognizer: another recognizer, for the measures `other …`.
    :raises ConfigurationError: there is a recognizer, but the identities are not known.
    """

    faces: Faces
    store: Store | None = None
    classifier: anonymity.AttributeClassifier | None = None
    labels: Path | None = None
    training_people: TrainingPeople | None = None
    detector: Detector | None = None
    recognizer: OtherRecognizer | None = None

    def __post_init__(self) -> None:
        if self.recognizer is not None and not self.people_known:
            raise ConfigurationError('--recognizer needs to know whose face each is, to tell when '
                                     'it takes two for one person; give images in a folder for '
                                     'each person')

    @property
    def people_known(self) -> bool:
        """Tell whether it is known which faces show one person."""
        return len(np.unique(self.faces.identities)) > 1

    @cached_property
    def descriptors(self) -> np.ndarray:
        """Return the (N, 128) descriptors of the originals."""
        return face_networks.descriptors(self.faces.pixels, self.store)

    @cached_property
    def landmarks(self) -> np.ndarray:
        """Return the (N, 5, 2) landmarks of the originals."""
        return face_networks.landmarks(self.faces.pixels, self.store)

    @cached_property
    def other_descriptors(self) -> np.ndarray:
        """Return the (N, D) descriptors that the other recognizer gives for the originals."""
        assert self.recognizer is not None
        return self.recognizer.describe(self.faces.pixels, self.landmarks)

    @cached_property
    def one_per_person(self) -> np.ndarray:
        """Return the indices of one random face of each person; all, if people are not known."""
        if not self.people_known:
            return np.arange(len(self.faces))
        order = np.random.default_rng(SEED).permutation(len(self.faces))
        return np.sort(order[np.unique(self.faces.identities[order], return_index=True)[1]])

    @cached_property
    def to_training_people(self) -> np.ndarray:
        """Return the distances of the originals, see `TrainingPeople.distances`."""
        assert self.training_people is not None
        return self.training_people.distances(self.descriptors)

    @cached_property
    def expressions(self) -> dict[str, expressions.ExpressionClassifier]:
        """Return a classifier trained on the originals for each expression."""
        if self.labels is None:
            return {}
        columns = tuple(expressions.EXPRESSIONS)
        crops = expressions.face_and_mouth(self.faces.pixels, self.landmarks)
        labels = expressions.read_labels(self.labels, self.faces.names, columns)
        return {expressions.EXPRESSIONS[column]: expressions.ExpressionClassifier(
            crops, labels[:, index], self.faces.identities)
            for index, column in enumerate(columns)}

    @cached_property
    def detections(self) -> list[list[Face]]:
        """Return what the detector finds in the originals."""
        assert self.detector is not None
        return utility.crop_detections(self.detector, self.faces.pixels)


def measure(originals: Originals, new_faces: np.ndarray,
            contributors: Iterable[np.ndarray] | None = None,
            with_other_keys: Sequence[np.ndarray] = ()) -> dict[str, Figure]:
    """Return all measures whose inputs are there, by name.

    :param new_faces: shaped like the originals' pixels, in the same order.
    :param contributors: for each new face the training faces that its target is made of, see
        `deid_ros.offboard.evaluation.paper.contributors`; None where there are none.
    :param with_other_keys: new faces made with other keys, where a key decides who gets which new
        face. Re-identification depends on the key most, so it is over all of them.
    """
    described = face_networks.descriptors(new_faces, originals.store)
    figures = {'FCNS': deidentification.fcns(face_networks.detected(new_faces, originals.store)),
               'DEID': deidentification.deid(originals.descriptors, described)}
    if len(new_faces) > 1:
        figures['DIV'] = deidentification.div(described)
    figures['unchanged'] = unchanged(originals.faces.pixels, new_faces)
    with_all_keys = [described, *(face_networks.descriptors(faces, originals.store)
                                  for faces in with_other_keys)]
    figures |= _privacy(originals, with_all_keys, contributors)
    landmarks = face_networks.landmarks(new_faces, originals.store)
    figures |= _utility(originals, new_faces, described, landmarks)
    if originals.recognizer is not None:
        figures |= figures_by_other_recognizer(
            originals.other_descriptors,
            [originals.recognizer.describe(new_faces, landmarks),
             *(originals.recognizer.describe(faces, face_networks.landmarks(
                 faces, originals.store)) for faces in with_other_keys)],
            originals.faces.identities)
    return figures


def unchanged(faces: np.ndarray, new_faces: np.ndarray) -> Figure:
    """Return the share of new faces that are their originals, pixel by pixel, in percent."""
    return share((faces == new_faces).reshape(len(faces), -1).all(axis=1))


def _privacy(originals: Originals, with_all_keys: list[np.ndarray],
             contributors: Iterable[np.ndarray] | None) -> dict[str, Figure]:
    figures = {}
    people, described = originals.faces.identities, with_all_keys[0]
    if len(originals.one_per_person) > 1:
        figures['ANON'] = anonymity.anon(described[originals.one_per_person])
    if originals.people_known and (np.unique(people, return_counts=True)[1] > 1).sum() > 1:
        for prefix, attacks in (
                ('re-id', reidentification.naive(originals.descriptors, with_all_keys)),
                ('parrot', reidentification.parrot(with_all_keys))):
            figures |= reidentification.reidentification(attacks, people, prefix)
    people_of_training = originals.training_people
    if people_of_training is not None:
        to_people = people_of_training.distances(described)
        if contributors is not None:
            figures |= leak.contributor_leak(
                to_people, [people_of_training.codes[each] for each in contributors])
        figures |= leak.crowd_leak(to_people, originals.to_training_people)
    return figures


def _utility(originals: Originals, new_faces: np.ndarray, described: np.ndarray,
             landmarks: np.ndarray) -> dict[str, Figure]:
    figures = {'landmarks': utility.landmark_error(originals.landmarks, landmarks),
               **utility.pose_error(originals.landmarks, landmarks)}
    if originals.classifier is not None:
        before, after = (originals.classifier.has(each, anonymity.ATTRIBUTES)
                         for each in (originals.descriptors, described))
        if after.any():  # Without an attribute in any new face, ATTR is undefined.
            figures['ATTR'] = anonymity.attr(before, after)
        figures['gender'] = share(before[:, 0] == after[:, 0])
    if originals.expressions:
        crops = expressions.face_and_mouth(new_faces, landmarks)
        for name, classifier in originals.expressions.items():
            figures[name] = classifier.agreement(crops)
            figures[f'{name}, originals'] = classifier.on_originals
    if originals.detector is not None and any(originals.detections):
        figures['detection'] = utility.detection_agreement(
            originals.detections, utility.crop_detections(originals.detector, new_faces))
    return figures
