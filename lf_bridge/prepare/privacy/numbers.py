"""Numbers of cards, accounts, people, orders and parcels: by check digit, by shape, or by the words around them."""

from __future__ import annotations

import re
from collections.abc import Iterator

from lf_bridge.prepare.privacy.findings import KEPT, Finding, follows, nearby
from lf_bridge.prepare.privacy.phones import is_hotline
from lf_bridge.prepare.privacy.ranges import is_stand_in, passes_chinese_id, passes_iban, passes_luhn

# Lengths from the SWIFT IBAN registry, release 98.
_IBAN_LENGTHS = {
    code: int(length)
    for length, codes in {
        "15": "NO", "16": "BE", "18": "DK FI FO GL NL SD", "19": "MK SI", "20": "AT BA EE KZ LT LU XK",
        "21": "CH HR LI LV",
        "22": "BG BH CR DE GB GE IE ME RS VA", "23": "AE GI IL IQ OM SO TL", "24": "AD CZ ES MD PK RO SA SE SK TN VG",
        "25": "LY PT ST", "26": "IS TR", "27": "BI DJ FR GR IT MC MR SM", "28": "AL AZ BY CY DO GT HU LB NI PL SV",
        "29": "BR EG PS QA UA", "30": "JO KW MU", "31": "MT SC", "33": "RU",
    }.items()
    for code in codes.split()
}  # fmt: skip
_IBAN = re.compile(
    r"(?i)(?<![a-z0-9])[a-z]{2}\d\d(?:[ -]?[a-z0-9]){11,30}(?![a-z0-9])|(?<![a-z0-9])[a-z]{2}\d\d(?:[ -]?[a-z0-9])"
    r"{11,30}"
)
# ISO/IEC 7812 issuer ranges: Visa, Mastercard, American Express, Discover, Diners, JCB, UnionPay, Maestro and old
# Chinese cards (9558 and its like).
_ISSUER = re.compile(
    r"(?:4(?:\d{12}|\d{15}|\d{18})|(?:5[1-5]|2[2-7])\d{14}|3[47]\d{13}|(?:6011|64[4-9]\d|65\d\d)\d{12,15}|"
    r"3(?:0[0-5]|[68]\d)\d{11}|"
    r"35\d{14}|62\d{14,17}|(?:5[06-9]|6\d)\d{11,17}|9[0-9]{15,18})$"
)
_CARD = re.compile(r"(?<![\dA-Za-z+])(?<!\d[-.])\d(?:[ \-.\u2013]{0,2}\d){12,18}(?![\d])(?!-\d)")
_CARD_CONTEXT = re.compile(r"(?i)card|visa|master|amex|debit|credit|bank|卡号|银行|储蓄|信用卡|借记|账号|帐号|卡")
_CHINESE_ID = re.compile(
    r"(?<![\dA-Za-z])([1-9]\d{5})[ -]?((?:19|20)\d\d)[ -]?(\d\d)[ -]?(\d\d)[ -]?(\d{3})[ -]?([\dXx])(?![\dA-Za-z])"
)
_OLD_CHINESE_ID = re.compile(
    r"(?<![\dA-Za-z])[1-6]\d{5}\d\d(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])\d{3}(?![\dA-Za-z])"
)
_ID_CONTEXT = re.compile(
    r"(?i)ssn|social security|national insurance|\bnino?\b|passport|driver'?s? licen[cs]e|driving licen[cs]e|"
    r"\bid (?:card|number|no)|"
    r"identity|identification|national id|tax(?:payer)? (?:id|number)|\bitin\b|\btin\b|aadhaar|aadhar|\bpan\b|"
    r"\bcpf\b|\bdni\b|\bnie\b|"
    r"codice fiscale|ausweis|steuer|身份证|身份號|证件|證件|护照|通行证|驾驶证|驾照|社保|身份"
)
_SSN = re.compile(r"(?<![\d-])\d{3}([- ])\d{2}\1\d{4}(?![\d-])")
_NINO = re.compile(
    r"(?i)(?<![a-z0-9])(?:[a-ceghj-pr-tw-z][a-ceghj-npr-tw-z]|qq)[ -]?\d\d[ -]?\d\d[ -]?\d\d[ -]?[a-d](?![a-z0-9])"
)
_OTHER_ID = re.compile(
    r"(?i)(?<![a-z0-9])(?:\d{3}\.\d{3}\.\d{3}-\d\d|[a-z]{6}\d\d[a-ehlmprst]\d\d[a-z]\d{3}[a-z]|"
    r"[a-z]{1,2}\d{6}\([0-9a]\)|"
    r"[a-z]{5}\d{4}[a-z])(?![a-z0-9])"
)
_ID_TOKEN = re.compile(
    r"(?<![A-Za-z0-9])(?:[A-Za-z]{1,5}[ -]?)?\d[A-Za-z0-9]*(?:[- ][A-Z]?\d[A-Za-z0-9]*)*(?:[ -][A-Z])?(?![A-Za-z0-9])"
)
# Shapes by which carriers number parcels: S.F., YTO, JD, J&T, UPS, Amazon, DHL, UPU S10, USPS.
_PARCEL = re.compile(
    r"(?i)(?<![a-z0-9])(?:sf\d{12,15}|yt\d{13,16}|jd[a-z]{0,2}\d{10,15}(?:-\d+)*|jt\d{13}|"
    r"1z[ ]?[0-9a-z](?:[ ]?[0-9a-z]){15}|tba\d{10,13}|"
    r"jjd\d{16,20}|[a-z]{2}\d{9}[a-z]{2}|dpk\d{12}|9[2-5]\d\d(?: ?\d{4}){4}(?: ?\d\d)?|4[0-6]0\d{10,12}[a-z]{2})"
    r"(?![a-z0-9])"
)
_PARCEL_CONTEXT = re.compile(
    r"(?i)track|parcel|package|shipment|shipping|consignment|waybill|awb|courier|fedex|\bups\b|usps|\bdhl\b|"
    r"\bdpd\b|hermes|evri|"
    r"快递|物流|运单|顺丰|圆通|中通|申通|韵达|极兔|邮政|德邦|京东物流|包裹"
)
_ORDER_CONTEXT = re.compile(
    r"(?i)order|invoice|ticket|\bcase|\bref|reference|confirmation|booking|reservation|account|customer|member|"
    r"policy|\brma\b|"
    r"transaction|receipt|claim|incident|request|contract|subscription|serial|licen[cs]e key|\bid\b|\bno\.|\bpnr\b|"
    r"loyalty|"
    r"bestell|rechnung|kunden|vorgang|commande|pedido|订单|订購|单号|工单|案件|流水|交易|会员|账号|帐号|账户|发票|"
    r"编号|参考号|凭证|合同|预订|保单|"
    r"客户号|户号|学号|卡号|号码"
)
# Letters and digits, or digits alone, as they follow a word that asks for them.
_NAMED = re.compile(
    r"(?i)(?<![a-z0-9])(?:[a-z]{1,6}[-_]?|(?-i:[A-Z]{2,4}) )?\d(?:[-_/]?[a-z0-9]){3,31}(?![a-z0-9])|(?<![a-z0-9])"
    r"(?=[a-z]*\d[a-z]*\d)[a-z0-9]{6,20}(?![a-z0-9])"
)
_HASHED = re.compile(r"(?<![A-Za-z0-9&/])#\s?([A-Za-z]{0,4}-?\d{4,20})(?![A-Za-z0-9])")
_AMAZON = re.compile(r"(?<!\d)\d{3}-\d{7}-\d{7}(?!\d)")
_BARE = re.compile(r"(?<![A-Za-z0-9.,$€£¥￥#+-])\d{8,32}(?![A-Za-z0-9])(?![.,]\d)")
_MIXED = re.compile(r"(?<![A-Za-z0-9/_.-])[A-Z]{1,5}[-_]?\d{7,20}(?![A-Za-z0-9])")
_DATE = re.compile(
    r"(?:19|20)\d\d[-/.年]?(?:0[1-9]|1[0-2]|[1-9])[-/.月]?(?:0[1-9]|[12]\d|3[01])?(?:[ T]\d{2}(?:[:：]\d{2}){0,2})"
    r"?$|\d{1,2}[-/]\d{1,2}[-/]\d{2,4}$"
)
_PRICE_BEFORE = re.compile(
    r"(?i)(?:[$€£¥￥]|usd|eur|gbp|rmb|cny|价格?|金额|总共|共|一共|total|price|cost|paid|amount)\s?(?:is|:|：|of|是|"
    r"为)?\s?$"
)
_UNIT_AFTER = re.compile(
    r"(?i)\s?(?:元|块|万|亿|件|个|条|只|台|人|次|天|年|月|分|积分|%|％|dollars?|usd|eur|rmb|points?|miles|mah|gb|"
    r"mb|kb|kg|ml|mm|cm|px|views|people)(?![a-z])"
)
_PRODUCT = re.compile(
    r"(?i)(?:isbn|商品编码|产品编码|商品编号|\bean\b|\bupc\b|barcode|条码|型号|model|sku|货号|part (?:number|no)|"
    r"firmware|version|版本|error(?: code)?|错误码|error:)\W{0,3}(?:is|是)?\s?[A-Za-z]{0,4}$"
)


def find_ibans(text: str) -> Iterator[Finding]:
    """IBANs of right length and check digits; whatever else is written on to one is left."""
    for match in _IBAN.finditer(text):
        length = _IBAN_LENGTHS.get(match[0][:2].upper())
        plain = [place for place, letter in enumerate(match[0]) if letter.isalnum()]
        if length and len(plain) >= length:
            end = plain[length - 1] + 1
            value = re.sub(r"\W", "", match[0][:end]).upper()
            if value[2:4] == "00" or passes_iban(value):
                yield Finding(match.start(), match.start() + end, "iban", value)


def find_cards(text: str) -> Iterator[Finding]:
    """Bank cards: an issuer's range and the Luhn check, or, with words for a card before, an issuer's range alone."""
    for match in _CARD.finditer(text):
        digits = re.sub(r"\D", "", match[0])
        checked = passes_luhn(digits) or follows(_CARD_CONTEXT, text, match.start(), 20)
        if is_stand_in("bank_card", digits) or (checked and _ISSUER.match(digits)):
            yield Finding(match.start(), match.end(), "bank_card", digits)


def find_ids(text: str) -> Iterator[Finding]:
    """Numbers of people: Chinese with checksum, American, British, and others where the words say so."""
    for match in _CHINESE_ID.finditer(text):
        value = "".join(match.groups()).upper()
        dated = 1 <= int(match[3]) <= 12 and 1 <= int(match[4]) <= 31
        if dated and (passes_chinese_id(value) or value.startswith("99") or nearby(_ID_CONTEXT, text, *match.span())):
            yield Finding(match.start(), match.end(), "id_card", value)
    for match in _OLD_CHINESE_ID.finditer(text):
        asked = follows(_ID_CONTEXT, text, match.start())
        if asked or not (passes_luhn(match[0]) or follows(_ORDER_CONTEXT, text, match.start(), 12)):
            yield Finding(match.start(), match.end(), "id_card", match[0])
    for pattern in (_SSN, _NINO, _OTHER_ID):
        for match in pattern.finditer(text):
            yield Finding(match.start(), match.end(), "id_card", re.sub(r"[\W_]", "", match[0]).upper())
    for match in _ID_TOKEN.finditer(text):
        value = re.sub(r"[\W_]", "", match[0]).upper()
        asked = follows(_ID_CONTEXT, text, match.start(), 24) and not _DATE.match(match[0])
        if asked and sum(letter.isdigit() for letter in value) >= 5:
            yield Finding(match.start(), match.end(), "id_card", value)


def find_parcels(text: str) -> Iterator[Finding]:
    """Numbers of parcels: by the shapes of carriers, or after words for a parcel."""
    for match in _PARCEL.finditer(text):
        yield Finding(match.start(), match.end(), "tracking", re.sub(r"[\W_]", "", match[0]).upper())
    for match in _NAMED.finditer(text):
        if follows(_PARCEL_CONTEXT, text, match.start()) and _is_reference(text, match, 8):
            yield Finding(match.start(), match.end(), "tracking", re.sub(r"[\W_]", "", match[0]).upper())


def find_orders(text: str) -> Iterator[Finding]:
    """Numbers of orders, tickets, accounts: after words for one, behind a #, and long runs that are nothing else."""
    for pattern, least in ((_AMAZON, 1), (_HASHED, 1), (_NAMED, 4), (_MIXED, 1), (_BARE, 1)):
        for match in pattern.finditer(text):
            group = match.lastindex or 0
            known = pattern is not _NAMED or follows(_ORDER_CONTEXT, text, match.start(), 24)
            if known and _is_reference(text, match, least):
                value = re.sub(r"[\W_]", "", match[group]).upper()
                yield Finding(match.start(group), match.end(group), "order", value)


def find_quantities(text: str) -> Iterator[Finding]:
    """Long numbers that are prices, amounts, dates or models: kept."""
    for match in _BARE.finditer(text):
        if not _is_reference(text, match, 1):
            yield Finding(match.start(), match.end(), KEPT, match[0])


def _is_reference(text: str, match: re.Match[str], least: int) -> bool:
    digits = re.sub(r"\D", "", match[0])
    if len(digits) < min(least, 4) or len(match[0]) < least or is_hotline(match[0]) or _DATE.match(match[0]):
        return False
    if re.fullmatch(r"(?:19|20)\d\d", match[0]) or _UNIT_AFTER.match(text, match.end()):
        return False
    before = text[max(0, match.start() - 16) : match.start()]
    return not _PRICE_BEFORE.search(before) and not _PRODUCT.search(before)
