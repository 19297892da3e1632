"""The walls that the import contracts cannot state: who may open which door to the outside."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "lf_bridge"
DOORS = {
    "subprocess": ("process.py",),
    "ollama": ("runtime/ollama.py",),
    "httpx": ("runtime/ollama.py",),
    "cyllama": ("runtime/embedded.py",),
    "huggingface_hub": ("runtime/hub.py",),
    "click": ("cli/",),
    "pandas": ("prepare/", "evaluate/"),
    "pyarrow": ("prepare/", "evaluate/"),
    "yaml": ("recipe/yaml_file.py",),
    # What only the training environment has; `llama_cpp` carries the converter.
    "torch": ("inside/",),
    "transformers": ("inside/",),
    "peft": ("inside/",),
    "llamafactory": ("inside/",),
    "llama_cpp": ("inside/", "runtime/embedded.py"),
}


def imports_of(source: str) -> Iterator[str]:
    """Every module that a source imports, anywhere in it, by name or by string."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield "." * node.level + (node.module or "")
        elif isinstance(node, ast.Call) and ast.unparse(node.func).rpartition(".")[2] in (
            "import_module",
            "__import__",
        ):
            yield node.args[0].value if node.args and isinstance(node.args[0], ast.Constant) else "?"


def trespasses(path: str, source: str) -> list[str]:
    """What the file at ``path`` (relative to the package) imports through somebody else's door."""
    inside = path.startswith("inside/")
    beside = {file.stem for file in PACKAGE.glob("inside/*.py")} if inside else set()
    found = []
    for module in imports_of(source):
        top = module.partition(".")[0]
        # Programs in inside/ run in another environment: nothing of ours is there, and none knows another.
        if (inside and (top in ("lf_bridge", "") or top in beside)) or (
            top in DOORS and not path.startswith(DOORS[top]) and not (inside and top not in ("subprocess", "ollama"))
        ):
            found.append(f"{path} imports {module}")
    return found


def test_every_door_has_one_keeper() -> None:
    files = {path.relative_to(PACKAGE).as_posix(): path.read_text(encoding="utf-8") for path in PACKAGE.rglob("*.py")}
    assert "process.py" in files
    assert [line for path, source in sorted(files.items()) for line in trespasses(path, source)] == []


@pytest.mark.parametrize(
    ("path", "source"),
    [
        ("publish/tags.py", "def f():\n    from ollama import Client"),
        ("pipeline.py", "import subprocess as quiet"),
        ("recipe/model.py", "import yaml.loader"),
        ("gguf/convert.py", "import importlib\nimportlib.import_module('cyllama')"),
        ("factory/train.py", "import torch"),
        ("inside/merge.py", "from lf_bridge.errors import LfbError"),
        ("inside/merge.py", "from .environment import main"),
        ("inside/merge.py", "import environment"),
        ("inside/merge.py", "import subprocess"),
    ],
)
def test_a_trespass_is_seen(path: str, source: str) -> None:
    assert len(trespasses(path, source)) == 1
