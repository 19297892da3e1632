"""Step two: fit conversations to a template and tokenizer, and write the examples."""

from __future__ import annotations

import json
import os
import shutil
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from lf_bridge.errors import LfbError
from lf_bridge.prepare.asking import Target, ask_tokens, read_answers, write_asked
from lf_bridge.prepare.assemble import PLAIN, conversation_starts, sharegpt, write_json
from lf_bridge.prepare.folder import private_file
from lf_bridge.prepare.parts import peak_memory
from lf_bridge.prepare.preferences import Preference, read_preferences, write_preferences
from lf_bridge.prepare.records import ConversationCounts, Conversations, FileRead, Tokens
from lf_bridge.prepare.streams import read_stream, write_stream
from lf_bridge.prepare.threads import column as flat
from lf_bridge.prepare.workers import Workers

SPLITS = ("train", "validation")
_DROPPED = -1
# Ids are all different: looking for repeats among them takes most of the time.
_LEDGER = {"compression": "zstd", "use_dictionary": ["file", "state", "reason", "changes"], "write_statistics": False}


@dataclass(frozen=True)
class Examples:
    """What was written into the work folder: ``train.json``, ``validation.json``, ``ledger.parquet``."""

    train: int
    validation: int
    tokens: Tokens
    states: Counter[tuple[str, str | None]]
    conversations: ConversationCounts
    files: tuple[FileRead, ...]
    preferences: Mapping[str, int]
    peak_memory: int


@dataclass(frozen=True)
class FitJob:
    """One part of the conversations, and where the answers about their tokens are, if they were asked for."""

    number: int
    turns: Path
    turns_at: int
    ledger: Path
    ledger_at: int
    answers: Path | None
    system: str
    cutoff: int
    work: Path


@dataclass(frozen=True)
class _Fitted:
    examples: tuple[int, int]
    alive: tuple[int, int]
    tokens: Tokens
    process: int
    peak_memory: int


def write_examples(
    found: Conversations, system: str, cutoff: int, target: Target | None, work: Path, workers: Workers
) -> Examples:
    """Write the two splits and the final ledger; without a target, conversations go in whole.

    Raises ``LfbError`` for a template that LLaMA-Factory does not know, a tokenizer that does not load, and where the
    cutoff leaves a split empty.
    """
    turns, ledger, parts = found.folder / found.turns, found.folder / found.ledger, len(found.turns_at)
    answers: list[Path | None] = [None] * parts
    judged = found.folder / found.preferences
    if target:
        asked = [*write_asked(turns, found.turns_at, work), _write_judged(judged, found.preferences_at, work)]
        told = ask_tokens(asked, system, cutoff, target, work)
        answers, of_judged = list(told[:-1]), told[-1]
    jobs = [
        FitJob(part, turns, found.turns_at[part], ledger, found.ledger_at[part], answers[part], system, cutoff, work)
        for part in range(parts)
    ]
    examples, alive, tokens = np.zeros(2, int), np.zeros(2, int), np.zeros(3, int)
    counts: Counter[tuple[str, str, str | None]] = Counter()
    memory: dict[int, int] = {}
    names = pa.array([file.path for file in found.report.files], pa.string())
    with ExitStack() as stack:
        outputs = [stack.enter_context(private_file(work / f"{split}.json")) for split in SPLITS]
        accounts = stack.enter_context(private_file(work / "ledger.parquet"))
        writer = None
        for job, fitted in zip(jobs, workers.map(fit_part, jobs), strict=True):
            for split, output in enumerate(outputs):
                piece = work / f"{SPLITS[split]}-{job.number}.json"
                if fitted.examples[split]:
                    output.write(b",\n" if examples[split] else b"[\n")
                    with open(piece, "rb") as file:
                        shutil.copyfileobj(file, output, 1 << 20)
                piece.unlink()
            table = read_stream(work / f"ledger-{job.number}.arrow")
            place = table.schema.get_field_index("file")
            label = pa.DictionaryArray.from_arrays(flat(table, "file"), names)
            table = table.set_column(place, "file", label)
            writer = writer or stack.enter_context(pq.ParquetWriter(accounts, table.schema, **_LEDGER))
            writer.write_table(table, row_group_size=max(1, table.num_rows))
            counts.update(_count(table))
            examples += fitted.examples
            alive += fitted.alive
            tokens += (fitted.tokens.total, fitted.tokens.trained, fitted.tokens.over_cutoff)
            memory[fitted.process] = max(memory.get(fitted.process, 0), fitted.peak_memory)
        for output in outputs:
            output.write(b"\n]\n")
    preferences = write_preferences(
        _read_judged(judged, found.preferences_at), system, read_answers(of_judged) if target else None, cutoff, work
    )
    before = found.report.conversations
    lost = before.train + before.validation - int(alive.sum())
    if not all(examples):
        lacking = "validation" if examples[0] else "training"
        raise LfbError(
            f"no {lacking} conversation fits into {cutoff} tokens", hint="raise `data.cutoff_length` in the recipe"
        )
    dropped = {**before.dropped, **({"over_cutoff": lost} if lost else {})}
    memory[os.getpid()] = peak_memory()
    states: Counter[tuple[str, str | None]] = Counter()
    for (_, state, reason), count in counts.items():
        states[state, reason] += count
    return Examples(
        int(examples[0]),
        int(examples[1]),
        Tokens(*tokens.tolist()),
        states,
        ConversationCounts(int(alive[0]), int(alive[1]), dropped),
        _files(found.report.files, counts),
        preferences,
        sum(memory.values()),
    )


def fit_part(job: FitJob) -> _Fitted:
    """Write a part's examples of each split and its final ledger."""
    table = read_stream(job.turns, job.turns_at).combine_chunks()
    texts, starts = flat(table, "text"), conversation_starts(flat(table, "conversation"))
    example, changed = np.searchsorted(starts, np.arange(len(texts)), "right"), np.zeros(len(texts), bool)
    tokens = Tokens()
    if job.answers is not None:
        texts, example, changed, tokens = _fit(texts, starts, read_answers(job.answers), job.cutoff)
    held_out = flat(table, "validation").to_numpy(zero_copy_only=False)
    examples, alive = [0, 0], [0, 0]
    for split, name in enumerate(SPLITS):
        mine = np.flatnonzero((held_out == bool(split)) & (example != _DROPPED))
        begins = np.flatnonzero(np.diff(example[mine], prepend=_DROPPED))
        made = write_json(texts.take(pa.array(mine)), begins, sharegpt(job.system))
        with private_file(job.work / f"{name}-{job.number}.json") as output:
            output.write(",\n".join(made).encode("ascii"))
        examples[split] = len(made)
        alive[split] = len(np.unique(np.searchsorted(starts, mine, "right")))
    ledger = read_stream(job.ledger, job.ledger_at)
    write_stream(job.work / f"ledger-{job.number}.arrow", _account(ledger, example == _DROPPED, changed))
    return _Fitted((examples[0], examples[1]), (alive[0], alive[1]), tokens, os.getpid(), peak_memory())


def _count(ledger: pa.Table) -> Counter[tuple[str, str, str | None]]:
    grouped = ledger.select(["file", "state", "reason"]).group_by(["file", "state", "reason"])
    rows = grouped.aggregate([([], "count_all")]).to_pylist()
    return Counter({(row["file"], row["state"], row["reason"]): row["count_all"] for row in rows})


def _files(files: Sequence[FileRead], counts: Counter[tuple[str, str, str | None]]) -> tuple[FileRead, ...]:
    """The files with what became of their messages in the end."""
    each: Counter[tuple[str, str]] = Counter()
    for (file, state, _), count in counts.items():
        each[file, state] += count
    return tuple(
        replace(
            file, kept=each[file.path, "kept"], merged=each[file.path, "merged"], dropped=each[file.path, "dropped"]
        )
        for file in files
    )


def split_pairs(opening: Sequence[int], following: Sequence[int], answers: Sequence[int], limit: int) -> list[int]:
    """Which piece each (prompt, answer) pair goes into, counted from 0, so that no piece is over ``limit`` tokens.

    A prompt takes ``opening`` tokens where it begins a piece (the system prompt is before it) and ``following`` within
    one. A pair too long for a piece of its own gets -1, and what follows it begins a new piece.
    """
    pieces: list[int] = []
    piece, length = -1, limit + 1
    for open_tokens, follow_tokens, answer in zip(opening, following, answers, strict=True):
        if length + follow_tokens + answer <= limit:
            length += follow_tokens + answer
        elif open_tokens + answer <= limit:
            piece, length = piece + 1, open_tokens + answer
        else:
            pieces.append(_DROPPED)
            length = limit + 1
            continue
        pieces.append(piece)
    return pieces


def _write_judged(path: Path, offsets: Sequence[int], work: Path) -> Path:
    asked = work / "asked-judged.jsonl"
    with private_file(asked) as output:
        for one in _read_judged(path, offsets):
            output.writelines(json.dumps(example).encode("ascii") + b"\n" for example in one.examples())
    return asked


def _read_judged(path: Path, offsets: Sequence[int]) -> Iterator[Preference]:
    return read_preferences(read_stream(path, offset) for offset in offsets)


def _fit(
    texts: pa.Array, starts: np.ndarray, answers: Iterator[dict[str, Any]], cutoff: int
) -> tuple[pa.Array, np.ndarray, np.ndarray, Tokens]:
    """The texts with special tokens defused, the example of each turn (-1: dropped), which turns changed, tokens."""
    example, changed = np.empty(len(texts), np.int64), np.zeros(len(texts), bool)
    replaced: dict[int, str] = {}
    following_example = total = trained = over = 0
    for start, answer in zip(starts.tolist(), answers, strict=False):
        pairs = len(answer["answers"])
        pieces = [0] * pairs
        if "opening" in answer:
            limit = cutoff - answer["closing"]
            pieces = split_pairs(answer["opening"], answer["prompts"], answer["answers"], limit)
        numbers = [piece if piece == _DROPPED else piece + following_example for piece in pieces]
        example[start : start + 2 * pairs] = np.repeat(numbers, 2)
        following_example = max([following_example, *(number + 1 for number in numbers)])
        fits, spent = np.asarray(pieces) != _DROPPED, np.asarray(answer["answers"])
        trained += int(spent[fits].sum())
        if "opening" in answer:
            begins = np.diff(pieces, prepend=_DROPPED) != 0
            prompts = np.where(begins, answer["opening"], answer["prompts"])
            total += int((spent + prompts)[fits].sum() + answer["closing"] * (begins & fits).sum())
        else:
            total += answer["tokens"]
        over += "opening" in answer
        replaced.update((start + int(turn), text) for turn, text in answer["defused"].items())
    if replaced:
        changed[list(replaced)] = True
        texts = pc.replace_with_mask(texts, pa.array(changed), pa.array([replaced[row] for row in sorted(replaced)]))
    return texts, example, changed, Tokens(total, trained, over)


def _account(ledger: pa.Table, dropped: np.ndarray, changed: np.ndarray) -> pa.Table:
    """The ledger with what fitting did to each message, without the column that only we need."""
    turn = flat(ledger, "turn").fill_null(-1).to_numpy()
    gone = np.append(dropped, False)[turn]  # the last place answers for -1, a message that is in no turn
    touched = pa.array(np.append(changed, False)[turn] & ~gone)
    text = {name: flat(ledger, name).cast(pa.string()) for name in ("state", "reason", "changes")}
    news = {
        "state": pc.if_else(pa.array(gone), "dropped", text["state"]).dictionary_encode(),
        "reason": pc.if_else(pa.array(gone), "over_cutoff", text["reason"]).dictionary_encode(),
        "changes": pc.if_else(touched, _defused(text["changes"]), text["changes"]),
    }
    for name, column in news.items():
        ledger = ledger.set_column(ledger.schema.get_field_index(name), name, column)
    return ledger.drop_columns(["turn"])


def _defused(changes: pa.Array) -> pa.Array:
    """What happened to messages before, and now this."""
    again = pc.match_substring(changes, "defused").fill_null(False)
    return pc.if_else(again, changes, pc.binary_join_element_wise(changes, "defused", "+", null_handling="skip"))


def write_training_texts(found: Conversations, path: Path) -> None:
    """The training split as JSON Lines: a list of {"role", "content"} a conversation."""
    with private_file(path) as output:
        for offset in found.turns_at:
            table = read_stream(found.folder / found.turns, offset)
            table = table.filter(pc.invert(table["validation"]))
            begins = conversation_starts(flat(table, "conversation"))
            lines = write_json(flat(table, "text"), begins, PLAIN)
            output.writelines(f"{line}\n".encode("ascii") for line in lines)
