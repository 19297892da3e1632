"""A workspace whose training environment is played by small real programs, and ``lfb`` as a user calls it."""

from __future__ import annotations

import contextlib
import csv
import io
import os
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from unittest import mock

from tiny import write_tiny_gguf

SHELF = Path(__file__).parent.parent
SYSTEM = "You take orders at a coffee shop."
THINGS = ("kettle", "umbrella", "winter coat", "lamp", "bicycle", "piano stool", "tent", "mirror", "sofa", "clock")
PLACES = ("office", "neighbour", "parents in law", "hotel", "summer house", "school", "ship", "garage", "farm", "shop")


@dataclass
class Finished:
    """What a command left: its exit code and both screens."""

    code: int
    out: str
    err: str


@dataclass
class Place:
    """A workspace in a folder of its own."""

    root: Path
    python: Path
    environment: dict[str, str] = field(default_factory=dict)

    def lfb(self, *arguments: str, code: int | None = 0, **environment: str) -> Finished:
        """Run ``lfb`` here, in this process; the exit code is asserted unless it is None."""
        from lf_bridge.cli.main import main

        out, err, before = io.StringIO(), io.StringIO(), Path.cwd()
        with (
            contextlib.redirect_stdout(out),
            contextlib.redirect_stderr(err),
            mock.patch.dict(os.environ, self.surroundings(**environment), clear=True),
            mock.patch.object(sys, "argv", ["lfb", *arguments]),
        ):
            os.chdir(self.root)
            try:
                main()
                status = 0
            except SystemExit as stop:
                status = int(stop.code or 0)
            finally:
                os.chdir(before)
        done = Finished(status, out.getvalue(), err.getvalue())
        assert code is None or done.code == code, done.out + done.err
        assert "Traceback" not in done.err
        return done

    def command(self, *arguments: str, **environment: str) -> Finished:
        """Run this Python with the workspace as its folder."""
        done = subprocess.run(
            [sys.executable, *arguments],
            cwd=self.root,
            env=self.surroundings(**environment),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=300,
        )
        return Finished(done.returncode, done.stdout, done.stderr)

    def surroundings(self, **environment: str) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("LFB_", "OLLAMA_", "HF_"))}
        path = os.pathsep.join([str(SHELF), str(Path(__file__).parent)])
        mine = {"PYTHONPATH": path, "LFB_KEY": "for the tests", "LFB_TRAIN_PYTHON": str(self.python)}
        return {**kept, **mine, **self.environment, **environment}

    def recipe(self, text: str, name: str = "mini") -> str:
        """Write a recipe and return its path as a user types it."""
        path = self.root / "recipes" / f"{name}.yaml"
        path.write_text(text, encoding="utf-8")
        return f"recipes/{name}.yaml"


MINI = f"""
data: {{raw: data/raw, system: "{SYSTEM}", validation_fraction: 0.25, cutoff_length: 64}}
model: {{base: base, template: qwen}}
train: {{batch_size: 4, gradient_accumulation: 2}}
publish: {{name: mini-bot, to: local, num_ctx: 256}}
evaluate: {{cases: 8, questions: 2, answer_tokens: 8}}
"""


def make_place(root: Path, *, conversations: int = 40) -> Place:
    """A workspace with a small export, a base model's folder, a recipe and a played training environment."""
    for folder in ("recipes", "data/raw", "base", "environment"):
        (root / folder).mkdir(parents=True)
    (root / "base" / "config.json").write_text("{}")
    (root / "base" / "model.safetensors").write_bytes(b"")
    (root / "Modelfile.template").write_bytes((SHELF / "Modelfile.template").read_bytes())
    with open(root / "data" / "raw" / "export.csv", "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["conversation_id", "message_id", "role", "text"])
        for number in range(conversations):
            one, other = THINGS[number % 10], PLACES[number // 10 % 10]
            writer.writerow([number, f"{number}-0", "customer", f"can I have the {one} sent to my {other}?"])
            writer.writerow([number, f"{number}-1", "agent", f"yes, choose {other} when you order a {one}"])
    program = Path(__file__).parent / "standin_program.py"
    for name in ("python", "llamafactory-cli"):
        script = root / "environment" / name
        script.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{program}" {name} "$@"\n')
        script.chmod(0o755)
    place = Place(root, root / "environment" / "python")
    place.environment["LFB_STANDIN_GGUF"] = str(write_tiny_gguf(root / "tiny.gguf", "F16").path)
    place.recipe(MINI)
    return place
