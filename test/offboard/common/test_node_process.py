# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
import sys

import pytest

from deid_ros.offboard.common.node_process import NodeProcessError, running


def test_the_last_words_of_a_dead_node_are_told(tmp_path):
    command = [sys.executable, '-S', '-c', 'print("no such detector"); raise SystemExit(2)']
    with running(command, tmp_path / 'log') as node:
        node._process.wait(30)
        with pytest.raises(NodeProcessError, match='(?s)exit status 2.*no such detector'):
            node.check()


def test_the_node_does_not_outlive_an_error(tmp_path):
    command = [sys.executable, '-S', '-c', 'import time; time.sleep(60)']
    with pytest.raises(KeyError), running(command, tmp_path / 'log') as node:
        raise KeyError
    with pytest.raises(NodeProcessError, match='ended'):
        node.check()
