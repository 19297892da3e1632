"""What a raw file is, told from its content."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from lf_bridge.errors import LfbError
from lf_bridge.prepare.formats import messages, question_answer
from lf_bridge.prepare.formats.csv_table import open_csv
from lf_bridge.prepare.formats.json_lines import open_json_lines

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True)
class Format:
    """A recognized file: the format's name and its messages as batches of ``message_schema``."""

    name: str
    read: Callable[[], Iterator[pa.RecordBatch]]


def sniff(path: Path, label: str) -> Format:
    """Recognize a file; raises ``LfbError`` naming the columns it has where it is none of ours."""
    with open(path, encoding="utf-8-sig") as file:
        start = file.read(1 << 12).lstrip()[:1]
    if start == "[":
        raise LfbError(f"{label} is one JSON array", hint=f"write one object a line: `jq -c '.[]' {path.name}`")
    table = open_json_lines(path, label) if start == "{" else open_csv(path, label)
    if messages.fits(table):
        return Format(f"messages-{table.kind}", lambda: messages.read(table))
    if question_answer.fits(table):
        return Format(f"question-answer-{table.kind}", lambda: question_answer.read(table))
    raise messages.complain(table)
