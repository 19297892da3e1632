"""Finding runs: by name, by recipe, or the latest."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from lf_bridge.errors import LfbError
from lf_bridge.factory.inputs import TRAIN
from lf_bridge.handover import BaseModel, Run
from lf_bridge.workspace import Workspace, read_record


def read_run(folder: Path) -> Run | None:
    """The run in a folder such as ``runs/demo-1a2b3c4d``, or None where its training is not finished."""
    record = read_record(folder / TRAIN)
    return None if record is None else _run(folder, record)


def find_run(workspace: Workspace, wanted: str | None) -> Run:
    """A finished run by folder, name, the beginning of a name, or the latest that is no base model.

    Raises ``LfbError`` naming the runs there are where none or several fit.
    """
    finished = list(_finished(workspace))
    if wanted is None:
        tuned = [each for each in finished if each[1].stage != "pt"]
        if not tuned:
            raise LfbError("there is no finished run yet", hint="`lfb train recipes/cs_rank8.yaml` makes one")
        return max(tuned, key=lambda each: each[0])[1]
    name = Path(wanted).name
    exact = [run for _, run in finished if run.name == name]
    fitting = exact or [run for _, run in finished if run.name.startswith(name)]
    if len(fitting) == 1:
        return fitting[0]
    known = ", ".join(run.name for _, run in finished) or "none"
    problem = "is the beginning of several runs" if fitting else "is not a finished run"
    raise LfbError(f"`{wanted}` {problem}", hint=f"finished runs: {known}")


def all_runs(workspace: Workspace) -> list[Run]:
    """Every finished run."""
    return [run for _, run in _finished(workspace)]


def _finished(workspace: Workspace) -> Iterator[tuple[str, Run]]:
    for folder in sorted(workspace.runs.glob("*/")):
        record = read_record(folder / TRAIN)
        if record is not None:
            yield str(record["finished"]), _run(folder, record)


def _run(folder: Path, record: dict[str, Any]) -> Run:
    result, root = record["result"], folder.parent.parent
    return Run(
        name=folder.name,
        folder=folder,
        key=record["key"],
        recipe=root / result["recipe"],
        stage=result["stage"],
        base=BaseModel(str(root / result["base"]), result["base_identity"]),
        result=folder / TRAIN / "model",
        adapter=result["adapter"],
        template=result["template"],
        system=result["system"],
        dataset=root / result["dataset"],
        public_sample=result["public_sample"],
        seconds=result["seconds"],
    )
