"""From messages to conversations that LLaMA-Factory accepts: order, trim, merge, and say what became of each message.

A pure function of one table: all messages of a thread must be in it, nothing else matters.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from lf_bridge.prepare.formats.table import ROLES, UNREAD

# Why a message is dropped; the ledger holds these words.
REASONS = (
    "",
    "no_conversation_id",
    "system_message",
    "unknown_role",
    "empty_text",
    "one_sided",
    "before_customer",
    "unanswered",
    "over_cutoff",
)
STATES = ("kept", "merged", "dropped")
# Text that templates read as tokens of their own (ChatML, Llama 3, DeepSeek's wide bars) or as a place for media.
_BAR = "|\uff5c"
LITERAL_TOKENS = f"<([{_BAR}][^<>{_BAR}]{{1,64}}[{_BAR}]|image|video|audio)>"
_CUSTOMER, _AGENT = ROLES.index("customer"), ROLES.index("agent")
_FAR = np.iinfo(np.int64).max
Numbers = npt.NDArray[Any]


@dataclass(frozen=True)
class Threaded:
    """``turns`` has one row a turn, conversations whole and in order of their id: conversation, customer, share, text.

    ``ledger`` has one row a message, in the order given; its ``turn`` is a row of ``turns``. ``dropped`` counts
    conversations of which nothing is left, by reason.
    """

    turns: pa.Table
    ledger: pa.Table
    dropped: Mapping[str, int]


def thread(messages: pa.Table, key: bytes, seed: int) -> Threaded:
    """Build the conversations of a table of messages.

    Columns: file, row, conversation (hash or null), message_id, customer (hash or null), role, time, single, text.
    """
    messages = messages.combine_chunks()
    text, changed = _clean(_column(messages, "text"))
    reason = _first_reasons(messages, text)
    names, codes = _coded(_column(messages, "conversation"))
    customers, customer_codes = _coded(_column(messages, "customer"))
    role, single = _numbers(messages, "role"), _numbers(messages, "single")

    # The messages that can be used, conversation by conversation, in order.
    index = np.flatnonzero(reason == 0)
    index = index[_order(codes[index], _numbers(messages, "time")[index], len(names))]
    code, part = codes[index], role[index]
    place = np.arange(len(index))
    begins = _changes(code) | (single[index] & (part == _CUSTOMER))
    unit, first = np.cumsum(begins) - 1, np.flatnonzero(begins)
    unit_customer = np.full(len(first), -1)
    if len(first):
        opening = np.minimum.reduceat(np.where(part == _CUSTOMER, place, _FAR), first)
        closing = np.maximum.reduceat(np.where(part == _AGENT, place, -1), first)
        known = np.where((part == _CUSTOMER) & (customer_codes[index] >= 0), place, _FAR)
        speaker = np.minimum.reduceat(known, first)
        unit_customer = np.where(speaker < _FAR, customer_codes[index[np.minimum(speaker, len(index) - 1)]], -1)
        one_sided = (opening == _FAR) | (closing == -1)
        unit_reason = np.where(one_sided, REASONS.index("one_sided"), 0)
        late = np.where(
            place < opening[unit],
            REASONS.index("before_customer"),
            np.where(place > closing[unit], REASONS.index("unanswered"), 0),
        )
        reason[index] = np.where(unit_reason[unit] > 0, unit_reason[unit], late)
    unit_name = _unit_names(names, code[first])

    # Runs of one speaker become one turn.
    kept = reason[index] == 0
    said, said_unit = index[kept], unit[kept]
    heads = _changes(said_unit) | _changes(role[said])
    turn = np.cumsum(heads) - 1
    offsets = pa.array(np.append(np.flatnonzero(heads), len(said)), pa.int32())
    turn_text = pc.binary_join(pa.ListArray.from_arrays(offsets, text.take(pa.array(said))), "\n")
    turn_unit = said_unit[heads]

    state = np.full(len(reason), STATES.index("dropped"), np.int8)
    state[said] = np.where(heads, STATES.index("kept"), STATES.index("merged"))
    message_turn = np.full(len(reason), -1, np.int64)
    message_turn[said] = turn
    owner, speaker_of = codes.astype(np.int64), customer_codes.astype(np.int64)
    owner[index] = unit + len(names)
    speaker_of[index] = unit_customer[unit]
    every_name = pa.chunked_array([names, unit_name], pa.string()).combine_chunks()
    shares = _shares(unit_name, code[first], names, _take(customers, unit_customer), np.unique(turn_unit), key, seed)
    turns = pa.table(
        {
            "conversation": unit_name.take(pa.array(turn_unit)),
            "customer": _take(customers, unit_customer[turn_unit]),
            "share": shares[turn_unit],
            "text": turn_text,
        }
    )
    ledger = pa.table(
        {
            "file": messages["file"],
            "row": messages["row"],
            "message_id": messages["message_id"],
            "customer": _take(customers, speaker_of),
            "state": _words(STATES, state),
            "reason": _words(REASONS, reason),
            "conversation": _take(every_name, owner),
            "changes": pc.if_else(pa.array(changed), "defused", pa.scalar(None, pa.string())),
            "turn": _or_null(message_turn),
        }
    )
    return Threaded(turns, ledger, _dropped(len(names), code, first, unit, kept, reason[index]))


def _clean(text: pa.Array) -> tuple[pa.Array, Numbers]:
    """Trimmed text with literal tokens defused, and which messages that changed."""
    # What shows nothing (zero-width characters, byte order marks) is no text, wherever it stands alone.
    seen = pc.match_substring_regex(text, r"[^\s\p{Z}\p{C}]")
    trimmed = pc.if_else(seen, pc.utf8_trim_whitespace(text), pa.scalar("", text.type))
    changed = pc.match_substring_regex(trimmed, LITERAL_TOKENS)
    if pc.any(changed).as_py():
        trimmed = pc.replace_substring_regex(trimmed, LITERAL_TOKENS, r"< \1>")
    return trimmed, changed.to_numpy(zero_copy_only=False)


def _first_reasons(messages: pa.Table, text: pa.Array) -> Numbers:
    role = _numbers(messages, "role")
    tests = {
        "no_conversation_id": _column(messages, "conversation").is_null().to_numpy(zero_copy_only=False),
        "system_message": role == ROLES.index("system"),
        "unknown_role": role == ROLES.index("unknown"),
        "empty_text": pc.equal(pc.binary_length(text), 0).to_numpy(zero_copy_only=False),
    }
    return np.select(list(tests.values()), [np.int8(REASONS.index(name)) for name in tests], np.int8(0))


def _order(codes: Numbers, times: Numbers, conversations: int) -> Numbers:
    """By conversation, then time; a conversation in which a time is missing stays in file order, and so do ties."""
    untimed = np.zeros(conversations, bool)
    untimed[codes[times <= UNREAD]] = True
    return np.lexsort((np.where(untimed[codes], 0, times), codes))


def _unit_names(names: pa.Array, codes: Numbers) -> pa.Array:
    """The conversation ids: that of the thread, and ``-2``, ``-3`` after it for further rows with the same words."""
    base = names.take(pa.array(codes))
    begins = _changes(codes)
    if begins.all():
        return base
    nth = np.arange(len(codes)) - np.flatnonzero(begins)[np.cumsum(begins) - 1]
    ending = pa.array([f"-{n + 1}" if n else "" for n in nth.tolist()], pa.string())
    return pc.binary_join_element_wise(base, ending, "")


def _shares(
    unit_names: pa.Array, codes: Numbers, names: pa.Array, customers: pa.Array, used: Numbers, key: bytes, seed: int
) -> Numbers:
    """A number from 0 to 1 for each conversation: the same for all of one customer, and for twins."""
    shares = np.zeros(len(unit_names))
    threads = names.take(pa.array(codes[used])).to_pylist()
    people = customers.take(pa.array(used)).to_pylist()
    for unit, one, person in zip(used.tolist(), threads, people, strict=True):
        shares[unit] = int.from_bytes(hmac.digest(key, f"split:{seed}:{person or one}".encode(), "sha256")[:6]) / 2**48
    return shares


def _dropped(
    threads: int, code: Numbers, first: Numbers, unit: Numbers, kept: Numbers, reason: Numbers
) -> dict[str, int]:
    alive = np.zeros(len(first), bool)
    alive[unit[kept]] = True
    one_sided = np.zeros(len(first), bool)
    one_sided[unit[reason == REASONS.index("one_sided")]] = True
    counts = {
        "no_usable_message": threads - len(np.unique(code)),
        "one_sided": int(one_sided.sum()),
        "unanswered": int((~alive & ~one_sided).sum()),
    }
    return {name: count for name, count in counts.items() if count}


def customer_hash(key: bytes, value: str) -> str:
    """What the ledger calls a customer: HMAC-SHA256 with the project's key, 16 hexadecimal digits."""
    return hmac.digest(key, b"customer:" + value.encode(), "sha256").hex()[:16]


def conversation_hash(key: bytes, value: str) -> str:
    """What we call a conversation: HMAC-SHA256 with the project's key, 16 hexadecimal digits."""
    return hmac.digest(key, b"conversation:" + value.encode(), "sha256").hex()[:16]


def _column(table: pa.Table, name: str) -> pa.Array:
    column = table[name]
    return column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column


def _numbers(table: pa.Table, name: str) -> Numbers:
    numbers: Numbers = _column(table, name).to_numpy(zero_copy_only=False)
    return numbers


def _coded(values: pa.Array) -> tuple[pa.Array, Numbers]:
    """The distinct values in order, and for each row its place among them (-1: null)."""
    coded = values.dictionary_encode()
    order = pc.sort_indices(coded.dictionary).to_numpy()
    rank = np.empty(len(order), np.int64)
    rank[order] = np.arange(len(order))
    codes = coded.indices.fill_null(-1).to_numpy(zero_copy_only=False)
    return coded.dictionary.take(pa.array(order)), np.where(codes >= 0, rank[codes] if len(rank) else -1, -1)


def _changes(values: Numbers) -> Numbers:
    """True where a value differs from the one before it, and at the first."""
    return np.concatenate([np.ones(min(len(values), 1), bool), values[1:] != values[:-1]])


def _or_null(places: Numbers) -> pa.Array:
    return pa.array(places, pa.int64(), mask=places < 0)


def _take(values: pa.Array, places: Numbers) -> pa.Array:
    return values.take(_or_null(places))


def _words(words: tuple[str, ...], codes: Numbers) -> pa.Array:
    plain = pa.array([word or None for word in words], pa.string()).take(pa.array(codes))
    return plain.dictionary_encode()
