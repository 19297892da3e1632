"""A later export is added to a dataset: what is known stays where it is, what is new joins it."""

from __future__ import annotations

from pathlib import Path

import pytest
from standins import MINI, Place, make_place
from written import Rows, check_account, conversations, entry, ledger, prepare, rows, say, state, write_csv

from lf_bridge import points

FIRST = rows(range(30))


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """A workspace with a dataset of 30 conversations."""
    made = make_place(tmp_path / "place")
    made.recipe(MINI, "cs_rank8")
    write_csv(made.root / "first.csv", FIRST)
    prepare(made, "first.csv")
    return made


def out(place: Place) -> Path:
    return place.root / "data" / "dataset"


def sides(place: Place) -> dict[str, list[list[str]]]:
    return {split: conversations(out(place), split) for split in ("train", "validation")}


def later(place: Place, messages: Rows, name: str = "later.csv") -> str:
    write_csv(place.root / name, messages)
    return name


@pytest.mark.parametrize("known", [60, 0], ids=["whole", "only what is new"])
def test_a_later_export_joins_and_everyone_stays_on_their_side(place: Place, known: int) -> None:
    before = sides(place)
    new = rows(range(30, 70))
    report = prepare(place, later(place, [*FIRST[:known], *new]), "--append")
    check_account(report, out(place))
    after = sides(place)
    assert all(one in after[split] for split in before for one in before[split])
    assert sorted(after["train"] + after["validation"]) == sorted(say(number) for number in range(70))
    assert report["messages"]["dropped"] == ({"already_present": known} if known else {})
    assert [(file["path"], file["read"]) for file in report["files"]] == [
        ("first.csv", 60),
        ("later.csv", known + 80),
    ]


def test_a_conversation_that_goes_on_becomes_one_with_its_new_turns(place: Place) -> None:
    before = sides(place)
    goes_on = [row for row in rows(range(5), 4) if row[1].endswith(("-2", "-3"))]
    report = prepare(place, later(place, goes_on), "--append")
    check_account(report, out(place))
    assert report["messages"]["dropped"] == {}
    after = sides(place)
    for split, found in before.items():
        ongoing = [say(number, 4) for number in range(5) if say(number) in found]
        assert after[split] == sorted([one for one in found if one not in map(say, range(5))] + ongoing)


def test_a_question_that_was_left_open_is_taught_once_its_answer_comes(place: Place) -> None:
    asked = [row for row in rows(range(30, 40), 4) if not row[1].endswith("-3")]
    first = prepare(place, later(place, asked), "--append")
    assert first["messages"]["dropped"] == {"unanswered": 10}
    answers = [row for row in rows(range(30, 40), 4) if row[1].endswith("-3")]
    second = prepare(place, later(place, answers, "answers.csv"), "--append")
    check_account(second, out(place))
    assert second["messages"]["dropped"] == {}
    assert all(say(number, 4) in conversations(out(place)) for number in range(30, 40))


def test_the_same_export_again_changes_no_example_and_is_said(place: Place) -> None:
    before = {split: entry(out(place), split) for split in ("train", "validation")}
    done = place.lfb("prepare", "first.csv", "--append")
    assert "60 dropped: already_present" in done.out
    assert {split: entry(out(place), split) for split in before} == before
    assert [(row["file"], row["reason"]) for row in ledger(out(place))] == [
        *[("first.csv", None)] * 60,
        *[("first.csv (2)", "already_present")] * 60,
    ]


def test_a_newcomer_who_says_what_the_other_side_learns_is_dropped(place: Place) -> None:
    (place.root / "prepare.yaml").write_text("duplicates: {exact: off, near: off, template_cap: 0}\n")
    held_out = conversations(out(place), "validation")[0]
    trained = conversations(out(place), "train")[0]
    customer = next(row[2] for row in FIRST if row[5] == held_out[0])
    twins: Rows = [
        ("twin", f"twin-{turn}", customer, role, "2024-06-01", text)
        for turn, (role, text) in enumerate(zip(("customer", "agent"), trained, strict=True))
    ]
    report = prepare(place, later(place, [*twins, *rows(range(30, 33))]), "--append", "--config", "prepare.yaml")
    check_account(report, out(place))
    assert report["messages"]["dropped"] == {"twin_across_split": 2}
    assert trained in conversations(out(place), "train")
    assert trained not in conversations(out(place), "validation")
    assert say(31) in conversations(out(place))


def test_ids_alone_do_not_make_two_conversations_one(place: Place) -> None:
    other = [(f"x{row[0]}", row[1], f"x{row[2]}", *row[3:]) for row in rows(range(30, 40))]
    again = [(row[0], f"t0-{number}", *row[2:]) for number, row in enumerate(other)]
    report = prepare(place, later(place, again), "--append")
    assert report["messages"]["dropped"] == {}
    assert all(say(number) in conversations(out(place)) for number in range(40))


@pytest.mark.parametrize(
    "point", ["prepare: before conversations", "prepare: after conversations", "prepare: before commit"]
)
def test_a_crash_while_adding_leaves_the_old_dataset_and_the_next_try_adds(
    place: Place, monkeypatch: pytest.MonkeyPatch, point: str
) -> None:
    before, name = sides(place), later(place, rows(range(30, 40)))

    def crash(reached: str) -> None:
        if reached == point:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(points, "reach", crash)
        place.lfb("prepare", name, "--append", code=130)
    assert sides(place) == before
    place.lfb("prepare", name, "--append")
    assert conversations(out(place)) == sorted(say(number) for number in range(40))
    assert not (out(place) / ".work").exists()


def test_there_must_be_a_dataset_to_add_to(place: Place) -> None:
    before = state(out(place))
    done = place.lfb("prepare", "first.csv", "--append", "--out", "data/other", code=1)
    assert "error: " in done.err
    assert "data/other holds no dataset" in done.err
    assert state(out(place)) == before
    assert not (place.root / "data" / "other").exists()
