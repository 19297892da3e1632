"""LLaMA-Factory loads as many examples as were written, of every export that is here and of every preference."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from test_prepare_commands import FIXTURES, NO_LOGS
from written import HEADER, Rows, entry, rows, write_csv

from lf_bridge import process
from lf_bridge.handover import Environment
from lf_bridge.prepare.prepare import fit_dataset, prepare_conversations, training_texts
from lf_bridge.prepare.records import Report
from lf_bridge.recipe.model import Data
from lf_bridge.talk import Silence

Loaded = dict[str, dict[str, list[dict[str, Any]]]]
pytestmark = [
    pytest.mark.chain,
    pytest.mark.skipif(find_spec("llamafactory") is None, reason="LLaMA-Factory is not installed"),
]
DATA = Data(system="Be kind.", cutoff_length=400, validation_fraction=0.25)
HERE = Environment(Path(sys.executable), (("llamafactory", "here"),))
# Each stage reads the entries that its training would name.
STAGES = {"sft": ("train", "validation"), "kto": ("rated", "rated_validation")}
STAGES |= dict.fromkeys(("dpo", "rm"), ("pairs", "pairs_validation"))
LOAD = """
import json, sys
from llamafactory.data import get_dataset, get_template_and_fix_tokenizer
from llamafactory.hparams import get_train_args
from llamafactory.model import load_tokenizer
dataset, tokenizer, output, stages = sys.argv[1:]
found = {}
for stage, (train, validation) in json.loads(stages).items():
    model, data, training, _, _ = get_train_args(dict(
        model_name_or_path=tokenizer, stage=stage, do_train=True, do_eval=True, finetuning_type="lora", template="qwen",
        dataset_dir=dataset, dataset=f"support_{train}", eval_dataset=f"support_{validation}", cutoff_len=400,
        output_dir=f"{output}/{stage}", use_cpu=True, report_to="none"))
    loaded = load_tokenizer(model)
    form = get_template_and_fix_tokenizer(loaded["tokenizer"], data)
    module = get_dataset(form, model, data, training, stage={"dpo": "rm"}.get(stage, stage), **loaded)
    found[stage] = {split: [{name: value for name, value in one.items() if value is not None}
                            for one in module[f"{split}_dataset"]] for split in ("train", "eval")}
print(json.dumps(found))
"""


def export(folder: Path) -> None:
    """Every export that is here, rated conversations, edited drafts, and two answers to one question."""
    shutil.copytree(FIXTURES, folder, ignore=lambda folder, names: {*NO_LOGS, "public"} & set(names))
    write_csv(folder / "plain.csv", rows(range(10), 4))
    rated = [(*row, "1" if int(row[0][1:]) % 3 else "5") for row in rows(range(10, 40), 4)]
    write_csv(folder / "rated.csv", rated, (*HEADER, "csat"))
    drafted = [(*row, "I do not know, sorry" if row[3] == "agent" else "") for row in rows(range(40, 70))]
    write_csv(folder / "drafted.csv", drafted, (*HEADER, "ai_draft"))
    twice: Rows = [
        (
            f"{which}{row[0]}",
            f"{which}{row[1]}",
            *row[2:5],
            row[5] if row[3] == "customer" else f"{row[5]} {which}",
            rating,
        )
        for which, rating in (("good", "5"), ("bad", "1"))
        for row in rows(range(70, 99))
    ]
    write_csv(folder / "twice.csv", twice, (*HEADER, "rating"))


@pytest.fixture(scope="module")
def prepared(
    tmp_path_factory: pytest.TempPathFactory,
) -> tuple[Path, Report, Loaded]:
    """The dataset folder, the report, and what LLaMA-Factory makes of each stage's entries."""
    folder = tmp_path_factory.mktemp("loads")
    export(folder / "logs")
    out = folder / "dataset"
    found = prepare_conversations([folder / "logs"], DATA, b"key", out, Silence())
    fit_dataset(found, DATA, "qwen", None, None, Silence())
    shape = dict.fromkeys(("hidden_size", "intermediate_size"), 256) | dict.fromkeys(("layers", "heads"), 1)
    shape |= {"vocabulary_size": 600, "key_value_heads": 1, "context_length": 512}
    request = {
        "texts": str(training_texts(out)),
        "output": str(folder / "tokenizer"),
        "pretrain": str(folder / "pretrain.jsonl"),
        "shape": shape,
    }
    process.run_inside(Path(sys.executable), "scratch", request, log=folder / "scratch.log")
    _, report = fit_dataset(found, DATA, "qwen", str(folder / "tokenizer"), HERE, Silence())
    command = [
        sys.executable,
        "-c",
        LOAD,
        str(out),
        str(folder / "tokenizer"),
        str(folder / "runs"),
        json.dumps(STAGES),
    ]
    environment = {"HF_HUB_OFFLINE": "1", "HF_HOME": str(folder), "PATH": str(Path(sys.executable).parent)}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return out, report, json.loads(done.stdout.splitlines()[-1])


def pieces(example: dict[str, Any]) -> Iterator[tuple[list[int], list[int]]]:
    """Each sequence of tokens of a loaded example with its labels."""
    for before in ("", "chosen_", "rejected_", "kl_"):
        if f"{before}input_ids" in example:
            yield example[f"{before}input_ids"], example[f"{before}labels"]


@pytest.mark.parametrize("stage", STAGES)
def test_each_stage_loads_as_many_examples_as_were_written_and_whole(
    prepared: tuple[Path, Report, Loaded], stage: str
) -> None:
    folder, report, loaded = prepared
    for split, name in zip(("train", "eval"), STAGES[stage], strict=True):
        written = entry(folder, name)
        assert len(loaded[stage][split]) == len(written) > 0
        if stage != "sft":
            assert len(written) == report.preferences[name]
    examples = [piece for split in loaded[stage].values() for one in split for piece in pieces(one)]
    assert examples
    # The answer's end is labelled, so nothing was cut.
    assert all(tokens[-1] == labels[-1] and len(tokens) <= DATA.cutoff_length for tokens, labels in examples)


def test_the_report_counts_what_is_in_the_files(
    prepared: tuple[Path, Report, Loaded],
) -> None:
    _, report, loaded = prepared
    formats = {file.format for file in report.files}
    assert formats >= {path.name for path in FIXTURES.iterdir()} - {"transcript"}
    for split, counted in (("train", report.conversations.train), ("eval", report.conversations.validation)):
        assert counted <= len(loaded["sft"][split])
    trained = sum(sum(label != -100 for label in one["labels"]) for split in loaded["sft"].values() for one in split)
    total = sum(len(one["input_ids"]) for split in loaded["sft"].values() for one in split)
    assert report.tokens is not None
    assert (report.tokens.total, report.tokens.trained) == (total, trained)
    assert {one["kto_tags"] for one in loaded["kto"]["train"]} == {True, False}
