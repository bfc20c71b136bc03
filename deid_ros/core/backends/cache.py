# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""The user's folder for files that backends derive from the models."""

import os
import tempfile


def cache_directory() -> str:
    """Return the folder; it need not exist yet."""
    base = os.environ.get('XDG_CACHE_HOME') or os.path.join(os.path.expanduser('~'), '.cache')
    return os.path.join(base, 'deid_ros')


def write_atomically(path: str, content: bytes) -> None:
    """Write a file that others see whole or not at all; its folder is made where it is missing.

    :raises OSError: it cannot be written, as in containers whose home is read-only.
    """
    directory = os.path.dirname(path)
    os.makedirs(directory, exist_ok=True)
    # Written aside and then renamed: another process may want the same file right now.
    handle, partial = tempfile.mkstemp(dir=directory, suffix='.partial')
    try:
        with os.fdopen(handle, 'wb') as file:
            file.write(content)
            file.flush()
            # Without it, a drone that loses power may keep the new name with no content.
            os.fsync(file.fileno())
        os.replace(partial, path)
    except OSError:
        os.unlink(partial)
        raise
