"""An F16 GGUF becomes a smaller one."""

from __future__ import annotations

import time
from pathlib import Path

from lf_bridge import points
from lf_bridge.errors import Fault, LfbError
from lf_bridge.gguf.inspect import read_metadata
from lf_bridge.handover import GgufFile
from lf_bridge.runtime.embedded import available_threads, quantize_file, version
from lf_bridge.talk import Talk, format_bytes
from lf_bridge.workspace import build, commit, file_digest, keyed_step


def quantize(f16: GgufFile, quantization: str, talk: Talk, parent: Path) -> GgufFile:
    """The file as ``parent/q4_k_m-KEY/model.gguf``; F16 is the file itself, one that is there already is reused.

    Raises ``LfbError`` for a type that the embedded quantizer does not make, or a result that is not what was asked.
    """
    if quantization == f16.quantization:
        return f16
    if f16.quantization not in ("F16", "BF16", "F32"):
        raise LfbError(
            f"{f16.path} is {f16.quantization} already", hint="quantize from its F16 file, or publish it as it is"
        )
    inputs = {"source": f16.digest, "quantization": quantization, "quantizer": version()}
    step = keyed_step(parent, quantization.lower(), inputs)
    result = step.result()
    if result is None:
        with build(step) as folder:
            points.reach("gguf: before quantize")
            started = time.monotonic()
            path = folder / "model.gguf"
            with talk.meter(f"quantizing to {quantization}", "bytes") as meter:
                quantize_file(
                    f16.path,
                    path,
                    quantization,
                    available_threads(),
                    watch=lambda: meter.update(path.stat().st_size if path.exists() else 0),
                )
            _check(f16.path, path, quantization)
            result = {
                "digest": file_digest(path),
                "quantization": quantization,
                "bytes": path.stat().st_size,
                "seconds": time.monotonic() - started,
            }
            points.reach("gguf: after quantize")
            commit(step, result)
        talk.say(f"{quantization} GGUF: {format_bytes(result['bytes'])}, F16 was {format_bytes(f16.bytes)}")
    return GgufFile(path=step.folder / "model.gguf", **result)


def _check(source: Path, path: Path, quantization: str) -> None:
    before, after = read_metadata(source), read_metadata(path)
    checks = [
        (after.file_type == quantization, "general.file_type", f"is {after.file_type or 'missing'}"),
        (after.tensors == before.tensors, "tensors", f"are {after.tensors}, were {before.tensors}"),
        (after.parameters == before.parameters, "weights", f"are {after.parameters}, were {before.parameters}"),
        (after.rope_base == before.rope_base, "rope.freq_base", f"is {after.rope_base}, was {before.rope_base}"),
        (after.add_bos == before.add_bos, "tokenizer.ggml.add_bos_token", "was changed"),
    ]
    faults = [Fault(where, problem) for right, where, problem in checks if not right]
    if faults:
        raise LfbError(f"the {quantization} file is not what was asked for", faults=faults, hint="run it again")
