"""What a training reads, and the key that follows from it."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path

from lf_bridge.errors import LfbError
from lf_bridge.factory.arguments import chosen_precision, runs_on_cpu, training_arguments
from lf_bridge.handover import BaseModel, Dataset, Environment
from lf_bridge.process import run_inside
from lf_bridge.recipe.describe import commented_yaml
from lf_bridge.recipe.load import LoadedRecipe
from lf_bridge.recipe.yaml_file import write_yaml
from lf_bridge.workspace import Step, Workspace, digest_of, file_digest, read_record, write_atomic

FORMAT = 1
TRAIN = "train"
HELD_OUT = "validation.json"
READY = "ready"
PRETRAIN = "support_pretrain"


@dataclass(frozen=True)
class Material:
    """What a training reads: a fitted dataset for a model that learns to answer, plain texts for a base model.

    ``texts`` is a JSON Lines file of the training split's conversations and ``documents`` their number.
    """

    dataset: Dataset
    texts: Path | None = None
    documents: int = 0


def training_step(
    loaded: LoadedRecipe,
    material: Material,
    base: BaseModel | None,
    environment: Environment,
    workspace: Workspace,
    *,
    again: bool,
) -> Step:
    """The step of this training: the newest finished run of its key, whichever recipe asked for it, or a new one."""
    recipe = loaded.recipe
    device = ["cpu", 0] if runs_on_cpu(recipe, environment) else [environment.device, environment.device_count]
    inputs = {
        "format": FORMAT,
        "data": {"system": recipe.data.system, "cutoff_length": recipe.data.cutoff_length},
        "model": recipe.model.model_dump(exclude={"base"}),
        "method": recipe.method.model_dump(),
        "train": recipe.train.model_dump(),
        "compute": recipe.compute.model_dump(exclude={"workers", "device"}),
        "precision": chosen_precision(recipe, environment),
        "device": device,
        "base": base.identity if base else None,
        "dataset": file_digest(material.texts) if material.texts else material.dataset.digest,
        "versions": dict(environment.versions),
    }
    name = f"{loaded.name}-{digest_of(inputs)[:8]}"
    if again:
        number = 2
        while (workspace.runs / f"{name}-{number}" / TRAIN).exists():
            number += 1
        return Step(workspace.runs / f"{name}-{number}" / TRAIN, inputs)
    ending = name.rpartition("-")[2]
    steps = [
        Step(folder / TRAIN, inputs)
        for pattern in (f"[!.]*-{ending}", f"[!.]*-{ending}-[0-9]*")
        for folder in workspace.runs.glob(pattern)
    ]
    finished = [(str((read_record(step.folder) or {})["finished"]), step) for step in steps if step.result()]
    if finished:
        return max(finished, key=lambda each: each[0])[1]
    return Step(workspace.runs / name / TRAIN, inputs)


def write_inputs(
    working: Path, loaded: LoadedRecipe, material: Material, base: BaseModel | None, environment: Environment
) -> None:
    """Put everything that LLaMA-Factory reads into the run's own folder; ``ready`` is written last.

    Another recipe may prepare the dataset folder anew while this one trains, and what was held out must be known later.
    """
    if environment.device_count > 1 and any(character.isspace() for character in str(working)):
        raise LfbError(
            f"LLaMA-Factory cannot start on {environment.device_count} devices from a path with spaces: {working}",
            hint="move the workspace to a path without spaces, or `--set compute.device=cpu`",
        )
    recipe = loaded.recipe
    location = working / "blank" if base is None else Path(base.location)
    if material.texts is None:
        dataset, validation = material.dataset.train, material.dataset.validation
        information = json.loads((material.dataset.folder / "dataset_info.json").read_text(encoding="ascii"))
        information = {name: information[name] for name in (dataset, validation)}
        for name, target in ((dataset, "train.json"), (validation, HELD_OUT)):
            _link(material.dataset.folder / information[name]["file_name"], working / target)
            information[name]["file_name"] = target
    else:
        assert recipe.model.scratch is not None
        dataset, validation = PRETRAIN, None
        request = {
            "texts": str(material.texts),
            "output": str(location),
            "pretrain": str(working / "pretrain.jsonl"),
            "shape": recipe.model.scratch.model_dump(),
        }
        run_inside(environment.python, "scratch", request, log=working / "train.log")
        columns = {"prompt": "text", "query": None, "response": None, "history": None, "system": None, "tools": None}
        information = {PRETRAIN: {"file_name": "pretrain.jsonl", "formatting": "alpaca", "columns": columns}}
    write_atomic(working / "dataset_info.json", json.dumps(information, indent=2).encode("ascii"))
    arguments = training_arguments(
        recipe,
        base=location,
        output=working / "model",
        dataset_folder=working,
        dataset=dataset,
        validation=validation,
        environment=environment,
    )
    write_yaml(working / "train.yaml", arguments)
    write_atomic(working / "recipe.yaml", commented_yaml(recipe).encode(), mode=0o600)
    write_atomic(working / READY, b"")


def _link(source: Path, target: Path) -> None:
    """Digest-named files of a dataset never change, so a link is as good as a copy where the disk allows it."""
    try:
        os.link(source, target)
    except OSError:
        write_atomic(target, source.read_bytes(), mode=0o600)
