"""One row a question with its answer: each row is a conversation of two messages, both under the row's number."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

import numpy as np
import pyarrow as pa

from lf_bridge.prepare.formats.columns import find
from lf_bridge.prepare.formats.table import MISSING, Table, message_schema, or_null


def fits(table: Table) -> bool:
    """Whether this table holds a question and an answer a row."""
    return all(find(table.columns, meaning) for meaning in ("question", "answer"))


def read(table: Table) -> Iterator[pa.RecordBatch]:
    """The messages, question before answer, as batches of ``message_schema``.

    A row is known by its words, not by its place: a file that is renamed or grows keeps its split, and twins
    stay on one side.
    """
    chosen = {
        meaning: found[0]
        for meaning in ("question", "answer", "message", "customer")
        if (found := find(table.columns, meaning))
    }
    row = 0
    for batch in table.batches(list(chosen.values())):
        cells = dict(zip(chosen, batch.columns, strict=True))
        count = batch.num_rows
        questions, answers = cells["question"].to_pylist(), cells["answer"].to_pylist()
        names = [
            hashlib.blake2b(f"{question}\0{answer}".encode(), digest_size=16).hexdigest()
            for question, answer in zip(questions, answers, strict=True)
        ]
        both = pa.array(np.repeat(np.arange(count), 2))
        nothing = pa.nulls(count, pa.string())
        columns = [
            pa.array(np.repeat(np.arange(row + 1, row + count + 1), 2)),
            pa.array(names, pa.string()).take(both),
            or_null(cells.get("message", nothing)).take(both),
            or_null(cells.get("customer", nothing)).take(both),
            pa.array(np.tile(np.array([0, 1], np.int8), count)),
            pa.array(np.full(2 * count, MISSING)),
            pa.array(np.ones(2 * count, bool)),
            pa.array([text for pair in zip(questions, answers, strict=True) for text in pair], pa.string()),
        ]
        yield pa.RecordBatch.from_arrays(columns, schema=message_schema())
        row += count
