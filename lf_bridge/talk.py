"""How a room speaks while it works: lines and progress on stderr, never data."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol


class Meter(Protocol):
    """A progress display for one piece of work."""

    def update(self, done: float, total: float | None = None, note: str = "") -> None:
        """Show that ``done`` of ``total`` units are finished; ``note`` is a short reading such as a loss."""


class Talk(Protocol):
    """What the front door gives each room to speak with."""

    def say(self, text: str) -> None:
        """Print one line for the user."""

    def warn(self, text: str) -> None:
        """Print one warning line."""

    def meter(self, label: str, unit: str) -> AbstractContextManager[Meter]:
        """Open a progress display; close it by leaving the ``with`` block."""


class Silence:
    """A ``Talk`` that keeps what was said, for tests and for callers that want none shown."""

    def __init__(self) -> None:
        self.said: list[str] = []
        self.warned: list[str] = []

    def say(self, text: str) -> None:
        self.said.append(text)

    def warn(self, text: str) -> None:
        self.warned.append(text)

    @contextmanager
    def meter(self, label: str, unit: str) -> Iterator[Meter]:
        yield _Still()


class _Still:
    def update(self, done: float, total: float | None = None, note: str = "") -> None:
        return


def format_seconds(seconds: float) -> str:
    """Say a duration as people do: ``41 s``, ``3 min 12 s``, ``2 h 5 min``."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def format_bytes(count: int) -> str:
    """Say a size in decimal units, as disks and model files are sold: ``4.7 GB``."""
    size = float(count)
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} TB"


def now() -> str:
    """The time as it is written into records: UTC, to the second."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
