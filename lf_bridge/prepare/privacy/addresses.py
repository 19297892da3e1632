"""Postal addresses and number plates."""

from __future__ import annotations

import re
from collections.abc import Iterator

from lf_bridge.prepare.privacy.findings import Finding, follows

_HAN = r"[\u4e00-\u9fff]"
# 34 provinces (GB/T 2260), with and without their full form, and the first-tier cities that are named without 市.
_PROVINCE = (
    r"(?:北京|天津|上海|重庆|河北|山西|辽宁|吉林|黑龙江|江苏|浙江|安徽|福建|江西|山东|河南|湖北|湖南|广东|海南|"
    r"四川|贵州|云南|陕西|甘肃|"
    r"青海|台湾|内蒙古|广西|西藏|宁夏|新疆|香港|澳门)(?:省|市|壮族自治区|回族自治区|维吾尔自治区|自治区|特别行政区)?"
)
_FIRST_PROVINCE = re.compile(_PROVINCE)
_COUNT = r"[0-9A-Za-z一二三四五六七八九十百零〇]"
_DOOR = (
    rf"(?:{_COUNT}{{1,6}}(?:-\d+)*(?:号楼|号院|号|弄|巷|栋|幢|座|单元|楼|层|室|房|户|组|期|铺|门){_COUNT}{{0,0}}|"
    r"(?:\d{1,4}-){1,3}\d{1,4}|(?<=[栋幢座元楼层])\d{2,5})"
)
_WAY = (
    r"(?:大道|大街|路|街道|街|巷|胡同|弄|里|村|庄|屯|小区|花园|公寓|大厦|广场|苑|新村|社区|家园|花苑|工业园|产业园|"
    r"科技园|学校|大学|医院|城|湾|府|园)"
)
_AREA = rf"(?:{_HAN}{{1,6}}?(?:自治州|地区|市|盟|自治县|新区|开发区|区|县|旗|镇|乡|街道))"
_NO_DOOR = r"(?!线|店员|客服|技师|柜|机|公告|文件|下午|上午|早上|晚上|前|左右|到货|发货|之前|以前|晚|早|中午|凌晨)"
_CHINESE = re.compile(
    rf"(?:{_PROVINCE}|{_HAN}{{2,6}}?(?:市|区|县|镇))?{_AREA}{{0,4}}{_HAN}{{1,10}}?{_WAY}(?:{_HAN}{{0,8}}?{_DOOR})"
    rf"{{1,6}}{_NO_DOOR}"
    rf"|{_PROVINCE}{_AREA}{{1,4}}(?:{_HAN}{{1,10}}?{_WAY})?(?:{_HAN}{{0,6}}?{_DOOR}){{0,5}}"
    rf"|(?:{_HAN}{{2,8}}?{_WAY})?{_COUNT}{{1,4}}(?:号楼|栋|幢|座){_COUNT}{{1,3}}单元{_COUNT}{{2,5}}(?:室|房|号|户)?"
    rf"|{_COUNT}{{1,4}}(?:号楼|栋|幢|座)\d{{2,5}}(?:室|房|户)"
)
# What stands before an address and is no part of it.
_LEAD = re.compile(
    rf"^{_HAN}*?(?:地址|住址|住在|家住|现住|搬到|改到|改成|改为|寄到|寄往|寄去|送到|送往|送去|发到|发往|快递到|"
    rf"位于|门店在|公司在|我在|家在|人在|"
    r"就是|就在|填的|写的|换成|更新为|现在|搬家到)(?:是|为|在|到|了|的是)?"
)
_FUNCTION = re.compile(r"^(?:[我你他她您的是在到从去住往给帮把请麻烦就写填这那]|我们|你们|公司|改|寄|送|发|换)+(?=..)")
_ASKED = re.compile(
    r"(?:收货地址|收件地址|详细地址|家庭住址|寄送地址|地址|住址)\s?(?:是|为|改成|改为|:|：)"
    r"\s?([^\n，。；;！!？?]{6,60})"
)

_KIND = (
    r"(?:Street|Str|St|Avenue|Ave|Av|Road|Rd|Boulevard|Blvd|Lane|Ln|Drive|Dr|Court|Ct|Place|Pl|Square|Sq|Terrace|"
    r"Ter|Way|"
    r"Highway|Hwy|Parkway|Pkwy|Circle|Cir|Close|Crescent|Cres|Row|Alley|Broadway|Trail|Trl|Loop|Walk|Mews|Gardens|"
    r"Grove|"
    r"Pike|Plaza|Heights|Hill|Green|Quay|Wharf)"
)
_REST = (
    r"(?:,?\s*(?i:apt|apartment|suite|ste|unit|floor|fl|flat|room|rm|building|bldg|#)\.?\s*#?[\w-]{1,6})?"
    r"(?:,\s*(?:[A-Z][A-Za-z.'-]+ ?){1,3}(?=,|\s+[A-Z]{2}\b|\s+[A-Z]{1,2}\d|\s*$|[.;!?]|\s+\d{5}))?"
    r"(?:,?\s*(?:[A-Z]{2}|[A-Z][a-z]+(?: [A-Z][a-z]+)?)(?=,?\s*\d{5}))?(?:,?\s*\d{5}(?:-\d{4})?(?!\d))?"
    r"(?:,?\s*[A-Z]{1,2}\d[A-Z\d]? ?\d[A-Z]{2}\b)?"
)
_STREET = re.compile(
    rf"(?<![\w$€£.,-])\d{{1,6}}(?:-\d{{1,5}})?[A-Za-z]?,?\s+(?:(?:[NSEW]|North|South|East|West|NE|NW|SE|SW)\.?\s+)?"
    rf"(?:(?:[A-Z][\w.'-]*|\d{{1,3}}(?:st|nd|rd|th))\s+){{1,4}}{_KIND}\b\.?(?:\s+(?:[NSEW]|NE|NW|SE|SW)\b\.?)?{_REST}"
    rf"|(?<![\w$.])\d{{1,6}}\s+(?:Broadway|Avenue [A-Z]|(?:Rue|Via|Calle|Avenida|Rua|Boulevard|Avenue|Chemin|Place)"
    rf"\s(?:[\w'-]+ ?){{1,4}})\b{_REST}"
)
_LOWER_STREET = re.compile(
    r"(?i)(?<![\w$.,-])\d{2,6}\s+(?:[nsew]\.?\s+)?(?!(?:days?|minutes?|mins?|hours?|miles?|more|of|the|and|or|to|"
    r"on|in|a|per|full|x)\b)"
    r"(?:[a-z][a-z'-]+|\d{1,3}(?:st|nd|rd|th))(?:\s+(?!(?:the|of|and|to|on|in|for|a)\b)[a-z'-]+)?\s+"
    r"(?:street|st|avenue|ave|road|rd|boulevard|blvd|lane|ln|drive|dr|highway|hwy|parkway|pkwy|terrace|crescent)\b\.?"
    r"(?:,?\s*(?:apt|apartment|suite|ste|unit|flat|#)\.?\s*#?[\w-]{1,6})?"
    r"(?:,?\s+[a-z]+(?: [a-z]+)?,?\s+[a-z]{2}(?=,?\s+\d{5}))?(?:,?\s*\d{5}(?:-\d{4})?(?!\d))?"
)
_BOX = re.compile(r"(?i)(?<![a-z])p\.?\s?o\.?\s?box\s+#?\d{1,7}")
_POSTCODE = re.compile(
    r"(?<![A-Za-z0-9])(?:GIR 0AA|[A-Z]{1,2}\d[A-Z\d]? \d[ABD-HJLNP-UW-Z]{2}|[ABCEGHJ-NPRSTVXY]\d[A-Z] \d[A-Z]\d)"
    r"(?![A-Za-z0-9])"
)
_ZIP = re.compile(
    r"(?i)(?:zip(?: ?code)?|post(?:al)? ?code|postcode|plz|邮编|邮政编码)\s?(?:is|:|：|是|为|#|-|=)"
    r"?\s*((?:[a-z]{1,2}\d[a-z\d]? ?\d[a-z]{2})|\d{4,6}(?:-\d{4})?)(?!\d)"
)
_STATE_ZIP = re.compile(
    r"(?:[A-Z][a-z]+(?: [A-Z][a-z]+)?,? )?\b(?:A[KLRZ]|C[AOT]|D[CE]|FL|GA|HI|I[ADLN]|K[SY]|LA|M[ADEINOST]|"
    r"N[CDEHJMVY]|O[HKR]|PA|RI|S[CD]|"
    r"T[NX]|UT|V[AT]|W[AIVY]),? \d{5}(?:-\d{4})?(?!\d)"
)
_GERMAN = re.compile(
    r"(?<!\w)[A-ZÄÖÜ][a-zäöüß-]*(?:stra(?:ß|ss)e|str\.|weg|platz|allee|gasse|ring|ufer|damm)\s+\d{1,4}\s?[a-z]?(?!\w)"
    r"(?:,?\s*\d{5}\s+[A-ZÄÖÜ][a-zäöüß]+(?: (?:am|an der|im) [A-ZÄÖÜ][a-zäöüß]+)?)?"
)
_ROMANCE = re.compile(
    r"(?i:(?<!\w)(?:rue|avenue|boulevard|via|viale|calle|avenida|rua|plaza|piazza))\s(?:(?:de|la|del|della|di|du|"
    r"des|da|do|dos|las|los|le)\s)*"
    r"(?:[A-ZÀ-Ý][\w'À-ÿ-]+\s?){1,3},?\s\d{1,5}(?!\d)(?:,?\s*\d{5}\s+[A-ZÀ-Ý][\wÀ-ÿ-]+)?"
)

_CHINESE_PLATE = re.compile(
    r"[京津沪渝冀豫云辽黑湘皖鲁新苏浙赣鄂桂甘晋蒙陕吉闽贵粤青藏川宁琼使领][A-Z][·•・. -]{0,2}(?=[A-Z]{0,3}\d|"
    r"[A-Z]\d|\d)"
    r"(?:[A-HJ-NP-Z0-9]{5,6}|[A-HJ-NP-Z0-9]{4}[挂学警港澳领])(?![A-Za-z0-9])"
)
_PLATE = re.compile(
    r"(?<![A-Za-z0-9])(?:[A-Z]{2}\d\d ?[A-Z]{3}|[A-Z]\d{1,3} ?[A-Z]{3}|"
    r"[A-ZÄÖÜ]{1,3}[- ][A-Z]{1,2}[- ]?\d{1,4}[EH]?|[A-Z]{2,3}[- ]?\d{3,4}|\d{1,3}[- ]?[A-Z]{3}[- ]?\d{0,3}|"
    r"[A-Z]{2}-\d{3}-[A-Z]{2}|\d[A-Z]{3}\d{3})"
    r"(?![A-Za-z0-9])"
)
_CAR = re.compile(
    r"(?i)plate|registration|\breg\b|\breg(?:\.|istered)|vehicle|\bcar\b|licen[cs]e|\bvan\b|truck|kennzeichen|"
    r"immatriculation|车牌|车号|牌照"
)
_BRITISH_PLATE = re.compile(r"(?<![A-Za-z0-9])[A-HJ-PR-Y]{2}(?:0[2-9]|[1-7]\d) [A-HJ-PR-Z]{3}(?![A-Za-z0-9])")


def find_addresses(text: str) -> Iterator[Finding]:
    """Addresses: Chinese chains from province to room, streets with numbers, boxes, postcodes."""
    if not text.isascii():
        for match in _ASKED.finditer(text):
            if re.search(rf"{_WAY}|[省市区县号栋室楼]", match[1]) and re.search(r"\d|[一二三四五六七八九十]", match[1]):
                end = re.search(r"\s?(?:电话|手机|联系|收件|收货|邮编|1[3-9]\d{9}|谢谢)", match[1])
                stop = match.start(1) + (end.start() if end else len(match[1]))
                if stop - match.start(1) >= 6:
                    yield _found(text, match.start(1), stop)
        for match in _CHINESE.finditer(text):
            province = _FIRST_PROVINCE.search(match[0])
            start = match.start() + (province.start() if province else 0)
            for lead in () if province else (_LEAD, _FUNCTION):
                word = lead.match(text[start : match.end()])
                start += word.end() if word else 0
            if match.end() - start >= 5:
                yield _found(text, start, match.end())
        for match in _GERMAN.finditer(text):
            yield _found(text, *match.span())
    for pattern in (_STREET, _LOWER_STREET, _BOX, _STATE_ZIP, _POSTCODE, _ROMANCE):
        for match in pattern.finditer(text):
            yield _found(text, match.start(), match.start() + len(match[0].rstrip(" ,")))
    for match in _GERMAN.finditer(text) if text.isascii() else ():
        yield _found(text, *match.span())
    for match in _ZIP.finditer(text):
        yield _found(text, *match.span(1))


def find_plates(text: str) -> Iterator[Finding]:
    """Number plates: Chinese and current British ones by shape, others near words for a car."""
    for pattern, always in ((_CHINESE_PLATE, True), (_BRITISH_PLATE, True), (_PLATE, False)):
        for match in pattern.finditer(text):
            if always or follows(_CAR, text, match.start(), 36):
                yield Finding(match.start(), match.end(), "plate", re.sub(r"[\W_]", "", match[0]).upper())


def _found(text: str, start: int, end: int) -> Finding:
    return Finding(start, end, "address", re.sub(r"[\W_]", "", text[start:end]).lower())
