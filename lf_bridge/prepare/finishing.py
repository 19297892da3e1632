"""A part once its conversations' fates are known: turns and account as they stay, and the quarantine."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from lf_bridge.prepare.folder import private_file
from lf_bridge.prepare.hashes import hex_names
from lf_bridge.prepare.parts import OF_CONVERSATIONS
from lf_bridge.prepare.rows import CHANGES
from lf_bridge.prepare.streams import read_stream, write_stream
from lf_bridge.prepare.threads import OF_MESSAGES, Numbers, column, numbers

STATES = ("kept", "merged", "dropped")
# Every word that the ledger can give as a reason; the last is said when conversations are fitted to a tokenizer.
REASONS = (*OF_MESSAGES, *OF_CONVERSATIONS[1:], "over_cutoff")
LENGTHS = (20, 50, 100, 200, 500, 1000, 2000, 1_000_000)


@dataclass(frozen=True)
class FinishJob:
    """One part and what was decided: for each conversation ``reason`` (index into OF_CONVERSATIONS), ``turns`` (how
    many stay), ``cut`` (why not the others), ``validation``, and ``findings`` by conversation; ``names`` and
    ``customers`` as in ``units``."""

    number: int
    folder: Path
    names: pa.Array
    customers: Numbers
    start: Numbers
    reason: Numbers
    turns: Numbers
    cut: Numbers
    validation: Numbers
    findings: Mapping[int, tuple[tuple[str, str], ...]]


@dataclass(frozen=True)
class Finished:
    """What a part comes to: how often (file, state, reason) stands in its ledger, and the shape of what is written."""

    counts: Counter[tuple[int, str, str | None]]
    turns: Counter[int]
    lengths: Counter[int]


def finish_part(job: FinishJob) -> Finished:
    """Write the part's final ``turns`` and ``accounts``, and its lines of ``quarantine``."""
    turns_path, accounts_path = (job.folder / f"{name}-{job.number}.arrow" for name in ("turns", "accounts"))
    turns, account = read_stream(turns_path), read_stream(accounts_path)
    unit = numbers(turns, "unit")
    _write_quarantine(job, column(turns, "text"))
    stays = np.arange(len(unit)) - job.start[unit] < job.turns[unit]
    rows = np.flatnonzero(stays)
    owner = unit[rows]
    kept = pa.table(
        {
            "conversation": job.names.take(pa.array(owner)),
            "customer": _customers(job.customers[owner]),
            "validation": job.validation[owner],
            **{name: column(turns, name).take(pa.array(rows)) for name in ("text", "reward", "draft")},
        }
    )
    ledger = _account(account, unit, stays, job)
    texts, starts = column(kept, "text"), np.flatnonzero(np.diff(owner, prepend=-1))
    for path, table in ((turns_path, kept), (accounts_path, ledger)):
        path.unlink()
        write_stream(path, table)
    sizes = np.diff(np.append(starts, len(owner)))
    lengths = pc.utf8_length(texts).to_numpy()[1::2]
    return Finished(
        _count(ledger),
        Counter(sizes.tolist()),
        Counter(np.asarray(LENGTHS)[np.searchsorted(LENGTHS, np.minimum(lengths, LENGTHS[-1]))].tolist()),
    )


def _account(account: pa.Table, unit: Numbers, stays: Numbers, job: FinishJob) -> pa.Table:
    """One row a message: its state and reason in words, and the row of its turn among those that stay."""
    turn, reason = numbers(account, "turn"), numbers(account, "reason").astype(np.int16)
    said = turn >= 0
    of_unit = job.reason[unit]
    cut = np.where(of_unit > 0, of_unit, job.cut[unit])
    lost = said & ~np.append(stays, False)[turn]
    reason[lost] = len(OF_MESSAGES) - 1 + np.append(cut, 0)[turn[lost]]
    row = np.append(np.cumsum(stays) - 1, -1)[turn]
    state = np.where(reason > 0, 2, np.where(numbers(account, "head"), 0, 1))
    return pa.table(
        {
            "file": account["file"],
            "row": account["row"],
            "message_id": account["message_id"],
            "customer": _customers(numbers(account, "customer")),
            "state": pa.array(STATES).take(pa.array(state)).dictionary_encode(),
            "reason": pa.array([word or None for word in REASONS]).take(pa.array(reason)).dictionary_encode(),
            "conversation": account["conversation"],
            "changes": _changes(numbers(account, "changes")),
            "turn": pa.array(np.where(reason == 0, row, -1)),
        }
    )


def _changes(bits: Numbers) -> pa.Array:
    """What happened to each message's words, in words: ``html+redacted``."""
    distinct, codes = np.unique(bits, return_inverse=True)
    words = ["+".join(name for place, name in enumerate(CHANGES) if one >> place & 1) for one in distinct.tolist()]
    return pa.array([word or None for word in words], pa.string()).take(pa.array(codes)).dictionary_encode()


def _customers(hashes: Numbers) -> pa.Array:
    return pc.if_else(pa.array(hashes > 0), hex_names(hashes), pa.scalar(None, pa.string()))


def _count(ledger: pa.Table) -> Counter[tuple[int, str, str | None]]:
    plain = ledger.select(["file", "state", "reason"])
    grouped = plain.group_by(["file", "state", "reason"]).aggregate([([], "count_all")])
    return Counter({(row["file"], row["state"], row["reason"]): row["count_all"] for row in grouped.to_pylist()})


def _write_quarantine(job: FinishJob, texts: pa.Array) -> None:
    with private_file(job.folder / f"quarantine-{job.number}.jsonl") as output:
        ends = np.append(job.start[1:], len(texts))
        for unit, findings in sorted(job.findings.items()):
            words = texts.slice(job.start[unit], ends[unit] - job.start[unit]).to_pylist()
            record = {"conversation": job.names[unit].as_py(), "findings": findings, "turns": words}
            output.write(json.dumps(record).encode("ascii") + b"\n")
