"""A careful reader of CSV rows, for where quotes or cells are not as RFC 4180 has them: a bad row costs only itself."""

from __future__ import annotations

import re
from typing import NamedTuple

BOM = b"\xef\xbb\xbf"
_LINE_END = re.compile(rb"\r\n?|\n")
_TO_QUOTE = re.compile(rb'[^"]*+(?:""[^"]*+)*+"')
_NEAR = (64 << 10, 1 << 20)
_CANDIDATE = 64 << 10
# How many lines that open a quote and do not close it nearby are looked at: each costs a pass over _CANDIDATE bytes.
_TRIES, _MORE_TRIES = 64, 10_000
_CERTAIN = 3


class Record(NamedTuple):
    """One row; ``end`` is where the next begins. ``clean``: every quote opens, closes or is doubled; ``closed``: the
    last quoted cell ends before the data does."""

    cells: list[bytes]
    end: int
    clean: bool = True
    closed: bool = True


class Row(NamedTuple):
    """What became of one row: its cells, or why it has none."""

    end: int
    cells: list[bytes] | None
    problem: str = ""


def read_record(data: bytes, start: int, delimiter: bytes, stop: int | None = None, *, stray: bool = False) -> Record:
    """The row at ``start``, RFC 4180 but for quotes inside a quoted cell that are not doubled: such a quote is a
    letter where no delimiter or line end follows it; with ``stray`` it ends the quoting, as Python's csv has it."""
    stop = len(data) if stop is None else min(stop, len(data))
    end = _LINE_END.search(data, start, stop)
    line, following = (end.start(), end.end()) if end else (stop, stop)
    if data.find(b'"', start, line) < 0:
        return Record(data[start:line].split(delimiter), following)
    plain = re.compile(rb"[^\r\n" + re.escape(delimiter) + rb"]*")
    cells, clean, place = [], True, start
    while True:
        cell = b""
        if data.startswith(b'"', place, stop):
            close, tidy = _closing_quote(data, place + 1, stop, delimiter, stray)
            clean &= tidy
            if close < 0:
                cells.append(data[place + 1 : stop])
                return Record(cells, stop, clean, closed=False)
            cell, place = data[place + 1 : close].replace(b'""', b'"'), close + 1
        rest = plain.match(data, place, stop)
        place = rest.end() if rest else place
        cells.append(cell + (rest.group() if rest else b""))
        if not data.startswith(delimiter, place, stop):
            end = _LINE_END.match(data, place, stop)
            return Record(cells, end.end() if end else place, clean)
        place += 1


def _closing_quote(data: bytes, place: int, stop: int, delimiter: bytes, stray: bool) -> tuple[int, bool]:
    tidy = True
    while (found := _TO_QUOTE.match(data, place, stop)) is not None:
        place = found.end()
        if place == stop or data[place : place + 1] in (delimiter, b"\n", b"\r"):
            return place - 1, tidy
        tidy = False
        if stray:
            return place - 1, tidy
    return -1, tidy


def read_row(
    data: bytes, start: int, count: int, delimiter: bytes, *, final: bool, patient: bool = False
) -> Row | None:
    """The row of ``count`` cells at ``start``, or what is wrong with it; None where ``data`` ends before it does.

    A quoted cell that runs over line ends into lines that are rows themselves was never closed: only its first lines
    are bad, and the next row is the first such line. With ``patient`` nothing is judged that more data could close.
    """
    line = _LINE_END.search(data, start)
    first = line.end() if line else len(data)
    for near in (*_NEAR, len(data)):
        stop = min(start + near, len(data))
        record = read_record(data, start, delimiter, stop)
        if record.end < stop or (final and stop == len(data)):
            break
        after = find_row(data, first, stop, count, delimiter, final=final, certain=_CERTAIN, tries=_TRIES)
        if after is not None:
            return _bad(data, start, first, after, record, count, delimiter)
    else:
        after = None if patient else find_row(data, first, len(data), count, delimiter, final=False)
        return None if after is None else _bad(data, start, first, after, record, count, delimiter)
    if record.clean and record.closed and len(record.cells) == count:
        return Row(record.end, record.cells)
    after = find_row(data, first, record.end, count, delimiter, final=final)
    if after is None and record.closed and len(record.cells) == count:
        return Row(record.end, record.cells)
    return _bad(data, start, first, record.end if after is None else after, record, count, delimiter)


def find_row(
    data: bytes,
    start: int,
    stop: int,
    count: int,
    delimiter: bytes,
    *,
    final: bool,
    certain: int = 1,
    tries: int = _MORE_TRIES,
) -> int | None:
    """The first line from ``start`` and before ``stop`` that is a well-formed row of ``count`` cells, and so are the
    rows after it up to ``certain`` of them."""
    cells = rb"(?:[^\r\n%b]*+%b){%d}" % (re.escape(delimiter), re.escape(delimiter), count - 1)
    candidate = re.compile(rb"(?<![^\r\n])(?:" + cells + rb'|(?=[^\r\n"]*"))')
    place = start
    while tries and (found := candidate.search(data, place, stop)) is not None:
        row, seen = found.start(), 0
        while seen < certain and row < len(data):
            near = min(row + _CANDIDATE, len(data))
            record = read_record(data, row, delimiter, near)
            whole = record.end < near or (final and near == len(data))
            if not (record.clean and record.closed and whole and len(record.cells) == count):
                tries -= not record.closed
                break
            row, seen = record.end, seen + 1
        if seen == certain or (seen and final and row == len(data)):
            return found.start()
        line = _LINE_END.search(data, found.start(), stop)
        if line is None:
            return None
        place = line.end()
    return None


def find_certain_row(data: bytes, start: int, count: int, delimiter: bytes, *, final: bool) -> int | None:
    """The first line from ``start`` with which at least three rows follow one another, or the last ones."""
    return find_row(data, start, len(data), count, delimiter, final=final, certain=_CERTAIN)


def skip_line(data: bytes, start: int) -> int:
    """Where the line after the one at ``start`` begins; -1 where none does."""
    line = _LINE_END.search(data, start)
    return line.end() if line else -1


def skip_blank_lines(data: bytes, start: int) -> int:
    """Where the next line begins that is not empty."""
    while (line := _LINE_END.match(data, start)) is not None:
        start = line.end()
    return start


def _bad(data: bytes, start: int, first: int, end: int, record: Record, count: int, delimiter: bytes) -> Row:
    """A row that is none, unless it is one line whose quotes are letters: as Python's csv reads it, or in a tab file,
    where many programs know no quotes."""
    if end == first:
        line = data[start:first].rstrip(b"\r\n")
        lenient = read_record(line, 0, delimiter, stray=True)
        if lenient.closed and len(lenient.cells) == count:
            return Row(end, lenient.cells)
        cells = line.split(delimiter)
        if delimiter == b"\t" and len(cells) == count:
            return Row(end, cells)
    return Row(end, None, _problem(record, count))


def _problem(record: Record, count: int) -> str:
    if not (record.clean and record.closed):
        return "a quote is opened and not closed"
    return f"{len(record.cells)} cells under {count} names"
