"""The named points at which a crash is injected by the tests.

Every step passes its points in this order; a test is parametrized over the list, replaces ``reach`` by one that
kills or interrupts the process, and fails where a listed point is never passed.
"""

from __future__ import annotations

POINTS = (
    "prepare: before conversations",
    "prepare: after conversations",
    "prepare: before fitting",
    "prepare: after fitting",
    "prepare: before commit",
    "prepare: after commit",
    "train: before start",
    "train: while training",
    "train: after training",
    "train: before commit",
    "train: after commit",
    "export: before merge",
    "export: after merge",
    "export: after proof",
    "export: before commit",
    "export: after commit",
    "gguf: before convert",
    "gguf: after convert",
    "gguf: before quantize",
    "gguf: after quantize",
    "evaluate: before scoring",
    "evaluate: after scoring",
    "publish: before upload",
    "publish: after upload",
    "publish: after create",
    "publish: after answer",
    "publish: after latest",
    "publish: after record",
)


def reach(point: str) -> None:
    """Pass a named point. Does nothing; raises ``ValueError`` for a name that is not in ``POINTS``."""
    if point not in POINTS:
        raise ValueError(f"{point!r} is not a named point")
