"""One row a message: conversation, role and text, with message id, customer and time where the export has them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa

from lf_bridge.prepare.formats.columns import find, refuse, role_of
from lf_bridge.prepare.formats.table import MISSING, ROLES, UNREAD, Table, message_schema, or_null

_NEEDED = ("text", "conversation", "role")


def fits(table: Table) -> bool:
    """Whether this table holds one message a row."""
    return all(find(table.columns, meaning) for meaning in _NEEDED)


def complain(table: Table) -> Exception:
    """What is missing for one message a row."""
    return refuse(table.label, table.columns, [one for one in _NEEDED if not find(table.columns, one)])


def read(table: Table) -> Iterator[pa.RecordBatch]:
    """The messages, in file order, as batches of ``message_schema``."""
    chosen = {
        meaning: found[0]
        for meaning in ("text", "conversation", "message", "customer", "time")
        if (found := find(table.columns, meaning))
    }
    chosen["role"] = _role_column(table)
    times, row = _Times(), 0
    for batch in table.batches(list(chosen.values())):
        cells = dict(zip(chosen, batch.columns, strict=True))
        count = batch.num_rows
        columns = [
            pa.array(np.arange(row + 1, row + count + 1)),
            or_null(cells["conversation"]),
            or_null(cells["message"]) if "message" in cells else pa.nulls(count, pa.string()),
            or_null(cells["customer"]) if "customer" in cells else pa.nulls(count, pa.string()),
            _roles(cells["role"], chosen["role"]),
            times.read(cells["time"]) if "time" in cells else pa.array(np.full(count, MISSING)),
            pa.array(np.zeros(count, bool)),
            cells["text"],
        ]
        yield pa.RecordBatch.from_arrays(columns, schema=message_schema())
        row += count


def _role_column(table: Table) -> str:
    """Of several columns that could hold the role, the one whose cells we understand most of."""
    candidates = find(table.columns, "role")
    if len(candidates) == 1:
        return candidates[0]
    head = next(table.batches(candidates), None)
    if head is None:
        return candidates[0]
    known = [
        sum(role_of(cell, name) != "unknown" for cell in column.slice(0, 1000).to_pylist())
        for name, column in zip(candidates, head.columns, strict=True)
    ]
    return candidates[known.index(max(known))]


def _roles(cells: pa.Array, column: str) -> pa.Array:
    coded = cells.dictionary_encode()
    meaning = pa.array([ROLES.index(role_of(value, column)) for value in coded.dictionary.to_pylist()], pa.int8())
    return meaning.take(coded.indices)


class _Times:
    """Reads the times of one file, cell by cell: numbers (seconds or more finely since 1970), ISO 8601, else the form
    that reads most of the first cells in another form; month before day where both do."""

    def __init__(self) -> None:
        self.form: str | None = None

    def read(self, cells: pa.Array) -> pa.Array:
        import pandas as pd

        text = pd.Series(cells.to_pandas(), dtype=object).str.strip()
        empty = (text == "").to_numpy(dtype=bool, na_value=True)
        numbers = pd.to_numeric(text, errors="coerce").to_numpy(dtype="float64", na_value=np.nan)
        seen = np.isfinite(numbers) & (np.abs(numbers) < 1e20)
        if 2 * seen.sum() < (~empty).sum():
            seen[:] = False  # a stray number among dates is not a time
        parsed = _parse(text.where(~seen), "ISO8601")
        other = ~seen & ~empty & parsed.isna().to_numpy()
        if other.any():
            if self.form is None:
                some = text[other].head(500)
                self.form = min(_FORMS, key=lambda form: _parse(some, form).isna().sum())
            parsed = parsed.fillna(_parse(text.where(other), self.form))
        unread = parsed.isna().to_numpy()
        stamps = np.where(unread, UNREAD, parsed.astype("datetime64[us, UTC]").astype("int64").to_numpy())
        size = np.nanmax(np.abs(numbers[seen]), initial=0)
        scale = 1e6 if size < 1e11 else 1e3 if size < 1e14 else 1.0 if size < 1e17 else 1e-3
        stamps[seen] = (numbers[seen] * scale).astype(np.int64)
        stamps[empty] = MISSING
        return pa.array(stamps)


def _parse(text: Any, form: str) -> Any:
    import pandas as pd

    return pd.to_datetime(text, format=form, errors="coerce", utc=True)


_CLOCKS = ("%H:%M:%S", "%H:%M", "%I:%M:%S %p", "%I:%M %p")
_DAYS = ("%m/%d/%Y", "%d/%m/%Y", "%m/%d/%y", "%d/%m/%y", "%d.%m.%Y", "%d.%m.%y", "%m-%d-%Y", "%d-%m-%Y", "%Y/%m/%d")
_FORMS = (
    *(f"{day}{between}{clock}" for day in _DAYS for between in (" ", ", ") for clock in _CLOCKS),
    *_DAYS,
    "%a %b %d %H:%M:%S %z %Y",
    "%b %d, %Y %I:%M %p",
    "%d %b %Y %H:%M:%S",
    "%a, %d %b %Y %H:%M:%S %z",
)
