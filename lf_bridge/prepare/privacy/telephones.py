"""Telephone numbers that belong to nobody, and the parts of a number as people write it."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping

# Numbers kept free for fiction, without country code and trunk prefix; x is any digit.
# 1: ATIS-0300115, 555-0100 to 555-0199 in every area. 44: Ofcom, numbers for drama. 49: Bundesnetzagentur, notice
# 148/2021, Official Gazette 7/2021. 33: ARCEP decision 2018-0881. 61: ACMA, numbers for use in fiction.
# 86: 154 is assigned to no operator (MIIT, table of mobile network numbers, end of March 2023).
_AREAS = "206 212 213 305 312 404 415 503 512 602 617 702 713 720 808 917"
_FREE: Mapping[str, tuple[str, ...]] = {
    "1": tuple(f"{area}55501xx" for area in _AREAS.split()),
    "44": ("7700900xxx", "2079460xxx"),
    "49": ("3023125xxx", "15228817386", "15228895456", "15254599371"),
    "33": ("63998xxxx",),
    "61": ("491570006", "491570156", "491570157", "491570158"),
    "86": ("154xxxxxxxx",),
}
# Written on to a German one, more digits are an extension.
_FREE_NUMBERS = {
    code: re.compile(f"(?:{'|'.join(one.replace('x', '[0-9]') for one in free)}){'[0-9]{0,4}' if code == '49' else ''}")
    for code, free in _FREE.items()
}
_MOBILE = {"44": "7", "49": "1"}
# Where no such range is known, the number proper begins with 000: no national number does (ITU-T E.164 leaves a
# leading 0 to trunk prefixes and 00 to the international one).
_NOBODY = "000"
# Country codes of two digits (ITU-T E.164, list of assigned codes); all others of that kind have three.
_TWO_DIGIT_CODES = re.compile(r"2[07]|3[0-469]|4[013-9]|5[1-8]|6[0-6]|8[1246]|9[0-58]")
# 电信网编号计划 (2017): area codes 2.2, local numbers begin with 2 to 8 (2.4), so that one with 0 cannot be dialled.
_CHINESE_LANDLINE = re.compile(
    r"(?!07\d{9}$|020\W\d{4}\W\d{4}$)((?:\+?86[- ]?|0086[- ]?)?\(?0(?:10|2\d|[3-9]\d\d)\)?[- ]{0,3})"
    r"([02-8](?:\d{6,7}|\d{2,3}[- ]\d{4}))"
)


def phone_parts(value: str) -> tuple[str, str, str]:
    """Country code, trunk prefix and national number (digits) of a telephone number as it is written, NFKC.

    The country code is empty where neither the number nor its shape tells it; then the whole is national.
    """
    digits = digits_of(value)
    international = value.lstrip(" (").startswith("+")
    if not international and digits.startswith("00") and not digits.startswith(_NOBODY) and len(digits) > 10:
        digits, international = digits[2:], True
    if international:
        size = 1 if digits[:1] in ("1", "7") else 2 if _TWO_DIGIT_CODES.match(digits) else 3
        code, rest = digits[:size], digits[size:]
        trunk = "0" if rest.startswith("0") and not rest.startswith(_NOBODY) else ""
        return code, trunk, rest[len(trunk) :]
    if re.fullmatch(r"(?:86)?1[3-9]\d{9}", digits) and not re.match(r"1\D+\d{3}\D", value):
        return "86", "", digits[-11:]
    if re.fullmatch(r"1?[2-9]\d\d[2-9]\d{6}", digits):
        return "1", "", digits[-10:]
    if re.fullmatch(r"0[1-9](?:\D\d\d){4}", value.strip()):
        return "33", "0", digits[1:]
    if re.fullmatch(r"04\d{8}", digits):
        return "61", "0", digits[1:]
    if re.fullmatch(r"01[567]\d{8,9}|03023125\d{3}", digits):
        return "49", "0", digits[1:]
    if re.fullmatch(r"0(?:7\d{9}|[12]\d{8,9})", digits):
        return "44", "0", digits[1:]
    return "", "", digits


def phone_stand_in(digest: bytes, original: str) -> str:
    """A number of the same country and layout that reaches nobody."""
    value = unicodedata.normalize("NFKC", original)
    landline = _CHINESE_LANDLINE.fullmatch(value)
    numerals = f"{int.from_bytes(digest, 'big'):078d}"[-20:]
    if landline:
        return landline[1] + lay_out(landline[2], _NOBODY + numerals[: len(digits_of(landline[2])) - 3])
    code, _, national = phone_parts(value)
    start = digits_of(value)[: len(digits_of(value)) - len(national)]
    if code not in _FREE or (code == "86" and not re.match("1[3-9]", national)):
        return lay_out(value, start + _NOBODY + numerals[: max(len(national) - 3, 3)])
    mobile = _MOBILE.get(code)
    free = [one for one in _FREE[code] if not mobile or (one[0] == mobile) == (national[:1] == mobile)]
    rest = iter(numerals)
    return lay_out(value, start + "".join(next(rest) if one == "x" else one for one in free[digest[0] % len(free)]))


def is_phone_stand_in(value: str) -> bool:
    """Whether a number, NFKC, lies in a range that ``phone_stand_in`` draws from."""
    landline = _CHINESE_LANDLINE.fullmatch(value)
    if landline:
        return landline[2].startswith(_NOBODY)
    code, trunk, national = phone_parts(value)
    if code in _FREE and _FREE_NUMBERS[code].fullmatch(national):
        return True
    return (national if code else trunk + national).startswith(_NOBODY)


def digits_of(text: str) -> str:
    """The decimal digits of a text, of whatever script, as ASCII."""
    return "".join(str(int(letter)) for letter in text if letter.isdecimal())


def lay_out(layout: str, digits: str) -> str:
    """The digits in the places that digits have in ``layout``; what does not fit is put behind or left out."""
    left = iter(digits)
    text = "".join(next(left, "") if letter.isdecimal() else letter for letter in layout)
    return (text.rstrip(" -./(") if len(digits_of(layout)) > len(digits) else text) + "".join(left)
