"""What the redactor finds and spoils, measured on labelled texts; `python tests/privacy_cases.py` prints the table."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter

import pyarrow as pa
import pytest
from privacy_cases import (
    FILE,
    OTHERS,
    STRUCTURED,
    Case,
    count_false,
    is_left,
    load_cases,
    redact,
    score,
    share_unchanged,
    wilson_lower,
)

from lf_bridge.prepare.privacy.ranges import is_stand_in
from lf_bridge.prepare.privacy.second_scan import scan


@pytest.fixture(scope="module")
def cases() -> list[Case]:
    return [case for case in load_cases() if case.subset != "obfuscated"]


@pytest.fixture(scope="module")
def redacted(cases: list[Case]) -> list[str]:
    return redact(cases)


def test_the_cases_are_many_and_their_values_could_be_somebodys(cases: list[Case]) -> None:
    labelled = Counter(kind for case in cases for _, _, kind in case.spans)
    assert all(labelled[kind] >= 220 for kind in STRUCTURED)
    assert all(labelled[kind] >= 60 for kind in OTHERS)
    assert sum(not case.spans for case in cases) >= 300
    assert not [
        case.id for case in cases for kind in labelled for value in case.values(kind) if is_stand_in(kind, value)
    ]


def test_the_committed_cases_are_those_that_the_script_makes() -> None:
    made = subprocess.run(
        [sys.executable, FILE.parent / "make_cases.py", "-"], capture_output=True, check=True, encoding="utf-8"
    )
    assert made.stdout == FILE.read_text(encoding="utf-8")


@pytest.mark.parametrize("kind", STRUCTURED)
def test_a_structured_type_is_found(kind: str, cases: list[Case], redacted: list[str]) -> None:
    total = score(cases, redacted, kind)
    held_out = [pair for pair in zip(cases, redacted, strict=True) if pair[0].part == "held_out"]
    unseen = score([case for case, _ in held_out], [output for _, output in held_out], kind)
    missed = [
        case.id
        for case, output in zip(cases, redacted, strict=True)
        if any(is_left(kind, value, output) for value in case.values(kind))
    ]
    assert total.labelled >= 200
    assert total.lower >= 0.98, (
        f"{kind}: {total.found} of {total.labelled}, lower bound {total.lower:.4f}; held out {unseen.found} of "
        f"{unseen.labelled}, lower bound {unseen.lower:.4f}; missed {missed}"
    )


def test_texts_without_personal_data_stay_as_they_are(cases: list[Case], redacted: list[str]) -> None:
    # These are look-alikes throughout. In real logs 7 % of messages hold a run of digits at all: a share of 2 % here
    # is at most 0.14 % of messages there.
    changed = [case.id for case, output in zip(cases, redacted, strict=True) if not case.spans and case.text != output]
    assert share_unchanged(cases, redacted) >= 0.98, changed


@pytest.mark.parametrize("kind", STRUCTURED)
def test_words_around_a_value_stay_as_they_are(kind: str, cases: list[Case], redacted: list[str]) -> None:
    assert score(cases, redacted, kind).precision >= 0.98


def test_what_the_redactor_writes_is_no_finding(cases: list[Case], redacted: list[str]) -> None:
    clean = [
        output
        for case, output in zip(cases, redacted, strict=True)
        if not any(is_left(kind, value, output) for kind in (*STRUCTURED, "ip") for value in case.values(kind))
    ]
    assert len(clean) > 0.9 * len(cases)
    # A finding costs a conversation, and 1 % of them fail a run; these texts are the hard ones.
    assert len({finding.row for finding in scan(pa.array(clean), frozenset(), b"key")}) <= 0.001 * len(clean)


@pytest.mark.parametrize("kind", STRUCTURED)
def test_the_second_scan_catches_what_a_redactor_without_a_type_leaves(kind: str, cases: list[Case]) -> None:
    holders = [case for case in cases if case.values(kind)]
    left = [
        output
        for case, output in zip(holders, redact(holders, without=kind), strict=True)
        if any(is_left(kind, value, output) for value in case.values(kind))
    ]
    caught = {finding.row for finding in scan(pa.array(left), frozenset(), b"key")}
    assert left
    assert len(caught) >= 0.95 * len(left), f"{len(caught)} of {len(left)}"


@pytest.mark.parametrize(
    ("kind", "value", "output", "left"),
    [
        ("phone", "+86 138 1234 5678", "打13812345678", True),
        ("phone", "+86 138 1234 5678", "打 +86 154 0011 2233", False),
        ("phone", "010-62345678转801", "010-00345521转801", False),
        ("email", "anna.b@gmail.com", "write to anna.b@example.com", True),
        ("email", "anna.b@gmail.com", "write to rowena@gmail.com", False),
        ("name", "John Miller", "Dear Mr. Miller", True),
        ("name", "John Miller", "a millerite stone", False),
        ("url", "https://a.de/reset?token=Ab3dE5gH7j", "https://b.com/reset?token=Ab3dE5gH7j", True),
        ("url", "https://a.de/reset?token=Ab3dE5gH7j", "https://a.de/reset", False),
    ],
)
def test_a_recognisable_piece_counts_as_left(kind: str, value: str, output: str, left: bool) -> None:
    assert is_left(kind, value, output) is left


def test_a_replacement_outside_the_values_counts_as_false() -> None:
    text = "call 13812345678 about the XQG100"
    case = Case("", "", "", "en", "customer", text, ((5, 16, "phone"),))
    assert count_false(case, text.replace("13812345678", "15400001111")) == 0
    assert count_false(case, "call 15400001111 about the QQQ100") == 1


def test_the_lower_bound_is_that_of_wilson() -> None:
    # Newcombe, Statistics in Medicine 17 (1998), table I: 81 of 263, and 15 of 148.
    assert round(wilson_lower(81, 263), 4) == 0.2553
    assert round(wilson_lower(15, 148), 4) == 0.0624
