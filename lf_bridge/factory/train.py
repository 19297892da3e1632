"""The training step: from a dataset and a recipe to an adapter (or a base model) that learned something."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from lf_bridge import points
from lf_bridge.errors import LfbError
from lf_bridge.factory.arguments import find_command, runs_on_cpu
from lf_bridge.factory.inputs import READY, Material, training_step, write_inputs
from lf_bridge.factory.runs import read_run
from lf_bridge.factory.watch import Stopwatch, Watch, check_finite, check_loaded
from lf_bridge.factory.weights import check_weights
from lf_bridge.handover import BaseModel, Environment, Run
from lf_bridge.process import end_group, run
from lf_bridge.recipe.load import LoadedRecipe
from lf_bridge.recipe.model import Recipe
from lf_bridge.talk import Talk
from lf_bridge.workspace import Workspace, build, commit, write_atomic

# Settings of the user's shell that would turn a good run into another one, or hide what is read from its log.
SETTINGS = {
    "USE_V1": "",
    "LLAMABOARD_ENABLED": "",
    "ALLOW_EXTRA_ARGS": "",
    "LLAMAFACTORY_VERBOSITY": "INFO",
    "HF_DATASETS_DISABLE_PROGRESS_BARS": "0",
    "HF_HUB_OFFLINE": "1",
    "TRANSFORMERS_OFFLINE": "1",
    "PYTHONUNBUFFERED": "1",
}
TRAINED = "trained"


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
    step = training_step(loaded, material, base, environment, workspace, again=again)
    folder = step.folder.parent
    if step.result() is not None:
        talk.say(f"train: {folder.name} is finished already (`--again` makes a new one)")
        return _finished(folder)
    command = find_command(environment)
    with build(step, resume=True) as working:
        end_group(working / "group", str(working))
        if not (working / TRAINED).exists():
            _train(working, command, loaded, material, base, environment, talk)
        points.reach("train: after training")
        tensors = _check(working, loaded, material)
        _clear(working)
        points.reach("train: before commit")
        commit(step, _result(loaded, material, base, workspace, working, tensors))
    points.reach("train: after commit")
    return _finished(folder)


def _train(
    working: Path,
    command: Path,
    loaded: LoadedRecipe,
    material: Material,
    base: BaseModel | None,
    environment: Environment,
    talk: Talk,
) -> None:
    """Run LLaMA-Factory to its end, from the last whole checkpoint where there is one."""
    output, log, name = working / "model", working / "train.log", working.parent.name
    for checkpoint in output.glob("checkpoint-*"):
        if not _is_whole(checkpoint):
            shutil.rmtree(checkpoint)
    resumed = (working / READY).exists() and any(output.glob("checkpoint-*"))
    if not resumed:
        shutil.rmtree(working)
        working.mkdir(mode=0o700)
        write_inputs(working, loaded, material, base, environment)
    points.reach("train: before start")
    talk.say(f"train: {name}" + (" (resumed from its last checkpoint)" if resumed else ""))
    with talk.meter("train", "steps") as meter:
        watch = Watch(output, log, meter)
        stopwatch = Stopwatch(working / "seconds")
        begun = loaded_checked = False
        begun_at = log.stat().st_size if log.exists() else 0

        def look() -> None:
            nonlocal begun, loaded_checked
            watch()
            stopwatch()
            if not begun and output.exists():
                begun = True
                points.reach("train: while training")
            if not loaded_checked:
                loaded_checked = _check_loaded(log, material, begun_at=begun_at)

        run(
            [str(command), "train", str(working / "train.yaml")],
            log=log,
            environment=_environment(loaded.recipe, environment, working),
            watch=look,
            hint=_hint(loaded.recipe),
            group=working / "group",
        )
    write_atomic(working / TRAINED, b"")


def _check(working: Path, loaded: LoadedRecipe, material: Material) -> int:
    """Number of tensors of a result that is what was asked for; one that is not is never gone on from."""
    try:
        check_finite(working / "model")
        _check_loaded(working / "train.log", material)
        return check_weights(working / "model", adapter=loaded.recipe.method.finetuning == "lora")
    except LfbError:
        for marker in (TRAINED, READY):
            (working / marker).unlink(missing_ok=True)
        raise


def _is_whole(checkpoint: Path) -> bool:
    """Whether a checkpoint was written to its end: its state is written last, and a crash may cut it."""
    try:
        json.loads((checkpoint / "trainer_state.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return True


def _environment(recipe: Recipe, environment: Environment, working: Path) -> dict[str, str]:
    cache = working / "cache"
    cache.mkdir(mode=0o700, exist_ok=True)
    on_cpu = runs_on_cpu(recipe, environment)
    return {
        **SETTINGS,
        # LLaMA-Factory starts torchrun for as many devices as it sees, whatever `use_cpu` says.
        **({"CUDA_VISIBLE_DEVICES": ""} if on_cpu else {}),
        "NPROC_PER_NODE": "1" if on_cpu else str(max(1, environment.device_count)),
        "PATH": f"{environment.python.parent}{os.pathsep}{os.environ.get('PATH', '')}",
        "HF_DATASETS_CACHE": str(cache),
    }


def _check_loaded(log: Path, material: Material, *, begun_at: int | None = None) -> bool:
    if material.rows:
        return check_loaded(log, packed=True, train=material.rows, validation=None, begun_at=begun_at)
    dataset = material.answers
    return check_loaded(
        log, packed=False, train=dataset.train_examples, validation=dataset.validation_examples, begun_at=begun_at
    )


def _clear(working: Path) -> None:
    """What a finished run needs no more: the cache and the texts hold conversations, checkpoints are large."""
    for folder in (working / "cache", working / "blank", *(working / "model").glob("checkpoint-*")):
        shutil.rmtree(folder, ignore_errors=True)
    for name in ("pretrain.jsonl", "train.json", "dataset_info.json", READY, "group"):
        (working / name).unlink(missing_ok=True)


def _result(
    loaded: LoadedRecipe,
    material: Material,
    base: BaseModel | None,
    workspace: Workspace,
    working: Path,
    tensors: int,
) -> Mapping[str, Any]:
    recipe, dataset = loaded.recipe, material.dataset
    history = json.loads((working / "model" / "trainer_state.json").read_text(encoding="utf-8"))["log_history"]
    losses = {name: entry[name] for entry in history for name in ("loss", "eval_loss") if name in entry}
    return {
        "recipe": workspace.relative(loaded.path),
        "stage": recipe.method.stage,
        "base": workspace.relative(Path(base.location)) if base else "",
        "base_identity": base.identity if base else "",
        "adapter": recipe.method.finetuning == "lora",
        "template": recipe.model.template,
        "system": recipe.data.system,
        "dataset": workspace.relative(material.folder),
        "dataset_digest": dataset.digest if dataset else material.digest,
        "public_sample": bool(dataset and dataset.public_sample and not material.documents),
        "seconds": Stopwatch(working / "seconds").before,
        "tensors": tensors,
        "loss": losses.get("loss"),
        "validation_loss": losses.get("eval_loss"),
    }


def _finished(folder: Path) -> Run:
    found = read_run(folder)
    assert found is not None
    return found


def _hint(recipe: Recipe) -> Callable[[str], str | None]:
    train = recipe.train

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
        if recipe.method.stage == "pt" and exception == "RuntimeError":
            return (
                "read the log (it is private); if it says `Cannot find sufficient samples`, the texts do not fill a "
                "block of `data.cutoff_length` tokens: lower it, or give more of them"
            )
        if re.search("ModuleNotFound|ImportError", exception):
            return "`lfb doctor` says what does not import and how to mend it"
        return None

    return hint
