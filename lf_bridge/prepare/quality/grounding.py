"""Answers that state what stands nowhere before them: an order's state, an amount, a number, a promised day.

Examples with facts that the model cannot know are learned slowly and, once learned, raise invention (Gekhman et al.
2024, arXiv 2405.05904). Policies ("3-5 days", "over $50"), conditions and questions are no such statements.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from lf_bridge.prepare.quality import words

_SENTENCE = re.compile(r"(?<=[!?;。！？；\n])|(?<=\.)(?=\s)")
_NUMBER = re.compile(r"[0-9][0-9,]*(?:\.[0-9]+)?")
_RUN = re.compile(r"[0-9]{4,}")
_TOKEN = re.compile(r"[A-Za-z0-9]+(?:-[A-Za-z0-9]+)*")
_LINK = re.compile(words.ADDRESS)
_TELEPHONE = re.compile(
    r"(?:\+[0-9]{1,3}[ -]?)?\(?[0-9]{2,4}\)?(?:[ -][0-9]{3,4}){2,}"
    r"|(?<![0-9])(?:[48]00[0-9]{7}|1?8(?:00|88|77|66|55)[0-9]{7})(?![0-9])"
)
_DIALLED = re.compile(
    r"(?:\b(?:call|dial|phone|tel|hotline|ring|fax)\b[^0-9.]{0,12}|拨打|致电|电话|热线|微信|QQ)[^0-9。]{0,6}$", re.I
)
_NAMED = re.compile(
    r"(?:\b(?:case|ticket|order|reference|ref|number|no|id|code|tracking|claim|confirmation|booking|invoice)\b|#|单号|编号|号码|工单|订单|运单|受理|取件码|验证码|券码|码是)[^0-9。.]{0,16}$",
    re.I,
)
_ERROR = re.compile(r"(?:error|错误|代码|version|model|form)[^0-9.]{0,12}$", re.I)
_YEAR = re.compile(r"(?:19|20)[0-9]{2}(?:(?:0[1-9]|1[0-2])(?:[0-2][0-9]|3[01]))?s?")
_UNIT = re.compile(
    r"\s?(?:mah|[kmg]b|mbps|px|hz|rpm|kg|ml|km|points?|rows?|steps?|people|users?|customers?|hours?|minutes?"
    r"|积分|毫安|毫米|米|克|公里|人|个|名|次|字|年|多|万|点|分|度|瓦|像素)",
    re.I,
)
_MEASURE = re.compile(r"[0-9]+(?:p|k|w|v|mah|[kmg]b|hz|x[0-9]+|ml|g|kg|m|km)", re.I)
_NEGATED = re.compile(r"[?？吗]|n't\b|\b(?:not|never|no|when|whether|if|yet to)\b|没|未|何时|什么时候", re.I)


@cache
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern)


def first_ungrounded(texts: pa.Array, starts: npt.NDArray[Any], context: pa.Array | None) -> npt.NDArray[Any]:
    """For each conversation the place in it of the first agent turn that states something found nowhere before, -1
    where there is none.

    ``texts`` are turns, ``starts`` the first turn of each conversation; ``context`` is per turn, null where none.
    """
    found = np.full(len(starts), -1, np.int64)
    if not len(starts):
        return found
    place = np.arange(len(texts)) - np.repeat(starts, np.diff(np.append(starts, len(texts))))
    answers = np.flatnonzero(place % 2 == 1)
    kinds = _may_state(texts.take(pa.array(answers)))
    rows = np.flatnonzero(kinds.any(axis=1))
    owner = np.searchsorted(starts, answers[rows], "right") - 1
    for row, conversation in zip(rows.tolist(), owner.tolist(), strict=True):
        if found[conversation] < 0:
            first, turn = int(starts[conversation]), int(answers[row])
            before = texts.slice(first, turn - first).to_pylist()
            if context is not None:
                before += [known for known in context.slice(first, turn - first + 1).to_pylist() if known]
            if _any_unknown(texts[turn].as_py(), "\n".join(before), kinds[row]):
                found[conversation] = turn - first
    return found


def states_unknown(answer: str, before: str) -> bool:
    """Whether an answer states an order's state, an amount, a number or a day that stands nowhere in ``before``."""
    return _any_unknown(answer, before, np.ones(3 + len(words.STATES), bool))


def _may_state(answers: pa.Array) -> npt.NDArray[Any]:
    """For each answer which kinds of statement it may hold: number, amount, day, and each of ``words.STATES``.

    Each pattern alone, for all in one outgrow what RE2 can hold as a fast automaton.
    """
    kinds = np.zeros((len(answers), 3 + len(words.STATES)), bool)
    rows = np.flatnonzero(_matches(answers, words.STATEMENT_WORDS))
    answers = answers.take(pa.array(rows))
    kinds[rows, 2] = _matches(answers, words.DAY) & _matches(answers, words.PROMISE)
    for kind, pattern in {0: "[0-9]{4}", 1: words.AMOUNT}.items():
        kinds[rows, kind] = _matches(answers, pattern)
    for kind, (stated, _) in enumerate(words.STATES.values(), 3):
        kinds[rows, kind] = _matches(answers, f"(?i){stated}")
    return kinds


def _any_unknown(answer: str, before: str, kinds: npt.NDArray[Any]) -> bool:
    number, amount, day, *states = kinds.tolist()
    if number and not set(_RUN.findall(before)).issuperset(_identifiers(answer)):
        return True
    if amount and not {_plain(known) for known in _NUMBER.findall(before)}.issuperset(_amounts(answer)):
        return True
    if day:
        folded = before.casefold()
        if any(promised not in folded for promised in _promised_days(answer)):
            return True
    return any(
        may and _states(answer, stated) and not _is_said(known, before)
        for may, (stated, known) in zip(states, words.STATES.values(), strict=True)
    )


def _matches(texts: pa.Array, pattern: str) -> npt.NDArray[Any]:
    matched: npt.NDArray[Any] = pc.match_substring_regex(texts, pattern).to_numpy(zero_copy_only=False)
    return matched


def _states(answer: str, stated: str) -> bool:
    """Whether a sentence claims this state of this order, and not of any."""
    for sentence in _SENTENCE.split(answer):
        match = _compiled(f"(?i){stated}").search(sentence)
        if not match or _asks(sentence) or _compiled(words.GENERAL).search(sentence):
            continue
        # What follows directly ("is shipped when ...") makes it a condition too.
        if not _compiled(words.CONDITION).search(sentence[: match.end() + 8]):
            return True
    return False


def _is_said(known: str, before: str) -> bool:
    said = _compiled(f"(?i){known}")
    return any(said.search(sentence) and not _NEGATED.search(sentence) for sentence in _SENTENCE.split(before))


def _amounts(answer: str) -> Iterator[str]:
    for match in _compiled(words.AMOUNT).finditer(answer):
        number = _plain(_NUMBER.findall(match[0])[0])
        if number != "0" and not _compiled(words.THRESHOLD).search(answer[: match.start()]):
            yield number


def _plain(number: str) -> str:
    number = number.replace(",", "")
    return number.rstrip("0").rstrip(".") if "." in number else number


def _identifiers(answer: str) -> Iterator[str]:
    """The digits of what looks like the number of a case, an order or a parcel."""
    for noise in (_LINK, _TELEPHONE, _compiled(words.AMOUNT)):
        answer = noise.sub(" ", answer)
    for match in _TOKEN.finditer(answer):
        token, ahead, after = match[0], answer[: match.start()], answer[match.end() :]
        runs = _RUN.findall(token)
        if (
            not runs
            or _YEAR.fullmatch(token)
            or _MEASURE.fullmatch(token)
            or _UNIT.match(after)
            or token.startswith("0x")
            or _DIALLED.search(ahead)
            or _ERROR.search(ahead)
        ):
            continue
        least = 6 if token.isdigit() else 5
        if max(map(len, runs)) >= least or _NAMED.search(ahead):
            yield from runs


def _promised_days(answer: str) -> Iterator[str]:
    for sentence in _SENTENCE.split(answer):
        if (
            _compiled(words.PROMISE).search(sentence)
            and not _asks(sentence)
            and not _compiled(words.GENERAL).search(sentence)
            and not _compiled(words.CONDITION).search(sentence)
        ):
            yield from (match[0].casefold() for match in _compiled(words.DAY).finditer(sentence))


def _asks(sentence: str) -> bool:
    return sentence.rstrip().endswith(("?", "？", "吗", "吗。"))
