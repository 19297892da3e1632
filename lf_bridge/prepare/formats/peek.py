"""What a file is, told from its beginning."""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any

from lf_bridge.errors import LfbError
from lf_bridge.prepare.formats import csv_rows
from lf_bridge.prepare.formats.files import Peek
from lf_bridge.prepare.formats.json_files import items, parse
from lf_bridge.prepare.formats.json_scan import Scan, members

if TYPE_CHECKING:
    from lf_bridge.prepare.unpack import Plain

_HEAD = 4 << 20
_SAMPLE = 256 << 10
_RECORDS = 50
_OBJECTS = 20
_LINES = 200
_DELIMITERS = ",;\t|"
_CONTROL = re.compile(rb"[\x00-\x08\x0e-\x1a\x1c-\x1f]")
# What a header holds: names. What speech and logs hold: a colon before a blank, a number, a time.
_NO_NAME = re.compile(r"\S:\s|：|[。！…]|\w[.!?] |^[\d\s./:+-]+$|^[\[(]?\d{1,4}[./-]\d{1,2}[./-]\d{1,4}")
_LONGEST_NAME = 80


def peek(plain: Plain) -> Peek:
    """Look into an unpacked file; raises ``LfbError`` for one that is empty, binary or damaged."""
    size = plain.path.stat().st_size
    with open(plain.path, "rb") as file:
        head = file.read(_HEAD)
    if head.startswith(b"PAR1"):
        return _peek_parquet(plain, size)
    if head.startswith((b"PK\x03\x04", b"\xd0\xcf\x11\xe0")):
        return _peek_excel(plain, size)
    if is_binary(head[:_SAMPLE]):
        raise LfbError(f"{plain.label} is a binary file, not text", hint="export the log as CSV or JSON Lines")
    text = head.removeprefix(csv_rows.BOM).lstrip()
    if not text:
        raise LfbError(f"{plain.label} is empty", hint="export it again, or remove it")
    found = None
    if text.startswith(b"{"):
        found = _peek_lines(plain, size, text, whole=size <= _HEAD) or _peek_object(plain, size)
    elif text.startswith(b"["):
        found = _peek_array(plain, size, head)
    return found or _peek_text(plain, size, head.removeprefix(csv_rows.BOM)[:_SAMPLE])


def is_binary(sample: bytes) -> bool:
    """Whether the beginning of a file is no text: known signatures, or more than 1 in 100 control characters."""
    if sample.startswith((b"%PDF", b"\x89PNG", b"\xff\xd8\xff", b"GIF8", b"SQLite format 3", b"ARROW1", b"Obj\x01")):
        return True
    return 100 * len(_CONTROL.findall(sample)) > len(sample)


def _peek_lines(plain: Plain, size: int, text: bytes, *, whole: bool) -> Peek | None:
    """JSON Lines: at least half of the first lines are objects of their own, and not a single document."""
    lines = [line for line in text.split(b"\n")[: _RECORDS + 1] if line.strip()]
    if len(lines) > 1 and not (whole and len(lines) <= _RECORDS):
        lines = lines[:-1]
    records = [record for record, _ in map(parse, lines[:_RECORDS]) if record is not None]
    named = plain.label.lower().endswith((".jsonl", ".ndjson"))
    if 2 * len(records) < len(lines) or not (records or named):
        return None
    if len(lines) == 1 and not named and any(isinstance(value, list) for value in records[0].values()):
        return None
    return Peek(plain.path, plain.label, "jsonl", size, _names(records), tuple(records))


def _peek_array(plain: Plain, size: int, head: bytes) -> Peek | None:
    scan = Scan(io.BytesIO(head))
    scan.next_letter()
    scan.place += 1
    first = scan.next_letter()
    if first not in (b"{", b"]"):
        return None
    records = [record for record, _ in islice(items(scan), _RECORDS) if record is not None]
    if first == b"{" and not records and size <= _HEAD:
        return None
    return Peek(plain.path, plain.label, "json_array", size, _names(records), tuple(records))


def _peek_object(plain: Plain, size: int) -> Peek | None:
    names: list[str] = []
    arrays: dict[str, tuple[Any, ...]] = {}
    # The whole file, however large: a list that stands behind another is not to be overlooked.
    with open(plain.path, "rb") as file:
        scan = Scan(file)
        for name in members(scan):
            key = str(parse(b'{"name":' + name + b"}")[0]["name"])  # type: ignore[index]
            names.append(key)
            if scan.next_letter() == b"[":
                arrays[key] = tuple(_first_items(scan))
            if not scan.skip():
                break
    return Peek(plain.path, plain.label, "json_object", size, tuple(names), arrays=arrays) if names else None


def _first_items(scan: Scan) -> list[Any]:
    """The first objects of the list here, which stays to be passed."""
    inside = Scan(io.BytesIO(scan.data[scan.place + 1 : scan.place + _HEAD]))
    return [value for value, _ in islice(items(inside), _OBJECTS) if value is not None]


def _peek_text(plain: Plain, size: int, sample: bytes) -> Peek:
    text = sample.decode("utf-8", "ignore")
    lines = tuple(text.splitlines()[:_LINES])
    whole = size <= len(sample) + len(csv_rows.BOM)
    named = plain.path.suffix.lower() in (".csv", ".tsv") or plain.label.lower().endswith((".csv", ".tsv"))
    best: tuple[float, str, list[tuple[str, ...]]] | None = None
    start = csv_rows.skip_blank_lines(sample, 0)
    if sample[start : start + 4].lower() == b"sep=":
        start = csv_rows.skip_blank_lines(sample, max(csv_rows.skip_line(sample, start), start))
    for delimiter in _DELIMITERS:
        rows = _sample_rows(sample, start, delimiter, whole=whole)
        if not rows or len(rows[0]) < 2:
            continue
        alike = sum(len(row) == len(rows[0]) for row in rows[1:]) / max(len(rows) - 1, 1)
        header = all(len(cell) <= _LONGEST_NAME and not _NO_NAME.search(cell) for cell in rows[0])
        certain = alike >= 0.5 or len(rows) == 1 or named
        # A table without a header: its columns are known by their numbers.
        bare = not header and len(rows) >= 5 and len(rows[0]) >= 3 and alike >= 0.95
        if not ((header and certain) or bare):
            continue
        score = alike * (len(rows[0]) - 1) + header
        if best is None or score > best[0]:
            if bare:
                rows.insert(0, tuple(str(place) for place in range(1, len(rows[0]) + 1)))
            best = score, delimiter, rows
    if best is None:
        return Peek(plain.path, plain.label, "text", size, lines=lines)
    _, delimiter, (columns, *rest) = best
    records = tuple(dict(zip(columns, row, strict=False)) for row in rest[:_RECORDS] if len(row) == len(columns))
    return Peek(plain.path, plain.label, "csv", size, columns, records, lines, delimiter=delimiter)


def _sample_rows(sample: bytes, start: int, delimiter: str, *, whole: bool) -> list[tuple[str, ...]]:
    """The first rows as a CSV reader has them, the last one left out where the sample may end in it."""
    rows: list[tuple[str, ...]] = []
    cut = delimiter.encode()
    while start < len(sample) and len(rows) <= _LINES:
        record = csv_rows.read_record(sample, start, cut)
        if rows and not (record.clean and len(record.cells) == len(rows[0])):
            row = csv_rows.read_row(sample, start, len(rows[0]), cut, final=True)
            if row is not None:
                record = csv_rows.Record(row.cells if row.cells is not None else record.cells, row.end)
        rows.append(tuple(cell.decode("utf-8", "ignore") for cell in record.cells))
        start = csv_rows.skip_blank_lines(sample, record.end)
    if not whole and start >= len(sample) and len(rows) > 1:
        rows.pop()
    if rows:
        rows[0] = tuple(cell.strip() for cell in rows[0])
    return rows


def _peek_parquet(plain: Plain, size: int) -> Peek:
    from lf_bridge.prepare.formats.parquet_table import as_cells, open_parquet

    file = open_parquet(plain.path, plain.label)
    columns = tuple(file.schema_arrow.names)
    records: list[dict[str, str]] = []
    for batch in islice(file.iter_batches(_RECORDS), 1):
        cells = [as_cells(column).to_pylist() for column in batch.columns]
        records = [dict(zip(columns, row, strict=True)) for row in zip(*cells, strict=True)]
    return Peek(plain.path, plain.label, "parquet", size, columns, tuple(records))


def _peek_excel(plain: Plain, size: int) -> Peek:
    from lf_bridge.prepare.formats.excel_table import find_header, read_sheets

    columns = find_header(plain.path, plain.label)
    if not columns:
        raise LfbError(f"{plain.label} has no sheet with a header and rows", hint="export it again, or remove it")
    rows = islice(read_sheets(plain.path, plain.label, columns, columns), _RECORDS)
    records = tuple(dict(zip(columns, row, strict=True)) for row in rows)
    return Peek(plain.path, plain.label, "excel", size, columns, records)


def _names(records: Sequence[dict[str, Any]]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name for record in records for name in record))
