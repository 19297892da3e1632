"""Taskmaster: dialogues of a customer and an assistant, and Taskmaster-4's answers with a person's reward."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from lf_bridge.prepare.formats.files import Format, Peek, RowFaults, claim_each
from lf_bridge.prepare.formats.schema import Rows

if TYPE_CHECKING:
    import pyarrow as pa

_NAME = "taskmaster"
_DIALOGUE = {"conversation_id", "utterances"}
_REWARD = {"conversation_id", "context", "generation", "reward"}
_ROLES = {"user": "customer", "assistant": "agent", "agent": "agent"}


def _fits(peek: Peek) -> bool:
    record = next(iter(peek.records), None) if peek.kind in ("json_array", "jsonl") else None
    if not isinstance(record, dict):
        return False
    if set(record) >= _REWARD:
        return True
    utterances = record.get("utterances")
    shown = utterances[0] if isinstance(utterances, list) and utterances else {}
    return set(record) >= _DIALOGUE and isinstance(shown, dict) and {"index", "speaker", "text"} <= set(shown)


def _read(peek: Peek, faults: RowFaults) -> Iterator[pa.RecordBatch]:
    from lf_bridge.prepare.formats.json_files import read_objects

    rows = Rows()
    for row, record in read_objects(peek, faults, path="item"):
        add = None if record is None else _add_dialogue if "utterances" in record else _add_reward
        if record is None or add is None or not add(rows, row, record):
            rows.add(row, "", "unknown", skip="unreadable")
            if record is not None:
                faults.add(peek.label, row, "is neither a dialogue nor an answer with its reward")
        yield from rows.full()
    yield from rows.rest()


def _add_dialogue(rows: Rows, row: int, record: Mapping[str, Any]) -> bool:
    """Take the utterances; what the shop's interface answered before an assistant's one is its context."""
    name, utterances = str(record.get("conversation_id")), record["utterances"]
    if not isinstance(utterances, list) or not all(isinstance(utterance, dict) for utterance in utterances):
        return False
    known: list[str] = []
    for place, utterance in enumerate(utterances):
        role = _ROLES.get(str(utterance.get("speaker")).lower(), "unknown")
        rows.add(
            row,
            str(utterance.get("text") or ""),
            role,
            conversation=name,
            message_id=f"{name}-{utterance.get('index', place)}",
            context="\n".join(known) or None if role == "agent" else None,
        )
        if role == "agent":
            known = []
        notes = utterance.get("annotations")
        for note in notes if isinstance(notes, list) else ():
            if isinstance(note, dict) and note.get("name") == "response":
                known.append(str(note.get("value")))
    return True


def _add_reward(rows: Rows, row: int, record: Mapping[str, Any]) -> bool:
    """Take the turns before an answer, and the answer with its reward; both are JSON in strings."""
    try:
        turns = [*json.loads(record["context"]), json.loads(record["generation"])]
        reward = 1 if float(record["reward"]) > 0 else -1
    except (KeyError, TypeError, ValueError):
        return False
    if not all(isinstance(turn, dict) for turn in turns):
        return False
    name = str(record.get("conversation_id"))
    known: list[str] = []
    for place, turn in enumerate(turns):
        spoken = isinstance(turn.get("text"), str)
        role = _ROLES.get(str(turn.get("role")), "unknown") if spoken else "system"
        rows.add(
            row,
            turn["text"] if spoken else "",
            role,
            conversation=name,
            message_id=f"{name}-{place}",
            skip=None if spoken else "tool_action",
            reward=reward if spoken and place == len(turns) - 1 else 0,
            context="\n".join(known) or None if role == "agent" else None,
        )
        if role == "agent":
            known = []
        elif "response" in turn:
            known.append(json.dumps(turn["response"], ensure_ascii=False))
    return True


FORMAT = Format(
    name=_NAME,
    title="Taskmaster (dialogues, and answers with a person's reward)",
    needs=("conversation_id", "utterances with index, speaker, text", "or context, generation, reward"),
    schema="github.com/google-research-datasets/Taskmaster: TM-4-2024 README, data and reward files",
    claim=claim_each(_NAME, _fits, _read),
)
