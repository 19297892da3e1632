"""LiveChat archives: chats with one thread (``list_archives``) or several (``get_chat``), or those of API 2.0."""

from __future__ import annotations

from collections.abc import Mapping
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
    rate,
    read_alone,
    truth,
    words,
)
from lf_bridge.prepare.formats.schema import Rows

_LISTS = ("chats", "data", "chat")
_OLD_ROLES = {"visitor": "customer", "agent": "agent"}
_OLD_RATINGS = {"rated_good": 1, "rated_bad": -1}


def _fits(peek: Peek) -> bool:
    names = fields(peek, *_LISTS)
    return ("users" in names and bool(names & {"thread", "threads"})) or {"visitor", "agents", "messages"} <= names


def _add(rows: Rows, row: int, chat: Record) -> None:
    if "visitor" in chat:
        _add_old(rows, row, chat)
        return
    threads = [chat["thread"]] if "thread" in chat else chat.get("threads")
    listed = chat.get("users")
    users = {identity(get(user, "id")): user for user in (listed if isinstance(listed, list) else ())}
    customer = next((user_id for user_id, user in users.items() if get(user, "type") == "customer"), None)
    names = people(*(get(user, "name") for user in users.values()))

    def add_thread(thread: Record) -> None:
        of_all = {
            "conversation": identity(thread.get("id")) or identity(chat.get("id")),
            "customer": customer,
            "names": names,
            "rating": rate(get(thread, "properties", "rating", "score"), good=1, bad=0),
        }
        add_each(rows, row, thread.get("events"), partial(_add_event, rows, row, users, of_all))

    add_each(rows, row, threads, add_thread)


def _add_event(rows: Rows, row: int, users: Mapping[str | None, Record], of_all: Record, event: Record) -> None:
    kind, author = event.get("type"), identity(event.get("author_id"))
    role = {"customer": "customer", "agent": "agent"}.get(words(get(users.get(author), "type")), "unknown")
    skip = None
    if "agents" in (event.get("recipients"), event.get("visibility")):
        role, skip = "note", "whisper"
    elif truth(event.get("deleted")):
        skip = "deleted"
    elif kind == "rich_message":
        role, skip = "bot", "automatic_reply"
    elif kind not in ("message", "file"):
        role, skip = "system", "system_event"
    rows.add(
        row,
        words(event.get("text")),
        role,
        message_id=identity(event.get("id")),
        time=instant(event.get("created_at")),
        skip=skip,
        **of_all,
    )


def _add_old(rows: Rows, row: int, chat: Record) -> None:
    visitor = chat["visitor"]
    agents = chat.get("agents")
    names = people(get(visitor, "name"), *(get(one, "display_name") for one in _each(agents)))

    def add_message(message: Record) -> None:
        said_by = words(message.get("user_type"))
        role, skip = _OLD_ROLES.get(said_by, "unknown"), None
        if said_by == "supervisor":
            role, skip = "note", "whisper"
        elif message.get("type", "message") not in ("message", "attachment"):
            role, skip = "system", "system_event"
        rows.add(
            row,
            words(message.get("text")),
            role,
            conversation=identity(chat.get("id")),
            customer=identity(get(visitor, "id")),
            time=instant(message.get("timestamp")),
            skip=skip,
            names=names,
            rating=_OLD_RATINGS.get(words(chat.get("rate")), 0),
        )

    # ``events`` repeats ``messages`` with the system's events between them.
    add_each(rows, row, chat["events"] if _each(chat.get("events")) else chat.get("messages"), add_message)


def _each(value: object) -> list[object]:
    return value if isinstance(value, list) else []


FORMAT = Format(
    name="livechat",
    title="LiveChat chats with threads and events (JSON)",
    needs=("users: id, type", "thread: events", "event: type, text, author_id"),
    schema="github.com/livechat/livechat-public-docs, src/pages/messaging/agent-chat-api: list_archives, "
    "data-structures (3.1 to 3.7); management/configuration-api/v2.0: chats",
    claim=claim_each("livechat", _fits, partial(read_alone, lists=_LISTS, add=_add)),
)
