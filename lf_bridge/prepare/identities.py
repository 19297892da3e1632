"""Who is named in a conversation, and which messages are there twice."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from lf_bridge.prepare.threads import OF_MESSAGES, Numbers, column, numbers


def find_people(messages: pa.Table) -> pa.Array:
    """For each message the names that any record of its conversation holds, one a line, or null."""
    names = column(messages, "names")
    if names.null_count == len(names):
        return names
    threads = numbers(messages, "conversation", fill=0)
    there = np.flatnonzero(names.is_valid().to_numpy(zero_copy_only=False))
    coded = names.take(pa.array(there)).dictionary_encode()
    pairs = np.unique(np.stack([threads[there], coded.indices.to_numpy().astype(np.uint64)]), axis=1)
    heads = np.flatnonzero(np.append(True, pairs[0][1:] != pairs[0][:-1]))
    lists = pa.ListArray.from_arrays(
        pa.array(np.append(heads, pairs.shape[1]), pa.int32()),
        coded.dictionary.take(pa.array(pairs[1].astype(np.int64))),
    )
    joined, distinct = pc.binary_join(lists, "\n"), pairs[0][heads]
    place = np.searchsorted(distinct, threads)
    known = (place < len(distinct)) & (distinct[np.minimum(place, len(distinct) - 1)] == threads) & (threads > 0)
    return joined.take(pa.array(place, pa.int64(), mask=~known))


def find_repeats(messages: pa.Table) -> Numbers:
    """For each message the index into OF_MESSAGES of ``already_present`` or ``repeated``, or 0.

    A message is the same as an earlier one where conversation, id and words agree; of one that was in the dataset
    before, where conversation and id do, or for messages without an id conversation, speaker, time and words.
    """
    import pandas as pd

    known = numbers(messages, "known")
    ids, reason = column(messages, "message_id"), np.zeros(messages.num_rows, np.int8)
    with_id = ids.is_valid().to_numpy(zero_copy_only=False)
    frame = pd.DataFrame({"thread": numbers(messages, "conversation", fill=0)})
    coded = ids.dictionary_encode()
    if known.any() or len(coded.dictionary) < with_id.sum():
        frame["id"] = coded.indices.fill_null(-1).to_numpy()
        again = frame["id"].duplicated(keep=False).to_numpy() | ~with_id
        text = column(messages, "text").dictionary_encode()
        frame["text"] = text.indices.fill_null(-1).to_numpy()
        if known.any():
            frame["role"], frame["time"] = numbers(messages, "role"), numbers(messages, "time")
            same_id = frame.duplicated(["thread", "id"]).to_numpy() & with_id
            same_words = frame.duplicated(["thread", "role", "time", "text"]).to_numpy() & ~with_id
            before = frame["thread"].isin(frame["thread"][known]).to_numpy()
            reason[(same_id | same_words) & before & ~known] = OF_MESSAGES.index("already_present")
        twice = frame[again].duplicated(["thread", "id", "text"])
        reason[twice.index[twice.to_numpy() & with_id[again] & (reason[again] == 0)]] = OF_MESSAGES.index("repeated")
    return reason
