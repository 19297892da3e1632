"""Looks for personal data in what would be written, by other rules than the redactor's.

The redactor matches patterns; this scan looks around each `@`, weighs how random a piece of a link is, and joins digit
groups to ask what a number of that length, beginning and check digit can be. Stand-ins are exempt, by `ranges`, the one
module that both read.
"""

from __future__ import annotations

import hmac
import ipaddress
import math
import re
import string
import unicodedata
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import unquote

from lf_bridge.prepare.privacy.ranges import is_stand_in, passes_iban
from lf_bridge.prepare.privacy.second_scan_numbers import find_numbers, is_called_code

if TYPE_CHECKING:
    import pyarrow as pa

# A text without one of these has no finding: seven digits in sight of each other, or the start of another type.
_GATE = (
    r"(?:[0-9０-９][\s.()/·‐‑–—（）－．-]{0,3}){7}|[@＠]|(?i:://|www\.)"
    r"|(?:[0-9０-９]{1,3}[.．]){3}|(?i:(?:[0-9a-f]{1,4}:){3})|[A-Z]{2} ?[0-9]{2} ?[0-9]{2} ?[0-9]{2} ?[A-D]"
)
# Lengths by country: SWIFT, IBAN registry (ISO 13616).
_IBAN_LENGTHS = {
    code: length
    for length, codes in {
        15: "NO", 16: "BE", 18: "DK FI FO GL NL", 19: "MK SI", 20: "AT BA EE KZ LT LU XK", 21: "CH HR LI LV",
        22: "BG BH CR DE GB GE IE ME RS", 23: "AE GI IL IQ TL", 24: "AD CZ ES MD PK RO SA SE SK TN VG", 25: "PT",
        26: "IS TR", 27: "FR GR IT MC MR SM", 28: "AL AZ BY CY DO GT HU LB PL", 29: "BR EG PS QA UA", 30: "JO KW MU",
        31: "MT SC",
    }.items()
    for code in codes.split()
}  # fmt: skip
_IBAN = re.compile(r"(?i)(?<![a-z0-9])([a-z]{2})[0-9]{2}(?:[ -]?[a-z0-9]){11,30}")
# HMRC, NIM39110: letters and pairs that no National Insurance number begins with.
_NINO = re.compile(
    r"(?<![A-Za-z0-9])(?!BG|GB|KN|NK|NT|TN|ZZ)[ABCEGHJ-PRSTW-Z][ABCEGHJ-NPRSTW-Z] ?\d\d ?\d\d ?\d\d ?[A-D]"
    r"(?![A-Za-z0-9])",
    re.ASCII,
)
_IPV4 = re.compile(r"(?<![0-9A-Za-z.])\d{1,3}(?:\.\d{1,3}){3}(?!\d|\.\d)", re.ASCII)
_IPV6 = re.compile(r"(?i)(?<![0-9a-z])[0-9a-f]{1,4}(?::[0-9a-f]{0,4}){3,7}(?![0-9a-z:])")
_COLONS = re.compile("::|:[0-9A-Fa-f]{1,4}:[0-9A-Fa-f]{0,4}:")
_LOCAL = string.ascii_letters + string.digits + "._%+'-"
_HOST = re.compile(r"(?:[A-Za-z0-9-]+\.)+[A-Za-z]{2,}")
_LINK = re.compile(r"(?i)(?:https?://|www\.)[!-~]+")
_SECRET_KEY = re.compile(r"(?i)token|key|sid|session|sign|secret|code|auth|pass|otp|uid|user|email|phone|order|invite")
_PERSONAL_PATH = re.compile(
    r"(?i)/(?:u|users?|accounts?|members?|profiles?|my|orders?|invoices?|reset|login|magic|invite|verify|pay)/"
    r"[^/?#]*\d[^/?#]{4,}"
)
_SHORT_LINK = re.compile(r"[a-z0-9]{1,3}\.[a-z]{2,3}/(?=[^/]*\d|[^/]*[a-z][A-Z]|[^/]*[A-Z][a-z])[A-Za-z0-9]{5,12}/?")


@dataclass(frozen=True)
class Finding:
    """Personal data in one text: its row, its type and a keyed hash, never the value."""

    row: int
    reason: str
    hash: str


def scan(
    texts: pa.Array, allowed: frozenset[str], key: bytes, allow: Sequence[str] = (), public_hotlines: bool = True
) -> list[Finding]:
    """What in ``texts`` still looks like somebody's data: phone, email, id_card, bank_card, iban, url, ip.

    ``allowed`` are hashes of findings that a person has judged harmless, ``allow`` the company's own numbers, mail
    addresses and domains. The hash is HMAC-SHA256 of the value without separators, 16 hexadecimal digits.
    """
    import pyarrow.compute as pc

    rows = pc.indices_nonzero(pc.match_substring_regex(texts, _GATE).fill_null(False))
    findings = []
    for row, text in zip(rows.to_pylist(), texts.take(rows).to_pylist(), strict=True):
        for reason, value in dict.fromkeys(_find(unicodedata.normalize("NFKC", text), public_hotlines)):
            plain = _plain(reason, value)
            if is_stand_in(reason, plain if reason == "iban" else value) or _is_own(reason, plain, allow):
                continue
            digest = hmac.digest(key, b"finding:" + plain.encode(), "sha256").hex()[:16]
            if digest not in allowed:
                findings.append(Finding(row, reason, digest))
    return findings


def _plain(reason: str, value: str) -> str:
    if reason == "url":
        return value
    if reason in ("ip", "email"):
        return value.lower()
    return "".join(one for one in value if one.isalnum()).upper()


def _is_own(reason: str, plain: str, allow: Sequence[str]) -> bool:
    for own in allow:
        if reason in ("email", "url"):
            host = (
                plain.lower().rpartition("@")[2] if reason == "email" else _without_scheme(plain).split("/")[0].lower()
            )
            name = own.lower().removeprefix("@")
            if plain.lower() == own.lower() or host == name or host.endswith("." + name):
                return True
        else:
            number = _plain("phone", unicodedata.normalize("NFKC", own)).lstrip("0")
            if number == plain or (len(number) >= 7 and plain.endswith(number)):
                return True
    return False


def _find(text: str, public_hotlines: bool) -> Iterator[tuple[str, str]]:
    rest = text
    for reason, value in (*_emails(text), *_links(text), *_ibans(text), *_ips(text)):
        rest = rest.replace(value, " # ")
        if reason:
            yield reason, value
    for nino in _NINO.finditer(rest):
        if not is_called_code(rest, nino.start()):
            yield "id_card", nino[0]
    yield from find_numbers(rest, public_hotlines)


def _emails(text: str) -> Iterator[tuple[str, str]]:
    for at in re.finditer("@", text):
        # RFC 5321: a local part has at most 64 characters.
        before = text[max(0, at.start() - 64) : at.start()]
        local, host = before[len(before.rstrip(_LOCAL)) :], _HOST.match(text, at.end())
        if local and host:
            yield "email", f"{local}@{host[0]}"


def _links(text: str) -> Iterator[tuple[str, str]]:
    """Links; the reason is empty for those to a public page."""
    for link in _LINK.finditer(text) if "://" in text or "www." in text.lower() else ():
        value = link[0].rstrip(".,;:!?)>\"']")
        yield "url" if _is_personal(value) else "", value


def _without_scheme(link: str) -> str:
    return re.sub(r"^[A-Za-z]+://", "", link)


def _is_personal(link: str) -> bool:
    """Whether a link leads to one person's page: a secret in it, an id where sites keep accounts, a short link."""
    address, _, query = _without_scheme(link).partition("?")
    path = "/" + address.partition("/")[2]
    if _SHORT_LINK.fullmatch(address) or _PERSONAL_PATH.search(path) or any(map(_is_random, path.split("/"))):
        return True
    for pair in re.split("[&;#]", query):
        name, _, value = pair.partition("=")
        if _is_random(unquote(value)) or (len(value) >= 6 and re.search("[0-9]", value) and _SECRET_KEY.search(name)):
            return True
    return False


def _is_random(part: str) -> bool:
    """At least 16 letters and digits that no language made: both kinds, and over 3 bits a character."""
    part = part.partition(".")[0]
    if len(part) < 16 or part.isalpha() or not part.isalnum():
        return False
    return -sum(count / len(part) * math.log2(count / len(part)) for count in Counter(part).values()) > 3


def _ibans(text: str) -> Iterator[tuple[str, str]]:
    for found in _IBAN.finditer(text):
        length, value = _IBAN_LENGTHS.get(found[1].upper(), 0), ""
        for end, letter in enumerate(found[0], 1):
            value += letter if letter.isalnum() else ""
            if len(value) == length:
                if passes_iban(value) or is_stand_in("iban", value):
                    yield "iban", found[0][:end]
                break


def _ips(text: str) -> Iterator[tuple[str, str]]:
    """Public addresses; those of four small numbers are versions more often."""
    dotted = _IPV4.finditer(text) if text.count(".") > 2 else ()
    colons = _IPV6.finditer(text) if _COLONS.search(text) else ()
    for found in (*dotted, *colons):
        try:
            address = ipaddress.ip_address(found[0])
        except ValueError:
            continue
        version = address.version == 4 and (is_called_code(text, found.start()) or int(found[0].split(".")[0]) < 20)
        if address.is_global and not version:
            yield "ip", found[0]
