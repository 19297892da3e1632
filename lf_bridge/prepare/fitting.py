"""Step two: fit conversations to a template and tokenizer, and write the examples."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from lf_bridge import process
from lf_bridge.errors import Fault, LfbError
from lf_bridge.handover import Environment
from lf_bridge.prepare.assemble import TEXTS, conversation_starts, sharegpt, write_json
from lf_bridge.prepare.conversing import count_states
from lf_bridge.prepare.folder import private_file
from lf_bridge.prepare.records import ConversationCounts, Conversations
from lf_bridge.prepare.threads import REASONS

_DROPPED = -1


@dataclass(frozen=True)
class Target:
    """What the examples are fitted to."""

    template: str
    tokenizer: str
    environment: Environment
    trust_remote_code: bool


@dataclass(frozen=True)
class Examples:
    """What was written into the work folder: ``train.json``, ``validation.json``, ``ledger.parquet``."""

    train: int
    validation: int
    tokens: int
    states: Counter[tuple[str, str | None]]
    conversations: ConversationCounts


def write_examples(found: Conversations, system: str, cutoff: int, target: Target | None, work: Path) -> Examples:
    """Write the two splits and the final ledger; without a target, conversations go in whole.

    Raises ``LfbError`` for a template that LLaMA-Factory does not know, a tokenizer that does not load, and where the
    cutoff leaves a split empty.
    """
    turns, ledger = (pq.ParquetFile(found.folder / name) for name in (found.turns, found.ledger))
    answers = _ask(turns, system, cutoff, target, work) if target else None
    examples, alive, tokens = [0, 0], [0, 0], 0
    states: Counter[tuple[str, str | None]] = Counter()
    with ExitStack() as stack:
        outputs = [stack.enter_context(private_file(work / f"{split}.json")) for split in ("train", "validation")]
        accounts = stack.enter_context(private_file(work / "ledger.parquet"))
        writer = None
        for group in range(turns.num_row_groups):
            table = turns.read_row_group(group).combine_chunks()
            texts, starts = _flat(table, "text"), conversation_starts(_flat(table, "conversation"))
            example, changed = np.searchsorted(starts, np.arange(len(texts)), "right"), np.zeros(len(texts), bool)
            if answers is not None:
                texts, example, changed, used = _fit(texts, starts, answers, cutoff)
                tokens += used
            held_out = _flat(table, "share").to_numpy() < found.validation_below
            for split, output in enumerate(outputs):
                mine = np.flatnonzero((held_out == bool(split)) & (example != _DROPPED))
                begins = np.flatnonzero(np.diff(example[mine], prepend=_DROPPED))
                made = write_json(texts.take(pa.array(mine)), begins, sharegpt(system))
                if made:
                    output.write((",\n" if examples[split] else "[\n").encode() + ",\n".join(made).encode("ascii"))
                examples[split] += len(made)
                alive[split] += len(np.unique(np.searchsorted(starts, mine, "right")))
            account = _account(ledger.read_row_group(group), example == _DROPPED, changed)
            writer = writer or stack.enter_context(pq.ParquetWriter(accounts, account.schema, compression="zstd"))
            writer.write_table(account, row_group_size=max(1, account.num_rows))
            states.update(count_states(account))
        for output in outputs:
            output.write(b"\n]\n")
    before = found.report.conversations
    lost = before.train + before.validation - sum(alive)
    if not all(examples):
        lacking = "validation" if examples[0] else "training"
        raise LfbError(
            f"no {lacking} conversation fits into {cutoff} tokens", hint="raise `data.cutoff_length` in the recipe"
        )
    dropped = {**before.dropped, **({REASONS[-1]: lost} if lost else {})}
    return Examples(examples[0], examples[1], tokens, states, ConversationCounts(alive[0], alive[1], dropped))


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


def _ask(turns: pq.ParquetFile, system: str, cutoff: int, target: Target, work: Path) -> Iterator[dict[str, Any]]:
    """Have every conversation encoded by LLaMA-Factory; yields one answer each, in order."""
    asked, answered = work / "asked.jsonl", work / "answered.jsonl"
    with private_file(asked) as output:
        for group in range(turns.num_row_groups):
            table = turns.read_row_group(group, columns=["conversation", "text"]).combine_chunks()
            for line in write_json(_flat(table, "text"), conversation_starts(_flat(table, "conversation")), TEXTS):
                output.write(line.encode("ascii") + b"\n")
    private_file(answered).close()
    request = {
        "template": target.template,
        "tokenizer": target.tokenizer,
        "trust_remote_code": target.trust_remote_code,
        "system": system,
        "cutoff_length": cutoff,
        "conversations": str(asked),
        "answers": str(answered),
    }
    answer = process.run_inside(target.environment.python, "fit", request, log=work.parent / "fit.log")
    (work.parent / "fit.log").unlink(missing_ok=True)
    if "near_templates" in answer:
        near = " or ".join(f"`{name}`" for name in answer["near_templates"])
        raise LfbError(
            f"`{target.template}` is no template of LLaMA-Factory",
            faults=[Fault("model.template", f"did you mean {near}?")] if near else (),
            hint="set `model.template` in the recipe to the one your base model was made with",
        )
    if "tokenizer_problem" in answer:
        raise LfbError(
            f"the tokenizer of `{target.tokenizer}` does not load",
            faults=[Fault("model.base", answer["tokenizer_problem"])],
            hint="check `model.base`; without a network it must be a folder or be in the Hub cache (`lfb doctor`)",
        )
    return _lines(answered)


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    with open(path, "rb") as file:
        yield from map(json.loads, file)


def _fit(
    texts: pa.Array, starts: np.ndarray, answers: Iterator[dict[str, Any]], cutoff: int
) -> tuple[pa.Array, np.ndarray, np.ndarray, int]:
    """The texts with special tokens defused, the example of each turn (-1: dropped), which turns changed, tokens."""
    example, changed = np.empty(len(texts), np.int64), np.zeros(len(texts), bool)
    replaced: dict[int, str] = {}
    following_example = tokens = 0
    for start, answer in zip(starts.tolist(), answers, strict=False):
        pairs = len(answer["answers"])
        pieces = [0] * pairs
        if "opening" in answer:
            limit = cutoff - answer["closing"]
            pieces = split_pairs(answer["opening"], answer["prompts"], answer["answers"], limit)
        numbers = [piece if piece == _DROPPED else piece + following_example for piece in pieces]
        example[start : start + 2 * pairs] = np.repeat(numbers, 2)
        following_example = max([following_example, *(number + 1 for number in numbers)])
        tokens += answer["tokens"]
        replaced.update((start + int(turn), text) for turn, text in answer["defused"].items())
    if replaced:
        changed[list(replaced)] = True
        texts = pc.replace_with_mask(texts, pa.array(changed), pa.array([replaced[row] for row in sorted(replaced)]))
    return texts, example, changed, tokens


def _account(ledger: pa.Table, dropped: np.ndarray, changed: np.ndarray) -> pa.Table:
    """The ledger with what fitting did to each message, without the column that only we need."""
    turn = _flat(ledger, "turn").fill_null(-1).to_numpy()
    gone = np.append(dropped, False)[turn]  # the last place answers for -1, a message that is in no turn
    touched = pa.array(np.append(changed, False)[turn] & ~gone)
    text = {name: _flat(ledger, name).cast(pa.string()) for name in ("state", "reason", "changes")}
    news = {
        "state": pc.if_else(pa.array(gone), "dropped", text["state"]).dictionary_encode(),
        "reason": pc.if_else(pa.array(gone), REASONS[-1], text["reason"]).dictionary_encode(),
        "changes": pc.if_else(touched, "defused", text["changes"]),
    }
    for name, column in news.items():
        ledger = ledger.set_column(ledger.schema.get_field_index(name), name, column)
    return ledger.drop_columns(["turn"])


def _flat(table: pa.Table, name: str) -> pa.Array:
    column = table[name]
    return column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
