"""Tables of parts in one file: Arrow streams one after the other, each found by its offset."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.ipc

from lf_bridge.prepare.folder import private_file


def write_stream(path: Path, table: pa.Table, *, compressed: bool = False) -> None:
    """Write a table as a private file with one stream."""
    options = pa.ipc.IpcWriteOptions(compression="lz4" if compressed else None)
    with private_file(path) as file, pa.ipc.new_stream(file, table.schema, options=options) as writer:
        writer.write_table(table)


def read_stream(path: Path, offset: int = 0) -> pa.Table:
    """The table whose stream begins at an offset."""
    with pa.memory_map(str(path)) as file:
        file.seek(offset)
        return pa.ipc.open_stream(file).read_all()


def join_streams(parts: Sequence[Path], whole: Path) -> list[int]:
    """Put files of one stream each behind each other, remove them, and return where each begins."""
    offsets = []
    with private_file(whole) as output:
        for part in parts:
            offsets.append(output.tell())
            with open(part, "rb") as file:
                shutil.copyfileobj(file, output, 1 << 20)
            part.unlink()
    return offsets
