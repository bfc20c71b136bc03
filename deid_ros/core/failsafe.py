# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""What becomes of a frame: published, masked or withheld, and why. The only place that decides."""

import traceback
from typing import Any, NamedTuple, Optional, Tuple

from deid_ros.core.errors import AnonymizationError, CodecError, DetectionError
from deid_ros.core.pipeline import AnonymizedFrame, FramePipeline, PipelineSettings, masked_frame
from deid_ros.core.tracking import Tracker

ON_FAILURE = ('drop', 'mask_frame')


class Outcome(NamedTuple):
    """The fate of one frame.

    `status` is `published`, `masked` (every pixel black) or `withheld`; `reason` a short word for
    counters and `detail` a sentence, both empty if published; `frame` is None if withheld.
    """

    status: str
    reason: str
    detail: str
    frame: Optional[AnonymizedFrame]


def process_or_withhold(pipeline: FramePipeline, message: Any, settings: PipelineSettings,
                        on_failure: str = 'drop', tracker: Optional[Tracker] = None) -> Outcome:
    """Run a message through the pipeline; whatever goes wrong, its faces stay hidden. Never raises.

    :param message: a `sensor_msgs/Image` or `sensor_msgs/CompressedImage`; it is not changed.
    :param on_failure: `drop`, or `mask_frame` to get a black frame where the message can be opened.
    :param tracker: of the message's camera; see `FramePipeline.process`.
    """
    try:
        return Outcome('published', '', '', pipeline.process(message, settings, tracker))
    except Exception as error:  # Anything at all: an untreated face may be in there.
        reason, detail = _explain(error)
    if on_failure == 'mask_frame':
        try:
            return Outcome('masked', reason, detail, masked_frame(message, settings.jpeg_quality))
        except Exception as error:
            detail += '; masking failed too: {}'.format(error)
    return Outcome('withheld', reason, detail, None)


def _explain(error: Exception) -> Tuple[str, str]:
    if isinstance(error, CodecError):
        return error.reason, str(error)
    if isinstance(error, DetectionError):
        return 'detector', str(error)
    if isinstance(error, AnonymizationError):
        return 'anonymizer', str(error)
    return 'internal error', ''.join(traceback.format_exception(
        type(error), error, error.__traceback__))
