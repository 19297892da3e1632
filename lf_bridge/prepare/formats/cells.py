"""What the cells of a table mean for its messages: role, reason to skip, kind of text, rating, names."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from lf_bridge.prepare.formats.columns import (
    BAD,
    EMAIL,
    GOOD,
    NO_SKIPS,
    SAYS_SKIP,
    SKIP_WORDS,
    SOLVED,
    UNSOLVED,
    YES_BOT,
    YES_SKIPS,
    plain,
    role_of,
    yes_or_no,
)
from lf_bridge.prepare.formats.schema import KINDS, ROLES

if TYPE_CHECKING:
    import pyarrow as pa

    from lf_bridge.recipe.preparing import Mapping

_TAG = re.compile(
    r"</?(p|br|div|span|a|b|i|strong|em|ul|ol|li|table|tr|td|html|body|h[1-6]|img)\b[^<>]*>", re.IGNORECASE
)
_PERSON = re.compile(r"[A-Z][a-z'’-]+( [A-Z][\w.'’-]*){0,3}|[\u4e00-\u9fff]{2,4}")


def by_value(cells: pa.Array, meaning: Callable[[str], Any], kind: pa.DataType) -> pa.Array:
    """What each cell means, asked once for each distinct one."""
    import pyarrow as pa

    coded = cells.dictionary_encode()
    return pa.array([meaning(value) for value in coded.dictionary.to_pylist()], kind).take(coded.indices)


def role_meaning(mapping: Mapping) -> Callable[[str], str]:
    """A role's name for a cell of the role column: what the mapping lists, else the words that exports use, else the
    role that lists `*`."""
    listed = {
        plain(value): role
        for role, values in (
            ("system", mapping.skip_values),
            ("bot", mapping.bot_values),
            ("agent", mapping.agent_values),
            ("customer", mapping.customer_values),
        )
        for value in values
    }
    column = mapping.role or ""
    rest = listed.pop(plain("*"), "unknown")

    def meaning(value: str) -> str:
        role = listed.get(plain(value)) or role_of(value, column)
        return rest if role == "unknown" and value.strip() else role

    return meaning


def read_roles(cells: pa.Array, mapping: Mapping) -> pa.Array:
    """Indices into ``ROLES``."""
    import pyarrow as pa

    meaning = role_meaning(mapping)
    return by_value(cells, lambda value: ROLES.index(meaning(value)), pa.int8())


def flag_columns(columns: Sequence[str], taken: Sequence[str]) -> tuple[str, ...]:
    """The columns that say of single messages that they are no training text, or a bot's."""
    known = {*YES_SKIPS, *NO_SKIPS, *SAYS_SKIP, *YES_BOT}
    return tuple(name for name in columns if plain(name) in known and name not in taken)


def skip_of(column: str, value: str) -> str | None:
    """Why a cell of a flag column makes its message no training text; one of ``SKIPS``."""
    name = plain(column)
    if name in SAYS_SKIP:
        return SKIP_WORDS.get(plain(value))
    said = yes_or_no(value)
    return YES_SKIPS.get(name) if said else NO_SKIPS.get(name) if said is False else None


def is_flag(column: str, values: Sequence[str]) -> bool:
    """Whether the cells of a column named like a flag are yes and no."""
    return plain(column) in YES_SKIPS and all(yes_or_no(value) is not None for value in values if value.strip())


def read_skips(columns: Sequence[tuple[str, pa.Array]], count: int) -> pa.Array:
    """The first reason that a row's flags give, null where none does."""
    import pyarrow as pa
    import pyarrow.compute as pc

    skips = pa.nulls(count, pa.string())
    for name, cells in columns:
        if plain(name) not in YES_BOT:
            skips = pc.coalesce(skips, by_value(cells, partial(skip_of, name), pa.string()))
    return skips


def read_bots(columns: Sequence[tuple[str, pa.Array]], roles: pa.Array) -> pa.Array:
    """The roles, with ``bot`` where a flag says so."""
    import pyarrow as pa
    import pyarrow.compute as pc

    for name, cells in columns:
        if plain(name) in YES_BOT:
            roles = pc.if_else(
                by_value(cells, yes_or_no, pa.bool_()).fill_null(False), pa.scalar(ROLES.index("bot"), pa.int8()), roles
            )
    return roles


def read_kinds(channels: pa.Array | None, kind: str, count: int) -> pa.Array:
    """Indices into ``KINDS``: the file's, and that of mail where the channel says so."""
    import numpy as np
    import pyarrow as pa

    if channels is None or kind not in ("text", "html"):
        return pa.array(np.full(count, KINDS.index(kind), np.int8))
    here, mail = KINDS.index(kind), KINDS.index(f"email_{kind}")
    return by_value(channels, lambda value: mail if plain(value) in EMAIL else here, pa.int8())


def looks_html(texts: Sequence[str]) -> bool:
    """Whether a fifth of the texts hold HTML tags."""
    return 5 * sum(bool(_TAG.search(text)) for text in texts) >= max(1, len(texts))


def looks_personal(values: Sequence[str]) -> bool:
    """Whether most of the cells look like people's names and none like a role."""
    there = {value.strip() for value in values} - {""}
    named = sum(bool(_PERSON.fullmatch(value)) for value in there)
    return 2 * named > len(there) and all(role_of(value) == "unknown" for value in there)


def read_names(columns: Sequence[pa.Array], count: int) -> pa.Array:
    """One name a line, null where there is none."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if not columns:
        return pa.nulls(count, pa.string())
    joined = pc.binary_join_element_wise(*columns, "\n") if len(columns) > 1 else columns[0]
    joined = pc.utf8_trim_whitespace(joined)
    return pc.if_else(pc.equal(pc.binary_length(joined), 0), pa.scalar(None, pa.string()), joined)


def rating_scale(values: Sequence[str]) -> int:
    """The highest rating that can be given (1, 5, 10 or 100), told from the first cells."""
    numbers = [number for value in values if (number := _number(value)) is not None]
    top = max(numbers, default=5)
    if top <= 1 and 0 in numbers:
        return 1
    return next((scale for scale in (5, 10) if top <= scale), 100)


def read_ratings(cells: pa.Array, scale: int) -> pa.Array:
    """1 for good (from 7 tenths of the scale), -1 for bad (up to 4 tenths), else 0."""
    import pyarrow as pa

    return by_value(cells, lambda value: _rating(value, scale), pa.int8())


def _rating(value: str, scale: int) -> int:
    word = plain(value)
    if word in GOOD | BAD:
        return 1 if word in GOOD else -1
    number = _number(value)
    if number is None or number > scale or (number == 0 and scale != 1):
        return 0  # a zero on a scale from one is a question that was not answered
    return 1 if number >= 0.7 * scale else -1 if number <= 0.4 * scale else 0


def _number(value: str) -> float | None:
    found = re.match(r"\s*(\d{1,3}(?:\.\d+)?)\s*(?:/\s*\d+|stars?|分|星|%)?\s*$", value)
    return float(found[1]) if found else None


def read_resolved(cells: pa.Array, column: str) -> pa.Array:
    """1 for solved, -1 for unsolved or reopened, 0 where neither is said."""
    import pyarrow as pa

    reopened = plain(column) in ("reopened", "is_reopened")
    states = plain(column) in ("status", "ticket_status", "conversation_status", "case_status", "state", "状态")

    def meaning(value: str) -> int:
        word = plain(value)
        if word in SOLVED | UNSOLVED:
            return 1 if word in SOLVED else -1
        said = None if states else yes_or_no(value)
        if said is None or (reopened and not said):
            return 0
        return -1 if reopened or not said else 1

    return by_value(cells, meaning, pa.int8())
