"""Tables with a header line: comma, semicolon, tab or bar between cells, quotes and line breaks inside them.

Arrow reads whole blocks of rows whose quotes are as RFC 4180 has them; ``csv_rows`` reads the rest, row by row.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from lf_bridge.prepare.formats import csv_rows
from lf_bridge.prepare.formats.files import Peek, RowFaults

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

LONGEST_ROW = 16 << 20
_SPAN = 64 << 10
_BLOCK = 4 << 20
_HEAD = 1 << 20
_TRIES = 64


def read_csv(peek: Peek, wanted: Sequence[str], faults: RowFaults) -> Iterator[pa.RecordBatch]:
    """``row``, ``unreadable`` and the wanted columns; rows with another number of cells than the header, or of more
    than 16 MB, are unreadable."""
    reader = _Reader(peek, wanted, faults)
    with open(peek.path, "rb") as file:
        head = file.read(_HEAD)
        file.seek(header_end(head, peek))
        reader.quoted = reader.delimiter != b"\t" or _is_quoted(head, reader.delimiter)
        data, final, span, window = b"", False, _SPAN, _BLOCK
        overlong = torn = False
        while data or not final:
            while len(data) < window and not final:
                more = file.read(window)
                data, final = data + more, not more
            if overlong:
                data, overlong, torn = _resume(data, torn, reader, final=final)
                continue
            if reader.quoted:
                end = regular_end(data, reader.delimiter, final=final)
            else:
                end = len(data) if final else _last_line_end(data, 0, len(data))
            if end:
                yield reader.read_block(data, end)
                span, window = (_SPAN if end > _BLOCK // 4 else span), _BLOCK
            elif data:
                batch, end = reader.read_rows(data, span, final=final, patient=window < LONGEST_ROW)
                span = min(2 * span, _BLOCK)
                if not end and window < LONGEST_ROW:
                    window = LONGEST_ROW
                elif not end:
                    batch, overlong = reader.give_up(), True
                    end = csv_rows.skip_line(data, 0)
                    torn = end < 0
                    end = len(data) if torn else end
                if batch is not None:
                    yield batch
            data = data[end:]


def _resume(data: bytes, torn: bool, reader: _Reader, *, final: bool) -> tuple[bytes, bool, bool]:
    """After a row that is too long: the data from the next certain row, or what of the data can still begin one,
    whether none was found, and whether the rest begins within a line."""
    begin = csv_rows.skip_line(data, 0) if torn else 0
    found = csv_rows.find_certain_row(data, begin, reader.count, reader.delimiter, final=final) if begin >= 0 else None
    if found is not None:
        return data[found:], False, False
    line = data.rfind(b"\n") + 1
    return (data[line:] if line and not final else b""), True, not line


def header_end(data: bytes, peek: Peek) -> int:
    """Where the first row begins that is not the header."""
    start = len(csv_rows.BOM) if data.startswith(csv_rows.BOM) else 0
    start = csv_rows.skip_blank_lines(data, start)
    if data[start : start + 4].lower() == b"sep=":
        start = csv_rows.skip_blank_lines(data, max(csv_rows.skip_line(data, start), start))
    header = csv_rows.read_record(data, start, peek.delimiter.encode())
    names = tuple(cell.decode("utf-8", "replace").strip() for cell in header.cells)
    return header.end if names == peek.columns else start


def regular_end(data: bytes, delimiter: bytes, *, final: bool) -> int:
    """The end of the last row up to which every quote opens a cell, closes one or is doubled; 0 where there is none."""
    import numpy as np

    quotes, odd = _find_quotes(data, delimiter)
    if final and odd == len(quotes) and odd % 2 == 0:
        return len(data)
    limit = int(quotes[odd]) if odd < len(quotes) else len(data)
    for _ in range(_TRIES):
        if odd % 2:
            odd, limit = odd - 1, int(quotes[odd - 1])
        end = _last_line_end(data, int(quotes[odd - 1]) + 1 if odd else 0, limit)
        if end or not odd:
            return end
        odd -= 1
    ends = np.flatnonzero(np.frombuffer(data, np.uint8, limit) == ord("\n"))
    outside = ends[np.searchsorted(quotes, ends) % 2 == 0]
    return int(outside[-1]) + 1 if len(outside) else 0


def _find_quotes(data: bytes, delimiter: bytes) -> tuple[np.ndarray, int]:
    """Where the quotes are, and which of them is the first at an odd place (their number where none is)."""
    import numpy as np

    letters = np.frombuffer(data, np.uint8)
    quotes = np.flatnonzero(letters == ord('"'))
    beside = np.zeros(256, bool)
    beside[[*delimiter, *b'\r\n"']] = True
    opening, closing = quotes[0::2], quotes[1::2]
    opens = beside[letters[opening - 1]] | (opening == 0)
    closes = beside[letters[np.minimum(closing + 1, len(data) - 1)]]
    return quotes, min(2 * _first_false(opens), 2 * _first_false(closes) + 1, len(quotes))


def _is_quoted(head: bytes, delimiter: bytes) -> bool:
    """Whether quotes hold cells together: many programs write tabs between cells and quotes as letters."""
    quotes, odd = _find_quotes(head, delimiter)
    return odd == len(quotes)


def _first_false(tests: np.ndarray) -> int:
    return int(tests.argmin()) if not tests.all() else len(tests)


def _last_line_end(data: bytes, start: int, stop: int) -> int:
    end = data.rfind(b"\n", start, stop)
    if end < 0:
        # Only carriage returns, as old spreadsheets write; the last byte may be half of a CR LF.
        end = data.rfind(b"\r", start, min(stop, len(data) - 1))
    return end + 1


class _Reader:
    """What is read so far of one file: the number of rows, and where its columns are."""

    def __init__(self, peek: Peek, wanted: Sequence[str], faults: RowFaults) -> None:
        self.label, self.faults = peek.label, faults
        self.count, self.delimiter = len(peek.columns), peek.delimiter.encode()
        self.wanted = tuple(wanted)
        self.places = [peek.columns.index(name) for name in wanted]
        self.quoted = True
        self.rows = 0

    def read_block(self, data: bytes, end: int) -> pa.RecordBatch:
        import numpy as np
        import pyarrow as pa
        import pyarrow.csv

        bad: list[int] = []

        def skip(row: pyarrow.csv.InvalidRow) -> str:
            bad.append(row.number)
            self.faults.add(self.label, self.rows + row.number, f"{row.actual_columns} cells under {self.count} names")
            return "skip"

        cells = [f"c{place}" for place in range(self.count)]
        chosen = list(dict.fromkeys(self.places)) or [0]
        if csv_rows.skip_blank_lines(data, 0) >= end:
            return self._batch([[] for _ in self.wanted], [])
        table = pyarrow.csv.read_csv(
            pa.BufferReader(pa.py_buffer(data).slice(0, end)),
            read_options=pyarrow.csv.ReadOptions(column_names=cells, block_size=max(end, 1 << 10), use_threads=False),
            parse_options=pyarrow.csv.ParseOptions(
                delimiter=self.delimiter.decode(), quote_char='"' if self.quoted else False, invalid_row_handler=skip
            ),
            convert_options=pyarrow.csv.ConvertOptions(
                column_types=dict.fromkeys(cells, pa.string()),
                include_columns=[cells[place] for place in chosen],
                strings_can_be_null=False,
            ),
        ).combine_chunks()
        columns = [table.column(chosen.index(place)) for place in self.places]
        count = table.num_rows + len(bad)
        unreadable = np.zeros(count, bool)
        unreadable[np.array(bad, int) - 1] = True
        if bad:
            order = np.cumsum(~unreadable) - 1
            taken = pa.array(order, mask=unreadable)
            columns = [column.take(taken).fill_null("") for column in columns]
        rows = pa.array(np.arange(self.rows + 1, self.rows + count + 1))
        self.rows += count
        flat = [column.combine_chunks() for column in columns]
        return _record_batch(rows, pa.array(unreadable), flat, self.wanted)

    def read_rows(self, data: bytes, span: int, *, final: bool, patient: bool) -> tuple[pa.RecordBatch | None, int]:
        """The rows that begin in the next ``span`` bytes, and where they end: 0 where none is whole."""
        place, stop = 0, min(span, len(data))
        values: list[list[str]] = [[] for _ in self.wanted]
        unreadable = []
        while (place := csv_rows.skip_blank_lines(data, place)) < stop:
            row = csv_rows.read_row(data, place, self.count, self.delimiter, final=final, patient=patient)
            if row is None:
                break
            unreadable.append(row.cells is None)
            if row.cells is None:
                self.faults.add(self.label, self.rows + len(unreadable), row.problem)
            for column, index in zip(values, self.places, strict=True):
                column.append("" if row.cells is None else row.cells[index].decode("utf-8", "replace"))
            place = row.end
        return (self._batch(values, unreadable) if unreadable else None), place

    def give_up(self) -> pa.RecordBatch:
        """The row that ends nowhere near, as unreadable."""
        problem = f"longer than {LONGEST_ROW >> 20} MB, or a quote is opened and not closed"
        self.faults.add(self.label, self.rows + 1, problem)
        return self._batch([[""] for _ in self.wanted], [True])

    def _batch(self, values: Sequence[Sequence[str]], unreadable: Sequence[bool]) -> pa.RecordBatch:
        import pyarrow as pa

        rows = pa.array(range(self.rows + 1, self.rows + len(unreadable) + 1), pa.int64())
        self.rows += len(unreadable)
        return _record_batch(
            rows, pa.array(unreadable, pa.bool_()), [pa.array(column, pa.string()) for column in values], self.wanted
        )


def _record_batch(
    rows: pa.Array, unreadable: pa.Array, columns: Sequence[pa.Array], wanted: Sequence[str]
) -> pa.RecordBatch:
    import pyarrow as pa

    return pa.RecordBatch.from_arrays([rows, unreadable, *columns], names=["row", "unreadable", *wanted])
