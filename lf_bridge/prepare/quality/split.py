"""Who is held out: whole customers, twins with them, and for good."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from lf_bridge.prepare.quality.candidates import BANDS, Signatures, group
from lf_bridge.prepare.quality.components import connect, firsts
from lf_bridge.prepare.quality.fingerprints import Fingerprints, mix

TRAIN, VALIDATION = 0, 1
_NEW = -1
_FAR = np.iinfo(np.int64).max
_PAIRS = 1 << 22  # of one band, before its groups are divided by another
Numbers = npt.NDArray[Any]


@dataclass(frozen=True)
class Split:
    """One entry a conversation: ``side`` (TRAIN, VALIDATION, or -1 where it is dropped); ``dropped`` marks newcomers
    that have a twin on the other side."""

    side: npt.NDArray[np.int8]
    dropped: npt.NDArray[np.bool_]


def assign(
    customers: npt.NDArray[np.uint64],
    twins: npt.NDArray[np.int64],
    times: npt.NDArray[np.int64],
    known_side: npt.NDArray[np.int8],
    fraction: float,
    seed: int,
    by: Literal["customer", "time"],
) -> Split:
    """Say on which side each conversation stands.

    ``customers`` are keyed hashes of the customer, or of the thread where there is none; ``twins`` the row that each
    conversation is a twin of, or its own; ``times`` microseconds since 1970, of any one message of it; ``known_side``
    where it stands in the dataset that is appended to, -1 for a newcomer.

    All of a customer and all twins stand together, and who is known stays. By ``customer``, a share of the hashes is
    held out, whoever else is there; by ``time``, those who first appear last. Where both sides can have one group of
    customers, both do, and only as many move as that needs.
    """
    side = np.array(known_side, np.int8)
    dropped = np.zeros(len(side), bool)
    fresh = side == _NEW
    if not fresh.any():
        return Split(side, dropped)
    rows = np.arange(len(side))
    cluster = rows.copy()
    connect(cluster, rows, twins)
    together = cluster.copy()
    person = firsts(customers)
    connect(together, rows, person)

    has = [_with(together, side == one) for one in (TRAIN, VALIDATION)]
    mixed = fresh & has[TRAIN] & has[VALIDATION]
    for one in (TRAIN, VALIDATION):
        side[fresh & has[one] & ~mixed] = one
    _part_mixed(side, dropped, mixed, person, cluster, _share(customers, seed) < _limit(fraction))

    unbound = np.flatnonzero(side == _NEW)
    unbound = unbound[~dropped[unbound]]
    if len(unbound):
        names, of = np.unique(together[unbound], return_inverse=True)
        least = np.full(len(names), np.iinfo(np.uint64).max, np.uint64)
        np.minimum.at(least, of, customers[unbound])
        share = _share(least, seed)
        if by == "time":
            begin = np.full(len(names), _FAR)
            np.minimum.at(begin, of, times[unbound])
            order = np.lexsort((share, -begin.astype(np.float64)))
            held = int(np.searchsorted(np.cumsum(np.bincount(of)[order]), fraction * len(unbound), "right"))
        else:
            order = np.argsort(share, kind="stable")
            held = int((share < _limit(fraction)).sum())
        if not (side == VALIDATION).any():
            held = max(held, 1)
        if not (side == TRAIN).any():
            held = min(held, len(names) - 1)
        chosen = np.zeros(len(names), np.int8)
        chosen[order[:held]] = VALIDATION
        side[unbound] = chosen[of]
    return Split(side, dropped)


def is_held_out(customers: npt.NDArray[np.uint64], fraction: float, seed: int) -> npt.NDArray[np.bool_]:
    """Who would be held out by hash alone, whoever else is there."""
    return np.asarray(_share(customers, seed) < _limit(fraction))


def find_leaks(side: npt.NDArray[np.int8], parts: Sequence[Fingerprints], similarity: float) -> int:
    """How many validation conversations have a twin in the training split: the same question and answer without case
    and white space, or an estimated Jaccard similarity of ``similarity``. Rows with another side are not looked at."""
    return int(leaking(side, parts, similarity).sum())


def leaking(side: npt.NDArray[np.int8], parts: Sequence[Fingerprints], similarity: float) -> Numbers:
    """Which validation conversations those are."""
    exact = np.concatenate([np.zeros(0, np.uint64), *(part.exact for part in parts)])
    leaks: Numbers = (side == VALIDATION) & _with(firsts(exact), side == TRAIN)
    signatures = Signatures(parts, similarity)
    used = np.flatnonzero(((side == TRAIN) | (side == VALIDATION)) & signatures.comparable)
    is_held_out = side[used] == VALIDATION

    def look(band: int) -> None:
        keys = signatures.band(band)[used]
        start = keys >> np.uint64(42)
        sieve = np.zeros(1 << 22, bool)
        sieve[start[is_held_out]] = True
        near = sieve[start]
        rows, begins = group(keys[near], used[near])
        for further in range(1, 4):
            held, trained = _pair_counts(rows, begins, side)
            if int((held * trained).sum()) <= _PAIRS:
                break
            # Too many share this band alone; those that are alike share others too.
            lengths = np.diff(np.append(begins, len(rows)))
            keys = mix(signatures.band(band + further)[rows] ^ mix(np.repeat(begins.astype(np.uint64), lengths)))
            rows, begins = group(keys, rows)
        for held_out, train in _pairs(rows, begins, side):
            unsettled = ~leaks[held_out]
            held_out, train = held_out[unsettled], train[unsettled]
            leaks[held_out[signatures.alike(held_out, train)]] = True

    with ThreadPoolExecutor() as threads:
        list(threads.map(look, range(BANDS)))
    return leaks


def _with(labels: Numbers, marked: Numbers) -> Numbers:
    """Rows whose label a marked row has too."""
    seen = np.zeros(len(labels), bool)
    seen[labels[marked]] = True
    having: Numbers = seen[labels]
    return having


def _part_mixed(
    side: Numbers, dropped: Numbers, mixed: Numbers, person: Numbers, cluster: Numbers, held_out: Numbers
) -> None:
    """Newcomers that hang, through others, on both sides: each goes where its customer is or belongs, and is dropped
    where a twin is elsewhere."""
    known = [_with(person, side == one) for one in (TRAIN, VALIDATION)]
    goes = np.where(known[TRAIN], TRAIN, np.where(known[VALIDATION] | held_out, VALIDATION, TRAIN))
    twin_known = [_with(cluster, side == one) for one in (TRAIN, VALIDATION)]
    side[mixed] = goes[mixed]
    for one, other in ((TRAIN, VALIDATION), (VALIDATION, TRAIN)):
        dropped |= mixed & (goes == one) & twin_known[other]
    # Newcomers alone that are twins of each other: those in the training split stay.
    staying = mixed & ~dropped
    dropped |= staying & (goes == VALIDATION) & _with(cluster, staying & (goes == TRAIN))
    side[dropped] = _NEW


def _share(customers: Numbers, seed: int) -> npt.NDArray[np.uint64]:
    # splitmix64 of the hash with the seed: even over all 64 bits, and another split for every seed.
    return mix(customers ^ mix(np.array([seed % 2**64], np.uint64) + np.uint64(0x9E3779B97F4A7C15)))


def _limit(fraction: float) -> np.uint64:
    return np.uint64(min(int(fraction * 2.0**64), 2**64 - 1))


def _pair_counts(rows: Numbers, begins: Numbers, side: Numbers) -> tuple[Numbers, Numbers]:
    if not len(rows):
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    held = np.add.reduceat((side[rows] == VALIDATION).astype(np.int64), begins)
    return held, np.diff(np.append(begins, len(rows))) - held


def _pairs(rows: Numbers, begins: Numbers, side: Numbers) -> Iterator[tuple[Numbers, Numbers]]:
    """Every validation row of each group beside every training row of it."""
    held, trained = _pair_counts(rows, begins, side)
    both = (held > 0) & (trained > 0)
    lengths = np.diff(np.append(begins, len(rows)))
    of = np.repeat(np.arange(len(begins)), lengths)
    used = both[of]
    rows, of = rows[used], of[used]
    is_held = side[rows] == VALIDATION
    train, train_of = rows[~is_held], of[~is_held]
    out, out_of = rows[is_held], of[is_held]
    first = np.searchsorted(train_of, out_of)
    count = trained[out_of]
    step = 1 << 12
    for begin in range(0, len(out), step):
        some = slice(begin, begin + step)
        ends = np.cumsum(count[some])
        within = np.arange(int(ends[-1])) - np.repeat(ends - count[some], count[some])
        yield np.repeat(out[some], count[some]), train[np.repeat(first[some], count[some]) + within]
