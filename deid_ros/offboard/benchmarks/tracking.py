# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
r"""Measure how many faces are treated although the detector misses them; print a Markdown table.

    benchmark_tracking --video street.mp4 --hold-frames 0 4 8 --intervals 1 2 3

The faces that the detector finds in each frame are the reference. Then misses are simulated: in a
share of the frames all faces are missed (`frames`), or each face is missed with that probability
(`faces`). `none` is without misses. `camera` is as `faces`, with a moving camera: a window of two
thirds of the picture is moved over it.

A reference face is treated if at least 90 % of the ellipse in its box lie where some treatment is
opaque, box margin included. *Flicker* counts, in all tracks of the reference, the frames between
the first and the last sight of a face in which it is not treated; where the detector itself missed
it, its box is interpolated, which needs a steady camera. *Extra area* is the treated share of the
picture less that of the reference, *looks* the share of the frames at which the detector looked,
*ms* the tracker's time, to which that for the small copy of each frame (*view*) comes.

With `--recognize`, a second table asks dlib whether held faces are the same persons as before, and
whether they would be if they had been detected; `faces` are blinded. It looks at every second frame
and at faces at least 40 pixels high. On small faces and profiles dlib errs often: compare.
"""

import argparse
import json
import math
import pathlib
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from types import SimpleNamespace
from typing import Any, NamedTuple

import cv2
import numpy as np

from deid_ros.core.compositing import feathered_ellipse
from deid_ros.core.deidentification import AUTOENCODER, make_anonymizer
from deid_ros.core.detection import DETECTORS, Detector, detect_at_width, make_detector
from deid_ros.core.errors import ConfigurationError, DeidError
from deid_ros.core.faces import Box, Face, region_of
from deid_ros.core.image_codec import OpenedImage, open_image
from deid_ros.core.pipeline import FramePipeline, PipelineSettings
from deid_ros.core.tracking import Tracker, View, view_of
from deid_ros.offboard.common.recognition import SAME_PERSON, FaceRecognizer
from deid_ros.offboard.evaluation.report import row
from deid_ros.offboard.recordings.run.bridging import linked
from deid_ros.offboard.recordings.run.frames import FrameDetections

#: Of the ellipse in a face's box, the share that must be hidden.
LEAST_HIDDEN = 0.9
BLINDINGS = ('none', 'frames', 'faces', 'camera')
# A gap in a reference track that is longer than this, in frames, does not count as flicker.
_LONGEST_GAP = 12
_WINDOW = 2 / 3
_RECOGNIZE_EVERY, _RECOGNIZE_HEIGHT, _SAME_FACE_IOU = 2, 40, 0.1


class Observation(NamedTuple):
    """One frame as a tracker gets it: its stamp in seconds, its view, and the detector's faces."""

    seconds: float
    view: View
    faces: list[Face]


class Linked(NamedTuple):
    """The faces to treat in each frame of a sequence, and at how many the detector looked."""

    faces: list[list[Face]]
    looks: int


Linker = Callable[[Sequence[Observation]], Linked]


def live(hold_frames: int, interval: int = 1) -> Linker:
    """Return a linker that works as the node: a tracker, which uses past frames only."""
    def link(sequence: Sequence[Observation]) -> Linked:
        tracker = Tracker()
        treated = []
        looks = 0
        for frame in sequence:
            tracker.advance(frame.seconds, frame.view)
            look = tracker.is_detection_due(interval)
            looks += look
            treated.append(tracker.update(frame.faces if look else None, hold_frames))
        return Linked(treated, looks)
    return link


def bridging(hold_frames: int) -> Linker:
    """Return a linker that works as `anonymize_bag --bridge-gaps`, which uses later frames, too."""
    def link(sequence: Sequence[Observation]) -> Linked:
        seen = [FrameDetections(*frame) for frame in sequence]
        return Linked(linked(seen, hold_frames), len(sequence))
    return link


class Result(NamedTuple):
    """What one linker made of one sequence."""

    faces: int
    treated: int
    #: Of those that the detector did not see after it was blinded.
    missed: int
    missed_treated: int
    #: Frames of tracks, and those of them in which the face was not treated.
    track_frames: int
    flicker: int
    #: Mean share of the picture.
    extra_area: float
    #: Share of the frames at which the detector looked.
    looks: float
    milliseconds: float


def measure(reference: Sequence[Observation], blinded: Sequence[Observation], link: Linker
            ) -> Result:
    """Compare what a linker makes of what a blinded detector saw with what was there."""
    start = time.perf_counter()
    treated, looks = link(blinded)
    milliseconds = 1e3 * (time.perf_counter() - start) / len(blinded)
    margin = PipelineSettings().box_margin
    hidden = [_opaque(frame.view, faces, margin) for frame, faces in zip(reference, treated)]
    plain = [_opaque(frame.view, frame.faces, margin) for frame in reference]
    outcomes = [(_is_hidden(face.box, mask), face.box in [seen.box for seen in after.faces])
                for before, after, mask in zip(reference, blinded, hidden)
                for face in before.faces]
    missed = [is_hidden for is_hidden, is_seen in outcomes if not is_seen]
    places = [_is_hidden(box, hidden[index]) for track in _reference_tracks(reference)
              for index, box in track]
    return Result(len(outcomes), sum(is_hidden for is_hidden, _ in outcomes),
                  len(missed), sum(missed), len(places), len(places) - sum(places),
                  float(np.mean([mask.mean() for mask in hidden])
                        - np.mean([mask.mean() for mask in plain])),
                  looks / len(blinded), milliseconds)


def blind(reference: Sequence[Observation], blinding: str, share: float, seed: int
          ) -> list[Observation]:
    """Return the sequence with faces taken out: all of some frames, or each by itself."""
    random = np.random.default_rng(seed)
    blinded = []
    for frame in reference:
        if blinding == 'none':
            faces = frame.faces
        elif blinding == 'frames':
            faces = [] if random.random() < share else frame.faces
        else:
            faces = [face for face in frame.faces if random.random() >= share]
        blinded.append(frame._replace(faces=faces))
    return blinded


def _opaque(view: View, faces: Sequence[Face], margin: float) -> np.ndarray:
    """Return (H, W) bool: where the treatment lets nothing of the original through."""
    mask = np.zeros((view.height, view.width), bool)
    for face in faces:
        around = face.extent.grown(margin)
        region = region_of(around, view.width, view.height)
        mask[region.slices] |= feathered_ellipse(around, region) >= 1
    return mask


def _is_hidden(box: Box, mask: np.ndarray) -> bool:
    region = region_of(box, mask.shape[1], mask.shape[0])
    own = feathered_ellipse(box, region) > 0
    return not own.any() or bool(mask[region.slices][own].mean() >= LEAST_HIDDEN)


def _reference_tracks(reference: Sequence[Observation]) -> list[list[tuple[int, Box]]]:
    """Return the index and box of each frame of each track, its gaps filled by interpolation."""
    sights: dict[int, list[tuple[int, Box]]] = {}
    for index, faces in enumerate(live(_LONGEST_GAP)(reference).faces):
        for face in faces:
            if not face.held and face.track is not None:
                sights.setdefault(face.track, []).append((index, face.box))
    tracks = []
    for track in sights.values():
        filled = track[:1]
        for (start, first), (end, last) in zip(track, track[1:]):
            for index in range(start + 1, end + 1):
                share = (index - start) / (end - start)
                filled.append((index, Box(*(a + share * (b - a) for a, b in zip(first, last)))))
        tracks.append(filled)
    return tracks


def frames_of(video: pathlib.Path) -> Iterator[tuple[float, np.ndarray]]:
    """Yield the stamp, in seconds, and the picture, (H, W, 3) uint8 BGR, of each frame.

    :raises ConfigurationError: the file holds no frames.
    """
    capture = cv2.VideoCapture(str(video))
    rate = capture.get(cv2.CAP_PROP_FPS) or 25.0
    index = 0
    while True:
        is_there, bgr = capture.read()
        if not is_there:
            break
        yield index / rate, bgr
        index += 1
    if not index:
        raise ConfigurationError(f'--video: {video} holds no frame that OpenCV can read.')


def swung(frames: Iterator[tuple[float, np.ndarray]]) -> Iterator[tuple[float, np.ndarray]]:
    """Yield the frames of a moving camera: a moving part of each."""
    for seconds, bgr in frames:
        height, width = (round(_WINDOW * size) for size in bgr.shape[:2])
        right, down = bgr.shape[1] - width, bgr.shape[0] - height
        x = round(right * (0.5 + 0.5 * math.sin(2 * math.pi * 0.7 * seconds)))
        y = round(down * (0.5 + 0.5 * math.sin(2 * math.pi * 1.1 * seconds)))
        yield seconds, np.ascontiguousarray(bgr[y:y + height, x:x + width])


def recognition(video: pathlib.Path, reference: Sequence[Observation],
                blinded: Sequence[Observation], link: Linker
                ) -> dict[str, list[tuple[float, float]]]:
    """Treat frames of a video with all faces detected, and with some of them held.

    :returns: for each face that was held, by the method that treated it, the distance between its
        dlib descriptors before and after: held, and if it had been detected.
    """
    recognizer = FaceRecognizer()
    pipeline = FramePipeline(Detector(), make_anonymizer(AUTOENCODER), make_anonymizer('blur'))
    distances: dict[str, list[tuple[float, float]]] = {}
    treated = link(blinded).faces
    for index, (_, bgr) in enumerate(frames_of(video)):
        if index % _RECOGNIZE_EVERY or not any(face.held for face in treated[index]):
            continue
        held, detected = (pipeline.treat(_opened(bgr), faces, PipelineSettings())
                          for faces in (treated[index], reference[index].faces))
        for face in reference[index].faces:
            nearest = max(held.faces, key=lambda report: report.box.iou(face.box))
            if (nearest.held and nearest.box.iou(face.box) >= _SAME_FACE_IOU
                    and face.box.height >= _RECOGNIZE_HEIGHT):
                crop = region_of(face.box, bgr.shape[1], bgr.shape[0]).slices
                distances.setdefault(nearest.method, []).append((
                    recognizer.distance(bgr[crop], held.bgr[crop]),
                    recognizer.distance(bgr[crop], detected.bgr[crop])))
    return distances


def _opened(bgr: np.ndarray) -> OpenedImage:
    height, width = bgr.shape[:2]
    return open_image(SimpleNamespace(encoding='bgr8', width=width, height=height, step=3 * width,
                                      is_bigendian=0, data=bgr.tobytes()))



def _summary(blinding: str, results: Sequence[Result]) -> dict[str, Any]:
    """Return the figures of several seeds: sums as shares, and means."""
    total = {name: sum(getattr(result, name) for result in results) for name in Result._fields}
    return {
        'treated': total['treated'] / total['faces'],
        'missed_treated': total['missed_treated'] / total['missed'] if total['missed'] else None,
        'flicker': None if blinding == 'camera' else total['flicker'] / len(results),
        'track_frames': total['track_frames'] / len(results),
        'extra_area': total['extra_area'] / len(results),
        'looks': total['looks'] / len(results),
        'milliseconds': statistics.median(result.milliseconds for result in results),
    }


def _cells(figures: dict[str, Any]) -> list[str]:
    missed, flicker = figures['missed_treated'], figures['flicker']
    return [f'{100 * figures["treated"]:.1f} %', '–' if missed is None else f'{100 * missed:.1f} %',
            '–' if flicker is None else f'{flicker:.0f} of {figures["track_frames"]:.0f}',
            f'{100 * figures["extra_area"]:+.2f} %', f'{100 * figures["looks"]:.0f} %',
            f'{figures["milliseconds"]:.2f}']


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog='benchmark_tracking',
                                     description=str(__doc__).split('\n')[0])
    parser.add_argument('--video', type=pathlib.Path, required=True, help='file to look at')
    parser.add_argument('--detector', choices=sorted(DETECTORS), default='centerface')
    parser.add_argument('--model-path', default='', help='network file of the detector')
    parser.add_argument('--width', type=int, default=640, help='detector.width (default: 640)')
    parser.add_argument('--hold-frames', type=int, nargs='+', default=[0, 4, 8])
    parser.add_argument('--intervals', type=int, nargs='+', default=[2, 3],
                        help='detector.interval, measured with the last of --hold-frames')
    parser.add_argument('--blind', type=float, default=0.2, help='share (default: 0.2)')
    parser.add_argument('--seeds', type=int, default=5, help='runs to average (default: 5)')
    parser.add_argument('--recognize', action='store_true', help='also compare faces with dlib')
    parser.add_argument('--json', type=pathlib.Path, metavar='FILE', help='also write the figures')
    return parser.parse_args(arguments)


def compare(references: dict[str, list[Observation]], linkers: dict[str, Linker], share: float,
            seeds: int) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Yield the blinding, the linker's name and the figures of each linker with each blinding.

    :param references: by blinding.
    """
    for blinding, reference in references.items():
        for name, link in linkers.items():
            yield blinding, name, _summary(blinding, [
                measure(reference, blind(reference, blinding, share, seed), link)
                for seed in range(seeds if blinding != 'none' else 1)])


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit status."""
    options = _options(arguments)
    hold = options.hold_frames[-1]
    linkers = {f'hold {frames}': live(frames) for frames in options.hold_frames}
    linkers[f'bridge gaps, hold {hold}'] = bridging(hold)
    linkers.update((f'hold {hold}, interval {interval}', live(hold, interval))
                   for interval in options.intervals)
    try:
        detector = make_detector(options.detector, options.model_path)

        view_times = []

        def observe(frames: Iterator[tuple[float, np.ndarray]]) -> list[Observation]:
            observations = []
            for seconds, bgr in frames:
                start = time.perf_counter()
                view = view_of(bgr)
                view_times.append(1e3 * (time.perf_counter() - start))
                observations.append(Observation(
                    seconds, view, detect_at_width(detector, bgr, options.width)))
            return observations

        still, moving = observe(frames_of(options.video)), observe(swung(frames_of(options.video)))
    except DeidError as error:
        print(error, file=sys.stderr)
        return 1
    faces = sum(len(frame.faces) for frame in still)
    print(f'{options.video.name}: {len(still)} frames, {faces} faces found by {detector.name}; '
          f'{100 * options.blind:g} % blinded, {options.seeds} seeds; '
          f'view {statistics.median(view_times):.2f} ms.\n')
    columns = ('blinded', 'linked by', 'faces treated', 'of those missed', 'flicker (face-frames)',
               'extra area', 'looks', 'ms / frame')
    print(row(columns), row(['---'] * len(columns)), sep='\n')
    references = {blinding: moving if blinding == 'camera' else still for blinding in BLINDINGS}
    figures = []
    for blinding, name, result in compare(references, linkers, options.blind, options.seeds):
        print(row([blinding, name, *_cells(result)]), flush=True)
        figures.append({'blinded': blinding, 'linker': name, **result})
    distances = {}
    if options.recognize:
        distances = recognition(options.video, still, blind(still, 'faces', options.blind, 0),
                                live(hold))
        print('\n' + row(('held faces treated by', 'faces', 'recognized', 'if detected',
                          'median distance', 'if detected')), row(['---'] * 6), sep='\n')
        for method, pairs in sorted(distances.items()):
            columns_of_it = list(zip(*pairs))
            print(row([method, len(pairs), *(
                f'{100 * statistics.mean(value <= SAME_PERSON for value in column):.0f} %'
                for column in columns_of_it), *(
                f'{statistics.median(column):.2f}' for column in columns_of_it)]))
    if options.json:
        options.json.write_text(json.dumps({
            'video': options.video.name, 'detector': detector.name, 'width': options.width,
            'frames': len(still), 'faces': faces, 'blinded_share': options.blind,
            'seeds': options.seeds, 'results': figures, 'distances_held_and_detected': distances,
        }, indent=2) + '\n', encoding='utf-8')
    return 0


if __name__ == '__main__':
    sys.exit(main())
