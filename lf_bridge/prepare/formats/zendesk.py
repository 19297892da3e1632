"""Zendesk Support: tickets and their comments, in one file or several, with users beside them."""

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
    first_words,
    get,
    identity,
    instant,
    number,
    people,
    records,
    samples,
    truth,
    words,
)
from lf_bridge.prepare.formats.schema import Rows

if TYPE_CHECKING:
    import pyarrow as pa

_TICKETS = ("tickets", "ticket")
_ROLES = {"end-user": "customer", "agent": "agent", "admin": "agent"}
# Lists of the API that hold no messages.
_BESIDE = {
    "organizations", "groups", "group_memberships", "brands", "macros", "ticket_fields", "ticket_forms",
    "ticket_metrics", "ticket_metric_events", "satisfaction_ratings", "audits", "tags", "sla_policies", "schedules",
}  # fmt: skip
_GUESSED = "neither tickets nor users stand beside the comments: who wrote the first one of a ticket is its customer"


@dataclass(frozen=True)
class _Ticket:
    """What is known of a ticket; ``requester`` and ``names`` are empty where it stands in no file."""

    id: str | None
    requester: str | None = None
    names: str | None = None
    channel: str = ""
    rating: int = 0
    resolved: int = 0


class _Reader:
    """Reads files together: who the users are comes first, then what the tickets are, then the comments."""

    def __init__(self, files: Sequence[Peek], sides: Sequence[Peek], faults: RowFaults) -> None:
        self._files, self._faults = files, faults
        self._users: dict[str, tuple[str, str]] = {}
        self._tickets: dict[str, _Ticket] = {}
        self._openers: dict[str, str] = {}
        self._commented: set[str] = set()
        for peek in filter(_has_users, (*sides, *files)):
            for _, user in records(peek, RowFaults(), "users"):
                if user and (user_id := identity(user.get("id"))):
                    self._users[user_id] = (_ROLES.get(words(user.get("role")), "unknown"), words(user.get("name")))

    def read(self) -> Iterator[tuple[int, pa.RecordBatch]]:
        commented = [(index, peek) for index, peek in enumerate(self._files) if _has_comments(peek)]
        ticketed = [
            (index, peek) for index, peek in enumerate(self._files) if _has_tickets(peek) or not _has_comments(peek)
        ]
        of_file: dict[int, str | None] = {}
        if commented:
            for index, peek in ticketed:
                for _, record in records(peek, RowFaults(), *_TICKETS):
                    ticket = self._ticket(record or {})
                    if ticket.id:
                        self._tickets[ticket.id] = ticket
                        of_file[index] = None if index in of_file else ticket.id
        for index, peek in commented:
            yield from drain(index, self._read_comments(peek, of_file.get(index, peek.label)))
        for index, peek in ticketed:
            yield from drain(index, self._read_tickets(peek))

    def _read_comments(self, peek: Peek, default: str | None) -> Iterator[pa.RecordBatch]:
        """``default``: the ticket of comments that name none, as in the API's answer for one; None: of many."""
        rows = Rows()
        for row, comment in records(peek, self._faults, "comments"):
            if comment is None:
                add_unreadable(rows, row)
                continue
            ticket_id = identity(comment.get("ticket_id")) or default
            self._commented.add(ticket_id or "")
            self._add_comment(rows, row, self._tickets.get(ticket_id or "", _Ticket(ticket_id)), comment)
            yield from rows.full()
        yield from rows.rest()

    def _read_tickets(self, peek: Peek) -> Iterator[pa.RecordBatch]:
        rows = Rows()
        for row, record in records(peek, self._faults, *_TICKETS):
            if record is None:
                add_unreadable(rows, row)
                continue
            ticket, comments = self._ticket(record), _comments_of(record)
            add_each(rows, row, comments, partial(self._add_comment, rows, row, ticket))
            # The description repeats the first comment, so it counts only where there is none.
            if not comments and ticket.id not in self._commented and record.get("description") is not None:
                self._add_description(rows, row, ticket, record)
            yield from rows.full()
        yield from rows.rest()

    def _ticket(self, record: Record) -> _Ticket:
        requester = identity(record.get("requester_id")) or identity(get(record, "requester", "id"))
        known = [self._name(requester), self._name(identity(record.get("assignee_id")))]
        score = words(get(record, "satisfaction_rating", "score") or record.get("satisfaction_rating"))
        reopened = number(get(record, "metric_set", "reopens")) or 0
        return _Ticket(
            identity(record.get("id")),
            requester,
            people(*known, get(record, "requester", "name"), get(record, "assignee", "name")),
            words(get(record, "via", "channel")),
            score.startswith("good") - score.startswith("bad"),
            -1 if reopened > 0 else int(record.get("status") in ("solved", "closed")),
        )

    def _add_comment(self, rows: Rows, row: int, ticket: _Ticket, comment: Record) -> None:
        author = identity(comment.get("author_id"))
        channel = words(get(comment, "via", "channel"))
        role, skip = self._role(author, ticket), None
        if not truth(comment.get("public"), default=True):
            role, skip = "note", "internal_note"
        elif author == "-1" or channel == "rule":
            role, skip = "bot", "automatic_reply"
        elif comment.get("type") == "VoiceComment" or channel == "system":
            role, skip = "system", "system_event"
        page = words(comment.get("html_body"))
        kind = "html" if page.strip() else "text"
        rows.add(
            row,
            page if page.strip() else first_words(comment.get("plain_body"), comment.get("body")),
            role,
            conversation=ticket.id,
            message_id=identity(comment.get("id")),
            customer=ticket.requester or (author if role == "customer" else None),
            time=instant(comment.get("created_at")),
            kind=f"email_{kind}" if (channel or ticket.channel) == "email" else kind,
            skip=skip,
            names=people(ticket.names, self._name(author), get(comment, "author", "name")),
            rating=ticket.rating,
            resolved=ticket.resolved,
        )

    def _add_description(self, rows: Rows, row: int, ticket: _Ticket, record: Record) -> None:
        author = identity(record.get("submitter_id")) or ticket.requester
        hidden = not truth(record.get("is_public"), default=True)
        skip = "internal_note" if hidden else "deleted" if record.get("status") == "deleted" else None
        rows.add(
            row,
            words(record.get("description")),
            "note" if hidden else self._role(author, ticket),
            conversation=ticket.id,
            customer=ticket.requester,
            time=instant(record.get("created_at")),
            kind="email_text" if ticket.channel == "email" else "text",
            skip=skip,
            names=people(ticket.names, self._name(author)),
            rating=ticket.rating,
            resolved=ticket.resolved,
        )

    def _role(self, author: str | None, ticket: _Ticket) -> str:
        if author is None:
            return "unknown"
        role = self._users.get(author, ("unknown", ""))[0]
        if role != "unknown":
            return role
        if ticket.requester:
            return "customer" if author == ticket.requester else "agent"
        if self._users or ticket.id is None:
            return "unknown"
        return "customer" if self._openers.setdefault(ticket.id, author) == author else "agent"

    def _name(self, user_id: str | None) -> str:
        return self._users[user_id][1] if user_id in self._users else ""


def _comments_of(record: Record) -> object:
    inside = record.get("comments")
    return get(inside, "comments") if isinstance(inside, dict) else inside


def _has_tickets(peek: Peek) -> bool:
    names = fields(peek, *_TICKETS)
    usual = names & {"submitter_id", "raw_subject", "via", "satisfaction_rating", "comments"}
    return "requester_id" in names and bool(usual) and not names & {"responder_id", "fr_escalated", "spam"}


def _has_comments(peek: Peek) -> bool:
    names = fields(peek, "comments")
    usual = names & {"audit_id", "html_body", "plain_body", "via"}
    # A ticket that is a file of its own has its comments inside.
    return {"author_id", "public", "body"} <= names and bool(usual) and "requester_id" not in peek.columns


def _has_users(peek: Peek) -> bool:
    return any({"id", "name"} <= set(user) and words(user.get("role")) in _ROLES for user in samples(peek, "users"))


def _claim(peeks: Sequence[Peek], options: Options) -> list[Claim]:
    files = tuple(peek for peek in peeks if _has_tickets(peek) or _has_comments(peek))
    sides = tuple(peek for peek in peeks if peek not in files and (_has_users(peek) or _BESIDE & peek.arrays.keys()))
    if options.format == FORMAT.name:
        files = tuple(peek for peek in peeks if peek not in sides)
    if not files:
        return []
    alone = not any(_has_tickets(peek) or _has_users(peek) for peek in (*files, *sides))

    def read(faults: RowFaults) -> Iterator[tuple[int, pa.RecordBatch]]:
        return _Reader(files, sides, faults).read()

    return [Claim(FORMAT.name, files, read, sides, (_GUESSED,) if alone else ())]


FORMAT = Format(
    name="zendesk",
    title="Zendesk Support tickets with comments (JSON, one ticket a line, or tickets, comments and users apart)",
    needs=("ticket: id, requester_id", "comment: author_id, public, body, ticket_id"),
    schema="github.com/singer-io/tap-zendesk, tap_zendesk/schemas: tickets, ticket_comments, users, shared/via; "
    "developer.zendesk.com, Ticket Comments",
    claim=_claim,
)
