"""The one family of errors that reaches a user: what is wrong, where, and the next step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Fault:
    """One thing wrong with an input.

    ``where`` is a field path, a line or a file; ``problem`` is one clause without a full stop.
    """

    where: str
    problem: str


class LfbError(Exception):
    """A failure that the user can act on; never shown as a traceback.

    ``exit_code`` is 1 where the work could not be done or a check failed, 2 where the command was misused.
    Texts hold no personal data: counts, file names, field names and hashes only.
    """

    exit_code = 1

    def __init__(self, message: str, *, faults: Sequence[Fault] = (), hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.faults = tuple(faults)
        self.hint = hint

    def __str__(self) -> str:
        lines = [f"error: {self.message}"]
        width = min(max((len(fault.where) for fault in self.faults), default=0), 40)
        lines += [f"  {fault.where:<{width}}  {fault.problem}" for fault in self.faults]
        if self.hint:
            lines += ["", f"hint: {self.hint}"]
        return "\n".join(lines)


class MisuseError(LfbError):
    """The command line itself cannot be carried out as given."""

    exit_code = 2


class ChildError(LfbError):
    """A program we started stopped with a failure."""

    def __init__(
        self, message: str, *, exit_status: int, faults: Sequence[Fault] = (), hint: str | None = None
    ) -> None:
        super().__init__(message, faults=faults, hint=hint)
        self.exit_status = exit_status
