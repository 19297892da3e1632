"""What people preferred: answers that were rated (KTO), and a better and a worse answer to one question (DPO, RM).

Rated are an answer with a reward of its own, and the last answer of a conversation that the customer rated or that was
reopened. Pairs are an answer and the draft that a person edited into it, and two answers to the same words of which one
was rated well and one badly. Nothing is taken from conversations in which the second scan found something.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from lf_bridge.prepare.folder import PREFERENCES, private_file
from lf_bridge.prepare.threads import Numbers, column, numbers


def collect(turns: pa.Table, starts: Numbers, units: pa.Table, clean: Numbers) -> pa.Table:
    """The judged answers of a part.

    ``turns`` and ``units`` as in ``threads.Threaded``, ``starts`` the first turn of each conversation, ``clean``
    whether the second scan found nothing in it. One row an answer: unit, prefix (the turns before it), answer, worse
    (what it was preferred to, or null), good (1, -1, or 0 where ``worse`` says it).
    """
    texts, owner = column(turns, "text"), numbers(turns, "unit")
    count = len(texts)
    answers = (np.arange(count) - starts[owner]) % 2 == 1
    last = np.append(owner[1:] != owner[:-1], True) if count else np.zeros(0, bool)
    of_unit = _verdicts(units)
    good = np.where(numbers(turns, "reward") != 0, numbers(turns, "reward"), np.where(last, of_unit[owner], 0))
    draft = column(turns, "draft")
    edited = pc.and_(draft.is_valid(), pc.not_equal(draft, texts)).fill_null(False).to_numpy(zero_copy_only=False)
    usable = answers & clean[owner]
    rated, paired = np.flatnonzero(usable & (good != 0)), np.flatnonzero(usable & edited)
    rows = np.append(rated, paired)
    lengths = rows - starts[owner[rows]]
    offsets = np.append(0, np.cumsum(lengths))
    before = np.arange(offsets[-1]) + np.repeat(starts[owner[rows]] - offsets[:-1], lengths)
    worse = pa.array(np.append(np.full(len(rated), -1), paired), pa.int64())
    return pa.table(
        {
            "unit": owner[rows].astype(np.int32),
            "prefix": pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), texts.take(pa.array(before))),
            "answer": texts.take(pa.array(rows)),
            "worse": draft.take(pc.if_else(pc.less(worse, 0), pa.scalar(None, pa.int64()), worse)),
            "good": pa.array(np.append(good[rated], np.zeros(len(paired))), pa.int8()),
        }
    )


def _verdicts(units: pa.Table) -> Numbers:
    rating, resolved = numbers(units, "rating"), numbers(units, "resolved")
    return np.where((rating < 0) | (resolved < 0), -1, rating)


@dataclass(frozen=True)
class Preference:
    """One judged answer: with ``worse`` a pair, else ``good`` says whether it is to be given."""

    prefix: tuple[str, ...]
    answer: str
    worse: str | None
    good: bool
    validation: bool

    def examples(self) -> list[list[str]]:
        """The conversations that training on it reads, as the texts of their turns."""
        return [[*self.prefix, answer] for answer in (self.answer, self.worse) if answer is not None]


def read_preferences(tables: Iterable[pa.Table]) -> Iterator[Preference]:
    """The judged answers of tables as ``collect`` makes them, with ``validation``; and the pairs that ratings make."""
    rated: dict[tuple[bytes, bool], dict[bool, str]] = {}
    for table in tables:
        for row in (row for batch in table.to_batches(10_000) for row in batch.to_pylist()):
            one = Preference(tuple(row["prefix"]), row["answer"], row["worse"], row["good"] > 0, row["validation"])
            yield one
            if one.worse is None:
                key = blake2b("\0".join(one.prefix).encode(), digest_size=16).digest()
                verdicts = rated.setdefault((key, one.validation), {})
                verdicts.setdefault(one.good, one.answer)
                if len(verdicts) == 2 and verdicts[True] != verdicts[False]:
                    yield replace(one, answer=verdicts[True], worse=verdicts[False])
                    verdicts.clear()


def write_preferences(
    preferences: Iterable[Preference], system: str, answers: Iterator[dict[str, Any]] | None, cutoff: int, work: Path
) -> dict[str, int]:
    """Write ``rated``, ``pairs`` and their validation splits as JSON into the work folder; returns how many each has.

    ``answers`` are what the tokenizer says of each of ``Preference.examples``, in order; what is over the cutoff is
    left out and counted.
    """
    counts = dict.fromkeys(PREFERENCES, 0)
    over = 0
    with ExitStack() as stack:
        outputs = {name: stack.enter_context(private_file(work / f"{name}.json")) for name in PREFERENCES}
        for given in preferences:
            one = given
            if answers is not None:
                told = [next(answers) for _ in given.examples()]
                if max(each["tokens"] for each in told) > cutoff:
                    over += 1
                    continue
                one = _defuse(given, [each["defused"] for each in told])
            name = ("rated" if one.worse is None else "pairs") + ("_validation" if one.validation else "")
            outputs[name].write(b",\n" if counts[name] else b"[\n")
            outputs[name].write(_example(one, system).encode("ascii"))
            counts[name] += 1
        for name, output in outputs.items():
            output.write(b"\n]\n" if counts[name] else b"[]\n")
    return {**counts, **({"over_cutoff": over} if over else {})}


def _defuse(one: Preference, defused: list[dict[str, str]]) -> Preference:
    turns = [{int(turn): text for turn, text in each.items()} for each in defused]
    last = len(one.prefix)
    return replace(
        one,
        prefix=tuple(turns[0].get(place, text) for place, text in enumerate(one.prefix)),
        answer=turns[0].get(last, one.answer),
        worse=one.worse if one.worse is None else turns[1].get(last, one.worse),
    )


def _example(one: Preference, system: str) -> str:
    """One LLaMA-Factory example in ShareGPT: ``kto_tag`` for a rated answer, ``chosen`` and ``rejected`` for a pair."""
    names = ("human", "gpt")
    turns = [{"from": names[place % 2], "value": text} for place, text in enumerate(one.prefix)]
    if one.worse is None:
        answer: dict[str, Any] = {"conversations": [*turns, {"from": "gpt", "value": one.answer}], "kto_tag": one.good}
    else:
        better, worse = ({"from": "gpt", "value": text} for text in (one.answer, one.worse))
        answer = {"conversations": turns, "chosen": better, "rejected": worse}
    return json.dumps({**answer, "system": system})
