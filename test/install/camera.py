# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Stands for `ros2 launch deid_ros uav.launch.py image_topics:=…` in a workspace: sees it publish.

Starts the installed program, configures and activates it, shows it a face, and waits for the image
and its report.
"""

import json
import pathlib
import sys
from array import array

import cv2
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import Image
from std_msgs.msg import String

import deid_ros
from deid_ros.core.deidentification.calibration_faces import calibration_faces
from deid_ros.offboard.common.node_process import running
from deid_ros.offboard.common.ros_session import bring_up, spinning_node

TOPIC = '/front/image_raw'


def picture() -> Image:
    """Return a gray room with a synthetic face in it."""
    face = cv2.resize(calibration_faces(True)[0], (128, 128), interpolation=cv2.INTER_CUBIC)
    # Small enough for the shared memory of Fast DDS with the settings that it comes with.
    bgr = cv2.copyMakeBorder(face, 56, 56, 96, 96, cv2.BORDER_CONSTANT, value=(90, 90, 90))
    message = Image(height=bgr.shape[0], width=bgr.shape[1], encoding='bgr8', step=3 * bgr.shape[1])
    message.data = array('B', bgr.tobytes())
    return message


def main() -> None:
    """Fail unless the node publishes."""
    package, launch_file, topics = sys.argv[2:]
    assert (package, launch_file) == ('deid_ros', 'uav.launch.py')
    prefix = next(folder for folder in pathlib.Path(deid_ros.__file__).parents
                  if (folder / 'share' / 'deid_ros' / 'launch' / launch_file).is_file())
    command = [str(prefix / 'lib' / 'deid_ros' / 'deid_node'), '--ros-args', '--params-file',
               str(prefix / 'share' / 'deid_ros' / 'config' / 'uav.yaml'), '-p', topics]
    images, reports = [], []
    with running(command, pathlib.Path('node.log')) as node, spinning_node('camera') as ros:
        bring_up(ros, node)
        ros.create_subscription(Image, '/deid' + TOPIC, images.append, 1)
        ros.create_subscription(String, '/deid' + TOPIC + '/report', reports.append, 1)
        camera = ros.create_publisher(Image, TOPIC, qos_profile_sensor_data)
        message = picture()

        def is_published() -> bool:
            camera.publish(message)
            return bool(images and reports)

        node.wait(is_published, 'Nothing was published.')
    assert bytes(images[0].data) != bytes(message.data), 'nothing was treated'
    methods = [face['method'] for face in json.loads(reports[0].data)['faces']]
    print(f'published with Python {sys.version.split()[0]} and OpenCV {cv2.__version__}: {methods}')


if __name__ == '__main__':
    main()
