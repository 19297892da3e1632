"""All cores: a function over jobs, in processes that end with this one."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from importlib import import_module
from types import TracebackType
from typing import Any, Self, TypeVar

from lf_bridge.errors import LfbError

Job = TypeVar("Job")
Result = TypeVar("Result")


class Workers:
    """As many processes as cores, started when there is more than one job; to be closed by leaving a ``with`` block."""

    def __init__(self) -> None:
        self._pool: ProcessPoolExecutor | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._pool:
            self._pool.shutdown(wait=True, cancel_futures=True)

    def start(self) -> None:
        """Start the processes now, so that they load what they need while this one does something else."""
        if self._pool is None and count_cores() > 1:
            # Not fork: Arrow's threads do not survive it.
            context = multiprocessing.get_context("spawn")
            self._pool = ProcessPoolExecutor(count_cores(), context, initializer=_begin)
            for _ in range(count_cores()):
                self._pool.submit(os.getpid)

    def map(self, function: Callable[[Job], Result], jobs: Sequence[Job]) -> Iterator[Result]:
        """The results in the order of the jobs. Raises ``LfbError`` where the system ends a worker."""
        if len(jobs) > 1:
            self.start()
        if self._pool is None:
            yield from map(function, jobs)
            return
        try:
            for future in [self._pool.submit(function, job) for job in jobs]:
                yield future.result()
        except BrokenProcessPool:
            raise LfbError(
                "the system ended a worker, which mostly means that memory ran out",
                hint="close other programs, or give the log in smaller files; nothing was changed",
            ) from None


def count_cores() -> int:
    """The cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _begin() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides what an interruption means
    parent = multiprocessing.parent_process()
    if parent is not None:
        # A killed parent does not close the queue that workers wait on: they hold its other end themselves.
        threading.Thread(target=_follow, args=(parent,), daemon=True).start()
    import_module("lf_bridge.prepare.parts")


def _follow(parent: Any) -> None:
    parent.join()
    os._exit(1)
