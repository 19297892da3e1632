"""Which conversations may be alike: those that share a band of their MinHash signatures.

16 bands of 4 rows (Leskovec, Rajaraman and Ullman, Mining of Massive Datasets, chapter 3.4): two texts with a Jaccard
similarity of .8 share one with a probability of .9998, of .5 with .64.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from lf_bridge.prepare.quality.fingerprints import PERMUTATIONS, SHORT, Fingerprints, mix

BANDS = 16
_ROWS = PERMUTATIONS // BANDS
_MANY = 1 << 16
_PAIRS = 1 << 14  # compared at a time: 8 MB
Numbers = npt.NDArray[Any]


class Signatures:
    """The signatures of all parts in their order, which may lie on disk."""

    def __init__(self, parts: Sequence[Fingerprints], similarity: float) -> None:
        self._parts = [part.signature for part in parts if len(part)]
        self._bands = [part.bands for part in parts if len(part)]
        self._ends = np.cumsum([len(part) for part in self._parts], dtype=np.int64)
        self._least = int(np.ceil(similarity * PERMUTATIONS - 1e-9))
        self.comparable = np.concatenate([np.zeros(0, bool), *(part[:, 0] != SHORT for part in self._parts)])

    def band(self, number: int) -> npt.NDArray[np.uint64]:
        """One hash a conversation of a band of its signature."""
        number %= BANDS
        keys = [
            hash_band(part, number) if bands is None else bands[number]
            for part, bands in zip(self._parts, self._bands, strict=True)
        ]
        return np.concatenate([np.zeros(0, np.uint64), *keys])

    def alike(self, these: Numbers, those: Numbers) -> npt.NDArray[np.bool_]:
        """Whether ``these[i]`` and ``those[i]`` are estimated to be at least as similar as asked."""
        similar = np.zeros(len(these), bool)
        for first in range(0, len(these), _PAIRS):
            some = slice(first, first + _PAIRS)
            same = self._take(these[some]) == self._take(those[some])
            similar[some] = np.count_nonzero(same, axis=1) >= self._least
        return similar

    def _take(self, rows: Numbers) -> npt.NDArray[np.uint32]:
        if len(self._parts) == 1:
            return self._parts[0][rows]
        taken = np.empty((len(rows), PERMUTATIONS), np.uint32)
        owner = np.searchsorted(self._ends, rows, "right")
        for number in np.unique(owner).tolist():
            part = self._parts[number]
            here = owner == number
            taken[here] = part[rows[here] - (self._ends[number] - len(part))]
        return taken


def hash_band(signature: npt.NDArray[np.uint32], number: int) -> npt.NDArray[np.uint64]:
    """One hash a conversation of a band of its signature."""
    pairs = np.ascontiguousarray(signature[:, number * _ROWS : number * _ROWS + _ROWS]).view(np.uint64)
    return mix(mix(pairs[:, 0]) + pairs[:, 1])


def group(keys: Numbers, rows: Numbers) -> tuple[Numbers, Numbers]:
    """The rows that share their key with another, group by group and else in the order given, and where each group
    begins. ``keys`` are those of ``rows``."""
    if len(keys) > _MANY:
        # Most keys are alone; those whose first 22 bits are need not be sorted.
        start = (keys >> np.uint64(42)).astype(np.int64)
        used = np.bincount(start, minlength=1 << 22)[start] > 1
        keys, rows = keys[used], rows[used]
    order = np.argsort(keys, kind="stable")
    keys, rows = keys[order], rows[order]
    same = keys[1:] == keys[:-1]
    shared = np.concatenate([same, [False]]) | np.concatenate([[False], same]) if len(rows) else np.zeros(0, bool)
    keys, rows = keys[shared], rows[shared]
    begins = np.flatnonzero(np.concatenate([np.ones(min(len(rows), 1), bool), keys[1:] != keys[:-1]]))
    return rows, begins
