"""For any sequence of messages: what comes out alternates, loses no kept word, and the ledger adds up."""

from __future__ import annotations

import csv
import json
import tempfile
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from plain import PLAIN

from lf_bridge.errors import LfbError
from lf_bridge.prepare.fitting import split_pairs
from lf_bridge.prepare.prepare import fit_dataset, prepare_conversations
from lf_bridge.recipe.model import Data
from lf_bridge.talk import Silence

TEXT = st.text(st.characters(codec="utf-8", exclude_categories=("Cc",)) | st.sampled_from("\n\t"), max_size=12)
MESSAGE = st.tuples(
    st.sampled_from(["a", "b", "c", ""]), st.sampled_from(["user", "agent", "system", "?"]), st.integers(0, 5), TEXT
)
WELL_FORMED = [("whole", ("user", "agent")[turn % 2], turn, f"turn {turn} of it") for turn in range(6)]


def prepared(messages: list[tuple[str, str, int, str]]) -> tuple[list[list[str]], list[dict[str, Any]], dict[str, Any]]:
    """The written conversations, the ledger in file order, and the report."""
    with tempfile.TemporaryDirectory() as folder:
        raw, out, data = Path(folder, "log.csv"), Path(folder, "out"), Data()
        with open(raw, "w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file, quoting=csv.QUOTE_ALL)
            writer.writerows([("thread_id", "role", "created_at", "text"), *messages])
        found = prepare_conversations([raw], data, b"key", out, Silence(), settings=PLAIN)
        _, report = fit_dataset(found, data, "qwen", None, None, Silence())
        files = json.loads((out / "dataset.json").read_text())["files"]
        examples = [one for split in ("train", "validation") for one in json.loads((out / files[split]).read_text())]
        for example in examples:
            assert [turn["from"] for turn in example["conversations"]] == ["human", "gpt"] * (
                len(example["conversations"]) // 2
            )
        rows: list[dict[str, Any]] = pq.read_table(out / files["ledger"]).to_pylist()
        texts = [[turn["value"] for turn in example["conversations"]] for example in examples]
        return texts, sorted(rows, key=lambda row: row["row"]), report.to_json()


@settings(deadline=None, max_examples=40)
@given(st.lists(MESSAGE, max_size=25), st.randoms(use_true_random=False))
def test_any_sequence_of_messages(messages: list[tuple[str, str, int, str]], random: Any) -> None:
    others = [("another", "user", 1, "Q"), ("another", "agent", 2, "A")]
    everything = [*messages, *WELL_FORMED, *others]
    random.shuffle(everything)
    texts, ledger, report = prepared(everything)
    assert [text for *_, text in WELL_FORMED] in texts
    assert ["Q", "A"] in texts
    assert all(turns and len(turns) % 2 == 0 and all(turn.strip() for turn in turns) for turns in texts)
    assert len(ledger) == len(everything) == report["messages"]["read"]
    states = [row["state"] for row in ledger]
    assert states.count("kept") == report["messages"]["kept"] == sum(map(len, texts))
    assert states.count("merged") == report["messages"]["merged"]
    assert states.count("dropped") == sum(report["messages"]["dropped"].values())
    assert all((row["state"] == "dropped") == (row["reason"] is not None) for row in ledger)
    said = sorted(piece for turns in texts for turn in turns for piece in turn.split())
    used = zip(everything, ledger, strict=True)
    assert said == sorted(piece for (*_, text), row in used if row["state"] != "dropped" for piece in text.split())


@given(
    st.lists(st.tuples(st.integers(1, 40), st.integers(1, 40)), min_size=1, max_size=20),
    st.integers(0, 20),
    st.integers(1, 120),
)
def test_no_piece_is_over_the_limit_and_only_what_cannot_fit_is_dropped(
    pairs: list[tuple[int, int]], system: int, limit: int
) -> None:
    following, answers = [prompt for prompt, _ in pairs], [answer for _, answer in pairs]
    opening = [prompt + system for prompt in following]
    pieces = split_pairs(opening, following, answers, limit)
    assert [piece == -1 for piece in pieces] == [
        prompt + answer > limit for prompt, answer in zip(opening, answers, strict=True)
    ]
    lengths: dict[int, int] = {}
    for piece, prompt, answer in zip(pieces, following, answers, strict=True):
        lengths[piece] = lengths.get(piece, system) + prompt + answer
    used = sorted(set(pieces) - {-1})
    assert used == list(range(len(used)))
    assert all(lengths[piece] <= limit for piece in used)


def test_too_few_conversations_are_an_error_not_an_empty_split() -> None:
    with pytest.raises(LfbError) as caught:
        prepared(WELL_FORMED)
    assert caught.value.message == "6 messages make 1 usable conversations, and 2 are the least"
