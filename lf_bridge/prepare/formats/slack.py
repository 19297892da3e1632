"""Slack: the folder of a workspace export, with a folder for each channel and in it a file for each day."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from lf_bridge.errors import Fault, LfbError
from lf_bridge.prepare.formats.files import Claim, Format, Options, Peek, RowFaults
from lf_bridge.prepare.formats.schema import UNREAD, Rows

if TYPE_CHECKING:
    import pyarrow as pa

_NAME = "slack"
_USERS = ("users.json", "org_users.json")
_SIDES = (
    *_USERS, "channels.json", "groups.json", "dms.json", "mpims.json", "integration_logs.json", "content_flags.json",
    "canvases.json", "lists.json", "file_conversations.json", "huddle_transcripts.json",
)  # fmt: skip
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}\.json")
_TIME = re.compile(r"\d{9,11}\.\d{6}")
# Subtypes under which people write; all others are events.
_SPOKEN = (None, "thread_broadcast", "file_share", "me_message", "bot_message")
_LINK = re.compile(r"<([^<>|]+)(?:\|([^<>]*))?>")
_GUEST = ("is_restricted", "is_ultra_restricted", "is_stranger")


@dataclass(frozen=True)
class _People:
    """``names``: how each user is called, the name that others read first. ``bots`` and ``agents`` are user ids."""

    names: Mapping[str, tuple[str, ...]]
    bots: frozenset[str]
    agents: frozenset[str]


def _claim(peeks: Sequence[Peek], options: Options) -> list[Claim]:
    exports: dict[PurePosixPath, list[Peek]] = {}
    for peek in peeks:
        if (options.format == _NAME and PurePosixPath(peek.label).name not in _SIDES) or _has_messages(peek):
            exports.setdefault(PurePosixPath(peek.label).parent.parent, []).append(peek)
    claims = []
    for folder, files in exports.items():
        beside = [peek for peek in peeks if PurePosixPath(peek.label).parent == folder]
        sides = tuple(peek for peek in beside if PurePosixPath(peek.label).name in _SIDES)
        people = _know(sides, files, options)
        claims.append(Claim(_NAME, tuple(files), partial(_read, tuple(files), people), sides))
    return claims


def _has_messages(peek: Peek) -> bool:
    if peek.kind != "json_array" or not (peek.records or _DAY.fullmatch(PurePosixPath(peek.label).name)):
        return False
    return all(
        isinstance(record, dict) and record.get("type") == "message" and _TIME.fullmatch(str(record.get("ts")))
        for record in peek.records[:5]
    )


def _know(sides: Sequence[Peek], files: Sequence[Peek], options: Options) -> _People:
    """Who is who, from the list of users; raises ``LfbError`` where nothing tells the company's people apart."""
    users = [user for peek in sides if PurePosixPath(peek.label).name in _USERS for user in _objects(peek)]
    names = {str(user.get("id")): _names_of(user) for user in users}
    bots = frozenset(str(user.get("id")) for user in users if user.get("is_bot")) | {"USLACKBOT"}
    teams = Counter(user.get("team_id") for user in users).most_common(1)
    home = teams[0][0] if teams else None
    inside = {
        str(user.get("id"))
        for user in users
        if user.get("team_id") == home and not any(user.get(flag) for flag in _GUEST)
    }
    speakers = {
        str(record.get("user"))
        for peek in files
        for record in peek.records
        if isinstance(record, dict) and _speaks(record)
    } - bots
    named = {value.casefold() for value in options.mapping.agent_values} if options.mapping else set()
    if named:
        called = {user for user, own in names.items() if named & {name.casefold() for name in own}}
        return _People(names, bots, frozenset(called | {user for user in speakers if user.casefold() in named}))
    if speakers and (not inside & speakers or not speakers - inside):
        found = f"{len(speakers)} people write, {len(inside & speakers)} of them members and no guests"
        raise LfbError(
            "this Slack export does not say which of its people are the company's agents",
            faults=[Fault(str(PurePosixPath(files[0].label).parent.parent), found)],
            hint="write their names or user ids into `agent_values` of a mapping file, and give it with --mapping",
        )
    return _People(names, bots, frozenset(inside))


def _objects(peek: Peek) -> Iterator[Mapping[str, Any]]:
    from lf_bridge.prepare.formats.json_files import read_objects

    return (record for _, record in read_objects(peek, RowFaults(), path="item") if record)


def _names_of(user: Mapping[str, Any]) -> tuple[str, ...]:
    profile = user.get("profile")
    own = profile if isinstance(profile, dict) else {}
    found = (own.get("display_name"), own.get("real_name"), user.get("real_name"), user.get("name"))
    return tuple(dict.fromkeys(name for name in found if isinstance(name, str) and name))


def _speaks(record: Mapping[str, Any]) -> bool:
    return bool(record.get("user")) and record.get("subtype") in _SPOKEN and not record.get("bot_id")


def _read(files: Sequence[Peek], people: _People, faults: RowFaults) -> Iterator[tuple[int, pa.RecordBatch]]:
    from lf_bridge.prepare.formats.json_files import read_objects

    for index, peek in enumerate(files):
        rows = Rows()
        # The workspace's folder stands in it too: two exports may have a channel of one name.
        channel = str(PurePosixPath(peek.label).parent)
        for row, record in read_objects(peek, faults, path="item"):
            _add(rows, row, channel, record, people)
            for batch in rows.full():
                yield index, batch
        for batch in rows.rest():
            yield index, batch


def _add(rows: Rows, row: int, channel: str, record: Mapping[str, Any] | None, people: _People) -> None:
    if record is None:
        rows.add(row, "", "unknown", conversation=channel, skip="unreadable", cut_by_gap=True)
        return
    user, subtype = str(record.get("user") or ""), record.get("subtype")
    thread, stamp = record.get("thread_ts"), str(record.get("ts") or "")
    skip = "deleted" if subtype == "tombstone" else None if subtype in _SPOKEN else "system_event"
    if skip:
        role = "system"
    elif record.get("bot_id") or subtype == "bot_message" or user in people.bots:
        role = "bot"
    else:
        role = "agent" if user in people.agents else "customer" if user else "unknown"
    text, mentioned = _plain(str(record.get("text") or ""), people.names)
    known = dict.fromkeys(name for person in (user, *mentioned) for name in people.names.get(person, ()))
    rows.add(
        row,
        text,
        role,
        conversation=f"{channel} {thread}" if thread else channel,
        message_id=f"{channel} {stamp}" if stamp else None,
        customer=user if role == "customer" else None,
        time=int(stamp.replace(".", "")) if _TIME.fullmatch(stamp) else UNREAD,
        skip=skip,
        cut_by_gap=not thread,
        names="\n".join(known) or None,
    )


def _plain(text: str, names: Mapping[str, tuple[str, ...]]) -> tuple[str, list[str]]:
    """Text without Slack's markup, and the ids of the users that it mentions.

    As in Slack's "Formatting text for app surfaces": ``<@user>``, ``<#channel|name>``, ``<!here>``, ``<url|label>``,
    and ``&``, ``<``, ``>`` escaped.
    """
    mentioned: list[str] = []

    def write(match: re.Match[str]) -> str:
        target, label = match[1], match[2] or ""
        if target.startswith("@"):
            mentioned.append(target[1:])
            called = label or next(iter(names.get(target[1:], ())), "")
            return f"@{called}" if called else ""
        if target.startswith("#"):
            return f"#{label}" if label else ""
        if target.startswith("!"):
            return label or f"@{target[1:].split('^')[0]}"
        plain = target.removeprefix("mailto:").removeprefix("tel:")
        return plain if not label or label in plain else label if plain in label else f"{label} ({plain})"

    text = _LINK.sub(write, text)
    for entity, character in (("&lt;", "<"), ("&gt;", ">"), ("&amp;", "&")):
        text = text.replace(entity, character)
    return text.strip(), mentioned


FORMAT = Format(
    name=_NAME,
    title="Slack workspace export",
    needs=("CHANNEL/DATE.json with type, user, text, ts", "users.json beside the channels"),
    schema="slack.com/help/articles/220556107 (How to read Slack data exports); the test archive of "
    "github.com/hfaran/slack-export-viewer",
    claim=_claim,
)
