"""What personal data is replaced with: values from ranges that belong to nobody, and how to tell one.

Redactor and second scan both read this module. Where a registry keeps a range free, stand-ins come from it; elsewhere
they are values that nobody can have. Names and streets come from short lists of rare or invented ones: the list is the
range, and common names are not in it, so that a customer's own name is never taken for a stand-in.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Mapping

from lf_bridge.prepare.privacy.telephones import digits_of, is_phone_stand_in, lay_out, phone_stand_in

TYPES = (
    "name", "email", "phone", "id_card", "bank_card", "iban", "order", "tracking", "address", "plate", "url", "ip",
    "handle", "wechat", "qq",
)  # fmt: skip
PLACEHOLDER = re.compile(rf"\[(?:{'|'.join(TYPES).upper()})_[0-9A-F]{{4}}\]")

GIVEN_NAMES = (
    "Alaric", "Althea", "Briony", "Calix", "Cressida", "Delphine", "Elowen", "Emrys", "Fenella", "Florian",
    "Ginevra", "Hadrian", "Idony", "Isolde", "Jorah", "Keziah", "Leander", "Linnea", "Lysander", "Merrin",
    "Nerys", "Octavian", "Ottilie", "Peregrine", "Perpetua", "Quillan", "Rosalba", "Rowena", "Sabra", "Severin",
    "Tamsin", "Thaddea", "Ulrica", "Verity", "Wilmot", "Xanthe", "Yseult", "Zephyrine",
)  # fmt: skip
SURNAMES = (
    "Abernell", "Ashgrove", "Birchall", "Blackmere", "Brackenbury", "Calloway", "Castlemaine", "Copperfield",
    "Danbury", "Dunmore", "Eastlake", "Elmhurst", "Fairweather", "Farthingale", "Gladwyn", "Greystock", "Halloran",
    "Hartwell", "Hawksmoor", "Inglewood", "Kestrel", "Larkspur", "Loxley", "Marchbanks", "Merriweather", "Netherby",
    "Oakshott", "Pemberley", "Penhallow", "Quillfeather", "Ravenscar", "Rosethorn", "Silverlock", "Stonebridge",
    "Thistlewood", "Umberleigh", "Vellacott", "Westerby", "Winterbourne", "Yarborough",
)  # fmt: skip
CHINESE_SURNAMES = tuple("祁岑樊柏池邬晏甄卞缪桑阮蔚芮佟冼邝闵褚沐")
CHINESE_GIVEN_NAMES = (
    "知砚", "予澄", "砚清", "听澜", "望舒", "疏桐", "若谷", "栖迟", "云岫", "枕溪", "怀瑾", "令仪", "既白", "攸宁",
    "清晏", "景行", "书砚", "其琛", "采薇", "子衿", "未晞", "扶摇", "临渊", "鹤鸣", "静姝", "归鸿", "抱朴", "守拙",
    "观澜", "拾光", "沐阳", "映雪", "寻梅", "问渠", "漱玉", "踏歌", "凌霄", "溯源", "弄影", "行止",
)  # fmt: skip
STREETS = (
    "Alderwick Lane", "Bramblecote Road", "Candlewren Street", "Dovemere Avenue", "Elderquill Drive",
    "Foxhollowby Road", "Gorsewhin Lane", "Hazelmarch Street", "Ivorygate Avenue", "Juniperfold Drive",
    "Kittiwake Quay Road", "Lanternfell Street", "Mossdale Fen Lane", "Nettlebeck Avenue", "Oatcombe Street",
)  # fmt: skip
CHINESE_STREETS = (
    "青梧里路", "听雨亭路", "鹤汀洲路", "云栖渡路", "松影台路", "兰泽浦路", "枫桥夜路", "望潮矶路", "藕香榭路",
    "竹溪坞路", "银杏湾路", "采石帆路", "白鹭屿路", "荻花洲路", "锦鲤塘路",
)  # fmt: skip
# IANA keeps these for documentation: RFC 2606 (example.com, .org, .net).
EXAMPLE_DOMAINS = ("example.com", "example.org", "example.net")
# RFC 5737 and RFC 3849.
_IPV4 = ("192.0.2.", "198.51.100.", "203.0.113.")
_IPV6 = "2001:db8:"

_HONORIFIC = re.compile(r"(?i)^((?:mr|mrs|ms|miss|mx|dr|prof|sir|madam)\b\.?\s*)(.+)$")
_CHINESE_HONORIFIC = re.compile(
    r"^([小老阿]?)([\u4e00-\u9fff]{1,2}?)(先生|女士|小姐|太太|老师|经理|师傅|同学|总|哥|姐|)$"
)
# Orders and parcels: no free range exists, so a run of nines and noughts marks them.
_MARKS = ((8, "9900"), (5, "990"), (0, "99"))


def stand_in(type: str, digest: bytes, original: str) -> str:  # noqa: A002
    """A value of ``type`` that belongs to nobody, the same for the same digest, in the original's shape.

    ``digest`` is 32 bytes. Country prefixes, separators and letter case follow ``original`` where that is natural.
    """
    return _MAKERS[type](digest, original)


def is_stand_in(type: str, value: str) -> bool:  # noqa: A002
    """Whether ``value`` lies in the range that stand-ins of ``type`` come from, or is a placeholder."""
    return bool(PLACEHOLDER.fullmatch(value)) or _TESTS[type](unicodedata.normalize("NFKC", value).strip())


def passes_luhn(digits: str) -> bool:
    """Whether the last of these digits is the check digit of ISO/IEC 7812-1, annex B."""
    doubled = [int(digit) if place % 2 == 0 else sum(divmod(2 * int(digit), 10)) for place, digit in
               enumerate(reversed(digits))]  # fmt: skip
    return sum(doubled) % 10 == 0


def passes_iban(value: str) -> bool:
    """Whether the check digits of an IBAN without spaces are right (ISO 13616, mod 97)."""
    return int("".join(str(int(letter, 36)) for letter in value[4:] + value[:4])) % 97 == 1


def passes_chinese_id(value: str) -> bool:
    """Whether the check character of an 18-place citizen number is right (GB 11643-1999)."""
    total = sum(int(digit) * (2 ** (17 - place) % 11) for place, digit in enumerate(value[:17]))
    return value[17].upper() == "10X98765432"[total % 11]


def _draw(digest: bytes, place: int, choices: tuple[str, ...]) -> str:
    return choices[int.from_bytes(digest[4 * place : 4 * place + 4], "big") % len(choices)]


def _numerals(digest: bytes, count: int) -> str:
    return f"{int.from_bytes(digest, 'big'):078d}"[-count:] if count else ""


def _in_case_of(original: str, text: str) -> str:
    if original.isupper() and len(original) > 1:
        return text.upper()
    return text.lower() if original.islower() else text


def _name(digest: bytes, original: str) -> str:
    if re.search(r"[\u4e00-\u9fff]", original):
        titled = _CHINESE_HONORIFIC.match(original)
        surname = _draw(digest, 0, CHINESE_SURNAMES)
        if titled and (titled[1] or titled[3]):
            return titled[1] + surname + titled[3]
        return surname + _draw(digest, 1, CHINESE_GIVEN_NAMES) if len(original) > 1 else surname
    titled = _HONORIFIC.match(original)
    if titled and " " not in titled[2].strip():
        return titled[1] + _in_case_of(titled[2], _draw(digest, 1, SURNAMES))
    if titled:
        return titled[1] + _name(digest, titled[2])
    whole = f"{_draw(digest, 0, GIVEN_NAMES)} {_draw(digest, 1, SURNAMES)}"
    return _in_case_of(original, whole if re.search(r"[\s,]", original.strip()) else whole.split()[0])


def _is_name(value: str) -> bool:
    titled = _HONORIFIC.match(value)
    words = [word.title() for word in re.findall(r"[^\W\d_]+", titled[2] if titled else value)]
    if words and all(word in GIVEN_NAMES or word in SURNAMES for word in words):
        return True
    chinese = _CHINESE_HONORIFIC.match(value)
    if chinese and chinese[2] in CHINESE_SURNAMES:
        return True
    return value in CHINESE_GIVEN_NAMES or (value[:1] in CHINESE_SURNAMES and value[1:] in CHINESE_GIVEN_NAMES)


def _email(digest: bytes, original: str) -> str:
    local = f"{_draw(digest, 0, GIVEN_NAMES)}.{_draw(digest, 1, SURNAMES)}{_numerals(digest, 2)}".lower()
    return f"{local}@{_draw(digest, 2, EXAMPLE_DOMAINS)}"


def _is_example_host(host: str) -> bool:
    return any(host == domain or host.endswith(f".{domain}") for domain in EXAMPLE_DOMAINS)


def _id_card(digest: bytes, original: str) -> str:
    """No province has the code 99 (GB/T 2260); no SSN begins with 666 (SSA); no NINO with ZZ (HMRC NIM39110)."""
    digits = digits_of(original)
    letters = sum(letter.isalpha() for letter in original)
    if len(digits) >= 17 - (letters > 1) and letters <= 1:
        born = f"19{50 + digest[0] % 50}{1 + digest[1] % 12:02d}{1 + digest[2] % 28:02d}"
        first = "99" + _numerals(digest, 4) + born + _numerals(digest[4:], 3)
        check = next(letter for letter in "0123456789" if not passes_chinese_id(first + letter))
        return first + check
    if len(digits) == 15 and not letters:
        born = f"{50 + digest[0] % 50}{1 + digest[1] % 12:02d}{1 + digest[2] % 28:02d}"
        return "99" + _numerals(digest, 4) + born + _numerals(digest[4:], 3)
    if re.fullmatch(r"\d{3}\D?\d\d\D?\d{4}", original):
        return lay_out(original, "666" + _numerals(digest, 6))
    if re.fullmatch(r"(?i)[a-z]{2}\s?(\d\d\s?){3}[a-d]", original):
        return _in_case_of(original, lay_out("ZZ" + original[2:], _numerals(digest, 6)))
    return _marked(digest, original)


def _is_id_card(value: str) -> bool:
    if re.fullmatch(r"99\d{15}[\dXx]", value):
        return not passes_chinese_id(value)
    return bool(re.fullmatch(r"99\d{13}|666\D?\d\d\D?\d{4}|(?i:zz)\s?(\d\d\s?){3}[A-Da-d]", value)) or _is_marked(value)


def _bank_card(digest: bytes, original: str) -> str:
    """Its issuer number is 00000 after the first digit, and it fails the Luhn check of ISO/IEC 7812-1."""
    digits = digits_of(original)
    first = digits[0] + "00000" + _numerals(digest, len(digits) - 7)
    return lay_out(original, first + next(last for last in "57" if not passes_luhn(first + last)))


def _is_bank_card(value: str) -> bool:
    digits = digits_of(value)
    return len(digits) > 10 and digits[1:6] == "00000" and not passes_luhn(digits)


def _iban(digest: bytes, original: str) -> str:
    """Check digits 00: ISO 13616 computes them as 98 less a remainder below 97, 02 to 98."""
    letters = [letter for letter in original if letter.isalnum()]
    rest = iter(_numerals(digest, 40))
    value = "".join(letters[:2]) + "00" + "".join(next(rest) if one.isdigit() else one for one in letters[4:])
    if passes_iban(value):
        value = value[:-1] + next(digit for digit in "01" if digit != value[-1])
    left = iter(value)
    return "".join(next(left) if one.isalnum() else one for one in original)


def _is_iban(value: str) -> bool:
    plain = re.sub(r"\W", "", value)
    return bool(re.fullmatch(r"[A-Za-z]{2}00[A-Za-z0-9]{11,30}", plain)) and not passes_iban(plain)


def _marked(digest: bytes, original: str) -> str:
    """The same shape, its first digits a mark, a carrier's letters kept."""
    prefix, rest = re.match(r"(?s)(1[Zz]|[A-Za-z]{1,4}(?![A-Za-z]))?(.*)", original).groups("")  # type: ignore[union-attr]
    count = len(digits_of(rest))
    mark = next(mark for least, mark in _MARKS if count >= least)
    numerals = iter((mark + _numerals(digest, count))[:count])
    places = enumerate(rest)
    return prefix + "".join(
        next(numerals) if one.isdecimal() else
        _in_case_of(one * 2, chr(65 + digest[place % 32] % 26)) if one.isascii() and one.isalpha() else one
        for place, one in places
    )  # fmt: skip


def _is_marked(value: str) -> bool:
    digits = digits_of(re.sub(r"^1[Zz]", "", value))
    mark = next(mark for least, mark in _MARKS if len(digits) >= least)
    return bool(digits) and digits.startswith(mark[: len(digits)])


def _address(digest: bytes, original: str) -> str:
    """Streets of these names exist nowhere; a ZIP beginning with 000 is assigned to no place (USPS)."""
    number = 1 + int(_numerals(digest, 3)) % 199
    if re.search(r"[\u4e00-\u9fff]", original):
        room = (
            f"{1 + digest[5] % 9}栋{1 + digest[6] % 18}0{1 + digest[7] % 6}室"
            if re.search("[室栋幢单元楼]", original)
            else ""
        )
        return f"{_draw(digest, 1, CHINESE_STREETS)}{number}号{room}"
    if re.match(r"(?i)p\.?\s*o\.?\s*box", original):
        return f"{original[: re.search(r'(?i)box', original).end()]} 00{number:03d}"  # type: ignore[union-attr]
    if re.fullmatch(r"\d{5}(-\d{4})?", original):
        return "000" + _numerals(digest, 2)
    street = f"{number} {_draw(digest, 1, STREETS)}"
    return street + (f", 000{_numerals(digest, 2)}" if re.search(r"\b\d{5}(-\d{4})?\s*$", original) else "")


def _is_address(value: str) -> bool:
    if re.search(r"(?i)\bbox 00\d{3}|^000\d\d(-\d{4})?$", value):
        return True
    return any(street.lower() in value.lower() for street in (*STREETS, *CHINESE_STREETS))


def _plate(digest: bytes, original: str) -> str:
    """No Chinese office has the letter I (GA 36-2018), no British area or German district begins with Q."""
    chinese = re.match(r"[\u4e00-\u9fff]", original)
    start = 2 if chinese else len(re.match(r"[A-Za-z]*", original)[0])  # type: ignore[index]
    head = original[0] + "I" if chinese else "Q" * start if start <= 3 else "QQQ"
    body = _numerals(digest, len(original))
    letters = "".join(
        body[place] if one.isdigit() else
        chr(65 + digest[place % 32] % 8) if one.isalpha() and one.isascii() else one
        for place, one in enumerate(original)
    )  # fmt: skip
    return _in_case_of(original, head + letters[start:])


def _is_plate(value: str) -> bool:
    return bool(re.match(r"[\u4e00-\u9fff][Ii]|[Qq]", value))


def _url(digest: bytes, original: str) -> str:
    start = "" if not re.match(r"(?i)https?:|www\.", original) else "https://" if "://" in original else ""
    return f"{start}www.example.com/{digest[:4].hex()}"


def _is_url(value: str) -> bool:
    return _is_example_host(re.sub(r"(?i)^[a-z]+://", "", value).split("/")[0].split("?")[0].lower())


def _ip(digest: bytes, original: str) -> str:
    if ":" in original:
        return f"{_IPV6}:{digest[:2].hex()}:{digest[2:4].hex()}"
    return f"{_draw(digest, 0, _IPV4)}{1 + digest[4] % 254}"


def _is_ip(value: str) -> bool:
    return value.startswith(_IPV4) or value.lower().startswith(_IPV6)


def _account(digest: bytes, original: str) -> str:
    return f"{'@' if original.startswith('@') else ''}example_{digest[:3].hex()}"


def _is_account(value: str) -> bool:
    return bool(re.fullmatch(r"@?example_[0-9a-f]{6}", value))


def _qq(digest: bytes, original: str) -> str:
    """QQ numbers begin at 10000: none has a leading 0."""
    return "0" + _numerals(digest, max(len(digits_of(original)) - 1, 4))


_MAKERS: Mapping[str, Callable[[bytes, str], str]] = {
    "name": _name, "email": _email, "phone": phone_stand_in, "id_card": _id_card, "bank_card": _bank_card,
    "iban": _iban, "order": _marked, "tracking": _marked, "address": _address, "plate": _plate, "url": _url,
    "ip": _ip, "handle": _account, "wechat": _account, "qq": _qq,
}  # fmt: skip
_TESTS: Mapping[str, Callable[[str], bool]] = {
    "name": _is_name, "email": lambda value: _is_example_host(value.rpartition("@")[2].lower()),
    "phone": is_phone_stand_in, "id_card": _is_id_card, "bank_card": _is_bank_card, "iban": _is_iban,
    "order": _is_marked, "tracking": _is_marked, "address": _is_address, "plate": _is_plate, "url": _is_url,
    "ip": _is_ip, "handle": _is_account, "wechat": _is_account, "qq": lambda value: value.startswith("0"),
}  # fmt: skip
