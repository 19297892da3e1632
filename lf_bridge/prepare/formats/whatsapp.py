"""WhatsApp: the text file that "Export chat" writes on a phone, one file a chat."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date
from functools import partial
from itertools import pairwise
from typing import TYPE_CHECKING

from lf_bridge.errors import Fault, LfbError
from lf_bridge.prepare.formats.files import Claim, Format, Options, Peek, RowFaults
from lf_bridge.prepare.formats.schema import UNREAD, Rows

if TYPE_CHECKING:
    import pyarrow as pa

_NAME = "whatsapp"
# ``\d`` is meant: phones set to Arabic or Hindi write their own digits. U+202F and U+00A0 are white space to ``\s``.
_DATE = r"(\d{1,4})[./-] ?(\d{1,2})[./-] ?(\d{1,4})\.?"
_TIME = r"(上午|下午|凌晨|早上|中午|晚上)?\s?(\d{1,2})[:.](\d{2})(?:[:.](\d{2}))?(?:\s?([AaPp])\.?\s?[Mm]\.?)?"
_STAMP = rf"{_DATE},?\s(?:à |um |klo |kl\. |a las )?{_TIME}"
_HEADER = re.compile(rf"[\u200e\u200f]*(?:\[{_STAMP}\] |{_STAMP}\s-\s)(?:([^:]{{1,80}}):(?: |$))?")
_DIRECTIONS = re.compile("[\u200e\u200f\u202a-\u202e\u2066-\u2069]|^~\\s?")
_MARK = "\u200e"  # an iPhone writes it before what nobody typed
_MEDIA = re.compile(
    r"^\u200e?(<[^<>\n]{3,60}>|[^\n]+\.\w{2,4} \((file attached|Datei angehängt|archivo adjunto|fichier joint|"
    r"arquivo anexado|file allegato|文件附件|附件)\)|null)(?:\n|$)|\u200e<[^<>\n]*\.\w{2,4}>"
)
_EDITED = re.compile(
    r"\s*\u200e?<(This message was edited|Diese Nachricht wurde bearbeitet|Se editó este mensaje|"
    r"Ce message a été modifié|Mensagem editada|Questo messaggio è stato modificato|此消息已编辑|消息已编辑)\.?>$"
)
_DELETED = re.compile(
    r"\u200e?(This message was deleted|You deleted this message|Diese Nachricht wurde gelöscht|"
    r"Du hast diese Nachricht gelöscht|Se eliminó este mensaje|Eliminaste este mensaje|Ce message a été supprimé|"
    r"Vous avez supprimé ce message|Esta mensagem foi apagada|Mensagem apagada|Você apagou esta mensagem|"
    r"Questo messaggio è stato eliminato|此消息已删除|您已删除此消息|你已删除此消息|该消息已被删除)\.?$"
)


@dataclass
class _Chat:
    """What a first look over a whole file tells: who speaks, and in which order its dates are written."""

    speakers: Counter[str] = field(default_factory=Counter)
    order: str = "dmy"
    certain: bool = True


def _claim(peeks: Sequence[Peek], options: Options) -> list[Claim]:
    files = tuple(peek for peek in peeks if options.format == _NAME or _fits(peek))
    if not files:
        return []
    chats = [_look(peek, options) for peek in files]
    agents = _agents(files, chats, options)
    unsure = [peek.label for peek, chat in zip(files, chats, strict=True) if not chat.certain]
    shown = f"{unsure[0]}{f' and {len(unsure) - 1} more' if len(unsure) > 1 else ''}" if unsure else ""
    notes = [f"{shown}: whether day or month comes first cannot be told; mapping.time_format says it"] if unsure else []
    return [Claim(_NAME, files, partial(_read, files, chats, agents), notes=tuple(notes))]


def _fits(peek: Peek) -> bool:
    """The first line is a message of WhatsApp's form, and speakers are people: a transcript names roles."""
    from lf_bridge.prepare.formats.columns import AGENT, BOT, CUSTOMER, SYSTEM

    lines = peek.lines if peek.kind in ("text", "csv") else ()
    headers = [match for match in map(_HEADER.match, lines) if match]
    speakers = {_speaker(match).lower() for match in headers} - {""}
    return bool(speakers - AGENT - BOT - CUSTOMER - SYSTEM) and _HEADER.match(lines[0]) is not None


def _speaker(match: re.Match[str]) -> str:
    """Who speaks, empty for WhatsApp itself; strangers have a tilde before the name that they chose."""
    return _DIRECTIONS.sub("", match[17] or "").strip()


def _lines(peek: Peek) -> Iterator[str]:
    with open(peek.path, encoding="utf-8", errors="replace") as file:
        for line in file:
            yield line.rstrip("\n").lstrip("\ufeff")


def _look(peek: Peek, options: Options) -> _Chat:
    chat = _Chat()
    dates: list[tuple[int, int, int]] = []
    for line in _lines(peek):
        if match := _HEADER.match(line):
            numbers = match.group(1, 2, 3) if match[1] else match.group(9, 10, 11)
            dates.append((int(numbers[0]), int(numbers[1]), int(numbers[2])))
            if speaker := _speaker(match):
                chat.speakers[speaker] += 1
    said = options.mapping.time_format if options.mapping else None
    chat.order, chat.certain = _date_order(list(dict.fromkeys(dates)), said)
    return chat


def _date_order(dates: Sequence[tuple[int, int, int]], said: str | None) -> tuple[str, bool]:
    """In which order day, month and year stand, and whether that is certain.

    Orders that give a day for all dates of the file are possible; a chat runs forward, so that of these the one with
    the fewest steps back is it, and of those the one whose chat is the shortest.
    """
    if said:
        places = {part: said.lower().find(f"%{part}") for part in "dmy"}
        return "".join(sorted("dmy", key=lambda part: places[part])), True
    ranks = {}
    for order in ("dmy", "mdy", "ymd"):
        days = [_day(numbers, order) for numbers in dates]
        known = [day for day in days if day is not None]
        back = sum(later < earlier for earlier, later in pairwise(known))
        ranks[order] = (len(days) - len(known), back, max(known) - min(known) if known else 0)
    best = min(ranks, key=lambda order: ranks[order])
    # Where both fit, the messages come in the same sequence whichever is taken.
    return best, best == "ymd" or ranks["dmy"][:2] != ranks["mdy"][:2]


def _day(numbers: tuple[int, int, int], order: str) -> int | None:
    """The ordinal of a date, or None where it is none; a year has two digits or four."""
    year, month, day = (numbers[order.index(part)] for part in "ymd")
    if not (year < 100 or 2000 <= year < 2100) or not 1 <= month <= 12:
        return None
    try:
        return date(2000 + year % 100, month, day).toordinal()
    except ValueError:
        return None


def _agents(files: Sequence[Peek], chats: Sequence[_Chat], options: Options) -> set[str]:
    from lf_bridge.prepare.formats.columns import AGENT

    every = {speaker for chat in chats for speaker in chat.speakers}
    named = set(options.mapping.agent_values) if options.mapping else set()
    if named := named or {speaker for speaker in every if speaker.lower() in AGENT}:
        return named
    occurs = Counter(speaker for chat in chats for speaker in chat.speakers).most_common(2)
    if len(chats) > 1 and occurs and (len(occurs) == 1 or occurs[0][1] > occurs[1][1]):
        return {occurs[0][0]}
    faults = [Fault(peek.label, f"{len(chat.speakers)} speakers") for peek, chat in zip(files, chats, strict=True)]
    raise LfbError(
        "a WhatsApp export does not say which of its speakers is the company",
        faults=faults[:20],
        hint="write the company's name in the chat into `agent_values` of a mapping file, and give it with --mapping",
    )


def _read(
    files: Sequence[Peek], chats: Sequence[_Chat], agents: set[str], faults: RowFaults
) -> Iterator[tuple[int, pa.RecordBatch]]:
    for index, (peek, chat) in enumerate(zip(files, chats, strict=True)):
        rows = Rows()
        # A speaker who is not in the contacts stands under a phone number, which is no name.
        names = "\n".join(sorted(speaker for speaker in chat.speakers if re.search(r"[^\W\d_]", speaker))) or None
        repeats: Counter[str] = Counter()
        for row, (match, text) in enumerate(_messages(peek), 1):
            if match is None:
                faults.add(peek.label, row, "stands before the first message")
                rows.add(row, "", "unknown", conversation=peek.label, skip="unreadable", cut_by_gap=True)
                continue
            speaker = _speaker(match)
            stamp = match[0].strip("\u200e\u200f")
            repeats[stamp] += 1
            role = "agent" if speaker in agents else "customer" if speaker else "system"
            words, skip = _words(text, bool(speaker))
            rows.add(
                row,
                words,
                role,
                conversation=peek.label,
                message_id=f"{peek.label} {stamp} {repeats[stamp]}",
                customer=speaker if role == "customer" else None,
                time=_time(match, chat.order),
                skip=skip,
                cut_by_gap=True,
                names=names,
            )
            for batch in rows.full():
                yield index, batch
        for batch in rows.rest():
            yield index, batch


def _messages(peek: Peek) -> Iterator[tuple[re.Match[str] | None, str]]:
    """Each header with the text behind it, over all its lines; no header for what stands before the first."""
    header: re.Match[str] | None = None
    text: list[str] = []
    for line in _lines(peek):
        if match := _HEADER.match(line):
            if header or any(text):
                yield header, "\n".join(text)
            header, text = match, [line[match.end() :]]
        else:
            text.append(line)
    if header or any(text):
        yield header, "\n".join(text)


def _words(text: str, spoken: bool) -> tuple[str, str | None]:
    """What was typed, and why a message is none: ``skip`` as in the schema. Media leave their caption, or nothing."""
    if not spoken:
        return text, "system_event"
    text = _EDITED.sub("", text.strip())
    if _DELETED.match(text):
        return "", "deleted"
    if _MEDIA.search(text):
        return _MEDIA.sub("", text).strip(), None
    if text.startswith(_MARK):
        return ("", None) if "\n" not in text and len(text.split()) < 4 else (text, "system_event")
    return text.replace(_MARK, ""), None


def _time(match: re.Match[str], order: str) -> int:
    """Microseconds since 1970 as the phone's clock showed them; exports name no zone."""
    first, second, third, half, hour, minute, seconds, letter = (
        match.group(*range(1, 9)) if match[1] else match.group(*range(9, 17))
    )
    day = _day((int(first), int(second), int(third)), order)
    hours, minutes = int(hour), int(minute)
    if day is None or hours > 24 or minutes > 59:
        return UNREAD
    if letter:
        hours = hours % 12 + 12 * (letter in "Pp")
    elif half:
        hours = hours if half == "中午" and hours > 10 else hours % 12 + 12 * (half in "下午中午晚上")
    days = day - date(1970, 1, 1).toordinal()
    return (((days * 24 + hours) * 60 + minutes) * 60 + int(seconds or 0)) * 1_000_000


FORMAT = Format(
    name=_NAME,
    title="WhatsApp chat export",
    needs=("lines as `[31/12/24, 23:59:59] Name: text` or `31/12/24, 23:59 - Name: text`",),
    schema="github.com/lucasrodes/whatstk: whatsapp/assets/header_format_support.json",
    claim=_claim,
)
