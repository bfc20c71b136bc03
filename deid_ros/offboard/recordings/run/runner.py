# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""One run, from a recording to its anonymized copy.

Everything is written into a folder beside the target, out of which the target is moved at the very
end. Until then there is nothing that could be taken for finished. What is only needed to go on,
small gray copies of original frames among it, stays behind and is deleted.
"""

import shutil
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from deid_ros.core.deidentification.identities import draw_key
from deid_ros.core.parameters import KEY, public
from deid_ros.offboard.recordings.errors import BagError
from deid_ros.offboard.recordings.report import REPORT_FILES, Summary, write_reports
from deid_ros.offboard.recordings.run.bridging import DetectionLog
from deid_ros.offboard.recordings.run.fingerprint import Hashes, fingerprint
from deid_ros.offboard.recordings.run.frames import FrameOptions
from deid_ros.offboard.recordings.run.journal import Journal
from deid_ros.offboard.recordings.run.passes import DetectionPass, Progress, WritingPass
from deid_ros.offboard.recordings.run.plan import Options, Plan, plan
from deid_ros.offboard.recordings.run.workers import Workers
from deid_ros.version import __version__

JOURNAL_FILE = 'journal.jsonl'
#: Holds the secret of an unfinished run; it goes with the folder.
KEY_FILE = 'key'
#: Appended to the target's name while a run is not finished.
UNFINISHED = '.unfinished'
# What is a folder, with the reports in it.
_FOLDERS = ('mcap', 'sqlite3', 'images')


def run(options: Options, progress: Progress) -> Summary:
    """Write the anonymized copy.

    :returns: what the report says.
    :raises BagError: nothing was written that could be taken for finished.
    :raises OSError: the same, as the disk is full or a file may not be written.
    """
    if options.target.exists():
        raise BagError(f'{options.target} exists already. It is never overwritten: move it away, '
                       'or name another target.')
    folder = options.target.with_name(options.target.name + UNFINISHED)
    if folder.exists() and not options.resume:
        raise BagError(f'{folder} is an unfinished run. Go on with it by --resume, or delete it.')
    with ExitStack() as stack:
        planned = plan(options, stack)
        goes_on = folder.exists()
        if goes_on and not (folder / JOURNAL_FILE).exists() and any(folder.iterdir()):
            raise BagError(f'{folder} is no unfinished run: it has no {JOURNAL_FILE}. Move it '
                           'away.')
        output = folder / _name_in(planned.target.storage, options.target)
        folder.mkdir(parents=True, exist_ok=True)
        if not output.exists():  # There is nothing to go on with, whatever the journal says.
            (folder / JOURNAL_FILE).write_bytes(b'')
        journal = Journal(folder / JOURNAL_FILE, _head(options, planned))
        reports = output if planned.target.storage in _FOLDERS else folder
        reports.mkdir(exist_ok=True)
        stack.callback(journal.close)
        hashes = Hashes(planned.recording.files)
        stack.callback(hashes.stop)
        values = {**options.values, KEY: _run_key(folder, options.values[KEY])}
        if planned.target.storage == 'video':
            values['on_failure'] = 'mask_frame'  # Without a frame, the rest would come too early.
        workers = stack.enter_context(Workers(FrameOptions(values, options.verify), options.jobs))
        detections = None
        if options.bridge_gaps:
            detections = DetectionLog(folder, options.values['tracking.hold_frames'])
            stack.callback(detections.close)
            DetectionPass(planned, workers, progress, detections).run()
        copy = WritingPass(planned, workers, progress, options, output, journal, detections)
        stack.callback(copy.close)
        provenance = {
            'package': 'deid_ros', 'version': __version__, **workers.provenance,
            'parameters': public({**values, KEY: options.values[KEY]}),
            'bridge_gaps': options.bridge_gaps,
            'verify': options.verify}
        copy.run()
        provenance['input_sha256'] = hashes.result()
        copy.finish(provenance)
        summary = write_reports(reports, planned.recording, planned.decisions, provenance,
                                journal)
    if reports is folder:
        for name in REPORT_FILES:
            (folder / name).rename(options.target.with_name(f'{options.target.stem}.{name}'))
    output.rename(options.target)
    # Only now: until the target has its name, a kill must leave something to go on with.
    shutil.rmtree(folder)
    return summary


def _run_key(folder: Path, wanted: str) -> str:
    """Return the secret that chooses synthetic identities, the same when the run goes on.

    :raises BagError: the unfinished run has another one than is wanted.
    """
    path = folder / KEY_FILE
    if not path.exists():
        # Whole or not at all, as a run that goes on must not take a part of it for its key.
        partial = path.with_suffix('.partial')
        partial.touch(0o600)
        partial.write_text(wanted or draw_key(), encoding='utf-8')
        partial.rename(path)
    key = path.read_text(encoding='utf-8')
    if wanted and wanted != key:
        raise BagError(f'{folder} is an unfinished run with another {KEY}. Go on with that one, or '
                       'delete the folder.')
    return key


def _name_in(storage: str, target: Path) -> str:
    """Return what the target is called in the folder of an unfinished run."""
    return f'{target.stem}.bag' if storage == 'ros1' else target.name


def _head(options: Options, planned: Plan) -> dict[str, Any]:
    """Return all that the result depends on."""
    return {'version of deid_ros': __version__,
            'input': fingerprint(planned.recording.files), 'parameters': public(options.values),
            'choice of topics': [list(decision) for decision in planned.decisions],
            '--storage': planned.target.storage, '--compression': planned.target.compression,
            '--split-size': planned.target.split_size, '--bridge-gaps': options.bridge_gaps,
            '--verify': options.verify}
