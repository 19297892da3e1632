"""What raw files are, told from their content: which format reads which."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Sequence
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from lf_bridge.errors import Fault, LfbError
from lf_bridge.prepare.formats.columns import NAMES, shown
from lf_bridge.prepare.formats.files import Claim, Format, Options, Peek, RowFaults
from lf_bridge.prepare.formats.mapping import check, describe, fits, missing, names_columns
from lf_bridge.prepare.formats.plan import effective, holds_prose, strangers
from lf_bridge.prepare.formats.table import TABLES

if TYPE_CHECKING:
    import pyarrow as pa

# In the order in which they are asked: what is told by its own fields, then what is told by the names of columns.
_NAMES = (
    "zendesk", "intercom", "freshdesk", "chatwoot", "help_scout", "crisp", "gorgias", "livechat", "slack", "whatsapp",
    "support_tweets", "jddc", "abcd", "taskmaster", "contact_center", "chat_messages", "messages", "question_answer",
    "transcript",
)  # fmt: skip
GENERAL = ("messages", "question_answer", "transcript")


def formats() -> tuple[Format, ...]:
    """All formats, in the order in which files are offered to them."""
    return tuple(import_module(f"lf_bridge.prepare.formats.{name}").FORMAT for name in _NAMES)


def claim_files(peeks: Sequence[Peek], options: Options) -> list[Claim]:
    """Who reads which file. A mapping's own tables come first, then each format takes what those before it left.

    Raises ``LfbError`` for an unknown format, a mapping that fits no table, and files that nobody reads, all at once,
    with their columns and the mapping to write. Tables without any text beside others are left out with a note.
    """
    if options.format == "auto":
        options = replace(options, format=None)
    chosen = _chosen(options.format)
    claims: list[Claim] = []
    left = list(peeks)
    if options.mapping is not None:
        check(options.mapping, peeks)
        if names_columns(options.mapping) and options.format is None:
            own = [peek for peek in left if fits(options.mapping, peek)]
            for one in formats():
                if one.name in GENERAL:
                    claims += _take(one, own, options)
            left = _unclaimed(left, claims)
    for one in chosen:
        claims += _take(one, left, options)
        left = _unclaimed(left, claims)
    if claims:
        for peek in [peek for peek in left if not holds_prose(peek)]:
            claims.append(Claim("none", (), _nothing, (peek,), (f"{peek.label} holds no messages and is left out",)))
            left.remove(peek)
    if left:
        raise _refuse(left, options, bool(claims))
    order = {peek.path: place for place, peek in enumerate(peeks)}
    return sorted(claims, key=lambda claim: order[(*claim.files, *claim.sides)[0].path])


def _chosen(name: str | None) -> tuple[Format, ...]:
    if name is None:
        return formats()
    found = tuple(one for one in formats() if one.name == name)
    if not found:
        names = [one.name for one in formats()]
        close = difflib.get_close_matches(name.replace("-", "_"), names, n=1)
        raise LfbError(
            f"there is no format `{name}`" + (f"; did you mean `{close[0]}`?" if close else ""),
            hint="`lfb formats` lists them",
        )
    return found


def _take(chosen: Format, peeks: Sequence[Peek], options: Options) -> list[Claim]:
    return chosen.claim(peeks, options) if peeks else []


def _unclaimed(peeks: Sequence[Peek], claims: Sequence[Claim]) -> list[Peek]:
    taken = {peek.path for claim in claims for peek in (*claim.files, *claim.sides)}
    return [peek for peek in peeks if peek.path not in taken]


def _nothing(faults: RowFaults) -> Iterator[tuple[int, pa.RecordBatch]]:
    return iter(())


def _refuse(peeks: Sequence[Peek], options: Options, others: bool) -> LfbError:
    """The error for files that nobody reads: what each has, what it lacks, and the mapping to write; or to give only
    the ``others``, which are read."""
    faults: list[Fault] = []
    hints: list[str] = []
    for peek in peeks:
        problem, hint = _explain(peek, options)
        faults.append(Fault(peek.label, problem))
        if peek.kind in TABLES or peek.kind == "json_object":
            faults.append(Fault("  columns it has", shown(peek.columns)))
        if hint:
            hints.append(hint)
    if others:
        hints.append("or give only the files that are logs: all others are understood")
    if len(peeks) == 1:
        message = f"{peeks[0].label} {faults.pop(0).problem}"
        faults = [Fault(fault.where.strip(), fault.problem) for fault in faults]
    else:
        message = f"{len(peeks)} files are in no format that is known"
    return LfbError(message, faults=faults, hint="\n".join(dict.fromkeys(hints)) or "`lfb formats` lists what it reads")


def _explain(peek: Peek, options: Options) -> tuple[str, str]:
    """What stands in the way of reading a file, and what to do about it."""
    if peek.kind == "text":
        return "is text in which no customer and agent speak by turns", (
            "begin each message with `Customer:` or `Agent:`, or list the speakers' names as `customer_values` and "
            "`agent_values` in a file for --mapping"
        )
    if peek.kind not in TABLES:
        return (
            "is JSON in no form that is known",
            "write one object a line (JSON Lines), one message or conversation each",
        )
    if not peek.columns or not peek.records:
        return "has no rows", "export it again, or remove it"
    mapping = effective(peek, options)
    file = "mapping.yaml"
    hint = (
        f"write {file} with the names of its columns and give `--mapping {file}`;\n"
        f"`lfb inspect {Path(peek.label).name} --write-mapping {file}` begins it\n{describe(peek.columns, mapping)}"
    )
    lacking = missing(mapping, options.mapping)
    if lacking:
        names = " and no ".join(f"{one} column" for one in lacking)
        return f"has no {names} ({lacking[0]} can be called {', '.join(NAMES[lacking[0]][:6])}, ...)", hint
    values = strangers(peek, mapping) if mapping.layout == "messages" else 0
    if values:
        problem = f"has {values} different values in its role column, and they do not say who asks and who answers"
        return problem, f"{hint}\n    (`*` stands for all other values)"
    return "is not of that format", "`lfb formats` lists what each format needs"
