"""Intercom conversations: the first message is the ``source``, all others are conversation parts."""

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
    number,
    people,
    rate,
    read_alone,
    truth,
    words,
)
from lf_bridge.prepare.formats.schema import Rows

_LISTS = ("conversations", "data", "conversation")
_ROLES = {
    "user": "customer", "lead": "customer", "contact": "customer", "admin": "agent", "team": "agent", "bot": "bot",
}  # fmt: skip
# Types under which the schema shows a body that the customer saw; those of a note are told by their name.
_SPOKEN = {
    "comment", "quick_reply", "open", "close", "assignment", "assign_and_reopen", "assign_and_unsnooze", "snoozed",
    "unsnoozed",
}  # fmt: skip
_AUTOMATIC = {"automated", "campaigns_initiated", "operator_initiated"}


def _fits(peek: Peek) -> bool:
    names = fields(peek, *_LISTS)
    return "source" in names and bool(names & {"conversation_parts", "teammates", "waiting_since", "admin_assignee_id"})


def _add(rows: Rows, row: int, record: Record) -> None:
    source, parts = record.get("source"), get(record, "conversation_parts", "conversation_parts")
    if parts is None:
        parts = record.get("conversation_parts")
    contacts = get(record, "contacts", "contacts")
    contact = contacts[0] if isinstance(contacts, list) and contacts else None
    customer = identity(get(contact, "id"))
    spoke = [source, *(parts if isinstance(parts, list) else ())]
    if customer is None:
        customer = next((identity(get(one, "author", "id")) for one in spoke if _role(one) == "customer"), None)
    names = people(*(get(one, "author", "name") for one in spoke if _role(one) in ("customer", "agent")))
    reopened = number(get(record, "statistics", "count_reopens")) or 0
    channel = get(source, "type")
    of_all = {
        "conversation": identity(record.get("id")),
        "customer": customer,
        "names": names,
        "rating": rate(get(record, "conversation_rating", "rating"), good=4, bad=2),
        "resolved": -1 if reopened > 0 else int(record.get("state") == "closed"),
    }

    def add_part(part: Record) -> None:
        kind, role = words(part.get("part_type")), _role(part)
        skip = None
        if "note" in kind:
            role, skip = "note", "internal_note"
        elif kind not in _SPOKEN or (kind != "comment" and not words(part.get("body"))):
            role, skip = "system", "system_event"
        _say(rows, row, part, role, skip, channel, part.get("created_at"), of_all)

    if isinstance(source, dict):
        automatic = words(source.get("delivered_as")) in _AUTOMATIC and _role(source) != "customer"
        role, skip = ("bot", "automatic_reply") if automatic else (_role(source), None)
        _say(rows, row, source, role, skip, channel, record.get("created_at"), of_all)
    add_each(rows, row, parts, add_part)


def _say(
    rows: Rows, row: int, said: Record, role: str, skip: str | None, channel: object, time: object, of_all: Record
) -> None:
    # Of a tweet the API gives a notice in place of the body.
    hidden = truth(said.get("redacted")) or channel == "twitter"
    mailed = channel == "email" or said.get("email_message_metadata") is not None
    rows.add(
        row,
        words(said.get("body")),
        role,
        message_id=identity(said.get("id")),
        time=instant(time),
        kind="email_html" if mailed else "html",
        skip=skip or ("deleted" if hidden else None),
        **of_all,
    )


def _role(said: object) -> str:
    if truth(get(said, "author", "from_ai_agent")) or truth(get(said, "author", "is_ai_answer")):
        return "bot"
    return _ROLES.get(words(get(said, "author", "type")), "unknown")


FORMAT = Format(
    name="intercom",
    title="Intercom conversations with their parts (JSON)",
    needs=("source: body, author.type", "conversation_parts: part_type, body, author.type"),
    schema="github.com/intercom/Intercom-OpenAPI, descriptions/2.14/api.intercom.io.yaml: conversation, "
    "conversation_source, conversation_part, conversation_part_author, conversation_rating",
    claim=claim_each("intercom", _fits, partial(read_alone, lists=_LISTS, add=_add)),
)
