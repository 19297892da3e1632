"""One part of the log, from raw messages to conversations: what a worker process does.

A part is whole for its threads, so nothing here asks another part.
"""

from __future__ import annotations

import os
import resource
import sys
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from lf_bridge.prepare import preferences
from lf_bridge.prepare.formats.schema import message_schema
from lf_bridge.prepare.identities import find_people, find_repeats
from lf_bridge.prepare.privacy.ranges import PLACEHOLDER
from lf_bridge.prepare.rows import clean_rows, redact_rows, to_frame, to_table
from lf_bridge.prepare.streams import read_stream, write_stream
from lf_bridge.prepare.threads import OF_MESSAGES, Numbers, Threaded, column, numbers, thread
from lf_bridge.recipe.preparing import PrepareSettings

if TYPE_CHECKING:
    from lf_bridge.prepare.privacy.second_scan import Finding

# Why a whole conversation is dropped, or the rest of one; after OF_MESSAGES in the ledger's words.
OF_CONVERSATIONS = (
    "",
    "too_short",
    "too_long",
    "deflection",
    "abusive_agent",
    "unresolved",
    "badly_rated",
    "ungrounded",
    "language",
    "placeholder",
    "quarantined",
    "exact_duplicate",
    "near_duplicate",
    "template_capped",
    "twin_across_split",
)


@dataclass(frozen=True)
class PartJob:
    """One part: its messages in ``folder/part-NUMBER.arrow`` and how they are handled."""

    number: int
    folder: Path
    settings: PrepareSettings
    key: bytes = field(repr=False)
    allowed: frozenset[str] = frozenset()


@dataclass(frozen=True)
class PartResult:
    """What a part comes to. Beside it lie ``turns``, ``accounts``, ``store``, ``preferences`` and ``fingerprints``.

    Arrays have one entry a conversation: thread, customer and name as in ``threads.Threaded.units``; ``reason`` (index
    into OF_CONVERSATIONS), ``turns`` (how many of its turns stay), ``cut`` (why not the others), ``start`` (its first
    turn) and ``known`` (it was in the dataset before, wholly).
    ``findings`` are (conversation, reason, hash). ``unused`` counts messages by why they are in no conversation,
    ``lost`` the conversations of which nothing is left. ``seconds`` are of work, by stage.
    """

    number: int
    units: pa.Table
    reason: Numbers
    turns: Numbers
    cut: Numbers
    start: Numbers
    known: Numbers
    findings: tuple[tuple[int, str, str], ...]
    unused: Mapping[str, int]
    lost: Mapping[str, int]
    redacted: Mapping[str, int]
    languages: Mapping[str, int]
    seconds: Mapping[str, float]
    process: int
    peak_memory: int


class _Clock:
    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._since = time.perf_counter()

    def note(self, stage: str) -> None:
        now = time.perf_counter()
        self.seconds[stage] = self.seconds.get(stage, 0.0) + now - self._since
        self._since = now


def part_schema() -> pa.Schema:
    """The columns of a part: those of messages, people and threads under their hashes, and where each came from."""
    hashed = [
        pa.field(one.name, pa.uint64()) if one.name in ("conversation", "customer") else one for one in message_schema()
    ]
    more = [pa.field("file", pa.int32()), pa.field("known", pa.bool_()), pa.field("changes", pa.int16())]
    return pa.schema([*hashed, *more])


def work_part(job: PartJob) -> PartResult:
    """Clean, redact, thread, judge, scan and fingerprint one part."""
    from lf_bridge.prepare.quality import duplicates, rules

    clock, settings = _Clock(), job.settings
    path = job.folder / f"part-{job.number}.arrow"
    messages = read_stream(path)
    messages, redacted = _clean_and_redact(messages, settings, job.key, clock)
    path.unlink()
    repeated = find_repeats(messages)
    threaded = thread(messages, repeated, settings)
    clock.note("thread")

    texts, units = column(threaded.turns, "text"), threaded.units
    starts = _starts(numbers(threaded.turns, "unit"), units.num_rows)
    judged = rules.judge(
        texts,
        starts,
        column(threaded.turns, "context"),
        _ratings(threaded),
        numbers(units, "resolved"),
        settings.quality,
    )
    reason = np.array([OF_CONVERSATIONS.index(rule) for rule in rules.RULES], np.int8)[judged.reason]
    kept = np.where(reason > 0, 0, judged.turns)
    cut = np.full(len(reason), OF_CONVERSATIONS.index("ungrounded"), np.int8)
    if settings.privacy.replace == "placeholder":
        _cut_before_placeholders(texts, starts, reason, kept, cut)
    languages = _sample_languages(texts, starts)
    clock.note("quality")
    owner, clean = numbers(threaded.turns, "unit"), np.ones(len(reason), bool)
    found = _scan(texts, job)
    clean[owner[[one.row for one in [*found, *_scan(column(threaded.turns, "draft"), job)]]]] = False
    findings = tuple(
        sorted({(int(owner[one.row]), one.reason, one.hash) for one in found if _stays(one.row, owner, starts, kept)})
    )
    for unit, _, _ in findings:
        reason[unit], kept[unit] = OF_CONVERSATIONS.index("quarantined"), 0
    clock.note("scan")
    alive = np.flatnonzero(kept)
    last = starts[alive] + kept[alive]
    prints = duplicates.fingerprint(texts.take(pa.array(last - 2)), texts.take(pa.array(last - 1)))
    duplicates.save(prints, job.folder / f"fingerprints-{job.number}")
    clock.note("fingerprint")

    _write(job, messages, threaded)
    judged_answers = preferences.collect(threaded.turns, starts, units, clean)
    write_stream(job.folder / f"preferences-{job.number}.arrow", judged_answers)
    clock.note("write")
    return PartResult(
        job.number,
        units,
        reason,
        kept,
        cut,
        starts,
        _known_units(messages, threaded),
        findings,
        _words(threaded.reason),
        threaded.lost,
        redacted,
        languages,
        clock.seconds,
        os.getpid(),
        peak_memory(),
    )


def _ratings(threaded: Threaded) -> Numbers:
    """How each conversation was rated: badly also where one of its answers was."""
    ratings = numbers(threaded.units, "rating").copy()
    ratings[numbers(threaded.turns, "unit")[numbers(threaded.turns, "reward") < 0]] = -1
    return ratings


def peak_memory() -> int:
    """The most memory in bytes that this process has held."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def _sample_languages(texts: pa.Array, starts: Numbers) -> Counter[str]:
    """The languages of a thousand conversations, evenly taken."""
    from lf_bridge.prepare.quality.language import languages

    some = (
        np.unique(np.linspace(0, len(starts) - 1, min(len(starts), 1000)).astype(np.int64)) if len(starts) else starts
    )
    first = texts.take(pa.array(np.stack([starts[some], starts[some] + 1]).T.ravel()))
    return Counter(languages(first, np.arange(0, 2 * len(some), 2)).tolist())


def _scan(texts: pa.Array, job: PartJob) -> list[Finding]:
    from lf_bridge.prepare.privacy.second_scan import scan

    privacy = job.settings.privacy
    if privacy.replace == "off" or texts.null_count == len(texts):
        return []
    return scan(texts.fill_null(""), job.allowed, job.key, privacy.allow, privacy.public_hotlines)


def _cut_before_placeholders(texts: pa.Array, starts: Numbers, reason: Numbers, kept: Numbers, cut: Numbers) -> None:
    """Let conversations end before the first answer with a placeholder in it: nobody shall learn to say one."""
    for row in np.flatnonzero(pc.match_substring_regex(texts, PLACEHOLDER.pattern).to_numpy(zero_copy_only=False)):
        unit = int(np.searchsorted(starts, row, "right")) - 1
        place = int(row - starts[unit])
        if place % 2 and place < kept[unit]:
            kept[unit], cut[unit] = place - 1, OF_CONVERSATIONS.index("placeholder")
            if not kept[unit]:
                reason[unit] = cut[unit]


def _clean_and_redact(
    messages: pa.Table, settings: PrepareSettings, key: bytes, clock: _Clock
) -> tuple[pa.Table, dict[str, int]]:
    """The messages with what was in the dataset before (clean already) ahead of what is new."""
    known = numbers(messages, "known")
    old = messages.filter(pa.array(known)) if known.any() else messages.slice(0, 0)
    new = messages.filter(pa.array(~known)) if known.any() else messages
    frame = clean_rows(to_frame(new.append_column("people", find_people(new))), settings.cleaning)
    clock.note("clean")
    redacted: dict[str, int] = {}
    if settings.privacy.replace != "off":
        from lf_bridge.prepare.privacy.redact import Redactor

        frame = redact_rows(frame, Redactor(settings.privacy, key))
        redacted = frame.attrs["redacted"]
    clock.note("redact")
    return pa.concat_tables([old, to_table(frame, messages.schema)]).combine_chunks(), redacted


def _words(reason: Numbers) -> dict[str, int]:
    counts = np.bincount(reason, minlength=len(OF_MESSAGES))
    return {word: int(count) for word, count in zip(OF_MESSAGES[1:], counts[1:], strict=True) if count}


def _starts(owner: Numbers, units: int) -> Numbers:
    return np.searchsorted(owner, np.arange(units)).astype(np.int64)


def _stays(row: int, owner: Numbers, starts: Numbers, kept: Numbers) -> bool:
    return bool(row - starts[owner[row]] < kept[owner[row]])


def _known_units(messages: pa.Table, threaded: Threaded) -> Numbers:
    """Which conversations hold only messages that were in the dataset before."""
    known, said = numbers(messages, "known"), threaded.turn >= 0
    new = np.zeros(threaded.units.num_rows, bool)
    new[numbers(threaded.turns, "unit")[threaded.turn[said & ~known]]] = True
    return ~new & bool(known.any())


def _write(job: PartJob, messages: pa.Table, threaded: Threaded) -> None:
    """The part's turns, its account of every message, and the messages as a later export will find them."""
    write_stream(job.folder / f"turns-{job.number}.arrow", threaded.turns)
    account = {name: messages[name] for name in ("file", "row", "message_id", "changes")}
    account |= {
        "customer": pa.array(threaded.speaker),
        "reason": pa.array(threaded.reason),
        "turn": pa.array(threaded.turn),
        "head": pa.array(threaded.head),
        "conversation": threaded.names.take(pa.array(threaded.owner, mask=threaded.owner < 0)),
    }
    write_stream(job.folder / f"accounts-{job.number}.arrow", pa.table(account))
    store = messages.drop_columns(["kind", "names", "known"])
    write_stream(job.folder / f"store-{job.number}.arrow", store, compressed=True)
