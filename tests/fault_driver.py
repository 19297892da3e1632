"""Run ``lfb`` and end it at one named point: ``python fault_driver.py POINT kill|interrupt ARGUMENTS...``."""

from __future__ import annotations

import os
import signal
import sys

from lf_bridge import points
from lf_bridge.cli.main import main

point, mode, *arguments = sys.argv[1:]
check = points.reach


def reach(name: str) -> None:
    check(name)
    if name == point:
        os.kill(os.getpid(), signal.SIGKILL if mode == "kill" else signal.SIGINT)


points.reach = reach
sys.argv = ["lfb", *arguments]
main()
