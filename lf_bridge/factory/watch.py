"""Watching a training while it runs: its progress, and the first number that is not finite."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path

from lf_bridge.errors import Fault, LfbError
from lf_bridge.talk import Meter

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


def check_loaded(log: Path, *, packed: bool, train: int, validation: int | None) -> None:
    """Compare what LLaMA-Factory says it loaded with what the dataset holds.

    Packed stages are counted before packing. Raises ``LfbError`` naming both numbers: LLaMA-Factory drops rows that it
    dislikes with a warning and exit code 0.
    """
    text = log.read_bytes().decode("utf-8", "replace")
    found = {kind: int(count.replace(",", "")) for kind, count in _LOADED.findall(text)}
    if packed:
        rows = [int(count) for count in _ROWS.findall(text) if int(count)]
        found["training"] = rows[-1] if rows else -1
    expected = {"training": train} | ({"Evaluation": validation} if validation is not None else {})
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


def _not_finite(what: str, value: str, where: str) -> LfbError:
    return LfbError(
        f"training stopped: the {what} is {value}{where}",
        hint="lower `train.learning_rate`, or set `compute.precision: fp32` or `compute.attention: disabled`",
    )
