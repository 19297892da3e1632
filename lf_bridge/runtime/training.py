"""The training environment: what its Python has installed and what it can train on."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from lf_bridge.errors import Fault, LfbError
from lf_bridge.handover import Environment
from lf_bridge.process import run_inside

INSTALL = "pip install 'lf-bridge[train]'"


@dataclass(frozen=True)
class Probe:
    """What a Python says of itself when training is imported in it.

    ``error`` is the exception's type and text where that fails, else None; memory is in bytes, the first device's or,
    without one, the machine's; both are 0 where the import fails.
    """

    environment: Environment
    error: str | None
    memory_free: int
    memory_total: int
    torchrun: bool


def probe(python: Path, log: Path) -> Probe:
    """Import what training imports, in a child (about ten seconds). Raises ``LfbError`` where it cannot be started."""
    answer = run_inside(python, "environment", {"mode": "full"}, log=log)
    memory = answer.get("memory") or {"free": 0, "total": 0}
    return Probe(
        environment=Environment(
            python=python,
            versions=tuple(sorted(answer["versions"].items())),
            device=answer.get("device", "cpu"),
            device_count=answer.get("device_count", 0),
            precision=answer.get("precision", "fp32"),
        ),
        error=answer["error"],
        memory_free=memory["free"],
        memory_total=memory["total"],
        torchrun=answer["torchrun"],
    )


def read_environment(python: Path, log: Path) -> Environment:
    """The training environment, proven to import; raises ``LfbError`` where it does not."""
    found = probe(python, log)
    if found.error:
        raise _unusable(python, found.error)
    return found.environment


def read_versions(python: Path, log: Path) -> tuple[tuple[str, str], ...]:
    """(package, version) of what training uses, without importing it; raises ``LfbError`` without LLaMA-Factory."""
    versions = run_inside(python, "environment", {"mode": "versions"}, log=log)["versions"]
    if "llamafactory" not in versions:
        raise _unusable(python, "LLaMA-Factory is not installed")
    return tuple(sorted(versions.items()))


def _unusable(python: Path, problem: str) -> LfbError:
    return LfbError(
        "the training environment does not work", faults=[Fault(str(python), problem)], hint=f"`{python} -m {INSTALL}`"
    )
