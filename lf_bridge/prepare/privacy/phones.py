"""Telephone numbers of any country, as people write them."""

from __future__ import annotations

import re
from collections.abc import Iterator

from lf_bridge.prepare.privacy.findings import KEPT, Finding, nearby
from lf_bridge.prepare.privacy.telephones import phone_parts

_CONTEXT = re.compile(
    r"(?i)phone|mobile|cell|\bcall|\btel\b|\btel[.:]|\bfax|\btext\b|\bsms\b|\bring\b|\breach|\bdial|whats ?app|"
    r"telegram|contact|"
    r"\bnumber is|my number|telefon|handy|mobil|rufnummer|t[ée]l[ée]phone|portable|m[óo]vil|celular|telefone|cellulare|"
    r"电话|手机|手機|電話|联系|聯系|聯繫|致电|拨打|回电|打给|座机|号码|热线|短信|来电|電話|携帯|टेल|\bm:|\bt:|\bp:"
)
_CHINESE_MOBILE = re.compile(
    r"(?<![\d.])(?<!\d-)(?<!\b00\d\d )(?<!\+\d\d )(?:\(?(?:\+|00)?86\)?[-. ]{0,2})?"
    r"(1[3-9](?:[-. \u2013\u2014_/]?\d){9})(?![\d])(?!-\d)(?!\.\d)"
)
_CHINESE_LANDLINE = re.compile(
    r"(?<![\d.])(?<!\d-)(?:\(?(?:\+|00)?86\)?[-. ]{0,2})?\(?(0?(?:10|2\d|[3-9]\d\d))\)?(?:[-. \u2013\u2014_]|(?<=\)))?"
    r"([02-8]\d{2,3}[-. ]?\d{4})(?:(?:转|[-#]|,? ?ext\.? ?)\d{1,6})?(?!\d)(?!-\d)"
)
_INTERNATIONAL = re.compile(r"(?<![A-Za-z0-9_+])\(?(?:\+|00(?=[1-9]))\(?\d(?:[\s().\-/\u2013]{0,3}\d){6,14}(?!\d)")
_AMERICAN = re.compile(
    r"(?<![\d.$€£¥-])(?:\+?1[-. ]{0,2})?(?:\([2-9]\d\d\)[-. ]{0,2}|[2-9]\d\d[-. /\u2013])[2-9]\d\d[-. \u2013]\d{4}"
    r"(?:,? ?(?:x|ext\.?|extension) ?\d{1,6})?(?!\d)(?!-\d)"
)
# A leading 0 and groups: how most of the world writes a number at home.
_GROUPED = re.compile(r"(?<![A-Za-z0-9_.+])(?<!\d[-/])\(?\d[\d ().\-/\u2013]{5,22}\d(?![A-Za-z0-9_])(?![-/]\d)")
_DATE = re.compile(
    r"(?:(?:19|20)\d\d[-/. ](?:0?[1-9]|1[0-2])[-/. ]\d{1,2}|\d{1,2}[-/. ]\d{1,2}[-/. ](?:19|20)?\d\d)(?![-/. ]?\d)"
)
# Hotlines that everybody may call. China: 400 and 800, 95xxx, 96xxx, 100xx, 12xxx (电信网编号计划 2017, 2.3 and 2.5);
# North America: toll-free codes; Britain: 0800, 0808, 03xx.
_HOTLINE = re.compile(
    r"(?:400|800)\d{7}|9[56]\d{3,4}|1[01]\d{1,3}|12\d{1,3}|[1-9]1[1-9]|1?8(?:00|88|77|66|55|44|33)\d{7}|0(?:800|"
    r"808)\d{6,7}|"
    r"03[0347]\d{8}|999|000|119"
)
_HOTLINE_SHAPE = re.compile(
    r"(?<![\dA-Za-z.])(?:(?:400|800)[-. ]?\d{3,4}[-. ]?\d{3,4}|(?:\+?1[-. ]?)?\(?8(?:00|88|77|66|55|44|33)"
    r"\)?[-. ]?\d{3}[-. ]?\d{4}"
    r"|0(?:800|808|3[0347]\d)[-. ]?\d{3}[-. ]?\d{3,4}|1?[-. ]?8(?:00|88|77|66|55|44|33)-[A-Z][A-Z0-9-]{5,10})(?!\d)"
)
# Digits of a national number where that is fixed, or the most there are (ITU-T E.164, national numbering plans).
_LENGTHS = {"1": 10, "44": 10, "33": 9, "61": 9, "86": 11}
_REGIONS = ("US", "GB", "DE", "FR", "IN", "JP", "BR", "AU", "ES", "IT", "CN")


def is_hotline(digits: str) -> bool:
    """Whether these digits are a number of a public service."""
    return _HOTLINE.fullmatch(digits) is not None


def find_hotlines(text: str) -> Iterator[Finding]:
    """Numbers of public services: kept."""
    for match in _HOTLINE_SHAPE.finditer(text):
        digits = re.sub(r"\D", "", match[0])
        if is_hotline(digits) or len(digits) < 7:
            yield Finding(match.start(), match.end(), KEPT, match[0])


def find_phones(text: str) -> Iterator[Finding]:
    """Telephone numbers: with a country code, of unmistakable shape, or with words for it near."""
    for match in _CHINESE_MOBILE.finditer(text):
        if len(re.findall(r"[^\d]", match[1])) <= 5 and not _DATE.search(match[1]):
            yield _found(text, match.start(), match.end(), "86" + re.sub(r"\D", "", match[1]))
    for match in _INTERNATIONAL.finditer(text):
        digits = re.sub(r"\D", "", match[0])
        if not match[0].lstrip("(").startswith("+") and not _is_valid("+" + digits[2:]):
            continue
        yield _found(text, match.start(), _end_of_number(text, match))
    for match in _CHINESE_LANDLINE.finditer(text):
        written = re.sub(r"\D", "", match[0])
        with_zero = match[1].startswith("0")
        if (with_zero and not re.match(r"07\d{9}$", written)) or (written.startswith("86") and match[0][0] in "+(0"):
            number = match[1].lstrip("0") + re.sub(r"\D", "", match[2])
            if len(number) >= 10:
                yield _found(text, match.start(), match.end(), "86" + number)
    for match in _AMERICAN.finditer(text):
        yield _found(text, match.start(), match.end())
    for match in _GROUPED.finditer(text):
        digits = re.sub(r"\D", "", match[0])
        if not 7 <= len(digits) <= 13 or re.fullmatch(r"1[3-9]\d{9}", match[0]) or _DATE.match(match[0]):
            continue
        near = nearby(_CONTEXT, text, match.start(), match.end())
        if near or (len(digits) >= 9 and _is_unmistakable(match[0])):
            yield _found(text, match.start(), match.end())


def _found(text: str, start: int, end: int, value: str = "") -> Finding:
    written = text[start:end]
    if written.startswith("(") and ")" not in written:
        start, written = start + 1, written[1:]
    if not value:
        written = re.split(r"(?i)[ ,]*(?:x|ext|转)", written)[0]
        code, _, national = phone_parts(written)
        value = code + national
    return Finding(start, end, "phone", value)


def _end_of_number(text: str, match: re.Match[str]) -> int:
    """Where an international number ends in a country whose numbers all have one length: what follows is another."""
    code, _, national = phone_parts(match[0])
    spare = len(national) - _LENGTHS.get(code, len(national))
    places = [place for place in range(*match.span()) if text[place].isdecimal()]
    return match.end() if spare <= 0 else places[-1 - spare] + 1


def _is_valid(number: str) -> bool:
    import phonenumbers

    try:
        return phonenumbers.is_valid_number(phonenumbers.parse(number))
    except phonenumbers.NumberParseException:
        return False


def _is_unmistakable(written: str) -> bool:
    """Whether a number is valid in one of the regions and grouped as that region groups it (libphonenumber)."""
    import phonenumbers

    groups = re.findall(r"\d+", written)
    if len(groups) < 2:
        return False
    for region in _REGIONS:
        try:
            number = phonenumbers.parse(written, region)
        except phonenumbers.NumberParseException:
            continue
        if phonenumbers.is_valid_number(number):
            national = phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.NATIONAL)
            if re.findall(r"\d+", national) == groups or (groups[0].startswith("0") and len(groups) <= 4):
                return True
    return False
