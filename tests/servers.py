"""Real Ollama servers for the tests: each executable that ``LFB_TEST_OLLAMA`` names, on a port and folder of its own.

A test that takes the fixture ``server`` runs once for each; the session ends with the versions with which at least
one test passed, and fails where those are fewer than ``LFB_REQUIRE_OLLAMA``.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

PROVEN = pytest.StashKey[set[str]]()
ASKED = pytest.StashKey[bool]()


@dataclass
class Server:
    """One executable, and the server process that was started from it."""

    executable: Path
    version: str
    folder: Path
    port: int = 0
    process: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def environment(self) -> dict[str, str]:
        return {
            "PATH": os.environ["PATH"],
            "HOME": str(self.folder),
            "OLLAMA_HOST": self.address,
            "OLLAMA_MODELS": str(self.folder / "models"),
        }

    def start(self) -> Server:
        """Start it (again) and wait until it answers; assert that the process that answers is the one started."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self.port = self.port or _free_port()
        with open(self.folder / "server.log", "ab") as log:
            self.process = subprocess.Popen(
                [str(self.executable), "serve"],
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        until = time.monotonic() + 30
        while not self._answers():
            assert self.process.poll() is None, f"{self.executable} ended: see {log.name}"
            assert time.monotonic() < until, f"{self.executable} does not answer: see {log.name}"
            time.sleep(0.05)
        assert self.process.poll() is None
        if Path("/proc/net/tcp").exists():
            assert _listens(self.process.pid, self.port), f"another process answers at {self.address}"
        return self

    def kill(self) -> None:
        """End the server and the runners it started at once, as a power cut would."""
        if self.process is not None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
            self.process = None

    def command(self, *arguments: str, folder: Path) -> str:
        """What ``ollama ARGUMENTS`` prints, run as a user would against this server."""
        done = subprocess.run(
            [str(self.executable), *arguments],
            env=self.environment,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def _answers(self) -> bool:
        try:
            with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(
                f"http://{self.address}/api/version", timeout=2
            ) as response:
                return f'"{self.version}"' in response.read().decode()
        except OSError:
            return False


@pytest.fixture(scope="session")
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A running server of each version, shared by all tests: each uses model names of its own."""
    executable, version = request.param
    one = Server(executable, version, tmp_path_factory.mktemp(f"ollama-{version}")).start()
    yield one
    one.kill()


@pytest.fixture
def mortal_server(server: Server, tmp_path: Path) -> Iterator[Server]:
    """A server of the same version that the test may kill and start again."""
    one = Server(server.executable, server.version, tmp_path / "ollama").start()
    yield one
    one.kill()


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "server" in metafunc.fixturenames:
        found = [pytest.param(one, id=one[1]) for one in find_servers()]
        none = pytest.param(None, id="none", marks=pytest.mark.skip("no Ollama: LFB_TEST_OLLAMA names none"))
        metafunc.parametrize("server", found or [none], indirect=True, scope="session")


def find_servers() -> list[tuple[Path, str]]:
    """The executables that are to be tested, with the version that each says it is."""
    named = os.environ.get("LFB_TEST_OLLAMA")
    paths = named.split(os.pathsep) if named else [found] if (found := shutil.which("ollama")) else []
    servers = []
    for path in paths:
        said = subprocess.run(
            [path, "--version"],
            env={"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/"), "OLLAMA_HOST": "127.0.0.1:1"},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        version = re.search(r"version is (\S+)", said)
        assert version, f"{path} does not say its version: {said}"
        servers.append((Path(path), version[1]))
    return servers


def pytest_collection_finish(session: pytest.Session) -> None:
    session.config.stash[ASKED] = any("server" in getattr(item, "fixturenames", ()) for item in session.items)
    session.config.stash[PROVEN] = set()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    report = yield
    parameters = item.callspec.params if hasattr(item, "callspec") else {}
    if call.when == "call" and report.passed and "server" in parameters:
        item.config.stash[PROVEN].add(parameters["server"][1])
    return report


def pytest_sessionfinish(session: pytest.Session) -> None:
    required = int(os.environ.get("LFB_REQUIRE_OLLAMA", "0"))
    if session.config.stash.get(ASKED, False) and len(session.config.stash[PROVEN]) < required:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_unconfigure(config: pytest.Config) -> None:
    # Here and not in the summary, so that it is the last line.
    if config.stash.get(ASKED, False):
        proven = config.stash[PROVEN]
        line = f"servers proven: {', '.join(sorted(proven)) or 'none'}"
        required = int(os.environ.get("LFB_REQUIRE_OLLAMA", "0"))
        config.get_terminal_writer().line(line + (f" ({required} required)" if len(proven) < required else ""))


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def _listens(pid: int, port: int) -> bool:
    """Whether the process has the socket that listens on the port (Linux)."""
    mark = f":{port:04X} 00000000:0000 0A"
    listening = {line.split()[9] for line in Path("/proc/net/tcp").read_text().splitlines() if mark in line}
    held = set()
    for one in Path(f"/proc/{pid}/fd").iterdir():
        try:
            held.add(str(one.readlink()))
        except FileNotFoundError:
            continue
    return any(f"socket:[{inode}]" in held for inode in listening)
