"""What would stop the chain, found before any work: each check says what it saw and the command that mends it."""

from __future__ import annotations

import re
import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from lf_bridge.errors import LfbError
from lf_bridge.process import find_beside, output_of
from lf_bridge.talk import Silence, format_bytes
from lf_bridge.workspace import Workspace, folder_bytes

if TYPE_CHECKING:
    from lf_bridge.recipe.model import Recipe
    from lf_bridge.runtime.training import Probe

GIGABYTE = 10**9
PRIVATE = ("data/raw", "data/dataset", "runs", "releases", ".lfb")
# Memory in bytes for each parameter of the base, from the table in LLaMA-Factory's README (7B: LoRA 16 GB, QLoRA 10 and
# 6 GB, full 120 GB); on the CPU weights are four bytes wide instead of two.
LORA, LORA_CPU, QLORA, FULL = 2.3, 4.6, {8: 1.5, 4: 0.9}, 17.0
# Disk in bytes for each parameter: merged and F16 of two each, the quantized file and the server's copy of it, some
# air; training all weights keeps checkpoints with their optimizer beside them.
DISK, DISK_FULL, DOWNLOAD = 6.0, 24.0, 2.0
_TRUE = ("1", "true", "y")
_OFFLINE = ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE")


@dataclass(frozen=True)
class Check:
    """One thing looked at: ``found`` says what is there, ``mend`` is the command or setting that helps (ok: empty)."""

    name: str
    state: Literal["ok", "warning", "failure"]
    found: str
    mend: str = ""


@dataclass(frozen=True)
class _Base:
    """What is known of the recipe's base: ``parameters`` is a rough count, 0 where the model is tiny or unknown."""

    name: str
    parameters: float
    cached: Path | None
    hub: bool


def is_able(checks: Sequence[Check]) -> bool:
    """Whether the chain can run: no check failed."""
    return all(check.state != "failure" for check in checks)


def to_json(checks: Sequence[Check]) -> dict[str, Any]:
    """The report for ``--json``: {able, checks: [{name, state, found, mend}]}."""
    return {"able": is_able(checks), "checks": [asdict(check) for check in checks]}


def examine(
    workspace: Workspace,
    python: Path,
    host: str | None,
    environment_variables: Mapping[str, str],
    recipe: Recipe | None,
) -> tuple[Check, ...]:
    """Look at everything the chain stands on; takes about ten seconds, most of them importing what training imports.

    ``python`` is the training environment's, ``host`` an Ollama address (None: ``OLLAMA_HOST``, else the default).
    Without a ``recipe`` what depends on it is left out. Never raises for what it finds.
    """
    base = _know_base(workspace, recipe) if recipe else None
    return (
        *_training(workspace, python, environment_variables, recipe, base),
        *_disk(workspace, recipe, base),
        *_hub(environment_variables, recipe, base),
        *_embedded(),
        *_ollama(host or environment_variables.get("OLLAMA_HOST") or None, environment_variables, recipe),
        *_private(workspace),
    )


def _training(
    workspace: Workspace, python: Path, variables: Mapping[str, str], recipe: Recipe | None, base: _Base | None
) -> Iterator[Check]:
    from lf_bridge.runtime.training import INSTALL, probe

    install = f"{python} -m {INSTALL}"
    if variables.get("USE_V1", "").lower() in _TRUE:
        yield Check("USE_V1", "failure", "set: LLaMA-Factory would read another configuration schema", "unset USE_V1")
    try:
        found = probe(python, workspace.log("doctor"))
    except LfbError as error:
        yield Check("training set", "failure", error.message, install)
        return
    versions = dict(found.environment.versions)
    if found.error:
        yield Check("training set", "failure", f"does not import: {found.error[:300]}", install)
    else:
        named = ", ".join(f"{name} {versions.get(name, '?')}" for name in ("llamafactory", "torch", "transformers"))
        yield Check("training set", "ok", named)
    yield from _attention(python, versions, recipe)
    if not (found.torchrun or find_beside(python, "torchrun") or shutil.which("torchrun", path=variables.get("PATH"))):
        state: Literal["warning", "failure"] = "failure" if found.environment.device_count > 1 else "warning"
        yield Check(
            "torchrun",
            state,
            f"neither beside {python} nor on PATH; training on several devices starts it",
            f"{python} -m pip install --force-reinstall --no-deps torch=={versions.get('torch', '2.11.0')}",
        )
    if recipe and recipe.compute.base_quantization and "bitsandbytes" not in versions:
        yield Check(
            "bitsandbytes",
            "failure",
            f"absent; `compute.base_quantization: {recipe.compute.base_quantization}` needs it",
            f"{python} -m pip install bitsandbytes",
        )
    if recipe and base and not found.error:
        yield _memory(found, recipe, base)


def _attention(python: Path, versions: Mapping[str, str], recipe: Recipe | None) -> Iterator[Check]:
    asked = recipe is not None and recipe.compute.attention == "fa2"
    transformers = versions.get("transformers", "")
    mend = f"{python} -m pip install transformers==5.5.4"
    if transformers == "4.57.0":  # excluded by LLaMA-Factory's main branch, not yet by 0.9.5
        yield Check("transformers", "failure", "4.57.0 is known to be broken with LLaMA-Factory", mend)
    if transformers == "5.6.0" and "flash_attn" in versions:  # hiyouga/LlamaFactory#10610
        state: Literal["warning", "failure"] = "failure" if asked else "warning"
        yield Check("transformers", state, "5.6.0 is known to be broken with FlashAttention 2", mend)
    if asked and "flash_attn" not in versions:
        yield Check(
            "FlashAttention",
            "failure",
            "absent; LLaMA-Factory would only warn and train without `compute.attention: fa2`",
            f"{python} -m pip install flash-attn --no-build-isolation",
        )


def _memory(found: Probe, recipe: Recipe, base: _Base) -> Check:
    processor = found.environment.device == "cpu" or recipe.compute.device == "cpu"
    if recipe.method.finetuning == "full":
        each = FULL
    elif recipe.compute.base_quantization:
        each = QLORA[recipe.compute.base_quantization]
    else:
        each = LORA_CPU if processor else LORA
    need = round(base.parameters * each) + GIGABYTE
    where = f"{found.environment.device}, {found.environment.precision}"
    has = f"{where}: {format_bytes(found.memory_free)} free of {format_bytes(found.memory_total)}"
    if need <= found.memory_free:
        return Check("memory", "ok", f"{has}; {base.name} needs about {format_bytes(need)}")
    if need <= found.memory_total:
        return Check(
            "memory",
            "warning",
            f"{has}; {base.name} needs about {format_bytes(need)}",
            "end the other programs that use it" if processor else "nvidia-smi  # shows who uses it",
        )
    smaller = "--set model.base=Qwen/Qwen2.5-0.5B-Instruct"
    quantized = not processor and recipe.method.finetuning == "lora" and not recipe.compute.base_quantization
    mend = f"--set compute.base_quantization=4, or {smaller}" if quantized else smaller
    return Check("memory", "failure", f"{has}; {base.name} needs about {format_bytes(need)}", mend)


def _disk(workspace: Workspace, recipe: Recipe | None, base: _Base | None) -> Iterator[Check]:
    free = shutil.disk_usage(workspace.root).free
    need = GIGABYTE
    if recipe and base:
        each = DISK + DISK_FULL * (recipe.method.finetuning == "full") + DOWNLOAD * (base.hub and not base.cached)
        need += round(base.parameters * each)
    found = f"{format_bytes(free)} free; the chain needs about {format_bytes(need)}"
    if free < need:
        yield Check("disk", "failure", found, f"du -sh {workspace.runs}/*  # and remove the runs you can spare")
    else:
        yield Check("disk", "ok", found)


def _hub(variables: Mapping[str, str], recipe: Recipe | None, base: _Base | None) -> Iterator[Check]:
    if recipe is None or base is None or not base.hub:
        return
    offline = [name for name in _OFFLINE if variables.get(name, "").lower() in (*_TRUE, "yes", "on")]
    if recipe.model.hub == "modelscope":
        yield Check("base model", "ok", f"{base.name} comes from ModelScope")
    elif base.cached:
        yield Check("base model", "ok", f"{base.name} is in the Hub cache")
    elif offline:
        forbidden = f"{base.name} is not in the Hub cache, and {offline[0]} forbids the Hub"
        yield Check("base model", "failure", forbidden, f"env -u {' -u '.join(offline)} hf download {base.name}")
    else:
        size = f", about {format_bytes(round(base.parameters * DOWNLOAD))}" if base.parameters else ""
        yield Check("base model", "ok", f"{base.name} will be downloaded{size}")


def _embedded() -> Iterator[Check]:
    if output_of([sys.executable, "-c", "import cyllama, llama_cpp"]) is None:
        absent = "the converter, quantizer and runtime of llama.cpp do not import"
        yield Check("llama.cpp", "failure", absent, f"{sys.executable} -m pip install 'lf-bridge[local]'")
    else:
        yield Check("llama.cpp", "ok", "converter, quantizer and runtime import")


def _ollama(host: str | None, variables: Mapping[str, str], recipe: Recipe | None) -> Iterator[Check]:
    target = recipe.publish.to if recipe else "ollama"
    if target not in ("ollama", "auto"):
        return
    from lf_bridge.runtime.ollama import OllamaRuntime

    try:
        server = OllamaRuntime(host, Silence()).capabilities()
    except LfbError as error:
        start = f"OLLAMA_HOST={host} ollama serve" if host else "ollama serve"
        if target == "auto":
            yield Check("Ollama", "warning", f"{error.message}; the embedded runtime is taken", start)
        else:
            yield Check("Ollama", "failure", error.message, start)
        return
    yield Check("Ollama", "ok", f"{server.version} at {server.address}")
    if not server.loopback:
        found = f"{server.address} is another machine: the model and what is asked of it go there"
        yield Check("Ollama address", "warning", found, "unset OLLAMA_HOST")
    elif server.rewrites_f16:
        yield from _quantizer(server.version, variables)


def _quantizer(version: str, variables: Mapping[str, str]) -> Iterator[Check]:
    """Whether the server has the program that it checks every uploaded file with.

    Only where the ``ollama`` on PATH is of the server's version: another server's files cannot be seen from here.
    """
    program = shutil.which("ollama", path=variables.get("PATH"))
    numbers = re.findall(r"\d+\.\d+\.\d+", output_of([program, "--version"]) or "") if program else []
    if not program or numbers[-1:] != [version]:
        return
    folder = Path(program).resolve().parent
    places = (folder, folder.parent / "lib" / "ollama", folder / "lib" / "ollama")
    if not any((place / "llama-quantize").is_file() for place in places):
        found = f"absent beside {program}; without it Ollama {version} registers no file"
        yield Check("llama-quantize", "failure", found, "curl -fsSL https://ollama.com/install.sh | sh")


def _private(workspace: Workspace) -> Iterator[Check]:
    listed = output_of(["git", "ls-files", "-z", "--", *PRIVATE], cwd=workspace.root)
    if listed is None:
        return  # no git, or no repository
    tracked = [name for name in listed.split("\0") if name and not Path(name).name.startswith(".git")]
    if not tracked:
        yield Check("private data", "ok", "none is tracked by git")
        return
    folders = " ".join(folder for folder in PRIVATE if any(name.startswith(f"{folder}/") for name in tracked))
    found = f"{len(tracked)} file{'s' * (len(tracked) > 1)} of {folders} tracked by git: conversations would be pushed"
    yield Check("private data", "failure", found, f"git rm -r --cached --quiet {folders}  # its history keeps them")


def _know_base(workspace: Workspace, recipe: Recipe) -> _Base:
    from lf_bridge.runtime.hub import find_cached

    name = recipe.model.base
    if name is None or name.endswith((".yaml", ".yml")):
        return _Base(name or "a model from scratch", 0.0, None, hub=False)
    place = workspace.root / Path(name).expanduser()
    folder = place if place.is_dir() else None
    hub = folder is None
    if hub and recipe.model.hub == "huggingface":
        folder = find_cached(name, recipe.model.revision)
    weights = folder_bytes(folder) if folder else 0  # two bytes a parameter, beside which the rest weighs nothing
    return _Base(name, weights / 2 or _parameters_of(name), folder, hub)


def _parameters_of(name: str) -> float:
    """The count that a model's name states (``Qwen2.5-7B-Instruct``, ``Mixtral-8x7B``), 0.0 where it states none."""
    found = re.search(r"(?<![\w.])(?:(\d+)x)?(\d+(?:\.\d+)?)B(?![a-z])", name, re.IGNORECASE)
    return int(found[1] or 1) * float(found[2]) * 1e9 if found else 0.0
