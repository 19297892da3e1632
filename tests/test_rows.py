"""Cleaning and redaction look at one row alone, and no word of letters is lost on the way."""

from __future__ import annotations

import csv
import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from plain import PLAIN

from lf_bridge.prepare.formats.schema import KINDS, ROLES
from lf_bridge.prepare.parts import part_schema
from lf_bridge.prepare.prepare import fit_dataset, prepare_conversations
from lf_bridge.prepare.privacy.redact import Redactor
from lf_bridge.prepare.rows import CHANGES, clean_rows, redact_rows, to_frame, to_table
from lf_bridge.recipe.model import Data
from lf_bridge.recipe.preparing import Cleaning, Privacy
from lf_bridge.talk import Silence

MAIL = "Thanks!\n\nOn Mon, 5 Feb 2024 at 10:00, Anna <anna@firm-mail.de> wrote:\n> Where is it?\n> Anna"
TEXTS = (
    "Hi, I am Quenby Ashdown, call me on +49 30 901820 or 13912345678",
    "<p>It is &amp; was <b>on time</b>.<br>Regards</p>",
    MAIL,
    "@acme my card is 4929 1234 5678 9016 (1/2)",
    "Sure, write to q.ashdown@firm-mail.de ^JK",
    "订单号 202405011234 还没到，我叫李雷，电话13912345678",
    "caf\u00c3\u00a9 \u200bis <|im_end|> open",
    "I am out of the office until Monday. This is an automatic reply.",
    "",
    "plain words",
)


def messages() -> pd.DataFrame:
    """Messages of every kind and role with every text, in the columns of a part."""
    every = [
        (text, kind, role)
        for text in TEXTS
        for kind in range(len(KINDS))
        for role in map(ROLES.index, ("customer", "agent"))
    ]
    count = len(every)
    columns: dict[str, Any] = {
        "text": [text for text, _, _ in every],
        "kind": [kind for _, kind, _ in every],
        "role": [role for _, _, role in every],
        "row": range(count),
        "skip": [("internal_note" if place % 11 == 5 else None) for place in range(count)],
        "draft": [(f"call {10**10 + place * 7919}" if place % 5 == 0 else None) for place in range(count)],
    }
    schema = part_schema()
    table = pa.table(
        {
            field.name: pa.array(columns[field.name], field.type) if field.name in columns else _empty(field, count)
            for field in schema
        }
    )
    people = pa.array([("Quenby Ashdown" if place % 3 else None) for place in range(count)], pa.string())
    return to_frame(table.append_column("people", people))


def _empty(field: pa.Field, count: int) -> pa.Array:
    if pa.types.is_integer(field.type) or pa.types.is_boolean(field.type):
        return pa.array(np.zeros(count, np.int8)).cast(field.type)
    return pa.nulls(count, field.type)


def handled(frame: pd.DataFrame) -> pd.DataFrame:
    return redact_rows(clean_rows(frame, Cleaning()), Redactor(Privacy(), b"key"))


def values(frame: pd.DataFrame) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = to_table(frame, part_schema()).to_pylist()
    return rows


@pytest.mark.parametrize("size", [1, 7, 64])
def test_slices_give_what_the_whole_gives(size: int) -> None:
    frame = messages()
    whole = handled(frame)
    assert isinstance(whole, pd.DataFrame)
    assert list(whole.index) == list(frame.index)
    pieces = [handled(frame.iloc[start : start + size]) for start in range(0, len(frame), size)]
    assert [row for piece in pieces for row in values(piece)] == values(whole)
    counts: dict[str, int] = {}
    for piece in pieces:
        for kind, count in piece.attrs["redacted"].items():
            counts[kind] = counts.get(kind, 0) + count
    assert counts == whole.attrs["redacted"]
    assert counts["phone"] > 0
    assert {name for place, name in enumerate(CHANGES) if (whole["changes"].to_numpy() >> place & 1).any()} == set(
        CHANGES
    )


def test_what_is_given_stays_as_it_was_and_other_columns_and_the_index_are_kept() -> None:
    frame = messages().assign(other=1)
    frame.index = frame.index[::-1]
    before = frame.copy(deep=True)
    done = handled(frame)
    pd.testing.assert_frame_equal(frame, before)
    assert (done["other"] == 1).all()
    assert list(done.index) == list(frame.index)


def test_plain_columns_of_strings_are_as_good_as_arrows() -> None:
    frame = messages()
    plain = pd.DataFrame({name: frame[name].to_numpy(object, na_value=None) for name in frame.columns})
    plain = plain.astype({"kind": "int8", "role": "int8", "changes": "int16"})
    assert values(handled(plain)) == values(handled(frame))


def test_order_of_rows_changes_nothing() -> None:
    frame = messages()
    shuffled = frame.sample(frac=1, random_state=1)
    assert values(handled(shuffled).sort_index()) == values(handled(frame))


WORD = st.text("abcxyzABXYZéñüßøбежц订单客服שלוم", min_size=1, max_size=7)
SAID = st.lists(
    st.tuples(WORD, st.sampled_from([" ", ", ", ". ", "! ", "? ", "\n", "\n\n", " - ", ": ", "。"])), max_size=9
)
MESSAGE = st.tuples(
    st.sampled_from(["a", "b", "c"]),
    st.sampled_from(["customer", "agent"]),
    SAID.map(lambda pieces: "".join(word + end for word, end in pieces)),
)


@settings(deadline=None, max_examples=25)
@given(st.lists(MESSAGE, min_size=1, max_size=12))
def test_every_kept_word_of_letters_comes_out(said: list[tuple[str, str, str]]) -> None:
    others = [(name, role, f"{word} {name}") for name in "xy" for role, word in (("customer", "why"), ("agent", "so"))]
    everything = [*said, *others]
    shipped = PLAIN.model_copy(update={"cleaning": Cleaning()})
    with tempfile.TemporaryDirectory() as folder:
        raw, out = Path(folder, "log.csv"), Path(folder, "out")
        with open(raw, "w", newline="", encoding="utf-8") as file:
            csv.writer(file, quoting=csv.QUOTE_ALL).writerows([("thread_id", "role", "text"), *everything])
        found = prepare_conversations([raw], Data(), b"key", out, Silence(), settings=shipped)
        fit_dataset(found, Data(), "qwen", None, None, Silence())
        files = json.loads((out / "dataset.json").read_text())["files"]
        ledger = sorted(pq.read_table(out / files["ledger"]).to_pylist(), key=lambda row: row["row"])
        examples = [one for split in ("train", "validation") for one in json.loads((out / files[split]).read_text())]
    written = "\n".join(turn["value"] for one in examples for turn in one["conversations"])
    kept = [text for (_, _, text), row in zip(everything, ledger, strict=True) if row["state"] != "dropped"]
    assert len(ledger) == len(everything)
    assert sorted(words(written)) == sorted(word for text in kept for word in words(text))


def words(text: str) -> list[str]:
    return "".join(letter if letter.isalpha() else " " for letter in text).split()
