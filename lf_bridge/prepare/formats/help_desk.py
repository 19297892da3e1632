"""What the help-desk formats share: records out of any container, and the values that their fields hold."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import islice
from typing import TYPE_CHECKING, Any

from lf_bridge.prepare.formats.files import Peek, RowFaults
from lf_bridge.prepare.formats.schema import MISSING, UNREAD, Rows

if TYPE_CHECKING:
    import pyarrow as pa

Record = Mapping[str, Any]
Records = Iterator[tuple[int, Record | None]]
_TABLES = ("csv", "parquet", "excel")
_SHOWN = 50
_PAGE = 16 << 20  # one answer of an API is smaller
_EPOCH, _MICROSECOND = datetime(1970, 1, 1, tzinfo=UTC), timedelta(microseconds=1)


def samples(peek: Peek, *lists: str) -> tuple[Record, ...]:
    """The first records of a file. Of a JSON object, or of pages of an API one a line: what stands under the first of
    ``lists`` there, a list or one record (a dotted name is inside other objects: ``_embedded.threads``). Of an object
    without any: its own names without values."""
    place, deeper = _places(peek, lists)
    shown: Iterable[Any] = peek.records
    if place:
        shown = peek.arrays[place]
    elif deeper:
        pages = _pages(peek, RowFaults()) if peek.kind == "json_object" else enumerate(peek.records)
        shown = (record for _, record in islice(_opened(peek, RowFaults(), pages, deeper), _SHOWN))
    elif peek.kind == "json_object":
        shown = (dict.fromkeys(peek.columns),)
    return tuple(record for record in shown if isinstance(record, dict))


def fields(peek: Peek, *lists: str) -> set[str]:
    """The names of all fields in ``samples``."""
    return {name for record in samples(peek, *lists) for name in record}


def records(peek: Peek, faults: RowFaults, *lists: str) -> Records:
    """All records with their numbers, from where ``samples`` had them; None where one cannot be read."""
    from lf_bridge.prepare.formats.json_files import read_objects

    place, deeper = _places(peek, lists)
    if peek.kind in _TABLES:
        yield from _table_records(peek, faults)
    elif deeper:
        yield from _opened(peek, faults, _pages(peek, faults), deeper)
    elif place:
        yield from read_objects(peek, faults, f"{place}.item")
    else:
        yield from _pages(peek, faults)


def read_alone(peek: Peek, faults: RowFaults, lists: tuple[str, ...], add: Callable[[Rows, int, Record], None]) -> Any:
    """Batches of messages of a file whose records need no other file; ``add`` takes the messages of one record."""
    rows = Rows()
    for row, record in records(peek, faults, *lists):
        if record is None:
            add_unreadable(rows, row)
        else:
            add(rows, row, record)
        yield from rows.full()
    yield from rows.rest()


def add_unreadable(rows: Rows, row: int) -> None:
    """Account for a record that cannot be read."""
    rows.add(row, "", "unknown", skip="unreadable")


def add_each(rows: Rows, row: int, value: Any, add: Callable[[Record], None]) -> None:
    """Take the messages of a list inside a record; what is no object there counts as unreadable."""
    for record in value if isinstance(value, list) else ():
        if isinstance(record, dict):
            add(record)
        else:
            add_unreadable(rows, row)


def drain(index: int, batches: Iterator[pa.RecordBatch]) -> Iterator[tuple[int, pa.RecordBatch]]:
    """Batches with the index of their file."""
    return ((index, batch) for batch in batches)


def get(record: Any, *path: str) -> Any:
    """The value under names inside each other, None where one is missing; tables hold objects as JSON text."""
    for name in path:
        if isinstance(record, str) and record.startswith("{"):
            try:
                record = json.loads(record)
            except ValueError:
                return None
        if not isinstance(record, dict):
            return None
        record = record.get(name)
    return record


def words(value: Any) -> str:
    """A text field; what is no text is none. Halves of surrogate pairs, which Arrow refuses, become ``?``."""
    if not isinstance(value, str):
        return ""
    return value if value.isascii() else value.encode("utf-8", "replace").decode()


def first_words(*values: Any) -> str:
    """The first of several text fields that says something."""
    return next((text for text in map(words, values) if text.strip()), "")


def identity(value: Any) -> str | None:
    """An id as text, None where there is none; ``12.0`` is 12."""
    if isinstance(value, bool) or value is None:
        return None
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float | Decimal):
        return f"{value:.0f}"
    return words(value).strip() or None


def number(value: Any) -> float | None:
    """A number, also one in a table's cell; None where it is none."""
    if isinstance(value, bool):
        return None
    try:
        return float(value)
    except (TypeError, ValueError):
        return None


def truth(value: Any, default: bool = False) -> bool:
    """A yes or no, also one in a table's cell."""
    if isinstance(value, bool):
        return value
    known = {"true": True, "t": True, "1": True, "yes": True, "false": False, "f": False, "0": False, "no": False}
    return known.get(str(value).strip().lower(), default)


def instant(value: Any) -> int:
    """Microseconds since 1970 of an ISO 8601 time (UTC where it names no zone) or of Unix seconds, milliseconds or
    microseconds, told apart by size; MISSING or UNREAD where there is none or it has no form that we know."""
    if value is None or value == "":
        return MISSING
    stamp = number(value)
    if stamp is not None:
        if not abs(stamp) < 1e17:
            return UNREAD
        return round(stamp * (1e6 if abs(stamp) < 1e11 else 1e3 if abs(stamp) < 1e14 else 1))
    try:
        when = datetime.fromisoformat(words(value).strip().removesuffix(" UTC"))
    except ValueError:
        return UNREAD
    return ((when if when.tzinfo else when.replace(tzinfo=UTC)) - _EPOCH) // _MICROSECOND


def people(*values: Any) -> str | None:
    """Names of people, one a line, each once; None where there are none."""
    names = {name.strip(): None for value in values for name in words(value).splitlines() if "@" not in name}
    return "\n".join(name for name in names if name) or None


def rate(value: Any, good: float, bad: float) -> int:
    """1 for a score from ``good`` on, -1 for one up to ``bad``, 0 between them or without one."""
    score = number(value)
    return 0 if score is None else (score >= good) - (score <= bad)


def _places(peek: Peek, lists: tuple[str, ...]) -> tuple[str | None, list[str]]:
    """The first of ``lists`` at the top of a JSON object; else those that are in pages or deeper in an object."""
    if peek.kind == "json_object":
        place = next((name for name in lists if name in peek.arrays), None)
        outer = {name: name.partition(".")[0] for name in lists}
        deeper = [name for name in lists if outer[name] in peek.columns and outer[name] not in peek.arrays]
        return place, deeper if not place and peek.bytes <= _PAGE else []
    # A page has no id, which tells it from a ticket that holds its messages.
    first = peek.records[0] if peek.records and peek.kind not in _TABLES else {}
    is_page = not {"id", "session_id"} & set(first or {})
    return None, [name for name in lists if is_page and get(first, *name.split(".")) is not None]


def _pages(peek: Peek, faults: RowFaults) -> Records:
    from lf_bridge.prepare.formats.json_files import read_objects

    return read_objects(peek, faults, "" if peek.kind == "json_object" else "item")


def _opened(peek: Peek, faults: RowFaults, pages: Records, places: list[str]) -> Records:
    row = 0
    for _, page in pages:
        found: Any = next((value for name in places if (value := get(page, *name.split("."))) is not None), [])
        for record in [None] if page is None else found if isinstance(found, list) else [found]:
            row += 1
            if page is not None and not isinstance(record, dict):
                faults.add(peek.label, row, "not a JSON object")
            yield row, record if isinstance(record, dict) else None


def _table_records(peek: Peek, faults: RowFaults) -> Records:
    from lf_bridge.prepare.formats.table import open_table

    table = open_table(peek)
    # The table's own two columns come under these names.
    wanted = [name for name in table.columns if name not in ("row", "unreadable")]
    for batch in table.batches(wanted, faults):
        for record in batch.to_pylist():
            yield record["row"], None if record["unreadable"] else record
