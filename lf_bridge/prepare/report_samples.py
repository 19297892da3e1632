"""Conversations that a dataset's report shows, and where in them stand-ins took the place of personal data."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lf_bridge.prepare.privacy.ranges import (
    CHINESE_GIVEN_NAMES,
    CHINESE_STREETS,
    CHINESE_SURNAMES,
    EXAMPLE_DOMAINS,
    GIVEN_NAMES,
    PLACEHOLDER,
    STREETS,
    SURNAMES,
    is_stand_in,
)

MOST_CHARACTERS = 4000  # of a turn, that are looked at and shown
_PROBES = 400
_MOST_BYTES = 1 << 20  # a longer example is passed over


@dataclass(frozen=True)
class Sample:
    """One written conversation, its turns the customer's and the agent's in alternation."""

    turns: tuple[str, ...]

    def has_stand_ins(self) -> bool:
        return any(find_stand_ins(turn[:MOST_CHARACTERS]) for turn in self.turns)


def read_samples(path: Path, count: int = 20) -> tuple[Sample, ...]:
    """Some conversations of a written ``train.json``, which has one example a line.

    Of 400 from all over the file, half of ``count`` with stand-ins, if there are so many, and others.
    """
    probes = _probe(path)
    marked = [sample for sample in probes if sample.has_stand_ins()]
    chosen = _spaced(marked, count // 2)
    others = [sample for sample in probes if sample not in chosen]
    chosen += _spaced(others, count - len(chosen))
    return tuple(sample for sample in probes if sample in chosen)


def _probe(path: Path) -> list[Sample]:
    found: dict[bytes, None] = {}
    size = path.stat().st_size
    with open(path, "rb") as file:
        for place in range(_PROBES):
            file.seek(size * place // _PROBES)
            file.readline(_MOST_BYTES)
            line = file.readline(_MOST_BYTES)
            if line.startswith(b'{"conversations"') and line.endswith(b"\n"):
                found[line.strip().removesuffix(b",")] = None
    examples = [json.loads(line) for line in found]
    return [Sample(tuple(turn["value"] for turn in example["conversations"])) for example in examples]


def _spaced(samples: Sequence[Sample], count: int) -> list[Sample]:
    return [samples[place * len(samples) // count] for place in range(min(count, len(samples)))]


def _either(words: Sequence[str]) -> str:
    return "|".join(map(re.escape, sorted(words, key=len, reverse=True)))


_WORD = rf"(?:{_either((*GIVEN_NAMES, *SURNAMES))})"
_DOMAIN = rf"(?:[a-z0-9-]+\.)*(?:{_either(EXAMPLE_DOMAINS)})(?![a-z0-9-]|\.[a-z0-9])"
_GROUP = r"(?:[ -](?=[a-z]*\d)[a-z0-9]{1,4})"
_CHINESE_TITLE = "先生|女士|小姐|太太|老师|经理|师傅|同学|总|哥|姐"
# What a value of each type looks like; ``is_stand_in`` then says whether it lies in the type's range. The first that
# takes a place keeps it: the surer ones come first.
_SHAPES = tuple(
    (type_, re.compile(rf"(?ai){shape}"))
    for type_, shape in (
        ("email", rf"[\w.+-]+@{_DOMAIN}"),
        ("url", rf"(?<![\w@.-])(?:https?://)?{_DOMAIN}(?:/[!-~]*[\w/])?"),
        ("handle", r"(?<!\w)@?example_[0-9a-f]{6}(?![0-9a-z])"),
        ("ip", r"(?<![\w.])\d{1,3}(?:\.\d{1,3}){3}(?![\w.]*\w)|(?<!\w)2001:db8:[0-9a-f:]+"),
        ("iban", rf"(?<![a-z0-9])[a-z]{{2}}00(?:[a-z0-9]{{11,30}}|[ -][a-z0-9]{{4}}{_GROUP}{{2,7}})(?![a-z0-9])"),
        ("address", rf"(?<!\d)(?:\d{{1,3}} )?(?:{_either(STREETS)})\b(?:, 000\d\d(?!\d))?"),
        ("address", rf"(?:{_either(CHINESE_STREETS)})(?:\d{{1,3}}号)?(?:\d栋\d{{3,4}}室)?"),
        ("address", r"\bp\.?\s*o\.?\s*box 00\d{3}(?!\d)|(?<![\d.,-])000\d\d(?![\d.,-])"),
        (
            "id_card",
            r"(?<![a-z0-9])(?:99(?!00)\d{13}(?:\d\d[\dx])?|666\D?\d\d\D?\d{4}|zz ?(?:\d\d ?){3}[a-d])(?![a-z0-9])",
        ),
        ("bank_card", r"(?<![\d-])\d00[ -]?0?00(?:[ -]?\d){6,15}(?![\d-])|(?<!\d)\d(?:[ -]?\d){11,18}(?![\d-])"),
        ("order", r"(?<![a-z0-9])(?:1z|[a-z]{1,4}-?)?9[ -]?9[ -]?0(?:[ -]?[a-z0-9]){0,30}\d(?![a-z0-9])"),
        ("phone", r"(?<![\d+])(?:\+|\(|\+\(|\b)?\d[\d ().·/-]{5,24}\d(?!\d)"),
        ("qq", r"(?<!\d)(?<=qq)\D{0,6}0\d{4,10}(?!\d)"),
        ("plate", r"[\u4e00-\u9fff]I[ ·-]?[A-H\d]{4,6}(?![a-z0-9])"),
        ("plate", r"(?<![a-z0-9])Q{1,3}(?:\d\d ?[A-H]{3}|-[A-H]{1,2} ?\d{1,4})(?![a-z0-9])"),
        ("name", rf"\b{_WORD}(?:\s+{_WORD})?\b"),
        ("name", rf"[{''.join(CHINESE_SURNAMES)}](?:{_either(CHINESE_GIVEN_NAMES)}|{_CHINESE_TITLE})"),
        ("name", rf"[小老阿][{''.join(CHINESE_SURNAMES)}]|(?:{_either(CHINESE_GIVEN_NAMES)})"),
    )
)


def find_stand_ins(text: str) -> list[tuple[int, int, str]]:
    """Start, end and type of each stand-in and placeholder, in order; an order's and a parcel's look alike ("order").

    A value of a customer's own in one of the ranges (``example.com``) is taken for one, and a lone Chinese surname is
    not found.
    """
    found = [
        (match.start(), match.end(), match[0][1:].rpartition("_")[0].lower()) for match in PLACEHOLDER.finditer(text)
    ]
    for type_, shape in _SHAPES:
        for match in shape.finditer(text):
            start, end = match.span()
            free = all(end <= taken[0] or start >= taken[1] for taken in found)
            if free and is_stand_in(type_, match[0]):
                found.append((start, end, type_))
    return sorted(found)
