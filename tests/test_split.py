"""Who is held out stays held out, nobody is on both sides, and what leaks is counted."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lf_bridge.prepare.quality.duplicates import fingerprint
from lf_bridge.prepare.quality.split import TRAIN, VALIDATION, Split, assign, find_leaks

By = Literal["customer", "time"]


def divided(
    people: list[int],
    twins: list[int] | None = None,
    known: list[int] | None = None,
    times: list[int] | None = None,
    fraction: float = 0.3,
    seed: int = 1,
    by: By = "customer",
) -> Split:
    """``people`` are small numbers in place of keyed hashes; who is not mentioned is nobody's twin and new."""
    count = len(people)
    return assign(
        np.array(people, np.uint64) * np.uint64(0x9E3779B97F4A7C15),
        np.array(twins if twins is not None else range(count), np.int64),
        np.array(times if times is not None else range(count), np.int64),
        np.array(known if known is not None else [-1] * count, np.int8),
        fraction,
        seed,
        by,
    )


@st.composite
def conversations(draw: st.DrawFn, most: int = 14) -> tuple[list[int], list[int], list[int]]:
    """Customers, twins (a row before or the row itself) and times."""
    people = draw(st.lists(st.integers(1, 8), min_size=1, max_size=most))
    twins = [draw(st.one_of(st.just(row), st.integers(0, row))) for row in range(len(people))]
    return people, twins, draw(st.lists(st.integers(0, 5), min_size=len(people), max_size=len(people)))


def clusters(twins: list[int]) -> list[int]:
    """The first row of each row's cluster of twins."""
    first: list[int] = []
    for row, twin in enumerate(twins):
        first.append(row if twin == row else first[twin])
    return first


def check(done: Split, people: list[int], twins: list[int], known: list[int]) -> None:
    """Nobody known moved, nobody is on two sides, no twins are, and only newcomers are dropped."""
    for labels in (people, clusters(twins)):
        for label in set(labels):
            rows = [row for row, other in enumerate(labels) if other == label]
            if len({known[row] for row in rows} - {-1}) < 2:  # already apart where it came from
                assert len({int(done.side[row]) for row in rows} - {-1}) <= 1
    for row, was in enumerate(known):
        assert was in (-1, done.side[row])
        assert bool(done.dropped[row]) == (done.side[row] == -1)
        assert not (done.dropped[row] and was >= 0)


@settings(deadline=None)
@given(conversations(), conversations(), st.sampled_from(["customer", "time"]), st.sampled_from([0.05, 0.3, 0.9]))
def test_whatever_is_appended_later_nobody_changes_sides(first: Any, later: Any, by: By, fraction: float) -> None:
    people, twins, times = first
    once = divided(people, twins, None, times, fraction, by=by)
    check(once, people, twins, [-1] * len(people))
    assert not once.dropped.any()

    more_people, more_twins, more_times = later
    # A later export's twins lie in it or in what was there before.
    offset = len(people)
    joined = twins + [twin % offset if twin % 3 == 0 else twin + offset for twin in more_twins]
    everyone, known = people + more_people, [*once.side.tolist(), *[-1] * len(more_people)]
    twice = divided(everyone, joined, known, times + more_times, fraction, by=by)
    check(twice, everyone, joined, known)


@settings(deadline=None)
@given(conversations(), st.integers(0, 3))
def test_both_sides_have_someone_wherever_two_groups_can_be_parted(drawn: Any, seed: int) -> None:
    people, twins, times = drawn
    groups = list(range(len(people)))
    for one, other in [*enumerate(twins), *((row, people.index(person)) for row, person in enumerate(people))]:
        groups = [
            min(groups[one], groups[other]) if group in (groups[one], groups[other]) else group for group in groups
        ]
    for by in ("customer", "time"):
        for fraction in (0.0, 1.0):
            done = divided(people, twins, None, times, fraction, seed, by)
            assert len(set(done.side.tolist())) == min(len(set(groups)), 2)


def test_about_the_share_that_was_asked_for_is_held_out_and_another_seed_holds_out_others() -> None:
    people = list(range(1, 20_001))
    sides = [divided(people, fraction=0.1, seed=seed).side for seed in (1, 2)]
    assert all(abs(side.mean() - 0.1) < 0.01 for side in sides)
    assert abs((sides[0] & sides[1]).mean() - 0.01) < 0.005


def test_who_else_is_there_does_not_decide_over_a_customer() -> None:
    few, many = list(range(1, 200)), list(range(1, 2000))
    assert divided(few).side.tolist() == divided(many).side.tolist()[: len(few)]


def test_by_time_the_last_to_appear_are_held_out() -> None:
    people = [*range(100), 5]
    done = divided(people, times=[*range(100), 1000], fraction=0.1, by="time")
    assert np.flatnonzero(done.side == VALIDATION).tolist() == list(range(90, 100))
    assert done.side[100] == TRAIN  # an old customer who came again


def test_a_newcomer_with_a_twin_across_the_split_is_dropped_alone() -> None:
    done = divided([1, 2, 1, 1], twins=[0, 1, 1, 3], known=[TRAIN, VALIDATION, -1, -1])
    assert done.dropped.tolist() == [False, False, True, False]
    assert done.side.tolist() == [TRAIN, VALIDATION, -1, TRAIN]
    # A stranger who is a twin of both goes nowhere; what else he wrote is kept.
    done = divided([1, 2, 3, 3], twins=[0, 0, 0, 3], known=[TRAIN, VALIDATION, -1, -1])
    assert done.dropped.tolist() == [False, False, True, False]


def sentence(number: int) -> str:
    rng = np.random.default_rng(number)
    return "".join(chr(97 + letter) for letter in rng.integers(0, 26, 90))


@pytest.mark.parametrize("change", [str.upper, lambda text: text + " bye"])
def test_twins_across_the_split_are_counted_once_each(change: Any) -> None:
    texts = [sentence(number) for number in range(60)]
    said = texts + [change(text) for text in texts[:20]]
    made = fingerprint(pa.array(["how does it work"] * len(said)), pa.array(said))
    side = np.array([TRAIN] * 60 + [VALIDATION] * 20, np.int8)
    assert find_leaks(side, [made], 0.8) == 20
    assert find_leaks(np.where(np.arange(80) < 10, -1, side).astype(np.int8), [made], 0.8) == 10
    assert find_leaks(np.where(np.arange(80) < 40, TRAIN, VALIDATION).astype(np.int8), [made], 0.8) == 20
    assert find_leaks(np.full(80, TRAIN, np.int8), [made], 0.8) == 0


def test_a_boilerplate_in_all_is_no_leak_and_a_twin_in_it_is_found() -> None:
    common = sentence(1000) * 2
    texts = [sentence(number)[:60] for number in range(3000)]
    texts[2999] = texts[0][:58]
    made = fingerprint(pa.array(texts), pa.array([common] * len(texts)))
    side = np.where(np.arange(3000) < 2800, TRAIN, VALIDATION).astype(np.int8)
    assert find_leaks(side, [made], 0.95) >= 1
    assert find_leaks(side[:2999], [fingerprint(pa.array(texts[:2999]), pa.array([common] * 2999))], 0.95) == 0
