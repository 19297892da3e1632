"""Damaged logs through `lfb prepare`: each damage is said once, costs only itself, and is refused where asked."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from standins import MINI, Place, make_place
from written import HEADER, check_account, conversations, ledger, rows, say, state, write_csv

from lf_bridge.prepare import unpack
from lf_bridge.prepare.formats import csv_table


@pytest.fixture
def place(tmp_path: Path) -> Place:
    made = make_place(tmp_path / "place")
    made.recipe(MINI, "cs_rank8")
    return made


def damaged(folder: Path) -> None:
    """One file for each damage; the rest of each is good."""
    good = [",".join(row) + "\n" for row in rows(range(90), 2)]
    header = ",".join(HEADER) + "\n"

    def write(name: str, first: int, change: Callable[[bytes], bytes]) -> None:
        lines = "".join(row.replace("?", ' "please"?') for row in good[2 * first : 2 * first + 10])
        (folder / name).write_bytes(header.encode() + change(lines.encode()))

    folder.mkdir()
    write("cut.csv", 0, lambda data: data + b'cut,cut-0,c,customer,2024-05-01,"I was just wri')
    write("nul.csv", 5, lambda data: data.replace(b"yes: our", b"yes: \0our", 2))
    write(
        "mixed.csv",
        10,
        lambda data: data.replace(b"can my", b"c\xe0n my", 1).replace(b"yes:", "oui déjà:".encode(), 1),
    )
    write("huge.csv", 15, lambda data: data + b"h,h-0,c,customer,2024-05-01," + b"x" * (6 << 20) + b"\n")
    write("floats.csv", 20, lambda data: data.replace(b"t2", b"2").replace(b"-0,", b".0,").replace(b"-1,", b"1.0,"))
    write("twice.csv", 25, lambda data: data + data)
    write("ragged.csv", 30, lambda data: data * 200 + b"two,cells\n" + data * 200)
    write("dates.csv", 35, lambda data: data.replace(b"2024-05-01 10:01:00", b"01.05.2024 10:01", 3))
    (folder / "empty.csv").write_bytes(b"")
    (folder / "header.csv").write_text(header)
    (folder / "photo.csv").write_bytes(b"\x89PNG" + bytes(range(256)) * 9)
    (folder / "lines.jsonl").write_text(
        "".join(json.dumps(dict(zip(HEADER, row, strict=True))) + "\n" for row in rows(range(40, 45))) + '{"text": "cu'
    )
    tweets = [
        (
            f"{90 - place}",
            f"{'acme' if place else 4}",
            str(place == 0),
            "Tue Oct 31 22:10:47 +0000 2017",
            text,
            "",
            other,
        )
        for place, (text, other) in enumerate(zip(say(45), ("89", "90"), strict=True))
    ]
    names = ("tweet_id", "author_id", "inbound", "created_at", "text", "response_tweet_id", "in_response_to_tweet_id")
    write_csv(folder / "ring.csv", tweets, names)
    with zipfile.ZipFile(folder / "bomb.zip", "w", zipfile.ZIP_DEFLATED) as bomb:
        bomb.writestr("log.csv", header + "1,1,1,customer,,hello\n" * (1 << 18))
    (folder / "loop").symlink_to(folder)


def lower_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that a bomb and a huge cell are made in a moment."""
    monkeypatch.setattr(unpack, "MOST_BYTES", 1 << 20)
    monkeypatch.setattr(unpack, "MOST_TIMES", 20)
    monkeypatch.setattr(csv_table, "LONGEST_ROW", 1 << 20)
    monkeypatch.setattr(csv_table, "_BLOCK", 1 << 18)


def test_damaged_files_cost_only_themselves_and_each_is_said(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    lower_limits(monkeypatch)
    damaged(place.root / "logs")
    done = place.lfb("prepare", "logs", "--json")
    report = json.loads(done.out)
    warnings = [line.removeprefix("warning: ") for line in done.err.splitlines() if line.startswith("warning: ")]
    assert warnings == report["warnings"]
    assert sorted(warnings) == [
        "1 links were left out: they lead back to a folder that holds them, or nowhere",
        "bomb.zip unpacks to more than 20 times its size and more than 0 GiB: left out",
        "cut.csv row 11: a quote is opened and not closed",
        "dates.csv: 3 of the first 10 times are in another form than `iso`",
        "empty.csv is empty and was left out",
        "header.csv holds no messages",
        "huge.csv row 11: longer than 1 MB, or a quote is opened and not closed",
        "lines.jsonl row 11: no valid JSON",
        "mixed.csv: 1 lines are not UTF-8: read as cp1252 (the first is line 2)",
        "nul.csv: 2 NUL bytes were removed (the first is in line 3)",
        "photo.csv is a binary file, not text: left out",
        "ragged.csv row 2001: 2 cells under 6 names",
        "ring.csv: 1 rings of messages that answer each other, cut at the first row",
    ]
    folder = place.root / "data" / "dataset"
    check_account(report, folder)
    assert report["messages"]["dropped"] == {"repeated": 10 + 3990, "unreadable": 4}
    assert len(conversations(folder)) == 46
    unreadable = [(row["file"], row["row"]) for row in ledger(folder) if row["reason"] == "unreadable"]
    assert unreadable == [("cut.csv", 11), ("huge.csv", 11), ("lines.jsonl", 11), ("ragged.csv", 2001)]


def test_one_bad_line_among_100_000_rows_is_named_and_all_others_are_read(place: Place) -> None:
    good = "".join(
        f"l{number},l{number}-{turn},p{number},{('customer', 'agent')[turn]},,{text}\n"
        for number in range(50_000)
        for turn, text in enumerate(say(number % 100))
    )
    half = good.index("l25000,")
    (place.root / "large.csv").write_text(",".join(HEADER) + "\n" + good[:half] + "bad,line\n" + good[half:])
    assert (place.root / "large.csv").stat().st_size > 3 << 20
    done = place.command("-m", "lf_bridge", "prepare", "large.csv", "--json")
    assert done.code == 0, done.err
    report = json.loads(done.out)
    assert "warning: large.csv row 50001: 2 cells under 6 names" in done.err.splitlines()
    assert report["messages"]["read"] == 100_001
    assert report["messages"]["dropped"]["unreadable"] == 1
    assert sum(report["messages"]["dropped"].values()) == 100_001 - report["messages"]["kept"]


def test_strict_refuses_damaged_files_whole_and_names_each(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    lower_limits(monkeypatch)
    place.lfb("prepare", "data/raw")
    before = state(place.root / "data" / "dataset")
    damaged(place.root / "logs")
    done = place.lfb("prepare", "logs", "--strict", code=1)
    assert done.out == ""
    assert done.err.splitlines()[1:] == [
        "error: 6 records or files cannot be read, and --strict refuses them",
        "  bomb.zip             unpacks to more than 20 times its size and more than 0 GiB",
        "  photo.csv            is a binary file, not text",
        "  cut.csv row 11       a quote is opened and not closed",
        "  huge.csv row 11      longer than 1 MB, or a quote is opened and not closed",
        "  lines.jsonl row 11   no valid JSON",
        "  ragged.csv row 2001  2 cells under 6 names",
        "",
        "hint: mend them, or leave --strict out: they are then dropped, and the ledger says so",
    ]
    assert state(place.root / "data" / "dataset") == before
    place.lfb("prepare", "data/raw", "--strict")
