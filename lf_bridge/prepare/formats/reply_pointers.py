"""Conversations from reply pointers: each message names the one that it answers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from lf_bridge.prepare.formats.files import RowFaults
from lf_bridge.prepare.formats.schema import or_null

# What spreadsheets make of ids: a decimal point once a cell of the column was empty, and groups of digits.
_FLOAT = r"^([0-9][0-9,]*)\.0*$"
_GROUPED = r"^[0-9]{1,3}(,[0-9]{2,3})+$"
Nodes = npt.NDArray[Any]


@dataclass(frozen=True)
class Resolved:
    """``names``: the conversation of each message, never null. ``cycles``: rings of messages that answer each other,
    opened at their earliest row. ``orphans``: messages that answer one which is not there."""

    names: pa.Array
    cycles: int
    orphans: int

    def tell(self, label: str, faults: RowFaults) -> None:
        """Say what was found, for the user."""
        if self.cycles:
            faults.notes.append(
                f"{label}: {self.cycles} rings of messages that answer each other, cut at the first row"
            )
        if self.orphans:
            faults.notes.append(
                f"{label}: {self.orphans} messages answer one that is not there: they begin a conversation"
            )


def resolve(ids: pa.Array, parents: pa.Array, customers: pa.Array | None = None) -> Resolved:
    """Name the conversation of each message after the id of its first one.

    All three are strings of one length, null or empty where there is nothing; ``customers`` holds the author where a
    customer wrote. Where several customers write under one first message, its conversation is cut by customer, and
    what an agent wrote goes to the customer that it answers.
    """
    count = len(ids)
    ids, parents = normalize_ids(ids), normalize_ids(parents)
    # Codes count first appearances, ids before parents: of two messages the smaller code stands in the earlier row.
    coded = _as_numbers(pa.concat_arrays([ids, parents])).dictionary_encode()
    codes = coded.indices.fill_null(-1).to_numpy(zero_copy_only=False)
    own, parent = codes[:count], codes[count:]
    known = len(coded.dictionary)
    there = np.zeros(known, bool)
    there[own[own >= 0]] = True
    orphans = int(np.count_nonzero((parent >= 0) & ~there[parent])) if known else 0

    # Messages without an id are nodes after all others, so that each has one.
    nameless = np.flatnonzero(own < 0)
    node = own.copy()
    node[nameless] = known + np.arange(len(nameless))
    nodes = known + len(nameless)
    up = np.arange(nodes, dtype=np.int32)
    answers = np.flatnonzero(parent >= 0)[::-1]  # backwards, so that the first of rows with one id is what stays
    up[node[answers]] = parent[answers]
    rings = int(np.count_nonzero((parent == own) & (own >= 0)))
    rings += _open_cycles(up)
    root = _follow(up)[node]
    names = coded.dictionary.cast(pa.string()).take(pa.array(np.where(root < known, root, -1), mask=root >= known))
    if len(nameless):
        row = np.zeros(nodes, np.int64)
        row[node] = np.arange(count)
        names = pc.coalesce(names, pc.binary_join_element_wise("row", pa.array(row[root] + 1).cast(pa.string()), " "))
    if customers is not None:
        names = _cut_by_customer(names, node, up, root, normalize_ids(customers))
    return Resolved(names, rings, orphans)


def normalize_ids(ids: pa.Array) -> pa.Array:
    """Trimmed ids, null where empty; ``3.0`` and ``1,55,157`` are what they were before a spreadsheet saved them."""
    ids = or_null(ids.cast(pa.string()))
    if pc.any(pc.match_substring(ids, ".")).as_py():
        ids = pc.replace_substring_regex(ids, _FLOAT, r"\1")
    if pc.any(pc.match_substring(ids, ",")).as_py():
        grouped = pc.match_substring_regex(ids, _GROUPED)
        ids = pc.if_else(grouped, pc.replace_substring(ids, ",", ""), ids)
    return pc.if_else(
        pc.is_in(ids, pa.array(["", "nan", "NaN", "None", "null", "NULL"])), pa.scalar(None, ids.type), ids
    )


def _as_numbers(ids: pa.Array) -> pa.Array:
    """Ids as integers where that loses nothing: they are coded three times as fast."""
    try:
        numbers = ids.cast(pa.int64())
    except pa.ArrowInvalid:
        return ids
    return numbers if numbers.cast(pa.string()).equals(ids) else ids


def _follow(up: Nodes) -> Nodes:
    """Where each node's pointers end, when each round doubles the steps taken; nodes of a cycle stay in it."""
    for _ in range(max(1, len(up)).bit_length()):
        further = up[up]
        if np.array_equal(further, up):
            break
        up = further
    return up


def _open_cycles(up: Nodes) -> int:
    """Let the earliest node of each cycle point at itself; returns how many cycles there were."""
    ends = _follow(up)
    ring = np.unique(ends[up[ends] != ends])
    if not len(ring):
        return 0
    place = np.searchsorted(ring, up[ring])
    earliest, step = ring, place
    for _ in range(len(ring).bit_length()):
        earliest, step = np.minimum(earliest, earliest[step]), step[step]
    heads = np.unique(earliest)
    up[heads] = heads
    return len(heads)


def _cut_by_customer(names: pa.Array, node: Nodes, up: Nodes, root: Nodes, customers: pa.Array) -> pa.Array:
    """Names with the customer behind them, under first messages that have several."""
    coded = customers.dictionary_encode()
    author = coded.indices.fill_null(-1).to_numpy(zero_copy_only=False)
    of_node = np.full(len(up), -1, np.int32)
    of_node[node[::-1]] = author[::-1]
    # An agent's message passes the question on to what it answers, until a customer wrote.
    owner = _follow(np.where(of_node >= 0, np.arange(len(up), dtype=up.dtype), up))
    customer = np.where(author >= 0, author, of_node[owner[node]])
    written = customer >= 0
    one = np.full(len(up), -1, np.int32)
    one[root[written]] = customer[written]
    several = np.zeros(len(up), bool)
    several[root[written & (customer != one[root])]] = True
    cut = written & several[root]
    if not cut.any():
        return names
    who = coded.dictionary.take(pa.array(np.maximum(customer, 0)))
    return pc.if_else(pa.array(cut), pc.binary_join_element_wise(names, who, " "), names)
