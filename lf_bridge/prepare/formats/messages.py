"""One row a message: conversation, role and text, with message id, customer and time where the export has them."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from lf_bridge.prepare.formats.columns import find, refuse, role_of
from lf_bridge.prepare.formats.table import MISSING, ROLES, Table, message_schema

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
            _or_null(cells["conversation"]),
            _or_null(cells["message"]) if "message" in cells else pa.nulls(count, pa.string()),
            _or_null(cells["customer"]) if "customer" in cells else pa.nulls(count, pa.string()),
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


def _or_null(cells: pa.Array) -> pa.Array:
    cells = pc.utf8_trim_whitespace(cells)
    return pc.if_else(pc.equal(cells, ""), pa.scalar(None, pa.string()), cells)


class _Times:
    """Reads the times of one file: numbers (seconds or more finely since 1970), ISO 8601, else the form that reads most
    of its first batch."""

    def __init__(self) -> None:
        self.form: str | None = None

    def read(self, cells: pa.Array) -> pa.Array:
        import pandas as pd

        text = pd.Series(cells.to_pandas(), dtype=object).str.strip()
        numbers = pd.to_numeric(text, errors="coerce").to_numpy(dtype="float64", na_value=np.nan)
        if np.isfinite(numbers).any():
            size = np.nanmax(np.abs(numbers))
            scale = 1e6 if size < 1e11 else 1e3 if size < 1e14 else 1.0 if size < 1e17 else 1e-3
            seen = np.isfinite(numbers)
            return pa.array(np.where(seen, np.where(seen, numbers, 0) * scale, MISSING).astype(np.int64))
        parsed = self._parse(text, "ISO8601")
        if parsed.isna().any() and (text != "").any():
            if self.form is None:
                forms = _forms_of(str(text[text != ""].iloc[0]))
                self.form = min(forms, key=lambda form: self._parse(text, form).isna().sum())
            parsed = parsed.fillna(self._parse(text, self.form))
        stamps = parsed.astype("datetime64[us, UTC]").astype("int64").to_numpy()
        return pa.array(np.where(parsed.isna(), MISSING, stamps))

    def _parse(self, text: Any, form: str) -> Any:
        import pandas as pd

        return pd.to_datetime(text, format=form, errors="coerce", utc=True)


def _forms_of(example: str) -> list[str]:
    """The forms that a time may be written in; month before day where both would do."""
    from pandas.tseries.api import guess_datetime_format

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pandas doubts an order of day and month that the cells then decide
        guesses = [guess_datetime_format(example, dayfirst=dayfirst) for dayfirst in (False, True)]
    return [*filter(None, guesses), "%a %b %d %H:%M:%S %z %Y"]
