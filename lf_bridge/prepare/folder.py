"""The dataset folder: private files named by digest, and the one rename that makes them the dataset.

``dataset_info.json`` is that commit. It names its record ``dataset-DIGEST.json`` in an entry of its own, which
LLaMA-Factory does not look at; ``dataset.json`` is a copy of the record for people and scripts.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import re
import shutil
from collections.abc import Iterator, Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any, BinaryIO

from lf_bridge import handover, workspace
from lf_bridge.errors import LfbError
from lf_bridge.prepare.records import Conversations

_DIGEST = re.compile(
    r"(train|validation|rated|rated_validation|pairs|pairs_validation|pretrain|ledger|messages|store|people|preferences|"
    r"quarantine|conversations|documents|dataset)-[0-9a-f]{12}"
    r"\.(json|jsonl|parquet|arrows)"
)
_TAGS = {
    "role_tag": "from", "content_tag": "value", "user_tag": "human", "assistant_tag": "gpt",
    "observation_tag": "observation", "function_tag": "function_call", "system_tag": "system",
}  # fmt: skip
# LLaMA-Factory reads a key left out of `columns` as None, not as its default (data/parser.py): all are written.
_COLUMNS: dict[str, str | None] = {
    "prompt": None, "query": None, "response": None, "history": None, "messages": "conversations", "system": "system",
    "tools": None, "images": None, "videos": None, "audios": None, "chosen": None, "rejected": None, "kto_tag": None,
}  # fmt: skip
_MORE_COLUMNS = {"rated": {"kto_tag": "kto_tag"}, "pairs": {"chosen": "chosen", "rejected": "rejected"}}
PREFERENCES = ("rated", "rated_validation", "pairs", "pairs_validation")
DOCUMENTS = "support_documents"
_AGAIN = "run `lfb prepare` again"


@contextlib.contextmanager
def work_in(folder: Path) -> Iterator[Path]:
    """Make the folder private, lock it, and give an empty place for unfinished files, gone at the end.

    Raises ``LfbError`` where another process prepares the same folder or the disk takes no more.
    """
    work = folder / ".work"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o700)
        with workspace.lock(folder / ".lock", f"another lfb is preparing {folder}"):
            shutil.rmtree(work, ignore_errors=True)
            work.mkdir(mode=0o700)
            try:
                yield work
            finally:
                shutil.rmtree(work, ignore_errors=True)
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM):
            raise
        problem = os.strerror(error.errno)
        raise LfbError(f"cannot write to {folder}: {problem}", hint="free some space or name another folder") from error


def private_file(path: Path) -> BinaryIO:
    """Create a file that only its owner can read."""
    return open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb")


def keep(unfinished: Path, folder: Path, digest: str | None = None) -> str:
    """Move a whole file into the folder under its digest; ``train.json`` becomes ``train-0123456789ab.json``.

    ``digest`` is that of what it was made of, for files that only we read.
    """
    name = f"{unfinished.stem}-{(digest or workspace.file_digest(unfinished))[:12]}{unfinished.suffix}"
    move(unfinished, folder / name)
    return name


def move(unfinished: Path, target: Path) -> None:
    """Put a whole file where it belongs: it is on the disk before it has its name."""
    with open(unfinished, "rb") as file:
        os.fsync(file.fileno())
    os.replace(unfinished, target)


def write_conversations(found: Conversations) -> None:
    """Record step one's result; that write is its commit."""
    _write(found.folder / f"conversations-{found.key[:12]}.json", found.to_json())


def conversations_with(folder: Path, key: str) -> Conversations | None:
    """Step one's result under this key, or None where it is not there whole."""
    try:
        value = json.loads((folder / f"conversations-{key[:12]}.json").read_bytes())
        found = Conversations.from_json(folder, value)
    except (OSError, ValueError, KeyError, TypeError):
        return None
    whole = all((folder / name).is_file() for name in found.files())
    return found if whole and found.key == key else None


def commit(folder: Path, record: Mapping[str, Any]) -> None:
    """Make the files that a record names the dataset."""
    data = _dump(record)
    name = f"dataset-{sha256(data).hexdigest()[:12]}.json"
    workspace.write_atomic(folder / name, data, mode=0o600)
    info: dict[str, Any] = {
        f"support_{split}": {
            "file_name": record["files"][split],
            "formatting": "sharegpt",
            "ranking": split.startswith("pairs"),
            "columns": {**_COLUMNS, **_MORE_COLUMNS.get(split.partition("_")[0], {})},
            "tags": _TAGS,
        }
        for split in ("train", "validation", *PREFERENCES)
        if split in record["files"]
    }
    info["lf_bridge"] = {"record": name}
    _write(folder / "dataset_info.json", info | _documents(folder))


def enter_documents(folder: Path, file: str, record: str) -> None:
    """Name a file of documents and its record in ``dataset_info.json``; a later ``commit`` keeps the entry."""
    columns = {**dict.fromkeys(_COLUMNS), "prompt": "text"}
    entry = {DOCUMENTS: {"file_name": file, "formatting": "alpaca", "columns": columns, "record": record}}
    if _documents(folder) != entry:
        _write(folder / "dataset_info.json", _info(folder) | entry)
    for path in folder.glob("documents-*"):
        if path.name not in (file, record):
            path.unlink()


def _documents(folder: Path) -> dict[str, Any]:
    try:
        return {name: entry for name, entry in _info(folder).items() if name == DOCUMENTS}
    except LfbError:
        return {}


def _info(folder: Path) -> dict[str, Any]:
    try:
        return dict(json.loads((folder / "dataset_info.json").read_bytes()))
    except FileNotFoundError:
        return {}
    except (ValueError, TypeError):
        raise LfbError(f"{folder / 'dataset_info.json'} is damaged", hint=_AGAIN) from None


def tidy(folder: Path) -> None:
    """Bring ``dataset.json`` up to date and remove digest-named files that the dataset does not name."""
    name, record = _committed(folder)
    _copy(folder, name)
    needed = {name, f"conversations-{record['conversations'][:12]}.json", *record["files"].values()}
    found = conversations_with(folder, record["conversations"])
    needed |= {*found.files(), training_texts_name(found)} if found else set()
    needed |= {entry[part] for entry in _documents(folder).values() for part in ("file_name", "record")}
    for path in folder.iterdir():
        if _DIGEST.fullmatch(path.name) and path.name not in needed:
            path.unlink()


def training_texts_name(found: Conversations) -> str:
    """The file with the training split's texts, where a base model has been made of it."""
    return f"pretrain-{found.key[:12]}.jsonl"


def read_record(folder: Path) -> dict[str, Any]:
    """The record of the committed dataset, its training files checked against their digests.

    Raises ``LfbError`` where there is none or it is damaged.
    """
    name, record = _committed(folder)
    for split in ("train", "validation"):
        path = folder / record["files"][split]
        digest = path.stem.rpartition("-")[2]
        if not path.is_file() or not workspace.file_digest(path).startswith(digest):
            raise LfbError(f"{path} is missing or was changed", hint=_AGAIN)
    _copy(folder, name)
    return record


def read_dataset(folder: Path) -> handover.Dataset:
    """The committed dataset; raises ``LfbError`` where there is none or it is damaged."""
    record = read_record(folder)
    return handover.Dataset(
        folder=folder,
        digest=record["digest"],
        system=record["system"],
        fit=record["fit"],
        train_examples=record["examples"]["train"],
        validation_examples=record["examples"]["validation"],
        public_sample=record["public_sample"],
        people=folder / record["files"]["people"],
    )


def conversations_of(folder: Path) -> Conversations:
    """Step one's result of the committed dataset; raises ``LfbError`` where there is none."""
    found = conversations_with(folder, read_record(folder)["conversations"])
    if found is None:
        raise LfbError(f"{folder} lacks the conversations that its dataset was made of", hint=_AGAIN)
    return found


def _committed(folder: Path) -> tuple[str, dict[str, Any]]:
    info = _info(folder)
    if not info.keys() - {DOCUMENTS}:
        raise LfbError(f"{folder} holds no dataset", hint="run `lfb prepare` first")
    try:
        name = str(info["lf_bridge"]["record"])
        data = (folder / name).read_bytes()
        if not sha256(data).hexdigest().startswith(name.removeprefix("dataset-").removesuffix(".json")):
            raise ValueError(name)
        return name, dict(json.loads(data))
    except (OSError, KeyError, TypeError, ValueError):
        raise LfbError(f"{folder} is not a dataset of lfb, or is damaged", hint=_AGAIN) from None


def _copy(folder: Path, name: str) -> None:
    data, copy = (folder / name).read_bytes(), folder / "dataset.json"
    if not copy.is_file() or copy.read_bytes() != data:
        workspace.write_atomic(copy, data, mode=0o600)


def _write(path: Path, value: Mapping[str, Any]) -> None:
    workspace.write_atomic(path, _dump(value), mode=0o600)


def _dump(value: Mapping[str, Any]) -> bytes:
    return (json.dumps(value, indent=2) + "\n").encode("ascii")
