"""From raw files to parts: every message under the hash of its thread, parts whole for their threads."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.ipc

from lf_bridge.errors import Fault, LfbError
from lf_bridge.prepare.folder import private_file
from lf_bridge.prepare.formats.files import Claim, Options, Peek, RowFaults
from lf_bridge.prepare.formats.peek import peek
from lf_bridge.prepare.formats.schema import ROLES, UNREAD
from lf_bridge.prepare.formats.sniff import claim_files
from lf_bridge.prepare.hashes import hash_ids
from lf_bridge.prepare.parts import part_schema
from lf_bridge.prepare.records import FileRead
from lf_bridge.prepare.sources import Source
from lf_bridge.prepare.unpack import Plain, unpack
from lf_bridge.prepare.workers import count_cores
from lf_bridge.talk import Talk

_PART_BYTES = 32 << 20
_ALONE_BYTES = 6 << 20  # below, starting a worker takes longer than the work
Write = Callable[[pa.RecordBatch], None]
Batch = tuple[int, pa.RecordBatch]


@dataclass(frozen=True)
class Reading:
    """What was read: one ``FileRead`` a file (its number is the ledger's), lines for the user, and ``refused``: files
    of which nothing can be read."""

    files: tuple[FileRead, ...]
    parts: int
    warnings: tuple[str, ...]
    faults: RowFaults
    refused: tuple[Fault, ...]


def spread(
    sources: Sequence[Source], options: Options, work: Path, key: bytes, talk: Talk, before: Sequence[FileRead] = (),
    old: Sequence[pa.Table] = (),
) -> Reading:  # fmt: skip
    """Read all files and write their messages into ``work/part-NUMBER.arrow``.

    ``before`` and ``old`` are the files and the messages that the dataset holds already. Raises ``LfbError`` for files
    that cannot be read or that no format claims.
    """
    unpacked = unpack(sources, work)
    peeks, refused = _peek_all(unpacked.files)
    claims = claim_files(peeks, options)
    total = sum(one.bytes for one in peeks) + sum(table.nbytes for table in old)
    parts = count_parts(total)
    faults, files = RowFaults(), list(before)
    warnings = [*unpacked.notes, *(f"{fault.where} {fault.problem}: left out" for fault in refused)]
    with ExitStack() as stack:
        write = _open_parts(parts, work, stack)
        for table in old:
            for batch in table.to_batches():
                write(_as_part(batch))
        meter = stack.enter_context(talk.meter("reading", "bytes"))
        done = 0
        for claim in claims:
            warnings += claim.notes
            found = _read_claim(claim, len(files), write, key, faults, warnings)
            files += [_named(file, {other.path for other in files}) for file in found]
            done += sum(file.bytes for file in (*claim.files, *claim.sides))
            meter.update(done, total)
    return Reading(tuple(files), parts, (*warnings, *faults.notes), faults, (*unpacked.refused, *refused))


def _peek_all(files: Sequence[Plain]) -> tuple[list[Peek], list[Fault]]:
    """A peek into each file, and the files that cannot be read; raises ``LfbError`` where none can."""
    peeks, errors = [], []
    for plain in files:
        try:
            peeks.append(peek(plain))
        except LfbError as error:
            errors.append((plain.label, error))
    faults = [Fault(label, error.message.removeprefix(f"{label} ")) for label, error in errors]
    if not peeks:
        if len(errors) == 1:
            raise errors[0][1]
        raise LfbError(f"none of {len(errors)} files can be read", faults=faults, hint=errors[0][1].hint)
    return peeks, faults


def count_parts(total: int) -> int:
    """Parts for so many bytes: small, since a worker holds a part several times over, and as many for each core."""
    if total <= _ALONE_BYTES:
        return 1
    cores = count_cores()
    return -(-max(1, total // _PART_BYTES) // cores) * cores


def _read_claim(
    claim: Claim, first: int, write: Write, key: bytes, faults: RowFaults, warnings: list[str]
) -> list[FileRead]:
    read, unknown, unread = Counter[int](), Counter[int](), Counter[int]()
    for place, batch in _ahead(claim.read(faults)):
        write(_hashed(batch, first + place, key))
        read[place] += batch.num_rows
        unknown[place] += (
            pc.sum(pc.and_(pc.equal(batch["role"], ROLES.index("unknown")), batch["skip"].is_null())).as_py() or 0
        )
        unread[place] += pc.sum(pc.equal(batch["time"], UNREAD)).as_py() or 0
    for place, file in enumerate(claim.files):
        if not read[place] and len(claim.files) == 1:  # an export in many files has days without a word
            warnings.append(f"{file.label} holds no messages")
        if unknown[place]:
            warnings.append(f"{file.label}: {unknown[place]} messages are from neither customer nor agent")
        if unread[place]:
            warnings.append(
                f"{file.label}: {unread[place]} times cannot be read; those conversations stay in file order"
            )
    return [FileRead(file.label, claim.format, read[place]) for place, file in enumerate(claim.files)]


def _ahead(batches: Iterator[Batch]) -> Iterator[Batch]:
    """The same batches, two of them read in a thread while another is worked on."""
    with ThreadPoolExecutor(1) as reader:
        pending = [reader.submit(next, batches, None) for _ in range(2)]
        while (batch := pending.pop(0).result()) is not None:
            pending.append(reader.submit(next, batches, None))
            yield batch


def _named(file: FileRead, taken: Collection[str]) -> FileRead:
    """The file under a name of its own: a later export is often called like the one before."""
    name, number = file.path, 2
    while name in taken:
        name, number = f"{file.path} ({number})", number + 1
    return replace(file, path=name)


def _hashed(batch: pa.RecordBatch, number: int, key: bytes) -> pa.RecordBatch:
    """The batch with its file's number, and threads and people under their hashes only."""
    columns = {name: batch[name] for name in batch.schema.names}
    for name in ("conversation", "customer"):
        columns[name] = hash_ids(key, name, columns[name])
    ids = columns["message_id"]
    if ids.null_count < len(ids) and pc.any(pc.match_substring(ids, "@")).as_py():
        # A mail's Message-ID can hold its sender's address.
        named = pc.cast(hash_ids(key, "message", ids), pa.string())
        columns["message_id"] = pc.if_else(pc.match_substring(ids, "@"), named, ids)
    columns["file"] = pa.array(np.full(batch.num_rows, number, np.int32))
    columns["known"] = pa.array(np.zeros(batch.num_rows, bool))
    columns["changes"] = pa.array(np.zeros(batch.num_rows, np.int16))
    schema = part_schema()
    return pa.RecordBatch.from_arrays([columns[field.name] for field in schema], schema=schema)


def _as_part(batch: pa.RecordBatch) -> pa.RecordBatch:
    """Messages of the dataset's store as messages of a part."""
    count = batch.num_rows
    more = {
        "known": pa.array(np.ones(count, bool)),
        "kind": pa.array(np.zeros(count, np.int8)),
        "names": pa.nulls(count, pa.string()),
    }
    schema = part_schema()
    names = batch.schema.names
    columns = [batch[field.name] if field.name in names else more[field.name] for field in schema]
    return pa.RecordBatch.from_arrays(columns, schema=schema)


def _open_parts(parts: int, work: Path, stack: ExitStack) -> Write:
    """A writer that puts each message into the part of its thread, in the order they come, in a thread of its own."""
    schema = part_schema()
    writers = [
        stack.enter_context(pa.ipc.new_stream(stack.enter_context(private_file(work / f"part-{part}.arrow")), schema))
        for part in range(parts)
    ]
    thread = stack.enter_context(ThreadPoolExecutor(1))
    pending: deque[Future[None]] = deque()

    def put(batch: pa.RecordBatch) -> None:
        if parts == 1:
            writers[0].write_batch(batch)
            return
        threads = batch["conversation"].fill_null(0).to_numpy(zero_copy_only=False)
        places = ((threads >> np.uint64(48)) * np.uint64(parts)) >> np.uint64(16)
        order = np.argsort(places.astype(np.int16), kind="stable")
        sorted_batch = batch.take(pa.array(order))
        bounds = np.searchsorted(places[order], np.arange(parts + 1, dtype=np.uint64))
        for part, (begin, end) in enumerate(zip(bounds[:-1].tolist(), bounds[1:].tolist(), strict=True)):
            if end > begin:
                writers[part].write_batch(sorted_batch.slice(begin, end - begin))

    def write(batch: pa.RecordBatch) -> None:
        while len(pending) > 1:
            pending.popleft().result()
        pending.append(thread.submit(put, batch))

    stack.callback(lambda: [one.result() for one in pending])
    return write


def refuse_faults(reading: Reading) -> None:
    """With ``--strict``: raise ``LfbError`` naming the records that could not be read, if there are any."""
    count = sum(reading.faults.counts.values()) + len(reading.refused)
    if count:
        raise LfbError(
            f"{count} records or files cannot be read, and --strict refuses them",
            faults=[*reading.refused, *reading.faults.first],
            hint="mend them, or leave --strict out: they are then dropped, and the ledger says so",
        )
