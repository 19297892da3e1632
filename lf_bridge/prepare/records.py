"""What the two steps of prepare hand on: the numbers, and where step one's result lies."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class FileRead:
    """One raw file: its name from the raw folder, its format, and how many messages it holds."""

    path: str
    format: str
    read: int


@dataclass(frozen=True)
class MessageCounts:
    """``read`` is the sum of ``kept``, ``merged`` and all of ``dropped`` (reason to count)."""

    read: int = 0
    kept: int = 0
    merged: int = 0
    dropped: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class ConversationCounts:
    """Conversations, not examples: a conversation split to fit the cutoff is one."""

    train: int = 0
    validation: int = 0
    dropped: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Report:
    """What ``lfb prepare --json`` prints. ``seconds`` and ``peak_memory_bytes`` are those of the work itself,
    also where its result is reused."""

    messages: MessageCounts
    conversations: ConversationCounts
    files: tuple[FileRead, ...]
    warnings: tuple[str, ...]
    seconds: float
    messages_per_second: int
    peak_memory_bytes: int

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Report:
        return cls(
            messages=MessageCounts(**value["messages"]),
            conversations=ConversationCounts(**value["conversations"]),
            files=tuple(FileRead(**file) for file in value["files"]),
            warnings=tuple(value["warnings"]),
            seconds=value["seconds"],
            messages_per_second=value["messages_per_second"],
            peak_memory_bytes=value["peak_memory_bytes"],
        )


@dataclass(frozen=True)
class Conversations:
    """Step one's result: threaded, merged, repaired, not yet fitted to a template.

    ``turns`` (one row a turn), ``ledger`` (one row a message) and ``pretrain`` (training split as JSON Lines) are file
    names in ``folder``; a conversation is held out where its ``share`` is below ``validation_below``.
    """

    folder: Path
    key: str
    turns: str
    ledger: str
    pretrain: str
    validation_below: float
    public_sample: bool
    report: Report

    def to_json(self) -> dict[str, Any]:
        """Everything but the folder, which may be moved."""
        return {name: value for name, value in asdict(self).items() if name != "folder"}

    @classmethod
    def from_json(cls, folder: Path, value: Mapping[str, Any]) -> Conversations:
        return cls(**{**value, "folder": folder, "report": Report.from_json(value["report"])})
