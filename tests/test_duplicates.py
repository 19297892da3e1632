"""Conversations that say the same again are found, whatever order they come in, and nothing else is."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from lf_bridge.prepare.quality.duplicates import REASONS, Fingerprints, Found, find, fingerprint, open_saved, save
from lf_bridge.recipe.preparing import Duplicates

Pair = tuple[str, str]
NAMES = ["router", "battery", "invoice", "speaker", "password", "keyboard", "printer", "charger", "screen", "account"]
VERBS = ["restart", "update", "replace", "connect", "unplug", "reinstall", "check", "clean", "charge", "reset"]
CHINESE = "请长按电源键等待指示灯变绿后重新连接网络打开设置选择账户安全修改密码输入验证码提交申请查看订单详情物流信息"


def made_up(rng: random.Random) -> Pair:
    """A question and its answer of about 110 characters together, with a number in it."""
    named = rng.sample(NAMES, 2)
    question = (
        f"my {named[0]} stopped after the {rng.choice(NAMES)} {rng.choice('abcdefgh')}{rng.randint(100, 999)} came"
    )
    steps = [f"{rng.choice(VERBS)} the {name} {rng.choice(['first', 'twice', 'slowly', 'again'])}" for name in named]
    return question, f"{', then '.join(steps)}; code {rng.randint(1000, 9999)} tells that it worked"


def prints(pairs: list[Pair]) -> Fingerprints:
    questions, answers = ([pair[side] for pair in pairs] for side in (0, 1))
    return fingerprint(pa.array(questions, pa.string()), pa.array(answers, pa.string()))


def found(pairs: list[Pair], known: tuple[int, ...] = (), **chosen: object) -> Found:
    marked = np.zeros(len(pairs), bool)
    marked[list(known)] = True
    return find([prints(pairs)], marked, Duplicates.model_validate(chosen))


def reasons(pairs: list[Pair], known: tuple[int, ...] = (), **chosen: object) -> list[str]:
    return [REASONS[code] for code in found(pairs, known, **chosen).reason]


LONG = ("My router keeps losing the connection every evening.", "Open 192.168.1.1, choose channel 6 and restart it.")


def test_case_and_white_space_make_no_difference_and_everything_else_does() -> None:
    same = (LONG[0].upper() + " \n", f"  {LONG[1]}\u3000")
    moved = (LONG[0] + LONG[1][:4], LONG[1][4:])
    assert reasons([LONG, same], near="off").count("exact") == 1
    assert reasons([LONG, moved, (LONG[0], LONG[1] + "!"), (LONG[1], LONG[0])], near="off") == [""] * 4


def test_short_ones_are_only_exact_duplicates() -> None:
    assert sorted(reasons([("thanks a lot", "welcome"), ("thanks a lot!", "welcome")])) == ["", ""]
    assert sorted(reasons([("谢谢", "不客气"), ("谢谢", "不客气")])) == ["", "exact"]


EDITS: dict[str, tuple[Callable[[Pair], Pair], float]] = {
    "number changed": (lambda pair: (pair[0], pair[1].replace("code ", "code 7")), 0.97),
    "greeting added": (lambda pair: ("Hello there, " + pair[0], pair[1]), 0.95),
    "one word changed": (lambda pair: (pair[0].replace("stopped", "failed"), pair[1]), 0.95),
    "sign-off added": (lambda pair: (pair[0], pair[1] + " Anna"), 0.97),
}


@pytest.mark.parametrize("edit", EDITS)
def test_edits_that_change_little_are_found_and_other_conversations_are_not(edit: str) -> None:
    rng = random.Random(4)
    originals = [made_up(rng) for _ in range(1500)]
    change, recall = EDITS[edit]
    pairs = originals + [change(pair) for pair in originals[:500]]
    assert all(pair not in originals for pair in pairs[1500:])
    done = found(pairs, tuple(range(1500)))
    near = done.reason[1500:] == REASONS.index("near")
    assert near.mean() >= recall
    assert (done.twin[1500:][near] == np.arange(500)[near]).mean() > 0.99
    assert np.count_nonzero(found(originals).reason) < 15


def test_chinese_is_compared_by_its_characters() -> None:
    rng = random.Random(1)
    texts = ["".join(rng.choices(CHINESE, k=60)) for _ in range(200)]
    pairs = [("怎么办", text) for text in texts] + [("怎么办", text[:30] + "您" + text[31:]) for text in texts]
    assert reasons(pairs).count("near") >= 190


def test_what_is_in_the_dataset_stays_and_wins() -> None:
    rng = random.Random(2)
    twins = [(question, f"{answer}, {word}") for question, answer in [made_up(rng)] for word in ("ok", "yes", "so")]
    for known in range(3):
        done = found([*twins, twins[known]], (known,))
        assert [REASONS[code] for code in np.delete(done.reason, [known, 3])] == ["near", "near"]
        assert REASONS[done.reason[3]] == "exact"
        assert done.twin.tolist() == [known] * 4
    assert found(twins * 2, tuple(range(6))).reason.tolist() == [0] * 6


def test_neither_the_order_nor_the_parts_decide_who_is_kept(tmp_path: Path) -> None:
    rng = random.Random(3)
    pairs = [made_up(rng) for _ in range(300)]
    pairs += [(question, f"{answer} {word}") for question, answer in pairs[:100] for word in ("ok", "yes")]
    shuffled = rng.sample(range(len(pairs)), len(pairs))
    once = found(pairs)
    again = found([pairs[place] for place in shuffled])
    kept = {pairs[place] for place in np.flatnonzero(once.reason == 0)}
    assert kept == {pairs[shuffled[place]] for place in np.flatnonzero(again.reason == 0)}
    assert 290 <= len(kept) <= 310

    parts = []
    for number, (begin, end) in enumerate([(0, 1), (1, 1), (1, 350), (350, 500)]):
        save(prints(pairs[begin:end]), tmp_path / f"{number}.npy")
        parts.append(open_saved(tmp_path / f"{number}.npy"))
    spread = find(parts, np.zeros(len(pairs), bool), Duplicates())
    assert spread.reason.tolist() == once.reason.tolist()
    assert spread.twin.tolist() == once.twin.tolist()


def test_a_chain_of_small_changes_is_not_swallowed_whole() -> None:
    rng = random.Random(5)
    words = ["".join(rng.choices("abcdefghijklmnop", k=6)) for _ in range(80)]
    chain = [("how", " ".join(words[step : step + 40])) for step in range(41)]
    done = found(chain)
    kept = np.flatnonzero(done.reason == 0)
    assert len(kept) >= 4
    dropped = np.flatnonzero(done.reason)
    assert len(dropped) > 10
    assert np.isin(done.twin[dropped], kept).all()
    assert (np.abs(done.twin[dropped] - dropped) <= 9).all()


def test_kept_conversations_are_not_near_each_other() -> None:
    rng = random.Random(6)
    pairs = [(f"{question} {rng.choice(NAMES)}", answer) for question, answer in [made_up(rng)] * 40]
    pairs += [(f"{question} x{number}", answer) for number in range(40) for question, answer in [made_up(rng)]]
    kept = [pair for pair, reason in zip(pairs, reasons(pairs), strict=True) if not reason]
    assert reasons(kept) == [""] * len(kept)


def test_a_template_is_kept_as_often_as_the_cap_says() -> None:
    rng = random.Random(7)
    asked = ["".join(rng.choices("abcdefghij klmnop", k=120)) for _ in range(30)]
    pairs = [
        (question, f"Dear {name}, ticket {number * 37} is with a colleague. Write to {name}@example.com!")
        for number, (question, name) in enumerate(zip(asked, "ABCDEFGHIJ" * 3, strict=True))
    ]
    assert reasons(pairs, template_cap=5).count("template_capped") == 25
    assert reasons(pairs, template_cap=0).count("template_capped") == 0
    known = reasons(pairs, tuple(range(8)), template_cap=5)
    assert known[:8] == [""] * 8
    assert known[8:] == ["template_capped"] * 22
    numbers = [(question, str(number)) for number, question in enumerate(asked)]
    assert reasons(numbers, template_cap=1) == [""] * 30


def test_switched_off_rules_drop_nothing_and_still_say_who_is_a_twin() -> None:
    same, near = LONG, (LONG[0], LONG[1] + " Bye")
    done = found([LONG, same, near], exact="off", near="off", template_cap=0)
    assert done.reason.tolist() == [0, 0, 0]
    assert len(set(done.twin.tolist())) == 1
    assert reasons([LONG, same, near], exact="off").count("near") in (1, 2)


def test_nothing_to_compare_is_no_error() -> None:
    assert len(prints([])) == 0
    assert find([], np.zeros(0, bool), Duplicates()).reason.tolist() == []
    assert reasons([("", ""), ("", "")]).count("exact") == 1
