"""What the redactor missed is set aside by the second scan, and no value of it is said anywhere."""

from __future__ import annotations

import json
import stat
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import pytest
from standins import MINI, Finished, Place, make_place
from written import Rows, check_account, conversations, ledger, prepare, record, rows, say, state, write_csv

from lf_bridge.prepare.privacy import redact
from lf_bridge.prepare.privacy.findings import Finding

PHONE = "13912345678"
LEFT = f"call me on {PHONE}, or is that too late?"


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    """A workspace whose redactor knows no phone numbers."""
    take = redact._take

    def overlook_numbers(findings: Iterable[Finding], taken: list[Finding]) -> None:
        take((one for one in findings if one.type not in ("phone", "order")), taken)

    monkeypatch.setattr(redact, "_take", overlook_numbers)
    made = make_place(tmp_path / "place")
    made.recipe(MINI, "cs_rank8")
    return made


def export(place: Place, leaking: Sequence[int], count: int = 40) -> str:
    """Conversations of which some hold a phone number in the customer's last turn."""
    messages: Rows = [
        (*row[:5], f"{row[5]} {LEFT}") if int(row[0][1:]) in leaking and row[1].endswith("-0") else row
        for row in rows(range(count))
    ]
    write_csv(place.root / "log.csv", messages)
    return "log.csv"


def out(place: Place) -> Path:
    return place.root / "data" / "dataset"


def check_silent(place: Place, *done: Finished) -> None:
    """The number stands in the raw log and in two private files, of the quarantine and for a later export."""
    assert all(PHONE not in one.out + one.err for one in done)
    holding = {
        path.relative_to(place.root).as_posix()
        for path in place.root.rglob("*")
        if path.is_file() and PHONE.encode() in path.read_bytes()
    }
    kept = steps(place)
    assert holding <= {"log.csv", *(f"data/dataset/{kept[name]}" for name in ("quarantine", "store"))}
    assert all(stat.S_IMODE((out(place) / kept[name]).stat().st_mode) == 0o600 for name in ("quarantine", "store"))
    assert PHONE not in str(ledger(out(place)))


def steps(place: Place) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(next(out(place).glob("conversations-*.json")).read_bytes())
    return found


def set_aside(place: Place) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (out(place) / steps(place)["quarantine"]).read_text("ascii").splitlines()]


def test_a_conversation_with_a_number_left_is_set_aside_and_the_others_are_published(place: Place) -> None:
    (place.root / "prepare.yaml").write_text("quarantine: {limit: 0.1}\n")
    done = place.lfb("prepare", export(place, [3, 7]), "--config", "prepare.yaml", "--json")
    report = json.loads(done.out)
    check_account(report, out(place))
    assert report["quarantined"] == {"phone": 2}
    assert report["conversations"]["dropped"] == {"quarantined": 2}
    assert report["messages"]["dropped"] == {"quarantined": 4}
    assert conversations(out(place)) == sorted(say(number) for number in range(40) if number not in (3, 7))
    aside = [row for row in ledger(out(place)) if row["reason"] == "quarantined"]
    assert sorted(row["message_id"] for row in aside) == ["t3-0", "t3-1", "t7-0", "t7-1"]
    assert {row["conversation"] for row in aside} == {one["conversation"] for one in set_aside(place)}
    assert all([reason for reason, _ in one["findings"]] == ["phone"] for one in set_aside(place))
    check_silent(place, done)
    assert "0 replaced, 2 set aside" in place.lfb("prepare", "log.csv", "--config", "prepare.yaml").out


def test_above_the_limit_the_run_fails_and_nothing_moves(place: Place) -> None:
    place.lfb("prepare", "data/raw")
    before = state(out(place))
    done = place.lfb("prepare", export(place, [3, 7]), code=1)
    lines = done.err.splitlines()
    assert lines[1] == "error: 2 of 40 conversations still hold personal data, and 1.0% are the limit"
    assert [line.split()[0] for line in lines[2:4]] == ["conversation"] * 2
    assert all("phone, finding " in line for line in lines[2:4])
    assert done.out == ""
    assert state(out(place)) == before
    assert PHONE not in done.err
    report = place.lfb("prepare", "log.csv", "--json", code=1)
    assert PHONE not in report.out + report.err


def test_a_finding_that_a_person_calls_harmless_is_accepted_by_its_hash(place: Place) -> None:
    refused = place.lfb("prepare", export(place, [3, 7]), code=1)
    hashes = {line.rpartition(" ")[2] for line in refused.err.splitlines() if ", finding " in line}
    (accepted,) = hashes  # the same number is the same finding
    report = prepare(place, "log.csv", "--allow-finding", accepted)
    assert report["quarantined"] == {}
    assert len(conversations(out(place))) == 40
    place.lfb("prepare", "log.csv", "--allow-finding", "0" * 16, "--out", "other", code=1)


def test_a_company_number_is_kept_by_the_settings(place: Place) -> None:
    (place.root / "prepare.yaml").write_text(f"privacy: {{allow: ['{PHONE}']}}\n")
    report = prepare(place, export(place, [3, 7]), "--config", "prepare.yaml")
    assert report["quarantined"] == {}


def test_a_judged_answer_with_a_number_left_is_in_no_preference_either(place: Place) -> None:
    messages = [
        (*row[:5], f"{row[5]} {LEFT}" if row[0] == "t3" and row[3] == "agent" else row[5], "5")
        for row in rows(range(20))
    ]
    write_csv(
        place.root / "log.csv",
        messages,
        ("conversation_id", "message_id", "customer_id", "role", "created_at", "text", "rating"),
    )
    (place.root / "prepare.yaml").write_text("quarantine: {limit: 0.1}\n")
    done = place.lfb("prepare", "log.csv", "--config", "prepare.yaml", "--json")
    preferences = json.loads(done.out)["preferences"]
    assert preferences["rated"] + preferences["rated_validation"] == 19
    check_silent(place, done)


def test_a_later_export_with_a_number_left_sets_its_conversation_aside(place: Place) -> None:
    (place.root / "prepare.yaml").write_text("quarantine: {limit: 0.1}\n")
    prepare(place, str(write_csv(place.root / "first.csv", rows(range(40)))))
    messages: Rows = [
        ("t5", "t5-9", "c5", "customer", "2024-05-01 11:00:00", LEFT),
        ("t5", "t5-10", "c5", "agent", "2024-05-01 11:01:00", "gladly"),
    ]
    write_csv(place.root / "log.csv", messages)
    done = place.lfb("prepare", "log.csv", "--append", "--config", "prepare.yaml", "--json")
    assert json.loads(done.out)["messages"]["dropped"] == {"quarantined": 4}
    assert say(5) not in conversations(out(place))
    assert record(out(place))["report"]["quarantined"] == {"phone": 1}
    again = place.lfb("prepare", "first.csv", "--append", "--config", "prepare.yaml", "--json")
    assert json.loads(again.out)["quarantined"] == {"phone": 1}
    assert all(PHONE not in one.out + one.err for one in (done, again))
