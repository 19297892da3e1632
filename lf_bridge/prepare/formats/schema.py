"""What every format makes of its files: one row a message, in columns of the same names."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pyarrow as pa

# ``role`` is an index into ROLES, ``kind`` an index into KINDS.
ROLES = ("customer", "agent", "bot", "system", "note", "unknown")
KINDS = ("text", "html", "email_text", "email_html")
# ``skip``: why the export itself says that a message is no training text. The ledger holds these words.
SKIPS = (
    "unreadable",  # the record could not be read; it stands in the file's faults too
    "internal_note",
    "system_event",
    "automatic_reply",
    "draft",
    "whisper",
    "deleted",
    "tool_action",
    "not_sent",
)
MISSING = -(2**63)
UNREAD = MISSING + 1  # a time is there, in no form that we know
_BATCH = 20_000


def message_schema() -> pa.Schema:
    """The columns of a batch of messages; a format may leave out those after ``text``.

    ``row`` is the 1-based number of the record in its file (several messages may come of one record). ``conversation``
    is the thread's id in the export, null where there is none; with ``cut_by_gap`` it is only a person or a channel,
    and a long silence begins another conversation; with ``single`` the messages of one row are a conversation of their
    own. ``time`` is microseconds since 1970, MISSING or UNREAD. ``names`` are people's names from the record's own
    fields, one a line. ``rating`` and ``resolved`` speak of the conversation (1 good or solved, -1 bad, unsolved or
    reopened, 0 unknown), ``reward`` of this one answer. ``draft`` is what stood there before a person edited it,
    ``context`` the knowledge that this answer relied on.
    """
    import pyarrow as pa

    fields: list[tuple[str, Any]] = [
        ("row", pa.int64()),
        ("conversation", pa.string()),
        ("message_id", pa.string()),
        ("customer", pa.string()),
        ("role", pa.int8()),
        ("time", pa.int64()),
        ("text", pa.string()),
        ("kind", pa.int8()),
        ("skip", pa.string()),
        ("single", pa.bool_()),
        ("cut_by_gap", pa.bool_()),
        ("names", pa.string()),
        ("rating", pa.int8()),
        ("resolved", pa.int8()),
        ("reward", pa.int8()),
        ("draft", pa.string()),
        ("context", pa.string()),
    ]
    return pa.schema(fields)


def make_batch(columns: Mapping[str, pa.Array], count: int) -> pa.RecordBatch:
    """A batch of ``message_schema`` with the columns that are not given filled: null text, zero, false."""
    import numpy as np
    import pyarrow as pa

    schema = message_schema()
    filled = []
    for field in schema:
        if field.name in columns:
            filled.append(columns[field.name].cast(field.type))
        elif pa.types.is_string(field.type):
            filled.append(pa.nulls(count, pa.string()))
        else:
            value = MISSING if field.name == "time" else 0
            filled.append(pa.array(np.full(count, value), pa.int64()).cast(field.type))
    return pa.RecordBatch.from_arrays(filled, schema=schema)


class Rows:
    """Collects messages one by one, for formats that are read record by record, and gives them in batches."""

    def __init__(self) -> None:
        self._rows: list[dict[str, Any]] = []

    def add(self, row: int, text: str, role: str, **more: Any) -> None:
        """Take one message; ``role`` and ``kind`` by name, the rest as in ``message_schema``."""
        more["kind"] = KINDS.index(more.get("kind", "text"))
        self._rows.append({"row": row, "text": text, "role": ROLES.index(role), **more})

    def full(self) -> Iterator[pa.RecordBatch]:
        """A batch where enough has come together; call it after each record."""
        if len(self._rows) >= _BATCH:
            yield from self.rest()

    def rest(self) -> Iterator[pa.RecordBatch]:
        """What is left, as a last batch."""
        import pyarrow as pa

        rows, self._rows = self._rows, []
        if rows:
            names = {name for row in rows for name in row}
            schema = message_schema()
            columns = {}
            for name in names:
                kind = schema.field(name).type
                empty = MISSING if name == "time" else {pa.string(): None, pa.bool_(): False}.get(kind, 0)
                values = [row.get(name) for row in rows]
                columns[name] = pa.array([empty if value is None else value for value in values], kind)
            yield make_batch(columns, len(rows))


def or_null(cells: pa.Array) -> pa.Array:
    """Trimmed ids, null where there is none: an empty cell or the word that a database writes for it."""
    import pyarrow as pa
    import pyarrow.compute as pc

    cells = pc.utf8_trim_whitespace(cells)
    nothing = pc.is_in(cells, pa.array(["", "NULL", "null", "None", "nan", "NaN"]))
    return pc.if_else(nothing, pa.scalar(None, pa.string()), cells)
