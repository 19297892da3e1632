import email
import email.policy
import json
import re
import unicodedata
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lf_bridge.prepare.cleaning import characters
from lf_bridge.prepare.cleaning.clean import Cleaned, clean
from lf_bridge.prepare.formats.schema import KINDS, ROLES
from lf_bridge.recipe.preparing import Cleaning

MAILS = Path(__file__).parent / "fixtures" / "mail"
ENGLAND = "🏴" + "".join(chr(0xE0000 + ord(letter)) for letter in "gbeng\x7f")  # a flag of tag characters
NOISE = Path(__file__).parent / "fixtures" / "noise.tsv"


def cleaned(texts: list[str | None], kind: str = "text", role: str = "customer", **settings: bool) -> Cleaned:
    count = len(texts)
    kinds, roles = np.full(count, KINDS.index(kind), np.int8), np.full(count, ROLES.index(role), np.int8)
    return clean(pa.array(texts, pa.string()), kinds, roles, Cleaning(**settings))


def clean_one(text: str, kind: str = "text", role: str = "customer", **settings: bool) -> str:
    result: str = cleaned([text], kind, role, **settings).texts[0].as_py()
    return result


def labelled_mails() -> list[tuple[str, str, str, dict[str, str]]]:
    mails = []
    for name, label in json.loads((MAILS / "kept.json").read_text("utf-8")).items():
        file, _, part = name.partition("#")
        content = (MAILS / file).read_bytes()
        if part:
            parts = email.message_from_bytes(content, policy=email.policy.default).walk()
            text = next(found.get_content() for found in parts if found.get_content_type() == f"text/{part}")
        else:
            text = content.decode("utf-8")
        mails.append((name, text, "email_html" if file.endswith(".html") or part == "html" else "email_text", label))
    return mails


# Signatures of a bare name, a company's footer of whole sentences, a name with one line of contact data.
KNOWN_MISSES = {
    "mail-parser-reply/caution.txt",
    "mail-parser-reply/caution2.txt",
    "own/zh_foxmail.html",
    "talon/jeff_body.txt",
    "talon/reply-quotations-share-block.eml#html",
    "talon/reply-quotations-share-block.eml#plain",
}


def test_of_112_labelled_mails_in_14_languages_all_but_6_keep_exactly_their_own_words():
    mails = labelled_mails()
    missed = set()
    for name, text, kind, label in mails:
        result = cleaned([text], kind)
        whole = bool(result.whole_quote[0])
        if result.texts[0].as_py().split() != label["kept"].split() or whole != label.get("whole_quote", False):
            missed.add(name)
    assert len(mails) == 112
    assert len({label["language"] for *_, label in mails}) == 14
    assert missed == KNOWN_MISSES


def test_labelled_platform_noise_goes_and_what_only_looks_like_it_stays():
    lines = [line.split("\t") for line in NOISE.read_text("utf-8").splitlines()]
    wrong = [line for line in lines if clean_one(line[1], role=line[0]) != line[2]]
    assert len(lines) >= 80
    assert wrong == []


def test_a_mail_that_is_only_a_quote_stays_whole_and_is_said_so():
    result = cleaned(
        ["> Your refund was approved.\n> It takes five days.", "Fine.\n\n> Is it?\n> Really?"], "email_text"
    )
    assert result.texts.to_pylist() == ["> Your refund was approved.\n> It takes five days.", "Fine."]
    assert result.whole_quote.tolist() == [True, False]
    assert result.changes["quoted_reply"].tolist() == [False, True]


def test_quotes_and_signatures_are_removed_on_mail_channels_only():
    text = "> is it new?\n> really?\nYes\n\nBest regards,\nAnna"
    assert clean_one(text) == text
    assert clean_one(text, "html") == text
    assert clean_one(text, "email_text") == "Yes"
    assert clean_one(text, "email_text", quoted_replies=False, signatures=False) == text


def test_each_step_can_be_switched_off():
    off = {"html": False, "quoted_replies": False, "signatures": False, "unicode": False, "noise": False}
    page = "<p>@shop CafÃ© &amp; bar</p>"
    assert clean_one(page, "email_html", **off) == page
    assert clean_one("\u200b@shop hi", **off) == "\u200b@shop hi"


@pytest.mark.parametrize(
    ("page", "text"),
    [
        ("<p>Hello</p><p>How are <b>yo</b>u?</p>", "Hello\n\nHow are you?"),
        ("<div>one</div><div>two<br></div><div><br></div><div>three</div>", "one\ntwo\n\nthree"),
        ("<style>p{color:red}</style><script>if (a<b) {}</script>yes", "yes"),
        ("<title>no</title>Hi <!-- secret > --> there", "Hi there"),
        ("<ul><li>red</li><li><p>blue</p></li></ul>", "- red\n- blue"),
        (
            "<ol><li>open</li><li>press<ul><li>long</li></ul></li><li>wait</li></ol>",
            "1. open\n2. press\n- long\n3. wait",
        ),
        (
            "<table><tr><th>Item</th><th>Price</th></tr><tr><td>Lamp</td><td>5</td></tr></table>",
            "Item | Price\nLamp | 5",
        ),
        ('see <a href="https://a.example/b?c=1&amp;d">our page</a>.', "see our page (https://a.example/b?c=1&d)."),
        ('<a href="https://www.a.example/">a.example</a>', "a.example"),
        ('<a href="mailto:x@a.example?subject=y">Anna</a>', "Anna (x@a.example)"),
        ('<img src="a.png" alt="logo">Hi', "Hi"),
        ("<pre>a\nb</pre>", "a\nb"),
        ("a &lt;b&gt; &amp;amp; &nbsp;c<br>d", "a <b> &amp; c\nd"),
        ("if a < b & b > c\nthen", "if a < b & b > c\nthen"),
        ("AT&amp;T\nand line two", "AT&T\nand line two"),
        ("<blockquote>you said</blockquote>no", "you said\n\nno"),
        ("<p>unclosed <b>tags <i>here", "unclosed tags here"),
    ],
)
def test_html_reads_as_a_person_would_read_it(page, text):
    assert clean_one(page, "html") == text


def test_escapes_of_plain_text_are_resolved_where_no_tag_could_be_meant():
    assert clean_one("fish &amp; chips &gt; salad") == "fish & chips > salad"
    assert clean_one("write <b>&amp;</b>") == "write <b>&amp;</b>"


@pytest.mark.parametrize(
    ("raw", "mended"),
    [
        ("CafÃ© schÃ¶n", "Café schön"),
        ("Iâ€™m here", "I’m here"),
        ("zero\u200bwidth\ufeff", "zerowidth"),
        ("cafe\u0301", "café"),
        ("a\r\nb\rc\x00\x07", "a\nb\nc"),
        ("line  \n\n\n\nnext\t", "line\n\nnext"),
        ("👩\u200d👩\u200d👧 ok\u200d", "👩\u200d👩\u200d👧 ok"),
        ("क्\u200dष", "क्\u200dष"),
        ("می\u200cخواهم", "می\u200cخواهم"),
        ("☎️ 客服：①…", "☎️ 客服：①…"),
        ("\u200b\u2060 \u3000", ""),
        ("\u3164\u2800", ""),
        ("10\xa0€", "10 €"),
        (ENGLAND, ENGLAND),
    ],
)  # fmt: skip
def test_characters_are_mended_and_nothing_that_carries_meaning_is_lost(raw, mended):
    assert clean_one(raw) == mended


def test_the_gate_opens_for_every_letter_that_nfc_changes():
    letters = [chr(code) for code in range(0x110000) if not 0xD800 <= code < 0xE000]
    changed = [letter for letter in letters if not unicodedata.is_normalized("NFC", letter)]
    marks = [letter for letter in letters if unicodedata.combining(letter)]
    opened = pc.match_substring_regex(pa.array(changed + marks), characters._GATE).to_pylist()
    assert [
        f"U+{ord(letter):04X}" for letter, through in zip(changed + marks, opened, strict=True) if not through
    ] == []


@pytest.mark.parametrize(
    ("mail", "automatic"),
    [
        ("Automatic reply: I am away.", True),
        ("Auto-Submitted: auto-replied\n\nGone fishing.", True),
        ("I am out of the office until Monday with limited access to e-mail.", True),
        ("Hello, I am on vacation. In urgent cases contact my colleague.", True),
        ("Delivery has failed to these recipients or groups: x", True),
        ("您好，我正在休假，如有急事请联系同事。", True),
        ("【自动回复】您的邮件已收到", True),
        ("I am on vacation until Monday, so please send the parcel to my neighbour.", False),
        ("我下周出差，能改个送货时间吗？", False),
        ("When do you reply? Nobody is in the office.", False),
        ("Please stop.\n\nOn 6 May 2024, Shop <a@b.example> wrote:\n> Automatic reply: we got it.", False),
    ],
)
def test_automatic_replies_are_told_from_customers_who_speak_of_their_holidays(mail, automatic):
    assert cleaned([mail], "email_text").automatic.tolist() == [automatic]
    assert not cleaned([mail], "text").automatic.any()


def test_a_null_is_an_empty_text_and_an_empty_column_stays_empty():
    assert cleaned([None, " "]).texts.to_pylist() == ["", ""]
    assert len(cleaned([]).texts) == 0


PIECES = st.sampled_from(
    ["<p>", "</p>", "<br>", "<blockquote>", "</div>", "<li>", "> ", "\n", "On 6 May 2024, A <a@b.example> wrote:", "--",
     "From: a@b.example", "Sent: 1.1.2024 10:00", "Subject: x", "Best regards,", "Anna", "@shop ", "1/2 ", "^JK",
     "[呵呵]", "Ã©", "\u200d", "\u200b", "e\u0301", "\r\n", "&amp;", "写道：", "👩", "\x02", "\x1c", "订单", "refund"]
)  # fmt: skip
RAW = st.lists(st.one_of(PIECES, st.text(max_size=8)), max_size=14).map("".join)
KIND, ROLE = st.sampled_from(range(len(KINDS))), st.sampled_from(range(len(ROLES)))


@given(st.lists(st.tuples(RAW, KIND, ROLE), min_size=1, max_size=12), st.integers(0, 12))
def test_a_row_comes_out_the_same_in_any_company(rows, place):
    texts = pa.array([text for text, _, _ in rows], pa.string())
    kinds, roles = (np.array([row[column] for row in rows], np.int8) for column in (1, 2))
    settings = Cleaning()
    whole = clean(texts, kinds, roles, settings)
    cut = min(place, len(rows))
    halves = [clean(texts[part], kinds[part], roles[part], settings) for part in (slice(0, cut), slice(cut, None))]
    assert whole.texts.to_pylist() == [text for half in halves for text in half.texts.to_pylist()]
    for name, flags in whole.changes.items():
        assert flags.tolist() == [flag for half in halves for flag in half.changes[name].tolist()]
    assert whole.automatic.tolist() == [flag for half in halves for flag in half.automatic.tolist()]


WORDS = st.from_regex(r"[a-zA-Zäéß\u4e00-\u9fff0-9]{2,12}[.,!?]?", fullmatch=True)
GAPS = st.sampled_from([" ", "\n", "\n\n\n\n", "  ", "\r\n", "\u200b ", " \n"])


@given(st.lists(st.tuples(WORDS, GAPS), min_size=1, max_size=30), ROLE)
def test_plain_text_keeps_every_word_in_order(pieces, role):
    text = "".join(word + gap for word, gap in pieces)
    assert clean_one(text, role=ROLES[role]).split() == [word for word, _ in pieces]


@given(
    st.lists(st.tuples(WORDS, st.sampled_from(["p", "div", "b", "span", "li", "td", "h1"])), min_size=1, max_size=20)
)
def test_html_keeps_every_word(pieces):
    page = "".join(f"<{tag}>{word}</{tag}> " for word, tag in pieces)
    kept = re.sub(r"^- ", "", clean_one(page, "html"), flags=re.MULTILINE).split()
    assert [word for word in kept if word != "|"] == [word for word, _ in pieces]


@given(RAW)
def test_what_comes_out_is_nfc_and_has_no_control_characters(text):
    result = clean_one(text, noise=False)
    assert unicodedata.is_normalized("NFC", result)
    assert not [letter for letter in result if unicodedata.category(letter) == "Cc" and letter not in "\n\t"]
    assert result == result.strip()


@given(RAW)
def test_a_mail_with_words_never_comes_out_empty(text):
    if re.search(r"\w", clean_one(text, "email_text", quoted_replies=False, signatures=False, noise=False)):
        assert clean_one(text, "email_text", noise=False)
