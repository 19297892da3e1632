"""Chatwoot messages: a list, the API's ``payload``, conversations that hold them, or the table of the database."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
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
    rate,
    read_alone,
    records,
    truth,
    words,
)
from lf_bridge.prepare.formats.schema import Rows

if TYPE_CHECKING:
    import pyarrow as pa

Ratings = Mapping[str | None, int]
_LISTS = ("payload", "messages", "conversations", "data.payload")
# The numbers and names of the enumerations in app/models/message.rb.
_INCOMING, _OUTGOING, _ACTIVITY, _TEMPLATE = {"0", "incoming"}, {"1", "outgoing"}, {"2", "activity"}, {"3", "template"}
_MAIL, _FAILED = {"8", "incoming_email"}, {"3", "failed"}
_BOTS = {"agentbot", "agent_bot", "captain::assistant", "captain_assistant"}


def _fits(peek: Peek) -> bool:
    names = fields(peek, *_LISTS)
    messages = {"content", "message_type", "conversation_id", "private"} <= names
    return messages or {"messages", "inbox_id", "contact_last_seen_at"} <= names


def _read(peek: Peek, faults: RowFaults) -> Iterator[pa.RecordBatch]:
    # A survey's answer stands in the message that asked, which is the last one and no training text.
    ratings: dict[str | None, int] = {}
    for _, record in records(peek, RowFaults(), *_LISTS):
        listed = get(record, "messages")
        for message in listed if isinstance(listed, list) else [record]:
            answer = get(message, "content_attributes", "submitted_values", "csat_survey_response", "rating")
            if rating := rate(answer, good=4, bad=2):
                ratings[_thread(record, message)] = rating
    yield from read_alone(peek, faults, _LISTS, partial(_add, ratings))


def _add(ratings: Ratings, rows: Rows, row: int, record: Record) -> None:
    if isinstance(record.get("messages"), list):
        add_each(rows, row, record["messages"], partial(_add_message, ratings, rows, row, record))
    else:
        _add_message(ratings, rows, row, {}, record)


def _add_message(ratings: Ratings, rows: Rows, row: int, conversation: Record, message: Record) -> None:
    kind, sender = str(message.get("message_type")), message.get("sender")
    sender_type = words(message.get("sender_type") or get(sender, "type")).lower()
    attributes = message.get("content_attributes")
    role, skip = "unknown", None
    if truth(message.get("private")):
        role, skip = "note", "internal_note"
    elif kind in _ACTIVITY:
        role, skip = "system", "system_event"
    elif kind in _TEMPLATE or get(attributes, "automation_rule_id") or _campaign(message):
        role, skip = "bot", "automatic_reply"
    elif kind in _INCOMING:
        role = "customer"
    elif kind in _OUTGOING:
        role = "bot" if sender_type in _BOTS else "agent"
        skip = "not_sent" if str(message.get("status")) in _FAILED else None
    if skip is None and truth(get(attributes, "deleted")):
        skip = "deleted"
    known = identity(get(conversation, "meta", "sender", "id"))
    wrote = identity(message.get("sender_id")) or identity(get(sender, "id"))
    thread = _thread(conversation, message)
    status = conversation.get("status") or get(message, "conversation", "status")
    rows.add(
        row,
        words(message.get("content")),
        role,
        conversation=thread,
        message_id=identity(message.get("id")),
        customer=known or (wrote if role == "customer" else None),
        time=instant(message.get("created_at")),
        kind="email_text" if str(message.get("content_type")) in _MAIL else "text",
        skip=skip,
        names=people(
            get(conversation, "meta", "sender", "name"),
            get(conversation, "meta", "assignee", "name"),
            get(sender, "name") if role in ("customer", "agent", "note") else None,
            get(sender, "available_name") if role in ("agent", "note") else None,
        ),
        rating=ratings.get(thread, 0),
        resolved=int(str(status) in ("resolved", "1")),
    )


def _thread(conversation: object, message: object) -> str | None:
    return identity(get(message, "conversation_id")) or identity(get(conversation, "id"))


def _campaign(message: Record) -> bool:
    return identity(get(message, "additional_attributes", "campaign_id")) is not None


FORMAT = Format(
    name="chatwoot",
    title="Chatwoot messages (JSON, or CSV of the messages table)",
    needs=("conversation_id", "content", "message_type", "private"),
    schema="github.com/chatwoot/chatwoot, app/models/message.rb: schema, enumerations, human_response?",
    claim=claim_each("chatwoot", _fits, _read),
)
