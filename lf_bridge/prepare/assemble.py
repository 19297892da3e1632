"""Conversations as JSON text, built from whole columns.

ASCII only: LLaMA-Factory opens files in the encoding of the locale.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from json.encoder import encode_basestring_ascii
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc


@dataclass(frozen=True)
class Shape:
    """What stands around a conversation, and before and after a customer's and an agent's words."""

    begin: str
    customer: str
    agent: str
    after: str
    end: str


PLAIN = Shape("[", '{"role": "user", "content": ', '{"role": "assistant", "content": ', "}", "]")
TEXTS = Shape("[", "", "", "", "]")


def sharegpt(system: str) -> Shape:
    """LLaMA-Factory's ShareGPT with the system prompt in a column of its own."""
    return Shape(
        '{"conversations": [', '{"from": "human", "value": ', '{"from": "gpt", "value": ', "}",
        f'], "system": {json.dumps(system)}}}',
    )  # fmt: skip


def write_json(texts: pa.Array, starts: npt.NDArray[Any], shape: Shape) -> list[str]:
    """One JSON text for each conversation. ``starts`` are the rows in ``texts`` where one begins; turns alternate."""
    if not len(starts):
        return []
    place = np.arange(len(texts))
    lengths = np.diff(np.append(starts, len(texts)))
    agent = (place - np.repeat(starts, lengths)) % 2 == 1
    before = pc.if_else(pa.array(agent), shape.agent, shape.customer)
    pieces = pc.binary_join_element_wise(before, _escape(texts), shape.after, "")
    offsets = pa.array(np.append(starts, len(texts)), pa.int32())
    joined = pc.binary_join(pa.ListArray.from_arrays(offsets, pieces), ", ")
    written: list[str] = pc.binary_join_element_wise(shape.begin, joined, shape.end, "").to_pylist()
    return written


def _escape(texts: pa.Array) -> pa.Array:
    """Texts as JSON strings: those that need no escape are only quoted."""
    special = pc.match_substring_regex(texts, r"[^ !#-\[\]-~]")
    quoted = pc.binary_join_element_wise('"', texts, '"', "")
    if pc.any(special).as_py():
        escaped = [encode_basestring_ascii(text) for text in texts.filter(special).to_pylist()]
        quoted = pc.replace_with_mask(quoted, special, pa.array(escaped, pa.string()))
    return quoted


def conversation_starts(conversations: pa.Array) -> npt.NDArray[Any]:
    """The rows at which another conversation begins."""
    if not len(conversations):
        return np.array([], np.int64)
    changes = pc.not_equal(conversations.slice(1), conversations.slice(0, len(conversations) - 1))
    return np.flatnonzero(np.append(True, changes.to_numpy(zero_copy_only=False)))
