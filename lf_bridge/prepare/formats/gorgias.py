"""Gorgias tickets with their messages, or messages alone."""

from __future__ import annotations

from functools import partial

from lf_bridge.prepare.formats.files import Format, Peek, claim_each
from lf_bridge.prepare.formats.help_desk import (
    Record,
    add_each,
    fields,
    first_words,
    get,
    identity,
    instant,
    people,
    rate,
    read_alone,
    truth,
    words,
)
from lf_bridge.prepare.formats.schema import Rows

_LISTS = ("data", "messages", "tickets")


def _fits(peek: Peek) -> bool:
    names = fields(peek, *_LISTS)
    messages = {"from_agent", "channel"} <= names and bool(names & {"body_text", "body_html"})
    return messages or {"messages", "channel", "opened_datetime"} <= names


def _add(rows: Rows, row: int, record: Record) -> None:
    if isinstance(record.get("messages"), list):
        add_each(rows, row, record["messages"], partial(_add_message, rows, row, record))
    else:
        _add_message(rows, row, {}, record)


def _add_message(rows: Rows, row: int, ticket: Record, message: Record) -> None:
    from_agent, channel, source = message.get("from_agent"), message.get("channel"), get(message, "source", "type")
    role = "unknown" if from_agent in (None, "") else "agent" if truth(from_agent) else "customer"
    skip = None
    if "internal-note" in (channel, source) or not truth(message.get("public"), default=True):
        role, skip = "note", "internal_note"
    elif identity(message.get("rule_id")) or message.get("via") == "rule":
        role, skip = "bot", "automatic_reply"
    elif identity(message.get("deleted_datetime")):
        skip = "deleted"
    elif role == "agent" and identity(message.get("failed_datetime")) and not identity(message.get("sent_datetime")):
        skip = "not_sent"
    page = words(message.get("body_html"))
    kind = "html" if page.strip() else "text"
    customer = ticket.get("customer") or message.get("receiver" if role == "agent" else "sender")
    rows.add(
        row,
        page if page.strip() else first_words(message.get("body_text"), message.get("stripped_text")),
        role,
        conversation=identity(message.get("ticket_id")) or identity(ticket.get("id")),
        message_id=identity(message.get("id")),
        customer=identity(get(customer, "id")) if ticket or role in ("agent", "customer") else None,
        time=instant(message.get("created_datetime")),
        kind=f"email_{kind}" if channel == "email" else kind,
        skip=skip,
        names=people(*_names(ticket.get("customer")), *_names(message.get("sender")), *_names(message.get("receiver"))),
        rating=rate(get(ticket, "satisfaction_survey", "score"), good=4, bad=2),
        resolved=int(ticket.get("status") == "closed"),
    )


def _names(person: object) -> tuple[object, ...]:
    return tuple(get(person, name) for name in ("name", "firstname", "lastname"))


FORMAT = Format(
    name="gorgias",
    title="Gorgias tickets with messages, or messages (JSON)",
    needs=("message: ticket_id, from_agent, public, channel, body_text or body_html",),
    schema="developers.gorgias.com, The TicketMessage object; github.com/brooklyn-data/tap-gorgias, "
    "tap_gorgias/schemas: messages, satisfaction_surveys",
    claim=claim_each("gorgias", _fits, partial(read_alone, lists=_LISTS, add=_add)),
)
