"""ABCD, the Action-Based Conversations Dataset: a list of conversations, or one object of splits that hold them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from lf_bridge.prepare.formats.files import Format, Peek, RowFaults, claim_each
from lf_bridge.prepare.formats.schema import Rows

if TYPE_CHECKING:
    import pyarrow as pa

_NAME = "abcd"
_NEEDS = ("convo_id", "scenario", "original")
_ROLES = {"customer": "customer", "agent": "agent", "action": "system"}


def _fits(peek: Peek) -> bool:
    if peek.kind in ("json_array", "jsonl"):
        return _is_conversation(peek.records[:1])
    return peek.kind == "json_object" and any(map(_is_conversation, peek.arrays.values()))


def _is_conversation(records: tuple[Any, ...]) -> bool:
    return bool(records) and isinstance(records[0], dict) and set(_NEEDS) <= set(records[0])


def _read(peek: Peek, faults: RowFaults) -> Iterator[pa.RecordBatch]:
    from lf_bridge.prepare.formats.json_files import read_objects

    paths = [f"{split}.item" for split in peek.arrays] if peek.kind == "json_object" else ["item"]
    rows = Rows()
    before = last = 0
    for path in paths:
        before = last
        for row, record in read_objects(peek, faults, path=path):
            last = before + row
            _add(rows, last, record)
            yield from rows.full()
    yield from rows.rest()


def _add(rows: Rows, row: int, record: Mapping[str, Any] | None) -> None:
    turns = record.get("original") if record else None
    if record is None or not isinstance(turns, list):
        rows.add(row, "", "unknown", skip="unreadable")
        return
    name = str(record.get("convo_id"))
    scenario = record.get("scenario")
    personal = scenario.get("personal") if isinstance(scenario, dict) else None
    person = personal if isinstance(personal, dict) else {}
    customer = person.get("username") or person.get("email") or person.get("phone")
    names = str(person.get("customer_name") or "").title()
    for place, turn in enumerate(turns, 1):
        if not isinstance(turn, list) or len(turn) != 2 or not isinstance(turn[1], str):
            rows.add(row, "", "unknown", conversation=name, skip="unreadable")
            continue
        rows.add(
            row,
            turn[1],
            _ROLES.get(turn[0], "unknown"),
            conversation=name,
            message_id=f"{name}-{place}",
            customer=str(customer) if customer else None,
            skip="tool_action" if turn[0] == "action" else None,
            names=names or None,
        )


FORMAT = Format(
    name=_NAME,
    title="ABCD (Action-Based Conversations Dataset)",
    needs=_NEEDS,
    schema="github.com/asappresearch/abcd: README and data/abcd_sample.json",
    claim=claim_each(_NAME, _fits, _read),
)
