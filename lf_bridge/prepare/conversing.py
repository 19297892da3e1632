"""Step one: read, clean, redact, thread, judge, compare and split, in bounded memory and on all cores.

Messages are spread over parts by the hash of their thread; workers handle the parts, and only what concerns all of
them (duplicates, the split, the limit of the quarantine) is decided here, on a few numbers a conversation.
"""

from __future__ import annotations

import os
import shutil
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from lf_bridge.errors import LfbError
from lf_bridge.prepare.finishing import Finished, FinishJob, finish_part
from lf_bridge.prepare.folder import keep, private_file
from lf_bridge.prepare.parts import PartJob, PartResult, peak_memory, work_part
from lf_bridge.prepare.quality import split
from lf_bridge.prepare.reading import Reading, count_parts, refuse_faults, spread
from lf_bridge.prepare.records import ConversationCounts, Conversations, FileRead, MessageCounts, Report, Stage
from lf_bridge.prepare.settling import Fate, Plan, count_dropped, count_duplicates, decide_fates, findings_of
from lf_bridge.prepare.sources import Source
from lf_bridge.prepare.streams import join_streams, read_stream, write_stream
from lf_bridge.prepare.threads import Numbers, numbers
from lf_bridge.prepare.workers import Workers
from lf_bridge.talk import Talk

Counts = Counter[tuple[str, str | None]]


def build_conversations(
    sources: Sequence[Source],
    warnings: Sequence[str],
    plan: Plan,
    folder: Path,
    work: Path,
    workers: Workers,
    talk: Talk,
) -> Conversations:
    """Do step one and move its files into the folder. Raises ``LfbError`` for raw data that cannot be read or split,
    and for too many conversations with personal data left; nothing has been moved then."""
    started, stages = time.monotonic(), _Stages()
    if count_parts(sum(source.bytes for source in sources)) > 1:
        workers.start()
    reading = _read(sources, plan, work, talk)
    stages.note("read")
    results = _work(workers, reading, plan, work, talk)
    for result in results:
        stages.add(result.seconds)
    stages.skip()
    fate = decide_fates(results, reading, plan, work)
    stages.note("duplicates and split")
    finished = list(workers.map(finish_part, _finish_jobs(results, fate, work)))
    stages.note("finish")
    files = _join(work, folder, reading.parts, results, fate, plan)
    stages.note("join")
    read, counts = _count_files(reading, finished)
    seconds = time.monotonic() - started
    held_out = int(fate.validation[fate.turns > 0].sum())
    alive = int((fate.turns > 0).sum())
    report = Report(
        messages=message_counts(counts),
        conversations=ConversationCounts(
            alive - held_out, held_out, _add([count_dropped(fate.reason), *(result.lost for result in results)])
        ),
        files=read,
        warnings=(*warnings, *reading.warnings, *_fault_lines(reading), *fate.warnings),
        seconds=round(seconds, 3),
        messages_per_second=round(sum(one.read for one in read) / max(seconds, 1e-3)),
        peak_memory_bytes=_memory(results),
        duplicates=count_duplicates(fate.reason),
        redacted=_add([result.redacted for result in results]),
        quarantined=dict(sorted(Counter(reason for reason, _ in findings_of(results)).items())),
        stages=stages.all(),
        languages=_add([result.languages for result in results]),
        turns=_add([one.turns for one in finished]),
        lengths=_add([one.lengths for one in finished]),
    )
    return Conversations(
        folder=folder,
        key=plan.identity,
        public_sample=all(source.public for source in sources) and (plan.before is None or plan.before.public_sample),
        report=report,
        **files,
    )


def message_counts(counts: Counts) -> MessageCounts:
    """The numbers of a ledger, from how often each (state, reason) stands in it."""
    dropped = {str(reason): count for (state, reason), count in sorted(counts.items(), key=str) if state == "dropped"}
    return MessageCounts(sum(counts.values()), counts[("kept", None)], counts[("merged", None)], dropped)


class _Stages:
    def __init__(self) -> None:
        self._seconds: dict[str, float] = {}
        self._since = time.perf_counter()

    def note(self, name: str) -> None:
        since, self._since = self._since, time.perf_counter()
        self.add({name: self._since - since})

    def skip(self) -> None:
        self._since = time.perf_counter()

    def add(self, seconds: Mapping[str, float]) -> None:
        for name, spent in seconds.items():
            self._seconds[name] = self._seconds.get(name, 0.0) + spent

    def all(self) -> tuple[Stage, ...]:
        return tuple(Stage(name, round(spent, 3)) for name, spent in self._seconds.items())


def _read(sources: Sequence[Source], plan: Plan, work: Path, talk: Talk) -> Reading:
    before: Sequence[FileRead] = ()
    old: Sequence[pa.Table] = ()
    if plan.before:
        store = plan.before.folder / plan.before.store
        before, old = plan.before.report.files, [read_stream(store, offset) for offset in plan.before.store_at]
    reading = spread(sources, plan.options, work, plan.key, talk, before, old)
    new = reading.files[len(before) :]
    if not any(file.read for file in new):
        if plan.options.format:
            raise LfbError(
                f"{new[0].path} holds nothing of the format `{plan.options.format}`",
                hint="`lfb formats` lists what each format needs; without --format it is told by itself",
            )
        raise LfbError(f"{new[0].path} has no rows", hint="export it again, or remove it")
    if plan.strict:
        refuse_faults(reading)
    return reading


def _work(workers: Workers, reading: Reading, plan: Plan, work: Path, talk: Talk) -> list[PartResult]:
    jobs = [PartJob(part, work, plan.settings, plan.key, plan.allowed) for part in range(reading.parts)]
    results = []
    with talk.meter("cleaning", "parts") as meter:
        for result in workers.map(work_part, jobs):
            results.append(result)
            meter.update(len(results), len(jobs))
    return results


def _finish_jobs(results: Sequence[PartResult], fate: Fate, work: Path) -> list[FinishJob]:
    jobs, first = [], 0
    for result in results:
        mine = slice(first, first + len(result.reason))
        findings: dict[int, tuple[tuple[str, str], ...]] = {}
        for unit, reason, finding in result.findings:
            findings[unit] = (*findings.get(unit, ()), (reason, finding))
        jobs.append(
            FinishJob(
                result.number,
                work,
                result.units["name"].combine_chunks(),
                numbers(result.units, "customer"),
                result.start,
                fate.reason[mine],
                fate.turns[mine],
                result.cut,
                fate.validation[mine],
                findings,
            )
        )
        first += len(result.reason)
    return jobs


def _join(
    work: Path, folder: Path, parts: int, results: Sequence[PartResult], fate: Fate, plan: Plan
) -> dict[str, Any]:
    """Put the files of the parts together and move them into the folder; returns the fields of ``Conversations``."""
    files: dict[str, Any] = {}
    everyone = pa.concat_tables([result.units for result in results])
    customers = np.where(numbers(everyone, "customer") > 0, numbers(everyone, "customer"), numbers(everyone, "thread"))
    stay = fate.turns > 0
    people, first = np.unique(customers[stay], return_index=True)
    sides = pa.table({"customer": people, "validation": fate.validation[stay][first]})
    write_stream(work / "people.arrows", sides)
    files["people"] = keep(work / "people.arrows", folder, plan.identity)
    _side_preferences(work, results, customers, sides, plan)
    for name, whole in (
        ("turns", "conversations"),
        ("accounts", "messages"),
        ("store", "store"),
        ("preferences", "preferences"),
    ):
        paths = [work / f"{name}-{part}.arrow" for part in range(parts)]
        field = "ledger" if name == "accounts" else name
        files[f"{field}_at"] = tuple(join_streams(paths, work / f"{whole}.arrows"))
        files[field] = keep(work / f"{whole}.arrows", folder, plan.identity)
    with private_file(work / "quarantine.jsonl") as output:
        for part in range(parts):
            with open(work / f"quarantine-{part}.jsonl", "rb") as file:
                shutil.copyfileobj(file, output, 1 << 20)
    there = (work / "quarantine.jsonl").stat().st_size
    files["quarantine"] = keep(work / "quarantine.jsonl", folder, plan.identity) if there else None
    return files


def _side_preferences(
    work: Path, results: Sequence[PartResult], customers: Numbers, sides: pa.Table, plan: Plan
) -> None:
    """Put each judged answer on its customer's side, also of a customer of whom no conversation is kept."""
    known, validation = numbers(sides, "customer"), numbers(sides, "validation")
    place = np.minimum(np.searchsorted(known, customers), len(known) - 1)
    by_hash = split.is_held_out(customers, plan.data.validation_fraction, plan.data.split_seed)
    held_out = np.where(known[place] == customers, validation[place], by_hash)
    first = 0
    for result in results:
        path = work / f"preferences-{result.number}.arrow"
        table = read_stream(path)
        mine = held_out[first + numbers(table, "unit")]
        path.unlink()
        write_stream(path, table.append_column("validation", pa.array(mine)))
        first += len(result.reason)


def _count_files(reading: Reading, finished: Sequence[Finished]) -> tuple[tuple[FileRead, ...], Counts]:
    """The files with what became of their messages, and the same over all of them."""
    each: dict[int, Counter[str]] = {}
    counts: Counts = Counter()
    for one in finished:
        for (number, state, reason), count in one.counts.items():
            each.setdefault(number, Counter())[state] += count
            counts[(state, reason)] += count
    files = []
    for number, file in enumerate(reading.files):
        states = each.get(number, Counter())
        files.append(FileRead(file.path, file.format, file.read, states["kept"], states["merged"], states["dropped"]))
    return tuple(files), counts


def _fault_lines(reading: Reading) -> list[str]:
    named = [f"{fault.where}: {fault.problem}" for fault in reading.faults.first]
    more = sum(reading.faults.counts.values()) - len(named)
    return [*named, *([f"{more} more records cannot be read"] if more else [])]


def _add(counts: Sequence[Mapping[Any, int]]) -> dict[str, int]:
    total: Counter[Any] = Counter()
    for one in counts:
        total.update(one)
    return {str(name): count for name, count in sorted(total.items())}


def _memory(results: Sequence[PartResult]) -> int:
    """The peaks of this process and of each worker together."""
    each: dict[int, int] = {}
    for result in results:
        each[result.process] = max(each.get(result.process, 0), result.peak_memory)
    each[os.getpid()] = peak_memory()
    return sum(each.values())
