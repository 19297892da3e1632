"""How well a GGUF file predicts held-out answers. A server cannot say: Ollama shows no odds of given text."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from lf_bridge.runtime.embedded import EmbeddedModel
from lf_bridge.talk import Talk


def score(path: Path, cases: Iterable[tuple[list[int], list[int]]], talk: Talk) -> list[tuple[float, int]]:
    """For each case of (prompt ids, answer ids): the answer's loss in nats, summed, and its number of tokens."""
    known = list(cases)
    longest = max((len(prompt) + len(answer) for prompt, answer in known), default=1)
    scores = []
    with EmbeddedModel(path, context=longest) as model, talk.meter(f"scoring {path.parent.name}", "cases") as meter:
        for number, (prompt, answer) in enumerate(known, 1):
            scores.append((sum(model.answer_losses(prompt, answer)), len(answer)))
            meter.update(number, len(known))
    return scores
