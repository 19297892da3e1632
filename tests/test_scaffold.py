"""`lfb init`: a new workspace, whole or not at all."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from lf_bridge import scaffold
from lf_bridge.errors import LfbError

CLONE = Path(__file__).parents[1]


@pytest.fixture
def shelf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package as installed from a wheel: its shelf lies inside it, and no clone is around it."""
    package = tmp_path / "site-packages" / "lf_bridge"
    for name, content in {
        "shelf/recipes/cs_rank8.yaml": "model: {}\n",
        "shelf/data/sample/messages.csv": "text\nhello\n",
        "shelf/data/sample/LICENSE.md": "CC BY 4.0\n",
        "publish/Modelfile.template": "FROM {{gguf}}\n",
    }.items():
        (package / name).parent.mkdir(parents=True, exist_ok=True)
        (package / name).write_text(content)
    monkeypatch.setattr(scaffold, "PACKAGE", package)
    return package


@pytest.mark.usefixtures("shelf")
def test_init_writes_a_workspace(tmp_path: Path) -> None:
    written = scaffold.init(tmp_path / "my-bot")
    assert [path.as_posix() for path in written] == [
        ".gitignore",
        "Modelfile.template",
        "data/README.md",
        "data/sample/LICENSE.md",
        "data/sample/messages.csv",
        "recipes/cs_rank8.yaml",
    ]
    assert (tmp_path / "my-bot/data/sample/messages.csv").read_text() == "text\nhello\n"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["my-bot", "site-packages"]


@pytest.mark.usefixtures("shelf")
def test_init_overwrites_nothing_and_names_every_file_in_the_way(tmp_path: Path) -> None:
    folder = tmp_path / "my-bot"
    folder.mkdir()
    (folder / ".gitignore").write_text("mine\n")
    (folder / "Modelfile.template").write_text("mine\n")
    with pytest.raises(LfbError) as caught:
        scaffold.init(folder)
    assert [Path(fault.where).name for fault in caught.value.faults] == [".gitignore", "Modelfile.template"]
    assert sorted(path.name for path in folder.iterdir()) == [".gitignore", "Modelfile.template"]
    assert (folder / ".gitignore").read_text() == "mine\n"


@pytest.mark.usefixtures("shelf")
def test_init_adds_to_a_folder_that_holds_other_things(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine\n")
    scaffold.init(tmp_path)
    assert (tmp_path / "recipes/cs_rank8.yaml").is_file()
    assert (tmp_path / "notes.txt").read_text() == "mine\n"


@pytest.mark.usefixtures("shelf")
def test_an_init_that_breaks_off_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def write_two(folder: Path, files: dict[Path, bytes]) -> None:
        (folder / "recipes").mkdir()
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(scaffold, "_write", write_two)
    with pytest.raises(LfbError, match="No space left on device"):
        scaffold.init(tmp_path / "my-bot")
    assert [path.name for path in tmp_path.iterdir()] == ["site-packages"]


def test_a_clone_gives_the_files_that_it_ships(tmp_path: Path) -> None:
    written = {path.as_posix() for path in scaffold.init(tmp_path / "my-bot")}
    assert {"recipes/cs_rank8.yaml", "recipes/demo.yaml", "recipes/tiny_base.yaml", "Modelfile.template"} <= written
    assert any(name.startswith("data/sample/") for name in written)
    # The clone is a workspace too: what it holds and what `init` gives are one text.
    assert (tmp_path / "my-bot/Modelfile.template").read_bytes() == (CLONE / "Modelfile.template").read_bytes()


@pytest.mark.parametrize("place", ["clone", "init"])
def test_git_sees_no_conversation(place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", "/dev/null")
    repository = tmp_path / "repository"
    if place == "init":
        scaffold.init(repository)
    else:
        repository.mkdir()
        (repository / ".gitignore").write_bytes((CLONE / ".gitignore").read_bytes())
    subprocess.run(["git", "init", "--quiet", str(repository)], check=True)
    private = ["data/raw/a.csv", "data/dataset/b.json", "runs/c/train.log", "releases/support-bot/d.json", ".lfb/key"]
    shown = ["data/sample/messages.csv", "recipes/cs_rank8.yaml"]
    ignored = subprocess.run(
        ["git", "check-ignore", *private, *shown], cwd=repository, capture_output=True, text=True, check=False
    ).stdout.split()
    assert ignored == private
