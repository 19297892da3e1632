"""Worker processes end with the process that started them, and say so when the system ends one."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest

from lf_bridge.errors import LfbError
from lf_bridge.prepare import workers
from lf_bridge.prepare.workers import Workers

PROGRAM = """
import os, sys, time
from lf_bridge.prepare import workers
if __name__ == "__main__":
    workers.count_cores = lambda: 2
    with workers.Workers() as run:
        print(*run.map(os.getpgid, [0, 0]), flush=True)
        print(*run._pool._processes, flush=True)
        time.sleep(60)
"""


def is_running(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True


def test_workers_do_not_outlive_a_killed_parent(tmp_path: object) -> None:
    program = f"{tmp_path}/program.py"
    with open(program, "w") as file:
        file.write(PROGRAM)
    with subprocess.Popen([sys.executable, program], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        parent.stdout.readline()
        children = [int(word) for word in parent.stdout.readline().split()]
        assert len(children) == 2
        assert all(map(is_running, children))
        parent.send_signal(signal.SIGKILL)
    deadline = time.monotonic() + 20
    while any(map(is_running, children)) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not any(map(is_running, children))


def test_a_worker_that_the_system_ends_is_an_error_with_a_next_step(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "count_cores", lambda: 2)
    with Workers() as run, pytest.raises(LfbError, match="^error: the system ended a worker") as caught:
        list(run.map(os._exit, [1, 1]))
    assert "nothing was changed" in str(caught.value.hint)
