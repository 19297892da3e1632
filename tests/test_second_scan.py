"""The second scan finds what was left, takes stand-ins for what they are, and leaves plain talk alone."""

from __future__ import annotations

import csv
import hashlib
import time
from collections import Counter
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from privacy_cases import STRUCTURED, load_cases

from lf_bridge.prepare.privacy.ranges import stand_in
from lf_bridge.prepare.privacy.second_scan import Finding, scan

CASES = [case for case in load_cases() if case.subset != "obfuscated"]


def findings(*texts: str | None, **options: object) -> list[Finding]:
    return scan(pa.array(texts, pa.string()), options.pop("allowed", frozenset()), b"key", **options)  # type: ignore[arg-type]


def reasons(*texts: str, **options: object) -> list[str]:
    return [finding.reason for finding in findings(*texts, **options)]


@pytest.mark.parametrize("kind", [*STRUCTURED, "ip"])
def test_values_that_nobody_replaced_are_found(kind: str) -> None:
    holders = [case for case in CASES if case.values(kind)]
    found = Counter(finding.row for finding in findings(*(case.text for case in holders)) if finding.reason == kind)
    values = sum(len(set(case.values(kind))) for case in holders)
    assert sum(found.values()) >= 0.95 * values


def test_talk_without_personal_data_has_no_finding() -> None:
    assert findings(*(case.text for case in CASES if not case.spans)) == []
    with open(Path(__file__).parents[1] / "data/sample/taskmaster4.csv", encoding="utf-8", newline="") as file:
        assert findings(*(row["text"] for row in csv.DictReader(file))) == []


def test_stand_ins_of_every_type_are_no_finding() -> None:
    texts = []
    for case in CASES:
        text = case.text
        for start, end, kind in reversed(case.spans):
            digest = hashlib.sha256(text[start:end].encode()).digest()
            text = text[:start] + stand_in(kind, digest, text[start:end]) + text[end:]
        texts.append(text)
    assert findings(*texts) == []


@pytest.mark.parametrize(
    "text",
    [
        "订单号4539578763621486已发货",  # a card's shape and check digit, called an order
        "快递单号13812345678901",
        "v120.33.41.7 of the firmware fixes it",
        "see https://www.example-shop.net/washing-machines/series-8?color=white",
        "call 1-800-356-9377 or 400-820-8820, at 2026-03-15 14:30:51",
        "3 x 1299.00 = 3897.00, 100 * 200 * 300",
    ],
)
def test_look_alikes_are_no_finding(text: str) -> None:
    assert findings(text) == []


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("电话13812345678谢谢", "phone"),
        ("打１３８-１２３４-５６７８", "phone"),
        ("two numbers 13812345678 13987654321", "phone"),
        ("two addresses A.B@web.de,c-d@t-online.de", "email"),
        ("see https://shop.de/reset?token=8fK2mQ9xW4vB7nT1", "url"),
    ],
)
def test_a_value_is_found_in_any_dress(text: str, reason: str) -> None:
    assert set(reasons(text)) == {reason}
    assert len(reasons(text)) == (2 if text.startswith("two") else 1)


def test_a_stand_in_hides_no_number_beside_it() -> None:
    assert reasons("15412345678 13812345678") == ["phone"]
    assert reasons("order 9900123456 13812345678") == ["phone"]


def test_one_value_has_one_hash_however_it_is_written_and_is_accepted_by_it() -> None:
    first, second = findings("tel 13812345678", "tel 138-1234-5678")
    assert first.hash == second.hash
    assert len(first.hash) == 16
    assert findings("tel 13812345678", allowed=frozenset({first.hash})) == []
    assert scan(pa.array(["tel 13812345678"]), frozenset(), b"another key")[0].hash != first.hash


def test_the_companys_own_numbers_and_domains_are_kept() -> None:
    text = "write to help@lindner.de or call +49 30 4123456, see https://my.lindner.de/u/12345678/orders"
    assert sorted(reasons(text)) == ["email", "phone", "url"]
    assert reasons(text, allow=("lindner.de", "030 4123456")) == []
    assert reasons("help@notlindner.de", allow=("lindner.de",)) == ["email"]


def test_public_hotlines_are_findings_where_they_are_not_kept() -> None:
    assert reasons("客服热线400-820-8820", public_hotlines=False) == ["phone"]


def test_a_missing_text_has_no_finding_and_rows_are_counted_with_it() -> None:
    assert [finding.row for finding in findings(None, "hello", "tel 13812345678")] == [2]


@settings(max_examples=300, deadline=None)
@given(st.text("0123456789 -+()./:@aZx订单#٣３\n", max_size=60))
def test_any_text_can_be_scanned(text: str) -> None:
    assert all(finding.row == 0 for finding in findings(text))


@pytest.mark.parametrize("piece", ["a", "a.", "1 ", "1.", "a@", "1:", "DE12 ", "/u/", "www."])
def test_time_grows_with_the_length_of_a_text(piece: str) -> None:
    text = piece * (100_000 // len(piece)) + "@ www. 1234567"
    begun = time.process_time()
    findings(text)
    assert time.process_time() - begun < 5
