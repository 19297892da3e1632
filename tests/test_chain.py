"""The whole chain for real: from the shipped dialogues to a 4-bit model that answers, on every server there is."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from chain import Chain, chain, place, surroundings
from readme import blocks
from servers import Server
from standins import SHELF, Place
from test_faults import crash_everywhere

from lf_bridge.gguf.inspect import read_metadata
from lf_bridge.handover import Message
from lf_bridge.runtime.embedded import EmbeddedModel
from lf_bridge.runtime.ollama import OllamaRuntime
from lf_bridge.runtime.templates import chat_template
from lf_bridge.talk import Silence
from lf_bridge.workspace import file_digest

__all__ = ["chain", "place"]
pytestmark = pytest.mark.chain
RUN = ("run", "recipes/demo.yaml", "--json")


def run_of(root: Path) -> Path:
    """The tuned run's folder."""
    return next(path for path in (root / "runs").glob("cs_rank8-*") if path.is_dir())


def held_out(root: Path) -> list[dict[str, str]]:
    """The held-out questions with the answers of base and tuned model in transformers (greedy)."""
    cases = next(run_of(root).glob("export-*/cases.jsonl")).read_text().splitlines()
    return [case for case in map(json.loads, cases) if "question" in case]


def test_the_tour_ends_with_an_answer(chain: Chain) -> None:
    published = next(screen for command, screen in chain.screens.items() if command.startswith("lfb publish"))
    answer = published.partition("answer     ")[2].splitlines()[0]
    assert answer.strip()
    chatted = next(screen for command, screen in chain.screens.items() if command.startswith("lfb chat"))
    assert chatted.strip()


def test_the_chain_needs_no_network(chain: Chain) -> None:
    if not chain.alone:
        pytest.skip("no network namespace can be made here: `unshare -rn` is refused")


def test_the_tuned_model_is_better_and_four_bits_are_measured(chain: Chain, place: Place) -> None:
    report = json.loads(place.lfb(*RUN).out)
    loss = report["loss"]
    assert loss["tuning"]["high"] < 0, "the 95% interval of tuned minus base includes 0"
    assert loss["tuned"] < loss["base"]
    assert loss["f16"] == pytest.approx(loss["tuned"], abs=0.01)
    assert loss["quantized"] - loss["f16"] == pytest.approx(loss["quantization"]["mean"])
    assert report["public_sample"] is True
    assert len(report["questions"]) == 3
    names = [row["name"] for row in report["rows"]]
    assert names == ["prepare", "base", "train", "export", "convert", "quantize", "evaluate", "publish"]


def test_a_finished_chain_is_reused_step_by_step(place: Place) -> None:
    def made() -> dict[str, int]:
        return {str(path): path.stat().st_mtime_ns for path in (place.root / "runs").rglob("step.json")}

    before = made()
    assert len(before) == 6  # the base, then train, export, F16, 4 bits, evaluate
    assert "train: cs_rank8-" in place.lfb(*RUN).err
    assert made() == before


def test_the_ledger_adds_up_and_the_trained_rows_are_the_written_rows(chain: Chain) -> None:
    record = json.loads((chain.root / "data" / "dataset" / "dataset.json").read_text())
    with open(chain.root / "data" / "sample" / "taskmaster4.csv", newline="", encoding="utf-8") as file:
        import csv

        rows = sum(1 for _ in csv.reader(file)) - 1
    messages = record["report"]["messages"]
    assert messages["read"] == rows == messages["kept"] + messages["merged"] + sum(messages["dropped"].values())


def test_no_conversation_is_left_outside_private_files(chain: Chain) -> None:
    for path in (*chain.root.glob("runs/*/**/*"), *chain.root.glob("data/dataset/*"), *chain.root.glob(".lfb/logs/*")):
        inside = [path, *path.relative_to(chain.root).parents][:-1]
        modes = [(chain.root / each).stat().st_mode & 0o077 for each in inside]
        assert path.is_dir() or path.name.endswith(".lock") or 0 in modes, f"{path} can be read by others"
    assert not list(chain.root.glob("runs/**/cache"))
    assert not list(chain.root.glob("runs/**/pretrain.jsonl"))


def test_the_gguf_states_what_servers_get_wrong(chain: Chain) -> None:
    metadata = read_metadata(next(run_of(chain.root).glob("q4_k_m-*/model.gguf")))
    assert (metadata.architecture, metadata.file_type, metadata.rope_base) == ("qwen2", "Q4_K_M", 10000.0)
    assert metadata.add_bos is False
    assert not metadata.has_chat_template


def test_the_f16_file_answers_as_transformers_does(chain: Chain) -> None:
    template = chat_template("qwen", bos="", eos="<|im_end|>")
    system = json.loads((run_of(chain.root) / "train" / "step.json").read_text())["result"]["system"]
    with EmbeddedModel(next(run_of(chain.root).glob("f16-*/model.gguf")), context=1024) as model:
        for case in held_out(chain.root):
            prompt = template.render([Message("system", system), Message("user", case["question"])])
            answer = model.generate(prompt, stop=template.stop, max_tokens=64, temperature=0.0)
            assert answer.text == case["tuned_answer"]


def test_every_server_answers_as_transformers_does(place: Place, server: Server) -> None:
    """The F16 file under a tag of its own: the same words for each held-out question."""
    name = f"f16-{server.version.replace('.', '-')}"
    place.environment["OLLAMA_HOST"] = server.address
    release = json.loads(place.lfb("publish", "--as", name, "--quantize", "F16", "--to", "ollama", "--json").out)
    runtime = OllamaRuntime(server.address, Silence())
    options = {"temperature": 0.0, "num_predict": 64, "num_thread": 2}
    for case in held_out(place.root):
        assert (
            runtime.chat(release["tag"], [Message("user", case["question"])], options=options).text
            == case["tuned_answer"]
        )


def test_four_bits_are_published_to_every_server(place: Place, server: Server) -> None:
    name = f"support-bot-{server.version.replace('.', '-')}"
    place.environment["OLLAMA_HOST"] = server.address
    release = json.loads(place.lfb("publish", "--as", name, "--to", "ollama", "--json").out)
    file = next(run_of(place.root).glob("q4_k_m-*/model.gguf"))
    served = OllamaRuntime(server.address, Silence()).show(f"{name}:latest")
    assert served.gguf_digest == release["gguf_digest"] == file_digest(file)
    assert server.command("run", name, "I want a latte", folder=place.root).strip()
    recorded = json.loads((place.root / "releases" / name / f"{release['version']}.json").read_text())
    assert recorded["server_version"] == server.version


def test_the_readme_calls_the_bot(place: Place, server: Server) -> None:
    place.environment["OLLAMA_HOST"] = server.address
    place.lfb("publish", "--to", "ollama")
    for block in blocks(SHELF / "README.md"):
        for command in block.commands if block.kind == "server" else ():
            done = subprocess.run(
                [
                    "bash",
                    "-ec",
                    command.replace("localhost:11434", server.address).replace("127.0.0.1:11434", server.address),
                ],
                cwd=place.root,
                env={
                    **surroundings(),
                    **server.environment,
                    "PATH": f"{server.executable.parent}{os.pathsep}{surroundings()['PATH']}",
                },
                input="",
                capture_output=True,
                text=True,
                timeout=120,
            )
            assert done.returncode == 0, f"$ {command}\n{done.stdout}{done.stderr}"
            assert done.stdout.strip(), f"$ {command} printed nothing"


@pytest.mark.parametrize(
    ("point", "command"),
    [
        ("train: while training", ("train", "recipes/short.yaml")),
        ("train: after training", ("train", "recipes/short.yaml")),
        ("export: after merge", ("export",)),
    ],
)
def test_a_real_kill_leaves_no_child_and_the_command_goes_on(
    place: Place, point: str, command: tuple[str, ...]
) -> None:
    place.recipe("extends: demo.yaml\ntrain: {max_steps: 6, save_steps: 3}\n", "short")
    if command[0] == "export":
        for step in run_of(place.root).glob("export-*"):
            step.rename(step.with_name(f"set-aside-{step.name}"))
    driver = str(Path(__file__).parent / "fault_driver.py")
    assert place.command(driver, point, "kill", *command).code == -9
    until = time.monotonic() + 20
    while running := processes_in(place.root):
        assert time.monotonic() < until, running
        time.sleep(0.2)
    place.lfb(*command)


@pytest.mark.prove
@pytest.mark.parametrize("mode", ["kill", "interrupt"])
def test_the_real_programs_survive_a_crash_at_every_point(place: Place, mode: str) -> None:
    place.recipe(
        "extends: demo.yaml\ndata: {dataset: data/other}\ntrain: {max_steps: 6, save_steps: 3}\n"
        "publish: {name: crash-bot, to: local}\n",
        "short",
    )
    crash_everywhere(place, mode, ("run", "recipes/short.yaml", "--json"))


def processes_in(root: Path) -> list[str]:
    """Command lines of living processes that name a folder."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            line = (process / "cmdline").read_bytes().decode().replace("\0", " ")
        except OSError:
            continue
        if str(root) in line and int(process.name) != os.getpid():
            found.append(line)
    return found


def test_the_installed_program_is_the_one_tested() -> None:
    done = subprocess.run(
        [Path(sys.executable).parent / "lfb", "--version"], capture_output=True, text=True, check=True
    )
    assert done.stdout.startswith("lfb, version ")
