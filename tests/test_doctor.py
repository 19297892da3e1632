"""`lfb doctor`: each known failure at the seams is named, with what mends it.

The training environment is an executable that answers what `inside/environment.py` would; the server speaks
real HTTP.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections import namedtuple
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from lf_bridge import doctor
from lf_bridge.doctor import Check, examine, is_able, to_json
from lf_bridge.errors import LfbError
from lf_bridge.recipe.model import Recipe
from lf_bridge.runtime.training import read_environment, read_versions
from lf_bridge.workspace import Workspace

GIGABYTE = 10**9
VERSIONS = {"llamafactory": "0.9.5", "torch": "2.11.0", "transformers": "5.5.4"}
NOBODY = "127.0.0.1:9"  # the discard port: nothing listens


class House:
    """A workspace, a training environment and a server, healthy until a test breaks one of them."""

    def __init__(self, folder: Path, address: str) -> None:
        self.root = folder / "workspace"
        self.root.mkdir()
        self.python = folder / "environment" / "bin" / "python"
        self.python.parent.mkdir(parents=True)
        self.variables = {"PATH": "", "HF_HUB_OFFLINE": "0"}
        self.host = address
        self.torchrun = True
        self.answer: dict[str, Any] = {
            "versions": dict(VERSIONS),
            "ok": True,
            "error": None,
            "device": "cuda",
            "device_count": 1,
            "memory": {"free": 24 * GIGABYTE, "total": 24 * GIGABYTE},
            "precision": "bf16",
        }

    def build(self) -> None:
        answer = json.dumps({**self.answer, "torchrun": self.torchrun})
        self.python.write_text(f"#!{sys.executable}\nimport sys\nopen(sys.argv[3], 'w').write({answer!r})\n")
        self.python.chmod(0o755)

    def examine(self, **sections: dict[str, Any]) -> dict[str, Check]:
        self.build()
        values = {"model": {"base": "nobody/Model-7B-Instruct"}, **sections}
        recipe = Recipe.model_validate(values)
        self.checks = examine(Workspace(self.root), self.python, self.host, self.variables, recipe)
        assert len({check.name for check in self.checks}) == len(self.checks)
        assert all(check.found and bool(check.mend) == (check.state != "ok") for check in self.checks)
        return {check.name: check for check in self.checks}


@pytest.fixture
def answering() -> Iterator[tuple[str, dict[str, str]]]:
    """An Ollama server as far as a doctor asks: its version, which a test may change."""
    says = {"version": "0.24.0"}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = json.dumps(says if self.path == "/api/version" else {}).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002  its base class names it so
            return

    with HTTPServer(("127.0.0.1", 0), Handler) as running:
        thread = threading.Thread(target=running.serve_forever, args=(0.01,))
        thread.start()
        yield f"127.0.0.1:{running.server_port}", says
        running.shutdown()
        thread.join()


@pytest.fixture
def house(tmp_path: Path, answering: tuple[str, dict[str, str]], monkeypatch: pytest.MonkeyPatch) -> House:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(doctor, "_embedded", lambda: iter([Check("llama.cpp", "ok", "imports")]))
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr("shutil.disk_usage", lambda path: usage(0, 0, 500 * GIGABYTE))
    return House(tmp_path, answering[0])


def test_a_healthy_house_is_able(house: House) -> None:
    found = house.examine()
    assert {check.state for check in found.values()} == {"ok"}
    assert found["training set"].found == "llamafactory 0.9.5, torch 2.11.0, transformers 5.5.4"
    assert found["Ollama"].found == f"0.24.0 at http://{house.host}"
    assert found["base model"].found == "nobody/Model-7B-Instruct will be downloaded, about 14.0 GB"
    assert is_able(house.checks)
    report = to_json(house.checks)
    assert report["able"] is True
    assert json.loads(json.dumps(report))["checks"][0]["name"] == "training set"


def test_a_training_set_that_does_not_import(house: House) -> None:
    house.answer |= {"ok": False, "error": "OSError: libc10_cuda.so: cannot open shared object file"}
    check = house.examine()["training set"]
    assert (check.state, check.mend) == ("failure", f"{house.python} -m pip install 'lf-bridge[train]'")
    assert "libc10_cuda.so" in check.found
    assert not is_able(house.checks)
    with pytest.raises(LfbError, match=r"libc10_cuda\.so[^$]*pip install 'lf-bridge\[train\]'"):
        read_environment(house.python, house.root / "log")


def test_a_python_that_is_not_there(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(house, "python", house.root / "nowhere" / "python")
    monkeypatch.setattr(house, "build", lambda: None)
    check = house.examine()["training set"]
    assert (check.state, check.found) == ("failure", f"cannot start `{house.python}`: No such file or directory")


def test_llama_factory_is_absent(house: House) -> None:
    house.answer["versions"] = {}
    house.build()
    with pytest.raises(LfbError, match=r"LLaMA-Factory is not installed[^$]*pip install 'lf-bridge\[train\]'"):
        read_versions(house.python, house.root / "log")


@pytest.mark.parametrize(
    ("versions", "attention", "name", "state", "says"),
    [
        ({"transformers": "4.57.0"}, "auto", "transformers", "failure", "4.57.0"),
        ({"transformers": "5.6.0", "flash_attn": "2.8.3"}, "fa2", "transformers", "failure", "FlashAttention 2"),
        ({"transformers": "5.6.0", "flash_attn": "2.8.3"}, "auto", "transformers", "warning", "FlashAttention 2"),
        ({}, "fa2", "FlashAttention", "failure", "compute.attention: fa2"),
    ],
)
def test_combinations_known_to_be_broken(
    house: House, versions: dict[str, str], attention: str, name: str, state: str, says: str
) -> None:
    house.answer["versions"] |= versions
    check = house.examine(compute={"attention": attention})[name]
    assert check.state == state
    assert says in check.found


@pytest.mark.parametrize(("devices", "state"), [(1, "warning"), (2, "failure")])
def test_torchrun_is_nowhere(house: House, devices: int, state: str) -> None:
    house.torchrun, house.answer["device_count"] = False, devices
    check = house.examine()["torchrun"]
    assert check.state == state
    assert check.mend.endswith("pip install --force-reinstall --no-deps torch==2.11.0")


def test_torchrun_on_path_is_enough(house: House) -> None:
    house.torchrun = False
    program = house.root / "torchrun"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    house.variables["PATH"] = str(house.root)
    assert "torchrun" not in house.examine()


@pytest.mark.parametrize(("value", "named"), [("1", True), ("true", True), ("0", False), ("", False)])
def test_the_other_generation_of_llama_factory_is_switched_on(house: House, value: str, named: bool) -> None:
    house.variables["USE_V1"] = value
    assert house.examine().get("USE_V1", Check("", "ok", "")).mend == ("unset USE_V1" if named else "")


def test_quantized_base_without_bitsandbytes(house: House) -> None:
    check = house.examine(compute={"base_quantization": 4})["bitsandbytes"]
    assert check.mend.endswith("pip install bitsandbytes")


@pytest.mark.parametrize(
    ("gigabytes", "compute", "state", "says"),
    [
        ((24, 24), {}, "ok", "needs about 17.1 GB"),
        ((10, 24), {}, "warning", "10.0 GB free of 24.0 GB"),
        ((12, 12), {}, "failure", "needs about 17.1 GB"),
        ((12, 12), {"base_quantization": 4}, "ok", "needs about 7.3 GB"),
        ((24, 24), {"device": "cpu"}, "failure", "needs about 33.2 GB"),
    ],
)
def test_memory_against_the_base(
    house: House, gigabytes: tuple[int, int], compute: dict[str, Any], state: str, says: str
) -> None:
    house.answer["memory"] = {"free": gigabytes[0] * GIGABYTE, "total": gigabytes[1] * GIGABYTE}
    house.answer["versions"]["bitsandbytes"] = "0.50.2"
    check = house.examine(compute=compute)["memory"]
    assert check.state == state
    assert says in check.found
    assert ("--set model.base=Qwen/Qwen2.5-0.5B-Instruct" in check.mend) == (state == "failure")


def test_disk_against_need(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr("shutil.disk_usage", lambda path: usage(0, 0, 50 * GIGABYTE))
    check = house.examine()["disk"]
    assert (check.state, check.found) == ("failure", "50.0 GB free; the chain needs about 57.0 GB")


def test_offline_and_not_in_the_cache(house: House) -> None:
    house.variables["HF_HUB_OFFLINE"] = "1"
    check = house.examine()["base model"]
    assert (check.state, check.mend) == ("failure", "env -u HF_HUB_OFFLINE hf download nobody/Model-7B-Instruct")


def test_offline_and_in_the_cache(house: House, tmp_path: Path) -> None:
    house.variables["HF_HUB_OFFLINE"] = "1"
    cache = tmp_path / "hub" / "models--nobody--Model-7B-Instruct"
    snapshot = cache / "snapshots" / "0123abcd"
    snapshot.mkdir(parents=True)
    (cache / "refs").mkdir()
    (cache / "refs" / "main").write_text("0123abcd")
    (snapshot / "config.json").write_text("{}")
    (snapshot / "model.safetensors.index.json").write_text('{"weight_map": {"a": "one", "b": "two"}}')
    (snapshot / "one").write_text("weights")
    assert house.examine()["base model"].state == "failure"  # a download that broke off
    (snapshot / "two").write_text("weights")
    assert house.examine()["base model"].found == "nobody/Model-7B-Instruct is in the Hub cache"


@pytest.mark.parametrize(("target", "state"), [("ollama", "failure"), ("auto", "warning")])
def test_no_server_answers(house: House, target: str, state: str) -> None:
    house.host = NOBODY
    check = house.examine(publish={"to": target})["Ollama"]
    assert (check.state, check.mend) == (state, f"OLLAMA_HOST={NOBODY} ollama serve")


def test_no_server_is_needed(house: House) -> None:
    house.host = NOBODY
    assert "Ollama" not in house.examine(publish={"to": "local"})


def test_the_server_is_another_machine(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    from lf_bridge.runtime.ollama import OllamaRuntime

    monkeypatch.setattr(OllamaRuntime, "_loopback", property(lambda self: False))
    check = house.examine()["Ollama address"]
    assert (check.state, check.mend) == ("warning", "unset OLLAMA_HOST")


@pytest.mark.parametrize(
    ("version", "installed", "quantizer", "named"),
    [
        ("0.33.0", "0.33.0", False, True),
        ("0.33.0", "0.33.0", True, False),
        ("0.33.0", "0.24.0", False, False),  # not this server's program
        ("0.24.0", "0.24.0", False, False),  # quantizes by itself
    ],
)
def test_the_server_lacks_its_quantizer(
    house: House, answering: tuple[str, dict[str, str]], version: str, installed: str, quantizer: bool, named: bool
) -> None:
    answering[1]["version"] = version
    program = house.root / "bin" / "ollama"
    program.parent.mkdir()
    program.write_text(f"#!/bin/sh\necho ollama version is {version}\necho Warning: client version is {installed}\n")
    program.chmod(0o755)
    if quantizer:
        (house.root / "lib" / "ollama").mkdir(parents=True)
        (house.root / "lib" / "ollama" / "llama-quantize").write_text("")
    house.variables["PATH"] = str(program.parent)
    assert ("llama-quantize" in house.examine()) == named


def test_conversations_tracked_by_git(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "private data" not in house.examine()
    subprocess.run(["git", "init", "--quiet", str(house.root)], check=True)
    (house.root / "data" / "sample").mkdir(parents=True)
    (house.root / "data" / "raw").mkdir()
    (house.root / "data" / "sample" / "a.csv").write_text("public")
    (house.root / "data" / "raw" / ".gitkeep").write_text("")
    subprocess.run(["git", "add", "--force", "data"], cwd=house.root, check=True)
    assert house.examine()["private data"].state == "ok"
    (house.root / "data" / "raw" / "b.csv").write_text("private")
    subprocess.run(["git", "add", "--force", "data"], cwd=house.root, check=True)
    check = house.examine()["private data"]
    assert (check.state, check.mend.split("  ")[0]) == ("failure", "git rm -r --cached --quiet data/raw")
    assert check.found.startswith("1 file of data/raw tracked by git")


def test_llama_cpp_is_absent(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    bare = tmp_path / "python"
    bare.write_text(f'#!/bin/sh\nexec {sys.executable} -S "$@"\n')
    bare.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(bare))
    (check,) = doctor._embedded()
    assert (check.state, check.mend) == ("failure", f"{bare} -m pip install 'lf-bridge[local]'")


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("Qwen/Qwen2.5-7B-Instruct", 7e9),
        ("Qwen/Qwen2.5-0.5B", 5e8),
        ("mistralai/Mixtral-8x7B-v0.1", 56e9),
        ("o/phi", 0),
    ],
)
def test_size_by_name(name: str, parameters: float) -> None:
    assert doctor._parameters_of(name) == parameters


@pytest.mark.chain
def test_the_real_training_environment(tmp_path: Path) -> None:
    python = Path(os.environ.get("LFB_TEST_PYTHON", sys.executable))
    environment = read_environment(python, tmp_path / "log")
    assert dict(environment.versions) == {**dict(read_versions(python, tmp_path / "log"))}
    assert dict(environment.versions)["llamafactory"] == "0.9.5"
    assert environment.precision in ("bf16", "fp16", "fp32")
