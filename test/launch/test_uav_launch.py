# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""The launch file: its arguments, what it hands to the node, and when it ends the launch."""

import asyncio
import importlib.util
import pathlib
import py_compile
import types
from typing import Any

import pytest
import yaml

ROOT = pathlib.Path(__file__).parents[2]
LAUNCH_FILE = ROOT / 'launch' / 'uav.launch.py'


def test_the_launch_file_compiles(tmp_path: pathlib.Path) -> None:
    py_compile.compile(str(LAUNCH_FILE), cfile=str(tmp_path / 'compiled'), doraise=True)


@pytest.fixture
def uav() -> types.ModuleType:
    # Not `launch`, which without ROS is this project's folder.
    pytest.importorskip('launch_ros.actions', reason='launch_ros is missing; it comes with ROS')
    spec = importlib.util.spec_from_file_location('uav_launch', LAUNCH_FILE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def defaults(uav: types.ModuleType, **arguments: str) -> dict[str, str]:
    return dict({argument.name: argument.default for argument in uav.ARGUMENTS}, **arguments)


def start(uav: types.ModuleType, **arguments: str) -> tuple[Any, Any]:
    """The LifecycleNode that these arguments start, prepared for execution, and its context."""
    from launch import LaunchContext

    context = LaunchContext()
    context.launch_configurations.update(defaults(uav, **arguments))
    node = uav.start_node(context)[-1]
    node._perform_substitutions(context)
    return node, context


def parameter_files(node: Any, context: Any) -> list[str]:
    from launch.utilities import perform_substitutions

    words = [perform_substitutions(context, word) for word in node.cmd[1:]
             if '__node' not in str(word) and 'ros_specific' not in str(vars(word[0]))]
    return [words[index + 1] for index, word in enumerate(words) if word == '--params-file']


def overrides(node: Any, context: Any) -> dict[str, Any]:
    files = parameter_files(node, context)
    if len(files) == 1:
        return {}
    # launch_ros writes lists as tuples, with a tag that the parser of ROS passes over.
    content = yaml.full_load(pathlib.Path(files[-1]).read_text(encoding='utf-8'))
    (section,) = content.values()
    return {name: list(value) if isinstance(value, tuple) else value
            for name, value in section['ros__parameters'].items()}


def test_all_arguments_are_declared_and_explained(uav: types.ModuleType) -> None:
    declared = {argument.name: argument
                for argument in uav.generate_launch_description().get_launch_arguments()}
    assert set(declared) == {argument.name for argument in uav.ARGUMENTS}
    assert {'namespace', 'image_topics', 'params_file', 'detector', 'method',
            'confidence_threshold', 'log_level', 'use_sim_time'} <= set(declared)
    for argument in declared.values():
        assert argument.description.endswith(('.', ']')), argument.name
        assert argument.default_value is not None, argument.name


def test_arguments_set_declared_parameters_with_their_types(uav: types.ModuleType) -> None:
    from deid_ros.core.parameters import PARAMETERS

    known = {spec.name: type(spec.default) for spec in PARAMETERS}
    known['use_sim_time'] = bool
    readers = {str: 'x', int: '3', float: '3', bool: 'true', list: "['/a']"}
    for argument in uav.ARGUMENTS:
        if argument.parameter:
            kind = known[argument.parameter]
            assert type(argument.read(readers[kind])) is kind, argument.name


def test_without_arguments_only_the_params_file_counts(uav: types.ModuleType) -> None:
    node, context = start(uav)
    assert parameter_files(node, context) == [str(ROOT / 'config' / 'uav.yaml')]
    assert node.node_name == '/deid'


def test_arguments_override_the_params_file(uav: types.ModuleType, tmp_path: pathlib.Path) -> None:
    own = tmp_path / 'own.yaml'
    own.write_text('/**: {ros__parameters: {jpeg_quality: 50}}')
    node, context = start(
        uav, namespace='uav1', node_name='guard', params_file=str(own), detector='yunet',
        model_path='/m.onnx', detector_width='320', confidence_threshold='1', method='mask',
        box_margin='0.5', image_topics="['/a/image_raw', '/b/image_raw']", use_sim_time='true')
    assert node.node_name == '/uav1/guard'
    # The last file wins.
    assert parameter_files(node, context)[0] == str(own)
    values = overrides(node, context)
    assert values == {
        'detector.type': 'yunet', 'detector.model_path': '/m.onnx', 'detector.width': 320,
        'detector.confidence_threshold': 1.0, 'deid.method': 'mask', 'deid.box_margin': 0.5,
        'image_topics': ['/a/image_raw', '/b/image_raw'], 'use_sim_time': True}
    assert isinstance(values['detector.confidence_threshold'], float)


def test_one_topic_needs_no_brackets(uav: types.ModuleType) -> None:
    assert overrides(*start(uav, image_topics='/a/image_raw')) == {'image_topics': ['/a/image_raw']}


@pytest.mark.parametrize(('name', 'text', 'says'), [
    ('box_margin', 'wide', 'could not convert'),
    ('detector_width', '1.5', 'invalid literal'),
    ('image_topics', '[]', 'must be a list'),
    ('image_topics', '5', 'must be a list'),
    ('image_topics', '[5]', 'must be a list'),
    ('image_topics', "['a", 'expected'),
    ('respawn', 'maybe', 'true or false'),
    ('use_sim_time', '1', 'true or false'),
])
def test_an_unreadable_argument_is_named(
        uav: types.ModuleType, name: str, text: str, says: str) -> None:
    with pytest.raises(RuntimeError) as caught:
        start(uav, **{name: text})
    assert str(caught.value).startswith('launch argument {}:={}: '.format(name, text))
    assert says in str(caught.value)


def test_a_missing_params_file_ends_the_launch(uav: types.ModuleType) -> None:
    with pytest.raises(RuntimeError, match='params_file: there is no file /nowhere.yaml'):
        start(uav, params_file='/nowhere.yaml')


class FakeFuture:
    def __init__(self, answer: Any) -> None:
        self._answer = answer

    def done(self) -> bool:
        return self._answer is not None

    def result(self) -> Any:
        return self._answer


class FakeNode:
    """A lifecycle node behind its two services. A request that it loses is never answered."""

    node_name = '/deid'

    def __init__(self, lost_requests: int = 0, refused: str = '') -> None:
        self.state = 1  # unconfigured
        self.requests: list[int] = []
        self._lost = lost_requests
        self._refused = {'': 0, 'configure': 1, 'activate': 3}[refused]

    def get_state(self, request: Any) -> FakeFuture:
        return FakeFuture(types.SimpleNamespace(
            current_state=types.SimpleNamespace(id=self.state)))

    def change_state(self, request: Any) -> FakeFuture:
        self.requests.append(request.transition.id)
        if self._lost:
            self._lost -= 1
            return FakeFuture(None)
        success = request.transition.id != self._refused
        self.state += success
        return FakeFuture(types.SimpleNamespace(success=success))


class FakeContext:
    is_shutdown = False

    def __init__(self) -> None:
        self.tasks: list[Any] = []
        self.events: list[Any] = []
        self.asyncio_loop: Any = None

    def add_completion_future(self, task: Any) -> None:
        self.tasks.append(task)

    def emit_event_sync(self, event: Any) -> None:
        self.events.append(event)


def bring_up(uav: types.ModuleType, monkeypatch: pytest.MonkeyPatch, node: FakeNode,
             **options: bool) -> tuple[Any, FakeContext]:
    settings = dict({'autostart': True, 'respawn': False, 'required': True}, **options)
    supervisor = uav.Supervisor(node, **settings)
    context = FakeContext()
    monkeypatch.setattr(uav, 'ANSWER_TIMEOUT', 0.1)
    monkeypatch.setattr(uav.Supervisor, '_get_clients', lambda self, context: (
        types.SimpleNamespace(call_async=node.get_state),
        types.SimpleNamespace(call_async=node.change_state)))

    async def run() -> None:
        context.asyncio_loop = asyncio.get_running_loop()
        supervisor.on_start(None, context)
        await asyncio.wait_for(asyncio.gather(*context.tasks), 10)

    asyncio.run(run())
    return supervisor, context


def exit_with(code: int) -> Any:
    return types.SimpleNamespace(returncode=code)


def test_the_node_is_configured_and_activated(
        uav: types.ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    node = FakeNode()
    _, context = bring_up(uav, monkeypatch, node)
    assert node.requests == [1, 3]
    assert context.events == []


def test_lost_requests_are_repeated(
        uav: types.ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    node = FakeNode(lost_requests=2)
    bring_up(uav, monkeypatch, node)
    assert node.requests == [1, 1, 1, 3]
    assert node.state == 3


def test_without_autostart_nothing_is_asked(
        uav: types.ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    node = FakeNode()
    bring_up(uav, monkeypatch, node, autostart=False)
    assert node.requests == []


@pytest.mark.parametrize('respawn', [False, True])
@pytest.mark.parametrize(('refused', 'says'), [
    ('configure', '/deid cannot be configured'), ('activate', '/deid cannot be activated')])
def test_a_refused_transition_ends_the_process_and_then_the_launch(
        uav: types.ModuleType, monkeypatch: pytest.MonkeyPatch, refused: str, says: str,
        respawn: bool) -> None:
    supervisor, context = bring_up(uav, monkeypatch, FakeNode(refused=refused), respawn=respawn)
    assert [type(event).__name__ for event in context.events] == ['ShutdownProcess']
    with pytest.raises(RuntimeError, match=says):
        supervisor.on_exit(exit_with(0), context)


def test_a_node_that_is_not_required_stays_for_the_operator(
        uav: types.ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    supervisor, context = bring_up(
        uav, monkeypatch, FakeNode(refused='configure'), required=False)
    assert context.events == []
    supervisor.on_exit(exit_with(1), context)


@pytest.mark.parametrize(('code', 'respawn', 'ends'), [
    (-9, False, True), (0, False, True), (-9, True, False), (2, True, True)])
def test_death_ends_the_launch_unless_a_new_start_helps(
        uav: types.ModuleType, code: int, respawn: bool, ends: bool) -> None:
    supervisor = uav.Supervisor(FakeNode(), True, respawn, True)
    if ends:
        with pytest.raises(RuntimeError, match='/deid ended with exit code {}'.format(code)):
            supervisor.on_exit(exit_with(code), FakeContext())
    else:
        supervisor.on_exit(exit_with(code), FakeContext())


def test_the_end_of_the_node_is_no_failure_while_the_launch_ends(uav: types.ModuleType) -> None:
    context = FakeContext()
    context.is_shutdown = True
    uav.Supervisor(FakeNode(), True, False, True).on_exit(exit_with(0), context)
