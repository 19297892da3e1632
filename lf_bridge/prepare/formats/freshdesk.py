"""Freshdesk tickets and their conversations, in one file or several, with contacts, agents and ratings beside them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from lf_bridge.prepare.formats.files import Claim, Format, Options, Peek, RowFaults
from lf_bridge.prepare.formats.help_desk import (
    Record,
    add_each,
    add_unreadable,
    drain,
    fields,
    get,
    identity,
    instant,
    people,
    rate,
    records,
    truth,
    words,
)
from lf_bridge.prepare.formats.schema import Rows

if TYPE_CHECKING:
    import pyarrow as pa

# Sources of a ticket: 1 e-mail, 10 outbound e-mail, which an agent began. Sources of a conversation: 6 is a survey's
# feedback, 8 a mail forwarded to third parties. Statuses: 4 resolved, 5 closed. Source: developers.freshdesk.com/api.
_MAILED, _OUTBOUND, _SURVEY, _FORWARDED, _DONE = {"1", "10"}, "10", "6", "8", {"4", "5"}


@dataclass(frozen=True)
class _Ticket:
    id: str | None
    requester: str | None = None
    names: str | None = None
    source: str | None = None
    rating: int = 0
    resolved: int = 0


class _Reader:
    """Reads files together: names and ratings come first, then what the tickets are, then the conversations."""

    def __init__(self, files: Sequence[Peek], sides: Sequence[Peek], faults: RowFaults) -> None:
        self._files, self._faults = files, faults
        self._names: dict[str, str] = {}
        self._ratings: dict[str, int] = {}
        self._tickets: dict[str, _Ticket] = {}
        for peek in sides:
            for _, record in records(peek, RowFaults()):
                if record and "ratings" in record:
                    self._ratings[identity(record.get("ticket_id")) or ""] = _rating(record["ratings"])
                elif record and (person := identity(record.get("id"))):
                    self._names[person] = words(record.get("name")) or words(get(record, "contact", "name"))

    def read(self) -> Iterator[tuple[int, pa.RecordBatch]]:
        ticketed = [
            (index, peek)
            for index, peek in enumerate(self._files)
            if _has_tickets(peek) or not _has_conversations(peek)
        ]
        apart = [(index, peek) for index, peek in enumerate(self._files) if _has_conversations(peek)]
        for _, peek in ticketed if apart else ():
            for _, record in records(peek, RowFaults(), "tickets"):
                ticket = self._ticket(record or {})
                if ticket.id:
                    self._tickets[ticket.id] = ticket
        for index, peek in ticketed:
            yield from drain(index, self._read_tickets(peek))
        for index, peek in apart:
            yield from drain(index, self._read_conversations(peek))

    def _read_tickets(self, peek: Peek) -> Iterator[pa.RecordBatch]:
        rows = Rows()
        for row, record in records(peek, self._faults, "tickets"):
            if record is None:
                add_unreadable(rows, row)
                continue
            ticket = self._ticket(record)
            if record.get("description") is not None or record.get("description_text") is not None:
                self._add_description(rows, row, ticket, record)
            add_each(rows, row, record.get("conversations"), partial(self._add_conversation, rows, row, ticket))
            yield from rows.full()
        yield from rows.rest()

    def _read_conversations(self, peek: Peek) -> Iterator[pa.RecordBatch]:
        rows = Rows()
        for row, record in records(peek, self._faults, "conversations"):
            if record is None:
                add_unreadable(rows, row)
                continue
            ticket_id = identity(record.get("ticket_id"))
            self._add_conversation(rows, row, self._tickets.get(ticket_id or "", _Ticket(ticket_id)), record)
            yield from rows.full()
        yield from rows.rest()

    def _ticket(self, record: Record) -> _Ticket:
        ticket_id, requester = identity(record.get("id")), identity(record.get("requester_id"))
        responder = identity(record.get("responder_id"))
        return _Ticket(
            ticket_id,
            requester,
            people(get(record, "requester", "name"), self._name(requester), self._name(responder)),
            identity(record.get("source")),
            self._ratings.get(ticket_id or "", 0),
            int(identity(record.get("status")) in _DONE),
        )

    def _add_description(self, rows: Rows, row: int, ticket: _Ticket, record: Record) -> None:
        page = words(record.get("description"))
        kind = "html" if page.strip() else "text"
        rows.add(
            row,
            page if page.strip() else words(record.get("description_text")),
            "agent" if ticket.source == _OUTBOUND else "customer",
            conversation=ticket.id,
            customer=ticket.requester,
            time=instant(record.get("created_at")),
            kind=f"email_{kind}" if ticket.source in _MAILED else kind,
            skip="deleted" if truth(record.get("deleted")) else None,
            names=ticket.names,
            rating=ticket.rating,
            resolved=ticket.resolved,
        )

    def _add_conversation(self, rows: Rows, row: int, ticket: _Ticket, record: Record) -> None:
        author, incoming = identity(record.get("user_id")), record.get("incoming")
        role = "unknown" if incoming in (None, "") else "customer" if truth(incoming) else "agent"
        source, skip = identity(record.get("source")), None
        if truth(record.get("private")) or source == _FORWARDED:
            role, skip = "note", "internal_note"
        elif source == _SURVEY:
            role, skip = "system", "system_event"
        elif truth(record.get("auto_response")) or identity(record.get("automation_id")):
            skip = "automatic_reply"
        page = words(record.get("body"))
        kind = "html" if page.strip() else "text"
        mailed = ticket.source in _MAILED or (ticket.source is None and bool(record.get("from_email")))
        rows.add(
            row,
            page if page.strip() else words(record.get("body_text")),
            role,
            conversation=ticket.id,
            message_id=identity(record.get("id")),
            customer=ticket.requester or (author if role == "customer" else None),
            time=instant(record.get("created_at")),
            kind=f"email_{kind}" if mailed else kind,
            skip=skip,
            names=people(ticket.names, self._name(author)),
            rating=ticket.rating,
            resolved=ticket.resolved,
        )

    def _name(self, person: str | None) -> str:
        return self._names.get(person or "", "")


def _rating(ratings: object) -> int:
    """Of the first question: 101 to 103 are happy, 100 is neutral, -101 to -103 are unhappy."""
    if isinstance(ratings, list):
        return rate(get(ratings[0], "value"), good=101, bad=-1) if ratings else 0
    return rate(get(ratings, "default_question"), good=101, bad=-1)


def _has_tickets(peek: Peek) -> bool:
    names = fields(peek, "tickets")
    return "requester_id" in names and len(names & {"responder_id", "fr_escalated", "spam", "description_text"}) > 1


def _has_conversations(peek: Peek) -> bool:
    names = fields(peek, "conversations")
    # A ticket that is a file of its own has its conversations inside.
    return {"incoming", "private", "user_id"} <= names and "requester_id" not in peek.columns


def _is_beside(peek: Peek) -> bool:
    names = fields(peek)
    person = {"id", "name"} <= names and bool(names & {"unique_external_id", "view_all_tickets", "other_emails"})
    return person or {"id", "contact", "occasional"} <= names or {"ticket_id", "ratings", "survey_id"} <= names


def _claim(peeks: Sequence[Peek], options: Options) -> list[Claim]:
    files = tuple(peek for peek in peeks if _has_tickets(peek) or _has_conversations(peek))
    sides = tuple(peek for peek in peeks if peek not in files and _is_beside(peek))
    if options.format == FORMAT.name:
        files = tuple(peek for peek in peeks if peek not in sides)

    def read(faults: RowFaults) -> Iterator[tuple[int, pa.RecordBatch]]:
        return _Reader(files, sides, faults).read()

    return [Claim(FORMAT.name, files, read, sides)] if files else []


FORMAT = Format(
    name="freshdesk",
    title="Freshdesk tickets with conversations (JSON, together or apart)",
    needs=("ticket: id, requester_id, description", "conversation: ticket_id, incoming, private, body"),
    schema="github.com/singer-io/tap-freshdesk, tap_freshdesk/schemas: tickets, conversations, satisfaction_ratings; "
    "developers.freshdesk.com/api",
    claim=_claim,
)
