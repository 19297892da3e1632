"""Training: LLaMA-Factory's exit code is not believed; what it wrote is."""

from __future__ import annotations

import json
import stat
import time
from pathlib import Path

import pytest
from standins import Place, make_place


@pytest.fixture
def place(tmp_path: Path) -> Place:
    made = make_place(tmp_path)
    made.lfb("prepare", "--recipe", "recipes/mini.yaml")
    return made


def test_a_run_is_reused_resumed_and_made_again(place: Place) -> None:
    first = json.loads(place.lfb("train", "recipes/mini.yaml", "--json").out)
    again = place.lfb("train", "recipes/mini.yaml", "--json")
    assert json.loads(again.out) == first
    assert "is finished already" in again.err
    other = json.loads(place.lfb("train", "recipes/mini.yaml", "--again", "--json").out)
    assert other["run"] == f"{first['run']}-2"
    changed = json.loads(place.lfb("train", "recipes/mini.yaml", "--set", "train.learning_rate=5e-5", "--json").out)
    assert changed["run"].startswith("mini-")
    assert changed["run"] != first["run"]


def test_the_newest_run_of_a_key_is_the_one_that_is_used(place: Place) -> None:
    place.lfb("train", "recipes/mini.yaml")
    time.sleep(1.1)  # runs are dated to the second
    again = json.loads(place.lfb("train", "recipes/mini.yaml", "--again", "--json").out)["run"]
    assert json.loads(place.lfb("train", "recipes/mini.yaml", "--json").out)["run"] == again
    assert json.loads(place.lfb("export", "--json").out)["run"] == again


def test_an_interrupted_run_resumes_from_its_last_whole_checkpoint(place: Place) -> None:
    place.lfb("train", "recipes/mini.yaml", LFB_STANDIN="crash late", code=1)
    (model,) = (place.root / "runs").glob("*/train.unfinished/model")
    (model / "checkpoint-2").mkdir()
    (model / "checkpoint-2" / "trainer_state.json").write_text('{"cut')
    assert "resumed from its last checkpoint" in place.lfb("train", "recipes/mini.yaml", LFB_STANDIN="resumes").err


def test_a_training_that_ended_is_not_started_again(place: Place) -> None:
    """Only the checks failed the first time: LLaMA-Factory would train on a finished folder."""
    driver = str(Path(__file__).parent / "fault_driver.py")
    assert place.command(driver, "train: before commit", "kill", "train", "recipes/mini.yaml").code == -9
    place.lfb("train", "recipes/mini.yaml", LFB_STANDIN="crash")


def test_all_weights_may_be_trained(place: Place) -> None:
    place.lfb("train", "recipes/mini.yaml", "--set", "method.finetuning=full")
    done = json.loads(place.lfb("export", "--json").out)
    exported = next((place.root / "runs" / done["run"]).glob("export-*/export.yaml")).read_text()
    assert f"{done['run']}/train/model" in exported
    assert "finetuning_type: full" in exported


def test_what_was_trained_by_the_command_line_is_exported_so(place: Place) -> None:
    text = "Serve #1 # urgent: kindly"
    place.lfb("prepare", "--recipe", "recipes/mini.yaml", "--set", f"data.system={text}")
    place.lfb("train", "recipes/mini.yaml", "--set", f"data.system={text}", "--set", "model.template=chatml")
    run = json.loads(place.lfb("export", "--json").out)["run"]
    assert "template: chatml" in next((place.root / "runs" / run).glob("export-*/export.yaml")).read_text()
    refused = place.lfb("publish", "--to", "local", code=1)
    assert "was trained with another system prompt" in refused.err


def test_a_base_that_was_exchanged_is_not_merged_onto(place: Place) -> None:
    place.lfb("train", "recipes/mini.yaml")
    (place.root / "base" / "config.json").write_text('{"other": 1}')
    assert "is not the one trained on any more" in place.lfb("export", code=1).err


def test_a_template_that_cannot_be_served_is_said_before_training(place: Place) -> None:
    said = place.lfb("train", "recipes/mini.yaml", "--set", "model.template=qwen3").err
    assert "can be trained but not published" in said


def test_conversations_stay_in_private_files(place: Place) -> None:
    done = place.lfb("train", "recipes/mini.yaml")
    assert "own words" not in done.out + done.err
    run = next((place.root / "runs").glob("mini-*"))
    for name in ("train.log", "train.yaml", "validation.json"):
        assert stat.S_IMODE((run / "train" / name).stat().st_mode) == 0o600
    assert stat.S_IMODE((run / "train").stat().st_mode) == 0o700
    assert not (run / "train" / "cache").exists()


@pytest.mark.parametrize(
    ("fault", "said", "next_step"),
    [
        ("lost rows", "did not load the dataset as it was prepared", "`lfb prepare`"),
        ("loss", "training stopped: the loss is nan at step 1 of 2", "`train.learning_rate`"),
        ("gradient", "training stopped: the gradient norm is nan", "`train.learning_rate`"),
        ("zero", "the adapter learned nothing: every trained tensor is zero", "`train.epochs`"),
        ("infinite", "tensors of the adapter are broken", "`train.learning_rate`"),
        ("nothing written", "training ended without an adapter file", "train.log"),
        ("out of memory", "torch.OutOfMemoryError: CUDA out of memory.", "`train.batch_size: 2`"),
        ("crash", "stopped with exit code 1", "private"),
        ("import", "the training environment does not work", "pip install"),
    ],
)
def test_failures_are_failures_whatever_the_exit_code(place: Place, fault: str, said: str, next_step: str) -> None:
    failed = place.lfb("train", "recipes/mini.yaml", LFB_STANDIN=fault, code=1)
    assert said in failed.err
    assert next_step in failed.err.partition("hint:")[2]
    assert "own words" not in failed.err
    assert not list((place.root / "runs").glob("*/train"))
    assert place.lfb("train", "recipes/mini.yaml").code == 0


def test_a_dataset_with_another_system_prompt_is_refused(place: Place) -> None:
    failed = place.lfb("train", "recipes/mini.yaml", "--set", "data.system=Be rude.", code=1)
    assert "was prepared with another system prompt" in failed.err


def test_a_base_model_that_does_not_exist_is_named(place: Place) -> None:
    failed = place.lfb("train", "recipes/mini.yaml", "--set", "model.base=./gone", code=1)
    assert failed.err.startswith("error: the base model `./gone` does not exist\n  model.base  there is no folder ")
    offline = place.lfb("train", "recipes/mini.yaml", "--set", "model.base=no/such", HF_HUB_OFFLINE="1", code=1)
    assert "no/such" in offline.err


def test_without_llama_factory_the_next_step_is_to_install_it(place: Place) -> None:
    (place.root / "environment" / "llamafactory-cli").unlink()
    assert "pip install 'lf-bridge[train]'" in place.lfb("train", "recipes/mini.yaml", code=1).err


def test_a_recipe_may_stand_on_another_recipes_result(place: Place) -> None:
    place.recipe(
        "model: {scratch: {}}\nmethod: {stage: pt, finetuning: full}\ndata: {system: other}\n"
        "train: {epochs: 1}\ncompute: {device: cpu}\n",
        "ground",
    )
    place.lfb("train", "recipes/mini.yaml", "--set", "model.base=ground.yaml")
    runs = {path.name.partition("-")[0] for path in (place.root / "runs").glob("[!.]*")}
    assert runs == {"mini", "ground"}
    failed = place.lfb("run", "recipes/ground.yaml", code=1)
    assert "makes a base model, which is nothing to publish" in failed.err


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ("empty merge", "differs from the base by 0.0e+00 only: it is the base"),
        ("wrong merge", "differs from base plus adapter by 5.0e-01"),
        ("no tokenizer", "is not whole"),
    ],
)
def test_an_export_that_is_not_the_tuned_model_is_refused(place: Place, fault: str, said: str) -> None:
    place.lfb("train", "recipes/mini.yaml")
    failed = place.lfb("export", LFB_STANDIN=fault, code=1)
    assert said in failed.err
    assert not [path for path in next((place.root / "runs").glob("mini-*")).glob("export-*") if path.suffix == ""]
    place.lfb("export")


def test_export_without_a_run_says_what_to_do(tmp_path: Path) -> None:
    failed = make_place(tmp_path).lfb("export", code=1)
    assert "there is no finished run yet" in failed.err
    assert "lfb train" in failed.err


def test_an_adapter_as_a_base_is_merged_first(place: Place) -> None:
    place.recipe("extends: mini.yaml\nmodel: {base: mini.yaml}\n", "upper")
    run = json.loads(place.lfb("train", "recipes/upper.yaml", "--json").out)["run"]
    assert "/export-" in (place.root / "runs" / run / "train" / "train.yaml").read_text()
