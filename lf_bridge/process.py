"""The one door to other programs.

A child's output goes to a private log (0600) and never to the console: LLaMA-Factory prints training examples.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from lf_bridge.errors import ChildError, Fault, LfbError
from lf_bridge.talk import format_seconds

INSIDE = Path(__file__).parent / "inside"
_ALMOST_NOTHING = 1_000_000  # bytes
_POLL_SECONDS = 0.1
# What a launcher raises when its workers failed says less than what they raised before.
_LAUNCHERS = ("CalledProcessError", "ChildFailedError", "SignalException")
_EXCEPTION = re.compile(
    r"^\s*(?:\[rank\d+\]:\s*)?((?:[A-Za-z_]\w*\.)*[A-Za-z_]\w*(?:Error|Exception|Interrupt|Exit))(?::\s*(.*))?$"
)
# Exceptions whose message names memory, modules and files, never a conversation; of others only the type is shown.
_SAFE = re.compile(
    r"OutOfMemory|ModuleNotFound|ImportError|FileNotFound|PermissionError|OSError|RepositoryNotFound|GatedRepo|"
    r"LocalEntryNotFound|HFValidationError|CUDA|NotImplementedError|InsideError"
)


def run(
    command: Sequence[str],
    *,
    log: Path,
    environment: Mapping[str, str] | None = None,
    watch: Callable[[], None] | None = None,
    hint: Callable[[str], str | None] | None = None,
    group: Path | None = None,
) -> float:
    """Run a program to its end and return the seconds it took.

    Its output is appended to ``log`` (created 0600). ``watch`` is called while it runs and may raise: the child is
    then stopped first. Ctrl-C is passed on to the child. The child dies with this process (Linux).
    ``hint`` is asked for the next step, given the log's last exception line. ``group`` is a file for the number of the
    child's process group, for ``end_group``.
    Raises ``ChildError`` for an exit code other than 0, ``LfbError`` where the program cannot be started.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    started = time.monotonic()
    with open(os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "ab") as output:
        begin = output.tell()
        try:
            child = subprocess.Popen(
                list(command),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=None if environment is None else {**os.environ, **environment},
                start_new_session=True,
                preexec_fn=_die_with_parent if sys.platform == "linux" else None,
            )
        except OSError as error:
            raise LfbError(
                f"cannot start `{command[0]}`: {error.strerror}",
                hint="`lfb doctor` says what is missing and how to install it",
            ) from error
        if group:
            group.write_text(str(child.pid))
        try:
            while child.poll() is None:
                if watch:
                    watch()
                time.sleep(_POLL_SECONDS)
            if watch and child.returncode == 0:
                watch()
        except BaseException:
            _stop(child)
            raise
    seconds = time.monotonic() - started
    if child.returncode != 0:
        raise _failure(command, child.returncode, seconds, log, begin, hint)
    return seconds


def run_inside(
    python: Path, program: str, request: Mapping[str, Any], *, log: Path, environment: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """Run one of the short programs in ``inside/`` with the training environment's Python.

    ``request`` goes in and the returned object comes out as private JSON files. Raises ``ChildError`` where it fails
    and ``LfbError`` where it answers nothing. A program that refuses raises ``InsideError``: its text is shown.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="lfb-") as folder:
        asked, answered = Path(folder, "request.json"), Path(folder, "response.json")
        asked.write_text(json.dumps(request), encoding="utf-8")
        run(
            [str(python), str(INSIDE / f"{program}.py"), str(asked), str(answered)],
            log=log,
            environment={"PYTHONDONTWRITEBYTECODE": "1", "TOKENIZERS_PARALLELISM": "false", **(environment or {})},
        )
        if not answered.is_file():
            raise LfbError(f"`{program}` ended without an answer", hint=f"read {log}")
        answer = json.loads(answered.read_text(encoding="utf-8"))
    if not isinstance(answer, dict):
        raise LfbError(f"`{program}` answered something other than an object", hint=f"read {log}")
    return answer


def output_of(command: Sequence[str], *, cwd: Path | None = None, seconds: float = 20) -> str | None:
    """What a short program prints, or None where it is absent, fails or takes too long."""
    try:
        done = subprocess.run(list(command), cwd=cwd, capture_output=True, text=True, timeout=seconds, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout


def end_group(record: Path, mark: str) -> None:
    """End what is left of a process group that ``run`` recorded, when lfb itself was killed (Linux).

    Only processes whose command line names ``mark`` are ended: numbers are used again. Under torchrun the workers
    outlive the one child that dies with lfb.
    """
    if not record.exists():
        return
    number = int(record.read_text() or 0)
    for process in Path("/proc").glob("[0-9]*"):
        try:
            pid = int(process.name)
            if os.getpgid(pid) == number and mark in (process / "cmdline").read_text(errors="replace"):
                os.kill(pid, signal.SIGKILL)
        except OSError:
            continue
    record.unlink()


def find_beside(python: Path, name: str) -> Path | None:
    """The executable ``name`` of the environment that ``python`` belongs to, else None."""
    found = shutil.which(name, path=str(python.parent))
    return Path(found) if found else None


def last_exception(log: Path, begin: int = 0) -> str:
    """The last exception line of a log, without its message where that could hold text of a conversation."""
    with open(log, "rb") as file:
        file.seek(max(begin, log.stat().st_size - 200_000))
        lines = file.read().decode("utf-8", "replace").splitlines()
    for line in reversed(lines):
        found = _EXCEPTION.match(line)
        if found and not found[1].endswith(_LAUNCHERS):
            name, message = found.groups()
            return f"{name}: {message[:300]}" if message and _SAFE.search(name) else name
    return ""


def _failure(
    command: Sequence[str],
    status: int,
    seconds: float,
    log: Path,
    begin: int,
    hint: Callable[[str], str | None] | None,
) -> ChildError:
    last = last_exception(log, begin)
    refused = last.partition("InsideError: ")[2]
    if refused:
        return ChildError(refused, exit_status=status, hint="mend that, then run the same command again")
    next_step = hint(last) if hint else None
    if shutil.disk_usage(log.parent).free < _ALMOST_NOTHING:
        last = "No space left on device"  # which the child could not write down either
        next_step = "free space there, then run the same command again"
    return ChildError(
        f"`{Path(command[0]).name} {_verb(command)}` stopped with {_status(status)} after {format_seconds(seconds)}",
        exit_status=status,
        faults=[Fault("|", last)] * bool(last) + [Fault("|", f"whole log: {log}")],
        hint=next_step or "read the log (it is private: it may hold conversations), then run the same command again",
    )


def _die_with_parent() -> None:
    with contextlib.suppress(OSError):
        ctypes.CDLL(None).prctl(1, signal.SIGTERM)  # PR_SET_PDEATHSIG, prctl(2)


def _stop(child: subprocess.Popen[bytes]) -> None:
    for step, wait in ((signal.SIGINT, 10), (signal.SIGTERM, 5), (signal.SIGKILL, 5)):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.pid, step)
        try:
            child.wait(wait)
            return
        except subprocess.TimeoutExpired:
            continue


def _verb(command: Sequence[str]) -> str:
    if len(command) > 1 and Path(command[1]).parent == INSIDE:
        return Path(command[1]).stem
    return command[1] if len(command) > 1 else ""


def _status(code: int) -> str:
    if code >= 0:
        return f"exit code {code}"
    return f"signal {signal.Signals(-code).name}"
