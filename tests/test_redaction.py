"""Personal data in texts is replaced by values that belong to nobody, and nothing else is touched."""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import phonenumbers
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lf_bridge.errors import LfbError
from lf_bridge.prepare.privacy.ranges import TYPES, is_stand_in, passes_chinese_id, passes_iban, passes_luhn, stand_in
from lf_bridge.prepare.privacy.recognizers import RECOGNIZERS
from lf_bridge.prepare.privacy.redact import Redacted, Redactor
from lf_bridge.recipe.preparing import Privacy

KEY = b"project key"
# One value of each shape that stand-ins follow.
ORIGINALS = {
    "name": ["Anna", "Anna Schmidt", "ANNA", "Mr. Lee", "王伟", "欧阳娜娜", "王先生", "小王"],
    "email": ["anna.schmidt@gmail.com"],
    "phone": [
        "13812345678", "+86 138 1234 5678", "010-68881234", "0755-26001234", "(415) 555-2671", "+1 415 555 2671",
        "1-312-555-1234", "07911 123456", "+44 20 7123 4567", "0044 20 7123 4567", "0171 1234567", "06 12 34 56 78",
        "+33 6 12 34 56 78", "0412 345 678", "+81 90-1234-5678", "+55 11 98765-4321", "612 345 678", "26001234",
        "１３８１２３４５６７８",
    ],
    "id_card": ["11010519491231002X", "110105900307851", "123-45-6789", "AB 12 34 56 C", "E12345678"],
    "bank_card": ["4111 1111 1111 1111", "6222021234567890123"],
    "iban": ["DE89 3704 0044 0532 0130 00", "GB29NWBK60161331926819"],
    "order": ["114-1234567-1234567", "ORD-12345", "202401010001234"],
    "tracking": ["SF1234567890123", "1Z999AA10123456784"],
    "address": [
        "12 Main Street, Springfield, IL 62704", "PO Box 123", "62704", "北京市海淀区中关村大街27号3栋2单元501室",
    ],
    "plate": ["京A12345", "粤B·D12345", "AB12 CDE", "M-AB 1234"],
    "url": ["https://shop.test/reset?token=3f9ab", "www.shop.test/u/anna"],
    "ip": ["81.2.69.142", "2400:cb00::1"],
    "handle": ["@anna_b"],
    "wechat": ["wxid_abc123"],
    "qq": ["123456789"],
}  # fmt: skip


def redact(texts: Sequence[str | None], names: Sequence[str | None] | None = None, **privacy: object) -> Redacted:
    known = None if names is None else pa.array(names, pa.string())
    return Redactor(Privacy.model_validate(privacy), KEY).redact(pa.array(texts, pa.string()), known)


def written(text: str, names: str | None = None, **privacy: object) -> str:
    return str(redact([text], [names], **privacy).texts[0])


VALUES = st.sampled_from([value for values in ORIGINALS.values() for value in values])
WORDS = st.sampled_from(
    [
        "Hi Anna,",
        "my name is",
        "订单号",
        "我叫王小明，",
        "电话",
        "call me at",
        "order",
        "，谢谢",
        ".",
        "\n",
        "Regards,\n",
    ]
)
PIECES = st.one_of(VALUES, WORDS, st.text(max_size=12), st.from_regex(r"[0-9+() -]{3,16}", fullmatch=True))
TEXTS = st.lists(PIECES, max_size=6).map(" ".join)
# Numbers that only a space parts can be read as one; here a sign stands between.
MESSAGES = st.lists(st.tuples(WORDS, VALUES).map(" ".join), max_size=5).map(" ; ".join)


@pytest.mark.parametrize("kind", TYPES)
@given(digest=st.binary(min_size=32, max_size=32))
def test_every_stand_in_is_known_as_one_and_the_original_is_not(kind: str, digest: bytes) -> None:
    for original in ORIGINALS[kind]:
        assert is_stand_in(kind, stand_in(kind, digest, original))
        assert not is_stand_in(kind, original)


@given(digest=st.binary(min_size=32, max_size=32))
def test_no_stand_in_passes_the_check_that_a_real_value_passes(digest: bytes) -> None:
    assert not passes_luhn(re.sub(r"\D", "", stand_in("bank_card", digest, "4111 1111 1111 1111")))
    assert not passes_iban(stand_in("iban", digest, "GB29NWBK60161331926819"))
    assert not passes_chinese_id(stand_in("id_card", digest, "11010519491231002X"))
    for original in (
        "+81 90-1234-5678",
        "+55 11 98765-4321",
        "+34 612 345 678",
        "+91 98765 43210",
        "+86 755 2600 1234",
    ):
        parsed = phonenumbers.parse(stand_in("phone", digest, original))
        assert not phonenumbers.is_valid_number(parsed)


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(texts=st.lists(MESSAGES, max_size=6))
def test_redacting_twice_changes_nothing_more(texts: list[str]) -> None:
    once = redact(texts).texts
    twice = redact(once.to_pylist())
    assert twice.texts.to_pylist() == once.to_pylist()
    assert not twice.counts


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(texts=st.lists(st.one_of(st.none(), TEXTS), max_size=8), cut=st.integers(0, 8))
def test_a_row_is_redacted_alike_in_any_company(texts: list[str | None], cut: int) -> None:
    known = ["Anna Schmidt\n王小明"] * len(texts)
    together = redact(texts, known)
    apart = [redact(part, known[: len(part)]) for part in (texts[:cut], texts[cut:])]
    assert together.texts.to_pylist() == [text for part in apart for text in part.texts.to_pylist()]
    assert together.changed.tolist() == [row for part in apart for row in part.changed.tolist()]


@given(text=TEXTS)
def test_a_gate_lets_every_finding_through(text: str) -> None:
    for recognizer in RECOGNIZERS:
        if any(recognizer.find(text)):
            for gate in recognizer.gates:
                assert pc.match_substring_regex(pa.array([text]), gate)[0].as_py(), recognizer.find


@pytest.mark.parametrize("kind", ["phone", "email", "id_card", "bank_card", "iban", "order", "tracking", "plate", "ip"])
def test_a_type_that_is_switched_off_is_left(kind: str) -> None:
    original = ORIGINALS[kind][0]
    words = {"order": "order", "ip": "my ip is"}.get(kind, "这是")
    text = f"{words} {original}"
    assert original not in written(text)
    assert written(text, types=[one for one in TYPES if one != kind]) == text


def test_one_number_gets_one_stand_in_however_it_is_written() -> None:
    plain, spaced, wide, foreign = (
        re.sub(r"\D", "", one)[-11:]
        for one in redact(
            ["手机13812345678电话", "138-1234-5678", "１３８１２３４５６７８", "+86 138 1234 5678"]
        ).texts.to_pylist()
    )
    assert plain == spaced == wide == foreign != "13812345678"


def test_a_name_is_one_person_in_a_conversation() -> None:
    known = "Anna Schmidt\n王小明"
    whole, given_name, surname = redact(
        ["I am Anna Schmidt", "ok ANNA, one moment", "thanks Mrs Schmidt"], [known] * 3
    ).texts.to_pylist()
    first, last = whole.removeprefix("I am ").split()
    assert first.upper() in given_name
    assert last in surname
    assert "小明" not in written("小明在吗", known)


@pytest.mark.parametrize(
    "text",
    [
        "Hi there, thanks for waiting", "The total is 123456789 dollars", "it costs $1234567890", "dear customer,",
        "since 2024-03-15 10:30:00", "firmware 10.2.3.4", "请拨打400-820-8820或95588", "call 1-800-275-2273",
        "iPhone 15 Pro Max 256GB", "白色的还有吗", "see https://shop.test/help/articles/1234567-returns",
        "I'm looking for a gift", "2 days on the way", "坐3号线到5号口", "一共12345678元", "Best regards",
        "老师好，商品编码12345678", "192.168.1.1 is the router", "5-10 business days", "call 1-800-FLOWERS",
    ],
)  # fmt: skip
def test_what_is_no_personal_data_stays(text: str) -> None:
    assert written(text) == text


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("抄送bob@qq.com吧", "bob@qq.com"),
        ("anna (at) mail (dot) com", "anna"),
        ("您好，我是客服小李，很高兴为您服务", "小李"),
        ("收件人：钟雨桐，电话见上", "钟雨桐"),
        ("Hi Anna, any news?", "Anna"),
        ("Best regards,\nAnna Schmidt", "Schmidt"),
        ("my name is peter", "peter"),
        ("住在北京市海淀区中关村大街27号3栋2单元501室", "中关村"),
        ("I live at 1600 Oakwood Ave NW, Springfield, DC 20500.", "Oakwood"),
        ("我的微信是anna_12345", "anna_12345"),
        ("QQ：12345678", "12345678"),
        ("my wechat id is anna_12345", "anna_12345"),
        ("tel 08840864081 please", "08840864081"),
        ("身份证号110105199003078515", "19900307"),
        ("follow @anna_b on it", "anna_b"),
    ],
)
def test_personal_data_is_replaced(text: str, value: str) -> None:
    redacted = written(text)
    assert value not in redacted
    assert redacted != text


def test_the_companys_own_data_is_kept() -> None:
    text = "write to help@shop.test or call +49 30 901820, Anna Schmidt will answer"
    assert written(text, "Anna Schmidt", allow=["shop.test", "+49 30 901820", "Anna Schmidt"]) == text


def test_placeholders_name_the_type_and_tell_values_apart() -> None:
    text = written("13812345678 or 13912345678 or 138-1234-5678", replace="placeholder")
    first, second, third = re.findall(r"\[PHONE_[0-9A-F]{4}\]", text)
    assert first == third != second
    assert written(text, replace="placeholder") == text


def test_off_replaces_nothing() -> None:
    assert written("13812345678", replace="off") == "13812345678"


def test_counts_and_changed_rows_are_told() -> None:
    done = redact(["13812345678", None, "nothing here", "a@b.test, c@d.test"])
    assert done.changed.tolist() == [True, False, False, True]
    assert done.counts == {"phone": 1, "email": 2}
    assert done.texts[1].as_py() is None


def test_presidio_that_is_not_installed_is_named_with_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "presidio_analyzer", None)
    with pytest.raises(LfbError, match="presidio") as caught:
        Redactor(Privacy(presidio=True), KEY)
    assert "lf-bridge[presidio]" in str(caught.value)


def test_a_model_folder_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "presidio_analyzer", sys.modules["json"])
    monkeypatch.setitem(sys.modules, "spacy", sys.modules["json"])
    with pytest.raises(LfbError, match="no folder"):
        Redactor(Privacy(presidio=True, spacy_model=str(tmp_path / "missing")), KEY)


@pytest.mark.parametrize(
    "piece", ["a", "1", "a.", "1-", "a@", "A1", "李", "王伟，1", "北京市朝阳区", "Anna ", "1 ", "\n"]
)
def test_a_huge_message_is_read_in_time(piece: str) -> None:
    started = time.process_time()
    redact([piece * 20_000])
    assert time.process_time() - started < 10
