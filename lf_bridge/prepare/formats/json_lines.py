"""JSON Lines: one object a line."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa

from lf_bridge.errors import LfbError
from lf_bridge.prepare.formats.table import Table

_ROWS = 20_000


def open_json_lines(path: Path, label: str) -> Table:
    """The table in a JSON Lines file: its columns are the names in the first 100 objects."""
    names = dict.fromkeys(name for record in islice(_records(path, label), 100) for name in record)
    return Table("jsonl", label, tuple(names), partial(_batches, path, label))


def _batches(path: Path, label: str, wanted: Sequence[str]) -> Iterator[pa.RecordBatch]:
    records = _records(path, label)
    while chunk := list(islice(records, _ROWS)):
        columns = [pa.array([_cell(record.get(name)) for record in chunk], pa.string()) for name in wanted]
        yield pa.RecordBatch.from_arrays(columns, names=list(wanted))


def _records(path: Path, label: str) -> Iterator[dict[str, Any]]:
    with open(path, encoding="utf-8-sig", newline="\n") as file:
        for number, line in enumerate(file, 1):
            if line.isspace():
                continue
            try:
                record = json.loads(line)
            except ValueError:
                record = None
            if not isinstance(record, dict):
                raise LfbError(
                    f"{label} is broken at line {number}: not a JSON object", hint="it must hold one object a line"
                )
            yield record


def _cell(value: Any) -> str:
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode() if not value.isascii() else value
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, int | float) else ""
