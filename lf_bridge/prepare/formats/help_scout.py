"""Help Scout conversations with their threads, which are single messages there, or threads alone."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING

from lf_bridge.prepare.formats.files import Format, Peek, RowFaults, claim_each
from lf_bridge.prepare.formats.help_desk import (
    Record,
    add_each,
    fields,
    get,
    identity,
    instant,
    people,
    read_alone,
    words,
)
from lf_bridge.prepare.formats.schema import Rows

if TYPE_CHECKING:
    import pyarrow as pa

_LISTS = ("_embedded.conversations", "_embedded.threads", "conversations", "threads")
_ROLES = {"customer": "customer", "user": "agent", "team": "agent", "system_user": "bot"}
# States of a thread that its customer never saw.
_UNSENT = {"draft": "draft", "hidden": "not_sent", "underreview": "not_sent"}
# The documentation shows its counterpart, `manual-workflow`, which a person runs.
_AUTOMATIC = "automatic-workflow"
_REWARDS = {"great": 1, "not_good": -1, "notgood": -1}


def _fits(peek: Peek) -> bool:
    names = fields(peek, *(() if "primaryCustomer" in peek.columns else _LISTS))
    thread = {"type", "state", "body"} <= names and bool(names & {"createdBy", "created_by"})
    return thread or bool(names & {"primaryCustomer", "primary_customer"} and names & {"threads", "_embedded"})


def _read(peek: Peek, faults: RowFaults) -> Iterator[pa.RecordBatch]:
    # A conversation that is a file of its own; and threads that do not name theirs are an answer for one.
    lists = () if "primaryCustomer" in peek.columns else _LISTS
    yield from read_alone(peek, faults, lists, partial(_add, peek.label))


def _add(default: str, rows: Rows, row: int, record: Record) -> None:
    threads = get(record, "_embedded", "threads")
    if threads is None and isinstance(record.get("threads"), list):
        threads = record["threads"]
    if threads is None and "body" in record:
        _add_thread(default, rows, row, {}, record)
    else:
        add_each(rows, row, threads, partial(_add_thread, default, rows, row, record))


def _add_thread(default: str, rows: Rows, row: int, conversation: Record, thread: Record) -> None:
    kind, author = words(thread.get("type")), _either(thread, "createdBy", "created_by")
    role, skip = _ROLES.get(words(get(author, "type")), "unknown"), None
    if kind in ("note", "forwardparent", "forwardchild"):
        role, skip = "note", "internal_note"
    elif kind == "lineitem":
        role, skip = "system", "system_event"
    elif words(thread.get("state")) in _UNSENT:
        skip = _UNSENT[words(thread.get("state"))]
    elif role != "customer" and get(thread, "action", "type") == _AUTOMATIC:
        role, skip = "bot", "automatic_reply"
    customer = _either(conversation, "primaryCustomer", "primary_customer") or thread.get("customer")
    # A conversation's type is email, chat or phone; a thread alone tells its source only.
    mailed = words(conversation.get("type") or get(thread, "source", "type")).startswith("email")
    own = identity(conversation.get("id")) or identity(_either(thread, "conversationId", "conversation_id"))
    rows.add(
        row,
        words(thread.get("body")),
        role,
        conversation=own or default,
        message_id=identity(thread.get("id")),
        customer=identity(get(customer, "id")),
        time=instant(_either(thread, "createdAt", "created_at")),
        kind="email_html" if mailed else "html",
        skip=skip,
        names=people(*_names(customer), *(() if role == "bot" else _names(author)), *_names(_assignee(thread))),
        resolved=int(conversation.get("status") == "closed"),
        reward=_REWARDS.get(words(get(thread, "rating", "rating")).replace(" ", "_").lower(), 0),
    )


def _either(record: Record, camel: str, snake: str) -> object:
    """A field as the API names it, or as connectors that copy it into tables do."""
    return record.get(camel) if record.get(camel) is not None else record.get(snake)


def _assignee(thread: Record) -> object:
    return _either(thread, "assignedTo", "assigned_to")


def _names(person: object) -> tuple[str, ...]:
    first, last = words(get(person, "first")), words(get(person, "last"))
    return f"{first} {last}", first, last


FORMAT = Format(
    name="help_scout",
    title="Help Scout conversations with embedded threads, or threads (JSON)",
    needs=("thread: type, state, body, createdBy.type",),
    schema="developer.helpscout.com, Mailbox API 2.0 and 3.0, List Threads; github.com/singer-io/tap-helpscout, "
    "tap_helpscout/schemas: conversations, conversation_threads",
    claim=claim_each("help_scout", _fits, _read),
)
