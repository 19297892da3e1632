"""Excel workbooks: all sheets under the same header, one after the other."""

from __future__ import annotations

import datetime
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lf_bridge.errors import LfbError
from lf_bridge.prepare.formats.files import Peek, RowFaults

if TYPE_CHECKING:
    import pyarrow as pa

_ROWS = 20_000


def read_excel(peek: Peek, wanted: Sequence[str], faults: RowFaults) -> Iterator[pa.RecordBatch]:
    """``row``, ``unreadable`` and the wanted columns; rows are counted on from sheet to sheet."""

    chunk: list[list[str]] = []
    done = 0
    for cells in read_sheets(peek.path, peek.label, peek.columns, wanted):
        chunk.append(cells)
        if len(chunk) == _ROWS:
            yield _batch(done, chunk, wanted)
            done, chunk = done + len(chunk), []
    if chunk:
        yield _batch(done, chunk, wanted)


def read_sheets(path: Path, label: str, columns: Sequence[str], wanted: Sequence[str]) -> Iterator[list[str]]:
    """The wanted cells of every row that is not empty, of each sheet whose header holds all ``columns``."""
    for header, rows in _sheets(path, label):
        if not set(columns) <= set(header):
            continue
        places = [header.index(name) for name in wanted]
        for row in rows:
            if any(cell != "" for cell in row):
                yield [as_cell(row[place]) if place < len(row) else "" for place in places]


def find_header(path: Path, label: str) -> tuple[str, ...]:
    """The header of the sheet with the most rows; empty where no sheet has one."""
    found: tuple[str, ...] = ()
    most = 0
    for header, rows in _sheets(path, label):
        if len(rows) > most:
            found, most = header, len(rows)
    return found


def as_cell(value: Any) -> str:
    """A cell as text: ids that Excel keeps as floats without their ``.0``, times as ISO 8601."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    if isinstance(value, datetime.datetime | datetime.date | datetime.time):
        return value.isoformat()
    return str(value)


def _sheets(path: Path, label: str) -> Iterator[tuple[tuple[str, ...], list[list[Any]]]]:
    """Header and rows of each sheet; the header is the first row that holds more than one cell."""
    import python_calamine

    try:
        book = python_calamine.CalamineWorkbook.from_path(path)
        for name in book.sheet_names:
            rows = book.get_sheet_by_name(name).to_python()
            for place, row in enumerate(rows[:20]):
                if sum(cell != "" for cell in row) > 1:
                    yield tuple(as_cell(cell).strip() for cell in row), rows[place + 1 :]
                    break
    except (python_calamine.CalamineError, OSError):
        raise LfbError(
            f"{label} is a damaged or encrypted Excel file", hint="save it again without a password"
        ) from None


def _batch(done: int, chunk: Sequence[Sequence[str]], wanted: Sequence[str]) -> pa.RecordBatch:
    import pyarrow as pa

    rows = pa.array(range(done + 1, done + len(chunk) + 1), pa.int64())
    columns = [pa.array([row[place] for row in chunk], pa.string()) for place in range(len(wanted))]
    unreadable = pa.array([False] * len(chunk))
    return pa.RecordBatch.from_arrays([rows, unreadable, *columns], names=["row", "unreadable", *wanted])
