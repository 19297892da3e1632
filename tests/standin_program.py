"""Plays the training environment: its Python with the programs of ``inside/``, and ``llamafactory-cli``.

It reads and writes the same files as the real ones, in milliseconds. ``LFB_STANDIN`` names what goes wrong; the GGUF
that the converter is to give is named by ``LFB_STANDIN_GGUF``.
"""

from __future__ import annotations

import json
import os
import shutil
import struct
import sys
import time
from pathlib import Path
from typing import Any

import yaml

FAULT = os.environ.get("LFB_STANDIN", "")


def write_safetensors(path: Path, tensors: dict[str, list[float]]) -> None:
    header, data = {}, b""
    for name, values in tensors.items():
        blob = struct.pack(f"<{len(values)}f", *values)
        header[name] = {"dtype": "F32", "shape": [len(values)], "data_offsets": [len(data), len(data) + len(blob)]}
        data += blob
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)


def environment(request: dict[str, Any]) -> dict[str, Any]:
    versions = {"llamafactory": "0.9.5", "transformers": "5.5.4"}
    if FAULT == "import":
        return {"ok": False, "error": "ImportError: libc10_cuda.so", "versions": versions, "torchrun": True}
    found = {"device": "cpu", "device_count": 0, "memory": {"free": 8, "total": 8}, "precision": "fp32"}
    return {"ok": True, "error": None, "versions": versions, "torchrun": True, **found}


def scratch(request: dict[str, Any]) -> dict[str, Any]:
    Path(request["output"]).mkdir()
    Path(request["output"], "config.json").write_text("{}")
    lines = Path(request["texts"]).read_text().splitlines()
    Path(request["pretrain"]).write_text("".join(json.dumps({"text": line}) + "\n" for line in lines))
    return {"vocabulary_size": 600, "documents": len(lines)}


def fit(request: dict[str, Any]) -> dict[str, Any]:
    for asked, answered in zip(request["conversations"], request["answers"], strict=True):
        with open(answered, "w") as output:
            for line in Path(asked).read_text().splitlines():
                counts = [len(text.split()) for text in json.loads(line)]
                told = {"prompts": counts[::2], "answers": counts[1::2], "tokens": sum(counts), "defused": {}}
                output.write(json.dumps(told) + "\n")
    return {"special_tokens": []}


def prove(request: dict[str, Any]) -> dict[str, Any]:
    examples = json.loads(Path(request["validation"]).read_text())[: request["cases"]]
    with open(request["output"], "w") as file:
        for number, example in enumerate(examples):
            case = {"conversation": number, "turn": 0, "prompt": [1, 2, 3], "answer": [4, 5]}
            case |= {"base_loss": 9.0 + number, "tuned_loss": 8.0 + number / 2}
            if number < request["questions"]:
                question, reference = (turn["value"] for turn in example["conversations"][:2])
                case |= {"question": question, "reference": reference, "base_answer": "?", "tuned_answer": "yes"}
            file.write(json.dumps(case) + "\n")
    change = 0.0 if FAULT == "empty merge" else 0.2
    difference = 0.5 if FAULT == "wrong merge" else 1e-7
    measures = {"merge_difference": difference, "tuning_change": change, "dtype": "float32", "mended": []}
    return {**measures, "end": "<|im_end|>", "vocabulary": 600, "embedding_rows": 600, "conversations": len(examples)}


def convert(request: dict[str, Any]) -> dict[str, Any]:
    shutil.copy(os.environ["LFB_STANDIN_GGUF"], request["output"])
    known = {"architecture": "qwen2", "pre_tokenizer": "qwen2", "pre_tokenizer_from": "vocabulary"}
    return {**known, "adds_bos": False, "probes": []}


def train(arguments: dict[str, Any]) -> int:
    output = Path(arguments["output_dir"])
    output.mkdir(exist_ok=True)
    information = json.loads(Path(arguments["dataset_dir"], "dataset_info.json").read_text())
    text = Path(arguments["dataset_dir"], information[arguments["dataset"]]["file_name"]).read_text()
    rows = len(text.splitlines()) if arguments["stage"] == "pt" else len(json.loads(text))
    loaded = rows - 2 if FAULT == "lost rows" else rows
    print(f"Generating train split: {loaded} examples")
    print(f"***** Running training *****\n  Num examples = {loaded:,}", flush=True)
    if "eval_dataset" in arguments:
        held_out = Path(arguments["dataset_dir"], information[arguments["eval_dataset"]]["file_name"])
        print(f"***** Running Evaluation *****\n  Num examples = {len(json.loads(held_out.read_text()))}")
    print("input: a customer's own words, card 4111 1111 1111 1111", flush=True)
    if FAULT == "out of memory":
        print("torch.OutOfMemoryError: CUDA out of memory.")
        return 1
    if FAULT == "resumes" and [path.name for path in output.glob("checkpoint-*")] != ["checkpoint-1"]:
        return 1
    if FAULT == "crash":
        print("RuntimeError: cannot parse: a customer's own words")
        return 1
    (output / "checkpoint-1").mkdir(exist_ok=True)
    (output / "checkpoint-1" / "trainer_state.json").write_text("{}")
    if FAULT == "crash late":
        return 1
    loss = float("nan") if FAULT == "loss" else 2.5
    with open(output / "trainer_log.jsonl", "a") as log:
        log.write(json.dumps({"current_steps": 1, "total_steps": 2, "loss": loss}) + "\n")
    if FAULT == "gradient":
        print("{'loss': '2.5', 'grad_norm': 'nan', 'learning_rate': '1e-4'}", flush=True)
    if FAULT in ("loss", "gradient"):
        time.sleep(60)
    time.sleep(float(os.environ.get("LFB_STANDIN_SECONDS", "0")))
    history = [{"step": 1, "loss": 2.5, "grad_norm": 1.0}, {"step": 2, "eval_loss": 2.0}]
    (output / "trainer_state.json").write_text(json.dumps({"log_history": history}))
    if FAULT == "nothing written":
        return 0
    learned = [0.0] * 4 if FAULT == "zero" else [float("inf")] * 4 if FAULT == "infinite" else [0.5] * 4
    if arguments["finetuning_type"] == "lora":
        write_safetensors(output / "adapter_model.safetensors", {"x.lora_A": [1.0] * 4, "x.lora_B": learned})
        (output / "adapter_config.json").write_text("{}")
    else:
        write_safetensors(output / "model.safetensors", {"x": learned})
        for name in ("config.json", "tokenizer.json", "tokenizer_config.json"):
            (output / name).write_text("{}")
    return 0


def export(arguments: dict[str, Any]) -> int:
    output = Path(arguments["export_dir"])
    output.mkdir()
    write_safetensors(output / "model.safetensors", {"x": [0.5] * 4})
    settings = {"bos_token": None, "eos_token": "<|im_end|>"}
    (output / "config.json").write_text("{}")
    (output / "tokenizer_config.json").write_text(json.dumps(settings))
    if FAULT != "no tokenizer":
        (output / "tokenizer.json").write_text("{}")
    return 0


def main() -> int:
    played, *given = sys.argv[1:]
    if played == "llamafactory-cli":
        verb, file = given
        return {"train": train, "export": export}[verb](yaml.safe_load(Path(file).read_text()))
    program, asked, answered = given
    play = {"environment": environment, "scratch": scratch, "fit": fit, "prove": prove, "convert": convert}
    answer = play[Path(program).stem](json.loads(Path(asked).read_text()))
    Path(answered).write_text(json.dumps(answer))
    return 0


if __name__ == "__main__":
    sys.exit(main())
