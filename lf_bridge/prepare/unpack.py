"""Every raw file as plain files: archives unpacked, text in UTF-8.

What is plain already is read where it lies; the rest goes into private files in the work folder.
"""

from __future__ import annotations

import gzip
import zipfile
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import IO

from lf_bridge.errors import Fault, LfbError
from lf_bridge.prepare import encoding
from lf_bridge.prepare.folder import private_file
from lf_bridge.prepare.formats.peek import is_binary
from lf_bridge.prepare.sources import PACKED, SUFFIXES, Source

# An archive may unpack to the larger of these. Support logs shrink to a tenth or, with much repeated, a thirtieth.
MOST_TIMES = 200
MOST_BYTES = 1 << 30
MOST_MEMBERS = 100_000
_CHUNK = 1 << 20
_SAMPLE = 256 << 10
_GZIP, _ZSTD, _ZIP = b"\x1f\x8b", b"\x28\xb5\x2f\xfd", (b"PK\x03\x04", b"PK\x05\x06")
_AS_THEY_ARE = (*_ZIP, b"\xd0\xcf\x11\xe0", b"PAR1")


@dataclass(frozen=True)
class Plain:
    """A file that is UTF-8 text, Parquet or Excel. ``label`` is its name for the user (``export.zip/messages.csv``),
    ``source_number`` the place of its source."""

    path: Path
    label: str
    source_number: int


@dataclass(frozen=True)
class Unpacked:
    """``notes`` say what was assumed, left out and lost; ``refused`` are sources of which nothing is read (each has a
    note too)."""

    files: tuple[Plain, ...]
    notes: tuple[str, ...]
    refused: tuple[Fault, ...]


def unpack(sources: Sequence[Source], work: Path) -> Unpacked:
    """Make every source plain; raises ``LfbError`` where that leaves nothing to read."""
    folder = work / "unpacked"
    folder.mkdir(mode=0o700, exist_ok=True)
    unpacking = _Unpacking(folder)
    errors: list[LfbError] = []
    refused: list[Fault] = []
    for number, source in enumerate(sources):
        try:
            unpacking.add(source, number)
        except LfbError as error:
            errors.append(error)
            refused.append(Fault(source.label, error.message.removeprefix(f"{source.label} ")))
    if not unpacking.files:
        if len(errors) == 1:
            raise errors[0]
        hint = errors[0].hint if errors else "; ".join(unpacking.notes) or None
        raise LfbError(f"none of {len(sources)} files can be read", faults=refused, hint=hint)
    notes = [*unpacking.notes, *(f"{fault.where} {fault.problem}: left out" for fault in refused)]
    return Unpacked(tuple(unpacking.files), tuple(notes), tuple(refused))


@dataclass
class _Budget:
    """How much an archive may still unpack to. Its own header is not asked."""

    label: str
    left: int

    def take(self, count: int) -> None:
        self.left -= count
        if self.left < 0:
            raise LfbError(
                f"{self.label} unpacks to more than {MOST_TIMES} times its size and more than {MOST_BYTES >> 30} GiB",
                hint="if it is no archive bomb, unpack it and give the files",
            )


@dataclass
class _Unpacking:
    folder: Path
    files: list[Plain] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    _count: int = 0

    def add(self, source: Source, number: int) -> None:
        """Make one source plain; a source that is refused leaves no file behind."""
        before = len(self.files), len(self.notes)
        budget = _Budget(source.label, max(MOST_TIMES * source.bytes, MOST_BYTES))
        try:
            with open(source.path, "rb") as file:
                head = file.read(4)
            if head.startswith(_ZIP) and not _is_workbook(source.path):
                self._add_members(source, number, budget)
            elif head.startswith((_GZIP, _ZSTD)):
                name = source.path.name.removesuffix(source.path.suffix)
                path = self._unpack_one(source.path, head, name, budget)
                if _is_archive(path):
                    raise LfbError(f"{source.label} holds another archive", hint="unpack it once and give that")
                self._settle(path, source.label, number)
            else:
                self._settle(source.path, source.label, number)
        except (EOFError, zlib.error, zipfile.BadZipFile, gzip.BadGzipFile) as error:
            self._undo(*before)
            cut = isinstance(error, EOFError) or "not a zip file" in str(error)
            what = "ends too early: it was cut off" if cut else "is a damaged archive"
            raise LfbError(f"{source.label} {what}", hint="copy or download it again") from None
        except LfbError:
            self._undo(*before)
            raise

    def _undo(self, files: int, notes: int) -> None:
        for plain in self.files[files:]:
            if plain.path.is_relative_to(self.folder):
                plain.path.unlink(missing_ok=True)
        del self.files[files:], self.notes[notes:]

    def _unpack_one(self, path: Path, head: bytes, name: str, budget: _Budget) -> Path:
        if head.startswith(_GZIP):
            with gzip.open(path) as stream:
                return self._write(stream, name, budget)
        import pyarrow as pa

        try:
            with pa.CompressedInputStream(str(path), "zstd") as stream:
                return self._write(stream, name, budget)
        except OSError as error:
            if "runcated" in str(error):
                raise EOFError from None
            if "ZSTD" in str(error):
                raise zlib.error from None
            raise

    def _add_members(self, source: Source, number: int, budget: _Budget) -> None:
        other = nested = 0
        labels: set[str] = set()
        with zipfile.ZipFile(source.path) as archive:
            members = archive.infolist()
            if len(members) > MOST_MEMBERS:
                raise LfbError(
                    f"{source.label} holds {len(members)} files, more than {MOST_MEMBERS}",
                    hint="if it is no archive bomb, unpack it and give the files",
                )
            for info in sorted(members, key=lambda member: member.filename):
                parts = _safe_parts(info.filename)
                if info.is_dir() or not parts or any(part.startswith((".", "__MACOSX")) for part in parts):
                    continue
                if parts[-1].lower().endswith((*PACKED, ".zip")):
                    nested += 1
                elif not parts[-1].lower().endswith(SUFFIXES):
                    other += 1
                else:
                    label = "/".join((source.label, *parts))
                    while label in labels:
                        label += "~"
                    labels.add(label)
                    self._add_member(archive, info, label, number, budget)
        if nested:
            self.notes.append(f"{source.label}: {nested} archives in it were left out: unpack them and give the files")
        if other:
            self.notes.append(f"{source.label}: {other} files in it were left out: no logs by their endings")
        if not labels:
            raise LfbError(f"{source.label} holds no logs", hint=f"it reads {', '.join(SUFFIXES)}")

    def _add_member(
        self, archive: zipfile.ZipFile, info: zipfile.ZipInfo, label: str, number: int, budget: _Budget
    ) -> None:
        if info.flag_bits & 1:
            raise LfbError(f"{budget.label} is encrypted", hint="unpack it with its password and give the files")
        try:
            with archive.open(info) as stream:
                path = self._write(stream, info.filename, budget)
        except NotImplementedError:
            raise LfbError(
                f"{budget.label} is packed by a method that cannot be read", hint="unpack it and give the files"
            ) from None
        if path.stat().st_size:
            self._settle(path, label, number)
        else:
            self.notes.append(f"{label} is empty and was left out")

    def _settle(self, path: Path, label: str, number: int) -> None:
        """Take a file as it is, or rewritten in UTF-8."""
        with open(path, "rb") as file:
            head = file.read(_SAMPLE)
        if not head.startswith(_AS_THEY_ARE) and not encoding.is_plain(path):
            if head[257:262] == b"ustar":
                raise LfbError(f"{label} is a tar archive", hint="unpack it and give the files")
            if not encoding.is_wide(head) and is_binary(
                head.replace(b"\0", b"") if 10 * head.count(0) < len(head) else head
            ):
                raise LfbError(f"{label} is a binary file, not text", hint="export the log as CSV or JSON Lines")
            target = self._new_path(path.name)
            with private_file(target) as output:
                self.notes += encoding.transcode(path, label, output)
            if path.is_relative_to(self.folder):
                path.unlink()
            path = target
        self.files.append(Plain(path, label, number))

    def _write(self, stream: IO[bytes] | gzip.GzipFile, name: str, budget: _Budget) -> Path:
        path = self._new_path(name)
        try:
            with private_file(path) as output:
                while chunk := stream.read(_CHUNK):
                    budget.take(len(chunk))
                    output.write(chunk)
        except BaseException:
            path.unlink()
            raise
        return path

    def _new_path(self, name: str) -> Path:
        """A path by number alone: nothing of an archive's own names reaches the disk but a known ending."""
        self._count += 1
        ending = PurePosixPath(name).suffix.lower()
        return self.folder / f"{self._count}{ending if ending in SUFFIXES else ''}"


def _is_archive(path: Path) -> bool:
    with open(path, "rb") as file:
        head = file.read(4)
    return head.startswith((_GZIP, _ZSTD)) or (head.startswith(_ZIP) and not _is_workbook(path))


def _is_workbook(path: Path) -> bool:
    if not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as archive:
        return "[Content_Types].xml" in archive.namelist()


def _safe_parts(name: str) -> tuple[str, ...]:
    """The names in a member's path, without steps upwards and what cannot be printed."""
    parts = name.replace("\\", "/").split("/")
    return tuple(
        "".join(letter if letter.isprintable() else "?" for letter in part)
        for part in parts
        if part not in ("", ".", "..")
    )
