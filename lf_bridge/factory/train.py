"""The training step: from a dataset and a recipe to an adapter (or a base model) that learned something."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lf_bridge import points
from lf_bridge.errors import LfbError
from lf_bridge.factory.arguments import chosen_precision, training_arguments
from lf_bridge.factory.runs import TRAIN, read_run
from lf_bridge.factory.watch import Watch, check_finite, check_loaded
from lf_bridge.factory.weights import check_weights
from lf_bridge.handover import BaseModel, Dataset, Environment, Run
from lf_bridge.process import find_beside, run, run_inside
from lf_bridge.recipe.describe import commented_yaml
from lf_bridge.recipe.load import LoadedRecipe
from lf_bridge.recipe.yaml_file import write_yaml
from lf_bridge.talk import Talk
from lf_bridge.workspace import Step, Workspace, build, commit, digest_of, file_digest, write_atomic

FORMAT = 1
PRETRAIN = "support_pretrain"
HELD_OUT = "validation.json"
KEPT_OUT_OF_THE_ENVIRONMENT = {"USE_V1": "", "HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1"}


@dataclass(frozen=True)
class Material:
    """What a training reads: a fitted dataset for a model that learns to answer, plain texts for a base model.

    ``texts`` is a JSON Lines file of the training split's conversations and ``documents`` their number.
    """

    dataset: Dataset
    texts: Path | None = None
    documents: int = 0


def train(
    loaded: LoadedRecipe,
    material: Material,
    base: BaseModel | None,
    environment: Environment,
    workspace: Workspace,
    talk: Talk,
    *,
    again: bool = False,
) -> Run:
    """Train as the recipe says; a finished run of the same key is reused, an unfinished one resumes.

    ``base`` is None for a model from scratch; ``again`` makes a new folder. Raises ``LfbError`` for a run that
    LLaMA-Factory calls finished but that is not: rows lost, numbers not finite, weights that learned nothing.
    """
    recipe = loaded.recipe
    step = _step(loaded, material, base, environment, workspace, again=again)
    folder = step.folder.parent
    if step.result() is not None:
        talk.say(f"train: {folder.name} is finished already (`--again` makes a new one)")
        return _finished(folder)
    command = find_beside(environment.python, "llamafactory-cli")
    if command is None:
        raise LfbError(
            f"there is no `llamafactory-cli` beside {environment.python}",
            hint="`pip install 'lf-bridge[train]'`, or name the environment that has it with `--train-python`",
        )
    with build(step, resume=True) as working:
        output, log = working / "model", working / "train.log"
        resumed = any(output.glob("checkpoint-*")) and (working / "ready").exists()
        if not resumed:
            shutil.rmtree(working)
            working.mkdir(mode=0o700)
            _write_inputs(working, loaded, material, base, environment)
        points.reach("train: before start")
        talk.say(f"train: {folder.name}" + (" (resumed from its last checkpoint)" if resumed else ""))
        with talk.meter("train", "steps") as meter:
            watch = Watch(output, log, meter)
            reached = False

            def look() -> None:
                nonlocal reached
                watch()
                if not reached and output.exists():
                    reached = True
                    points.reach("train: while training")

            seconds = run(
                [str(command), "train", str(working / "train.yaml")],
                log=log,
                environment=_environment(environment, working),
                watch=look,
                hint=_hint(loaded),
            )
        points.reach("train: after training")
        check_finite(output)
        _check_loaded(log, recipe.method.stage, material)
        tensors = check_weights(output, adapter=recipe.method.finetuning == "lora")
        _clear(working)
        points.reach("train: before commit")
        commit(step, _result(loaded, material, base, workspace, seconds, tensors, output))
    points.reach("train: after commit")
    return _finished(folder)


def _step(
    loaded: LoadedRecipe,
    material: Material,
    base: BaseModel | None,
    environment: Environment,
    workspace: Workspace,
    *,
    again: bool,
) -> Step:
    recipe = loaded.recipe
    inputs = {
        "format": FORMAT,
        "data": {"system": recipe.data.system, "cutoff_length": recipe.data.cutoff_length},
        "model": recipe.model.model_dump(exclude={"base"}),
        "method": recipe.method.model_dump(),
        "train": recipe.train.model_dump(),
        "compute": recipe.compute.model_dump(exclude={"workers"}),
        "precision": chosen_precision(recipe, environment),
        "device": [environment.device, environment.device_count],
        "base": base.identity if base else None,
        "dataset": file_digest(material.texts) if material.texts else material.dataset.digest,
        "versions": dict(environment.versions),
    }
    key = digest_of(inputs)
    name, number = f"{loaded.name}-{key[:8]}", 1
    if not again:
        # Another recipe may have asked for the very same training: its run is as good under its own name.
        for folder in sorted(workspace.runs.glob(f"[!.]*-{key[:8]}")):
            if Step(folder / TRAIN, inputs).result() is not None:
                return Step(folder / TRAIN, inputs)
    while again and (workspace.runs / _numbered(name, number) / TRAIN).exists():
        number += 1
    return Step(workspace.runs / _numbered(name, number) / TRAIN, inputs)


def _numbered(name: str, number: int) -> str:
    return name if number == 1 else f"{name}-{number}"


def _write_inputs(
    working: Path, loaded: LoadedRecipe, material: Material, base: BaseModel | None, environment: Environment
) -> None:
    recipe = loaded.recipe
    dataset_folder, dataset, validation = material.dataset.folder, material.dataset.train, None
    location = working / "blank" if base is None else Path(base.location)
    if material.texts is None:
        validation = material.dataset.validation
        # The run keeps what it was validated on: the dataset folder may be prepared anew, with another split.
        information = json.loads((dataset_folder / "dataset_info.json").read_text(encoding="ascii"))
        held_out = dataset_folder / information[validation]["file_name"]
        write_atomic(working / HELD_OUT, held_out.read_bytes(), mode=0o600)
    else:
        assert recipe.model.scratch is not None
        dataset_folder, dataset = working, PRETRAIN
        run_inside(
            environment.python,
            "scratch",
            {
                "texts": str(material.texts),
                "output": str(location),
                "pretrain": str(working / "pretrain.jsonl"),
                "shape": recipe.model.scratch.model_dump(),
            },
            log=working / "train.log",
        )
        columns = {"prompt": "text", "query": None, "response": None, "history": None, "system": None, "tools": None}
        information = {PRETRAIN: {"file_name": "pretrain.jsonl", "formatting": "alpaca", "columns": columns}}
        write_atomic(working / "dataset_info.json", json.dumps(information, indent=2).encode("ascii"))
    arguments = training_arguments(
        recipe,
        base=location,
        output=working / "model",
        dataset_folder=dataset_folder,
        dataset=dataset,
        validation=validation,
        environment=environment,
    )
    write_yaml(working / "train.yaml", arguments)
    write_atomic(working / "recipe.yaml", commented_yaml(recipe).encode(), mode=0o600)
    write_atomic(working / "ready", b"")


def _environment(environment: Environment, working: Path) -> dict[str, str]:
    cache = working / "cache"
    cache.mkdir(mode=0o700, exist_ok=True)
    return {
        **KEPT_OUT_OF_THE_ENVIRONMENT,
        "PATH": f"{environment.python.parent}{os.pathsep}{os.environ.get('PATH', '')}",
        "HF_DATASETS_CACHE": str(cache),
        "NPROC_PER_NODE": str(max(1, environment.device_count)),
        "PYTHONUNBUFFERED": "1",
    }


def _check_loaded(log: Path, stage: str, material: Material) -> None:
    if stage == "pt":
        check_loaded(log, packed=True, train=material.documents, validation=None)
    else:
        dataset = material.dataset
        check_loaded(log, packed=False, train=dataset.train_examples, validation=dataset.validation_examples)


def _clear(working: Path) -> None:
    """What a finished run needs no more: the cache and the texts hold conversations, checkpoints are large."""
    for folder in (working / "cache", working / "blank", *(working / "model").glob("checkpoint-*")):
        shutil.rmtree(folder, ignore_errors=True)
    for file in (working / "pretrain.jsonl", working / "dataset_info.json", working / "ready"):
        file.unlink(missing_ok=True)


def _result(
    loaded: LoadedRecipe,
    material: Material,
    base: BaseModel | None,
    workspace: Workspace,
    seconds: float,
    tensors: int,
    output: Path,
) -> Mapping[str, Any]:
    recipe, dataset = loaded.recipe, material.dataset
    history = json.loads((output / "trainer_state.json").read_text(encoding="utf-8"))["log_history"]
    losses = {name: entry[name] for entry in history for name in ("loss", "eval_loss") if name in entry}
    return {
        "recipe": workspace.relative(loaded.path),
        "stage": recipe.method.stage,
        "base": workspace.relative(Path(base.location)) if base else "",
        "base_identity": base.identity if base else "",
        "adapter": recipe.method.finetuning == "lora",
        "template": recipe.model.template,
        "system": recipe.data.system,
        "dataset": workspace.relative(dataset.folder),
        "dataset_digest": dataset.digest,
        "public_sample": dataset.public_sample,
        "seconds": round(seconds, 1),
        "tensors": tensors,
        "loss": losses.get("loss"),
        "validation_loss": losses.get("eval_loss"),
    }


def _finished(folder: Path) -> Run:
    found = read_run(folder)
    assert found is not None
    return found


def _hint(loaded: LoadedRecipe) -> Any:
    train = loaded.recipe.train

    def hint(exception: str) -> str | None:
        if re.search("OutOfMemory|out of memory", exception):
            if train.batch_size == 1:
                return (
                    "set `compute.base_quantization: 4` or lower `data.cutoff_length`, then run the same command again"
                )
            size, accumulation = train.batch_size // 2, train.gradient_accumulation * 2
            return (
                f"set `train.batch_size: {size}` and `train.gradient_accumulation: {accumulation}` "
                "(same effective batch), then run the same command again"
            )
        if re.search("ModuleNotFound|ImportError", exception):
            return "`lfb doctor` says what does not import and how to mend it"
        return None

    return hint
