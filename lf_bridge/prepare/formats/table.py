"""A raw file as a table of strings, whatever container it comes in."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lf_bridge.errors import LfbError
from lf_bridge.prepare.formats.files import Peek, RowFaults

if TYPE_CHECKING:
    import pyarrow as pa

TABLES = ("csv", "jsonl", "json_array", "parquet", "excel")
_NAME = re.compile(r"\w[\w .-]{0,39}")


@dataclass(frozen=True)
class Table:
    """A file of rows under named columns."""

    peek: Peek

    @property
    def label(self) -> str:
        return self.peek.label

    @property
    def kind(self) -> str:
        return self.peek.kind

    @property
    def columns(self) -> tuple[str, ...]:
        return self.peek.columns

    def batches(self, wanted: Sequence[str], faults: RowFaults) -> Iterator[pa.RecordBatch]:
        """All rows in file order: ``row`` (int64, the 1-based number of the record), ``unreadable`` (bool), then the
        wanted columns as strings, where a missing cell is empty. A row that cannot be read is noted in ``faults`` and
        given with empty cells. Raises ``LfbError`` where the container itself cannot be read."""
        kind = self.peek.kind
        if kind == "csv":
            from lf_bridge.prepare.formats.csv_table import read_csv as read
        elif kind == "parquet":
            from lf_bridge.prepare.formats.parquet_table import read_parquet as read
        elif kind == "excel":
            from lf_bridge.prepare.formats.excel_table import read_excel as read
        else:
            from lf_bridge.prepare.formats.json_files import read_flat as read
        return read(self.peek, wanted, faults)


def open_table(peek: Peek) -> Table:
    """The table in a file; raises ``LfbError`` where the file is none, or two of its columns have one name."""
    if peek.kind not in TABLES or not peek.columns:
        raise LfbError(f"{peek.label} is no table", hint="a table has a header line, or is one JSON object a line")
    twice = [name for name, count in Counter(peek.columns).items() if count > 1 and name]
    if twice:
        # What is no plain name could be somebody's words, where a file has no header line.
        shown = [f"`{name}`" if _NAME.fullmatch(name) else f"no. {peek.columns.index(name) + 1}" for name in twice]
        raise LfbError(
            f"{peek.label} has more than one column {', '.join(shown)}", hint="rename one of them in the export"
        )
    return Table(peek)
