"""How long `lfb --help` takes: the median of wall times, printed as one JSON object."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time

RUNS = 15


def main() -> None:
    """Time the command in fresh processes, and an empty Python for comparison."""
    commands = {
        "python": "pass",
        "lfb --help": "from lf_bridge.cli.main import main; import sys; sys.argv[1:] = ['--help']; main()",
    }
    times: dict[str, list[float]] = {name: [] for name in commands}
    for _ in range(RUNS):
        for name, program in commands.items():
            started = time.perf_counter()
            subprocess.run([sys.executable, "-c", program], stdout=subprocess.DEVNULL, check=True)
            times[name].append(time.perf_counter() - started)
    figures = {
        name: {"median_seconds": round(statistics.median(each), 3), "runs": RUNS} for name, each in times.items()
    }
    print(json.dumps({"benchmark": "startup", **figures}))


if __name__ == "__main__":
    main()
