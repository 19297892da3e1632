"""Which conversations are worth learning from. Defaults and where they come from: docs/data.md."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from lf_bridge.prepare.quality import words
from lf_bridge.prepare.quality.grounding import first_ungrounded
from lf_bridge.prepare.quality.language import languages
from lf_bridge.recipe.preparing import Quality

# Why a conversation is dropped; where several rules would, the first of them in this order is named.
RULES = (
    "",
    "too_short",
    "too_long",
    "deflection",
    "abusive_agent",
    "unresolved",
    "badly_rated",
    "ungrounded",
    "language",
)
_FEW_WORDS = 3  # that an answer which sends elsewhere may hold besides: "For refunds", "退款问题"
Numbers = npt.NDArray[Any]


@dataclass(frozen=True)
class Judged:
    """One entry a conversation. ``reason`` is an index into ``RULES`` (0: kept). ``turns`` is how many of its turns
    stay: even, 0 where it is dropped. ``cut_reason`` says, as an index into ``RULES``, why a kept one lost its end."""

    reason: npt.NDArray[np.int8]
    turns: npt.NDArray[np.int64]
    cut_reason: npt.NDArray[np.int8]


def judge(
    texts: pa.Array,
    starts: Numbers,
    context: pa.Array | None,
    rating: Numbers,
    resolved: Numbers,
    settings: Quality,
) -> Judged:
    """Judge conversations by every rule that is switched on.

    ``texts`` are turns; ``starts`` the first turn of each conversation, whose turns alternate from a customer's to an
    agent's. ``context`` is per turn, null where the export has no knowledge for it. ``rating`` and ``resolved`` are per
    conversation: 1 good or solved, -1 bad, unsolved or reopened, 0 unknown.
    """
    starts = np.asarray(starts, np.int64)
    lengths = np.diff(np.append(starts, len(texts)))
    turns, cut_reason = lengths.copy(), np.zeros(len(starts), np.int8)
    if settings.ungrounded != "off":
        first = first_ungrounded(texts, starts, context)
        turns = np.where(first < 0, lengths, first - 1 if settings.ungrounded == "cut" else 0)
        cut_reason = np.where(turns < lengths, RULES.index("ungrounded"), 0).astype(np.int8)
    gone = turns == 0

    # The other rules see what is left; a later insult still tells of the agent.
    place = np.arange(len(texts)) - np.repeat(starts, lengths)
    rows = np.flatnonzero(place % 2 == 1)
    owner = np.repeat(np.arange(len(starts)), lengths)[rows]
    left = place[rows] < turns[owner]
    answers = texts.take(pa.array(rows))
    stays, stays_owner = answers.filter(pa.array(left)), owner[left]
    fired: dict[str, Numbers] = {"ungrounded": gone}
    if settings.too_short == "drop":
        fired["too_short"] = ~gone & (_words_of(stays, stays_owner, len(starts), settings.least_words))
    if settings.too_long == "drop":
        fired["too_long"] = turns > settings.most_turns
    if settings.deflection == "drop":
        fired["deflection"] = ~gone & _only_deflect(stays, stays_owner, len(starts))
        sent = np.flatnonzero(fired["deflection"])
        asked = texts.take(pa.array(starts[sent] + turns[sent] - 2))
        fired["deflection"][sent] = ~_matches(asked, words.ASKS_WHERE)
    if settings.abusive_agent == "drop":
        fired["abusive_agent"] = _any(owner[_matches(answers, words.ABUSE)], len(starts))
    if settings.unresolved == "drop":
        fired["unresolved"] = resolved == -1
    if settings.badly_rated == "drop":
        fired["badly_rated"] = rating == -1
    if settings.languages:
        fired["language"] = ~np.isin(languages(texts, starts), settings.languages)
    order = [name for name in RULES if name in fired]
    reason = np.select([fired[name] for name in order], [RULES.index(name) for name in order], 0).astype(np.int8)
    kept = reason == 0
    return Judged(reason, np.where(kept, turns, 0), np.where(kept, cut_reason, 0).astype(np.int8))


def count_words(texts: pa.Array) -> Numbers:
    """Words of each text; a Chinese character, a kana and a syllable of Hangul are one each."""
    counts: Numbers = pc.count_substring_regex(texts, words.WORD).to_numpy(zero_copy_only=False)
    return counts


def _words_of(answers: pa.Array, owner: Numbers, conversations: int, least: int) -> Numbers:
    """Conversations whose answers hold fewer words than ``least``. One long answer clears most of them at once."""
    if not least:
        return np.zeros(conversations, bool)
    enough = np.zeros(len(answers), bool)
    if least <= 20:
        enough = _matches(answers, f"{words.WORD_APART}{{{least}}}")
    unsure = ~_any(owner[enough], conversations)[owner]
    total = np.bincount(owner[unsure], count_words(answers.filter(pa.array(unsure))), conversations)
    return (total < least) & ~_any(owner[enough], conversations)


def _only_deflect(answers: pa.Array, owner: Numbers, conversations: int) -> Numbers:
    """Conversations in which some answer sends elsewhere and none says anything else."""
    candidates = _any(owner[_matches(answers, f"{words.ELSEWHERE}|{words.ADDRESS}")], conversations)
    look = candidates[owner]
    # A link or an address is one word, whatever dots are in it.
    answers = pc.replace_substring_regex(answers.filter(pa.array(look)), words.ADDRESS, "link")
    pieces = pc.split_pattern_regex(answers, words.PIECE_END)
    flat, parent = pieces.flatten(), pc.list_parent_indices(pieces).to_numpy()
    elsewhere = _matches(flat, words.ELSEWHERE)
    empty = elsewhere | (_matches(flat, words.COURTESY) & (pc.utf8_length(flat).to_numpy() <= 60))
    besides = np.bincount(parent, np.where(empty, 0, _said(flat)), len(answers))
    conclusive = _any(owner[look][besides > _FEW_WORDS], conversations)
    sends = _any(owner[look][np.unique(parent[elsewhere])], conversations)
    return candidates & sends & ~conclusive


def _said(pieces: pa.Array) -> Numbers:
    """About how many words: two Chinese characters are one."""
    chinese = pc.count_substring_regex(pieces, r"\p{Han}").to_numpy(zero_copy_only=False)
    said: Numbers = count_words(pieces) - chinese + (chinese + 1) // 2
    return said


def _matches(texts: pa.Array, pattern: str) -> Numbers:
    matched: Numbers = pc.match_substring_regex(texts, pattern).to_numpy(zero_copy_only=False)
    return matched


def _any(owners: Numbers, conversations: int) -> Numbers:
    marked = np.zeros(conversations, bool)
    marked[owners] = True
    return marked
