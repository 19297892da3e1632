"""Models registered in a folder: ``blobs/sha256-DIGEST`` and ``manifests/NAME/TAG.json``."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import re
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lf_bridge.errors import Fault, LfbError
from lf_bridge.handover import ChatTemplate, Message
from lf_bridge.runtime.interface import Served, Tag
from lf_bridge.talk import Talk
from lf_bridge.workspace import file_digest, write_atomic

# What a tag may set; the same names as a Modelfile's PARAMETER.
PARAMETERS = frozenset({"stop", "num_ctx", "num_predict", "temperature", "repeat_penalty", "seed", "top_k", "top_p"})
_NAME = re.compile(r"(?:[A-Za-z0-9_][A-Za-z0-9_.-]{0,79}/)?[A-Za-z0-9_][A-Za-z0-9_.-]{0,79}")
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,79}")


class Store:
    """A folder of registered models: the half of a ``Runtime`` that keeps them."""

    def __init__(self, store: Path) -> None:
        self.store = store

    def put_blob(self, path: Path, digest: str, talk: Talk) -> bool:
        """Keep a file under its SHA-256 (hex): as a second name of it where the disk can, else as a copy."""
        blob = self.blob(digest)
        if blob.exists():
            return False
        blob.parent.mkdir(parents=True, exist_ok=True)
        temporary = blob.with_name(f".{blob.name}.{os.getpid()}.tmp")
        try:
            try:
                os.link(path, temporary)
            except FileNotFoundError:
                raise
            except OSError:
                talk.say(f"copying {path.name}")
                shutil.copyfile(path, temporary)
            if file_digest(temporary) != digest:
                raise LfbError(f"{path} is not the file that was measured", hint="make the GGUF again")
            os.replace(temporary, blob)
        except OSError as error:
            raise LfbError(f"cannot keep {path} in {self.store}: {error.strerror}", hint="make room there") from error
        finally:
            temporary.unlink(missing_ok=True)
        return True

    def create(
        self,
        tag: str,
        *,
        digest: str,
        template: ChatTemplate,
        system: str,
        parameters: Mapping[str, Any],
        talk: Talk,
        license_text: str = "",
        history: Sequence[Message] = (),
    ) -> None:
        """Register a blob under a tag; an existing tag is replaced."""
        check_parameters(parameters)
        blob = self.blob(digest)
        if not blob.is_file():
            raise LfbError(f"the store has no file with digest {digest[:12]}", hint="publish the GGUF again")
        manifest = {
            "model": digest,
            "bytes": blob.stat().st_size,
            "template": dataclasses.asdict(template),
            "system": system,
            "parameters": dict(parameters),
            "license": license_text,
            "history": [(message.role, message.content) for message in history],
        }
        write_atomic(self._manifest(tag), json.dumps(manifest, indent=2, sort_keys=True).encode())

    def copy(self, source: str, target: str) -> None:
        """Give a registered model a second tag."""
        write_atomic(self._manifest(target), self._bytes(source))

    def list(self) -> Sequence[Tag]:
        """All registered tags, by name."""
        root = self.store / "manifests"
        names = [f"{path.parent.relative_to(root).as_posix()}:{path.stem}" for path in sorted(root.rglob("*.json"))]
        return [Tag(name, hashlib.sha256(self._bytes(name)).hexdigest(), self.read(name)["bytes"]) for name in names]

    def show(self, tag: str) -> Served:
        """What a tag serves; the template as JSON of its pieces."""
        manifest = self.read(tag)
        template = json.dumps(manifest["template"], ensure_ascii=False)
        return Served(manifest["model"], template, manifest["system"], manifest["parameters"])

    def delete(self, tag: str) -> None:
        """Remove a tag, and its file where no other tag serves it."""
        digest = self.read(tag)["model"]
        self._manifest(tag).unlink()
        if all(self.read(other.name)["model"] != digest for other in self.list()):
            self.blob(digest).unlink(missing_ok=True)

    def blob(self, digest: str) -> Path:
        """Where the file with this SHA-256 (hex) is kept."""
        if not re.fullmatch(r"[0-9a-f]{64}", digest):
            raise LfbError("a digest is 64 hexadecimal digits", hint="publish the GGUF again")
        return self.store / "blobs" / f"sha256-{digest}"

    def read(self, tag: str) -> dict[str, Any]:
        """A tag's manifest; raises ``LfbError`` where there is no such tag, or its manifest is damaged."""
        try:
            manifest = json.loads(self._bytes(tag))
        except ValueError as error:
            raise LfbError(f"{self._manifest(tag)} is damaged", hint="remove it and publish the model again") from error
        return dict(manifest)

    def _bytes(self, tag: str) -> bytes:
        try:
            return self._manifest(tag).read_bytes()
        except FileNotFoundError as error:
            raise LfbError(f"there is no model `{tag}` in {self.store}", hint="`lfb publish` makes one") from error

    def _manifest(self, tag: str) -> Path:
        name, _, version = tag.partition(":")
        version = version or "latest"
        if not _NAME.fullmatch(name) or not _TAG.fullmatch(version):
            raise LfbError(f"`{tag}` is no name of a model", hint="write it as in `my-bot:latest`")
        return self.store / "manifests" / name / f"{version}.json"


def check_parameters(parameters: Mapping[str, Any]) -> None:
    """Raises ``LfbError`` naming every parameter that the embedded runtime does not have."""
    unknown = sorted(set(parameters) - PARAMETERS)
    if unknown:
        raise LfbError(
            "the embedded runtime cannot do all that is asked",
            faults=[Fault(name, "no such parameter here") for name in unknown],
            hint=f"it knows {', '.join(sorted(PARAMETERS))}",
        )
