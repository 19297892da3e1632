"""Whole chats as text: plain-text files, and tables with a chat in each row."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any

from lf_bridge.prepare.formats.cells import role_meaning
from lf_bridge.prepare.formats.files import Claim, Format, Options, Peek, RowFaults
from lf_bridge.prepare.formats.plan import Plan, claim_tables, common_columns
from lf_bridge.prepare.formats.schema import MISSING, Rows, or_null
from lf_bridge.prepare.formats.times import Times, decide
from lf_bridge.prepare.formats.transcript_lines import (
    Chat,
    Style,
    find_style,
    has_date,
    label_name,
    label_role,
    read_cell,
    read_chats,
)

if TYPE_CHECKING:
    import pyarrow as pa

NAME = "transcript"
_HEAD = 5_000


def claim(peeks: Sequence[Peek], options: Options) -> list[Claim]:
    """Plain text in which a customer and an agent speak by turns, and tables of such texts."""
    roles = _roles(options)
    claims = []
    for peek in peeks:
        if peek.kind == "text" and (options.format == NAME or _is_chat(peek.lines, roles)):
            lines = list(islice(_lines(peek), _HEAD))
            style = find_style([line for _, line in lines], roles)
            times = _decide_times(lines, style, roles, options)
            claims.append(Claim(NAME, (peek,), _reader(peek, style, roles, times), notes=_notes(peek, style, times)))
    return [*claims, *claim_tables(NAME, read_table)([peek for peek in peeks if peek.kind != "text"], options)]


def read_file(peek: Peek, style: Style, roles: Callable[[str], str], times: Times) -> Iterator[pa.RecordBatch]:
    """The messages of a plain-text file; a message's row is the number of its first line."""
    rows = Rows()
    for place, chat in enumerate(read_chats(_lines(peek), style, roles), 1):
        _add(rows, chat, times, conversation=f"{peek.label}#{chat.name or place}")
        yield from rows.full()
    yield from rows.rest()


def read_table(peek: Peek, plan: Plan, faults: RowFaults) -> Iterator[pa.RecordBatch]:
    """The messages of a table with a chat in each row, all under the row's number."""
    from lf_bridge.prepare.formats.table import open_table

    said, roles = plan.mapping, _roles(Options(mapping=plan.mapping))
    rows = Rows()
    for batch in open_table(peek).batches(plan.columns, faults):
        more = {name: column.to_pylist() for name, column in common_columns(batch, plan).items()}
        ids = or_null(batch[said.conversation]).to_pylist() if said.conversation else [None] * batch.num_rows
        cells = zip(
            batch["row"].to_pylist(), batch["unreadable"].to_pylist(), batch[said.text].to_pylist(), strict=True
        )
        for place, (row, unreadable, text) in enumerate(cells):
            shared = {name: values[place] for name, values in more.items() if name != "message_id"}
            shared["conversation"] = ids[place] or hashlib.blake2b(text.encode(), digest_size=16).hexdigest()
            shared["single"] = ids[place] is None
            chat = read_cell(text, roles)
            if unreadable or not chat.turns:
                rows.add(row, text, "unknown", skip="unreadable" if unreadable else None, **shared)
            _add(rows, chat, None, row=row, **shared)
            yield from rows.full()
    yield from rows.rest()


def _add(rows: Rows, chat: Chat, times: Times | None, **more: Any) -> None:
    """The messages of one chat."""
    import pyarrow as pa

    people = dict.fromkeys(name for turn in chat.turns if (name := label_name(turn.label)))
    names = "\n".join(filter(None, (more.pop("names", None), *people)))
    stamps = [MISSING] * len(chat.turns)
    if times is not None and any(has_date(turn.stamp) for turn in chat.turns):
        dated = [turn.stamp if has_date(turn.stamp) else "" for turn in chat.turns]
        stamps = times.read(pa.array(dated, pa.string())).to_pylist()
    row = more.pop("row", None)
    for turn, stamp in zip(chat.turns, stamps, strict=True):
        skip = "system_event" if turn.event else None
        rows.add(row or turn.line, turn.text, turn.role, time=stamp, skip=skip, names=names or None, **more)


def _reader(
    peek: Peek, style: Style, roles: Callable[[str], str], times: Times
) -> Callable[[RowFaults], Iterator[tuple[int, pa.RecordBatch]]]:
    return lambda faults: ((0, batch) for batch in read_file(peek, style, roles, times))


def _lines(peek: Peek) -> Iterator[tuple[int, str]]:
    with open(peek.path, encoding="utf-8-sig", errors="replace") as file:
        yield from enumerate(file, 1)


def _roles(options: Options) -> Callable[[str], str]:
    """A speaker's role: what the mapping lists, else the words in the label."""
    if options.mapping is None:
        return label_role
    meaning = role_meaning(options.mapping)

    def role(label: str) -> str:
        said = meaning(label)
        return said if said != "unknown" else label_role(label)

    return role


def _is_chat(lines: Sequence[str], roles: Callable[[str], str]) -> bool:
    """Whether customer and agent speak, and more than half of the filled lines are theirs."""
    style = find_style(lines, roles)
    chats = list(read_chats(iter(enumerate(lines, 1)), style, roles))
    spoken = [turn.role for chat in chats for turn in chat.turns]
    filled = sum(bool(line.strip()) for line in lines)
    return {"customer", "agent"} <= set(spoken) and 4 * len(spoken) >= filled


def _decide_times(
    lines: Sequence[tuple[int, str]], style: Style, roles: Callable[[str], str], options: Options
) -> Times:
    import pyarrow as pa

    zone = options.mapping.timezone if options.mapping is not None else "UTC"
    if options.mapping is not None and options.mapping.time_format is not None:
        return Times(options.mapping.time_format, zone)
    turns = (turn for chat in read_chats(iter(lines), style, roles) for turn in chat.turns)
    return decide(pa.array([turn.stamp for turn in turns if has_date(turn.stamp)], pa.string()), zone)


def _notes(peek: Peek, style: Style, times: Times) -> tuple[str, ...]:
    cut = {
        "rule": "a line of its own (a rule or a heading) parts conversations",
        "blank": "blank lines part conversations",
        "": "the whole file is one conversation",
    }
    notes = [f"{peek.label}: {cut[style.cut_at]}"]
    return (*notes, f"{peek.label}: {times.note}") if times.note else tuple(notes)


FORMAT = Format(
    NAME,
    "plain-text chats (`Agent: ... Customer: ...`, `客服: ... 客户: ...`), also one in each row of a table",
    ("a role or a listed name before each message",),
    "none: told by the speakers' labels, or by --mapping",
    claim,
)
