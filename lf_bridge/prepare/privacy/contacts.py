"""Mail addresses, links, IP addresses and accounts."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator

from lf_bridge.prepare.privacy.findings import KEPT, Finding

# At most 64 octets before the @ (RFC 5321, 4.5.3.1.1). Chinese written on to an address is not part of it.
_LOCAL = r"(?<![A-Za-z0-9\u00c0-\u024f])[A-Za-z0-9\u00c0-\u024f][A-Za-z0-9\u00c0-\u024f._%+'-]{0,63}"
_HOST = r"(?:[A-Za-z0-9\u00c0-\u024f](?:[A-Za-z0-9\u00c0-\u024f-]*[A-Za-z0-9\u00c0-\u024f])?"
_EMAIL = re.compile(
    rf"{_LOCAL}\s?@\s?{_HOST}\.)+[A-Za-z]{{2,24}}(?![A-Za-z0-9])|{_LOCAL}@{_HOST}\.)+(?:com|cn|net|org)"
)
_SPELLED_DOT = r"\s*(?:\.|点|[(\[{]\s?dot\s?[)\]}])\s*|\sdot\s"
_SPELLED_AT = r"\s*(?:@|#|艾特|[(\[{]\s?at\s?[)\]}])\s*"
_SPELLED_EMAIL = re.compile(
    rf"(?i){_LOCAL}(?:{_SPELLED_AT}[a-z0-9-]+(?:(?:{_SPELLED_DOT})[a-z0-9-]+){{0,2}}?(?:{_SPELLED_DOT})|"
    rf"\sat\s[a-z0-9-]+\sdot\s)"
    r"(?:com\s?\.\s?(?:cn|br|au|mx|tw|hk|sg)|com|net|org|edu|cn|de|fr|io|info|co\s?\.\s?(?:uk|jp|in|kr|nz|za)|uk|co)"
    r"(?![a-z0-9]|\.[a-z])"
)
_URL = re.compile(
    r"(?i)(?:(?:https?|ftp)://|(?<![a-z0-9@.-])www\.)[^\s<>\"'\u3000-\u9fff\uff00-\uffef\u201c\u201d]+"
    r"|(?<![a-z0-9@.-])(?:[a-z0-9-]+\.)+(?:com|cn|net|org|io|me|ly|gl|co|to)/[^\s<>\"'\u3000-\u9fff\uff00-\uffef]+"
)
_SHORTENERS = re.compile(
    r"(?i)(?:t\.co|bit\.ly|goo\.gl|tinyurl\.com|t\.cn|url\.cn|dwz\.cn|is\.gd|ow\.ly|buff\.ly|m\.tb\.cn)$"
)
_PROFILES = re.compile(
    r"(?i)(?:^|\.)(?:facebook|twitter|x|instagram|linkedin|tiktok|t|github|weibo|douyin|xiaohongshu|pinterest|snapchat|"
    r"venmo|paypal)\.(?:com|me)$"
)
_PERSONAL_KEY = re.compile(
    r"(?i)(?:^|[?&;#])[\w-]*(?:token|key|sig|auth|sess|sid|user|uid|mail|phone|mobile|tel|name|order|ticket|code|"
    r"pass|pwd|"
    r"account|customer|member|invoice|track|hash|secret|openid|cid|ref|id)[\w-]*="
)
_PERSONAL_STEP = re.compile(
    r"(?i)/(?:u|user|users|profile|account|accounts|member|people|in|order|orders|invoice|reset|verify|track)/."
)
_PUBLIC_STEP = re.compile(
    r"(?i)/(?:articles?|products?|items?|p|dp|gp|hc|help|support|docs?|blog|news|faq|kb|category|sku|sections?|"
    r"topics?)/"
)
_OPAQUE = re.compile(r"(?=[A-Za-z_-]*\d)[A-Za-z0-9_-]{16,}|\d{6,}|%40|@")
_VERSION = re.compile(r"(?i)(?:(?<![a-z])(?:version|firmware|release|build|ver|v)|版本|固件)\.?\s?[:：]?\s?$")
_IPV4 = re.compile(r"(?<![A-Za-z0-9_.])(?:\d{1,3}\.){3}\d{1,3}(?![A-Za-z0-9_]|\.\d)")
_IPV6 = re.compile(r"(?<![A-Za-z0-9_:.])(?:[0-9A-Fa-f]{0,4}:){2,7}[0-9A-Fa-f]{0,4}(?![A-Za-z0-9_:])")
# Addresses of one's own router and of public resolvers are answers, not traces of a person.
_COMMON_IPS = (
    "0.0.0.0 127.0.0.1 192.168.0.1 192.168.1.1 192.168.31.1 10.0.0.1 8.8.8.8 8.8.4.4 1.1.1.1 1.0.0.1 9.9.9.9 "
    "114.114.114.114 223.5.5.5 223.6.6.6 119.29.29.29 :: ::1"
)
_HANDLE = re.compile(r"(?<![A-Za-z0-9@._/])@(?:[A-Za-z0-9_]{2,30}|[\u4e00-\u9fff]{2,10}(?=[\s:：,，]|$))")
_NAMED_HANDLE = re.compile(
    r"(?i)(?:instagram|insta|twitter|telegram|snapchat|snap|tiktok|discord|skype|facebook|weibo|微博|抖音|小红书|快手|"
    r"\big|\bline|\bfb)(?:'s)?\s?(?:(?:handle|user ?name|id|account|name|号|账号|昵称|用户名)\s?(?:is|:|是|为|叫|-)"
    r"?|(?:is|:|是|为|叫|-))\s?"
    r"@?([A-Za-z0-9_][A-Za-z0-9_.#-]{2,30}[A-Za-z0-9_])"
)
_USER_NAME = re.compile(
    r"(?i)(?:user ?name|screen ?name|login|gamertag|handle|nick ?name|用户名|昵称)\s?(?:is|:|：|是|为)\s?"
    r"([A-Za-z0-9_][A-Za-z0-9_.-]{2,30})"
)
_WECHAT = re.compile(
    r"(?i)(?:微信|薇信|威信|[v微]信|we ?chat|wei ?xin|(?<![a-z])[vw]x)(?:同号|号码|号|账号| ?id| number)?\s*"
    r"(?:是|为|is|:|：|=|加我?|-|,|，)?\s*[:：]?\s*(@?[a-z][a-z0-9_-]{5,19})(?![a-z0-9_-])"
)
_WECHAT_ID = re.compile(r"(?<![A-Za-z0-9])wxid_[A-Za-z0-9]+")
_STAND_IN = re.compile(r"@?example_[0-9a-f]{6}")
_ADD_ME = re.compile(r"(?i)(?:加我?|add me(?: on)?)\s?(?:v|wx|vx)\s?[:：]?\s?([a-z][a-z0-9_-]{5,19})(?![a-z0-9_-])")
_QQ = re.compile(
    r"(?i)(?:(?<![a-z])qq|扣扣|企鹅)\s?(?:号码|群号|号|群)?(?:\s?(?:number|account|id))?\s*"
    r"(?:is|是|为|:|：|=|加|-)?\s*[:：]?\s*(\d(?:[ -]?\d){4,10})(?!\d)"
)
_NO_ACCOUNT = (
    "account accounts official payment payments support number please group groups message messages wallet mini "
    "program channel contact channels service transfer username password instead because should before cannot "
    "address handle wechat weixin "
)


def find_links(text: str) -> Iterator[Finding]:
    """Links: those that carry a person's part, a token or a long query; public pages are kept."""
    for match in _URL.finditer(text):
        url = match[0].rstrip(".,;:!?)]}。")
        kind = "url" if _is_personal(url) else KEPT
        yield Finding(match.start(), match.start() + len(url), kind, url)


def _is_personal(url: str) -> bool:
    place = re.sub(r"(?i)^[a-z]+://", "", url)
    host, _, rest = place.partition("/")
    host, _, query = host.partition("?")
    if "@" in host or re.fullmatch(r"[\d.]+(:\d+)?", host):
        return True
    path, _, asked = rest.replace("#", "?", 1).partition("?")
    query = f"?{query or asked}"
    host = host.lower()
    if _SHORTENERS.match(host) or (_PROFILES.search(host) and path.strip("/")):
        return True
    if len(query) > 40 or _PERSONAL_KEY.search(query) or _OPAQUE.search(query):
        return True
    path = f"/{path}"
    return bool(_PERSONAL_STEP.search(path) or (_OPAQUE.search(path) and not _PUBLIC_STEP.search(path)))


def find_emails(text: str) -> Iterator[Finding]:
    """Mail addresses, also with spaces at the @ and spelled with `at` and `dot`."""
    for match in _EMAIL.finditer(text):
        yield Finding(match.start(), match.end(), "email", re.sub(r"\s", "", match[0]).lower())
    for match in _SPELLED_EMAIL.finditer(text):
        value = re.sub(rf"(?i){_SPELLED_DOT}", ".", match[0])
        value = re.sub(rf"(?i){_SPELLED_AT}|\sat\s", "@", value, count=1)
        yield Finding(match.start(), match.end(), "email", re.sub(r"\s", "", value).lower())


def find_ips(text: str) -> Iterator[Finding]:
    """IP addresses of both kinds, but no version numbers."""
    for match in (*_IPV4.finditer(text), *_IPV6.finditer(text)):
        try:
            value = str(ipaddress.ip_address(match[0]))
        except ValueError:
            continue
        if ":" in value and len(match[0]) < 6:
            continue
        version = _VERSION.search(text[max(0, match.start() - 12) : match.start()])
        kept = version or value in _COMMON_IPS.split() or value.startswith("255.")
        yield Finding(match.start(), match.end(), KEPT if kept else "ip", value)


def find_accounts(text: str) -> Iterator[Finding]:
    """WeChat and QQ ids, handles on social networks and user names."""
    for match in _STAND_IN.finditer(text):
        yield Finding(match.start(), match.end(), "handle", match[0])
    for pattern in (_WECHAT_ID, _WECHAT, _ADD_ME):
        for match in pattern.finditer(text):
            value = match[match.lastindex or 0]
            if value.lower() not in _NO_ACCOUNT.split() and (not value.isalpha() or not match[0][0].isascii()):
                yield Finding(match.start(match.lastindex or 0), match.end(), "wechat", value.lower())
    for match in _QQ.finditer(text):
        yield Finding(match.start(1), match.end(1), "qq", re.sub(r"\D", "", match[1]))
    for match in _HANDLE.finditer(text):
        yield Finding(match.start(), match.end(), "handle", match[0][1:].lower())
    for pattern in (_NAMED_HANDLE, _USER_NAME):
        for match in pattern.finditer(text):
            if match[1].lower() not in _NO_ACCOUNT.split() and not re.fullmatch(
                r"\d{1,3}|[a-z]{1,3}|not|the|my", match[1]
            ):
                yield Finding(match.start(1), match.end(1), "handle", match[1].lower())
