"""What the two steps of prepare hand on: the numbers, and where step one's result lies."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class FileRead:
    """One raw file: its name from the raw folder, its format, how many messages it holds and what became of them."""

    path: str
    format: str
    read: int
    kept: int = 0
    merged: int = 0
    dropped: int = 0


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
class Tokens:
    """``total`` and ``trained`` (those of the answers) of the written examples; ``over_cutoff`` counts conversations
    that are longer than the cutoff."""

    total: int = 0
    trained: int = 0
    over_cutoff: int = 0


@dataclass(frozen=True)
class Stage:
    """A stage of the work; where several processes share it, ``seconds`` are theirs together."""

    name: str
    seconds: float


@dataclass(frozen=True)
class Report:
    """What ``lfb prepare --json`` prints. ``seconds`` and ``peak_memory_bytes`` are those of the work itself,
    also where its result is reused; ``peak_memory_bytes`` is the sum over all processes.

    ``duplicates`` counts conversations by exact, near and template_capped, ``redacted`` values by type, ``quarantined``
    conversations by reason (one with several findings counts under each), ``preferences`` rated answers and pairs,
    ``languages`` a sample of the conversations read, ``turns`` and ``lengths`` (characters of an answer, up to this
    many) what is written.
    """

    messages: MessageCounts
    conversations: ConversationCounts
    files: tuple[FileRead, ...]
    warnings: tuple[str, ...]
    seconds: float
    messages_per_second: int
    peak_memory_bytes: int
    duplicates: Mapping[str, int] = field(default_factory=dict)
    redacted: Mapping[str, int] = field(default_factory=dict)
    quarantined: Mapping[str, int] = field(default_factory=dict)
    preferences: Mapping[str, int] = field(default_factory=dict)
    tokens: Tokens | None = None
    stages: tuple[Stage, ...] = ()
    languages: Mapping[str, int] = field(default_factory=dict)
    turns: Mapping[str, int] = field(default_factory=dict)
    lengths: Mapping[str, int] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Report:
        return cls(
            **{
                **value,
                "messages": MessageCounts(**value["messages"]),
                "conversations": ConversationCounts(**value["conversations"]),
                "files": tuple(FileRead(**file) for file in value["files"]),
                "warnings": tuple(value["warnings"]),
                "tokens": Tokens(**value["tokens"]) if value["tokens"] else None,
                "stages": tuple(Stage(**stage) for stage in value["stages"]),
            }
        )


@dataclass(frozen=True)
class Conversations:
    """Step one's result: threaded, cleaned, redacted, judged and split, not yet fitted to a template.

    File names in ``folder``: ``turns`` (a row a turn of the conversations kept) and ``ledger`` (a row a message), both
    Arrow streams, a part after the other, each beginning at its offset in ``turns_at`` and ``ledger_at``; for a later
    export ``store`` (all messages, redacted) and ``people`` (who is on which side); ``preferences`` (judged answers,
    see ``preferences.collect``); ``quarantine`` (conversations with a finding), or None.
    """

    folder: Path
    key: str
    turns: str
    turns_at: tuple[int, ...]
    ledger: str
    ledger_at: tuple[int, ...]
    store: str
    store_at: tuple[int, ...]
    people: str
    preferences: str
    preferences_at: tuple[int, ...]
    quarantine: str | None
    public_sample: bool
    report: Report

    def files(self) -> tuple[str, ...]:
        """All files of it."""
        names = (self.turns, self.ledger, self.store, self.people, self.preferences)
        return (*names, self.quarantine) if self.quarantine else names

    def to_json(self) -> dict[str, Any]:
        """Everything but the folder, which may be moved."""
        return {name: value for name, value in asdict(self).items() if name != "folder"}

    @classmethod
    def from_json(cls, folder: Path, value: Mapping[str, Any]) -> Conversations:
        lists = {name: tuple(value[name]) for name in ("turns_at", "ledger_at", "store_at", "preferences_at")}
        return cls(**{**value, **lists, "folder": folder, "report": Report.from_json(value["report"])})
