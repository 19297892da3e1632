"""Whatever a file holds, every record of it is read or named, and the records after a bad one are read."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lf_bridge.errors import LfbError
from lf_bridge.prepare.formats import csv_table
from lf_bridge.prepare.formats.files import Peek, RowFaults
from lf_bridge.prepare.formats.json_files import read_objects
from lf_bridge.prepare.formats.peek import peek
from lf_bridge.prepare.formats.table import open_table
from lf_bridge.prepare.unpack import Plain

Rows = list[tuple[Any, ...]]
HEADER = b"id,text,time\n"
QUIET = settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def look(folder: Path, data: bytes, name: str = "log.csv") -> Peek:
    path = folder / name
    path.write_bytes(data)
    return peek(Plain(path, name, 0))


def read(peeked: Peek, wanted: Sequence[str] | None = None) -> tuple[Rows, list[str]]:
    """All rows (number, unreadable, cells) and the faults in words."""
    faults = RowFaults()
    batches = open_table(peeked).batches(wanted or peeked.columns, faults)
    rows = [row for batch in batches for row in zip(*batch.to_pydict().values(), strict=True)]
    assert [row[0] for row in rows] == list(range(1, len(rows) + 1))
    assert sum(faults.counts.values()) == sum(row[1] for row in rows)
    return rows, [f"{fault.where}: {fault.problem}" for fault in faults.first]


def lines(count: int, first: int = 1) -> bytes:
    return b"".join(b"%d,hello there,2020\n" % number for number in range(first, first + count))


@pytest.mark.parametrize(
    ("bad", "problem"),
    [
        (b"100,two\n", "2 cells under 3 names"),
        (b"100,one,two,three\n", "4 cells under 3 names"),
        (b'100,"never closed,2020\n', "a quote is opened and not closed"),
        (b'100,2020,"never closed\n', "a quote is opened and not closed"),
    ],
)
@pytest.mark.parametrize(
    "after", [b"", b'101,"quoted, it is",2020\n', b'101,"over\ntwo lines",2020\n', b'101,"say ""hi""",1\n']
)
def test_a_bad_row_costs_only_itself(tmp_path: Path, bad: bytes, problem: str, after: bytes) -> None:
    rows, faults = read(look(tmp_path, HEADER + lines(99) + bad + after + lines(500, 102)))
    assert faults == [f"log.csv row 100: {problem}"]
    assert rows[99] == (100, True, "", "", "")
    assert len(rows) == 600 + bool(after)
    assert rows[-1][2:] == ("601", "hello there", "2020")
    assert not after or rows[100][2] == "101"


def test_a_million_rows_with_one_bad_line_have_one_fault(tmp_path: Path) -> None:
    half = b'7,"well, hello",2020\n' * 500_000
    peeked = look(tmp_path, HEADER + half + b'8,"oh,2020\n' + half)
    faults = RowFaults()
    count = good = 0
    for batch in open_table(peeked).batches(["text"], faults):
        count += batch.num_rows
        good += batch["text"].to_pylist().count("well, hello")
    assert (count, good) == (1_000_001, 1_000_000)
    assert [fault.where for fault in faults.first] == ["log.csv row 500001"]


def test_rows_after_many_bad_ones_are_read(tmp_path: Path) -> None:
    rows, faults = read(look(tmp_path, HEADER + lines(5) + b'6,"oh,2020\n' * 500 + lines(900_000, 6)))
    assert [row[2] for row in rows] == [*map(str, range(1, 6)), "", *map(str, range(6, 900_006))]
    assert len(faults) == 1


@pytest.mark.parametrize(
    ("end", "problem"),
    [(b"4,cut", "2 cells under 3 names"), (b'4,"cut\nin the\nmiddle', "a quote is opened and not closed")],
)
def test_a_row_cut_off_at_the_end_is_one_fault(tmp_path: Path, end: bytes, problem: str) -> None:
    rows, faults = read(look(tmp_path, HEADER + lines(3) + end))
    assert (len(rows), faults) == (4, [f"log.csv row 4: {problem}"])


@pytest.mark.parametrize(
    "huge",
    [b"x" * (100 << 20), b'"' + b"many words, and lines\n" * (5 << 20) + b'"', b'"' + b'x""' * (35 << 20) + b'"'],
    ids=["one line", "many lines", "quotes"],
)
def test_a_cell_of_100_megabytes_is_one_unreadable_row(tmp_path: Path, huge: bytes) -> None:
    rows, faults = read(look(tmp_path, HEADER + lines(5) + b"6," + huge + b",2020\n" + lines(5, 7)))
    assert faults == ["log.csv row 6: longer than 16 MB, or a quote is opened and not closed"]
    assert [row[2] for row in rows] == ["1", "2", "3", "4", "5", "", "7", "8", "9", "10", "11"]


def test_stray_quotes_are_letters(tmp_path: Path) -> None:
    rows, faults = read(look(tmp_path, HEADER + b'1,a 5" screen,2\n2,"he said "hi" to\nme",3\n3,"a"b,4\n'))
    assert [row[2:] for row in rows] == [
        ("1", 'a 5" screen', "2"),
        ("2", 'he said "hi" to\nme', "3"),
        ("3", "ab", "4"),
    ]
    assert not faults
    tabs = look(tmp_path, b'id\ttext\n1\t"Hello she said\n2\tthree\n3\tfour\n')
    assert [row[3] for row in read(tabs)[0]] == ['"Hello she said', "three", "four"]


def test_ids_written_as_floats_stay_text_and_header_cells_are_trimmed(tmp_path: Path) -> None:
    peeked = look(tmp_path, b"\xef\xbb\xbfsep=;\r\n id ; text \r\n3.0;hello\r\n\r\n007;again\r\n")
    assert (peeked.columns, peeked.delimiter) == (("id", "text"), ";")
    assert [row[2:] for row in read(peeked)[0]] == [("3.0", "hello"), ("007", "again")]


def test_two_columns_of_one_name_are_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(LfbError, match="log.csv has more than one column `text`"):
        open_table(look(tmp_path, b"id,text,text\n1,2,3\n"))


cells = st.text(st.sampled_from('ab,;"\n\r\t é您'), max_size=12)


@QUIET
@given(
    rows=st.lists(st.tuples(cells, cells, cells), min_size=1, max_size=30),
    delimiter=st.sampled_from(",;\t"),
    end=st.sampled_from(["\n", "\r\n"]),
    block=st.sampled_from([16, 64, 4 << 20]),
)
def test_every_row_that_a_csv_library_writes_comes_back(
    tmp_path: Path, rows: list[tuple[str, str, str]], delimiter: str, end: str, block: int
) -> None:
    output = io.StringIO(newline="")
    # Python 3.11 writes a lone carriage return without quotes, and cannot read it back itself.
    quoting = csv.QUOTE_ALL if any("\r" in cell for row in rows for cell in row) else csv.QUOTE_MINIMAL
    writer = csv.writer(output, delimiter=delimiter, lineterminator=end, quoting=quoting)
    writer.writerows([("one", "two", "three"), *rows])
    path = tmp_path / "log.csv"
    path.write_text(output.getvalue(), encoding="utf-8", newline="")
    peeked = Peek(path, "log.csv", "csv", 0, ("one", "two", "three"), delimiter=delimiter)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(csv_table, "_BLOCK", block)
        found, faults = read(peeked)
    assert [row[2:] for row in found] == rows
    assert not faults


@QUIET
@given(data=st.text(st.sampled_from('a,"\n\r x'), max_size=200), block=st.sampled_from([16, 4 << 20]))
def test_any_csv_is_read_to_its_end_whatever_the_blocks(tmp_path: Path, data: str, block: int) -> None:
    path = tmp_path / "log.csv"
    path.write_bytes(b"one,two\n" + data.encode())
    peeked = Peek(path, "log.csv", "csv", 0, ("one", "two"))
    whole = read(peeked)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(csv_table, "_BLOCK", block)
        assert read(peeked) == whole
    words = "".join(cell for row in whole[0] for cell in row[2:])
    assert words.count("x") <= data.count("x")


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8), lambda inner: st.lists(inner, max_size=3)
)
records = st.lists(st.dictionaries(st.text(max_size=5), values, max_size=4), max_size=8)


@QUIET
@given(records=records, indent=st.sampled_from([None, 2]), ascii_only=st.booleans())
def test_every_json_record_comes_back_from_lines_and_lists(
    tmp_path: Path, records: list[dict[str, Any]], indent: int | None, ascii_only: bool
) -> None:
    path, faults = tmp_path / "log.json", RowFaults()
    path.write_text("\n\n".join(json.dumps(record, ensure_ascii=ascii_only) for record in records), encoding="utf-8")
    found = [record for _, record in read_objects(Peek(path, "log.json", "jsonl", 0), faults)]
    path.write_text(json.dumps(records, indent=indent, ensure_ascii=ascii_only), encoding="utf-8")
    listed = [record for _, record in read_objects(Peek(path, "log.json", "json_array", 0), faults)]
    inside = {"skipped": records, "list": {"of": records}}
    path.write_text(json.dumps(inside, indent=indent, ensure_ascii=ascii_only), encoding="utf-8")
    named = [record for _, record in read_objects(Peek(path, "log.json", "json_object", 0), faults, "list.of.item")]
    assert json.dumps(found) == json.dumps(listed) == json.dumps(named)
    assert len(found) == len(records)
    assert not faults.counts


@pytest.mark.parametrize(
    ("bad", "problem"),
    [
        (b'{"id": 2, "text": "cut', "no valid JSON"),
        (b'{"id": 2, "text": "x" "y"}', "no valid JSON"),
        (b"[2]", "not a JSON object"),
        (b'{"id": 2, "text": ' + b"[" * 200_000 + b"]" * 200_000 + b"}", "nested too deeply"),
    ],
    ids=["cut", "broken", "no object", "deep"],
)
def test_a_bad_json_record_costs_only_itself(tmp_path: Path, bad: bytes, problem: str) -> None:
    good = [b'{"id": %d, "text": "hello", "more": [{"id": 1}, {"id": 2}]}' % n for n in (1, 3, 4)]
    for name, data in (
        ("log.jsonl", b"\n".join([good[0], bad, *good[1:]])),
        ("log.json", b"[" + b",\n".join([good[0], bad, *good[1:]]) + b"]"),
    ):
        rows, faults = read(look(tmp_path, data, name), ["id"])
        assert [row[2] for row in rows] == ["1", "", "3", "4"]
        assert len(faults) == 1
        assert faults[0].startswith(f"{name} row 2: {problem}")


def test_json_that_only_some_programs_write_is_read(tmp_path: Path) -> None:
    peeked = look(tmp_path, b'[{"a": NaN, "b": "\\ud83d!"}, {"a": 3.5, "b": true}]', "log.json")
    assert [row[2:] for row in read(peeked, ["a", "b"])[0]] == [("", "?!"), ("3.5", "true")]


def test_a_file_is_known_by_its_content(tmp_path: Path) -> None:
    pq.write_table(pa.table({"id": [1, None], "text": ["a", None], "list": [[1], [2]]}), tmp_path / "log.parquet")
    frame = (tmp_path / "log.parquet").read_bytes()
    kinds = {
        "csv": b"id,text\n1,hi\n",
        "jsonl": b'{"id": 1}\n{"id": 2}\n',
        "json_array": b'[\n {"id": 1}]',
        "json_object": b'{"tickets": [{"id": 1}], "count": 1}',
        "parquet": frame,
    }
    for kind, data in kinds.items():
        assert look(tmp_path, data, "export.txt").kind == kind
    for chat in (
        "Agent: Hello, how are you?\nCustomer: Fine, thanks.\nAgent: Good, good.\n",
        "[12/03/2023, 10:11:12] Anna: hi\n[12/03/2023, 10:12:12] Ben: hello\n",
        "12.03.23, 10:11 - Anna: hi\n12.03.23, 10:12 - Ben: hello\n",
        "客服：您好，请问有什么可以帮您\n客户：我的订单，还没到\n",
    ):
        found = look(tmp_path, chat.encode(), "export.txt")
        assert (found.kind, found.lines) == ("text", tuple(chat.splitlines()))
    found = look(tmp_path, kinds["json_object"])
    assert (found.columns, found.arrays) == (("tickets", "count"), {"tickets": ({"id": 1},)})
    assert read(look(tmp_path, frame))[0] == [(1, False, "1", "a", ""), (2, False, "", "", "")]


def test_sheets_under_one_header_are_one_table(tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    book.active.append(["id", "text", "paid"])
    book.active.append([3.0, "hello", True])
    other = book.create_sheet("February")
    other.append(["text", "id", "paid"])
    other.append(["again", 4, None])
    book.create_sheet("Notes").append(["nothing here"])
    book.save(tmp_path / "log.xlsx")
    peeked = look(tmp_path, (tmp_path / "log.xlsx").read_bytes(), "log.xlsx")
    assert [row[2:] for row in read(peeked)[0]] == [("3", "hello", "true"), ("4", "again", "")]


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("log.csv", b"\x89PNG" + bytes(range(256)) * 9, "log.csv is a binary file, not text"),
        ("log.csv", b" \n ", "log.csv is empty"),
        ("log.parquet", b"PAR1" + b"x" * 99, "log.parquet is a damaged Parquet file"),
        ("log.xlsx", b"PK\x03\x04" + b"x" * 99, "log.xlsx is a damaged or encrypted Excel file"),
    ],
)
def test_what_is_no_table_is_refused_by_name(tmp_path: Path, name: str, data: bytes, message: str) -> None:
    with pytest.raises(LfbError) as caught:
        look(tmp_path, data, name)
    assert caught.value.message == message
