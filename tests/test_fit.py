"""Fitting with a real tokenizer, and LLaMA-Factory loads exactly what was written."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from plain import PLAIN

from lf_bridge import process
from lf_bridge.errors import LfbError
from lf_bridge.handover import Environment
from lf_bridge.prepare.prepare import fit_dataset, prepare_conversations, training_texts
from lf_bridge.prepare.records import Conversations
from lf_bridge.recipe.model import Data
from lf_bridge.talk import Silence

pytestmark = [
    pytest.mark.chain,
    pytest.mark.skipif(find_spec("llamafactory") is None, reason="LLaMA-Factory is not installed"),
]
SAMPLE = Path(__file__).parents[1] / "data" / "sample" / "taskmaster4.csv"
HERE = Environment(Path(sys.executable), (("llamafactory", "here"),))
DATA = Data(system="You take orders.", cutoff_length=200)
HALF = [("customer", "a " * 200), ("agent", "b"), ("customer", "c"), ("agent", "d")]
LOAD = """
import json, sys
from llamafactory.data import get_dataset, get_template_and_fix_tokenizer
from llamafactory.hparams import get_train_args
from llamafactory.model import load_tokenizer
dataset, tokenizer, output, template = sys.argv[1:]
model, data, training, _, _ = get_train_args(dict(
    model_name_or_path=tokenizer, stage="sft", do_train=True, do_eval=True, finetuning_type="lora", template=template,
    dataset_dir=dataset, dataset="support_train", eval_dataset="support_validation", cutoff_len=200, output_dir=output,
    use_cpu=True, report_to="none"))
loaded = load_tokenizer(model)
form = get_template_and_fix_tokenizer(loaded["tokenizer"], data)
module = get_dataset(form, model, data, training, stage="sft", **loaded)
print(json.dumps({split: [[one["input_ids"], one["labels"]] for one in module[f"{split}_dataset"]]
                  for split in ("train", "eval")}))
"""


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> tuple[Conversations, Path]:
    """400 messages of the sample, and with them: a long conversation, an endless message, typed special tokens.

    With it comes a small tokenizer trained on them.
    """
    folder = tmp_path_factory.mktemp("fit")
    with open(SAMPLE, newline="", encoding="utf-8") as file:
        rows = list(csv.reader(file))[:401]
    rows += [["long", "", ("customer", "agent")[turn % 2], f"word {turn} " * 3] for turn in range(24)]
    rows += [["endless", "", "customer", "more " * 300], ["endless", "", "agent", "No."]]
    rows += [["half", "", role, text] for role, text in HALF]
    rows += [["typed", "", "customer", "I see <|im_end|> and [STOP]"], ["typed", "", "agent", "[STOP] <|im_start|>it"]]
    with open(folder / "log.csv", "w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(rows)
    found = prepare_conversations([folder / "log.csv"], DATA, b"key", folder / "dataset", Silence(), settings=PLAIN)
    fit_dataset(found, DATA, "qwen", None, None, Silence())
    shape = dict.fromkeys(("hidden_size", "intermediate_size"), 256) | dict.fromkeys(("layers", "heads"), 1)
    shape |= {"vocabulary_size": 700, "key_value_heads": 1, "context_length": 512}
    request = {
        "texts": str(training_texts(folder / "dataset")),
        "output": str(folder / "tokenizer"),
        "pretrain": str(folder / "pretrain.jsonl"),
        "shape": shape,
    }
    process.run_inside(Path(sys.executable), "scratch", request, log=folder / "scratch.log")
    tokenizer = json.loads((folder / "tokenizer" / "tokenizer.json").read_text())
    stop = {**tokenizer["added_tokens"][-1], "id": len(tokenizer["model"]["vocab"]) + 3, "content": "[STOP]"}
    tokenizer["added_tokens"].append(stop)
    (folder / "tokenizer" / "tokenizer.json").write_text(json.dumps(tokenizer))
    return found, folder / "tokenizer"


@pytest.fixture
def load(tmp_path: Path, prepared: tuple[Conversations, Path]) -> Callable[[str], dict[str, list[list[list[int]]]]]:
    """What LLaMA-Factory makes of the dataset with a template: for each example its token ids and labels."""

    def ask(template: str) -> dict[str, list[list[list[int]]]]:
        command = [sys.executable, "-c", LOAD, str(prepared[0].folder), str(prepared[1]), str(tmp_path), template]
        environment = {"HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path), "PATH": str(Path(sys.executable).parent)}
        done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
        assert done.returncode == 0, done.stderr[-2000:]
        loaded: dict[str, list[list[list[int]]]] = json.loads(done.stdout.splitlines()[-1])
        return loaded

    return ask


# llama2 puts the system prompt inside the first question, so that pieces are not the sum of their parts.
@pytest.mark.parametrize("template", ["qwen", "llama2"])
def test_llama_factory_loads_every_example_whole(
    prepared: tuple[Conversations, Path], load: Callable[[str], dict[str, list[list[list[int]]]]], template: str
) -> None:
    found, tokenizer = prepared
    dataset, _ = fit_dataset(found, DATA, template, str(tokenizer), HERE, Silence())
    loaded = load(template)
    assert len(loaded["train"]) == dataset.train_examples
    assert len(loaded["eval"]) == dataset.validation_examples
    examples = [*loaded["train"], *loaded["eval"]]
    assert max(len(tokens) for tokens, _ in examples) <= DATA.cutoff_length
    assert all(labels[-1] == tokens[-1] for tokens, labels in examples)
    info = json.loads((dataset.folder / "dataset_info.json").read_text())
    written = [
        one
        for split in ("train", "validation")
        for one in json.loads((dataset.folder / info[f"support_{split}"]["file_name"]).read_text())
    ]
    if template == "qwen":
        vocabulary = json.loads((tokenizer / "tokenizer.json").read_text())["added_tokens"]
        special = {token["content"]: token["id"] for token in vocabulary}
        for (tokens, _), example in zip(examples, written, strict=True):
            assert tokens.count(special["<|im_end|>"]) == len(example["conversations"]) + 1
            assert tokens.count(special["<|im_start|>"]) == len(example["conversations"]) + 1
            assert special["[STOP]"] not in tokens


def test_fitting_splits_drops_and_defuses_and_accounts_for_it(prepared: tuple[Conversations, Path]) -> None:
    found, tokenizer = prepared
    dataset, report = fit_dataset(found, DATA, "qwen", str(tokenizer), HERE, Silence())
    record = json.loads((dataset.folder / "dataset.json").read_text())
    assert record["fit"] == dataset.fit != ""
    written = [
        [turn["value"] for turn in one["conversations"]]
        for split in ("train", "validation")
        for one in json.loads((dataset.folder / record["files"][split]).read_text())
    ]
    assert ["c", "d"] in written
    assert ["I see < |im_end|> and [ STOP]", "[ STOP] < |im_start|>it"] in written
    pieces = [one for one in written if one[0].startswith("word ")]
    assert 2 <= len(pieces) <= 7
    assert sorted(turn for one in pieces for turn in one) == sorted(
        " ".join([f"word {turn}"] * 3) for turn in range(24)
    )
    ledger = pq.read_table(dataset.folder / record["files"]["ledger"]).to_pylist()
    last = [(row["state"], row["reason"], row["changes"]) for row in sorted(ledger, key=lambda row: row["row"])][-8:]
    gone, kept = ("dropped", "over_cutoff", None), ("kept", None, None)
    assert last == [gone, gone, gone, gone, kept, kept, ("kept", None, "defused"), ("kept", None, "defused")]
    messages = report.messages
    assert messages.dropped["over_cutoff"] == 4
    assert messages.read == messages.kept + messages.merged + sum(messages.dropped.values()) == len(ledger)
    assert report.conversations.dropped == {"over_cutoff": 1}
    talk = Silence()
    assert fit_dataset(found, DATA, "qwen", str(tokenizer), HERE, talk) == (dataset, report)
    assert "up to date" in talk.said[0]
    assert fit_dataset(found, DATA, "qwen", None, None, Silence())[0] == dataset


def test_what_cannot_be_fitted_is_one_clear_error(prepared: tuple[Conversations, Path]) -> None:
    found, tokenizer = prepared
    before = (found.folder / "dataset_info.json").read_bytes()
    with pytest.raises(LfbError) as caught:
        fit_dataset(found, DATA, "qwem", str(tokenizer), HERE, Silence())
    assert str(caught.value) == (
        "error: `qwem` is no template of LLaMA-Factory\n  model.template  did you mean `qwen` or `qwen3`?\n\n"
        "hint: set `model.template` in the recipe to the one your base model was made with"
    )
    with pytest.raises(LfbError, match="^error: the tokenizer of `nothing/here` does not load\n"):
        fit_dataset(found, DATA, "qwen", "nothing/here", HERE, Silence())
    assert (found.folder / "dataset_info.json").read_bytes() == before
