# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Says what is waited for, in Python's log, which the node and the commands show."""

import logging
import threading
import time
from contextlib import contextmanager
from typing import Iterator

_log = logging.getLogger(__name__)


@contextmanager
def announced(what: str, period: float = 15.0) -> Iterator[None]:
    """Log that something long begins, that it goes on, every `period` seconds, and how it ended."""
    started = time.monotonic()
    finished = threading.Event()

    def remind() -> None:
        while not finished.wait(period):
            _log.info('still waiting after %.0f s: %s', time.monotonic() - started, what)

    _log.info('please wait: %s', what)
    reminder = threading.Thread(target=remind, name='progress', daemon=True)
    reminder.start()
    try:
        yield
    except BaseException:
        _log.info('failed after %.0f s: %s', time.monotonic() - started, what)
        raise
    else:
        _log.info('done after %.0f s: %s', time.monotonic() - started, what)
    finally:
        finished.set()
        reminder.join()
