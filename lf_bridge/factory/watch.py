"""Watching a training while it runs: its progress, and the first number that is not finite."""

from __future__ import annotations

import json
import math
import re
import time
from pathlib import Path

from lf_bridge.errors import Fault, LfbError
from lf_bridge.talk import Meter
from lf_bridge.workspace import write_atomic

_LOADED = re.compile(r"\*{3,} Running (training|Evaluation) \*{3,}.*?Num examples = ([\d,]+)", re.DOTALL)
_ROWS = re.compile(r"Generating train split: (\d+) examples")


class Watch:
    """Reads LLaMA-Factory's ``trainer_log.jsonl`` and the log as they grow; call it while the child runs.

    Raises ``LfbError`` at the first loss or gradient norm that is not finite: such a run is lost, and LLaMA-Factory
    would go on to its end with exit code 0.
    """

    def __init__(self, output: Path, log: Path, meter: Meter) -> None:
        self._records = output / "trainer_log.jsonl"
        self._log = log
        self._meter = meter
        self._record_offset = self._size(self._records)
        self._log_offset = self._size(log)

    def __call__(self) -> None:
        for line in self._grown(self._records, "_record_offset"):
            self._read_record(line)
        for line in self._grown(self._log, "_log_offset"):
            found = re.search(r"'grad_norm': '?(-?nan|-?inf)", line)
            if found:
                raise _not_finite("gradient norm", found.group(1), "")

    def _read_record(self, line: str) -> None:
        record = json.loads(line)
        step, total = record.get("current_steps", 0), record.get("total_steps")
        loss = record.get("loss")
        if loss is not None and not math.isfinite(loss):
            raise _not_finite("loss", str(loss), f" at step {step} of {total}")
        self._meter.update(step, total, f"loss {loss:.3f}" if loss is not None else "")

    def _grown(self, path: Path, offset: str) -> list[str]:
        if not path.exists():
            return []
        with open(path, "rb") as file:
            file.seek(getattr(self, offset))
            data = file.read()
        whole = data.rfind(b"\n") + 1
        setattr(self, offset, getattr(self, offset) + whole)
        return data[:whole].decode("utf-8", "replace").splitlines()

    @staticmethod
    def _size(path: Path) -> int:
        return path.stat().st_size if path.exists() else 0


def check_finite(output: Path) -> None:
    """Check every reading that ``trainer_state.json`` kept; raises ``LfbError`` at the first that is not finite."""
    state = json.loads((output / "trainer_state.json").read_text(encoding="utf-8"))
    for entry in state["log_history"]:
        for name, said in (("loss", "loss"), ("eval_loss", "validation loss"), ("grad_norm", "gradient norm")):
            value = entry.get(name)
            if value is not None and not math.isfinite(float(value)):
                raise _not_finite(said, str(value), f" at step {entry.get('step')}")


def check_loaded(log: Path, *, packed: bool, train: int, validation: int | None, begun_at: int | None = None) -> bool:
    """Compare what LLaMA-Factory says it loaded with what the dataset holds; returns whether it has said it yet.

    Packed stages are counted before packing. ``begun_at`` asks while it runs, where this attempt begins in the log:
    only about the training examples, and nothing said yet is no fault. Raises ``LfbError`` naming both numbers:
    LLaMA-Factory drops rows that it dislikes with a warning and exit code 0.
    """
    text = log.read_bytes().decode("latin-1") if log.exists() else ""  # one character a byte, so that offsets hold
    found = {kind: int(count.replace(",", "")) for kind, count in _LOADED.findall(text)}
    if begun_at is not None and not _LOADED.search(text, begun_at):
        return False
    if packed:
        rows = [int(count) for count in _ROWS.findall(text) if int(count)]
        found["training"] = rows[-1] if rows else -1
    expected = {"training": train}
    if validation is not None and begun_at is None:
        expected["Evaluation"] = validation
    faults = [
        Fault(
            "train" if kind == "training" else "validation",
            f"the dataset holds {count} examples, LLaMA-Factory "
            + (f"loaded {found[kind]}" if found.get(kind, -1) >= 0 else "did not say how many it loaded"),
        )
        for kind, count in expected.items()
        if found.get(kind, -1) != count
    ]
    if faults:
        raise LfbError(
            "LLaMA-Factory did not load the dataset as it was prepared",
            faults=faults,
            hint="run `lfb prepare` again; if it happens again, the dataset was changed by hand",
        )
    return True


class Stopwatch:
    """Seconds of work, kept in a file so that a crash does not lose those of earlier attempts."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.before = float(path.read_text() or 0) if path.exists() else 0.0
        self._started = self._written = time.monotonic()

    def __call__(self) -> None:
        now = time.monotonic()
        if now - self._written >= 1 or self._written == self._started:
            self._written = now
            write_atomic(self._path, f"{self.before + now - self._started:.1f}".encode())


def _not_finite(what: str, value: str, where: str) -> LfbError:
    return LfbError(
        f"training stopped: the {what} is {value}{where}",
        hint="lower `train.learning_rate`, or set `compute.precision: fp32` or `compute.attention: disabled`",
    )
