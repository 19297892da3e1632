"""The real chain on the shipped dialogues, built once: the README's tour, run where only loopback can be reached.

What it leaves is kept in ``.cache/`` under a key of everything it depends on, so that a change in the code under test
builds it anew.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml
from readme import blocks
from standins import SHELF, Place

CACHE = SHELF / ".cache"
SOURCES = ("lf_bridge/**/*.py", "lf_bridge/**/*.json", "recipes/*.yaml", "data/sample/*", "constraints/py311.txt")
ALONE = """
import fcntl, os, socket, struct, sys
with socket.socket() as any_socket:
    name = struct.pack("16sh", b"lo", 0x1 | 0x40)  # IFF_UP | IFF_RUNNING, netdevice(7)
    fcntl.ioctl(any_socket, 0x8914, name)  # SIOCSIFFLAGS
os.execvp(sys.argv[1], sys.argv[1:])
"""


@dataclass(frozen=True)
class Chain:
    """The workspace after the tour, what each command printed, and whether the network was out of reach."""

    root: Path
    screens: dict[str, str]
    alone: bool


def chain_key() -> str:
    """A digest of everything that the tour depends on."""
    digest = hashlib.sha256(str(Path(sys.executable)).encode())
    paths = [path for pattern in SOURCES for path in sorted(SHELF.glob(pattern))]
    digest.update(repr([block for block in blocks(SHELF / "README.md") if block.kind == "tour"]).encode())
    for path in (*paths, SHELF / "Modelfile.template", Path(__file__)):
        digest.update(path.relative_to(SHELF).as_posix().encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:16]


def build(root: Path) -> None:
    """Run the tour in a new workspace; a command that fails ends it with both screens."""
    for name in ("recipes", "data/sample"):
        shutil.copytree(SHELF / name, root / name)
    shutil.copy(SHELF / "Modelfile.template", root)
    _give_overrides(root / "recipes")
    alone = subprocess.run(["unshare", "-rn", "true"], capture_output=True).returncode == 0
    shut = ["unshare", "-rn", sys.executable, "-c", ALONE] if alone else []
    screens = {}
    for block in blocks(SHELF / "README.md"):
        for command in block.commands if block.kind == "tour" else ():
            done = subprocess.run(
                [*shut, "bash", "-ec", command],
                cwd=root,
                env=surroundings(),
                input="I would like a latte, please.\n",
                capture_output=True,
                text=True,
            )
            assert done.returncode == 0, f"$ {command}\n{done.stdout}{done.stderr}"
            screens[command] = done.stdout + done.stderr
    (root / "screens.json").write_text(json.dumps({"alone": alone, "screens": screens}))


def surroundings() -> dict[str, str]:
    """The environment of a user: ``lfb`` on PATH, no server, the tests' key so that the split is always the same."""
    dropped = ("LFB_", "OLLAMA_", "HF_")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(dropped)}
    return {
        **kept,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{kept['PATH']}",
        "LFB_KEY": "for the tests",
        "OLLAMA_HOST": "127.0.0.1:9",  # discard: nothing answers there
        "HF_HUB_OFFLINE": "1",
    }


@pytest.fixture(scope="session")
def chain() -> Chain:
    """The finished tour; do not write there."""
    root = CACHE / f"chain-{chain_key()}"
    if not root.exists():
        for old in (*CACHE.glob("chain-*"), *CACHE.glob("building-*")):
            shutil.rmtree(old)
        working = CACHE / f"building-{root.name}"
        working.mkdir(parents=True)
        build(working)
        working.rename(root)
    record = json.loads((root / "screens.json").read_text())
    return Chain(root, record["screens"], record["alone"])


@pytest.fixture
def place(chain: Chain, tmp_path: Path) -> Place:
    """A workspace of one's own, with everything that the tour made."""
    root = tmp_path / "workspace"
    shutil.copytree(chain.root, root)
    return Place(root, Path(sys.executable), {"HF_HUB_OFFLINE": "1"})


def _give_overrides(recipes: Path) -> None:
    """Let ``cs_rank8.yaml`` be what ``demo.yaml`` makes of it, under its own name."""
    real, demo = (yaml.safe_load((recipes / name).read_text()) for name in ("cs_rank8.yaml", "demo.yaml"))
    demo.pop("extends")
    for section, fields in demo.items():
        real[section] = {**real.get(section, {}), **fields}
    real["publish"]["name"] = "support-bot"
    (recipes / "cs_rank8.yaml").write_text(yaml.safe_dump(real))
