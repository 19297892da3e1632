"""Support tweets: the table ``twcs.csv`` of "Customer Support on Twitter", and copies that spreadsheets saved again."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from lf_bridge.prepare.formats.files import Format, Peek, RowFaults, claim_each
from lf_bridge.prepare.formats.schema import ROLES, make_batch

if TYPE_CHECKING:
    import pyarrow as pa

_NAME = "support_tweets"
_NEEDS = ("tweet_id", "author_id", "inbound", "created_at", "text", "in_response_to_tweet_id")
_LENGTH = len("Tue Oct 31 22:10:47 +0000 2017")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def parse_times(cells: pa.Array) -> pa.Array:
    """Microseconds since 1970 of ``Tue Oct 31 22:10:47 +0000 2017``; other forms as ``times.Times`` reads them.

    The form is Twitter's ``created_at``, all of one width, so that its digits are columns of a matrix of bytes.
    """
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    from lf_bridge.prepare.formats.times import Times

    wide = pc.equal(pc.binary_length(cells), _LENGTH).fill_null(False).to_numpy(zero_copy_only=False)
    packed = cells.filter(pa.array(wide)).cast(pa.binary()).cast(pa.binary(_LENGTH))
    raw = np.frombuffer(packed.buffers()[1], np.uint8)[packed.offset * _LENGTH :][: len(packed) * _LENGTH]
    letters = np.ascontiguousarray(raw.reshape(-1, _LENGTH).T)
    good = np.ones(len(packed), bool)

    def number(*places: int) -> Any:
        value = np.zeros(len(packed), np.int32)
        for place in places:
            digit = letters[place] - np.uint8(ord("0"))  # wraps around below zero
            np.logical_and(good, digit < 10, out=good)
            value = value * 10 + digit
        return value

    # No two months share their second and third letter.
    months = np.full(1 << 16, -1, np.int32)
    months[[ord(name[1]) << 8 | ord(name[2]) for name in _MONTHS]] = np.arange(12)
    month = months[letters[5].astype(np.uint16) << 8 | letters[6]]
    day, hour, minute, second = number(8, 9), number(11, 12), number(14, 15), number(17, 18)
    year, east = number(26, 27, 28, 29), number(21, 22) * 60 + number(23, 24)
    good &= (month >= 0) & (year >= 1970) & (year < 2100) & (day > 0) & (day < 32) & (hour < 24) & (minute < 60)
    starts = np.arange("1970-01", "2100-01", dtype="datetime64[M]").astype("datetime64[D]").astype(np.int32)
    days = starts[np.where(good, (year - 1970) * 12 + month, 0)] + day - 1
    minutes = (days * 24 + hour) * 60 + minute - np.where(letters[20] == ord("-"), -east, east)
    found = (minutes.astype(np.int64) * 60 + second) * 1_000_000

    times = np.empty(len(cells), np.int64)
    read = np.flatnonzero(wide)[good]
    times[read] = found[good]
    other = np.ones(len(cells), bool)
    other[read] = False
    if other.any():
        times[other] = Times().read(cells.filter(pa.array(other)).cast(pa.string())).to_numpy(zero_copy_only=False)
    return pa.array(times)


def _fits(peek: Peek) -> bool:
    return set(_NEEDS) <= set(_columns(peek))


def _columns(peek: Peek) -> dict[str, str]:
    """What the needed columns are called in this copy."""
    return {column.strip().lower(): column for column in peek.columns}


def _read(peek: Peek, faults: RowFaults) -> Iterator[pa.RecordBatch]:
    import pyarrow as pa
    import pyarrow.compute as pc

    from lf_bridge.prepare.formats.reply_pointers import normalize_ids, resolve
    from lf_bridge.prepare.formats.table import open_table

    called = _columns(peek)
    # The newest tweets come first, so that answers stand before what they answer: ids need a pass of their own.
    passes = (("tweet_id", "in_response_to_tweet_id", "author_id", "inbound"), ("created_at", "text"))
    pointers, said = ([called[name] for name in names] for names in passes)
    batches = [batch.select(pointers) for batch in open_table(peek).batches(pointers, RowFaults())]
    if not batches:
        return
    columns = pa.Table.from_batches(batches).combine_chunks().columns
    del batches
    ids, parents, authors = (normalize_ids(_whole(column)) for column in columns[:3])
    roles = _roles(_whole(columns[3]))
    del columns
    customers = pc.if_else(pc.equal(roles, ROLES.index("customer")), authors, pa.scalar(None, pa.string()))
    resolved = resolve(ids, parents, customers)
    resolved.tell(peek.label, faults)
    known = {"conversation": resolved.names, "message_id": ids, "customer": customers}
    known["role"] = roles
    del parents, authors

    start = 0
    for batch in open_table(peek).batches(said, faults):
        count = batch.num_rows
        created, text = (batch[name] for name in said)
        found = {
            "row": batch["row"],
            "time": parse_times(created),
            "text": _unescape(text),
            "skip": pc.if_else(batch["unreadable"], "unreadable", pa.scalar(None, pa.string())),
        }
        yield make_batch({**found, **{name: column.slice(start, count) for name, column in known.items()}}, count)
        start += count


def _whole(column: pa.ChunkedArray) -> pa.Array:
    import pyarrow as pa

    return column.chunk(0) if column.num_chunks == 1 else pa.concat_arrays(column.chunks)


def _roles(inbound: pa.Array) -> pa.Array:
    """True means that the tweet came in, so a customer wrote it."""
    import pyarrow as pa
    import pyarrow.compute as pc

    says = pc.utf8_lower(pc.utf8_trim_whitespace(inbound))
    customer, agent, unknown = (pa.scalar(ROLES.index(role), pa.int8()) for role in ("customer", "agent", "unknown"))
    yes, no = (pc.is_in(says, pa.array(words)) for words in (["true", "1", "1.0"], ["false", "0", "0.0"]))
    return pc.if_else(yes, customer, pc.if_else(no, agent, unknown))


def _unescape(text: pa.Array) -> pa.Array:
    """Twitter escapes these three characters and no others."""
    import pyarrow.compute as pc

    escaped = pc.match_substring(text, "&")
    if not pc.any(escaped).as_py():
        return text
    plain = text.filter(escaped)
    for entity, character in (("&lt;", "<"), ("&gt;", ">"), ("&amp;", "&")):
        plain = pc.replace_substring(plain, entity, character)
    return pc.replace_with_mask(text, escaped, plain)


FORMAT = Format(
    name=_NAME,
    title="Support tweets (twcs.csv)",
    needs=_NEEDS,
    schema="Kaggle, thoughtvector/customer-support-on-twitter: the header line and rows of twcs.csv that public "
    "readers of it quote",
    claim=claim_each(_NAME, _fits, _read),
)
