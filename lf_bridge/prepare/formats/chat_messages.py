"""Conversations as lists of messages: OpenAI's ``messages``, ShareGPT's ``conversations``, and lists like them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from lf_bridge.prepare.formats.cells import role_meaning
from lf_bridge.prepare.formats.columns import NAMES, plain, role_of
from lf_bridge.prepare.formats.files import Claim, Format, Options, Peek, RowFaults
from lf_bridge.prepare.formats.schema import Rows
from lf_bridge.prepare.formats.times import Times, decide

if TYPE_CHECKING:
    import pyarrow as pa

NAME = "chat_messages"
LISTS = ("messages", "conversations", "conversation", "turns", "dialogue", "dialog", "utterances", "history", "chat")
ROLE = ("role", "from", "speaker", "sender", "sender_type", "author_role", "author")
TEXT = ("content", "value", "text", "utterances", "utterance", "message", "body")
TIME = ("created_at", "timestamp", "time", "date", "ts")
# Parts that tools play; their words are no support text.
TOOLS = {"tool", "function", "function_call", "function_response", "observation", "tool_call", "tool_response"}
_TEXT_PARTS = {"text", "input_text", "output_text", "refusal"}


def claim(peeks: Sequence[Peek], options: Options) -> list[Claim]:
    """The JSON files whose records, or the whole of which, are lists of messages."""
    claims = []
    for peek in peeks:
        shape = _shape(peek, options.format == NAME)
        if shape is not None:
            claims.append(Claim(NAME, (peek,), _reader(peek, *shape, options)))
    return claims


def _shape(peek: Peek, forced: bool) -> tuple[str, str | None] | None:
    """The path of the records, and the name under which each holds its list; no name: the file is one conversation."""
    if peek.kind in ("jsonl", "json_array"):
        name = _list_name(peek.records)
        return ("item", name) if name else ("item", "messages") if forced else None
    if peek.kind != "json_object":
        return None
    for outer, records in peek.arrays.items():
        objects = [record for record in records if isinstance(record, dict)]
        name = _list_name(objects)
        if name:
            return f"{outer}.item", name
        if outer in LISTS and objects and all(_words(one) is not None and _role_cell(one) for one in objects):
            return f"{outer}.item", None
    return None


def _list_name(records: Sequence[Mapping[str, Any]]) -> str | None:
    """The name under which most records hold a list of messages."""
    for name in LISTS:
        lists = [record[name] for record in records if isinstance(record.get(name), list) and record[name]]
        messages = [one for some in lists for one in some[:5]]
        is_message = [isinstance(one, dict) and bool(_role_cell(one)) and _words(one) is not None for one in messages]
        if lists and 2 * len(lists) >= len(records) and 2 * sum(is_message) > len(is_message):
            return name
    return None


def _reader(
    peek: Peek, path: str, name: str | None, options: Options
) -> Callable[[RowFaults], Iterator[tuple[int, pa.RecordBatch]]]:
    return lambda faults: ((0, batch) for batch in read(peek, path, name, options, faults))


def read(peek: Peek, path: str, name: str | None, options: Options, faults: RowFaults) -> Iterator[pa.RecordBatch]:
    """The messages, all of one record under its number; a record without an id is known by its words."""
    from lf_bridge.prepare.formats.json_files import read_objects

    meaning = role_meaning(options.mapping) if options.mapping is not None else role_of
    rows, times = Rows(), _decide_times(peek, name, options)
    for row, record in read_objects(peek, faults, path=path):
        if record is None:
            rows.add(row, "", "unknown", skip="unreadable")
        elif name is None:
            _add(rows, row, [record], {"conversation": _id(record) or peek.label}, meaning, times)
        else:
            found = record.get(name)
            messages = found if isinstance(found, list) else []
            known = _id(record)
            shared = {"conversation": known or _hash(messages), "single": known is None, "customer": _customer(record)}
            if not messages:
                rows.add(row, "", "unknown", **shared)
            _add(rows, row, messages, shared, meaning, times)
        yield from rows.full()
    yield from rows.rest()


def _add(
    rows: Rows, row: int, messages: Sequence[Any], shared: dict[str, Any], meaning: Callable[[str], str], times: Times
) -> None:
    import pyarrow as pa

    stamps = [_cell(one, TIME) for one in messages]
    read = times.read(pa.array(stamps, pa.string())).to_pylist() if any(stamps) else [None] * len(messages)
    for one, stamp in zip(messages, read, strict=True):
        label = _role_cell(one) if isinstance(one, dict) else ""
        words = _words(one) if isinstance(one, dict) else None
        called = isinstance(one, dict) and bool(one.get("tool_calls") or one.get("function_call"))
        is_tool = plain(label) in TOOLS or (called and not words)
        role = "agent" if called else "system" if is_tool else "system" if label == "developer" else meaning(label)
        more = {**shared, "message_id": _cell(one, ("id", "message_id")) or None, "time": stamp}
        name = one.get("name") if isinstance(one, dict) and role in ("customer", "agent") else None
        rows.add(
            row,
            words or "",
            role,
            skip="tool_action" if is_tool else None,
            names=name if isinstance(name, str) else None,
            **more,
        )


def _words(message: Mapping[str, Any]) -> str | None:
    """The text of a message, empty where it has only pictures, sound or calls; None where it has no such field."""
    for name in TEXT:
        if name in message:
            value = message[name]
            if isinstance(value, list):
                return "\n".join(filter(None, map(_part, value)))
            return value if isinstance(value, str) else ""
    return None


def _part(part: Any) -> str:
    if isinstance(part, dict):
        return str(part.get("text") or part.get("refusal") or "") if part.get("type", "text") in _TEXT_PARTS else ""
    return part if isinstance(part, str) else ""


def _role_cell(message: Mapping[str, Any]) -> str:
    return next((value for name in ROLE if isinstance(value := message.get(name), str) and value.strip()), "")


def _cell(message: Any, names: Sequence[str]) -> str:
    if not isinstance(message, dict):
        return ""
    value = next((message[name] for name in names if message.get(name) is not None), "")
    return str(value) if isinstance(value, str | int | float) and not isinstance(value, bool) else ""


def _id(record: Mapping[str, Any]) -> str | None:
    return _cell(record, (*NAMES["conversation"], "id", "convo_id")) or None


def _customer(record: Mapping[str, Any]) -> str | None:
    return _cell(record, NAMES["customer"]) or None


def _hash(messages: Sequence[Any]) -> str:
    said = "\0".join(f"{_role_cell(one)}\0{_words(one) or ''}" for one in messages if isinstance(one, dict))
    return hashlib.blake2b(said.encode("utf-8", "replace"), digest_size=16).hexdigest()


def _decide_times(peek: Peek, name: str | None, options: Options) -> Times:
    import pyarrow as pa

    zone = options.mapping.timezone if options.mapping is not None else "UTC"
    records = peek.records or tuple(one for some in peek.arrays.values() for one in some if isinstance(one, dict))
    messages = records if name is None else [one for record in records for one in record.get(name) or ()]
    return decide(pa.array([stamp for one in messages if (stamp := _cell(one, TIME))], pa.string()), zone)


FORMAT = Format(
    NAME,
    "JSON with a list of messages a conversation (OpenAI `messages`, ShareGPT `conversations`, `turns`, `dialogue`)",
    ("a list of objects with role or from, and content or value",),
    "LLaMA-Factory, data/README.md (ShareGPT and OpenAI formats); openai-python, src/openai/types/chat",
    claim,
)
