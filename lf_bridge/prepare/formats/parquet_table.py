"""Parquet files, read row group by row group."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from lf_bridge.errors import LfbError
from lf_bridge.prepare.formats.files import Peek, RowFaults

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq

_ROWS = 20_000


def open_parquet(peek_path: object, label: str) -> pq.ParquetFile:
    """The file, its footer read; raises ``LfbError`` where that is damaged."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return pq.ParquetFile(peek_path)
    except (pa.ArrowInvalid, OSError):
        raise LfbError(f"{label} is a damaged Parquet file", hint="export it again") from None


def read_parquet(peek: Peek, wanted: Sequence[str], faults: RowFaults) -> Iterator[pa.RecordBatch]:
    """``row``, ``unreadable`` and the wanted columns; all rows of a row group that is damaged are unreadable."""
    import numpy as np
    import pyarrow as pa

    file = open_parquet(peek.path, peek.label)
    done = 0
    for group in range(file.num_row_groups):
        rest = file.metadata.row_group(group).num_rows
        try:
            for batch in file.iter_batches(_ROWS, row_groups=[group], columns=list(dict.fromkeys(wanted)) or None):
                cells = [as_cells(batch.column(batch.schema.get_field_index(name))) for name in wanted]
                yield _batch(done, np.zeros(batch.num_rows, bool), cells, wanted)
                done, rest = done + batch.num_rows, rest - batch.num_rows
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError, OSError):
            for row in range(done + 1, done + rest + 1):
                faults.add(peek.label, row, f"row group {group + 1} is damaged")
            yield _batch(done, np.ones(rest, bool), [pa.array([""] * rest, pa.string()) for _ in wanted], wanted)
            done += rest


def as_cells(column: pa.Array) -> pa.Array:
    """Any column as strings, missing values empty; what holds lists or records of its own is empty."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    try:
        return pc.fill_null(column.cast(pa.string()), "")
    except (pa.ArrowNotImplementedError, pa.ArrowInvalid):
        return pa.array([""] * len(column), pa.string())


def _batch(done: int, unreadable: object, cells: Sequence[pa.Array], wanted: Sequence[str]) -> pa.RecordBatch:
    import numpy as np
    import pyarrow as pa

    flags = pa.array(unreadable, pa.bool_())
    rows = pa.array(np.arange(done + 1, done + len(flags) + 1))
    return pa.RecordBatch.from_arrays([rows, flags, *cells], names=["row", "unreadable", *wanted])
