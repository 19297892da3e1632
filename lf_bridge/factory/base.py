"""The base model as a folder on this machine: given as one, in the Hub cache, or fetched."""

from __future__ import annotations

from pathlib import Path

from lf_bridge.errors import Fault, LfbError
from lf_bridge.handover import BaseModel, Run
from lf_bridge.process import run_inside
from lf_bridge.recipe.model import Model
from lf_bridge.runtime import hub
from lf_bridge.talk import Talk
from lf_bridge.workspace import Workspace, digest_of, file_digest


def base_of_run(run: Run, folder: Path) -> BaseModel:
    """Another recipe's result as a base: ``folder`` is its whole model, merged where it trained an adapter."""
    return BaseModel(str(folder), f"run:{run.key}")


def find_base(model: Model, workspace: Workspace) -> BaseModel | None:
    """The base where it is on this machine already, else None.

    Raises ``LfbError`` for a folder that does not exist or is not a Hugging Face model.
    """
    assert model.base is not None
    folder = (workspace.root / Path(model.base).expanduser()).resolve()
    if folder.is_dir():
        return BaseModel(str(folder), _identity(folder, model.base))
    if model.base.startswith((".", "/", "~")) or model.base.count("/") > 1:
        raise LfbError(
            f"the base model `{model.base}` does not exist",
            faults=[Fault("model.base", f"there is no folder {folder}")],
            hint="give a folder that holds config.json, a Hub id such as `Qwen/Qwen2.5-0.5B-Instruct`, or a recipe",
        )
    cached = hub.find_cached(model.base, model.revision) if model.hub == "huggingface" else None
    return None if cached is None else BaseModel(str(cached), f"hub:{model.base}@{cached.name}")


def fetch_base(model: Model, workspace: Workspace, python: Path, talk: Talk) -> BaseModel:
    """The base, fetched where it is not here; raises ``LfbError`` where it cannot be had."""
    found = find_base(model, workspace)
    if found is not None:
        return found
    assert model.base is not None
    if model.hub == "huggingface":
        folder = hub.fetch(model.base, model.revision, talk)
        return BaseModel(str(folder), f"hub:{model.base}@{folder.name}")
    talk.say(f"fetching {model.base} from ModelScope")
    answer = run_inside(
        python, "fetch_modelscope", {"model": model.base, "revision": model.revision}, log=workspace.log("modelscope")
    )
    return BaseModel(answer["folder"], _identity(Path(answer["folder"]), model.base))


def check_base(base: BaseModel) -> None:
    """Raise ``LfbError`` where the base is not the one trained on any more: merging onto it makes another model."""
    folder = Path(base.location)
    if not folder.is_dir():
        raise LfbError(f"the base model in {folder} is gone", hint="put it back, or train again")
    if base.identity.startswith("folder:") and _identity(folder, base.location) != base.identity:
        raise LfbError(
            f"the base model in {folder} is not the one trained on any more",
            hint="put it back as it was, or train again",
        )


def _identity(folder: Path, given: str) -> str:
    """Names, sizes and times of the weights: hashing 15 GB before every command would cost more than it proves."""
    weights = sorted(folder.glob("*.safetensors"))
    missing = [
        name
        for name, there in (("config.json", (folder / "config.json").is_file()), ("*.safetensors", weights))
        if not there
    ]
    if missing:
        raise LfbError(
            f"the base model `{given}` is not a Hugging Face model",
            faults=[Fault(name, f"is not in {folder}") for name in missing],
            hint="give the folder that holds config.json and the safetensors files",
        )
    contents = {"config.json": file_digest(folder / "config.json")} | {
        path.name: [path.stat().st_size, path.stat().st_mtime_ns] for path in weights
    }
    return f"folder:{digest_of(contents)}"
