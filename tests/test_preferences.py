"""What people preferred in the logs becomes examples to learn a preference from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from standins import MINI, Place, make_place
from written import HEADER, Rows, check_account, conversations, entry, prepare, rows, say, write_csv

SPLITS = ("", "_validation")


@pytest.fixture
def place(tmp_path: Path) -> Place:
    made = make_place(tmp_path / "place")
    made.recipe(MINI, "cs_rank8")
    return made


def out(place: Place) -> Path:
    return place.root / "data" / "dataset"


def judged(place: Place, name: str) -> list[dict[str, Any]]:
    """The examples under both entries of a kind."""
    return [one for split in SPLITS for one in entry(out(place), name + split)]


def turns(example: dict[str, Any]) -> list[str]:
    return [turn["value"] for turn in example["conversations"]]


def with_column(name: str, cells: dict[int, str], messages: Rows, *, of: str = "agent") -> tuple[Rows, tuple[str, ...]]:
    """Messages with one column more, filled in for the given conversations on one side."""
    return [(*row, cells.get(int(row[0][1:]), "") if row[3] == of else "") for row in messages], (*HEADER, name)


def test_a_customers_rating_judges_the_last_answer(place: Place) -> None:
    ratings = {number: "1" if number % 4 == 0 else "5" for number in range(32)}
    messages, header = with_column("csat", ratings, rows(range(40), 4))
    write_csv(place.root / "log.csv", messages, header)
    report = prepare(place, "log.csv")
    check_account(report, out(place))
    rated = judged(place, "rated")
    assert {tuple(turns(one)): one["kto_tag"] for one in rated} == {
        tuple(say(number, 4)): rating == "5" for number, rating in ratings.items()
    }
    assert report["preferences"]["rated"] + report["preferences"]["rated_validation"] == len(rated) == 32
    badly = [number for number, rating in ratings.items() if rating == "1"]
    assert report["conversations"]["dropped"] == {"badly_rated": len(badly)}
    assert not [number for number in badly if say(number, 4) in conversations(out(place))]


def test_an_edited_draft_is_worse_than_what_was_sent(place: Place) -> None:
    drafts = {number: f"I do not know about {number}, sorry" for number in range(0, 30, 2)}
    drafts |= {1: say(1)[1]}  # sent as it was drafted
    messages, header = with_column("ai_draft", drafts, rows(range(40)))
    write_csv(place.root / "log.csv", messages, header)
    report = prepare(place, "log.csv")
    check_account(report, out(place))
    pairs = {turns(one)[0]: (one["chosen"]["value"], one["rejected"]["value"]) for one in judged(place, "pairs")}
    assert pairs == {say(number)[0]: (say(number)[1], drafts[number]) for number in range(0, 30, 2)}
    assert not any("I do not know about" in text for one in conversations(out(place)) for text in one)


def test_two_answers_to_one_question_of_which_one_was_rated_well_make_a_pair(place: Place) -> None:
    good = rows(range(30))
    bad: Rows = [
        (
            f"u{row[0][1:]}",
            f"u{row[1]}",
            row[2],
            row[3],
            row[4],
            row[5] if row[3] == "customer" else "no idea, look it up",
        )
        for row in good
    ]
    messages = [(*row, "5" if row[0].startswith("t") else "1") for row in [*good, *bad]]
    write_csv(place.root / "log.csv", messages, (*HEADER, "rating"))
    report = prepare(place, "log.csv")
    check_account(report, out(place))
    pairs = {turns(one)[0]: (one["chosen"]["value"], one["rejected"]["value"]) for one in judged(place, "pairs")}
    assert pairs == {say(number)[0]: (say(number)[1], "no idea, look it up") for number in range(30)}
    assert report["preferences"]["pairs"] + report["preferences"]["pairs_validation"] == 30
    sides = {split: {one[0] for one in conversations(out(place), split)} for split in ("train", "validation")}
    for split, name in (("train", "pairs"), ("validation", "pairs_validation")):
        assert {turns(one)[0] for one in entry(out(place), name)} == sides[split]


def test_an_answer_that_a_person_rated_badly_is_not_taught(place: Place) -> None:
    fixture = Path(__file__).parent / "fixtures" / "formats" / "taskmaster" / "reward.json"
    log = write_csv(place.root / "log.csv", rows(range(20)))
    place.recipe(MINI.replace("cutoff_length: 64", "cutoff_length: 999"), "cs_rank8")
    report = prepare(place, str(fixture), str(log))
    check_account(report, out(place))
    rated = judged(place, "rated")
    assert sorted(one["kto_tag"] for one in rated) == [False, False, True, True, True]
    taught = conversations(out(place))
    assert all((turns(one) in taught) == one["kto_tag"] for one in rated)


def test_personal_data_in_a_draft_is_replaced_too(place: Place) -> None:
    drafts = dict.fromkeys(range(10), "write to anna.smith@firm-mail.de please")
    messages, header = with_column("draft", drafts, rows(range(20)))
    write_csv(place.root / "log.csv", messages, header)
    prepare(place, "log.csv")
    rejected = [one["rejected"]["value"] for one in judged(place, "pairs")]
    assert len(rejected) == 10
    assert not [text for text in rejected if "firm-mail" in text]
    assert all(text.endswith(" please") for text in rejected)


def test_logs_without_a_preference_have_no_entry_for_one(place: Place) -> None:
    report = prepare(place, "data/raw")
    assert report["preferences"] == {"rated": 0, "rated_validation": 0, "pairs": 0, "pairs_validation": 0}
    with pytest.raises(KeyError):
        entry(out(place), "rated")
