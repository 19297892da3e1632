"""What `lfb prepare` wrote, read without the code that wrote it, and an export to give it."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
from standins import Place

HEADER = ("conversation_id", "message_id", "customer_id", "role", "created_at", "text")
THINGS = ["kettle", "umbrella", "coat", "lamp", "bicycle", "stool", "tent", "mirror", "sofa", "clock"]
WISHES = [
    "painted",
    "engraved",
    "shortened",
    "polished",
    "waxed",
    "varnished",
    "folded",
    "weighed",
    "wrapped",
    "knitted",
]
PLACES = ["office", "neighbour", "parents", "hotel", "cottage", "school", "ship", "garage", "farm", "shop"]
ENDS = ["tomorrow", "overnight", "weekly", "twice", "carefully", "gladly", "outdoors", "abroad", "together", "yourself"]
Rows = list[tuple[str, ...]]


def record(folder: Path) -> dict[str, Any]:
    """The dataset's record."""
    found: dict[str, Any] = json.loads((folder / "dataset.json").read_bytes())
    return found


def ledger(folder: Path) -> list[dict[str, Any]]:
    """A row a message, in the order of the files."""
    rows: list[dict[str, Any]] = pq.read_table(folder / record(folder)["files"]["ledger"]).to_pylist()
    return sorted(rows, key=lambda row: (row["file"], row["row"]))


def entry(folder: Path, name: str) -> list[dict[str, Any]]:
    """The examples under an entry of ``dataset_info.json``."""
    info = json.loads((folder / "dataset_info.json").read_bytes())
    examples: list[dict[str, Any]] = json.loads((folder / info[f"support_{name}"]["file_name"]).read_bytes())
    return examples


def conversations(folder: Path, *splits: str) -> list[list[str]]:
    """The texts of the turns of each example, sorted; of both splits where none is named."""
    return sorted(
        [turn["value"] for turn in one["conversations"]]
        for split in splits or ("train", "validation")
        for one in entry(folder, split)
    )


def say(number: int, turns: int = 2) -> list[str]:
    """The turns of a conversation that no rule of the shipped defaults touches, different for each number below 100."""
    thing, wish = THINGS[number % 10], WISHES[(number + number // 10) % 10]
    place, end = PLACES[(number + 3 * (number // 10)) % 10], ENDS[(number + 7 * (number // 10)) % 10]
    texts = (
        f"can my {thing} be {wish} {end}?",
        f"yes: our {place} has {wish} a {thing} {end}",
        f"does the {place} do {wish} things {end}, or only a {thing}?",
        f"anything {wish}, {end}; a {thing} from the {place} too",
    )
    return list(texts[:turns])


def rows(numbers: Iterable[int], turns: int = 2) -> Rows:
    """Those conversations as messages, each of a customer of its own."""
    return [
        (f"t{n}", f"t{n}-{place}", f"c{n}", ("customer", "agent")[place % 2], f"2024-05-01 10:{place:02}:00", text)
        for n in numbers
        for place, text in enumerate(say(n, turns))
    ]


def write_csv(path: Path, messages: Iterable[tuple[str, ...]], header: tuple[str, ...] = HEADER) -> Path:
    """A CSV file; its folder is made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([header, *messages])
    return path


def prepare(place: Place, *arguments: str) -> dict[str, Any]:
    """Run ``lfb prepare --json`` and return its object."""
    report: dict[str, Any] = json.loads(place.lfb("prepare", *arguments, "--json").out)
    return report


def check_account(report: dict[str, Any], folder: Path) -> None:
    """Whatever was read is kept, merged or dropped, by file and in all, and the ledger says the same."""
    messages, account = report["messages"], ledger(folder)
    assert messages["read"] == messages["kept"] + messages["merged"] + sum(messages["dropped"].values())
    assert messages["read"] == sum(file["read"] for file in report["files"]) == len(account)
    for file in report["files"]:
        states = [row["state"] for row in account if row["file"] == file["path"]]
        assert len(states) == file["read"] == file["kept"] + file["merged"] + file["dropped"]
        assert [states.count(state) for state in ("kept", "merged", "dropped")] == [
            file["kept"], file["merged"], file["dropped"],
        ]  # fmt: skip
    assert messages["kept"] == sum(map(len, conversations(folder)))


def state(folder: Path) -> dict[str, bytes]:
    """Every file of a folder with its bytes."""
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
