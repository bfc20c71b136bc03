# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Parameters: declared, checked, changed while frames flow."""

import json
import threading
import time

import pytest
from rclpy.exceptions import InvalidParameterTypeException, InvalidParameterValueException
from rclpy.parameter import Parameter
from ros_rig import image_message, noise, wait_until

from deid_ros.core.detection.detector import Detector
from deid_ros.core.parameters import NO_NAMES, PARAMETERS
from deid_ros.node import deid_node

BAD_VALUES = [
    ('deid.box_margin', -0.1, '0.0', '1.0'),
    ('deid.box_margin', 1.5, '0.0', '1.0'),
    ('deid.box_margin', float('nan'), '0.0', '1.0'),
    ('jpeg_quality', 0, '1', '100'),
    ('jpeg_quality', 101, '1', '100'),
    ('max_rate', -1.0, '0.0', '1000.0'),
    ('detector.confidence_threshold', 0.95, '0.0', '0.9'),
    ('detector.width', -1, '0', '8192'),
    ('detector.width', 63, '64', '8192'),
    ('deid.min_face_size', 5000, '0', '1024'),
    ('on_failure', 'publish', 'drop', 'mask_frame'),
    ('deid.method', 'nothing', 'blur', 'pixelate'),
    ('fallback.method', '', 'blur', 'mask'),
    ('qos.reliability', 'perhaps', 'auto', 'best_effort'),
    ('detector.type', 'haar', 'centerface', 'yunet'),
]


@pytest.mark.parametrize(('name', 'value', 'one_end', 'other_end'), BAD_VALUES)
def test_a_bad_value_is_refused_with_its_name_and_what_is_allowed(
        make_rig, name, value, one_end, other_end):
    rig = make_rig(activate=False)
    before = rig.node.get_parameter(name).value
    result = rig.node.set_parameters([Parameter(name, value=value)])[0]
    assert not result.successful
    for word in (name, str(value), one_end, other_end):
        assert word in result.reason
    assert rig.node.get_parameter(name).value == before


def test_a_refused_value_does_not_reach_the_frames(make_rig):
    rig = make_rig()
    work, values = rig.node._deidentifier, rig.node._values
    for name, value, _, _ in [*BAD_VALUES, ('use_sim_time', 'yes', '', ''),
                              ('deid.box_margin', None, '', '')]:
        bad = Parameter(name, value=value)
        # The others are refused with it.
        good = Parameter('always_process', value=True)
        assert not rig.node.set_parameters_atomically([good, bad]).successful, name
        assert not rig.node.set_parameters([bad])[0].successful, name
    assert rig.node._deidentifier is work
    assert rig.node._values is values


@pytest.mark.parametrize(('name', 'value', 'one_end', 'other_end'), BAD_VALUES)
def test_a_bad_value_at_start_ends_the_node(make_rig, name, value, one_end, other_end):
    with pytest.raises(InvalidParameterValueException) as error:
        make_rig(**{name.replace('.', '__'): value})
    for word in (name, str(value), one_end, other_end):
        assert word in str(error.value)


def test_a_value_of_another_type_at_start_ends_the_node(make_rig):
    with pytest.raises(InvalidParameterTypeException, match='detector.width'):
        make_rig(detector__width='wide')


def test_each_entry_of_a_list_is_checked(make_rig):
    rig = make_rig(activate=False)
    result = rig.node.set_parameters(
        [Parameter('detector.ensemble', value=['yunet', 'nose'])])[0]
    assert not result.successful
    assert "'nose'" in result.reason


def test_what_needs_a_reload_is_refused_while_configured(make_rig):
    rig = make_rig()
    for spec in PARAMETERS:
        if spec.live or spec.default == NO_NAMES:
            continue
        value = rig.node.get_parameter(spec.name).value
        result = rig.node.set_parameters([Parameter(spec.name, value=value)])[0]
        assert not result.successful, spec.name
        assert 'cleanup' in result.reason
    assert rig.node.trigger_deactivate().name == 'SUCCESS'
    assert rig.node.trigger_cleanup().name == 'SUCCESS'
    assert rig.node.set_parameters([Parameter('output_prefix', value='/safe')])[0].successful


def test_a_live_change_shows_in_the_next_frames(make_rig):
    rig = make_rig()
    safe, reports = rig.peer.listen_to_images(), rig.peer.listen_to_reports()
    camera = rig.peer.camera()
    rig.peer.wait_for_subscriber(camera)

    def newest(stamp):
        wait_until(lambda: camera.publish(image_message(noise(), stamp=stamp))
                   or time.sleep(0.05) or [report for report in reports if json.loads(
                       report.data)['stamp']['sec'] == stamp], 'no report')
        return json.loads(reports[-1].data)['faces'][0]

    assert newest(1)['method'] == 'blur'
    assert rig.node.set_parameters([Parameter('deid.method', value='mask')])[0].successful
    narrow = newest(2)
    assert narrow['method'] == 'mask'
    assert rig.node.set_parameters([Parameter('deid.box_margin', value=0.5)])[0].successful
    assert newest(3)['region'][0] < narrow['region'][0]
    assert rig.node.set_parameters([
        Parameter('deid.min_face_size', value=41), Parameter('fallback.method', value='pixelate'),
    ])[0].successful
    assert newest(4)['method'] == 'pixelate'
    assert safe


def test_values_set_together_are_used_together(make_rig, detector):
    """No frame sees one half of an atomic change."""
    rig = make_rig()
    reports = rig.peer.listen_to_reports()
    camera = rig.peer.camera()
    rig.peer.wait_for_subscriber(camera)
    pairs = {'mask': 0.0, 'blur': 1.0}
    assert rig.node.set_parameters_atomically(
        [Parameter('deid.method', value='mask'),
         Parameter('deid.box_margin', value=0.0)]).successful
    stop = threading.Event()

    def flip():
        while not stop.is_set():
            for method, margin in pairs.items():
                rig.node.set_parameters_atomically([
                    Parameter('deid.method', value=method),
                    Parameter('deid.box_margin', value=margin)])

    thread = threading.Thread(target=flip)
    thread.start()
    for stamp in range(100):
        camera.publish(image_message(noise(), stamp=stamp))
        time.sleep(0.01)
    stop.set()
    thread.join()
    seen = set()
    for report in reports:
        face = json.loads(report.data)['faces'][0]
        seen.add((face['method'], face['region'][2] - face['region'][0]))
    assert seen == {('mask', 30), ('blur', 85)} or seen == {('mask', 30), ('blur', 90)}


def test_a_missing_model_fails_configuration_with_the_reason(ros):
    node = deid_node.DeidNode(parameter_overrides=[
        Parameter('detector.type', value='yunet'),
        Parameter('detector.model_path', value='/nowhere/yunet.onnx')])
    assert node.trigger_configure().name == 'FAILURE'
    assert '/nowhere/yunet.onnx' in node._node_status().message
    assert node._node_status().level == b'\x02'
    node.destroy_node()


@pytest.mark.parametrize(('values', 'words'), [
    ({'image_topics': ['/camera/image_raw', '/camera/image_raw']}, 'both be published'),
    ({'image_topics': ['/deid/camera/image_raw', '/camera/image_raw']}, 'is an output'),
    ({'image_topics': ['/camera/image_raw', '/camera/image_raw/compressed'],
      'publish_compressed': True}, 'publish_compressed'),
    ({'output_prefix': '/'}, 'output_prefix'),
    ({'output_prefix': '/safe images'}, 'safe images'),
    ({'image_topics': ['/camera/image raw']}, 'image raw'),
])
def test_topics_that_cannot_work_fail_configuration(make_rig, values, words):
    rig = make_rig(activate=False, **values)
    assert rig.node.trigger_configure().name == 'FAILURE'
    assert words in rig.node._node_status().message


def test_every_parameter_says_what_it_is_for(make_rig):
    rig = make_rig(activate=False)
    for spec in PARAMETERS:
        descriptor = rig.node.describe_parameter(spec.name)
        assert len(descriptor.description) > 10
        if spec.choices:
            assert descriptor.additional_constraints == spec.allowed
        if spec.minimum is not None:
            (range_,) = list(descriptor.integer_range) + list(descriptor.floating_point_range)
            assert (range_.from_value, range_.to_value) == (spec.minimum, spec.maximum)


def test_the_threshold_reaches_the_detector(make_rig, monkeypatch):
    seen = []

    class Spy(Detector):
        name = 'spy'

        def detect(self, bgr, threshold=None):
            seen.append((bgr.shape, threshold))
            return []

    monkeypatch.setattr('deid_ros.core.parameters.make_detector',
                        lambda names, model_path: Spy())
    rig = make_rig(detector__width=80, always_process=True)
    camera = rig.peer.camera()
    rig.peer.wait_for_subscriber(camera)
    camera.publish(image_message(noise()))
    wait_until(lambda: seen, 'not called')
    assert seen[-1] == ((60, 80, 3), None)
    rig.node.set_parameters([Parameter('detector.confidence_threshold', value=0.75),
                             Parameter('detector.width', value=160)])
    wait_until(lambda: camera.publish(image_message(noise())) or time.sleep(0.05)
               or seen[-1] == ((120, 160, 3), 0.75), f'{seen[-1]}')
