"""How many tokens conversations have, asked of LLaMA-Factory in the training environment."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lf_bridge import process
from lf_bridge.errors import Fault, LfbError
from lf_bridge.handover import Environment
from lf_bridge.prepare.assemble import TEXTS, conversation_starts, write_json
from lf_bridge.prepare.folder import private_file
from lf_bridge.prepare.streams import read_stream
from lf_bridge.prepare.threads import column


@dataclass(frozen=True)
class Target:
    """What the examples are fitted to."""

    template: str
    tokenizer: str
    environment: Environment
    trust_remote_code: bool


def write_asked(turns: Path, turns_at: Sequence[int], work: Path) -> list[Path]:
    """The conversations of each part as the program that counts their tokens reads them."""
    asked = [work / f"asked-{part}.jsonl" for part in range(len(turns_at))]
    for path, offset in zip(asked, turns_at, strict=True):
        table = read_stream(turns, offset)
        with private_file(path) as output:
            for line in write_json(column(table, "text"), conversation_starts(column(table, "conversation")), TEXTS):
                output.write(line.encode("ascii") + b"\n")
    return asked


def ask_tokens(asked: Sequence[Path], system: str, cutoff: int, target: Target, work: Path) -> list[Path]:
    """Have every conversation encoded by LLaMA-Factory; returns a file for each, with a line a conversation."""
    answered = [path.with_name(path.name.replace("asked", "answered")) for path in asked]
    for path in answered:
        private_file(path).close()
    request = {
        "template": target.template,
        "tokenizer": target.tokenizer,
        "trust_remote_code": target.trust_remote_code,
        "system": system,
        "cutoff_length": cutoff,
        "conversations": [str(path) for path in asked],
        "answers": [str(path) for path in answered],
    }
    answer = process.run_inside(target.environment.python, "fit", request, log=work.parent / "fit.log")
    (work.parent / "fit.log").unlink(missing_ok=True)
    if "near_templates" in answer:
        near = " or ".join(f"`{name}`" for name in answer["near_templates"])
        raise LfbError(
            f"`{target.template}` is no template of LLaMA-Factory",
            faults=[Fault("model.template", f"did you mean {near}?")] if near else (),
            hint="set `model.template` in the recipe to the one your base model was made with",
        )
    if "tokenizer_problem" in answer:
        raise LfbError(
            f"the tokenizer of `{target.tokenizer}` does not load",
            faults=[Fault("model.base", answer["tokenizer_problem"])],
            hint="check `model.base`; without a network it must be a folder or be in the Hub cache (`lfb doctor`)",
        )
    return answered


def read_answers(path: Path) -> Iterator[dict[str, Any]]:
    """What was answered, a conversation at a time."""
    with open(path, "rb") as file:
        yield from map(json.loads, file)
