# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""The names of a camera's topics: `/camera/image_raw` in, `/deid/camera/image_raw` out."""

from typing import Dict, List, NamedTuple, Sequence

from deid_ros.core.errors import ConfigurationError

_COMPRESSED = '/compressed'


class CameraTopics(NamedTuple):
    """Full names of all topics that belong to one input."""

    image: str
    is_compressed: bool
    output: str
    #: Where a jpeg of each raw image goes if wanted; empty for a compressed input.
    output_compressed: str
    report: str
    camera_info: str
    output_camera_info: str


def camera_topics(image: str, output_prefix: str) -> CameraTopics:
    """Return the topics that belong to the full topic name `image`."""
    is_compressed = image.endswith(_COMPRESSED)
    base = image[:-len(_COMPRESSED)] if is_compressed else image
    camera_info = base.rsplit('/', 1)[0] + '/camera_info'
    prefix = '/' + output_prefix.strip('/')
    return CameraTopics(
        image=image, is_compressed=is_compressed, output=prefix + image,
        output_compressed='' if is_compressed else prefix + image + _COMPRESSED,
        report=prefix + image + '/report',
        camera_info=camera_info, output_camera_info=prefix + camera_info)


def all_camera_topics(images: Sequence[str], output_prefix: str, publish_compressed: bool
                      ) -> List[CameraTopics]:
    """Return the topics of all cameras.

    :raises ConfigurationError: two inputs share an output, or an input is an output of this node.
    """
    if not images:
        raise ConfigurationError('image_topics is empty; name at least one camera topic')
    if not output_prefix.strip('/'):
        raise ConfigurationError('output_prefix is {!r}; it must be a namespace such as /deid, or '
                                 'the outputs would have the names of the inputs'.format(
                                     output_prefix))
    cameras = [camera_topics(image, output_prefix) for image in images]
    owners: Dict[str, str] = {}
    for camera in cameras:
        outputs = [camera.output]
        if publish_compressed and camera.output_compressed:
            outputs.append(camera.output_compressed)
        for output in outputs:
            if output in owners:
                raise ConfigurationError('image_topics: {} and {} would both be published on {}; '
                                         'remove one, or set publish_compressed to false'.format(
                                             owners[output], camera.image, output))
            owners[output] = camera.image
    for camera in cameras:
        if camera.image in owners:
            raise ConfigurationError('image_topics: {} is an output of this node; remove it, or '
                                     'change output_prefix, which is {!r}'.format(
                                         camera.image, output_prefix))
    return cameras
