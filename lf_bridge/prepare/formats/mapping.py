"""Which column of a table means what: found from names and first cells, or said by the user."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from lf_bridge.errors import Fault, LfbError
from lf_bridge.prepare.formats.cells import (
    is_flag,
    looks_html,
    looks_personal,
    role_meaning,
)
from lf_bridge.prepare.formats.columns import AUTHORS, NAMES, YES_MEANS, find, plain
from lf_bridge.prepare.formats.files import Peek
from lf_bridge.prepare.formats.table import TABLES
from lf_bridge.prepare.formats.transcript_lines import read_cell

if TYPE_CHECKING:
    from lf_bridge.recipe.preparing import Mapping

# Fields of a mapping that name one column.
COLUMNS = (
    "text", "conversation", "parent", "message", "customer", "role", "time", "question", "answer", "context", "draft",
    "rating", "resolved",
)  # fmt: skip
_USED = {
    "messages": {"text", "conversation", "parent", "message", "customer", "role", "time"},
    "question_answer": {"question", "answer", "message", "customer", "time"},
    "transcript": {"text", "conversation", "message", "customer", "time"},
}
_ALWAYS = {"context", "draft", "rating", "resolved"}


def propose(peek: Peek, given: Mapping | None = None) -> Mapping:
    """The mapping of a table as far as names and first cells tell; what the user has set stays as it is.

    It may lack columns that its layout needs: see ``missing``.
    """
    from lf_bridge.recipe.preparing import Mapping

    fields: dict[str, Any] = {} if given is None else {name: getattr(given, name) for name in given.model_fields_set}
    columns = [name for name in peek.columns if name not in named_columns(fields)]
    found: dict[str, str | None] = {name: next(iter(find(columns, name)), None) for name in COLUMNS}
    found["draft"] = next((name for name in find(columns, "draft") if not is_flag(name, _cells(peek, name))), None)
    found["role"] = fields.get("role", _best_role(peek, find(columns, "role"), fields))
    layout = fields.get("layout") or _layout(peek, {**found, **fields})
    if layout == "transcript":
        found["text"] = _transcript_column(peek)
    used = _USED[layout] | _ALWAYS
    found = {name: column if name in used else None for name, column in found.items()}
    if found["conversation"] or fields.get("conversation"):
        found["parent"] = None
    found = _once(found)
    words = fields.get("text", found["text"])
    html = words is not None and ("html" in plain(words) or looks_html(_cells(peek, words)))
    taken = set(named_columns({**found, **fields}))
    # Whoever is told apart by name stands in the texts by that name too.
    taken -= {found["customer"], found["role"], fields.get("customer"), fields.get("role")}
    people = [name for name in find(peek.columns, "people") if looks_personal(_cells(peek, name))]
    names = [name for name in (*find(columns, "names"), *people) if name not in taken]
    kind = "html" if html and layout == "messages" else "text"
    return Mapping.model_validate({**found, "layout": layout, "names": tuple(names), "kind": kind, **fields})


def missing(mapping: Mapping, given: Mapping | None = None) -> list[str]:
    """What the layout of a mapping needs and the mapping lacks; ``given`` is what the user said of it."""
    if mapping.layout == "question_answer":
        return [name for name in ("question", "answer") if getattr(mapping, name) is None]
    if mapping.layout == "transcript":
        return ["text"] if mapping.text is None else []
    lacking = [name for name in ("text", "conversation", "role") if getattr(mapping, name) is None]
    is_owner = plain(mapping.customer or "") not in AUTHORS or (given is not None and given.customer is not None)
    threaded = (mapping.parent and mapping.message) or (mapping.customer and is_owner and mapping.time)
    return [name for name in lacking if name != "conversation" or not threaded]


def named_columns(fields: Any) -> list[str]:
    """The columns that the fields of a mapping name."""
    named = [fields.get(name) for name in COLUMNS]
    return [name for name in (*named, *fields.get("names", ())) if name is not None]


def fits(mapping: Mapping, peek: Peek) -> bool:
    """Whether a table has every column that a mapping names."""
    return peek.kind in TABLES and set(named_columns(mapping.model_dump())) <= set(peek.columns)


def names_columns(mapping: Mapping) -> bool:
    """Whether a mapping names any column at all."""
    return bool(named_columns(mapping.model_dump()))


def check(mapping: Mapping, peeks: Sequence[Peek]) -> None:
    """Raise ``LfbError`` with every column that no table has, where no table has them all."""
    tables = [one for one in peeks if one.kind in TABLES]
    if not names_columns(mapping) or not tables or any(fits(mapping, one) for one in tables):
        return
    faults = []
    for one in tables:
        for name in sorted(set(named_columns(mapping.model_dump())) - set(one.columns)):
            close = difflib.get_close_matches(name, one.columns, n=1)
            faults.append(
                Fault(one.label, f"has no column `{name}`" + (f"; did you mean `{close[0]}`?" if close else ""))
            )
    raise LfbError(
        "the mapping names columns that are not there", faults=faults, hint="`lfb inspect FILE` shows the columns"
    )


def describe(columns: Sequence[str], mapping: Mapping) -> str:
    """The lines of a mapping file to write: what is known, and a place to fill for what is not."""
    lines = [f"layout: {mapping.layout}"]
    needed = {"messages": ("text", "conversation", "role"), "question_answer": ("question", "answer")}
    usual = {name for names in NAMES.values() for name in names}
    for name in needed.get(mapping.layout, ("text",)):
        column = getattr(mapping, name)
        lines.append(f"{name}: {column if column and plain(column) in usual else 'COLUMN'}")
    if mapping.layout == "messages":
        lines += ["customer_values: [VALUE]", "agent_values: [VALUE]"]
    return "\n".join(f"    {line}" for line in lines)


def _cells(peek: Peek, column: str) -> list[str]:
    cells = (record.get(column) for record in peek.records)
    return [str(cell) for cell in cells if cell is not None and str(cell).strip()]


def _best_role(peek: Peek, candidates: Sequence[str], fields: dict[str, Any]) -> str | None:
    """Of several columns that could hold the role, the one whose cells we understand most of."""
    from lf_bridge.recipe.preparing import Mapping

    values = {name: value for name, value in fields.items() if name.endswith("_values")}

    def understood(column: str) -> float:
        meaning, cells = role_meaning(Mapping(role=column, **values)), _cells(peek, column)
        return sum(meaning(cell) != "unknown" for cell in cells) / max(1, len(cells))

    return max(candidates, key=understood, default=None)


def _layout(peek: Peek, found: dict[str, Any]) -> str:
    from lf_bridge.recipe.preparing import Mapping

    if not missing(Mapping.model_validate({name: found.get(name) for name in COLUMNS})):
        return "messages"
    if found.get("question") and found.get("answer"):
        return "question_answer"
    return "transcript" if _transcript_column(peek) else "messages"


def _transcript_column(peek: Peek) -> str | None:
    """The column whose cells are whole chats: a known name first, then any."""
    for column in dict.fromkeys((*find(peek.columns, "transcript"), *peek.columns)):
        cells = _cells(peek, column)[:10]
        chats = [{turn.role for turn in read_cell(cell[:20_000]).turns} for cell in cells]
        if cells and 2 * sum({"customer", "agent"} <= roles for roles in chats) > len(cells):
            return column
    return None


def _once(found: dict[str, Any]) -> dict[str, Any]:
    """Each column under its first meaning only."""
    seen: set[str] = set()
    kept = {}
    for name, column in found.items():
        kept[name] = None if column in seen else column
        seen |= {column} - {None}
    return kept


# Yes-or-no columns need no values in a written mapping: what yes means is in their name.
def written_values(peek: Peek, mapping: Mapping) -> dict[str, list[str]]:
    """The role values of the first rows that are understood, under the field of a mapping that lists them."""
    if mapping.role is None or plain(mapping.role) in YES_MEANS:
        return {}
    meaning = role_meaning(mapping)
    fields = {"customer": "customer_values", "agent": "agent_values", "bot": "bot_values", "system": "skip_values"}
    written: dict[str, list[str]] = {}
    for value in dict.fromkeys(cell.strip() for cell in _cells(peek, mapping.role)):
        if meaning(value) in fields:
            written.setdefault(fields[meaning(value)], []).append(value)
    return written
