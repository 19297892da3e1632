"""What was published: one file ``releases/NAME/VERSION.json`` for each version, without conversation text."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lf_bridge.errors import LfbError
from lf_bridge.handover import Release
from lf_bridge.workspace import write_atomic


@dataclass(frozen=True)
class Recorded:
    """A release as recorded. Its ``question`` and ``answer`` are empty: conversations are not written down here.

    ``manifest_digest`` is what the server calls the tag's digest; ``template`` is its TEMPLATE, ``published`` is UTC.
    """

    release: Release
    template_name: str
    template: str
    system: str
    manifest_digest: str
    published: str


def record_path(releases: Path, name: str, version: str) -> Path:
    """Where a version is recorded."""
    return releases / name / f"{version}.json"


def write_release(releases: Path, recorded: Recorded) -> None:
    """Record a release; a crash leaves the old record or the new."""
    release = recorded.release
    content: dict[str, Any] = {
        field: getattr(release, field)
        for field in release.__dataclass_fields__
        if field not in ("question", "answer", "parameters")
    }
    content |= {field: getattr(recorded, field) for field in recorded.__dataclass_fields__ if field != "release"}
    content["parameters"] = dict(release.parameters)
    path = record_path(releases, release.name, release.version)
    write_atomic(path, (json.dumps(content, indent=2, sort_keys=True) + "\n").encode())


def read_releases(releases: Path, name: str) -> tuple[Recorded, ...]:
    """All recorded versions of a name, the oldest first; raises ``LfbError`` where a record is damaged."""
    found = []
    for path in (releases / name).glob("*.json"):
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            around = {field: content.pop(field) for field in Recorded.__dataclass_fields__ if field != "release"}
            found.append(Recorded(release=Release(**content, question="", answer=""), **around))
        except (ValueError, KeyError, TypeError) as error:
            raise LfbError(f"{path} is damaged", hint="remove it and publish again") from error
    return tuple(sorted(found, key=lambda one: (one.published, one.release.version)))
