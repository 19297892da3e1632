"""One chat as text: which lines begin a message, who speaks, and when."""

from __future__ import annotations

import html
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from lf_bridge.prepare.formats.columns import AGENT, BOT, CUSTOMER, SYSTEM, role_of

_CLOCK = r"\d{1,2}:\d\d(?::\d\d)?(?:[.,]\d+)?(?:\s?[AaPp]\.?[Mm]\.?)?"
_DATE = r"(?:\d{4}[-/.]\d{1,2}[-/.]\d{1,2}|\d{1,2}[-/.]\d{1,2}[-/.]\d{2,4}|\d{4}年\d{1,2}月\d{1,2}日)"
_STAMP = rf"(?:{_DATE}(?:[ T,]+{_CLOCK}(?:Z|[+-]\d\d:?\d\d)?)?|{_CLOCK}|(?:\d+h )?(?:\d+m )?\d+s)"
_SPEAKER = r"[^\s:：\[\]<>{}|][^:：\[\]<>{}|]{0,49}?"
# `[10:02] Anna (Agent): text`, `2024-05-01 10:02:11 - Agent: text`, `( 12s ) Anna: text`, `Agent: text`
_SAID = re.compile(
    rf"^\s*(?:[\[(]\s*(?P<in>{_STAMP})\s*[\])]\s*[-–]?\s*|(?P<out>{_STAMP})\s*[-–|,]?\s+)?"
    rf"(?P<speaker>{_SPEAKER})\s*(?:[\[(]\s*(?P<after>{_STAMP})\s*[\])]\s*)?[:：](?!//|\\)\s?(?P<text>.*)$"
)
# `客服小王 2024-05-01 10:02:11`, with the words on the next lines
_HEAD = re.compile(rf"^\s*(?P<speaker>{_SPEAKER})\s+[\[(]?(?P<in>{_DATE}[ T]+{_CLOCK})[\])]?\s*[:：]?\s*$")
_EVENT = re.compile(rf"^\s*(?:[\[(]\s*{_STAMP}\s*[\])]|{_DATE}[ T]+{_CLOCK})\s*[-–]?\s*(?P<text>\S.*)$")
_RULE = re.compile(r"^\s*([-=*_#~])\1{2,}.*$")
_TITLE = re.compile(
    r"^\W*(?:(?:chat|conversation|ticket|case|session|transcript|dialogue|dialog)\b[^:：]{0,30}?"
    r"|会话|对话|工单|案例)\s*(?:id|no\.?|number|编号|号)?\s*[#:：]?\s*(?P<name>[\w-]*\d[\w-]*)\W*$",
    re.IGNORECASE,
)
_ROLE_WORDS = sorted({*CUSTOMER, *AGENT, *BOT, *SYSTEM} - {"in", "out", "lead", "contact", "up"}, key=len, reverse=True)
_CHINESE = "|".join(word for word in _ROLE_WORDS if not word.isascii())
_ENGLISH = "|".join(word.replace("_", "[ _-]") for word in _ROLE_WORDS if word.isascii())
_IN_LABEL = re.compile(rf"(?<![A-Za-z])(?:{_ENGLISH})(?![A-Za-z])|{_CHINESE}", re.IGNORECASE)
# Words of a role right before a colon, in a chat without line breaks.
_INLINE = re.compile(
    rf"(?:^|(?<=\s)|(?<=[。！？!?.]))(?P<speaker>(?:{_ENGLISH})(?: ?\d{{1,3}})?|(?:{_CHINESE}))\s*[:：]\s*",
    re.IGNORECASE,
)
_BREAK = re.compile(r"<\s*(?:br\s*/?|/p|/div|/li|/tr)\s*>", re.IGNORECASE)
_PERSON = r"[A-Z][\w.'’-]*(?: [A-Z][\w.'’-]*){0,3}|[\w\u4e00-\u9fff]{0,6}[\u4e00-\u9fff]\w{0,3}"
_NAME = re.compile(r"[A-Z][\w.'’-]*(?: [A-Z][\w.'’-]*){0,3}|[\u4e00-\u9fff]{2,4}")
# What stands behind a role word in a form field, not in a speaker (`Customer Number: 5`).
_NO_PERSON = re.compile(
    r"(?i)\b(?:number|no|id|ids|name|e-?mail|phone|address|reference|ref|code|account|type|details|info|order|notes?|"
    r"status|since|question|issue|request|feedback|hours|line|center|centre|portal|page|chat|desk)\b"
    r"|编号|姓名|电话|地址|订单|热线|号码|名称|服务|邮箱|反馈|需求|信息|资料|问题|时间|评价|备注"
)
Roles = Callable[[str], str]


@dataclass
class Turn:
    """One message: the first of its lines (from 1), the label before its colon, its stamp, its words.

    ``role`` is a name in ``ROLES``; ``event`` marks a line that a platform wrote."""

    line: int
    label: str
    stamp: str
    text: str
    role: str = "unknown"
    event: bool = False


@dataclass
class Chat:
    """The messages of one conversation, and its name where a title gives one."""

    name: str | None = None
    turns: list[Turn] = field(default_factory=list)


def label_role(label: str) -> str:
    """The role that a label names: `Agent`, `Anna (Agent)`, `Agent Anna`, `客服小王`; else ``unknown``."""
    role = role_of(label)
    if role != "unknown":
        return role
    found = {role_of(word) for word in _IN_LABEL.findall(label)}
    rest = label_name(label)
    is_person = re.fullmatch(_PERSON, rest) is not None and _NO_PERSON.search(rest) is None
    return found.pop() if len(found) == 1 and (is_person or not rest) else "unknown"


def has_date(stamp: str) -> bool:
    """Whether a stamp names a day, not only a clock."""
    return re.match(_DATE, stamp) is not None


def label_name(label: str) -> str:
    """The person in a label: `Anna` for `Anna (Agent)`, `小王` for `客服小王`; empty where there is only a role."""
    return re.sub(r"^[\W\d_]+|[\W_]+$", "", _IN_LABEL.sub("", label)).strip()


@dataclass(frozen=True)
class Style:
    """How the chats of one file are written, told from its first lines."""

    stamped: bool
    labels: frozenset[str]
    cut_at: str  # "rule", "blank" or "": what lies between conversations


def find_style(lines: Sequence[str], roles: Roles = label_role) -> Style:
    """Whether messages begin with a stamp, which labels are speakers, and what parts conversations."""
    stamped, bare = Counter[str](), Counter[str]()
    for line in lines:
        found = _match(line)
        if found is not None:
            (stamped if found[1] else bare)[found[0]] += 1
    by_stamp = 2 * stamped.total() > stamped.total() + sum(
        count for label, count in bare.items() if roles(label) != "unknown"
    )
    labels = set(stamped) if by_stamp else set()
    if not by_stamp:
        known = {
            label: count for label, count in (bare + stamped).items() if roles(label) in ("customer", "agent", "bot")
        }
        # A label far rarer than the others of its role is a word in somebody's text (`User: admin`).
        top = Counter[str]()
        for label, count in known.items():
            top[roles(label)] = max(top[roles(label)], count)
        labels = {label for label, count in known.items() if 20 * count >= top[roles(label)]}
        if labels and not {"customer", "agent"} <= {roles(label) for label in labels}:
            labels |= {label for label in bare if roles(label) == "unknown" and _NAME.fullmatch(label)}
    style = Style(by_stamp, frozenset(labels), "")
    rules = any(_RULE.match(line) or _is_title(line, style, roles) for line in lines)
    return Style(by_stamp, style.labels, "rule" if rules else "blank" if _cut_at_blanks(lines, style, roles) else "")


def read_chats(lines: Iterator[tuple[int, str]], style: Style, roles: Roles = label_role) -> Iterator[Chat]:
    """The conversations in numbered lines, in order. Lines before the first message are a heading."""
    chat, blank = Chat(), False
    for number, line in lines:
        line = line.rstrip("\r\n")
        if not line.strip():
            blank = True
            continue
        said = _begin(number, line, style, roles)
        title = None if said else _TITLE.match(line)
        if (
            (style.cut_at == "rule" and said is None and (_RULE.match(line) or title))
            or (style.cut_at == "blank" and blank and said is not None)
        ) and chat.turns:
            yield _finish(chat, roles)
            chat = Chat()
        if said is not None:
            chat.turns.append(said)
        elif title and not chat.turns:
            chat.name = title["name"] or chat.name
        elif chat.turns and not (style.cut_at == "rule" and _RULE.match(line)):
            _continue(chat.turns, number, line, blank, style)
        blank = False
    if chat.turns:
        yield _finish(chat, roles)


def read_cell(text: str, roles: Roles = label_role) -> Chat:
    """The chat in one cell: lines, HTML lines, or one line in which roles stand before colons."""
    if "<" in text:
        text = html.unescape(re.sub(r"<[^<>]{1,200}>", "", _BREAK.sub("\n", text)))
    lines = text.strip().splitlines()
    if len(lines) == 1 and len(_INLINE.findall(text)) > 1:
        begins = list(_INLINE.finditer(text))
        ends = [one.start() for one in begins[1:]] + [len(text)]
        turns = [
            Turn(1, one["speaker"], "", text[one.end() : end].strip()) for one, end in zip(begins, ends, strict=True)
        ]
        return _finish(Chat(None, turns), roles)
    style = find_style(lines, roles)
    style = Style(style.stamped, style.labels, "")
    return next(read_chats(iter(enumerate(lines, 1)), style, roles), Chat())


def _match(line: str) -> tuple[str, str, str] | None:
    """Label, stamp and text of a line that may begin a message."""
    found = _HEAD.match(line)
    if found is not None:
        return found["speaker"].strip(), found["in"], ""
    found = _SAID.match(line)
    if found is None:
        return None
    return found["speaker"].strip(), found["in"] or found["out"] or found["after"] or "", found["text"].strip()


def _begin(number: int, line: str, style: Style, roles: Roles) -> Turn | None:
    found = _match(line)
    if found is None or (style.stamped and not found[1]):
        return None
    label, stamp, text = found
    if label not in style.labels and not stamp and roles(label) not in ("customer", "agent", "bot"):
        return None
    if not style.stamped and label not in style.labels and label_name(label) == "":
        return None
    return Turn(number, label, stamp, text)


def _continue(turns: list[Turn], number: int, line: str, blank: bool, style: Style) -> None:
    event = _EVENT.match(line) if style.stamped else None
    if event is not None:
        turns.append(Turn(number, "", "", event["text"].strip(), "system", event=True))
    else:
        text = turns[-1].text
        turns[-1].text = f"{text}\n\n{line}" if blank and text else f"{text}\n{line}" if text else line


def _is_title(line: str, style: Style, roles: Roles) -> bool:
    return bool(line.strip()) and _begin(1, line, style, roles) is None and bool(_TITLE.match(line))


def _cut_at_blanks(lines: Sequence[str], style: Style, roles: Roles) -> bool:
    """Whether blank lines part conversations: not where one stands between most messages."""
    blocks, blank = [0], False
    for line in lines:
        if not line.strip():
            blank = True
            continue
        if _begin(1, line, style, roles) is not None:
            if blank and blocks[-1]:
                blocks.append(0)
            blocks[-1] += 1
        blank = False
    return len(blocks) > 1 and sorted(blocks)[len(blocks) // 2] > 1


def _finish(chat: Chat, roles: Roles) -> Chat:
    """Give every message its role. Where one speaker alone bears no role, it is the one that nobody else has."""
    for turn in chat.turns:
        if not turn.event:
            turn.role = roles(turn.label)
    known = {turn.role for turn in chat.turns} & {"customer", "agent"}
    strangers = {turn.label for turn in chat.turns if turn.role == "unknown"}
    if len(known) == 1 and len(strangers) == 1:
        other = "customer" if known == {"agent"} else "agent"
        for turn in chat.turns:
            turn.role = other if turn.role == "unknown" else turn.role
    return chat
