"""What is said more than once: the same, nearly the same, or one template over and over."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from lf_bridge.prepare.quality.candidates import BANDS, Signatures, group, hash_band
from lf_bridge.prepare.quality.components import connect, firsts, places
from lf_bridge.prepare.quality.fingerprints import PERMUTATIONS
from lf_bridge.prepare.quality.fingerprints import Fingerprints as Fingerprints
from lf_bridge.prepare.quality.fingerprints import fingerprint as fingerprint
from lf_bridge.recipe.preparing import Duplicates

REASONS = ("", "exact", "near", "template_capped")
_ROW_BYTES = 8 * (2 + BANDS) + 4 * PERMUTATIONS
_EXACT, _NEAR, _CAPPED = 1, 2, 3
# A group that shares one band and is still this large after some rounds (long answers in common, questions that are
# not) is divided by the next band as well: pairs of .8 share 6 bands of 16, pairs of .6 two.
_LARGE, _ROUNDS, _MOST_ROUNDS, _PASSES = 64, 8, 96, 6
Numbers = npt.NDArray[Any]


@dataclass(frozen=True)
class Found:
    """One entry a conversation: ``reason`` is an index into ``REASONS`` (0: kept), ``twin`` the conversation that is
    kept for it, or with which it belongs on one side of a split; itself where there is none."""

    reason: npt.NDArray[np.int8]
    twin: npt.NDArray[np.int64]


def save(fingerprints: Fingerprints, path: Path) -> None:
    """Write fingerprints, with their bands, in 400 bytes a conversation. They tell of texts: a private file."""
    with open(path, "wb") as file:
        for values in (fingerprints.exact, fingerprints.template):
            values.tofile(file)
        for band in range(BANDS):
            hash_band(fingerprints.signature, band).tofile(file)
        fingerprints.signature.tofile(file)


def open_saved(path: Path) -> Fingerprints:
    """Fingerprints that stay on disk until they are looked at."""
    count = path.stat().st_size // _ROW_BYTES
    # As a plain array: a memmap makes a new one of its own kind at every look.
    whole = np.asarray(np.memmap(path, np.uint64, "r")) if count else np.zeros(0, np.uint64)
    exact, template, bands, signature = np.split(whole, [count, 2 * count, (2 + BANDS) * count])
    return Fingerprints(
        exact,
        template,
        signature.view(np.uint32).reshape(count, PERMUTATIONS),
        bands.reshape(BANDS, count),
    )


def join_saved(paths: Sequence[Path], whole: Path) -> Fingerprints:
    """Put saved fingerprints together in one file and open it: one array is looked into faster than many."""
    parts = [open_saved(path) for path in paths]
    bands = [part.bands for part in parts if part.bands is not None]
    with open(whole, "wb") as file:
        for name in ("exact", "template"):
            for part in parts:
                getattr(part, name).tofile(file)
        for band in range(BANDS):
            for some in bands:
                some[band].tofile(file)
        for part in parts:
            part.signature.tofile(file)
    return open_saved(whole)


def find(parts: Sequence[Fingerprints], known: npt.NDArray[np.bool_], settings: Duplicates) -> Found:
    """Find what repeats another conversation; ``known`` ones, already in the dataset, are kept and win over others.

    Who wins among newcomers is decided by their hashes, so that the order of the parts does not matter. A conversation
    is near another where their estimated Jaccard similarity is at least ``near_similarity``; it is compared with the
    one that is kept, not with others that were dropped for that one.
    """
    exact = np.concatenate([np.zeros(0, np.uint64), *(part.exact for part in parts)])
    ranked = np.lexsort((exact, ~known))
    first = firsts(exact[ranked])
    twin = np.empty(len(exact), np.int64)
    twin[ranked] = ranked[first]
    reason = np.zeros(len(exact), np.int8)
    repeats = twin != np.arange(len(exact))
    if settings.exact == "drop":
        reason[repeats & ~known] = _EXACT

    signatures = Signatures(parts, settings.near_similarity)
    rows = ranked[(~repeats & signatures.comparable)[ranked]]
    if settings.near == "drop":
        near = _Clusters(signatures, known).settle(rows)
        reason[(near[twin] != twin) & (reason == 0) & ~known] = _NEAR
        twin = near[twin]
    else:
        twin = _linked(signatures, rows, known, ranked)[twin]
    if settings.template_cap:
        template = np.concatenate([np.zeros(0, np.uint64), *(part.template for part in parts)])
        kept = ranked[(reason == 0)[ranked]]
        beyond = kept[(places(template[kept]) >= settings.template_cap) & ~known[kept]]
        reason[beyond] = _CAPPED
    return Found(reason, twin)


class _Clusters:
    """Leaders and those that are near them. A newcomer follows the first leader that it is near; where that leader
    turns out to follow another, which is not near, the newcomer is looked at again."""

    def __init__(self, signatures: Signatures, known: npt.NDArray[np.bool_]) -> None:
        self._signatures = signatures
        self._leader = np.arange(len(known))
        self._open = ~known

    def settle(self, rows: Numbers) -> Numbers:
        """For each conversation the leader that it follows, or itself. ``rows`` are compared, and the first win."""
        settled, newcomers = rows[~self._open[rows]], rows[self._open[rows]]
        for _ in range(_PASSES):
            for band in range(BANDS):
                waiting = newcomers[self._leader[newcomers] == newcomers]
                self._compare(band, settled, waiting)
            stray = self._strays(newcomers)
            settled = np.concatenate([settled, newcomers[self._leader[newcomers] == newcomers]])
            self._leader[stray] = stray
            newcomers = stray
            if not len(stray):
                break
        return self._leader

    def _strays(self, newcomers: Numbers) -> Numbers:
        """Followers of what is no leader any more, except those that are near its leader too."""
        leader = self._leader[self._leader]
        while not np.array_equal(above := leader[leader], leader):
            leader = above
        moved = newcomers[leader[newcomers] != self._leader[newcomers]]
        near = self._signatures.alike(moved, leader[moved])
        self._leader[moved[near]] = leader[moved[near]]
        strays: Numbers = moved[~near]
        return strays

    def _compare(self, band: int, settled: Numbers, newcomers: Numbers) -> None:
        keys = self._signatures.band(band)
        # A sieve by the first 22 bits: few of the settled share a key with a newcomer, in all later passes.
        sieve = np.zeros(1 << 22, bool)
        sieve[keys[newcomers] >> np.uint64(42)] = True
        settled = settled[sieve[keys[settled] >> np.uint64(42)]]
        rows = np.concatenate([settled, newcomers])
        is_new = np.zeros(len(self._leader), bool)
        is_new[newcomers] = True
        rows, begins = group(keys[rows], rows)
        for turn in range(_MOST_ROUNDS):
            rows, begins = _with_newcomers(rows, begins, is_new)
            if not len(rows):
                return
            if turn and turn % _ROUNDS == 0 and turn <= 3 * _ROUNDS:
                rows, begins = _divide(rows, begins, self._signatures.band(band + turn // _ROUNDS))
            head, others = _heads(rows, begins)
            newer = is_new[others]
            near = np.zeros(len(others), bool)
            near[newer] = self._signatures.alike(head[newer], others[newer])
            self._leader[others[near]] = head[near]
            rows, begins = _regroup(others[~near], head[~near])


def _linked(signatures: Signatures, rows: Numbers, known: npt.NDArray[np.bool_], ranked: Numbers) -> Numbers:
    """For each conversation the first of all that are near it, directly or through others."""
    rank = np.empty(len(ranked), np.int64)
    rank[ranked] = np.arange(len(ranked))
    labels = np.arange(len(ranked))
    for band in range(BANDS):
        some, begins = group(signatures.band(band)[rows], rows)
        for turn in range(_MOST_ROUNDS):
            some, begins = _with_newcomers(some, begins, ~known)
            if not len(some):
                break
            if turn and turn % _ROUNDS == 0 and turn <= 3 * _ROUNDS:
                some, begins = _divide(some, begins, signatures.band(band + turn // _ROUNDS))
            head, others = _heads(some, begins)
            apart = labels[rank[head]] != labels[rank[others]]
            near = np.flatnonzero(apart)[signatures.alike(head[apart], others[apart])]
            connect(labels, rank[head[near]], rank[others[near]])
            some, begins = _regroup(others, head)
    linked = np.empty(len(ranked), np.int64)
    linked[ranked] = ranked[labels]
    return linked


def _heads(rows: Numbers, begins: Numbers) -> tuple[Numbers, Numbers]:
    """The others of each group, and beside each the head of its group."""
    lengths = np.diff(np.append(begins, len(rows)))
    rest = np.ones(len(rows), bool)
    rest[begins] = False
    return np.repeat(rows[begins], lengths)[rest], rows[rest]


def _regroup(rows: Numbers, groups: Numbers) -> tuple[Numbers, Numbers]:
    """Rows that stand group by group, and where each group begins; groups of one are gone."""
    changes = np.concatenate([np.ones(min(len(rows), 1), bool), groups[1:] != groups[:-1]])
    alone = changes & np.concatenate([changes[1:], np.ones(min(len(rows), 1), bool)])
    return rows[~alone], np.flatnonzero(changes[~alone])


def _with_newcomers(rows: Numbers, begins: Numbers, is_new: npt.NDArray[np.bool_]) -> tuple[Numbers, Numbers]:
    """The groups in which a newcomer is to be compared with another."""
    if not len(rows):
        return rows, begins
    lengths = np.diff(np.append(begins, len(rows)))
    used = np.repeat(np.logical_or.reduceat(is_new[rows], begins), lengths)
    return _regroup(rows[used], np.repeat(np.arange(len(begins)), lengths)[used])


def _divide(rows: Numbers, begins: Numbers, keys: Numbers) -> tuple[Numbers, Numbers]:
    """Large groups divided by the keys of another band."""
    lengths = np.diff(np.append(begins, len(rows)))
    owner = np.repeat(np.arange(len(begins), dtype=np.uint64), lengths)
    large = np.repeat(lengths > _LARGE, lengths)
    # Other groups keep together: zero beside their own number.
    parts = np.where(large, keys[rows], np.uint64(0)) + owner * np.uint64(0x9E3779B97F4A7C15)
    return group(parts, rows)
