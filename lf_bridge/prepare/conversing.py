"""Step one: read, thread, merge, repair and split, in bounded memory.

Messages are spread over parts by the hash of their thread; each part is whole for its threads and handled alone.
"""

from __future__ import annotations

import resource
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.ipc
import pyarrow.parquet as pq

from lf_bridge.errors import Fault, LfbError
from lf_bridge.prepare.assemble import PLAIN, conversation_starts, write_json
from lf_bridge.prepare.folder import keep, private_file
from lf_bridge.prepare.formats.columns import AGENT, CUSTOMER
from lf_bridge.prepare.formats.sniff import Format, sniff
from lf_bridge.prepare.formats.table import ROLES, UNREAD
from lf_bridge.prepare.records import ConversationCounts, Conversations, FileRead, MessageCounts, Report
from lf_bridge.prepare.sources import Source, for_each
from lf_bridge.prepare.threads import conversation_hash, customer_hash, thread
from lf_bridge.talk import Talk

_PART_BYTES = 48 << 20


def build_conversations(
    sources: Sequence[Source],
    warnings: Sequence[str],
    *,
    folder: Path,
    work: Path,
    identity: str,
    key: bytes,
    validation_fraction: float,
    seed: int,
    talk: Talk,
) -> Conversations:
    """Do step one and move its files into the folder; ``identity`` is its key. Raises ``LfbError`` for raw data that
    cannot be read or split; nothing has been moved then."""
    started = time.monotonic()
    formats = for_each([(source.label, partial(sniff, source.path, source.label)) for source in sources])
    parts = max(1, -(-sum(source.bytes for source in sources) // _PART_BYTES))
    files, found = _spread(sources, formats, parts, work, key, talk)
    empty = [Fault(file.path, "has no rows") for file in files if not file.read]
    if empty:
        message = f"{empty[0].where} has no rows" if len(empty) == 1 else f"{len(empty)} files have no rows"
        raise LfbError(message, faults=empty if len(empty) > 1 else (), hint="export them again, or remove them")
    shares, dropped, counts = _thread_parts(parts, work, [file.path for file in files], key, seed)
    limit = _validation_below(shares, validation_fraction, counts, files)
    _write_pretrain(work, limit)
    held_out = int((shares < limit).sum())
    if len(shares) >= 20 and not 0.3 < held_out / (validation_fraction * len(shares)) < 3:
        found.append(
            f"{held_out} of {len(shares)} conversations are held out, not {validation_fraction:.0%}: "
            "a few customers have most of them; another `data.split_seed` splits them otherwise"
        )
    turns, ledger, pretrain = (
        keep(work / name, folder) for name in ("conversations.parquet", "ledger.parquet", "pretrain.jsonl")
    )
    seconds = time.monotonic() - started
    return Conversations(
        folder=folder,
        key=identity,
        turns=turns,
        ledger=ledger,
        pretrain=pretrain,
        validation_below=limit,
        public_sample=all(source.public for source in sources),
        report=Report(
            messages=message_counts(counts),
            conversations=ConversationCounts(len(shares) - held_out, held_out, dict(sorted(dropped.items()))),
            files=tuple(files),
            warnings=(*warnings, *found),
            seconds=round(seconds, 3),
            messages_per_second=round(sum(file.read for file in files) / max(seconds, 1e-3)),
            peak_memory_bytes=peak_memory(),
        ),
    )


def message_counts(counts: Counter[tuple[str, str | None]]) -> MessageCounts:
    """The numbers of a ledger, from how often each (state, reason) stands in it."""
    dropped = {str(reason): count for (state, reason), count in sorted(counts.items(), key=str) if state == "dropped"}
    return MessageCounts(sum(counts.values()), counts[("kept", None)], counts[("merged", None)], dropped)


def count_states(ledger: pa.Table) -> Counter[tuple[str, str | None]]:
    """How often each (state, reason) stands in a ledger."""
    grouped = ledger.select(["state", "reason"]).group_by(["state", "reason"]).aggregate([([], "count_all")])
    return Counter({(row["state"], row["reason"]): row["count_all"] for row in grouped.to_pylist()})


def peak_memory() -> int:
    """The most memory in bytes that this process and any one of its children has held."""
    unit = 1 if sys.platform == "darwin" else 1024
    return unit * max(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))


def _spread(
    sources: Sequence[Source], formats: Sequence[Format], parts: int, work: Path, key: bytes, talk: Talk
) -> tuple[list[FileRead], list[str]]:
    """Write the messages of all files into the parts; returns what was read and warnings."""
    files, warnings = [], []
    total = sum(source.bytes for source in sources)
    with ExitStack() as stack:
        meter = stack.enter_context(talk.meter("reading", "bytes"))
        write = _open_parts(parts, work, stack)
        done = 0
        for number, (source, form) in enumerate(zip(sources, formats, strict=True)):
            read = unknown = unread = 0
            for batch in form.read():
                write(_hashed(batch, number, key))
                read += batch.num_rows
                unknown += pc.sum(pc.equal(batch["role"], ROLES.index("unknown"))).as_py() or 0
                unread += pc.sum(pc.equal(batch["time"], UNREAD)).as_py() or 0
            if unknown:
                warnings.append(f"{source.label}: {unknown} messages are from neither customer nor agent")
            if unread:
                warnings.append(
                    f"{source.label}: {unread} times cannot be read; those conversations stay in file order"
                )
            files.append(FileRead(source.label, form.name, read))
            done += source.bytes
            meter.update(done, total)
    return files, warnings


def _open_parts(parts: int, work: Path, stack: ExitStack) -> Callable[[pa.RecordBatch], None]:
    writers: dict[int, pa.ipc.RecordBatchStreamWriter] = {}

    def write(batch: pa.RecordBatch) -> None:
        places = np.zeros(batch.num_rows, np.int64)
        if parts > 1:
            names = batch["conversation"].fill_null("0000").to_pylist()
            places = np.fromiter((int(name[:4], 16) * parts >> 16 for name in names), np.int64, len(names))
        for part in np.unique(places).tolist():
            if part not in writers:
                file = stack.enter_context(private_file(work / f"part-{part}.arrow"))
                writers[part] = stack.enter_context(pa.ipc.new_stream(file, batch.schema))
            writers[part].write_batch(batch if parts == 1 else batch.filter(pa.array(places == part)))

    return write


def _hashed(batch: pa.RecordBatch, number: int, key: bytes) -> pa.RecordBatch:
    """The batch with its file's number, and threads and people under their hashes only."""
    columns = {name: batch[name] for name in batch.schema.names}
    for name, hashed in (("conversation", conversation_hash), ("customer", customer_hash)):
        coded = columns[name].dictionary_encode()
        hashes = pa.array([hashed(key, value) for value in coded.dictionary.to_pylist()], pa.string())
        columns[name] = hashes.take(coded.indices)
    columns["file"] = pa.array(np.full(batch.num_rows, number, np.int32))
    return pa.RecordBatch.from_arrays(list(columns.values()), names=list(columns))


def _thread_parts(
    parts: int, work: Path, labels: Sequence[str], key: bytes, seed: int
) -> tuple[np.ndarray, Counter[str], Counter[tuple[str, str | None]]]:
    """Thread each part into a row group of both files; returns the shares of the conversations, and counts."""
    shares: list[np.ndarray] = []
    dropped: Counter[str] = Counter()
    counts: Counter[tuple[str, str | None]] = Counter()
    names = pa.array(labels, pa.string())
    with ExitStack() as stack:
        outputs = {
            name: stack.enter_context(private_file(work / f"{name}.parquet")) for name in ("conversations", "ledger")
        }
        writers: dict[str, pq.ParquetWriter] = {}
        for part in range(parts):
            path = work / f"part-{part}.arrow"
            if not path.exists():
                continue
            with pa.OSFile(str(path)) as file:
                messages = pa.ipc.open_stream(file).read_all()
            path.unlink()
            done = thread(messages, key, seed)
            label = pa.DictionaryArray.from_arrays(done.ledger["file"].combine_chunks(), names)
            ledger = done.ledger.set_column(0, "file", label)
            for name, table in (("conversations", done.turns), ("ledger", ledger)):
                if name not in writers:
                    writers[name] = stack.enter_context(
                        pq.ParquetWriter(outputs[name], table.schema, compression="zstd")
                    )
                writers[name].write_table(table, row_group_size=max(1, table.num_rows))
            starts = conversation_starts(done.turns["conversation"].combine_chunks())
            shares.append(done.turns["share"].to_numpy()[starts])
            dropped.update(done.dropped)
            counts.update(count_states(ledger))
    return np.concatenate(shares), dropped, counts


def _validation_below(
    shares: np.ndarray, fraction: float, counts: Counter[tuple[str, str | None]], files: Sequence[FileRead]
) -> float:
    """The share below which a conversation is held out, moved as little as needed to leave neither split empty."""
    if len(shares) < 2:
        dropped = message_counts(counts).dropped
        reasons = [Fault(reason, f"{count} messages dropped") for reason, count in dropped.items()]
        hint = (
            f"customers are called {', '.join(sorted(CUSTOMER)[:8])}, ...; agents {', '.join(sorted(AGENT)[:6])}, ..."
        )
        raise LfbError(
            f"{sum(file.read for file in files)} messages make {len(shares)} usable conversations, and 2 are the least",
            faults=reasons,
            hint=hint if "unknown_role" in dropped else "give more conversations in which an agent answers a customer",
        )
    low, high = float(shares.min()), float(shares.max())
    if low == high:
        raise LfbError(
            f"all {len(shares)} conversations are of one customer, so none can be held out",
            hint="give logs of at least 2 customers",
        )
    return min(max(fraction, float(np.nextafter(low, 1.0))), high)


def _write_pretrain(work: Path, limit: float) -> None:
    turns = pq.ParquetFile(work / "conversations.parquet")
    with private_file(work / "pretrain.jsonl") as output:
        for group in range(turns.num_row_groups):
            table = turns.read_row_group(group, columns=["conversation", "share", "text"])
            table = table.filter(pc.greater_equal(table["share"], limit)).combine_chunks()
            starts = conversation_starts(_flat(table, "conversation"))
            output.writelines(f"{line}\n".encode("ascii") for line in write_json(_flat(table, "text"), starts, PLAIN))


def _flat(table: pa.Table, name: str) -> pa.Array:
    column = table[name]
    return column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
