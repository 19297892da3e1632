"""What the pipeline works with, and what it ends with."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from lf_bridge.handover import Environment, Release
from lf_bridge.talk import Talk
from lf_bridge.workspace import Workspace

if TYPE_CHECKING:
    from lf_bridge.evaluate.loss import LossReport

Target = Literal["ollama", "local", "gguf", "auto"]


@dataclass(frozen=True)
class Job:
    """What every command works with."""

    workspace: Workspace
    python: Path
    host: str | None
    key_from_environment: str | None
    talk: Talk

    @cached_property
    def environment(self) -> Environment:
        """The training environment, asked once: it imports what training imports, which takes seconds."""
        from lf_bridge.runtime.training import read_environment

        return read_environment(self.python, self.workspace.log("environment"))

    @cached_property
    def installation(self) -> Environment:
        """What is installed there, without importing it: enough where nothing is trained."""
        from lf_bridge.runtime.training import read_versions

        return Environment(self.python, read_versions(self.python, self.workspace.log("environment")))

    @property
    def key(self) -> bytes:
        return self.workspace.project_key(self.key_from_environment)


@dataclass(frozen=True)
class PrepareChanges:
    """What the command line says of a prepare, where it differs from the recipe."""

    raw: tuple[Path, ...] = ()
    out: Path | None = None
    settings: Path | None = None
    format: str | None = None
    mapping: Path | None = None
    append: bool = False
    dry_run: bool = False
    strict: bool = False
    show_text: bool = False
    allowed: tuple[str, ...] = ()


@dataclass(frozen=True)
class PublishChanges:
    """What the command line says of a publish, where it differs from the recipe."""

    name: str | None = None
    quantize: str | None = None
    to: Target | None = None
    template: str | None = None
    system: str | None = None
    yes: bool = False


@dataclass(frozen=True)
class Row:
    """One line of the closing table: seconds of work (also where it was done in an earlier call), bytes made."""

    name: str
    seconds: float
    bytes: int
    result: str


@dataclass(frozen=True)
class Asked:
    """A held-out question and the answers of base, tuned and published model."""

    question: str
    base: str
    tuned: str
    published: str


@dataclass(frozen=True)
class Seen:
    """Something that a customer's messages went into: a dataset, run or tag, and how."""

    kind: Literal["dataset", "run", "tag"]
    name: str
    how: str


@dataclass(frozen=True)
class ChainReport:
    """What ``lfb run`` ends with."""

    rows: tuple[Row, ...]
    loss: LossReport
    quantization: str
    questions: tuple[Asked, ...]
    release: Release
    public_sample: bool
    closing: str

    def to_json(self, *, show_text: bool) -> dict[str, Any]:
        """Plain values; texts of conversations only where they may be shown."""
        value = asdict(self)
        if not show_text:
            value["questions"] = []
            value["release"] |= {"question": None, "answer": None}
        return value
