"""What raw files are taken for, before anything is made of them: format, columns, assumptions, a first conversation."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from lf_bridge.errors import LfbError
from lf_bridge.prepare.formats import sniff
from lf_bridge.prepare.formats.columns import shown
from lf_bridge.prepare.formats.files import Claim, Options, Peek, RowFaults
from lf_bridge.prepare.formats.mapping import missing, names_columns, propose, written_values
from lf_bridge.prepare.formats.peek import peek
from lf_bridge.prepare.formats.plan import effective
from lf_bridge.prepare.formats.table import TABLES
from lf_bridge.prepare.hashes import hash_ids
from lf_bridge.prepare.sources import Source, find_sources, for_each
from lf_bridge.prepare.unpack import unpack
from lf_bridge.recipe.preparing import Mapping, PrepareSettings
from lf_bridge.recipe.yaml_file import write_yaml

_ROWS = 20_000
_MOST_TURNS = 12
_PACKINGS = (
    (b"\x1f\x8b", "gzip"),
    (b"PK\x03\x04", "zip"),
    (b"\x28\xb5\x2f\xfd", "zstd"),
    (b"\xef\xbb\xbf", "UTF-8 with a byte order mark"),
    (b"\xff\xfe", "UTF-16"),
    (b"\xfe\xff", "UTF-16"),
)


@dataclass(frozen=True)
class Seen:
    """One file as it would be read.

    ``rows`` were looked at; ``columns`` maps fields to the columns that hold them (general tables only).
    ``conversation`` is the first that the file would give, as (speaker, redacted text); None where its first 20,000
    messages hold none that can be shown.
    """

    file: str
    kind: str
    packing: str
    rows: int
    format: str
    schema: str
    columns: dict[str, str]
    notes: tuple[str, ...]
    conversation: tuple[tuple[str, str], ...] | None

    def to_json(self) -> dict[str, Any]:
        """The object of ``--json``."""
        return asdict(self)


def inspect_files(paths: Sequence[Path], options: Options) -> tuple[list[Seen], list[str]]:
    """What each file is taken for, in the order they are read, and warnings of the whole.

    Raises ``LfbError`` for files that cannot be read or that no format claims.
    """
    with tempfile.TemporaryDirectory(prefix="lfb-inspect-") as work:
        sources, peeks, warnings = _open(paths, Path(work))
        claims = sniff.claim_files([one for _, one in peeks], options)
        packing = {one.path: _packing(sources[number], one) for number, one in peeks}
        known = {one.name: one for one in sniff.formats()}
        seen = []
        for claim in claims:
            schema = known[claim.format].schema if claim.format in known else ""
            for place, file in enumerate(claim.files):
                notes = claim.notes if place == 0 else ()
                columns = _columns(file, options) if claim.format in sniff.GENERAL else {}
                conversation = _first_conversation(claim, place)
                seen.append(
                    Seen(
                        file.label, file.kind, packing[file.path], len(file.records) or len(file.lines), claim.format,
                        schema, columns, notes, conversation,
                    )
                )  # fmt: skip
            for file in claim.sides:
                notes = claim.notes if not claim.files else ()
                seen.append(Seen(file.label, file.kind, packing[file.path], 0, claim.format, schema, {}, notes, None))
        return seen, warnings


def write_mapping(paths: Sequence[Path], options: Options, path: Path) -> str:
    """Write the mapping of the first table among the files, to be edited, and return the table's name.

    The user's own mapping is completed, not overwritten. Raises ``LfbError`` where there is no table.
    """
    with tempfile.TemporaryDirectory(prefix="lfb-inspect-") as work:
        _, peeks, _ = _open(paths, Path(work))
        table = next((one for _, one in peeks if one.kind in TABLES), None)
        if table is None:
            raise LfbError("there is no table among these files", hint="a mapping says which column means what")
        mapping = propose(table, options.mapping)
        values = {**mapping.model_dump(mode="json"), **written_values(table, mapping)}
        lines = [
            f"Which column of {table.label} means what. Edit it, then: lfb prepare --mapping {path.name} PATH",
            f"Columns: {', '.join(table.columns)}",
            *(f"Missing: {name}" for name in missing(mapping, options.mapping)),
            "",
            *(f"{name}: {field.description}" for name, field in Mapping.model_fields.items()),
            "`*` among the values of a role stands for all values that are not listed.",
        ]
        ascii_only = "\n".join(lines).encode("ascii", "backslashreplace").decode()
        write_yaml(path, values, opening="".join(f"# {line}".rstrip() + "\n" for line in ascii_only.splitlines()))
        return table.label


def _open(paths: Sequence[Path], work: Path) -> tuple[list[Source], list[tuple[int, Peek]], list[str]]:
    sources, warnings = find_sources(paths)
    unpacked = unpack(sources, work)
    peeks = for_each([(plain.label, partial(peek, plain)) for plain in unpacked.files])
    numbers = [plain.source_number for plain in unpacked.files]
    return sources, list(zip(numbers, peeks, strict=True)), [*warnings, *unpacked.notes]


def _packing(source: Source, file: Peek) -> str:
    """How the file's bytes are packed or encoded."""
    with open(source.path, "rb") as raw:
        head = raw.read(4)
    if file.kind in ("parquet", "excel"):
        return "binary"
    packed = next((name for magic, name in _PACKINGS if head.startswith(magic)), None)
    return packed or ("UTF-8" if file.path == source.path else "decoded to UTF-8")


def _columns(file: Peek, options: Options) -> dict[str, str]:
    """Which column means what; names that could be somebody's words are not told."""
    if file.kind not in TABLES:
        return {}
    mapping = effective(file, options)
    fields = mapping.model_dump(include=set(Mapping.model_fields) - {"layout", "kind", "time_format", "timezone"})
    own = set() if options.mapping is None or not names_columns(options.mapping) else set(file.columns)
    told = {}
    for name, value in fields.items():
        columns = [value] if isinstance(value, str) else list(value or ()) if name == "names" else []
        if columns:
            told[name] = ", ".join(
                one if one in own or shown([one]).startswith("`") else "(a column)" for one in columns
            )
    return told


def _first_conversation(claim: Claim, place: int) -> tuple[tuple[str, str], ...] | None:
    """The first conversation of one file of a claim, cleaned, redacted and threaded as `lfb prepare` would."""
    from lf_bridge.prepare.identities import find_people
    from lf_bridge.prepare.parts import part_schema
    from lf_bridge.prepare.privacy.redact import Redactor
    from lf_bridge.prepare.privacy.second_scan import scan
    from lf_bridge.prepare.rows import clean_rows, redact_rows, to_frame, to_table
    from lf_bridge.prepare.threads import thread

    settings, key = PrepareSettings(), os.urandom(32)
    messages = _head(claim, place)
    if messages is None:
        return None
    messages = _as_part(messages, key)
    thread_of = _first_answered(messages)
    if thread_of is None:
        return None
    messages = messages.filter(pc.equal(messages["conversation"], thread_of))
    frame = clean_rows(to_frame(messages.append_column("people", find_people(messages))), settings.cleaning)
    frame = redact_rows(frame, Redactor(settings.privacy, key))
    threaded = thread(to_table(frame, part_schema()), np.zeros(len(frame), np.int8), settings)
    turns = threaded.turns.filter(pc.equal(threaded.turns["unit"], 0))["text"].combine_chunks()
    if not len(turns) or scan(turns, frozenset(), key):
        return None
    return tuple((("customer", "agent")[turn % 2], text) for turn, text in enumerate(turns.to_pylist()[:_MOST_TURNS]))


def _head(claim: Claim, place: int) -> pa.Table | None:
    """The first messages of one of the files."""
    batches, rows = [], 0
    for number, batch in claim.read(RowFaults()):
        if number == place:
            batches.append(batch.slice(0, _ROWS - rows))
            rows += batches[-1].num_rows
        if rows >= _ROWS:
            break
    return pa.Table.from_batches(batches) if rows else None


def _as_part(messages: pa.Table, key: bytes) -> pa.Table:
    from lf_bridge.prepare.parts import part_schema

    columns = {name: messages[name].combine_chunks() for name in messages.column_names}
    for name in ("conversation", "customer"):
        columns[name] = hash_ids(key, name, columns[name])
    for name in ("file", "known", "changes"):
        columns[name] = pa.array(np.zeros(messages.num_rows, np.int32)).cast(part_schema().field(name).type)
    return pa.table({field.name: columns[field.name] for field in part_schema()}, schema=part_schema())


def _first_answered(messages: pa.Table) -> Any:
    """The hash of the first conversation in which a customer and an agent say something; None without one."""
    from lf_bridge.prepare.formats.schema import ROLES

    there = pc.and_(messages["skip"].is_null(), pc.greater(pc.binary_length(messages["text"]), 0))
    said = messages.filter(pc.and_(there, messages["conversation"].is_valid()))
    asked, answered = (
        said.filter(pc.equal(said["role"], ROLES.index(role)))["conversation"] for role in ("customer", "agent")
    )
    both = pc.and_(pc.is_in(said["conversation"], asked.unique()), pc.is_in(said["conversation"], answered.unique()))
    found = said.filter(both)["conversation"]
    return found[0] if len(found) else None
