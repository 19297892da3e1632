"""Characters: mojibake mended, one form for one letter, nothing invisible, and tidy lines. Whole columns at once."""

from __future__ import annotations

import re
from collections.abc import Callable

import pyarrow as pa
import pyarrow.compute as pc

# RE2 has no \u escapes: \x{...}. One gate for everything that this module could change.
_CONTROL = r"\x{0}-\x{8}\x{B}-\x{1F}\x{7F}-\x{9F}"
_INVISIBLE = r"\x{AD}\x{180E}\x{200B}\x{200E}\x{200F}\x{202A}-\x{202E}\x{2060}-\x{206F}\x{FEFF}\x{FFF9}-\x{FFFB}"
_SPACES = r"\x{A0}\x{202F}\x{2028}\x{2029}"
_JOINERS = r"\x{200C}\x{200D}"
# A superset of the letters whose NFC is another (Unicode's NFC_Quick_Check is not Yes); a test compares them all.
_COMPOSED = (
    r"\x{300}-\x{37E}\x{387}\x{483}-\x{487}\x{591}-\x{5C7}\x{610}-\x{61A}\x{64B}-\x{65F}\x{670}\x{6D6}-\x{6ED}"
    r"\x{711}-\x{E01}\x{E38}-\x{10A0}\x{1100}-\x{1FFF}\x{2000}\x{2001}\x{20D0}-\x{20F0}\x{2126}-\x{212B}"
    r"\x{2329}\x{232A}\x{2ADC}\x{2CEF}-\x{2DFF}\x{302A}-\x{302F}\x{3099}\x{309A}\x{A66F}-\x{A67D}\x{A69E}-\x{A6F1}"
    r"\x{A806}-\x{ABFF}\x{D7B0}-\x{D7FF}\x{F900}-\x{FB4F}\x{FE20}-\x{FE2F}\x{10000}-\x{1EFFF}\x{2F800}-\x{2FA1F}"
)
_INVISIBLE_LETTERS = r"\x{115F}\x{1160}\x{2800}\x{3164}\x{FFA0}"
# What UTF-8 read as Latin-1 or cp1252 leaves: its first byte as a letter, then a byte of the upper half.
_MOJIBAKE = (
    r"[\x{C2}-\x{F4}][\x{80}-\x{BF}\x{152}\x{153}\x{160}\x{161}\x{178}\x{17D}\x{17E}\x{192}\x{2C6}\x{2DC}"
    r"\x{2013}-\x{203A}\x{20AC}\x{2122}]|\x{FFFD}|[\x{80}-\x{84}\x{86}-\x{9F}]"
)
_UNTIDY = r"[ \t]\n|\n\n\n"
_GATE = f"[{_CONTROL}{_INVISIBLE}{_SPACES}{_JOINERS}{_COMPOSED}{_INVISIBLE_LETTERS}]|{_MOJIBAKE}|{_UNTIDY}"
_BLANK = rf"^[\s{_INVISIBLE_LETTERS}{_JOINERS}\x{{FE00}}-\x{{FE0F}}]*$"

# Scripts that need a joiner between letters (Arabic to Mongolian), and everything that emoji are made of.
_JOINED = (
    "\u0600-\u109f\u1780-\u18af\u2190-\u2bff\u3030\u303d\ufb50-\ufdff\ufe0f\ufe70-\ufefc\ua800-\uabff"
    "\U0001f000-\U0001faff"
)
_LONE_JOINER = re.compile(
    f"(?<![{_JOINED}])[\u200c\u200d]+|[\u200c\u200d]+(?![{_JOINED}])|(?<=[\u200c\u200d])[\u200c\u200d]+"
)


def mend_characters(texts: pa.Array) -> pa.Array:
    """The texts in NFC, without mojibake, control and zero-width characters, with tidy lines; each by itself."""
    rows = pc.match_substring_regex(texts, _GATE)
    if not pc.any(rows).as_py():
        return texts
    return pc.replace_with_mask(texts, rows, _mend(texts.filter(rows)))


def _mend(texts: pa.Array) -> pa.Array:
    # Bytes that stand for control characters in one reading are letters in another: mojibake first.
    texts = _where(texts, _MOJIBAKE, _mend_mojibake)
    texts = pc.replace_substring_regex(texts, r"\r\n?|[\x{85}\x{2028}\x{2029}]", "\n")
    texts = pc.replace_substring_regex(texts, r"[\x{A0}\x{202F}\x{B}\x{C}\x{1C}-\x{1F}]", " ")
    texts = pc.replace_substring_regex(texts, f"[{_CONTROL}{_INVISIBLE}]+", "")
    texts = _where(texts, f"[{_JOINERS}]", lambda text: _LONE_JOINER.sub("", text))
    texts = pc.utf8_normalize(texts, "NFC")
    texts = pc.replace_substring_regex(texts, r"[ \t]+\n", "\n")
    texts = pc.replace_substring_regex(texts, r"\n{3,}", "\n\n")
    return pc.if_else(pc.match_substring_regex(texts, _BLANK), "", texts)


def _mend_mojibake(text: str) -> str:
    import ftfy

    return ftfy.fix_encoding(text)


def _where(texts: pa.Array, gate: str, mend: Callable[[str], str]) -> pa.Array:
    rows = pc.match_substring_regex(texts, gate)
    if not pc.any(rows).as_py():
        return texts
    return pc.replace_with_mask(
        texts, rows, pa.array([mend(text) for text in texts.filter(rows).to_pylist()], pa.string())
    )
