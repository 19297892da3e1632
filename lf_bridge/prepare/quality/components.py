"""Who belongs together through others: connected components over whole columns."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Numbers = npt.NDArray[Any]


def connect(labels: Numbers, these: Numbers, those: Numbers) -> None:
    """Join the components of ``these[i]`` and ``those[i]``, in place.

    ``labels`` says for each row the first row of its component; ``np.arange`` to begin with.
    """
    while len(these):
        one, other = labels[these], labels[those]
        apart = one != other
        these, those, one, other = these[apart], those[apart], one[apart], other[apart]
        np.minimum.at(labels, np.maximum(one, other), np.minimum(one, other))
        while True:
            nearer = labels[labels]
            if np.array_equal(nearer, labels):
                break
            labels[:] = nearer


def firsts(values: Numbers) -> Numbers:
    """For each row the first row with the same value."""
    _, first, inverse = np.unique(values, return_index=True, return_inverse=True)
    return first[inverse]


def places(values: Numbers) -> Numbers:
    """For each row how many rows before it have the same value."""
    order = np.argsort(values, kind="stable")
    begins = np.flatnonzero(np.concatenate([np.ones(min(len(values), 1), bool), np.diff(values[order]) != 0]))
    lengths = np.diff(np.append(begins, len(values)))
    nth = np.empty(len(values), np.int64)
    nth[order] = np.arange(len(values)) - np.repeat(begins, lengths)
    return nth
