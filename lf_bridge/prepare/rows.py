"""The row-local steps: pure functions from a DataFrame of messages to one of as many rows.

No row's result depends on another row, so an engine for logs beyond one machine can map them over partitions.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from lf_bridge.prepare.cleaning.clean import clean
from lf_bridge.prepare.threads import defuse
from lf_bridge.recipe.preparing import Cleaning

if TYPE_CHECKING:
    from lf_bridge.prepare.privacy.redact import Redactor

# What can happen to a message's words, one bit of ``changes`` each.
CHANGES = ("html", "quoted_reply", "signature", "unicode", "noise", "redacted", "defused")


def clean_rows(frame: pd.DataFrame, settings: Cleaning) -> pd.DataFrame:
    """Raw words to plain text.

    Takes ``text``, ``kind``, ``role`` and ``skip``; sets ``text`` and ``changes``, and ``skip`` of automatic replies.
    """
    skip = _array(frame["skip"])
    # What is dropped for its structure is not worth cleaning, and its words are kept nowhere.
    text = pc.if_else(skip.is_valid(), pa.scalar("", pa.string()), _array(frame["text"]).fill_null(""))
    cleaned = clean(text, frame["kind"].to_numpy(np.int8), frame["role"].to_numpy(np.int8), settings)
    defused, touched = defuse(cleaned.texts)
    changes = np.zeros(len(frame), np.int16)
    for name, changed in (*cleaned.changes.items(), ("defused", touched)):
        changes |= np.asarray(changed).astype(np.int16) << CHANGES.index(name)
    automatic = pc.and_(pa.array(cleaned.automatic), skip.is_null())
    skip = pc.if_else(automatic, pa.scalar("automatic_reply", pa.string()), skip)
    return frame.assign(text=_series(defused, frame), skip=_series(skip, frame), changes=changes)


def redact_rows(frame: pd.DataFrame, redactor: Redactor) -> pd.DataFrame:
    """Personal data to stand-ins.

    Takes ``text``, ``draft``, ``context``, ``people`` (the known names of the row's conversation) and ``changes``;
    sets the first three and ``changes``. How many values of each type were replaced is in ``attrs["redacted"]``.
    """
    people = _array(frame["people"])
    names = None if people.null_count == len(people) else people
    counts: dict[str, int] = {}
    new, changed = {}, np.zeros(len(frame), bool)
    for name in ("text", "draft", "context"):
        values = _array(frame[name])
        if values.null_count == len(values):
            continue
        done = redactor.redact(values.fill_null(""), names)
        new[name] = _series(pc.if_else(values.is_valid(), done.texts, values), frame)
        changed |= done.changed & (name == "text")
        for kind, count in done.counts.items():
            counts[kind] = counts.get(kind, 0) + int(count)
    bits = frame["changes"].to_numpy(np.int16) | (changed.astype(np.int16) << CHANGES.index("redacted"))
    redacted = frame.assign(**new, changes=bits)
    redacted.attrs = {"redacted": counts}
    return redacted


def to_frame(table: pa.Table) -> pd.DataFrame:
    """A table as a DataFrame whose columns stay Arrow's."""
    return table.to_pandas(types_mapper=pd.ArrowDtype)


def to_table(frame: pd.DataFrame, schema: pa.Schema) -> pa.Table:
    """A DataFrame as a table, the columns of ``schema`` in its order."""
    return pa.table({field.name: _array(frame[field.name]).cast(field.type) for field in schema}, schema=schema)


def _array(series: pd.Series) -> pa.Array:
    values = pa.array(series)
    if pa.types.is_large_string(values.type):  # pandas 3 keeps its own strings so
        values = values.cast(pa.string())
    return values.combine_chunks() if isinstance(values, pa.ChunkedArray) else values


def _series(values: pa.Array, frame: pd.DataFrame) -> pd.Series:
    return pd.Series(pd.arrays.ArrowExtensionArray(values), index=frame.index)
