"""Google Contact Center AI Insights: a conversation a file, or a line, as a list of entries with roles."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from lf_bridge.prepare.formats.files import Claim, Format, Options, Peek, RowFaults
from lf_bridge.prepare.formats.schema import MISSING, UNREAD, Rows

if TYPE_CHECKING:
    import pyarrow as pa

_NAME = "contact_center"
_ROLES = {
    "AGENT": "agent", "HUMAN_AGENT": "agent", "AUTOMATED_AGENT": "bot", "CUSTOMER": "customer", "END_USER": "customer",
}  # fmt: skip


def _claim(peeks: Sequence[Peek], options: Options) -> list[Claim]:
    files = tuple(peek for peek in peeks if options.format == _NAME or _shown(peek))
    if not files:
        return []
    customers = {
        entry.get("user_id")
        for peek in files
        for entries in _shown(peek)
        for entry in entries
        if _ROLES.get(str(entry.get("role"))) == "customer"
    }
    # Some exporters number the speakers of each conversation, where the documentation asks for one id a person.
    return [Claim(_NAME, files, partial(_read_all, files, len(customers) > 1))]


def _shown(peek: Peek) -> list[Sequence[Mapping[str, Any]]]:
    """The entries that the peek shows, conversation by conversation; empty for other files."""
    found = [peek.arrays.get("entries", ())]
    if peek.kind in ("jsonl", "json_array"):
        records = [record for record in peek.records if isinstance(record, dict)]
        found = [record["entries"] for record in records if isinstance(record.get("entries"), list)]
    return [shown for entries in found if (shown := [entry for entry in entries if _is_entry(entry)])]


def _is_entry(entry: Any) -> bool:
    return isinstance(entry, dict) and {"role", "text"} <= set(entry) and str(entry["role"]) in _ROLES


def _read_all(files: Sequence[Peek], named: bool, faults: RowFaults) -> Iterator[tuple[int, pa.RecordBatch]]:
    rows = Rows()
    for index, peek in enumerate(files):
        read = _read_object if peek.kind == "json_object" else _read_lines
        for _ in read(peek, faults, partial(_add, rows, named)):
            for batch in rows.full():
                yield index, batch
        for batch in rows.rest():
            yield index, batch


def _read_object(peek: Peek, faults: RowFaults, add: Callable[[int, str, Any], None]) -> Iterator[None]:
    from lf_bridge.prepare.formats.json_files import read_objects

    for row, entry in read_objects(peek, faults, path="entries.item"):
        add(row, peek.label, entry)
        yield


def _read_lines(peek: Peek, faults: RowFaults, add: Callable[[int, str, Any], None]) -> Iterator[None]:
    from lf_bridge.prepare.formats.json_files import read_objects

    for row, record in read_objects(peek, faults, path="item"):
        entries = record.get("entries") if record else None
        if record and not isinstance(entries, list):
            faults.add(peek.label, row, "has no list of entries")
        for entry in entries if isinstance(entries, list) else [None]:
            add(row, f"{peek.label} {row}", entry)
        yield


def _add(rows: Rows, named: bool, row: int, conversation: str, entry: Any) -> None:
    if not isinstance(entry, dict):
        rows.add(row, "", "unknown", conversation=conversation, skip="unreadable")
        return
    role = _ROLES.get(str(entry.get("role")), "unknown")
    person = entry.get("user_id")
    rows.add(
        row,
        str(entry.get("text") or ""),
        role,
        conversation=conversation,
        customer=str(person) if named and role == "customer" and person is not None else None,
        time=_microseconds(entry.get("start_timestamp_usec")),
    )


def _microseconds(value: Any) -> int:
    """A count of microseconds since 1970; protocol buffers write it as a string."""
    if value is None or value == "":
        return MISSING
    text = str(value)
    return int(text) if text.isascii() and text.isdigit() and len(text) < 18 else UNREAD


FORMAT = Format(
    name=_NAME,
    title="Google Contact Center AI (Customer Experience Insights)",
    needs=("entries with text, role, start_timestamp_usec",),
    schema="docs.cloud.google.com/contact-center/insights/docs/conversation-data-format",
    claim=_claim,
)
