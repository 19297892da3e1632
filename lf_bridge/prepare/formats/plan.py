"""How one table is read: its mapping, the form of its times, the columns that speak of single messages."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import TYPE_CHECKING

from lf_bridge.prepare.formats.cells import (
    flag_columns,
    rating_scale,
    read_names,
    read_ratings,
    read_resolved,
    role_meaning,
)
from lf_bridge.prepare.formats.columns import find, plain
from lf_bridge.prepare.formats.files import Claim, Options, Peek, RowFaults
from lf_bridge.prepare.formats.mapping import COLUMNS, fits, missing, named_columns, propose
from lf_bridge.prepare.formats.schema import ROLES, or_null
from lf_bridge.prepare.formats.table import TABLES
from lf_bridge.prepare.formats.times import SAMPLE, Times, decide

if TYPE_CHECKING:
    import pyarrow as pa

    from lf_bridge.recipe.preparing import Mapping

_ABOUT = re.compile(r"(?i)(readme|licen[cs]e|notice|changelog|source)\b")
_CHINESE = re.compile("[\u4e00-\u9fff]")
Read = Callable[[Peek, "Plan", RowFaults], Iterator["pa.RecordBatch"]]


@dataclass(frozen=True)
class Plan:
    """How one table is read.

    ``flags`` are columns that say of messages that they are no training text, ``channel`` one that tells mail from
    chat, ``more`` a second column of the question (Alpaca's ``input``). ``notes`` are lines for the user.
    """

    mapping: Mapping
    times: Times
    scale: int = 5
    flags: tuple[str, ...] = ()
    channel: str | None = None
    more: str | None = None
    notes: tuple[str, ...] = ()

    @property
    def columns(self) -> list[str]:
        """The columns to read, each once."""
        named = [getattr(self.mapping, name) for name in COLUMNS]
        return list(
            dict.fromkeys(
                name for name in (*named, *self.mapping.names, *self.flags, self.channel, self.more) if name is not None
            )
        )


def claim_tables(name: str, read: Read) -> Callable[[Sequence[Peek], Options], list[Claim]]:
    """A ``claim`` for the tables of one layout, each read alone."""

    def reader(peek: Peek, plan: Plan) -> Callable[[RowFaults], Iterator[tuple[int, pa.RecordBatch]]]:
        return lambda faults: ((0, batch) for batch in read(peek, plan, faults))

    def claim(peeks: Sequence[Peek], options: Options) -> list[Claim]:
        plans = [(peek, make_plan(peek, options, name)) for peek in peeks]
        return [Claim(name, (peek,), reader(peek, plan), notes=plan.notes) for peek, plan in plans if plan is not None]

    return claim


def make_plan(peek: Peek, options: Options, layout: str) -> Plan | None:
    """How this table is read in that layout; None where it is not of it."""
    if peek.kind not in TABLES:
        return None
    mapping = effective(peek, options)
    if mapping.layout != layout or missing(mapping, options.mapping):
        return None
    heads = head(peek, [name for name in (mapping.time, mapping.rating, mapping.role) if name is not None])
    if layout == "messages" and not _speakers_known(mapping, heads):
        return None
    times = Times(zone=mapping.timezone)
    if mapping.time is not None:
        times = decide(heads[mapping.time], mapping.timezone)
        if mapping.time_format is not None:
            times = Times(mapping.time_format, mapping.timezone)
    scale = rating_scale(heads[mapping.rating].to_pylist()) if mapping.rating else 5
    taken = named_columns(mapping.model_dump())
    channel = more = None
    if layout == "messages":
        channel = next((name for name in find(peek.columns, "channel") if name not in taken), None)
    if plain(mapping.question or "") == "instruction":
        more = next((name for name in peek.columns if plain(name) == "input" and name not in taken), None)
    notes = [f"{peek.label}: {times.note}"] if times.note else []
    if layout == "messages" and mapping.conversation is None:
        how = "by reply pointers" if mapping.parent else "by customer and silence"
        notes.append(f"{peek.label}: no column names the conversation; messages are threaded {how}")
    flags = flag_columns(peek.columns, [name for name in taken if name != mapping.resolved])
    return Plan(mapping, times, scale, flags, channel, more, tuple(notes))


def effective(peek: Peek, options: Options) -> Mapping:
    """The user's mapping where the table has its columns, completed by what names and cells tell."""
    given = options.mapping
    return propose(peek, given if given is not None and fits(given, peek) else None)


def strangers(peek: Peek, mapping: Mapping) -> int:
    """How many different values of the role column are nobody that we know, where customer or agent is missing."""
    if mapping.role is None:
        return 0
    heads = head(peek, [mapping.role])
    return 0 if _speakers_known(mapping, heads) else len(heads[mapping.role].unique())


def holds_prose(peek: Peek) -> bool:
    """Whether a file could hold messages: by the name of a column, or by cells of several words."""
    if peek.kind == "text":
        return _ABOUT.match(PurePath(peek.label).name) is None
    records = [*peek.records, *(one for some in peek.arrays.values() for one in some if isinstance(one, dict))]
    columns = list(dict.fromkeys(name for record in records for name in record)) or list(peek.columns)
    if any(find(columns, meaning) for meaning in ("text", "question", "answer", "transcript")):
        return True
    cells = [cell for record in records for cell in record.values() if isinstance(cell, str)]
    return any(cell.count(" ") >= 4 or len(_CHINESE.findall(cell)) >= 8 for cell in cells)


def head(peek: Peek, columns: Sequence[str]) -> dict[str, pa.Array]:
    """The first 10,000 cells of each column."""
    import pyarrow as pa

    from lf_bridge.prepare.formats.table import open_table

    if not columns:
        return {}
    wanted, batches, rows = list(dict.fromkeys(columns)), [], 0
    for batch in open_table(peek).batches(wanted, RowFaults()):
        batches.append(batch.slice(0, SAMPLE - rows))
        rows += batches[-1].num_rows
        if rows >= SAMPLE:
            break
    return {
        name: pa.concat_arrays([batch[name] for batch in batches]) if batches else pa.array([], pa.string())
        for name in wanted
    }


def common_columns(batch: pa.RecordBatch, plan: Plan) -> dict[str, pa.Array]:
    """What every layout takes from a row: ids, names, rating, resolved."""
    said = plan.mapping
    columns = {"names": read_names([batch[name] for name in said.names], batch.num_rows)}
    for field, column in (("message_id", said.message), ("customer", said.customer)):
        if column is not None:
            columns[field] = or_null(batch[column])
    if said.rating is not None:
        columns["rating"] = read_ratings(batch[said.rating], plan.scale)
    if said.resolved is not None:
        columns["resolved"] = read_resolved(batch[said.resolved], said.resolved)
    return columns


def mark_unreadable(columns: dict[str, pa.Array], skips: pa.Array, unreadable: pa.Array) -> dict[str, pa.Array]:
    """The columns with ``skip``: rows that could not be read are of nobody."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if pc.any(unreadable).as_py():
        skips = pc.if_else(unreadable, "unreadable", skips)
        unknown = pa.scalar(ROLES.index("unknown"), pa.int8())
        columns = {**columns, "role": pc.if_else(unreadable, unknown, columns["role"])}
    return {**columns, "skip": skips}


def _speakers_known(mapping: Mapping, heads: dict[str, pa.Array]) -> bool:
    """Whether the first role cells say who is the customer and who answers, or all say something."""
    meaning = role_meaning(mapping)
    roles = {meaning(value) for value in heads[mapping.role or ""].unique().to_pylist() if value.strip()}
    return "unknown" not in roles or ("customer" in roles and bool(roles & {"agent", "bot"}))
