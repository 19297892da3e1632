"""JSON records: one object a line, or the objects of a list anywhere in one document."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, BinaryIO

from lf_bridge.prepare.formats.files import Peek, RowFaults
from lf_bridge.prepare.formats.json_scan import MOST, Scan, enter

if TYPE_CHECKING:
    import pyarrow as pa

_ROWS = 20_000
_LETTERS = 8 << 20
_INVALID = "no valid JSON"


def read_objects(peek: Peek, faults: RowFaults, path: str = "item") -> Iterator[tuple[int, dict[str, Any] | None]]:
    """Number and value of each record, from 1; None where it cannot be read, which is noted in ``faults`` then.

    ``path`` is that of ijson: ``item`` for the objects of a list, ``tickets.item`` for those of a list under a name,
    nothing for the whole document. JSON Lines have no path. A broken record costs only itself where the records after
    it can be told by their names; a record of more than 64 MB is not read.
    """
    with open(peek.path, "rb") as file:
        found = _lines(file) if peek.kind == "jsonl" else _items(file, path)
        for row, (value, problem) in enumerate(found, 1):
            if value is None:
                faults.add(peek.label, row, problem)
            yield row, value


def read_flat(peek: Peek, wanted: Sequence[str], faults: RowFaults) -> Iterator[pa.RecordBatch]:
    """``row``, ``unreadable`` and the wanted columns of records; a cell that holds no text or number is empty."""
    rows: list[int] = []
    unreadable: list[bool] = []
    columns: list[list[str]] = [[] for _ in wanted]
    letters = 0
    for row, record in read_objects(peek, faults):
        rows.append(row)
        unreadable.append(record is None)
        for name, column in zip(wanted, columns, strict=True):
            cell = as_cell(record.get(name)) if record is not None else ""
            letters += len(cell)
            column.append(cell)
        if len(rows) >= _ROWS or letters > _LETTERS:
            yield _batch(rows, unreadable, columns, wanted)
            rows, unreadable, columns, letters = [], [], [[] for _ in wanted], 0
    if rows:
        yield _batch(rows, unreadable, columns, wanted)


def parse(data: bytes) -> tuple[dict[str, Any] | None, str]:
    """One JSON object, or what is wrong: NaN is read as null, half of a surrogate pair as a question mark."""
    import orjson

    try:
        value = orjson.loads(data)
    except orjson.JSONDecodeError as error:
        if "limit exceeded" in str(error) or "Recursion" in str(error):
            return None, "nested too deeply"
        try:
            lenient = json.loads(data, parse_constant=lambda _: None)
            value = orjson.loads(json.dumps(lenient, ensure_ascii=False).encode("utf-8", "replace"))
        except (ValueError, RecursionError):
            return None, _INVALID
    return (value, "") if isinstance(value, dict) else (None, "not a JSON object")


def as_cell(value: Any) -> str:
    """A JSON value as the cell of a table."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, int | float) else ""


def items(scan: Scan) -> Iterator[tuple[dict[str, Any] | None, str]]:
    """The records of the list that ``scan`` stands in."""
    names: set[str] = set()

    def is_record(data: bytes) -> bool:
        value, _ = parse(data)
        return value is not None and (not names or 2 * len(names & value.keys()) >= max(len(names), len(value)))

    patience = 0
    while (letter := scan.next_letter()) not in (b"]", b""):
        patience -= 1
        if patience < 0:
            many = _parse_many(scan)
            yield from ((value, "") for value in many)
            if many:
                continue
            patience = _ROWS
        data = scan.take()
        value, problem = parse(data) if data is not None else (None, "no valid JSON, or it does not end")
        yield value, problem
        if value is not None:
            names = set(value)
        elif data is None or (problem == _INVALID and letter in b"[{"):
            scan.place -= len(data or b"")
            if not scan.resume(is_record):
                return


def _parse_many(scan: Scan) -> list[dict[str, Any]]:
    """About a megabyte of objects at once; none, and no step further, where the bytes up to there are no such list."""
    import orjson

    data = scan.take_many()
    if data is None:
        return []
    try:
        values = orjson.loads(b"[" + data + b"]")
    except orjson.JSONDecodeError:
        values = []
    if values and all(isinstance(value, dict) for value in values):
        return list(values)
    scan.place -= len(data)
    return []


def _items(file: BinaryIO, path: str) -> Iterator[tuple[dict[str, Any] | None, str]]:
    import orjson

    if not path:
        data = file.read(MOST + 1).removeprefix(b"\xef\xbb\xbf")
        yield parse(data) if len(data) <= MOST else (None, f"longer than {MOST >> 20} MB")
        return
    scan = Scan(file)
    names = tuple(path.split(".")[:-1])
    if enter(scan, names, orjson.loads):
        yield from items(scan)
    else:
        yield None, f"no list `{'.'.join(names)}` before the file ends or breaks" if names else "no list"


def _lines(file: BinaryIO) -> Iterator[tuple[dict[str, Any] | None, str]]:
    first = True
    for line in iter(partial(file.readline, MOST), b""):
        if first:
            line, first = line.removeprefix(b"\xef\xbb\xbf"), False
        if len(line) >= MOST and not line.endswith(b"\n"):
            while (rest := file.readline(MOST)) and not rest.endswith(b"\n"):
                continue
            yield None, f"longer than {MOST >> 20} MB"
        elif not line.isspace() and line:
            yield parse(line)


def _batch(
    rows: Sequence[int], unreadable: Sequence[bool], columns: Sequence[Sequence[str]], wanted: Sequence[str]
) -> pa.RecordBatch:
    import pyarrow as pa

    arrays = [pa.array(rows, pa.int64()), pa.array(unreadable, pa.bool_())]
    arrays += [pa.array(column, pa.string()) for column in columns]
    return pa.RecordBatch.from_arrays(arrays, names=["row", "unreadable", *wanted])
