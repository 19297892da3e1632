"""A raw file as a table of strings, whatever container it comes in."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True)
class Table:
    """``batches`` yields record batches of the asked-for columns, all strings, missing cells empty, in file order."""

    kind: str
    label: str
    columns: tuple[str, ...]
    batches: Callable[[Sequence[str]], Iterator[pa.RecordBatch]]


# What each layout makes of a table. ``row`` is the 1-based record number; ``role`` is an index into ROLES; ``time`` is
# microseconds since 1970, MISSING where there is none; ``single`` marks rows that are a conversation of their own.
ROLES = ("customer", "agent", "system", "unknown")
MISSING = -(2**63)
UNREAD = MISSING + 1  # a time is there, in no form that we know


def message_schema() -> pa.Schema:
    """The columns of a batch of messages."""
    import pyarrow as pa

    fields: list[tuple[str, Any]] = [
        ("row", pa.int64()),
        ("conversation", pa.string()),
        ("message_id", pa.string()),
        ("customer", pa.string()),
        ("role", pa.int8()),
        ("time", pa.int64()),
        ("single", pa.bool_()),
        ("text", pa.string()),
    ]
    return pa.schema(fields)


def or_null(cells: pa.Array) -> pa.Array:
    """Trimmed ids, null where there is none: an empty cell or the word that a database writes for it."""
    import pyarrow as pa
    import pyarrow.compute as pc

    cells = pc.utf8_trim_whitespace(cells)
    nothing = pc.is_in(cells, pa.array(["", "NULL", "null", "None", "nan", "NaN"]))
    return pc.if_else(nothing, pa.scalar(None, pa.string()), cells)
