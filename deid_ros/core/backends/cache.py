# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""The user's folder for what backends derive from the models: engines, which are run.

So nothing in there is taken on trust. A file says what it was made for and from, which settles what
one that was copied or renamed is, and has the SHA-256 of its content. That tells damage; but who
can write the file can write the hash, so nothing is read from, or kept in, a folder of another
user, or one that others may write to.

A file: a line that names the format, a line of JSON, the content.
"""

import json
import os
import stat
import tempfile
from typing import Dict

from deid_ros.core.resources import sha256_of

# Raised when files look different.
_MAGIC = b'deid_ros cache 1\n'
_SHA256 = 'sha256'
_OTHERS_MAY_WRITE = stat.S_IWGRP | stat.S_IWOTH


class UnusableFileError(Exception):
    """A file is not what it should be; the message says what is different."""


def cache_directory() -> str:
    """Return the folder; it need not exist yet."""
    base = os.environ.get('XDG_CACHE_HOME') or os.path.join(os.path.expanduser('~'), '.cache')
    return os.path.join(base, 'deid_ros')


def read_file(path: str, facts: Dict[str, str]) -> bytes:
    """Return the content that `write_file` kept.

    :param facts: what it must have been made for and from.
    :raises FileNotFoundError: there is none.
    :raises UnusableFileError: the file is damaged, was made for or from something else, or could
        be somebody else's.
    """
    try:
        _check_private(os.path.dirname(path))
        with open(path, 'rb') as file:
            whole = file.read()
    except FileNotFoundError:
        raise
    except OSError as error:
        raise UnusableFileError('it cannot be read: {}'.format(error.strerror)) from error
    if not whole.startswith(_MAGIC):
        raise UnusableFileError('it is no cached file of this version')
    header, separator, content = whole[len(_MAGIC):].partition(b'\n')
    try:
        found = json.loads(header.decode('utf-8'))
        sha256 = found.pop(_SHA256)
    except (ValueError, KeyError, AttributeError, TypeError) as error:
        raise UnusableFileError('its header is damaged') from error
    for name in sorted(set(facts) | set(found)):
        if found.get(name) != facts.get(name):
            raise UnusableFileError('its {} is {!r}, not {!r}'.format(
                name, found.get(name), facts.get(name)))
    if not separator or sha256_of(content) != sha256:
        raise UnusableFileError('its content is damaged')
    return content


def write_file(path: str, facts: Dict[str, str], content: bytes) -> None:
    """Keep a content for `read_file`; its folder is made where it is missing.

    :raises OSError: it cannot be written, as in containers whose home is read-only, or could be
        changed by others there.
    """
    directory = os.path.dirname(path)
    os.makedirs(directory, mode=0o700, exist_ok=True)
    _check_private(directory)
    facts = dict(facts)
    facts[_SHA256] = sha256_of(content)
    header = json.dumps(facts, sort_keys=True).encode('utf-8')
    # Written aside and then renamed: another process may want the same file right now.
    handle, partial = tempfile.mkstemp(dir=directory, suffix='.partial')
    try:
        with os.fdopen(handle, 'wb') as file:
            file.write(_MAGIC + header + b'\n' + content)
            file.flush()
            # Without it, a drone that loses power may keep the new name with no content.
            os.fsync(file.fileno())
        os.replace(partial, path)
    except OSError:
        os.unlink(partial)
        raise


def _check_private(directory: str) -> None:
    """Do nothing if nobody but this user, and root, can put a file into the folder.

    :raises OSError: they can; says what to do. Or there is no such folder.
    """
    status = os.stat(directory)
    if status.st_uid not in (os.geteuid(), 0):
        raise PermissionError(1, 'the folder {} belongs to user {}; remove it, or set '
                              'XDG_CACHE_HOME to a folder of yours'.format(
                                  directory, status.st_uid))
    if status.st_mode & _OTHERS_MAY_WRITE:
        raise PermissionError(1, 'others may write to the folder; run: chmod go-w {}'.format(
            directory))
