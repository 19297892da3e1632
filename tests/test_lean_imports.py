"""What starts fast stays fast: help and recipe checking load nothing heavy."""

from __future__ import annotations

import subprocess
import sys

import pytest

from lf_bridge.cli.main import lfb

HEAVY = (
    "pandas",
    "pyarrow",
    "numpy",
    "torch",
    "transformers",
    "ollama",
    "httpx",
    "huggingface_hub",
    "gguf",
    "pydantic",
)
COMMANDS = tuple(lfb.commands)
PROGRAM = """
import sys
from lf_bridge.cli.main import main
sys.argv = ["lfb", *{arguments!r}]
try:
    main()
except SystemExit as stop:
    assert not stop.code, stop.code
print("loaded:", *[name for name in {heavy!r} if name in sys.modules])
"""


@pytest.mark.parametrize(
    "arguments", [("--help",), ("--version",), *((command, "--help") for command in COMMANDS)], ids=" ".join
)
def test_help_loads_nothing_heavy(arguments: tuple[str, ...]) -> None:
    program = PROGRAM.format(arguments=arguments, heavy=HEAVY)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[-1] == "loaded:"
    assert lines[0].startswith(("Usage: ", "lfb, version "))
