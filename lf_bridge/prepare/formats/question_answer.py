"""One row a question with its answer: each row is a conversation of two messages, both under the row's number."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import TYPE_CHECKING

from lf_bridge.prepare.formats.files import Format, Peek, RowFaults
from lf_bridge.prepare.formats.plan import Plan, claim_tables, common_columns, mark_unreadable
from lf_bridge.prepare.formats.schema import ROLES, make_batch, or_null

if TYPE_CHECKING:
    import pyarrow as pa

NAME = "question_answer"


def read(peek: Peek, plan: Plan, faults: RowFaults) -> Iterator[pa.RecordBatch]:
    """The messages, question before answer, as batches of ``message_schema``.

    A row is known by its words, not by its place: a file that is renamed or grows keeps its split, and twins
    stay on one side.
    """
    from lf_bridge.prepare.formats.table import open_table

    for batch in open_table(peek).batches(plan.columns, faults):
        yield make_batch(_columns(batch, plan), 2 * batch.num_rows)


def _columns(batch: pa.RecordBatch, plan: Plan) -> dict[str, pa.Array]:
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    said, count = plan.mapping, batch.num_rows
    questions, answers = batch[said.question], batch[said.answer]
    if plan.more is not None:
        more = pc.utf8_trim_whitespace(batch[plan.more])
        both = pc.binary_join_element_wise(questions, more, "\n")
        questions = pc.if_else(pc.equal(pc.binary_length(more), 0), questions, both)
    names = [
        hashlib.blake2b(f"{question}\0{answer}".encode(), digest_size=16).hexdigest()
        for question, answer in zip(questions.to_pylist(), answers.to_pylist(), strict=True)
    ]
    twice = pa.array(np.repeat(np.arange(count), 2))
    alternate = pa.array(np.arange(2 * count) // 2 + count * (np.arange(2 * count) % 2))
    columns = {
        "row": batch["row"],
        "conversation": pa.array(names, pa.string()),
        **common_columns(batch, plan),
    }
    if said.time is not None:
        columns["time"] = plan.times.read(batch[said.time])
    columns = {name: column.take(twice) for name, column in columns.items()}
    nothing = pa.nulls(count, pa.string())
    for name in ("draft", "context"):
        column = getattr(said, name)
        if column is not None:  # of the answer alone
            columns[name] = pa.concat_arrays([nothing, or_null(batch[column])]).take(alternate)
    columns |= {
        "role": pa.array(np.tile(np.array([ROLES.index("customer"), ROLES.index("agent")], np.int8), count)),
        "text": pa.concat_arrays([questions, answers]).take(alternate),
        "single": pa.array(np.ones(2 * count, bool)),
    }
    return mark_unreadable(columns, pa.nulls(2 * count, pa.string()), batch["unreadable"].take(twice))


FORMAT = Format(
    NAME,
    "table or JSON Lines with a question and its answer a row",
    ("question", "answer"),
    "none: told by column names, or by --mapping; Alpaca's as in LLaMA-Factory, data/README.md",
    claim_tables(NAME, read),
)
