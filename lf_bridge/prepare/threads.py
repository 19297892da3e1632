"""From messages to conversations that LLaMA-Factory accepts: order, cut, trim, merge, and say why a message is left.

A pure function of one table: all messages of a thread must be in it, nothing else matters.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from lf_bridge.prepare.formats.schema import ROLES, SKIPS, UNREAD
from lf_bridge.prepare.hashes import hex_names
from lf_bridge.recipe.preparing import PrepareSettings

# Why a message is dropped; the ledger holds these words. The first that applies is the one that counts.
OF_MESSAGES = (
    "",
    "no_conversation_id",
    *SKIPS,
    "system_message",
    "bot_message",
    "unknown_role",
    "empty_text",
    "already_present",
    "repeated",
    "one_sided",
    "before_customer",
    "unanswered",
    "follow_up",
)
# Text that templates read as tokens of their own (ChatML, Llama 3, DeepSeek's wide bars) or as a place for media.
_BAR = "|\uff5c"
LITERAL_TOKENS = f"<([{_BAR}][^<>{_BAR}]{{1,64}}[{_BAR}]|image|video|audio)>"
_CUSTOMER, _AGENT, _BOT = (ROLES.index(role) for role in ("customer", "agent", "bot"))
_FAR = np.iinfo(np.int64).max
_MINUTE = 60_000_000
Numbers = npt.NDArray[Any]


@dataclass(frozen=True)
class Threaded:
    """Messages as conversations.

    ``turns`` has one row a turn, conversations whole and in the order of ``units``: unit (row of ``units``), text,
    context, reward, draft. ``units`` has one row a usable conversation, in order of its thread's hash: thread and
    customer (their hashes; customer 0 where unknown), name, time (first, microseconds), rating, resolved.
    For each message, in the order given: ``reason`` (index into OF_MESSAGES), ``turn`` (row of ``turns`` or -1),
    ``head`` (the first of its turn), ``owner`` (row of ``names``: what the ledger calls its conversation, or -1) and
    ``speaker`` (the hash of its conversation's customer, or 0). ``lost`` counts the conversations of which nothing is
    left, by reason.
    """

    turns: pa.Table
    units: pa.Table
    reason: Numbers
    turn: Numbers
    head: Numbers
    owner: Numbers
    names: pa.Array
    speaker: Numbers
    lost: Mapping[str, int]


def thread(messages: pa.Table, repeated: Numbers, settings: PrepareSettings) -> Threaded:
    """Build the conversations of a table of cleaned messages.

    Columns as in ``message_schema``, but conversation and customer are hashes (uint64, null where there is none).
    ``repeated``: for each message the index into OF_MESSAGES of why it says nothing new, or 0.
    """
    messages = messages.combine_chunks()
    text, role, time = column(messages, "text"), numbers(messages, "role"), numbers(messages, "time")
    reason = _first_reasons(messages, text, role, repeated, settings)
    role = np.where(role == _BOT, _AGENT, role)
    threads, codes = _coded(messages, "conversation")
    customers = numbers(messages, "customer", fill=0)

    # The messages that can be used, conversation by conversation, in order.
    index = np.flatnonzero(reason == 0)
    index = index[_order(codes[index], time[index], len(threads))]
    code, part, at = codes[index], role[index], time[index]
    place = np.arange(len(index))
    begins = _changes(code) | (numbers(messages, "single")[index] & (part == _CUSTOMER))
    silence = np.diff(at, prepend=at[:1]) > settings.threads.gap_minutes * _MINUTE
    timed = (at > UNREAD) & (np.append(UNREAD, at[:-1]) > UNREAD)
    begins |= numbers(messages, "cut_by_gap")[index] & silence & timed
    unit, first = np.cumsum(begins) - 1, np.flatnonzero(begins)
    person = np.zeros(len(first), np.uint64)
    if len(first):
        opening = np.minimum.reduceat(np.where(part == _CUSTOMER, place, _FAR), first)
        closing = np.maximum.reduceat(np.where(part == _AGENT, place, -1), first)
        known = np.where((part == _CUSTOMER) & (customers[index] > 0), place, _FAR)
        speaker = np.minimum.reduceat(known, first)
        person = np.where(speaker < _FAR, customers[index[np.minimum(speaker, len(index) - 1)]], 0).astype(np.uint64)
        one_sided = (opening == _FAR) | (closing == -1)
        late = np.where(
            place < opening[unit], _why("before_customer"), np.where(place > closing[unit], _why("unanswered"), 0)
        )
        reason[index] = np.where(one_sided[unit], _why("one_sided"), late)
    names = _unit_names(threads, code[first])

    # Runs of one speaker become one turn.
    kept = reason[index] == 0
    said, said_unit, said_at = index[kept], unit[kept], at[kept]
    heads = _changes(said_unit) | _changes(role[said])
    if settings.threads.merge_minutes:
        late_reply = _follow_ups(heads, role[said] == _AGENT, said_at, settings.threads.merge_minutes)
        reason[said[late_reply]] = _why("follow_up")
        said, said_unit, heads = said[~late_reply], said_unit[~late_reply], heads[~late_reply]
    turn = np.cumsum(heads) - 1
    offsets = np.append(np.flatnonzero(heads), len(said))
    turn_unit = said_unit[heads]
    used, turn_row = np.unique(turn_unit, return_inverse=True)
    units = pa.table(
        {
            "thread": threads[code[first[used]]],
            "name": names.take(pa.array(used)),
            "customer": person[used],
            "time": np.minimum.reduceat(at, first)[used] if len(first) else np.zeros(0, np.int64),
            "rating": _verdicts(numbers(messages, "rating"), codes, index, first)[used],
            "resolved": _verdicts(numbers(messages, "resolved"), codes, index, first)[used],
        }
    )
    turns = pa.table({"unit": turn_row.astype(np.int32), **_say(messages, text, said, offsets, settings)})
    owner = codes.copy()
    owner[index] = unit + len(threads)
    speakers = customers.copy()
    speakers[index] = person[unit]
    message_turn = np.full(len(reason), -1, np.int64)
    message_turn[said] = turn
    head = np.zeros(len(reason), bool)
    head[said] = heads
    every = pa.chunked_array([hex_names(threads), names]).combine_chunks()
    lost = {
        "no_usable_message": len(threads) - len(np.unique(code)),
        "one_sided": len(np.unique(unit[reason[index] == _why("one_sided")])),
    }
    lost["unanswered"] = len(first) - len(used) - lost["one_sided"]
    lost = {name: count for name, count in lost.items() if count}
    return Threaded(turns, units, reason, message_turn, head, owner, every, speakers, lost)


def defuse(text: pa.Array) -> tuple[pa.Array, Numbers]:
    """Text with literal template tokens broken by a space, and which messages that changed."""
    changed = pc.match_substring_regex(text, LITERAL_TOKENS)
    if pc.any(changed).as_py():
        text = pc.replace_substring_regex(text, LITERAL_TOKENS, r"< \1>")
    return text, changed.fill_null(False).to_numpy(zero_copy_only=False)


def _say(
    messages: pa.Table, text: pa.Array, said: Numbers, offsets: Numbers, settings: PrepareSettings
) -> dict[str, pa.Array]:
    """The columns of the turns, from the messages that are said and where each turn begins among them."""

    def join(values: pa.Array, between: str) -> pa.Array:
        return pc.binary_join(pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), values), between)

    rows = pa.array(said)
    joined = join(text.take(rows), "\n")
    count = len(joined)
    columns = {"text": joined, "reward": pa.array(_worst(numbers(messages, "reward")[said], offsets[:-1]), pa.int8())}
    for name, otherwise in (("context", pa.scalar("", pa.string())), ("draft", text.take(rows))):
        values = column(messages, name).take(rows)
        if values.null_count == len(values):
            columns[name] = pa.nulls(count, pa.string())
            continue
        there = np.add.reduceat(values.is_valid().to_numpy(zero_copy_only=False).astype(np.int64), offsets[:-1]) > 0
        filled = join(pc.coalesce(values, otherwise), "\n")
        columns[name] = pc.if_else(pa.array(there), pc.utf8_trim_whitespace(filled), pa.scalar(None, pa.string()))
    if settings.knowledge.in_prompt and columns["context"].null_count < count:
        columns["text"] = _with_knowledge(columns["text"], columns["context"], settings.knowledge.form)
    return columns


def _with_knowledge(texts: pa.Array, context: pa.Array, form: str) -> pa.Array:
    """Questions with the knowledge that they or their answers name put around them."""
    known = context.to_pylist()
    filled = texts.to_pylist()
    for place in range(0, len(filled), 2):
        pieces = dict.fromkeys(piece for piece in known[place : place + 2] if piece)
        if pieces:
            filled[place] = form.format(knowledge="\n".join(pieces), question=filled[place])
    return pa.array(filled, pa.string())


def _first_reasons(
    messages: pa.Table, text: pa.Array, role: Numbers, repeated: Numbers, settings: PrepareSettings
) -> Numbers:
    reason = np.zeros(len(role), np.int8)
    tests = {
        "empty_text": pc.equal(pc.binary_length(text), 0).fill_null(True).to_numpy(zero_copy_only=False),
        "unknown_role": role == ROLES.index("unknown"),
        "bot_message": (role == _BOT) & (settings.threads.bots == "drop"),
        "internal_note": role == ROLES.index("note"),
        "system_message": role == ROLES.index("system"),
    }
    reason[:] = repeated
    for name, applies in tests.items():
        reason[applies] = _why(name)
    skip = column(messages, "skip")
    if skip.null_count < len(skip):
        coded = skip.dictionary_encode()
        meaning = np.array([_why(word) for word in coded.dictionary.to_pylist()] or [0], np.int8)
        there = coded.indices.is_valid().to_numpy(zero_copy_only=False)
        reason[there] = meaning[coded.indices.fill_null(0).to_numpy(zero_copy_only=False)][there]
    lost = column(messages, "conversation").is_null().to_numpy(zero_copy_only=False)
    reason[lost & (reason != _why("unreadable"))] = _why("no_conversation_id")
    return reason


def _order(codes: Numbers, times: Numbers, conversations: int) -> Numbers:
    """By conversation, then time; a conversation in which a time is missing stays in file order, and so do ties."""
    untimed = np.zeros(conversations, bool)
    untimed[codes[times <= UNREAD]] = True
    return np.lexsort((np.where(untimed[codes], 0, times), codes))


def _follow_ups(heads: Numbers, agent: Numbers, times: Numbers, minutes: float) -> Numbers:
    """Which messages of an agent come longer than this after the one before, in one run, and what comes after them."""
    silence = np.diff(times, prepend=times[:1]) > minutes * _MINUTE
    timed = (times > UNREAD) & (np.append(UNREAD, times[:-1]) > UNREAD)
    late = np.cumsum(silence & timed & ~heads & agent)
    begins = np.maximum.accumulate(np.where(heads, np.arange(len(heads)), 0))
    return agent & (late > late[begins])


def _unit_names(threads: Numbers, codes: Numbers) -> pa.Array:
    """What conversations are called: their thread's hash, and ``-2``, ``-3`` after it for further ones of a thread."""
    base = hex_names(threads[codes])
    begins = _changes(codes)
    if begins.all():
        return base
    nth = np.arange(len(codes)) - np.flatnonzero(begins)[np.cumsum(begins) - 1]
    ending = pa.array([f"-{n + 1}" if n else "" for n in nth.tolist()], pa.string())
    return pc.binary_join_element_wise(base, ending, "")


def _verdicts(values: Numbers, codes: Numbers, index: Numbers, first: Numbers) -> Numbers:
    """What is said of each conversation, by a message of it, or of its thread where that is one conversation."""
    said = _worst(values[index], first)
    of_unit = codes[index[first]]
    alone = np.bincount(of_unit, minlength=codes.max(initial=-1) + 1)[of_unit] == 1
    rows = np.flatnonzero((values != 0) & (codes >= 0))
    rows = rows[np.argsort(codes[rows], kind="stable")]
    heads = np.flatnonzero(_changes(codes[rows]))
    of_thread = np.zeros(codes.max(initial=-1) + 1, np.int8)
    of_thread[codes[rows[heads]]] = _worst(values[rows], heads)
    return np.where((said == 0) & alone, of_thread[of_unit], said).astype(np.int8)


def _worst(values: Numbers, first: Numbers) -> Numbers:
    """For each group that begins at ``first``: -1 where one says so, else the largest."""
    if not len(first):
        return np.zeros(0, np.int8)
    least, most = np.minimum.reduceat(values, first), np.maximum.reduceat(values, first)
    return np.where(least < 0, least, most).astype(np.int8)


def _why(word: str) -> int:
    return OF_MESSAGES.index(word)


def column(table: pa.Table, name: str) -> pa.Array:
    """A table's column as one array."""
    values = table[name]
    return values.combine_chunks() if isinstance(values, pa.ChunkedArray) else values


def numbers(table: pa.Table, name: str, fill: int | None = None) -> Numbers:
    """A table's column of numbers or flags, nulls replaced by ``fill``."""
    values = column(table, name)
    result: Numbers = (values if fill is None else values.fill_null(fill)).to_numpy(zero_copy_only=False)
    return result


def _coded(table: pa.Table, name: str) -> tuple[Numbers, Numbers]:
    """The distinct hashes in order, and for each row its place among them (-1: null)."""
    values = column(table, name)
    there = values.is_valid().to_numpy(zero_copy_only=False)
    distinct, codes = np.unique(values.fill_null(0).to_numpy(zero_copy_only=False)[there], return_inverse=True)
    full = np.full(len(values), -1, np.int64)
    full[there] = codes
    return distinct, full


def _changes(values: Numbers) -> Numbers:
    """True where a value differs from the one before it, and at the first."""
    return np.concatenate([np.ones(min(len(values), 1), bool), values[1:] != values[:-1]])
