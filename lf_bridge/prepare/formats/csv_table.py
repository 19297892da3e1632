"""Tables with a header line: comma, semicolon or tab between cells, quotes and line breaks inside them."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

import pyarrow as pa
import pyarrow.csv

from lf_bridge.errors import LfbError
from lf_bridge.prepare.formats.table import Table

_BLOCK = 16 << 20


def open_csv(path: Path, label: str) -> Table:
    """The table in a CSV file; raises ``LfbError`` where it has no rows or, while read, where a row is broken."""
    with open(path, encoding="utf-8-sig", newline="") as file:
        head = file.read(1 << 16)
    header = next(line for line in head.splitlines() if line.strip()) if head.strip() else ""
    delimiter = max(",;\t", key=header.count)
    columns = tuple(cell.strip() for cell in next(csv.reader(head.splitlines(keepends=True), delimiter=delimiter), []))
    return Table("csv", label, columns, partial(_batches, path, label, columns, delimiter))


def _batches(
    path: Path, label: str, columns: Sequence[str], delimiter: str, wanted: Sequence[str]
) -> Iterator[pa.RecordBatch]:
    broken: list[str] = []

    def refuse(row: pyarrow.csv.InvalidRow) -> str:
        broken.append(
            f"{label} is broken at row {row.number - 1}: {row.actual_columns} cells under {len(columns)} names"
        )
        return "error"

    cells = [f"c{place}" for place in range(len(columns))]
    try:
        # Arrow's own messages quote the row, so none of them is passed on.
        reader = pyarrow.csv.open_csv(
            path,
            read_options=pyarrow.csv.ReadOptions(
                column_names=cells, skip_rows_after_names=1, block_size=_BLOCK, use_threads=False
            ),
            parse_options=pyarrow.csv.ParseOptions(
                delimiter=delimiter, newlines_in_values=True, invalid_row_handler=refuse
            ),
            convert_options=pyarrow.csv.ConvertOptions(
                column_types=dict.fromkeys(cells, pa.string()),
                include_columns=[cells[list(columns).index(name)] for name in wanted],
                strings_can_be_null=False,
            ),
        )
        for batch in reader:
            yield pa.RecordBatch.from_arrays(batch.columns, names=list(wanted))
    except pa.ArrowInvalid as error:
        reason = f"{label} has a row longer than 16 MB" if "straddling" in str(error) else f"{label} is no valid CSV"
        raise LfbError(
            broken[0] if broken else reason, hint="open it in an editor at that row, or export it again"
        ) from None
