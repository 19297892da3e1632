"""How formats and files meet: a peek into each file, and what a format claims of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from lf_bridge.errors import Fault

if TYPE_CHECKING:
    import pyarrow as pa

    from lf_bridge.recipe.preparing import Mapping as ColumnMapping

Kind = Literal["csv", "jsonl", "json_array", "json_object", "parquet", "excel", "text"]
_SHOWN = 20


@dataclass(frozen=True)
class Peek:
    """The beginning of one raw file, which is decompressed and UTF-8 (Parquet and Excel as they are).

    ``label`` is the file's name as the user knows it. ``columns`` are the header of a table or the names in the first
    objects; ``records`` the first 50 rows or objects (cells of tables as text); ``lines`` the first 200 lines of plain
    text. For ``json_object``, ``columns`` are its top-level names and ``arrays`` the first 20 objects under each name
    that holds a list.
    """

    path: Path
    label: str
    kind: Kind
    bytes: int
    columns: tuple[str, ...] = ()
    records: tuple[Mapping[str, Any], ...] = ()
    lines: tuple[str, ...] = ()
    arrays: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)
    delimiter: str = ","


class RowFaults:
    """Records that could not be read: all are counted, the first of each file are named. ``notes`` are lines for the
    user about what was found while reading."""

    def __init__(self) -> None:
        self.counts: dict[str, int] = {}
        self.first: list[Fault] = []
        self.notes: list[str] = []

    def add(self, label: str, row: int, problem: str) -> None:
        """Note a record that cannot be read; ``problem`` holds none of its words. The reader also yields it as a
        message with ``skip="unreadable"``, so that the ledger accounts for it."""
        self.counts[label] = self.counts.get(label, 0) + 1
        if self.counts[label] <= _SHOWN:
            self.first.append(Fault(f"{label} row {row}", problem))


@dataclass(frozen=True)
class Options:
    """What the user said about the input: a format by name, and which column means what."""

    format: str | None = None
    mapping: ColumnMapping | None = None


@dataclass(frozen=True)
class Claim:
    """Files that one format reads together.

    ``read`` yields (index into ``files``, batch of messages), each file's rows in file order. ``sides`` hold no
    messages of their own (lists of users, channels). ``notes`` are lines for the user: what was assumed.
    """

    format: str
    files: tuple[Peek, ...]
    read: Callable[[RowFaults], Iterator[tuple[int, pa.RecordBatch]]]
    sides: tuple[Peek, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Format:
    """One format: how it is called, what it needs, where its schema was read, and how it claims files.

    ``schema`` names the public source that the fields were verified against; empty means that they were not.
    ``claim`` gets the files that no format before it took, and returns what it reads of them.
    """

    name: str
    title: str
    needs: tuple[str, ...]
    schema: str
    claim: Callable[[Sequence[Peek], Options], list[Claim]]


def claim_each(
    name: str,
    fits: Callable[[Peek], bool],
    read: Callable[[Peek, RowFaults], Iterator[pa.RecordBatch]],
) -> Callable[[Sequence[Peek], Options], list[Claim]]:
    """A ``claim`` for formats that read every file alone."""

    def claim(peeks: Sequence[Peek], options: Options) -> list[Claim]:
        def reader(peek: Peek) -> Callable[[RowFaults], Iterator[tuple[int, pa.RecordBatch]]]:
            return lambda faults: ((0, batch) for batch in read(peek, faults))

        return [Claim(name, (peek,), reader(peek)) for peek in peeks if options.format == name or fits(peek)]

    return claim
