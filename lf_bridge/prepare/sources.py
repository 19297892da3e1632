"""Which raw files there are, and whether each is text that can be read at all."""

from __future__ import annotations

import codecs
import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeVar

from lf_bridge.errors import Fault, LfbError

SUFFIXES = (".csv", ".tsv", ".jsonl", ".ndjson", ".json")
PUBLIC_MARKER = "PUBLIC"
_CHUNK = 1 << 20
Result = TypeVar("Result")


@dataclass(frozen=True)
class Source:
    """One raw file. ``label`` is its name from the folder that was given; ``digest`` the SHA-256 of its bytes."""

    path: Path
    label: str
    digest: str
    bytes: int
    public: bool


def find_sources(raw: Sequence[Path]) -> tuple[list[Source], list[str]]:
    """The raw files in the order they are read, and warnings about files left out.

    Raises ``LfbError`` for a path that is not there, a folder without logs, and files that are no UTF-8 text.
    """
    files: dict[Path, str] = {}
    left_out = 0
    for path in raw:
        if path.is_dir():
            inside = sorted(file for file in path.rglob("*") if file.is_file() and not _hidden(file, path))
            logs = [file for file in inside if file.suffix.lower() in SUFFIXES]
            if not logs:
                raise LfbError(f"{path} holds no logs", hint=f"put your exports there; it reads {', '.join(SUFFIXES)}")
            left_out += sum(file not in logs and file.suffix != ".md" and file.name != PUBLIC_MARKER for file in inside)
            found = [(file, file.relative_to(path).as_posix()) for file in logs]
        elif path.is_file():
            found = [(path, path.name)]
        else:
            raise LfbError(f"{path} does not exist", hint="`lfb prepare PATH` takes the folder or file with your logs")
        for file, label in found:
            if file.resolve() not in files:
                taken = label in files.values()
                files[file.resolve()] = file.as_posix() if taken else label
    sources = for_each([(label, partial(_check, path, label)) for path, label in files.items()])
    warnings = [f"{left_out} files were left out: they end in none of {', '.join(SUFFIXES)}"] if left_out else []
    return sources, warnings


def for_each(jobs: Sequence[tuple[str, Callable[[], Result]]]) -> list[Result]:
    """Do one thing for each file and raise the faults of all of them together."""
    results, errors = [], []
    for label, job in jobs:
        try:
            results.append(job())
        except LfbError as error:
            errors.append((label, error))
    if len(errors) == 1:
        raise errors[0][1]
    if errors:
        faults = [Fault(label, error.message.removeprefix(f"{label} ")) for label, error in errors]
        raise LfbError(f"{len(errors)} of {len(jobs)} files cannot be read", faults=faults, hint=errors[0][1].hint)
    return results


def _check(path: Path, label: str) -> Source:
    digest, decoder, done = hashlib.sha256(), codecs.getincrementaldecoder("utf-8")(), 0
    with open(path, "rb") as file:
        chunk = file.read(_CHUNK)
        if chunk.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
            raise LfbError(f"{label} is UTF-16 text", hint=_convert("UTF-16"))
        if not chunk:
            raise LfbError(f"{label} is empty", hint="export it again, or remove it")
        while chunk:
            if b"\0" in chunk:
                raise LfbError(
                    f"{label} is a binary file, not text", hint="export the log as CSV or JSON Lines in UTF-8"
                )
            pending = len(decoder.getstate()[0])
            following = file.read(_CHUNK)
            try:
                decoder.decode(chunk, final=not following)
            except UnicodeDecodeError as error:
                offset = done - pending + error.start
                raise LfbError(
                    f"{label} is not UTF-8: byte {offset} cannot be read", hint=_convert("GB18030")
                ) from None
            digest.update(chunk)
            done += len(chunk)
            chunk = following
    return Source(path, label, digest.hexdigest(), done, _is_public(path, digest.hexdigest()))


def _is_public(path: Path, digest: str) -> bool:
    """Whether the marker beside a file names these very bytes: another file put beside the sample is private."""
    try:
        marker = (path.parent / PUBLIC_MARKER).read_text(encoding="utf-8")
    except OSError:
        return False
    return digest in marker.split()


def _convert(encoding: str) -> str:
    return f"save it as UTF-8, for example `iconv -f {encoding} -t UTF-8 OLD > NEW`"


def _hidden(file: Path, folder: Path) -> bool:
    return any(part.startswith(".") for part in file.relative_to(folder).parts)
