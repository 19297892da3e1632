"""What a training reads, and the key that follows from it."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import dataclass
from itertools import islice
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
PEOPLE = "people.arrows"  # whom a model has seen, under hashes: asked by `lfb forget`
READY = "ready"
PRETRAIN = "support_pretrain"
PROOF = "proof.json"  # what an adapter and its merge are compared on where nothing is held out
_COMPARED, _HALF = 8, 1000  # pieces, and most characters of each half of one


@dataclass(frozen=True)
class Material:
    """What a training reads: a fitted dataset for a model that learns to answer, plain texts for a base model.

    ``texts`` is a JSON Lines file of the training split's conversations, ``documents`` one of {"text"}, ``rows`` how
    many lines both have. Without ``dataset`` only documents are read, and ``folder`` is where they lie.
    """

    folder: Path
    dataset: Dataset | None = None
    texts: Path | None = None
    documents: Path | None = None
    rows: int = 0

    @property
    def digest(self) -> str:
        """What of the data enters the run's key."""
        files = [file_digest(path) for path in (self.texts, self.documents) if path]
        if len(files) > 1:
            return digest_of({"texts": files[0], "documents": files[1]})
        return files[0] if files else self.answers.digest

    @property
    def answers(self) -> Dataset:
        """The dataset, where there is one for sure."""
        assert self.dataset is not None
        return self.dataset


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
        "dataset": material.digest,
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
    dataset: str
    validation: str | None
    if material.rows:
        dataset, validation = PRETRAIN, None
        _write_texts(working, loaded, material, location, environment)
        columns = {"prompt": "text", "query": None, "response": None, "history": None, "system": None, "tools": None}
        information = {PRETRAIN: {"file_name": "pretrain.jsonl", "formatting": "alpaca", "columns": columns}}
    else:
        dataset, validation = material.answers.train, material.answers.validation
        information = json.loads((material.folder / "dataset_info.json").read_text(encoding="ascii"))
        information = {name: information[name] for name in (dataset, validation)}
        for name, target in ((dataset, "train.json"), (validation, HELD_OUT)):
            _link(material.folder / str(information[name]["file_name"]), working / target)
            information[name]["file_name"] = target
    if material.dataset:
        _link(material.dataset.people, working / PEOPLE)
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


def _write_texts(
    working: Path, loaded: LoadedRecipe, material: Material, location: Path, environment: Environment
) -> None:
    """Write ``pretrain.jsonl``; for a model from scratch also the folder of the blank model."""
    recipe, pretrain = loaded.recipe, working / "pretrain.jsonl"
    if recipe.model.scratch is None:
        assert material.documents is not None
        _link(material.documents, pretrain)
        if recipe.method.finetuning == "lora":
            _write_proof(material.documents, recipe.data.system, working / PROOF)
        return
    request = {
        "texts": str(material.texts),
        "documents": str(material.documents) if material.documents else None,
        "output": str(location),
        "pretrain": str(pretrain),
        "shape": recipe.model.scratch.model_dump(),
    }
    run_inside(environment.python, "scratch", request, log=working / "train.log")
    if material.documents:
        with open(pretrain, "ab") as output, open(material.documents, "rb") as pieces:
            shutil.copyfileobj(pieces, output)


def _write_proof(documents: Path, system: str, path: Path) -> None:
    """Write the beginnings of the first pieces, each in two halves, as the ShareGPT file that a merge is proven on."""
    examples = []
    with open(documents, encoding="ascii") as file:
        for line in islice(file, _COMPARED):
            text = json.loads(line)["text"]
            half = min(len(text) // 2, _HALF)
            turns = [{"from": "human", "value": text[:half]}, {"from": "gpt", "value": text[half : 2 * half]}]
            examples += [{"conversations": turns, "system": system}] if half else []
    write_atomic(path, json.dumps(examples).encode("ascii"), mode=0o600)


def _link(source: Path, target: Path) -> None:
    """Digest-named files of a dataset never change, so a link is as good as a copy where the disk allows it."""
    try:
        os.link(source, target)
    except OSError:
        write_atomic(target, source.read_bytes(), mode=0o600)
