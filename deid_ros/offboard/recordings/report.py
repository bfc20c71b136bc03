# Copyright 2026 The deid_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""What was done, for people and for programs: `deid_report.json` and `deid_report.html`.

Both are made from the journal. The page needs no other file and no network; its pictures are of
anonymized frames only.
"""

import html
import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from deid_ros.offboard.recordings.formats.recording import Recording
from deid_ros.offboard.recordings.policy.selection import ANONYMIZE, COPY, KEPT, Decision
from deid_ros.offboard.recordings.run.journal import FRAME, LEFT_OUT, Journal

JSON_FILE, HTML_FILE = 'deid_report.json', 'deid_report.html'
REPORT_FILES = (JSON_FILE, HTML_FILE)
# Of the plot of faces over time, at most; with fewer frames, fewer.
_MOST_PARTS = 120
_PLOT_WIDTH, _PLOT_HEIGHT = 720, 90


@dataclass
class TopicSummary:
    """What became of the frames of one topic."""

    frames: int = 0
    published: int = 0
    masked: int = 0
    withheld: int = 0
    faces: int = 0
    held: int = 0
    methods: Counter[str] = field(default_factory=Counter)
    #: Of --verify: faces compared, treated again, found only then, and still recognizable.
    compared: int = 0
    treated_again: int = 0
    missed: int = 0
    recognizable: int = 0
    closest: float | None = None
    #: Frames and faces in each part of the recording's time.
    frames_over_time: list[int] = field(default_factory=list)
    faces_over_time: list[int] = field(default_factory=list)
    #: Each frame that is not as it was but for its faces: time, stamp and why.
    failures: list[dict[str, Any]] = field(default_factory=list)
    #: JPEG files in base64.
    thumbnails: list[str] = field(default_factory=list)

    def add(self, entry: dict[str, Any], part: int) -> None:
        """Count a frame, which lies in that part of the recording's time."""
        self.frames += 1
        setattr(self, entry['status'], getattr(self, entry['status']) + 1)
        self.frames_over_time[part] += 1
        self.faces_over_time[part] += len(entry['faces'])
        if entry['status'] != 'published':
            self.failures.append({key: entry[key] for key in (
                'time', 'stamp', 'status', 'reason', 'detail')})
        if entry['thumbnail']:
            self.thumbnails.append(entry['thumbnail'])
        for face in entry['faces']:
            self._add_face(face)

    def _add_face(self, face: dict[str, Any]) -> None:
        self.faces += 1
        self.held += face['held']
        self.methods[face.get('treated_again') or face['method']] += 1
        if 'distance' not in face:
            return
        self.missed += face['why_fallback'] == 'found by --verify only'
        self.treated_again += bool(face['treated_again'])
        self.recognizable += face['recognizable']
        if face['distance'] is not None:
            self.compared += 1
            self.closest = min(self.closest or face['distance'], face['distance'])


@dataclass
class Summary:
    """What became of a recording."""

    topics: dict[str, TopicSummary]
    #: Names and reasons of what is not in the new recording.
    left_out: list[tuple[str, str]]
    #: Topics that were copied because the user said so.
    kept: list[str]

    @property
    def recognizable(self) -> int:
        """Faces that are still recognizable."""
        return sum(topic.recognizable for topic in self.topics.values())

    def total(self, name: str) -> int:
        """Return a number of `TopicSummary`, of all topics."""
        return sum(getattr(topic, name) for topic in self.topics.values())


def write_reports(folder: Path, recording: Recording, decisions: Sequence[Decision],
                  provenance: dict[str, Any], journal: Journal) -> Summary:
    """Write both files into a folder; return what they say."""
    summary = _summary(recording, decisions, journal)
    rows = [{'topic': channel.topic, 'type': channel.type, 'messages': count,
             'action': decision.action, 'reason': decision.reason}
            for channel, count, decision in zip(recording.channels, recording.counts, decisions,
                                                strict=True)]
    content = {
        'provenance': provenance, 'topics': rows,
        'left_out': [{'name': name, 'reason': reason} for name, reason in summary.left_out],
        'anonymized': {name: _topic_json(topic) for name, topic in summary.topics.items()},
        'start': recording.start, 'end': recording.end}
    (folder / JSON_FILE).write_text(json.dumps(content, indent=1) + '\n', encoding='utf-8')
    (folder / HTML_FILE).write_text(_page(content, summary), encoding='utf-8')
    return summary


def _summary(recording: Recording, decisions: Sequence[Decision], journal: Journal) -> Summary:
    frames = {channel.topic: count for channel, count, decision
              in zip(recording.channels, recording.counts, decisions, strict=True)
              if decision.action == ANONYMIZE}
    parts = max(1, min(_MOST_PARTS, max(frames.values(), default=1)))
    topics = {name: TopicSummary(frames_over_time=[0] * parts, faces_over_time=[0] * parts)
              for name in frames}
    span = recording.end - recording.start + 1
    for entry in journal.entries(FRAME):
        part = (entry['time'] - recording.start) * parts // span
        topics[entry['topic']].add(entry, min(parts - 1, max(0, part)))
    left_out = [(channel.topic, decision.reason) for channel, decision
                in zip(recording.channels, decisions, strict=True)
                if decision.action not in (ANONYMIZE, COPY)]
    left_out += [(entry['name'], entry['reason']) for entry in journal.entries(LEFT_OUT)]
    kept = [channel.topic for channel, decision
            in zip(recording.channels, decisions, strict=True) if decision.reason == KEPT]
    return Summary(topics, left_out, kept)


def _topic_json(topic: TopicSummary) -> dict[str, Any]:
    content = {key: value for key, value in vars(topic).items() if key != 'thumbnails'}
    content['methods'] = dict(sorted(topic.methods.items()))
    return content


_STYLE = '''
:root { color-scheme: light dark; --line: #8884; --soft: #888; --ink: #2563a8; --bad: #b3261e; }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.15rem; margin-top: 2.2rem; }
table { border-collapse: collapse; width: 100%; font-size: .9rem; }
th, td { text-align: left; padding: .3rem .6rem; border-bottom: 1px solid var(--line);
  vertical-align: top; overflow-wrap: anywhere; }
td.n, th.n { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
code { font-size: .85em; overflow-wrap: anywhere; }
.tiles { display: flex; flex-wrap: wrap; gap: .8rem; margin: 1rem 0; padding: 0; }
.tiles div { border: 1px solid var(--line); border-radius: .5rem; padding: .6rem 1rem; }
.tiles b { display: block; font-size: 1.4rem; font-variant-numeric: tabular-nums; }
.tiles span, figcaption, .soft { color: var(--soft); font-size: .85rem; }
.bad { color: var(--bad); } svg { width: 100%; height: auto; } svg text { font-size: 11px;
  fill: var(--soft); } figure { margin: 1rem 0; }
.thumbs { display: flex; flex-wrap: wrap; gap: .4rem; } .thumbs img { width: 9.4rem;
  border-radius: .25rem; }
'''


def _page(content: dict[str, Any], summary: Summary) -> str:
    provenance = content['provenance']
    parts = [
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f'<title>Anonymized recording</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n'
        '<h1>Anonymized recording</h1>\n',
        f'<p class="soft">Made by deid_ros {_text(provenance["version"])} from '
        f'{_text(", ".join(provenance["input_sha256"]))}, {_duration(content)} long.</p>\n',
        _tiles(summary)]
    for name, topic in summary.topics.items():
        parts.append(_topic(name, topic, content))
    parts.append('<h2>Topics</h2>\n' + _table(
        ('topic', 'type', 'messages', 'what became of it'), (
            (row['topic'], row['type'], row['messages'],
             ': '.join(filter(None, (row['action'], row['reason']))))
            for row in content['topics'])))
    extras = content['left_out'][sum(row['action'] == 'leave out' for row in content['topics']):]
    if extras:
        parts.append('<h2>Left out, beside topics</h2>\n' + _table(
            ('what', 'why'), ((entry['name'], entry['reason']) for entry in extras)))
    parts.append('<h2>Provenance</h2>\n' + _table(('', ''), _flat(provenance)))
    return ''.join(parts) + '</body>\n</html>\n'


def _tiles(summary: Summary) -> str:
    tiles = [(summary.total('frames'), 'frames', False), (summary.total('faces'), 'faces', False),
             (summary.total('withheld'), 'frames withheld', True),
             (len(summary.left_out), 'topics and attachments left out', False)]
    if summary.total('masked'):
        tiles.append((summary.total('masked'), 'frames masked', True))
    if summary.total('compared'):
        tiles += [(summary.total('compared'), 'faces compared', False),
                  (summary.recognizable, 'still recognizable', True)]
    return '<div class="tiles">' + ''.join(
        '<div><b{}>{}</b><span>{}</span></div>'.format(
            ' class="bad"' if is_bad and number else '', number, name)
        for number, name, is_bad in tiles) + '</div>\n'


def _topic(name: str, topic: TopicSummary, content: dict[str, Any]) -> str:
    methods = ', '.join(f'{count} by {_text(method)}' for method, count
                        in sorted(topic.methods.items()))
    parts = [f'<h2>{_text(name)}</h2>\n<p>{topic.frames} frames, {topic.faces} faces'
             f'{f" ({methods})" if methods else ""}'
             f'{f", {topic.held} of them held or bridged" if topic.held else ""}; '
             f'{topic.withheld} frames withheld.</p>\n']
    if topic.compared:
        parts.append(
            f'<p>Verified: {topic.compared} faces compared with their originals, the closest at a '
            f'distance of {topic.closest:.2f} (another person beyond 0.6); {topic.treated_again} '
            f'treated again, {topic.missed} found only then, {topic.recognizable} still '
            'recognizable.</p>\n')
    parts.append(_plot(topic, content))
    if topic.thumbnails:
        parts.append('<div class="thumbs">' + ''.join(
            f'<img alt="anonymized frame" src="data:image/jpeg;base64,{picture}">'
            for picture in topic.thumbnails) + '</div>\n')
    if topic.failures:
        parts.append(_table(('log time', 'header stamp', 'status', 'why'), (
            (entry['time'], entry['stamp'] if entry['stamp'] is not None else 'unreadable',
             entry['status'], f'{entry["reason"]}: {entry["detail"]}')
            for entry in topic.failures)))
    return ''.join(parts)


def _plot(topic: TopicSummary, content: dict[str, Any]) -> str:
    """Return faces per frame over time, as a picture in the page."""
    values = [faces / frames if frames else None for frames, faces
              in zip(topic.frames_over_time, topic.faces_over_time, strict=True)]
    top = max([value for value in values if value is not None], default=0) or 1
    step = _PLOT_WIDTH / len(values)
    bars = ''.join(
        f'<rect x="{index * step:.1f}" y="{_PLOT_HEIGHT * (1 - value / top):.1f}" '
        f'width="{step:.1f}" height="{_PLOT_HEIGHT * value / top:.1f}"/>'
        for index, value in enumerate(values) if value)
    return (
        f'<figure><svg viewBox="0 -4 {_PLOT_WIDTH + 60} {_PLOT_HEIGHT + 24}" role="img" '
        f'aria-label="faces per frame over time"><g fill="var(--ink)">{bars}</g>'
        f'<path d="M0 {_PLOT_HEIGHT}H{_PLOT_WIDTH}" stroke="var(--soft)" fill="none"/>'
        f'<text x="{_PLOT_WIDTH + 6}" y="8">{top:.1f}</text>'
        f'<text x="{_PLOT_WIDTH + 6}" y="{_PLOT_HEIGHT}">0</text>'
        f'<text x="0" y="{_PLOT_HEIGHT + 15}">0 s</text>'
        f'<text x="{_PLOT_WIDTH}" y="{_PLOT_HEIGHT + 15}" text-anchor="end">{_duration(content)}'
        '</text></svg><figcaption>faces per frame over time</figcaption></figure>\n')


def _duration(content: dict[str, Any]) -> str:
    return f'{(content["end"] - content["start"]) / 1e9:.1f} s'


def _flat(tree: dict[str, Any], prefix: str = '') -> Iterable[tuple[str, Any]]:
    for key, value in tree.items():
        if isinstance(value, dict):
            yield from _flat(value, f'{prefix}{key}: ')
        else:
            yield prefix + key, value if isinstance(value, str) else json.dumps(value)


def _table(head: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    def cells(tag: str, row: Sequence[Any]) -> str:
        kinds = [' class="n"' if isinstance(value, int) else '' for value in row]
        return ''.join(f'<{tag}{kind}>{_text(value)}</{tag}>'
                       for value, kind in zip(row, kinds, strict=True))
    body = ''.join(f'<tr>{cells("td", row)}</tr>\n' for row in rows)
    title = f'<thead><tr>{cells("th", head)}</tr></thead>' if any(head) else ''
    return f'<table>{title}<tbody>\n{body}</tbody></table>\n'


def _text(value: Any) -> str:
    return html.escape(str(value))
