"""What a dataset or a run knows of one customer, by the keyed hash of the id that the export has."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import numpy as np
import pyarrow.compute as pc
import pyarrow.parquet as pq

from lf_bridge.prepare.folder import read_record
from lf_bridge.prepare.hashes import customer_name
from lf_bridge.prepare.streams import read_stream
from lf_bridge.prepare.threads import numbers


def count_messages(dataset_folder: Path, customer: str, key: bytes) -> tuple[int, int]:
    """How many messages of a customer's conversations a dataset's ledger holds, and how many of them are examples.

    Raises ``LfbError`` where the dataset is damaged.
    """
    ledger = dataset_folder / read_record(dataset_folder)["files"]["ledger"]
    table = pq.read_table(ledger, columns=["customer", "state"])
    mine = table.filter(pc.equal(table["customer"], customer_name(key, customer)))
    kept = mine.filter(pc.not_equal(mine["state"].cast("string"), "dropped"))
    return mine.num_rows, kept.num_rows


def side_of(people: Path, customer: str, key: bytes) -> Literal["train", "validation"] | None:
    """Which side a customer's conversations were on, or None where there is none of them."""
    table = read_stream(people)
    known, wanted = numbers(table, "customer"), np.uint64(int(customer_name(key, customer), 16))
    place = int(np.searchsorted(known, wanted))
    if place == len(known) or known[place] != wanted:
        return None
    return "validation" if numbers(table, "validation")[place] else "train"
