"""One row a message: conversation, role and text, with message id, customer and time where the export has them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from lf_bridge.prepare.formats import cells
from lf_bridge.prepare.formats.files import Format, Peek, RowFaults
from lf_bridge.prepare.formats.plan import Plan, claim_tables, common_columns, mark_unreadable
from lf_bridge.prepare.formats.schema import MISSING, ROLES, make_batch, or_null

if TYPE_CHECKING:
    import pyarrow as pa

NAME = "messages"


def read(peek: Peek, plan: Plan, faults: RowFaults) -> Iterator[pa.RecordBatch]:
    """The messages, in file order, as batches of ``message_schema``."""
    from lf_bridge.prepare.formats.table import open_table

    threads = _follow_pointers(peek, plan) if plan.mapping.conversation is None and plan.mapping.parent else None
    done = 0
    for batch in open_table(peek).batches(plan.columns, faults):
        columns = _columns(batch, plan)
        if threads is not None:
            columns["conversation"] = threads.slice(done, batch.num_rows)
        done += batch.num_rows
        yield make_batch(columns, batch.num_rows)


def _columns(batch: pa.RecordBatch, plan: Plan) -> dict[str, pa.Array]:
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    said, count = plan.mapping, batch.num_rows
    flags = [(name, batch[name]) for name in plan.flags]
    roles = cells.read_bots(flags, cells.read_roles(batch[said.role], said))
    skips = cells.read_skips(flags, count)
    if said.skip_values:
        system = pc.equal(roles, ROLES.index("system"))
        skips = pc.coalesce(skips, pc.if_else(system, "system_event", pa.scalar(None, pa.string())))
    columns = {
        "row": batch["row"],
        "role": roles,
        "text": batch[said.text],
        "kind": cells.read_kinds(batch[plan.channel] if plan.channel else None, said.kind, count),
        "time": plan.times.read(batch[said.time]) if said.time else pa.array(np.full(count, MISSING)),
        **common_columns(batch, plan),
    }
    if said.conversation is not None:
        columns["conversation"] = or_null(batch[said.conversation])
    elif not said.parent:
        columns["conversation"] = columns["customer"]
        columns["cut_by_gap"] = pa.array(np.ones(count, bool))
    for name in ("draft", "context"):
        column = getattr(said, name)
        if column is not None:
            columns[name] = or_null(batch[column])
    return mark_unreadable(columns, skips, batch["unreadable"])


def _follow_pointers(peek: Peek, plan: Plan) -> pa.Array:
    """The conversation of every message of the file, by what each one answers."""
    import pyarrow as pa
    import pyarrow.compute as pc

    from lf_bridge.prepare.formats.reply_pointers import resolve
    from lf_bridge.prepare.formats.table import open_table

    said = plan.mapping
    ids, parents, customers = [], [], []
    wanted = [name for name in (said.message, said.parent, said.customer, said.role) if name is not None]
    for batch in open_table(peek).batches(list(dict.fromkeys(wanted)), RowFaults()):
        ids.append(batch[said.message])
        parents.append(batch[said.parent])
        if said.customer is not None:
            wrote = pc.equal(cells.read_roles(batch[said.role], said), ROLES.index("customer"))
            customers.append(pc.if_else(wrote, or_null(batch[said.customer]), pa.scalar(None, pa.string())))
    if not ids:
        return pa.array([], pa.string())
    return resolve(
        pa.concat_arrays(ids), pa.concat_arrays(parents), pa.concat_arrays(customers) if customers else None
    ).names


FORMAT = Format(
    NAME,
    "table or JSON Lines with one message a row (CSV, TSV, JSONL, JSON array, Parquet, Excel)",
    ("text", "role", "conversation, or message and parent, or customer and time"),
    "none: told by column names and cells, or by --mapping",
    claim_tables(NAME, read),
)
