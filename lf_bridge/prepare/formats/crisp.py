"""Crisp messages: lists of them, the API's ``data``, or conversations that hold them."""

from __future__ import annotations

from functools import partial

from lf_bridge.prepare.formats.files import Format, Peek, claim_each
from lf_bridge.prepare.formats.help_desk import (
    Record,
    add_each,
    fields,
    get,
    identity,
    instant,
    people,
    read_alone,
    truth,
    words,
)
from lf_bridge.prepare.formats.schema import Rows

_LISTS = ("data", "messages", "conversations")
_ROLES = {"user": "customer", "operator": "agent"}


def _fits(peek: Peek) -> bool:
    names = fields(peek, *_LISTS)
    return {"session_id", "website_id"} <= names and ({"from", "content", "type"} <= names or "messages" in names)


def _add(rows: Rows, row: int, record: Record) -> None:
    if isinstance(record.get("messages"), list):
        add_each(rows, row, record["messages"], partial(_add_message, rows, row, record))
    else:
        _add_message(rows, row, {}, record)


def _add_message(rows: Rows, row: int, conversation: Record, message: Record) -> None:
    kind, content = message.get("type"), message.get("content")
    role, skip = _ROLES.get(words(message.get("from")), "unknown"), None
    if kind == "note":
        role, skip = "note", "internal_note"
    elif kind == "event":
        role, skip = "system", "system_event"
    elif truth(message.get("automated")) and role == "agent":
        role = "bot"
    person, session = get(message, "user", "nickname"), identity(message.get("session_id"))
    rows.add(
        row,
        words(content) if kind in ("text", "note") else words(get(content, "text")),
        role,
        conversation=session or identity(conversation.get("session_id")),
        message_id=identity(message.get("fingerprint")),
        customer=identity(conversation.get("people_id"))
        or (identity(get(message, "user", "user_id")) if role == "customer" else None),
        time=instant(message.get("timestamp")),
        kind="email_text" if "email" in words(message.get("origin")) else "text",
        skip=skip,
        names=people(get(conversation, "meta", "nickname"), None if role == "bot" else person),
        resolved=int(conversation.get("state") == "resolved"),
    )


FORMAT = Format(
    name="crisp",
    title="Crisp messages (JSON)",
    needs=("session_id", "website_id", "from", "type", "content"),
    schema="github.com/crisp-im/node-crisp-api, lib/resources/WebsiteConversation.ts: ConversationMessage",
    claim=claim_each("crisp", _fits, partial(read_alone, lists=_LISTS, add=_add)),
)
