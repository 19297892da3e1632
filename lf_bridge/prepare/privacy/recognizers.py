"""The recognizers in the order in which they take places, each behind a gate that whole columns pass through.

A gate is an RE2 expression that every text with a finding matches; it is cheap, and lets through more than there is.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import partial
from typing import NamedTuple

from lf_bridge.prepare.privacy import addresses, contacts, names, numbers, phones
from lf_bridge.prepare.privacy.findings import Finding


class Recognizer(NamedTuple):
    """``find`` is asked of texts that all ``gates`` match, one asked after the other."""

    gates: tuple[str, ...]
    find: Callable[[str], Iterator[Finding]]
    known_names_first: bool = False


def open_pattern(pattern: str) -> str:
    """A pattern of Python's as a gate: without what it looks around for, in RE2's words."""
    gate, place, in_class = "", 0, False
    while place < len(pattern):
        ahead = None if in_class else re.match(r"\(\?<?[=!]", pattern[place:])
        if ahead:
            place = _end_of_group(pattern, place)
            continue
        step = 2 if pattern[place] == "\\" else 1
        token = pattern[place : place + step]
        if token == r"\u":
            step, token = 6, f"\\x{{{pattern[place + 2 : place + 6]}}}"
        elif token == r"\s":
            token = r"\s\x{a0}\x{3000}" if in_class else r"[\s\x{a0}\x{3000}]"
        elif token in "[]":
            in_class = token == "["
        gate, place = gate + token, place + step
    return gate


def _end_of_group(pattern: str, start: int) -> int:
    depth, place, in_class = 0, start, False
    while True:
        letter = pattern[place]
        place += 2 if letter == "\\" else 1
        in_class = letter == "[" or (in_class and letter != "]")
        if not in_class:
            depth += (letter == "(") - (letter == ")")
            if not depth:
                return place


_DIGIT = r"\p{Nd}"
_LINK = r"://|[wW][wW][wW]\.|[a-zA-Z0-9]\.[a-zA-Z]{2,3}/"
_AT = r"@|＠|艾特|[A-Za-z0-9]#[A-Za-z0-9]|(?i: dot |[(\[{] ?at ?[)\]}])"
_DIGITS_3 = r"\p{Nd}{3}"
_DIGITS_5 = r"\p{Nd}(?:[^\p{Nd}\n]{0,4}\p{Nd}){4}"
_DIGITS_7 = r"\p{Nd}(?:[^\p{Nd}\n]{0,4}\p{Nd}){6}"
_DIGITS_12 = r"\p{Nd}(?:[^\p{Nd}\n]{0,3}\p{Nd}){11}"
_REFERENCE = r"\p{Nd}[\p{Nd}A-Za-z_/-]*\p{Nd}|\p{Nd}[A-Za-z_/-]{4}|[A-Za-z]\p{Nd}"
_IP = r"\p{Nd}\.\p{Nd}{1,3}\.\p{Nd}|:[0-9a-fA-F]*:"
_ACCOUNT = (
    r"@|example_|＠|(?i:[微薇威]信|[vV]信|we ?chat|weixin|wxid|vx|wx|qq|扣扣|企鹅|insta|twitter|telegram|snap|"
    r"tiktok|discord|skype|facebook|"
    r"weibo|微博|抖音|小红书|快手|\big\b|\bline\b|\bfb\b|user ?name|screen ?name|login|gamertag|handle|nick ?name|"
    r"用户名|昵称)"
)
_PLACE = (
    r"\p{Nd}|[市区县]|地址|住址|(?i:\b(?:rue|avenue|boulevard|via|viale|calle|avenida|rua|plaza|piazza)\s)|弄|号|"
    r"栋|室"
)
_ADDRESS = (
    r"[省市区县镇乡路街道巷弄村苑园城里栋幢座][^，。\n]{0,24}[\p{Nd}一二三四五六七八九十]|[\p{Nd}]+(?:号楼|栋|幢|"
    r"座)|地址|住址|邮编|邮政编码|"
    r"(?:北京|天津|上海|重庆|省|自治区)[^，。\n]{0,8}[市区县]|"
    r"\p{Nd}[^\n]{1,60}?(?i:\b(?:st|str|street|ave?|avenue|road|rd|boulevard|blvd|lane|ln|drive|dr|court|ct|place|"
    r"pl|square|sq|terrace|ter|"
    r"way|highway|hwy|parkway|pkwy|circle|cir|close|crescent|cres|row|alley|broadway|trail|trl|loop|walk|mews|"
    r"gardens|grove|pike|plaza|"
    r"heights|hill|green|quay|wharf|rue|via|calle|avenida|rua|chemin)\b)|(?i:box\s+#?\p{Nd}|zip|post(?:al)? ?code|plz|"
    r"(?:stra(?:ß|ss)e|str\.|weg|platz|allee|gasse|ring|ufer|damm)\s+\p{Nd}|(?:rue|avenue|boulevard|via|viale|"
    r"calle|avenida|rua|plaza|piazza)\s)"
    r"|[A-Z]{2},? \p{Nd}{5}|[A-Z]{1,2}\p{Nd}[A-Z\p{Nd}]? ?\p{Nd}[A-Z]{2}|[A-Z]\p{Nd}[A-Z] \p{Nd}[A-Z]\p{Nd}"
)
_PLATE = (
    r"[京津沪渝冀豫云辽黑湘皖鲁新苏浙赣鄂桂甘晋蒙陕吉闽贵粤青藏川宁琼使领][A-ZＡ-Ｚ]|[A-Z]{2}\p{Nd}{2} [A-Z]{3}|"
    r"(?i:plate|\breg|vehicle|\bcar\b|licen[cs]e|\bvan\b|truck|kennzeichen|immatriculation|车牌|车号|牌照)"
    r"[^\n]{0,40}\p{Nd}"
)
_NAME = (
    r"(?:Mrs?|Ms|Miss|Mx|Dr|Prof|Herr|Frau|Madame|Monsieur|Se[ñn]ora?)\.?\s[A-Z\x{c0}-\x{de}]|\b(?i:mr|mrs|ms|dr)"
    r"\.? [a-z]|"
    r"(?i:\b(?:hi|hello|hey|dear|hiya|hallo|bonjour|hola|ciao|lieber?|greetings|welcome|morning|afternoon|evening|"
    r"day)[,\s]\s*)[A-Z\x{c0}-\x{de}]|"
    r"(?:^|[\n.!?]\s*)(?:hi|hello|hey|dear) [a-z]{3,12}\s*(?:[,!.:\n–—-]|$)|"
    r"(?i:\b(?:name|i['’]?m|i am|this is|call me|speak|spoke|talk|chatting|under|agent|representative|rep|advisor|"
    r"colleague|manager|supervisor|technician|"
    r"account holder|card ?holder|passenger|recipient|attn|contact|addressed to|made out to|assisted by|helped by|"
    r"thanks to|my (?:wife|husband|son|daughter|"
    r"mother|father|mom|dad|brother|sister|partner|boss|friend|roommate|assistant)|it['’]s|appelle|hei(?:ß|ss)e|"
    r"llamo|nombre)\b[^\n]{0,34}?)\s[A-Z\x{c0}-\x{de}][a-z'’]|"
    r"(?i:\b(?:name(?:['’]s| is|:)|call me|appelle|hei(?:ß|ss)e|llamo|nombre es) [a-z])|"
    r"(?i:\b(?:regards|wishes|sincerely|yours|truly|faithfully|cheers|thanks|thx|thank you|again|much|in advance|"
    r"best|respectfully|cordially|love|take care|grüßen|grüße|"
    r"cordialement|saludos|sorry|bye|goodbye|it|perfect|great)\b[,.!]?[\s–—-]+)[A-Z\x{c0}-\x{de}][a-z'’]|"
    r"[-–—~^]\s?[A-Z\x{c0}-\x{de}][^\n]{1,40}\s*$|[A-Za-z]\s(?i:here|speaking|from)\b|"
    r"(?i:\b(?:for|to|under|by|with|name of|behalf of)\b[:,]?)\s[A-Z\x{c0}-\x{de}][a-z'’]+\s(?:[A-Z]\.\s)"
    r"?[A-Z\x{c0}-\x{de}]"
)
_CHINESE_NAME = (
    r"我叫|我是|名字|姓|[件货系卡签寄请保户订住单]人|户名|本人|客服|署名|乘客|称呼|患者|尊敬的|亲爱的|叫我|专员|"
    r"顾问|管家|技师|主管|同事|工程师|"
    r"快递员|骑手|司机|客户|用户|会员|业主|[，,。\s][小阿老]\p{Han}|^[小阿老]\p{Han}|先生|女士|小姐|太太|老师|经理|"
    r"师傅|同学|医生|谢谢[^\n]{0,2}\n?\p{Han}{2,4}\s*$|"
    r"此致|敬礼|祝好|商祺|[—–-]\p{Han}|老婆|老公|妻子|丈夫|爱人|妈|爸|母亲|父亲|儿子|女儿|哥哥|弟弟|姐姐|妹妹|朋友|"
    r"室友|[男女]友|领导|老板|奶奶|爷爷|"
    r"(?:^|[，,。：:、\n]\s?)\p{Han}{2,4}(?:[，,、\s]\s?[(（]?[+\p{Nd}]|\s*$|\s*\n)|的是|由\p{Han}{2,4}|找\p{Han}{2,3}"
)

# The gate that many texts pass.
FREQUENT = _NAME
RECOGNIZERS = (
    Recognizer((_LINK,), contacts.find_links),
    Recognizer((_AT,), contacts.find_emails),
    Recognizer((_ACCOUNT,), contacts.find_accounts),
    Recognizer((_DIGIT, _DIGITS_5), numbers.find_ibans),
    Recognizer((_DIGIT, _DIGITS_12), numbers.find_cards),
    Recognizer((_DIGIT, _DIGITS_5), numbers.find_ids),
    Recognizer((_DIGIT, _DIGITS_5), numbers.find_parcels),
    Recognizer((_DIGIT, _IP), contacts.find_ips),
    Recognizer((_DIGIT, _PLATE), addresses.find_plates),
    Recognizer((_DIGIT, _DIGITS_3), phones.find_hotlines),
    Recognizer((_DIGIT, _DIGITS_7), phones.find_phones),
    Recognizer((_DIGIT, _DIGITS_7), numbers.find_quantities),
    Recognizer((_DIGIT, _REFERENCE), numbers.find_orders),
    Recognizer((_PLACE, _ADDRESS), addresses.find_addresses),
    *(
        Recognizer((gate, open_pattern(pattern.pattern)), partial(names.find_names, pattern), True)
        for gate, patterns in ((_NAME, names.PATTERNS), (_CHINESE_NAME, names.CHINESE_PATTERNS))
        for pattern in patterns
    ),
)
