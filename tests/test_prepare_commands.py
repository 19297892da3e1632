"""`lfb prepare` as a user calls it, on every export that is here, on damaged files, and with every option."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from standins import MINI, Place, make_place
from test_help_desks import CASES, count
from written import check_account, conversations, ledger, prepare, record, rows, say, state, write_csv

FIXTURES = Path(__file__).parent / "fixtures" / "formats"
NO_LOGS = ("SOURCE", "expected.json", "labels.tsv", "labelled.jsonl")
JSON_FIELDS = {
    "messages", "conversations", "files", "warnings", "seconds", "messages_per_second", "peak_memory_bytes",
    "duplicates", "redacted", "quarantined", "preferences", "tokens", "stages", "languages", "turns", "lengths",
}  # fmt: skip


@pytest.fixture
def place(tmp_path: Path) -> Place:
    made = make_place(tmp_path / "place")
    made.recipe(MINI, "cs_rank8")
    return made


def json_of(path: Path) -> Any:
    return json.loads(path.read_text("utf-8"))


def lines_of(path: Path) -> list[str]:
    return [line for line in path.read_text("utf-8").splitlines() if line]


def csv_rows(path: Path) -> int:
    with open(path, newline="", encoding="utf-8") as file:
        return sum(1 for _ in csv.reader(file)) - 1


# Messages in a file, counted without any of our readers.
COUNTS: dict[str, Callable[[Path], int]] = {
    "abcd/sample.json": lambda path: sum(len(one["original"]) for one in json_of(path)),
    "abcd/splits.json": lambda path: sum(len(one["original"]) for split in json_of(path).values() for one in split),
    "contact_center/first.json": lambda path: len(json_of(path)["entries"]),
    "contact_center/second.json": lambda path: len(json_of(path)["entries"]),
    "contact_center/many.jsonl": lambda path: sum(len(json.loads(line)["entries"]) for line in lines_of(path)),
    "jddc/chat2018.txt": lambda path: len(lines_of(path)) - 1,
    "jddc/chat2019.txt": lambda path: len(lines_of(path)),
    "slack/guests/help-acme/2024-03-12.json": lambda path: len(json_of(path)),
    "slack/guests/help-acme/2024-03-13.json": lambda path: len(json_of(path)),
    "support_tweets/twcs.csv": csv_rows,
    "support_tweets/resaved.csv": csv_rows,
    "taskmaster/dialogues.json": lambda path: sum(len(one["utterances"]) for one in json_of(path)),
    "taskmaster/reward.json": lambda path: sum(1 + len(json.loads(one["context"])) for one in json_of(path)),
}


def test_every_export_here_is_read_to_the_last_message(place: Place) -> None:
    shutil.copytree(FIXTURES, place.root / "logs", ignore=lambda folder, names: {*NO_LOGS, "public"} & set(names))
    write_csv(place.root / "logs" / "tickets.csv", rows(range(40), 4))
    report = prepare(place, "logs")
    check_account(report, place.root / "data" / "dataset")
    assert set(report) == JSON_FIELDS
    read = {file["path"]: file["read"] for file in report["files"]}
    for name, case in CASES:
        found = sum(number for path, number in read.items() if path.startswith(f"{name}/{case}/"))
        assert found == count(name, FIXTURES / name / case), f"{name}/{case}"
    wrong = {name: read[name] for name, independent in COUNTS.items() if read[name] != independent(FIXTURES / name)}
    assert not wrong
    kept = conversations(place.root / "data" / "dataset")
    assert all(say(number, 4) in kept for number in range(40))
    assert {file["format"] for file in report["files"]} >= {case[0] for case in CASES} | {
        name.partition("/")[0] for name in COUNTS
    }


def test_an_export_that_does_not_tell_its_agents_is_read_with_their_names(place: Place) -> None:
    public = FIXTURES / "slack" / "public"
    refused = place.lfb("prepare", str(public), code=1)
    assert "error: this Slack export does not say which of its people are the company's agents" in refused.err
    (place.root / "mapping.yaml").write_text("agent_values: [Ines, hamza]\n")
    tickets = write_csv(place.root / "tickets.csv", rows(range(20)))
    report = prepare(place, str(public), str(tickets), "--mapping", "mapping.yaml")
    check_account(report, place.root / "data" / "dataset")
    days = [path for path in public.rglob("*.json") if path.parent != public]
    assert report["messages"]["read"] == sum(len(json_of(path)) for path in days) + 40


def test_the_public_sample_comes_out_whole_but_for_what_a_rule_takes(place: Place) -> None:
    sample = Path(__file__).parents[1] / "data" / "sample"
    report = prepare(place, str(sample))
    check_account(report, place.root / "data" / "dataset")
    assert report["messages"]["read"] == csv_rows(sample / "taskmaster4.csv")
    assert not report["quarantined"]
    said: dict[str, list[str]] = {}
    ids: dict[str, list[str]] = {}
    with open(sample / "taskmaster4.csv", newline="", encoding="utf-8") as file:
        account = ledger(place.root / "data" / "dataset")
        for row, told in zip(csv.DictReader(file), account, strict=True):
            said.setdefault(told["conversation"], []).append(row["text"].strip())
            ids.setdefault(told["conversation"], []).append(told["state"] + (told["changes"] or ""))
    untouched = [texts for name, texts in said.items() if set(ids[name]) == {"kept"}]
    written = {tuple(one) for one in conversations(place.root / "data" / "dataset")}
    assert len(untouched) > 500
    assert not [texts for texts in untouched if tuple(texts) not in written]
    assert set(report["duplicates"]) == {"exact", "near", "template_capped"}
    assert set(report["tokens"]) == {"total", "trained", "over_cutoff"}
    assert [stage["name"] for stage in report["stages"]][:3] == ["read", "clean", "redact"]
    assert report["tokens"]["total"] >= report["tokens"]["trained"] > 0


def test_a_dry_run_says_everything_and_leaves_no_trace(place: Place) -> None:
    done = place.lfb("prepare", "data/raw", "--dry-run")
    assert "(not written: a dry run)" in done.out
    assert not (place.root / "data" / "dataset").exists()
    assert not (place.root / ".lfb" / "dry-run").exists()
    wet = place.lfb("prepare", "data/raw")
    assert wet.out.partition("\ndataset ")[0] == done.out.partition("\ndataset ")[0]
    before = state(place.root / "data")
    more = write_csv(place.root / "more.csv", rows(range(20)))
    added = place.lfb("prepare", str(more), "--append", "--dry-run")
    assert "messages       120 read" in added.out
    assert state(place.root / "data") == before


def test_a_typo_in_the_settings_is_said_with_its_line_and_what_was_meant(place: Place) -> None:
    (place.root / "prepare.yaml").write_text("quality:\n  least_words: 2\n  most_turn: 40\n")
    done = place.lfb("prepare", "data/raw", "--config", "prepare.yaml", code=1)
    assert "quality.most_turn (prepare.yaml:3)  unknown field; did you mean `most_turns`?" in done.err
    (place.root / "mapping.yaml").write_text("conversation: conversation_id\nagent_value: [agent]\n")
    done = place.lfb("prepare", "data/raw", "--mapping", "mapping.yaml", code=1)
    assert "agent_value (mapping.yaml:2)  unknown field; did you mean `agent_values`?" in done.err
    done = place.lfb("prepare", "data/raw", "--mapping", "nowhere.yaml", code=1)
    assert "error: there is no file nowhere.yaml\n\nhint: `lfb recipe settings` prints a prepare.yaml" in done.err
    done = place.lfb("prepare", "data/raw", "--format", "help-scot", code=1)
    assert "error: there is no format `help-scot`; did you mean `help_scout`?" in done.err
    done = place.lfb("prepare", "data/raw", "--format", "zendesk", code=1)
    assert "error: export.csv holds nothing of the format `zendesk`" in done.err


def test_rules_are_switched_off_by_the_bare_word(place: Place) -> None:
    (place.root / "prepare.yaml").write_text("quality: {most_turns: 2, too_long: off}\nprivacy: {replace: off}\n")
    write_csv(place.root / "log.csv", rows(range(20), 4))
    assert prepare(place, "log.csv", "--config", "prepare.yaml")["messages"]["kept"] == 80


def test_a_file_that_is_no_log_beside_others_is_named_with_what_to_do(place: Place) -> None:
    (place.root / "data" / "raw" / "diary.txt").write_text("dear diary\nit rained and rained\nand nobody wrote to us\n")
    done = place.lfb("prepare", code=1)
    assert "error: diary.txt is text in which no customer and agent speak by turns" in done.err
    assert "or give only the files that are logs: all others are understood" in done.err


def test_logs_of_which_a_rule_leaves_nothing_name_the_rule(place: Place) -> None:
    (place.root / "prepare.yaml").write_text("quality: {most_turns: 2}\n")
    write_csv(place.root / "log.csv", rows(range(20), 4))
    done = place.lfb("prepare", "log.csv", "--config", "prepare.yaml", code=1)
    assert "  too_long  20 conversations dropped" in done.err
    assert "docs/prepare.md says what each rule drops" in done.err


def test_the_recipe_names_settings_mapping_and_format_and_an_option_goes_before_it(place: Place) -> None:
    columns = ("Fall", "wer", "was")
    messages = [(row[0], {"customer": "Kunde", "agent": "Team"}[row[3]], row[5]) for row in rows(range(20), 4)]
    write_csv(place.root / "logs" / "faelle.csv", messages, columns)
    (place.root / "mapping.yaml").write_text(
        "conversation: Fall\nrole: wer\ntext: was\ncustomer_values: [Kunde]\nagent_values: [Team]\n"
    )
    (place.root / "prepare.yaml").write_text("quality: {most_turns: 2}\n")
    more = "raw: logs, mapping: mapping.yaml, settings: prepare.yaml, format: messages"
    place.recipe(MINI.replace("raw: data/raw", more), "cs_rank8")
    refused = place.lfb("prepare", code=1)
    assert "80 messages make 0 usable conversations, and 2 are the least" in refused.err
    assert "too_long" in refused.err
    (place.root / "other.yaml").write_text("quality: {most_turns: 4}\n")
    report = prepare(place, "--config", "other.yaml", "--format", "auto")
    assert report["files"][0]["format"] == "messages"
    assert conversations(place.root / "data" / "dataset") == sorted(say(number, 4) for number in range(20))


def test_a_strange_table_is_read_after_its_mapping_was_written_and_filled(place: Place) -> None:
    messages = [(row[5], {"customer": "ext", "agent": "int"}[row[3]], row[0]) for row in rows(range(20))]
    write_csv(place.root / "dump.csv", messages, ("f1", "f2", "f3"))
    refused = place.lfb("prepare", "dump.csv", code=1)
    assert "error: dump.csv has no text column and no conversation column and no role column" in refused.err
    assert "columns it has" in refused.err
    assert "`lfb inspect dump.csv --write-mapping mapping.yaml` begins it" in refused.err
    place.lfb("inspect", "dump.csv", "--write-mapping", "mapping.yaml")
    path = place.root / "mapping.yaml"
    text = path.read_text()
    for name, value in {
        "text": "f1", "role": "f2", "conversation": "f3", "customer_values": "[ext]", "agent_values": "[int]",
    }.items():  # fmt: skip
        was = next(line for line in text.splitlines() if line.startswith(f"{name}:"))
        text = text.replace(was, f"{name}: {value}")
    path.write_text(text)
    seen = place.lfb("inspect", "dump.csv", "--mapping", "mapping.yaml").out
    assert f"customer      {say(0)[0]}" in seen
    report = prepare(place, "dump.csv", "--mapping", "mapping.yaml")
    check_account(report, place.root / "data" / "dataset")
    assert conversations(place.root / "data" / "dataset") == sorted(say(number) for number in range(20))


def test_the_record_says_what_json_says(place: Place) -> None:
    report = prepare(place, "data/raw")
    assert record(place.root / "data" / "dataset")["report"] == report
    assert prepare(place, "data/raw") == report


def test_forget_says_which_dataset_saw_a_customer_until_it_is_made_without_him(place: Place) -> None:
    write_csv(place.root / "log.csv", rows(range(20), 4))
    prepare(place, "log.csv")
    told = place.lfb("forget", "c3").out.splitlines()
    assert told[0] == "dataset  data/dataset  4 messages, 4 in examples"
    assert told[1].startswith("1. take the customer's rows out of the raw logs")
    assert place.lfb("forget", "c77").out == "no dataset, run or tag here saw this customer\n"
    write_csv(place.root / "log.csv", [row for row in rows(range(20), 4) if row[2] != "c3"])
    prepare(place, "log.csv")
    assert json.loads(place.lfb("forget", "c3", "--json").out) == {"seen": [], "steps": []}


def test_an_export_can_be_prepared_in_any_folder(tmp_path: Path) -> None:
    place = make_place(tmp_path / "place")
    shutil.rmtree(place.root / "recipes")
    done = place.lfb("prepare", "data/raw", "--out", "made")
    assert "recipe: the shipped recipes/cs_rank8.yaml, since there is none here" in done.err
    assert (place.root / "made" / "dataset_info.json").exists()
