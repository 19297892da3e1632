"""Recipes: what they inherit, what they refuse and how they say it."""

from __future__ import annotations

from pathlib import Path

import pytest

from lf_bridge.errors import LfbError
from lf_bridge.recipe.describe import commented_yaml, explain, json_schema, markdown_table
from lf_bridge.recipe.load import list_recipes, load_recipe, load_settings
from lf_bridge.recipe.model import Recipe, Scratch
from lf_bridge.recipe.preparing import Mapping, PrepareSettings
from lf_bridge.recipe.yaml_file import read_yaml

SHELF = Path(__file__).parent.parent


def write(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def test_every_shipped_recipe_is_sound_and_opens_with_its_purpose() -> None:
    shipped = list_recipes(SHELF)
    assert {path.stem for path in shipped} == {"cs_rank8", "tiny_base", "demo"}
    for path in shipped:
        load_recipe(path)
        opening = [line for line in path.read_text(encoding="utf-8").splitlines() if line.startswith("#")]
        assert any(line.startswith("# needs:") for line in opening)
        assert any(line.startswith("# command: lfb ") for line in opening)


def test_the_demo_trains_what_users_train() -> None:
    """Only the base and what a tiny model on a CPU needs may differ."""
    real, demo = load_recipe(SHELF / "recipes/cs_rank8.yaml").recipe, load_recipe(SHELF / "recipes/demo.yaml").recipe
    assert demo.method == real.method
    assert demo.model.template == real.model.template
    assert (demo.train.batch_size, real.train.batch_size) == (4, 4)
    assert (real.model.base, real.method.rank, real.train.learning_rate) == ("Qwen/Qwen2.5-7B-Instruct", 8, 1e-4)


def test_mappings_merge_deeply_and_the_command_line_wins(tmp_path: Path) -> None:
    write(tmp_path, "low.yaml", "model: {base: a/b}\ntrain: {epochs: 5, batch_size: 2}\n")
    high = write(tmp_path, "high.yaml", "extends: low.yaml\ntrain: {batch_size: 8}\n")
    train = load_recipe(high, ["train.learning_rate=5e-5"]).recipe.train
    assert (train.epochs, train.batch_size, train.learning_rate) == (5, 8, 5e-5)


def test_all_faults_are_named_at_once_with_their_lines(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        "mini.yaml",
        "model:\n  base: a/b\ntrain:\n  learning_rte: 1e-4\n  batch_size: four\npublish:\n  quantize: q4km\n",
    )
    with pytest.raises(LfbError) as caught:
        load_recipe(path)
    assert str(caught.value).splitlines() == [
        f"error: {path} has 3 faults",
        "  train.batch_size (mini.yaml:5)    `four` is not a whole number",
        "  train.learning_rte (mini.yaml:4)  unknown field; did you mean `learning_rate`?",
        "  publish.quantize (mini.yaml:7)    `q4km` is not one of `F16`, `Q8_0`, `Q6_K`, `Q5_K_M`, `Q4_K_M`, `Q4_K_S`",
        "",
        "hint: `lfb recipe schema train.batch_size` explains the choices",
    ]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("train:\n  epochs: 1\n", "missing"),
        ("model: {base: a/b, scratch: {}}\n", "give either `base` or `scratch`"),
        ("model:\n  base: a/b\n  base: c/d\n", "given twice"),
        ("model: [\n", "is not valid YAML"),
        ("", "holds no sections"),
        ("extends: mini.yaml\n", "extends itself"),
        ("extends: gone.yaml\n", "there is no file"),
        ("model: {scratch: {}}\n", "needs `method.stage: pt`"),
    ],
)
def test_bad_recipes_get_one_clear_error(tmp_path: Path, text: str, said: str) -> None:
    path = write(tmp_path, "mini.yaml", text)
    with pytest.raises(LfbError) as caught:
        load_recipe(path)
    assert said in str(caught.value)
    assert caught.value.hint


def test_what_a_recipe_shows_is_a_recipe_again(tmp_path: Path) -> None:
    demo = load_recipe(SHELF / "recipes/demo.yaml").recipe
    assert load_recipe(write(tmp_path, "shown.yaml", commented_yaml(demo))).recipe == demo


def test_the_settings_that_are_printed_are_the_defaults(tmp_path: Path) -> None:
    printed = write(tmp_path, "prepare.yaml", commented_yaml(PrepareSettings()))
    assert load_settings(printed, PrepareSettings) == PrepareSettings()


def test_the_table_of_settings_shows_defaults_as_yaml_takes_them() -> None:
    table = markdown_table(PrepareSettings)
    assert "| `quality.languages` | list; default `[]` |" in table
    assert "| `split.leak_check` | true, false; default `true` |" in table
    assert "default `Use what is known here:\\n{knowledge}" in table


def test_every_field_says_what_it_means() -> None:
    sections = [field.annotation for model in (Recipe, PrepareSettings) for field in model.model_fields.values()]
    fields = [field for section in (*sections, Scratch, Mapping) for field in section.model_fields.values()]
    assert len(fields) > 40
    assert all(field.description for field in (*Recipe.model_fields.values(), *fields))
    assert json_schema()["additionalProperties"] is False
    assert "Q4_K_M" in explain("publish.quantize")
    assert explain("train.max_steps").endswith("whole number, >= 1")
    with pytest.raises(LfbError, match="did you mean `train.learning_rate`"):
        explain("train.learning_rte")


def test_numbers_in_scientific_notation_are_numbers(tmp_path: Path) -> None:
    values = read_yaml(write(tmp_path, "a.yaml", "a: {b: 1e-4, c: 5E-5, d: v1e-4}\n")).values
    assert values["a"] == {"b": 1e-4, "c": 5e-5, "d": "v1e-4"}


def test_quantization_is_taken_as_ollama_and_as_llama_cpp_write_it(tmp_path: Path) -> None:
    for written in ("q4_K_M", "Q4_K_M", "q4_k_m"):
        path = write(tmp_path, "a.yaml", f"model: {{base: a/b}}\npublish: {{quantize: {written}}}\n")
        assert load_recipe(path).recipe.publish.quantize == "Q4_K_M"


def test_sections_are_the_ones_promised() -> None:
    assert list(Recipe.model_fields) == ["data", "model", "method", "train", "compute", "export", "publish", "evaluate"]
