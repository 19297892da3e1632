"""A dataset's report is one safe page that says where every message went, in words for people."""

from __future__ import annotations

import json
import re
import stat
from dataclasses import replace
from hashlib import sha256
from html import unescape
from html.parser import HTMLParser
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lf_bridge.prepare import report_words
from lf_bridge.prepare.finishing import REASONS
from lf_bridge.prepare.folder import read_record
from lf_bridge.prepare.prepare import fit_dataset, prepare_conversations
from lf_bridge.prepare.privacy.ranges import TYPES, stand_in
from lf_bridge.prepare.records import ConversationCounts, FileRead, MessageCounts, Report, Stage, Tokens
from lf_bridge.prepare.report_flow import Branch, draw_flow
from lf_bridge.prepare.report_page import keep_report, show_turn, write_report
from lf_bridge.prepare.report_parts import share_of
from lf_bridge.prepare.report_samples import Sample, find_stand_ins, read_samples
from lf_bridge.prepare.report_words import next_steps
from lf_bridge.recipe.model import Data
from lf_bridge.talk import Silence

REPORT = Report(
    messages=MessageCounts(1000, 700, 50, {"unanswered": 150, "near_duplicate": 60, "quarantined": 40}),
    conversations=ConversationCounts(400, 45, {"near_duplicate": 30, "quarantined": 20, "no_usable_message": 5}),
    files=(FileRead("a.csv", "messages", 900, 650, 50, 200), FileRead("b.csv", "zendesk", 100, 50, 0, 50)),
    warnings=("a.csv, row 7: cannot be read",),
    seconds=2.5,
    messages_per_second=400,
    peak_memory_bytes=200 << 20,
    redacted={"phone": 12, "email": 3},
    quarantined={"phone": 20},
    preferences={"rated": 9, "pairs": 0},
    tokens=Tokens(90_000, 40_000, 2),
    stages=(Stage("read", 0.5),),
    languages={"en": 90, "zh": 9, "": 1},
    turns={"2": 300, "4": 100, "24": 45},
    lengths={"20": 10, "100": 400, "1000000": 2},
)
QUIET = replace(
    REPORT,
    messages=MessageCounts(4000, 4000),
    conversations=ConversationCounts(1800, 200),
    tokens=Tokens(90_000, 40_000),
)


class Page(HTMLParser):
    """What a reader of the page meets: the tags, their attributes, and each table's rows of text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.open: list[str] = []
        self.rows: list[list[str]] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs
        if tag == "tr":
            self.rows.append([])
        elif tag in ("td", "th"):
            self.rows[-1].append("")
        if tag not in ("meta", "rect", "path"):
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if {"td", "th"} & set(self.open):
            self.rows[-1][-1] += data

    def row(self, first: str) -> list[str]:
        return next(row for row in self.rows if row[0] == first)


def written(folder: Path, report: Report = REPORT, samples: list[Sample] | None = None) -> str:
    write_report(folder / "report.html", report, samples)
    return (folder / "report.html").read_text("utf-8")


def test_every_reason_and_every_type_is_explained() -> None:
    assert set(REASONS) - {""} <= set(report_words.REASONS)
    assert set(TYPES) == set(report_words.TYPES)
    assert all(text.endswith(".") and "_" not in text.replace("PHONE_", "") for text in report_words.REASONS.values())


def test_the_tables_hold_the_numbers(tmp_path: Path) -> None:
    page = Page(written(tmp_path))
    assert page.open == []
    assert page.row("dropped: unanswered") == [
        "dropped: unanswered", "150", "15.0%", "The customer wrote it and no agent answered.",
    ]  # fmt: skip
    assert page.row("all read")[1:3] == ["1,000", "100.0%"]
    assert page.row("a.csv")[2:] == ["900", "650", "50", "200"]
    assert page.row("all files")[2:] == ["1,000", "700", "50", "250"]
    assert page.row("to train on")[1:3] == ["400", "80.0%"]
    assert page.row("all found")[1] == "500"
    assert page.row("telephone numbers")[1] == "12"
    assert page.row("20 and more")[1] == "45"
    assert page.row("more than 2,000")[1] == "2"
    assert page.row("Chinese")[2] == "9.0%"
    assert page.row("rated answers (KTO) to train on")[1] == "9"
    assert not any("reward model" in row[0] for row in page.rows)


def test_all_of_many_files_are_counted(tmp_path: Path) -> None:
    files = tuple(FileRead(f"{number}.txt", "whatsapp", 10, 7, 1, 2) for number in range(250))
    page = Page(written(tmp_path, replace(REPORT, files=files)))
    assert page.row("50 smaller files")[2:] == ["500", "350", "50", "100"]
    assert page.row("all files")[2:] == ["2,500", "1,750", "250", "500"]


def test_nothing_is_loaded_from_elsewhere_and_no_script_runs(tmp_path: Path) -> None:
    text = written(tmp_path)
    page = Page(text)
    assert not {"script", "link", "iframe", "img", "object", "use"} & set(page.tags)
    assert not {"src", "href", "srcset"} & {name for name, _ in page.attributes}
    assert "url(" not in text
    assert "@import" not in text
    assert "default-src 'none'" in text


def test_hostile_words_stay_words(tmp_path: Path) -> None:
    hostile = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>&lt;&#0;\u202e</main>"
    report = replace(REPORT, warnings=(hostile,), files=(replace(REPORT.files[0], path=hostile + "\udcff"),))
    text = written(tmp_path, report, [Sample((hostile + " Florian Calloway", "[PHONE_1A2B]" + hostile))])
    page = Page(text)
    assert page.open == []
    assert not {"script", "img"} & set(page.tags)
    assert "onerror" not in {name for name, _ in page.attributes}
    assert text.count("&lt;script&gt;alert(1)") == 4
    assert "<mark>Florian Calloway<small>name</small></mark>" in text
    assert "<mark>[PHONE_1A2B]<small>phone</small></mark>" in text


@given(st.lists(st.text() | st.sampled_from(["<mark>", "&amp;", " Florian Calloway", "[NAME_00FF]"])).map("".join))
def test_a_turn_is_shown_whole(turn: str) -> None:
    without_marks = re.sub(r"<small>\w+</small>|</?mark>", "", show_turn(turn))
    assert "<" not in without_marks
    assert unescape(without_marks) == turn


def test_a_very_long_turn_says_what_is_left_out(tmp_path: Path) -> None:
    text = written(tmp_path, samples=[Sample(("x" * 5000, "y"))])
    assert "… 1,000 more characters" in text
    assert "x" * 4001 not in text


@pytest.mark.parametrize(
    ("type_", "original", "marked"),
    [
        ("name", "Anna Schmidt", "name"), ("name", "anna", "name"), ("name", "王伟", "name"),
        ("name", "王先生", "name"), ("name", "小王", "name"), ("email", "anna.schmidt@gmail.com", "email"),
        ("phone", "13812345678", "phone"), ("phone", "(415) 555-2671", "phone"), ("phone", "+44 20 7123 4567", "phone"),
        ("phone", "010-68881234", "phone"), ("phone", "+33 6 12 34 56 78", "phone"),
        ("id_card", "11010519491231002X", "id_card"), ("id_card", "123-45-6789", "id_card"),
        ("bank_card", "4111 1111 1111 1111", "bank_card"), ("bank_card", "6222021234567890123", "bank_card"),
        ("iban", "DE89 3704 0044 0532 0130 00", "iban"), ("iban", "GB29NWBK60161331926819", "iban"),
        ("order", "114-1234567-1234567", "order"), ("order", "ORD-12345", "order"),
        ("tracking", "SF1234567890123", "order"), ("tracking", "1Z999AA10123456784", "order"),
        ("address", "12 Main Street, Springfield, IL 62704", "address"),
        ("address", "北京市海淀区中关村大街27号3栋2单元501室", "address"), ("address", "PO Box 123", "address"),
        ("plate", "京A12345", "plate"), ("plate", "AB12 CDE", "plate"), ("plate", "M-AB 1234", "plate"),
        ("url", "https://shop.test/reset?token=3f9ab", "url"), ("ip", "81.2.69.142", "ip"),
        ("ip", "2400:cb00::1", "ip"), ("handle", "@anna_b", "handle"), ("wechat", "wxid_abc123", "handle"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("sentence", ["Please note {} today.", "请记下{}，谢谢"])
def test_stand_ins_are_found_where_they_stand(type_: str, original: str, marked: str, sentence: str) -> None:
    found = 0
    for seed in range(40):
        value = stand_in(type_, sha256(f"{original}{seed}".encode()).digest(), original)
        start = sentence.index("{}")
        found += find_stand_ins(sentence.format(value)) == [(start, start + len(value), marked)]
    # Now and then an identity number begins like an order's.
    assert found >= 38


def test_what_customers_write_of_themselves_is_not_marked() -> None:
    texts = (
        "I paid $99 on 2024-05-01 at 19:30, for Q4 2023, in 90001 Los Angeles; version 10.2.0.1, 99% sure.",
        "Call 0800 1111 or 95588, +49 171 1234567, anna@gmail.com, https://example.company.com/a",
        "王先生的手机是13812345678，订单202401010001234，车牌京A12345",
    )
    assert [find_stand_ins(text) for text in texts] == [[], [], []]


def test_pictures_are_in_proportion() -> None:
    picture = draw_flow(
        "read", "A flow", [Branch("kept", "kept", 750), Branch("dropped", "dropped", 250, {"a<b": 250})]
    )
    heights = {kind: float(height) for kind, height in re.findall(r'<rect class="(\w+)".*?height="([\d.]+)"', picture)}
    assert heights["kept"] == pytest.approx(0.75 * heights["whole"], abs=0.1)
    assert heights["dropped"] == pytest.approx(0.25 * heights["whole"], abs=0.1)
    assert "a&lt;b" in picture
    assert 'role="img" aria-label="A flow"' in picture
    assert draw_flow("read", "A flow", [Branch("kept", "kept", 0)]) == ""


def test_a_share_never_looks_like_none_or_all() -> None:
    shares = [share_of(count, 100_000) for count in (0, 1, 12_345, 99_999, 100_000)]
    assert shares == ["0.0%", "under 0.1%", "12.3%", "over 99.9%", "100.0%"]
    assert share_of(0, 0) == "0.0%"


def test_what_to_do_follows_from_the_numbers() -> None:
    assert not any("dropped as" in step or "set aside" in step for step in next_steps(QUIET))
    steps = "\n".join(next_steps(REPORT))
    assert "150 messages (15%) were dropped as unanswered: check that the export holds the agents' answers" in steps
    assert "near duplicate" not in steps  # 6% is not much
    assert "With 45 conversations held out, a share of 80% is known to about 12 points" in steps
    assert "20 conversations were set aside" in steps
    assert "2 conversations are longer than the cutoff" in steps
    bare = replace(REPORT, conversations=ConversationCounts(40, 5), redacted={}, tokens=None, lengths={"20": 9})
    steps = "\n".join(next_steps(bare))
    for words in ("too few to learn from", "No personal data was replaced", "not counted yet", "100% of the answers"):
        assert words in steps


def test_a_dataset_without_a_worry_says_what_comes_next() -> None:
    (step,) = next_steps(QUIET)
    assert "--show-text" in step


def test_samples_are_of_the_whole_file_and_show_replacements(tmp_path: Path) -> None:
    path = tmp_path / "train.json"
    lines = []
    for number in range(1000):
        said = f"{number} Florian Calloway" if number % 100 == 0 else f"{number} " + "x" * (number % 7)
        turns = [{"from": "human", "value": said}, {"from": "gpt", "value": "ok"}]
        lines.append(json.dumps({"conversations": turns, "system": "s"}))
    path.write_text("[\n" + ",\n".join(lines) + "\n]\n", encoding="ascii")
    samples = read_samples(path)
    numbers = [int(sample.turns[0].split()[0]) for sample in samples]
    assert len(samples) == 20
    assert numbers == sorted(set(numbers))
    assert numbers[0] < 100
    assert numbers[-1] > 850
    assert 1 <= sum(sample.has_stand_ins() for sample in samples) <= 10
    path.write_text("[\n" + lines[0] + ",\n" + lines[1] + "\n]\n", encoding="ascii")
    assert [sample.turns[0].split()[0] for sample in read_samples(path)] == ["0", "1"]


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    """A committed dataset whose every conversation holds the word zanzibar and a number to be replaced."""
    rows = ["ticket_id,comment_id,author_type,author_id,created_at,body"]
    for number in range(60):
        rows.append(
            f"t{number},{2 * number},customer,c{number},2024-05-01T10:00:00Z,"
            f"my zanzibar number {chr(97 + number % 26) * (3 + number)} is 138123456{number:02d}"
        )
        answer = f"please restart the zanzibar {chr(97 + number % 26) * (5 + number)}"
        rows.append(f"t{number},{2 * number + 1},agent,a1,2024-05-01T10:01:00Z,{answer}")
    (tmp_path / "raw").mkdir()
    (tmp_path / "raw" / "logs.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    found = prepare_conversations([tmp_path / "raw"], Data(), b"a key", tmp_path / "dataset", Silence())
    fit_dataset(found, Data(), "qwen", None, None, Silence())
    return tmp_path / "dataset"


def test_words_are_shown_only_where_they_are_asked_for(dataset: Path) -> None:
    record = read_record(dataset)
    page = keep_report(dataset, record)
    assert page == dataset / "report.html"
    assert stat.S_IMODE(page.stat().st_mode) == 0o600
    counts = page.read_text("utf-8")
    assert "zanzibar" not in counts
    assert "13812345" not in counts
    keep_report(dataset, record, show_text=True)
    shown = page.read_text("utf-8")
    assert "zanzibar" in shown
    assert "13812345" not in shown
    assert re.search(r"<mark>154\d{8}<small>phone</small></mark>", shown)
    keep_report(dataset, record)
    assert page.read_text("utf-8") == counts


def test_the_page_is_made_again_only_where_it_is_missing_or_of_another_dataset(dataset: Path) -> None:
    record = read_record(dataset)
    page = keep_report(dataset, record)
    text = page.read_bytes()
    before = page.stat().st_ino
    assert keep_report(dataset, record).stat().st_ino == before
    page.unlink()
    assert keep_report(dataset, record).read_bytes() == text
    keep_report(dataset, {**record, "digest": "f" * 64})
    assert page.read_bytes() != text
    page.write_bytes(b"")
    assert keep_report(dataset, record).read_bytes() == text
