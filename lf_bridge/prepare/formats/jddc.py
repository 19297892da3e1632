"""JDDC, the JD dialogue corpus: a line a message, cells between tabs, with a header line (2018) or without (2019)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from lf_bridge.prepare.formats.files import Format, Peek, RowFaults, claim_each
from lf_bridge.prepare.formats.schema import ROLES, make_batch

if TYPE_CHECKING:
    import pyarrow as pa

_NAME = "jddc"
_HEADER = ("session_id", "user_id", "waiter_send", "is_transfer", "is_repeat")
_LINE = re.compile(r"[^\t]+\t[^\t]*\t[01]\t[01]\t[01]\t")
_BLOCK = 8 << 20
# Emoji, no-break spaces and the mark between several answers sent at once; ``<sep>`` parts the answers of other agents.
_MARKS = ((r"#E-\w{1,2}\[数字x\]", ""), ("&nbsp;", " "), ("<sep>(.|\n)*", ""), (r"!@@@!", "\n"))


def _head(peek: Peek) -> tuple[bool, int] | None:
    """Whether there is a header line, and the cells in front of the words; None for other files."""
    if peek.kind not in ("csv", "text"):
        return None
    lines = peek.lines[:20] or ("",)
    header = tuple(cell.strip() for cell in lines[0].split("\t"))[:5] == _HEADER
    body = [line for line in lines[header:] if line.strip()]
    if not body or not all(_LINE.match(line) for line in body[:-1] or body):
        return None
    # The column of the goods was left out of some copies; there the words stand sixth.
    return header, 6 if sum(line.count("\t") >= 6 for line in body) * 2 > len(body) else 5


def _fits(peek: Peek) -> bool:
    return _head(peek) is not None


def _read(peek: Peek, faults: RowFaults) -> Iterator[pa.RecordBatch]:
    header, before = _head(peek) or (False, 6)
    row = 0
    with open(peek.path, encoding="utf-8-sig", errors="replace", newline="\n") as file:
        if header:
            file.readline()
        while lines := file.readlines(_BLOCK):
            batch = _batch(lines, before, row + 1, peek.label, faults)
            if batch is not None:
                row += batch.num_rows
                yield batch


def _batch(lines: list[str], before: int, first: int, label: str, faults: RowFaults) -> pa.RecordBatch | None:
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    raw = pc.ascii_rtrim(pa.array(lines, pa.string()), characters="\r\n")
    raw = raw.filter(pc.greater(pc.binary_length(raw), 0))
    if not len(raw):
        return None
    rows = np.arange(first, first + len(raw))
    # A tab may stand in the words themselves, so only those before them are cuts.
    cells = pc.split_pattern(raw, "\t", max_splits=before)
    whole = pc.equal(pc.list_value_length(cells), before + 1)
    cells = pc.if_else(whole, cells, pa.scalar([""] * (before + 1), cells.type))
    for lost in rows[~whole.to_numpy(zero_copy_only=False)].tolist():
        faults.add(label, lost, f"has fewer than {before + 1} cells")
    session, user, sender = (pc.utf8_trim_whitespace(pc.list_element(cells, place)) for place in range(3))
    text = pc.list_element(cells, before)
    for pattern, replacement in _MARKS:
        text = pc.replace_substring_regex(text, pattern, replacement)
    text = pc.if_else(pc.equal(pc.utf8_trim_whitespace(text), "NULL"), "", text)
    customer, agent, unknown = (pa.scalar(ROLES.index(role), pa.int8()) for role in ("customer", "agent", "unknown"))
    columns = {
        "row": pa.array(rows),
        "conversation": _or_null(session),
        "customer": _or_null(user),
        "role": pc.if_else(pc.equal(sender, "0"), customer, pc.if_else(pc.equal(sender, "1"), agent, unknown)),
        "text": text,
        "skip": pc.if_else(whole, pa.scalar(None, pa.string()), "unreadable"),
    }
    return make_batch(columns, len(raw))


def _or_null(cells: pa.Array) -> pa.Array:
    import pyarrow as pa
    import pyarrow.compute as pc

    return pc.if_else(pc.equal(pc.binary_length(cells), 0), pa.scalar(None, pa.string()), cells)


FORMAT = Format(
    name=_NAME,
    title="JDDC (JD.com dialogue corpus)",
    needs=_HEADER,
    schema="arXiv 1911.09969; the data's own readme and a sample in github.com/EndlessLethe/jddc2019-3th-retrieve-model"
    " (2019); github.com/DaDaMrX/jddc-datacleaning data.py (2018)",
    claim=claim_each(_NAME, _fits, _read),
)
