"""Which raw files there are."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeVar

from lf_bridge import workspace
from lf_bridge.errors import Fault, LfbError

TEXTS = (".csv", ".tsv", ".txt", ".log", ".jsonl", ".ndjson", ".json")
SUFFIXES = (*TEXTS, ".parquet", ".xlsx", ".xls")
PACKED = (".gz", ".zst")
PUBLIC_MARKER = "PUBLIC"
Result = TypeVar("Result")


@dataclass(frozen=True)
class Source:
    """One raw file. ``label`` is its name from the folder that was given; ``digest`` the SHA-256 of its bytes."""

    path: Path
    label: str
    digest: str
    bytes: int
    public: bool


def is_log(name: str) -> bool:
    """Whether a file of this name is one that we read."""
    name = name.lower()
    for ending in PACKED:
        name = name.removesuffix(ending)
    return name.endswith((*SUFFIXES, ".zip"))


def find_sources(raw: Sequence[Path]) -> tuple[list[Source], list[str]]:
    """The raw files in the order they are read, and warnings about files left out.

    Raises ``LfbError`` for a path that is not there, a folder without logs, and where all files are empty.
    """
    files: dict[str, tuple[Path, str]] = {}
    left_out = loops = 0
    for path in raw:
        if path.is_dir():
            walk = _Walk(path)
            inside = sorted(walk.files())
            loops += walk.loops
            logs = [file for file in inside if is_log(file.name)]
            if not logs:
                hint = f"put your exports there; it reads {', '.join(SUFFIXES)}, also in .zip, .gz and .zst"
                raise LfbError(f"{path} holds no logs", hint=hint)
            left_out += sum(not is_log(file.name) and not _is_note(file) for file in inside)
            found = [(file, file.relative_to(path).as_posix()) for file in logs]
        elif path.is_file():
            found = [(path, path.name)]
        else:
            raise LfbError(f"{path} does not exist", hint="`lfb prepare PATH` takes the folder or file with your logs")
        labels = {label for _, label in files.values()}
        for file, label in found:
            files.setdefault(os.path.realpath(file), (file, file.as_posix() if label in labels else label))
    empty = [label for path, label in files.values() if not path.stat().st_size]
    if len(empty) == len(files):
        raise LfbError(f"{empty[0]} is empty", hint="export it again, or remove it")
    jobs = [(label, partial(_open, path, label)) for path, label in files.values() if label not in empty]
    warnings = [f"{label} is empty and was left out" for label in empty]
    if left_out:
        warnings.append(f"{left_out} files were left out: they end in none of {', '.join(SUFFIXES)}, .zip, .gz, .zst")
    if loops:
        warnings.append(f"{loops} links were left out: they lead back to a folder that holds them, or nowhere")
    return for_each(jobs), warnings


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


class _Walk:
    """The files below a folder, hidden ones left out; each folder is entered once, by whatever links lead there."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._seen = {os.path.realpath(folder)}
        self.loops = 0

    def files(self) -> Iterator[Path]:
        for root, folders, names in os.walk(self._folder, onerror=_refuse, followlinks=True):
            folders[:] = [name for name in sorted(folders) if not name.startswith(".") and self._enter(root, name)]
            for path in (Path(root, name) for name in names if not name.startswith(".")):
                if path.is_file():
                    yield path
                elif path.is_symlink():
                    self.loops += 1

    def _enter(self, root: str, name: str) -> bool:
        path, here = os.path.realpath(Path(root, name)), os.path.realpath(root)
        if here == path or here.startswith(path + os.sep):
            self.loops += 1
            return False
        new = path not in self._seen
        self._seen.add(path)
        return new


def _open(path: Path, label: str) -> Source:
    try:
        digest = workspace.file_digest(path)
    except OSError as error:
        raise LfbError(f"{label} cannot be read: {os.strerror(error.errno or 0)}") from None
    return Source(path, label, digest, path.stat().st_size, _is_public(path, digest))


def _is_public(path: Path, digest: str) -> bool:
    """Whether the marker beside a file names these very bytes: another file put beside the sample is private."""
    try:
        marker = (path.parent / PUBLIC_MARKER).read_text(encoding="utf-8")
    except OSError:
        return False
    return digest in marker.split()


def _is_note(file: Path) -> bool:
    return file.suffix == ".md" or file.name == PUBLIC_MARKER


def _refuse(error: OSError) -> None:
    raise LfbError(f"{error.filename} cannot be read: {os.strerror(error.errno or 0)}")
