"""What is kept for training, and why the rest is not: each rule against answers labelled by hand."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lf_bridge.prepare.quality.grounding import first_ungrounded, states_unknown
from lf_bridge.prepare.quality.language import languages
from lf_bridge.prepare.quality.rules import RULES, Judged, count_words, judge
from lf_bridge.recipe.preparing import Quality

# Written by us, in Chinese and English, before the rules; to the second list no rule was fitted.
LISTS = ("answers.jsonl", "answers_held_out.jsonl")
FOLDER = Path(__file__).parent / "fixtures" / "quality"
Conversation = list[str]


def labelled(name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (FOLDER / name).read_text(encoding="utf-8").splitlines()]


def judged(
    conversations: list[Conversation],
    chosen: Quality | None = None,
    *,
    context: list[list[str | None]] | None = None,
    rating: int = 0,
    resolved: int = 0,
) -> Judged:
    """Each list of words is a conversation that a customer begins and an agent ends."""
    lengths = np.array([len(turns) for turns in conversations])
    texts = pa.array([text for turns in conversations for text in turns], pa.string())
    known = None if context is None else pa.array([cell for cells in context for cell in cells], pa.string())
    whole = np.ones(len(conversations), np.int8)
    starts = np.cumsum(lengths) - lengths
    return judge(texts, starts, known, whole * rating, whole * resolved, chosen or Quality())


def reason(turns: Conversation, chosen: Quality | None = None, **more: Any) -> str:
    return RULES[judged([turns], chosen, **more).reason[0]]


def quality_of(found: list[bool], wanted: list[bool]) -> tuple[float, float]:
    right = sum(one and other for one, other in zip(found, wanted, strict=True))
    return right / sum(found), right / sum(wanted)


@pytest.mark.parametrize(("name", "precision", "recall"), [(LISTS[0], 0.97, 0.97), (LISTS[1], 0.9, 0.9)])
def test_answers_that_state_what_nobody_told_them_are_found(name: str, precision: float, recall: float) -> None:
    rows = labelled(name)
    conversations = [[*row["before"], row["answer"]] for row in rows]
    lengths = np.array([len(turns) for turns in conversations])
    texts = pa.array([text for turns in conversations for text in turns])
    context = [[None] * len(row["before"]) + [row.get("context")] for row in rows]
    places = first_ungrounded(
        texts, np.cumsum(lengths) - lengths, pa.array([cell for cells in context for cell in cells], pa.string())
    )
    found = [place == length - 1 for place, length in zip(places, lengths, strict=True)]
    measured = quality_of(found, [row["invented"] for row in rows])
    assert measured[0] >= precision
    assert measured[1] >= recall


@pytest.mark.parametrize(("name", "precision", "recall"), [(LISTS[0], 0.95, 0.95), (LISTS[1], 0.9, 0.9)])
def test_answers_that_only_send_elsewhere_are_found(name: str, precision: float, recall: float) -> None:
    rows = labelled(name)
    found = judged([[*row["before"], row["answer"]] for row in rows], Quality(ungrounded="off")).reason
    measured = quality_of((found == RULES.index("deflection")).tolist(), [row["deflects"] for row in rows])
    assert measured[0] >= precision
    assert measured[1] >= recall


def test_the_pass_over_whole_columns_hides_no_answer_from_the_exact_rules() -> None:
    rows = [row for name in LISTS for row in labelled(name)]
    texts = pa.array([text for row in rows for text in ("?", row["answer"])])
    found = first_ungrounded(texts, np.arange(0, 2 * len(rows), 2), None) == 1
    assert found.tolist() == [states_unknown(row["answer"], "?") for row in rows]


def test_a_conversation_ends_before_the_first_invented_answer() -> None:
    turns = ["How do I return it?", "Print the label and take it to a post office.", "And my refund?"]
    turns += ["Your refund of $25.10 has been issued.", "Thanks", "You're welcome!"]
    cut = judged([turns, ["Refund?", "It has been refunded to you."]])
    assert cut.turns.tolist() == [2, 0]
    assert [RULES[code] for code in cut.cut_reason] == ["ungrounded", ""]
    assert [RULES[code] for code in cut.reason] == ["", "ungrounded"]
    assert reason(turns, Quality(ungrounded="drop")) == "ungrounded"
    assert judged([turns], Quality(ungrounded="off")).turns.tolist() == [6]


def test_knowledge_given_with_the_answer_or_before_it_grounds_it() -> None:
    turns = ["Where is order 77120?", "Order 77120 has been shipped.", "How much was it?", "It was $18.20."]
    facts = ["", "order 77120 shipped, total 18.20", None, None]
    assert judged([turns], context=[facts]).turns.tolist() == [4]
    assert judged([turns], context=[[None, None, None, None]]).reason.tolist() == [RULES.index("ungrounded")]
    late = [None, None, None, facts[1]]
    assert judged([turns], context=[late]).turns.tolist() == [0]


@pytest.mark.parametrize(
    ("answers", "chosen", "expected"),
    [
        (["Ok."], {}, "too_short"),
        (["https://example.com/a/long/path?with=much"], {}, "too_short"),
        (["好"], {}, "too_short"),
        (["好的"], {}, ""),
        (["Ok.", "Sure."], {}, ""),
        (["Restart it now."], {"least_words": 4}, "too_short"),
        (["Restart it right now."], {"least_words": 4}, ""),
        (["a b c " * 20], {"least_words": 61}, "too_short"),
        (["Ok."], {"too_short": "off"}, ""),
        (["Hold the button for ten seconds."] * 31, {}, "too_long"),
        (["Hold the button for ten seconds."] * 30, {}, ""),
        (["You are such an idiot, read the manual."], {}, "abusive_agent"),
        (["你是白痴吗，自己看说明书。"], {}, "abusive_agent"),
        (["There is no stupid question, ask me anything."], {}, ""),
        (["《白痴》这本书有现货，可以下单。"], {}, ""),
        (["Hi, how can I help?", "Please DM us."], {}, "deflection"),
        (["Hold the button for ten seconds.", "Please DM us."], {}, ""),
        (["Please DM us."], {"deflection": "off"}, ""),
    ],
)
def test_each_rule_drops_what_it_names_and_no_more(answers: list[str], chosen: dict[str, Any], expected: str) -> None:
    turns = [text for answer in answers for text in ("It does not work.", answer)]
    assert reason(turns, Quality(**chosen)) == expected


def test_whom_a_customer_insults_is_not_dropped() -> None:
    assert reason(["You are an idiot!", "I am sorry that it went wrong. Let us restart it."]) == ""


def test_what_the_export_says_of_a_conversation_counts_where_it_says_it() -> None:
    turns = ["It does not work.", "Hold the button for ten seconds."]
    assert reason(turns, rating=-1) == "badly_rated"
    assert reason(turns, resolved=-1) == "unresolved"
    assert reason(turns, rating=1, resolved=1) == ""
    assert reason(turns, Quality(badly_rated="off", unresolved="off"), rating=-1, resolved=-1) == ""


SPOKEN = {
    "en": ["my router does not work", "please restart it and tell me what you see"],
    "zh": ["我的iPhone 15不能开机了", "请长按电源键10秒"],
    "ja": ["注文をキャンセルしたいです", "承知しました。注文番号を教えてください"],
    "ko": ["주문을 취소하고 싶어요", "주문 번호를 알려 주세요"],
    "ru": ["где мой заказ", "пришлите, пожалуйста, номер"],
    "ar": ["أين طلبي", "يرجى إرسال رقم الطلب"],
    "de": ["wo ist mein Paket", "bitte schicken Sie uns die Nummer, wir sehen nach"],
    "fr": ["bonjour, je veux annuler", "merci, pouvez vous nous donner le numéro de votre commande"],
    "es": ["hola, no puedo entrar en mi cuenta", "gracias por escribir, ¿puede decirme el correo con el que entra?"],
    "pt": ["olá, não consigo entrar na minha conta", "você pode me dizer o seu e-mail? obrigado"],
    "": ["👍", "1234"],
}


def test_languages_are_told_by_script_and_common_words() -> None:
    texts = pa.array([text for turns in SPOKEN.values() for text in turns])
    assert languages(texts, np.arange(0, len(texts), 2)).tolist() == list(SPOKEN)
    chosen = Quality(languages=("zh", "en"), least_words=0)
    kept = judged(list(SPOKEN.values()), chosen).reason == 0
    assert [name for name, keep in zip(SPOKEN, kept, strict=True) if keep] == ["en", "zh"]


@settings(max_examples=25, deadline=None)
@given(st.lists(st.lists(st.tuples(st.text(max_size=30), st.text(max_size=30)), min_size=1, max_size=4), max_size=5))
def test_any_words_can_be_judged_and_what_stays_is_whole_exchanges(pairs: list[list[tuple[str, str]]]) -> None:
    clean = [[text.encode("utf-8", "ignore").decode() for pair in turns for text in pair] for turns in pairs]
    done = judged(clean, Quality(languages=("en", "")))
    assert (done.turns % 2 == 0).all()
    assert ((done.turns == 0) == (done.reason > 0)).all()
    for turns, code, left in list(zip(clean, done.reason, done.turns, strict=True))[:1]:
        alone = judged([turns], Quality(languages=("en", "")))
        assert (alone.reason[0], alone.turns[0]) == (code, left)


def test_words_are_counted_as_readers_count_them() -> None:
    texts = ["", "...", "well-known fact", "你好 world", "iPhone手机", "don't, ok?"]
    assert count_words(pa.array(texts)).tolist() == [0, 0, 2, 3, 3, 2]
