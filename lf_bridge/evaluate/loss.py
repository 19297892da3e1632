"""Held-out answer loss of base, tuned, F16 and quantized model, and what may be said of the difference."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from lf_bridge import points
from lf_bridge.errors import Fault, LfbError
from lf_bridge.handover import GgufFile, MergedModel
from lf_bridge.runtime.scoring import score
from lf_bridge.talk import Talk
from lf_bridge.workspace import build, commit, keyed_step

FORMAT = 1
RESAMPLES = 10_000


@dataclass(frozen=True)
class Change:
    """A paired difference of answer losses in nats per token, with its 95% bootstrap interval: None where there is one
    conversation only, of which nothing can be said."""

    mean: float
    low: float | None
    high: float | None


@dataclass(frozen=True)
class HeldOutQuestion:
    """A held-out question with the answers; text of a conversation, so shown only where that is allowed."""

    question: str
    reference: str
    base_answer: str
    tuned_answer: str


@dataclass(frozen=True)
class LossReport:
    """Answer losses in nats per token over the same held-out answers.

    ``tuning`` is tuned minus base, ``quantization`` quantized minus F16; negative is better.
    """

    conversations: int
    tokens: int
    base: float
    tuned: float
    f16: float
    quantized: float
    tuning: Change
    quantization: Change
    seconds: float


@dataclass(frozen=True)
class _Case:
    conversation: int
    prompt: list[int]
    answer: list[int]
    base_loss: float
    tuned_loss: float


def measure(merged: MergedModel, f16: GgufFile, quantized: GgufFile, talk: Talk) -> LossReport:
    """Score the held-out answers on both GGUF files and compare with the merged model."""
    import time

    step = keyed_step(
        merged.run.folder,
        "evaluate",
        {"format": FORMAT, "merged": merged.key, "f16": f16.digest, "quantized": quantized.digest},
    )
    found = step.result()
    if found is None:
        with build(step):
            points.reach("evaluate: before scoring")
            started = time.monotonic()
            cases = _read_cases(merged.cases)
            asked = [(case.prompt, case.answer) for case in cases]
            at_f16 = [loss for loss, _ in score(f16.path, asked, talk)]
            same = quantized.digest == f16.digest
            at_few_bits = at_f16 if same else [loss for loss, _ in score(quantized.path, asked, talk)]
            _check_finite({"F16": at_f16, quantized.quantization: at_few_bits})
            points.reach("evaluate: after scoring")
            report = _report(cases, at_f16, at_few_bits, round(time.monotonic() - started, 1))
            commit(step, asdict(report))
            return report
    talk.say("evaluate: finished already")
    return LossReport(**{**found, "tuning": Change(**found["tuning"]), "quantization": Change(**found["quantization"])})


def held_out_questions(merged: MergedModel) -> list[HeldOutQuestion]:
    """The held-out questions that the export answered with base and tuned model."""
    lines = [json.loads(line) for line in merged.cases.read_text(encoding="ascii").splitlines()]
    return [
        HeldOutQuestion(line["question"], line["reference"], line["base_answer"], line["tuned_answer"])
        for line in lines
        if "question" in line
    ]


def paired_change(
    before: Sequence[float], after: Sequence[float], tokens: Sequence[int], clusters: Sequence[int]
) -> Change:
    """Difference of summed losses per token, resampled by conversation (percentile bootstrap, 10,000 resamples).

    Turns of one conversation are not independent, so whole conversations are drawn: Miller 2024, arXiv 2411.00640.
    """
    import numpy

    groups = numpy.unique(numpy.asarray(clusters), return_inverse=True)[1]
    gaps = numpy.bincount(groups, weights=numpy.asarray(after) - numpy.asarray(before))
    sizes = numpy.bincount(groups, weights=numpy.asarray(tokens, dtype=float))
    mean = float(gaps.sum() / sizes.sum())
    if len(gaps) < 2:
        return Change(mean, None, None)
    drawn = numpy.random.default_rng(0).integers(0, len(gaps), (RESAMPLES, len(gaps)))
    means = gaps[drawn].sum(1) / sizes[drawn].sum(1)
    low, high = numpy.percentile(means, [2.5, 97.5])
    return Change(mean, float(low), float(high))


def _check_finite(losses: Mapping[str, Sequence[float]]) -> None:
    faults = [
        Fault(name, f"{count} of {len(each)} answers have a loss that is not a number")
        for name, each in losses.items()
        if (count := sum(not math.isfinite(loss) for loss in each))
    ]
    if faults:
        raise LfbError(
            "a GGUF file does not compute as the model does",
            faults=faults,
            hint="publish another `publish.quantize`; `lfb doctor` checks the wheels",
        )


def _report(cases: list[_Case], f16: list[float], quantized: list[float], seconds: float) -> LossReport:
    tokens = [len(case.answer) for case in cases]
    clusters = [case.conversation for case in cases]
    base, tuned = [case.base_loss for case in cases], [case.tuned_loss for case in cases]
    total = sum(tokens)
    return LossReport(
        conversations=len(set(clusters)),
        tokens=total,
        base=sum(base) / total,
        tuned=sum(tuned) / total,
        f16=sum(f16) / total,
        quantized=sum(quantized) / total,
        tuning=paired_change(base, tuned, tokens, clusters),
        quantization=paired_change(f16, quantized, tokens, clusters),
        seconds=seconds,
    )


def _read_cases(path: Path) -> list[_Case]:
    names = ("conversation", "prompt", "answer", "base_loss", "tuned_loss")
    lines = [json.loads(line) for line in path.read_text(encoding="ascii").splitlines()]
    if not lines:
        raise LfbError("there is no held-out answer to measure", hint="raise `data.validation_fraction`")
    return [_Case(**{name: line[name] for name in names}) for line in lines]
