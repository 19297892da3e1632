"""The files of a workspace: where each one is, how a step's folder is built, and how a write becomes whole.

A step's key is the digest of its inputs and tool versions. It is built in ``NAME.unfinished`` and renamed to ``NAME``
when it is whole: that rename is the commit, and a finished folder never changes.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import secrets
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lf_bridge.errors import LfbError
from lf_bridge.talk import now

KEY_ENVIRONMENT = "LFB_KEY"


@dataclass(frozen=True)
class Workspace:
    """The folder a user works in; every path below it is named here."""

    root: Path

    @property
    def runs(self) -> Path:
        return self.root / "runs"

    @property
    def releases(self) -> Path:
        return self.root / "releases"

    @property
    def private(self) -> Path:
        """Our own state: the project's key and logs of programs that belong to no run."""
        return self.root / ".lfb"

    @property
    def embedded_store(self) -> Path:
        """Models registered with the embedded runtime."""
        return self.releases / ".embedded"

    def relative(self, path: Path) -> str:
        """A path as it is written into records: from the root where it lies below it, so that a workspace can move."""
        path, root = path.resolve(), self.root.resolve()
        return str(path.relative_to(root) if path.is_relative_to(root) else path)

    def log(self, name: str) -> Path:
        return self.private / "logs" / f"{name}.log"

    def project_key(self, from_environment: str | None) -> bytes:
        """The key that every hash of personal data is an HMAC with: ``LFB_KEY``, else a 0600 file made at first use."""
        if from_environment:
            return from_environment.encode()
        path = self.private / "key"
        if not path.exists():
            write_atomic(path, secrets.token_hex(32).encode(), mode=0o600, replace=False)
        return path.read_bytes().strip()


@dataclass(frozen=True)
class Step:
    """One keyed step: where its finished folder is, and what it was made of."""

    folder: Path
    inputs: Mapping[str, Any]

    @property
    def key(self) -> str:
        return digest_of(self.inputs)

    @property
    def unfinished(self) -> Path:
        return self.folder.with_name(self.folder.name + ".unfinished")

    def result(self) -> dict[str, Any] | None:
        """What the finished step recorded, or None where it is not finished."""
        record = read_record(self.folder)
        if record is None or record.get("key") != self.key:
            return None
        return dict(record["result"])


def keyed_step(parent: Path, name: str, inputs: Mapping[str, Any]) -> Step:
    """A step whose folder is ``parent/NAME-KEY8``, so that other inputs make another folder."""
    return Step(parent / f"{name}-{digest_of(inputs)[:8]}", inputs)


@contextlib.contextmanager
def build(step: Step, *, resume: bool = False) -> Iterator[Path]:
    """The folder to build a step in, alone: emptied first, unless the step can ``resume`` from what is there.

    Raises ``LfbError`` where another process builds the same step.
    """
    step.folder.parent.mkdir(parents=True, exist_ok=True)
    with lock(step.folder.with_name(f".{step.folder.name}.lock"), f"another lfb is working on {step.folder}"):
        if not resume and step.unfinished.exists():
            shutil.rmtree(step.unfinished)
        step.unfinished.mkdir(mode=0o700, exist_ok=True)
        yield step.unfinished


def commit(step: Step, result: Mapping[str, Any]) -> Path:
    """Record the result and rename the step's folder into place; returns the finished folder."""
    record = {"key": step.key, "finished": now(), "inputs": step.inputs, "result": result}
    write_atomic(step.unfinished / "step.json", json.dumps(record, indent=2, sort_keys=True).encode())
    if step.folder.exists():
        shutil.rmtree(step.folder)
    os.rename(step.unfinished, step.folder)
    _sync_folder(step.folder.parent)
    return step.folder


def read_record(folder: Path) -> dict[str, Any] | None:
    """The ``step.json`` of a finished folder, or None."""
    try:
        record = json.loads((folder / "step.json").read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise LfbError(
            f"{folder / 'step.json'} is damaged", hint=f"remove {folder} and run the command again"
        ) from error
    return record if isinstance(record, dict) else None


@contextlib.contextmanager
def lock(path: Path, complaint: str) -> Iterator[None]:
    """Hold a lock file for as long as the block lasts; raises ``LfbError(complaint)`` where another process has it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise LfbError(complaint, hint="wait for it to end, or stop it, then run the command again") from error
        yield


def write_atomic(path: Path, data: bytes, *, mode: int = 0o644, replace: bool = True) -> None:
    """Write a file so that a crash leaves the old content or the new: temporary file, fsync, rename, fsync folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with open(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode), "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        if replace:
            os.replace(temporary, path)
        else:
            with contextlib.suppress(FileExistsError):
                os.link(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
    _sync_folder(path.parent)


def digest_of(value: Mapping[str, Any]) -> str:
    """SHA-256 (hex) of a value written as canonical JSON (sorted keys, no spaces)."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def file_digest(path: Path) -> str:
    """SHA-256 (hex) of a file's bytes."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def folder_bytes(folder: Path) -> int:
    """Bytes of all files below a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
