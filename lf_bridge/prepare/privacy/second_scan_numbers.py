"""What a run of digit groups can be, for the second scan: by length, beginning and check digit, not by pattern."""

from __future__ import annotations

import re
from collections.abc import Iterator

from lf_bridge.prepare.privacy.ranges import is_stand_in, passes_chinese_id, passes_luhn

_BETWEEN = r"[\s.()/·‐‑–—-]{1,3}"
_CHAIN = re.compile(rf"[0-9]+(?:{_BETWEEN}[0-9]+)*")
_DIGITS = re.compile(r"[0-9]+")
_LETTER = re.compile("[A-Za-z]")
_LEAST_DIGITS = 9
_MOST_GROUPS = 7
_DATE = re.compile(
    r"(?<![0-9.-])(?:(?:19|20)[0-9]{2}([-./])[0-9]{1,2}\1[0-9]{1,2}|[0-9]{1,2}([-./])[0-9]{1,2}\2(?:19|20)[0-9]{2})"
    r"(?![0-9]|[-./][0-9])"
)
# What a number is called before it; the nearest word counts.
_PHONE_WORDS = (
    r"电话|手机|座机|号码|致电|拨|打|联系|tel\b|telephone|phone|call|mobile|cell|text|reach|whatsapp|fax|\bdial|\bring\b"
    r"|\bsms\b|contact|office line|\bsim\b|number"
)
_CALLED = re.compile(
    r"(?P<code>订单|单号|运单|快递|物流|编号|货号|条码|型号|序列号|流水|工单|版本|固件|qq|扣扣|orders?\b|tracking|parcel"
    r"|package|shipment|booking|reference|\bref\b|\bsku\b|\bitem\b|serial|model|\bisbn\b|\bimei\b|ticket|\bcase\b"
    rf"|version|build|firmware)|(?P<phone>{_PHONE_WORDS})"
    r"|(?P<other>身份证|证件|卡|账号|账户|社保|card\b|visa|mastercard|social|ssn|\bid\b|\bni\b|iban|account)"
)
_ADJOINING_CODE = re.compile(
    r"(?:(?:订单|运单|快递|物流|流水|工单)号?|单号|编号|货号|条码|序列号|qq号?|扣扣|order|tracking|reference|\bref|sku|serial|imei)"
    r"(?: (?:no|number|id|code)\b)?[\s.:：#]*(?:是|为|is)?\s*$"
)
_REACH = 30


def is_called_code(text: str, place: int) -> bool:
    """Whether the nearest word before ``place`` says order, parcel, model or version."""
    return _called(text, place) == "code"


def _called(text: str, place: int) -> str:
    names = [name.lastgroup or "" for name in _CALLED.finditer(text[max(0, place - _REACH) : place].lower())]
    return names[-1] if names else ""


def find_numbers(text: str, public_hotlines: bool) -> Iterator[tuple[str, str]]:
    """Type and value of each number: from each digit group on, the longest stretch of neighbours that is one."""
    if any(len(chain) >= _LEAST_DIGITS for chain in _CHAIN.findall(text)):
        text = _DATE.sub(" # ", text)
        for chain in _CHAIN.finditer(text):
            groups = list(_DIGITS.finditer(text, chain.start(), chain.end()))
            yield from _find_in_chain(text, groups, public_hotlines)


def _find_in_chain(text: str, groups: list[re.Match[str]], public_hotlines: bool) -> Iterator[tuple[str, str]]:
    place = 0
    while place < len(groups):
        for last in range(min(place + _MOST_GROUPS, len(groups)) - 1, place - 1, -1):
            start, end = groups[place].start(), groups[last].end()
            if end - start < _LEAST_DIGITS:
                break
            if text[end : end + 1] in ("X", "x") and not text[end + 1 : end + 2].isalnum():
                end += 1
            sizes = [len(group[0]) for group in groups[place : last + 1]]
            value = text[start - (text[start - 1 : start] == "+") : end]
            known = _is_nobodys(value, sizes)
            kind = "" if known else _kind(text, start, end, sizes, public_hotlines)
            if known or kind:
                place = last
                if kind not in ("", "kept"):
                    yield kind, value
                break
        place += 1


def _is_nobodys(value: str, sizes: list[int]) -> bool:
    """Whether a whole number is a stand-in, so that no stretch of it is looked at."""
    total = sum(sizes)
    if not _LEAST_DIGITS <= total <= 22:
        return False
    if is_stand_in("phone", value) or is_stand_in("bank_card", value):
        return True
    # The others are known by their first digits only: another number may stand right behind one.
    if " " in value and max(sizes) > 4 and total != 18:
        return False
    return (total > 10 and is_stand_in("order", value)) or (total <= 18 and is_stand_in("id_card", value))


def _kind(text: str, start: int, end: int, sizes: list[int], public_hotlines: bool) -> str:
    """The type of the number between ``start`` and ``end``: empty for none, `kept` for what may stay."""
    digits = "".join(one for one in text[start:end].upper() if one.isalnum())
    if len(digits) < _LEAST_DIGITS or _LETTER.fullmatch(text[start - 1 : start]):
        return ""
    if len(sizes) == 1 and _LETTER.fullmatch(text[end : end + 1]):
        return ""
    if _ADJOINING_CODE.search(text[max(0, start - _REACH) : start].lower()):
        return "kept" if len(sizes) == 1 else ""
    called = _called(text, start)
    if _is_id(digits, sizes, called):
        return "id_card"
    if not digits.isdecimal():
        return ""
    if _is_card(digits, sizes, called):
        return "bank_card"
    if re.fullmatch(r"[48]00\d{7}|1?8(?:00|33|44|55|66|77|88)\d{7}|080[08]\d{6,7}", digits):
        return "kept" if public_hotlines else "phone"
    if re.search(r"\+\(?$|\(\+$", text[max(0, start - 2) : start]):
        return "phone" if 9 <= len(digits) <= 16 else ""
    named = called == "phone" or (called != "code" and bool(re.search(_PHONE_WORDS, text.lower())))
    return "phone" if _is_phone(digits, sizes, called, named) else ""


def _is_id(digits: str, sizes: list[int], called: str) -> bool:
    if len(digits) == 18:
        return _is_born(digits[:6], digits[6:14]) and passes_chinese_id(digits)
    if not digits.isdecimal():
        return False
    if len(digits) == 15 and len(sizes) == 1:
        return called != "code" and _is_born(digits[:6], "19" + digits[6:12])
    # SSA: no number begins with 000, 666 or 9, and no part is zero.
    return sizes == [3, 2, 4] and bool(re.fullmatch(r"(?!000|666|9)\d{3}(?!00)\d\d(?!0000)\d{4}", digits))


def _is_born(area: str, born: str) -> bool:
    """GB/T 2260 provinces, and a day that can be a birthday."""
    province, year, month, day = int(area[:2]), int(born[:4]), int(born[4:6]), int(born[6:])
    first, second = divmod(province, 10)
    known = 1 <= second <= {1: 5, 2: 3, 3: 7, 4: 6, 5: 4, 6: 5}.get(first, 0) or province in (50, 71, 81, 82)
    return known and 1900 <= year <= 2030 and 1 <= month <= 12 and 1 <= day <= 31


def _is_card(digits: str, sizes: list[int], called: str) -> bool:
    """ISO/IEC 7812-1: the issuers' first digits with their lengths, and the check digit."""
    issuers = r"4\d{15}|4\d{18}|(?:5[1-5]|2[2-7]|6[05]|35)\d{14}|3[47]\d{13}|3[068]\d{12}|62\d{14,17}"
    if not re.fullmatch(issuers, digits) or not passes_luhn(digits):
        return False
    return called != "code" and len(set(digits)) > 3 and min(sizes[:-1], default=4) >= 4


def _is_phone(digits: str, sizes: list[int], called: str, named: bool) -> bool:
    """Numbering plans: Chinese mobiles and landlines, North America, a trunk 0, 00 before a country, Brazil, India."""
    if re.fullmatch(r"(?:0086|86)?1[3-9]\d{9}", digits):
        return sizes[-1] in (8, 11) or len(sizes) == 1 or sizes[-2:] == [4, 4]
    if re.fullmatch(r"00[1-9]\d{8,13}", digits) and (len(sizes) > 1 or called == "phone"):
        return True
    if re.fullmatch(r"0(?:10|2\d|[3-9]\d\d)[2-8]\d{6,7}(?:\d{3,4})?", digits) and sizes[0] in (3, 4):
        return True
    if re.fullmatch(r"1?[2-9]\d\d[2-9]\d{6}", digits) and (sizes[-3:] == [3, 3, 4] or (named and max(sizes) >= 7)):
        return True
    if re.fullmatch(r"0[1-9]\d{8,10}", digits):
        # Twelve digits are a product's bar code, unless a German mobile.
        return (
            called != "code"
            and (len(digits) < 12 or digits[1] == "1")
            and (len(sizes) > 1 or named or len(digits) == 11)
        )
    if re.fullmatch(r"[1-9]\d9\d{8}", digits) and sizes == [2, 5, 4]:
        return True
    return bool(re.fullmatch(r"[6-9]\d{9}", digits)) and (sizes == [5, 5] or (named and len(sizes) == 1))
