"""A merged model becomes an F16 GGUF, and the file is checked for what servers silently get wrong."""

from __future__ import annotations

import time
from pathlib import Path

from lf_bridge import points
from lf_bridge.errors import Fault, LfbError
from lf_bridge.gguf.inspect import GgufMetadata, read_metadata
from lf_bridge.handover import ChatTemplate, Environment, GgufFile, MergedModel
from lf_bridge.process import run_inside
from lf_bridge.runtime.embedded import EmbeddedModel
from lf_bridge.talk import Talk, format_bytes
from lf_bridge.workspace import build, commit, file_digest, keyed_step

_PRE_TOKENIZER = "tokenizer.ggml.pre"


def convert(
    merged: MergedModel, environment: Environment, template: ChatTemplate, talk: Talk, parent: Path
) -> GgufFile:
    """The model as ``parent/f16-KEY/model.gguf``; one that is there already is reused.

    Raises ``LfbError`` for an architecture or tokenizer that llama.cpp does not know, and for a file that would
    not answer as the model does.
    """
    inputs = {
        "model": merged.key,
        "name": merged.run.name,
        "template_writes_bos": bool(template.prefix),
        "versions": dict(environment.versions),
    }
    step = keyed_step(parent, "f16", inputs)
    result = step.result()
    if result is None:
        with build(step) as folder:
            points.reach("gguf: before convert")
            started = time.monotonic()
            talk.say("converting to F16 GGUF")
            path = folder / "model.gguf"
            answer = run_inside(
                environment.python,
                "convert",
                {
                    "model": str(merged.folder),
                    "output": str(path),
                    "name": merged.run.name,
                    "template_writes_bos": inputs["template_writes_bos"],
                },
                log=folder / "convert.log",
                environment={"HF_HUB_OFFLINE": "1"},
            )
            if answer["pre_tokenizer_from"] == "expression":
                talk.say(f"llama.cpp does not know this vocabulary; its pre-tokenizer is {answer['pre_tokenizer']}'s")
            faults = _faults(read_metadata(path), answer["adds_bos"]) or _token_faults(path, answer["probes"])
            # llama.cpp's own word for a vocabulary is taken, though it may differ in odd corners; ours is not.
            if faults and faults[0].where == _PRE_TOKENIZER and answer["pre_tokenizer_from"] != "expression":
                for fault in faults:
                    talk.warn(fault.problem)
            elif faults:
                raise LfbError(
                    f"the GGUF of {merged.folder} would not answer as the model does",
                    faults=faults,
                    hint=f"read {folder / 'convert.log'}; `lfb doctor` checks the versions in use",
                )
            result = {
                "digest": file_digest(path),
                "quantization": "F16",
                "bytes": path.stat().st_size,
                "seconds": time.monotonic() - started,
            }
            points.reach("gguf: after convert")
            commit(step, result)
        talk.say(f"F16 GGUF: {format_bytes(result['bytes'])}")
    return GgufFile(path=step.folder / "model.gguf", **result)


def _faults(metadata: GgufMetadata, adds_bos: bool) -> list[Fault]:
    architecture = metadata.architecture or "architecture"
    checks = [
        (bool(metadata.architecture), "general.architecture", "is missing"),
        (metadata.rope_base > 0, f"{architecture}.rope.freq_base", "is missing; the model would answer nonsense"),
        (metadata.context_length > 0, f"{architecture}.context_length", "is missing"),
        (metadata.add_bos is adds_bos, "tokenizer.ggml.add_bos_token", f"should be {str(adds_bos).lower()}"),
        (not metadata.has_chat_template, "tokenizer.chat_template", "is there and would override the template"),
        (metadata.tensors > 0, "tensors", "there are none"),
        (metadata.file_type == "F16", "general.file_type", f"is {metadata.file_type or 'missing'}, not F16"),
    ]
    return [Fault(where, problem) for right, where, problem in checks if not right]


def _token_faults(path: Path, probes: list[tuple[str, list[int]]]) -> list[Fault]:
    """The converter names a pre-tokenizer; whether llama.cpp then splits text alike is only seen by trying."""
    with EmbeddedModel(path, context=1) as model:
        return [
            Fault(_PRE_TOKENIZER, f"llama.cpp splits {text!r} into other tokens")
            for text, ids in probes
            if model.tokenize(text) != ids
        ]
