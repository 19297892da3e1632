"""Earlier mails quoted in a mail: one walk over its lines."""

from __future__ import annotations

import re

# Words of the first line of a quote, by language; sources: mail-parser-reply 1.36 constants.py, talon 71d9b6e
# talon/quotations.py, and the mails in tests/fixtures/mail.
_WROTE = (
    "wrote", "writes", "schrieb", "a écrit", "escribió", "escreveu", "ha scritto", "schreef", "skrev", "skrifaði",
    "kirjoitti", "napsal", "napisał", "nadesłał", "написал", "пишет", "пише", "yazdı", "đã viết", "írta", "写道",
    "写到", "寫道", "作成", "書きました", "작성", "έγραψε", "كتب",
)  # fmt: skip
_DATED = re.compile(r"\d.*(?:@|\d[:.]\d\d|\b(?:19|20)\d\d\b)|@.*\d|\d+\s*[月년]|\d{1,2}[/.-]\d{1,2}")
_OPENS = re.compile(
    r"[\s*_\"'-]*(?:On|Am|Den|Le|El|Il|Em|Op|Dnia|W dniu|Dne|Dňa|Vào|På|Pe|Στις|В|于|在|\d|"
    r"(?:mon|tue|wed|thu|fri|sat|sun|man|tir|ons|tor|fre|lør|lör|søn|sön|mån|tis|пн|вт|ср|чт|пт|сб|вс)\w*[,. ])",
    re.IGNORECASE,
)


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


# Names of header lines by language, without spaces and in small letters.
_FROM = _names(
    "from von de da od van fra från lähettäjä от від kimden remitente expéditeur absender 发件人 寄件人 寄件者 发信人 "
    "差出人 送信者 보낸사람"
)
_ABOUT = _names(
    "subject betreff objet asunto oggetto assunto temat onderwerp emne ämne aihe тема konu předmět 主题 主旨 件名 제목 "
    "sent gesendet envoyé envoyéle enviado enviadoel enviada enviadaem inviato wysłano verzonden sendt skickat "
    "lähetetty отправлено надіслано gönderilme odesláno 发送时间 发件时间 寄件日期 送信日時 보낸날짜"
)
_OTHER = _names(
    "to date cc bcc an datum à a para fecha data do aan til dato till kopia kopi kopie komu dw кому дата копия kime "
    "tarih reply-to organization 收件人 抄送 日期 时间 宛先 日時 받는사람 참조"
)
_NO_NAME = str.maketrans("", "", " \t\u3000\xa0*_>|")
_ORIGINAL = re.compile(
    r"[\s*]*[-_=]{2,}\s*(?:Original (?:Message|Appointment|Email)|Reply Message|Ursprüngliche (?:Nachricht|Mail)|"
    r"Originalnachricht|Message d'origine|Message original|Mensaje original|Mensagem original|Messaggio originale|"
    r"Oprindelig meddelelse|Oorspronkelijk bericht|Ursprungligt meddelande|Wiadomość oryginalna|Исходное сообщение|"
    r"Пересылаемое сообщение|原始邮件|原始郵件|原郵件|原邮件|回复的原邮件|元のメッセージ|원본 메시지)\s*[-_=]{2,}\s*$",
    re.IGNORECASE,
)
_FORWARD = re.compile(
    r"[\s*]*(?:[-_=]{2,}\s*(?:Forwarded (?:Message|by .*)|Weitergeleitete Nachricht|Message transféré|"
    r"Mensaje reenviado|Messaggio inoltrato|转发邮件信息|转发的邮件|轉寄郵件|転送メッセージ)\s*[-_=]{2,}|"
    r"Begin forwarded message:|Anfang der weitergeleiteten (?:Nachricht|E-Mail):|开始转发的邮件：?|"
    r"Début du message (?:transféré|réexpédié)\s*:)\s*$",
    re.IGNORECASE,
)
_REPLY_ABOVE = re.compile(
    r"\W*(?:(?:please )?(?:type|write|enter|add)?\s*your reply above this line|reply above this line|"
    r"(?:please )?do not write below this line)\W*$",
    re.IGNORECASE,
)
_RULE = re.compile(r"[\s*]*[-_=—]{5,}\s*$")
_WORD = re.compile(r"\w")
# Every quote and every earlier mail has one of these before it or in it.
_QUOTING = (":", "：", ">", "--", "__", "==", "this line", "processed by")


def strip_quotes(text: str) -> tuple[str, bool]:
    """A mail without the earlier mails it quotes, answers between them kept, and whether it is nothing but a quote.

    The text of the latter stays as it is, as does what follows a mark of forwarding: there it is the message.
    """
    lowered = text.lower()
    if not any(mark in lowered for mark in _QUOTING) and _WORD.search(text):
        return re.sub(r"\n{3,}", "\n\n", text).strip(), False
    lines = text.split("\n")
    quoted = sum(line.startswith(">") for line in lines)
    kept: list[str] = []
    place = 0
    while place < len(lines):
        line = lines[place]
        start = line.lstrip()[:1]
        if start == ">":
            end = place
            while end < len(lines) and lines[end].lstrip()[:1] in (">", ""):
                end += 1
            while not lines[end - 1].strip():
                end -= 1
            attribution = _attribution(kept, language=False)
            if quoted == 1 and attribution == len(kept) and line.strip() != ">":
                kept.append(line)  # one line alone, after nothing: an arrow or a path of menus
            else:
                del kept[attribution:]
            place = end
            continue
        if _begins_earlier(lines, place, start):
            if _has_words(kept):
                break
            if (headers := _headers(lines, place)) > place:
                kept.extend(lines[place:headers])
                place = headers
                continue
        elif start and _FORWARD.match(line):
            kept.extend(lines[place:])
            break
        kept.append(line)
        place += 1
        if line.rstrip()[-1:] in (":", "：") and not _quote_follows(lines, place):
            attribution = _attribution(kept, language=True)
            if attribution < len(kept) and _has_words(kept[:attribution]):
                del kept[attribution:]
                break
    while kept and (not kept[-1].strip() or _RULE.match(kept[-1])) and place < len(lines):
        kept.pop()
    stripped = re.sub(r"\n{3,}", "\n\n", "\n".join(kept)).strip()
    if not _WORD.search(stripped) or (quoted and _is_attribution(stripped)):
        return text, stripped != text.strip() or quoted > 0
    return stripped, False


def _begins_earlier(lines: list[str], place: int, start: str) -> bool:
    line = lines[place]
    if not start:
        return False
    if start in "-_=*#[" and (_ORIGINAL.match(line) or _REPLY_ABOVE.match(line)):
        return True
    if ":" in line or "：" in line:
        return _headers(lines, place) > place
    lowered = line.lower()
    if lowered.startswith(("original message processed by", "[original message processed by")):
        return True
    return "this line" in lowered and _REPLY_ABOVE.match(line) is not None


def _headers(lines: list[str], place: int) -> int:
    """The end of the block of mail headers that begins here, or ``place`` where there is none."""
    if not _header(lines[place]):
        return place
    sender = about = address = False
    count, end = 0, place
    while end < len(lines) and end - place < 14 and lines[end].strip():
        name = _header(lines[end])
        if not name and (end + 1 >= len(lines) or not _header(lines[end + 1])):
            break  # only a long list of receivers goes over several lines
        count += bool(name)
        sender = sender or name in _FROM
        about = about or name in _ABOUT
        address = address or "@" in lines[end]
        end += 1
    return end if sender and count > 1 and (about or (address and count > 2)) else place


def _header(line: str) -> str:
    """The name of the header that this line is, or ""."""
    head, colon, _ = line[:40].replace("：", ":").partition(":")
    name = head.translate(_NO_NAME).lower() if colon else ""
    return name if name in _FROM or name in _ABOUT or name in _OTHER else ""


def _attribution(kept: list[str], language: bool) -> int:
    """Where the line "On ... X wrote:" at the end of ``kept`` begins; it may be broken into four."""
    end = len(kept)
    while end and not kept[end - 1].strip():
        end -= 1
    if not end or kept[end - 1].rstrip()[-1:] not in (":", "："):
        return len(kept)
    joined = ""
    for start in range(end - 1, max(end - 5, -1), -1):
        if not kept[start].strip():
            break
        joined = f"{kept[start].strip()} {joined}"
        if len(joined) > 400:
            break
        if _OPENS.match(joined) and _is_attribution(joined, language):
            return start
    only = kept[end - 1]
    if not language and len(only) < 200 and (_wrote(only) or ("@" in only and _DATED.search(only))):
        return end - 1
    return len(kept)


def _is_attribution(line: str, language: bool = True) -> bool:
    if line[-1:].isspace():
        line = line.rstrip()
    if line[-1:] not in (":", "：") or len(line) > 400 or not _DATED.search(line):
        return False
    return not language or _wrote(line)


def _wrote(line: str) -> bool:
    lowered = line.lower()
    return any(word in lowered for word in _WROTE)


def _quote_follows(lines: list[str], place: int) -> bool:
    while place < len(lines) and not lines[place].strip():
        place += 1
    return place < len(lines) and lines[place].lstrip().startswith(">")


def _has_words(lines: list[str]) -> bool:
    return any(_WORD.search(line) for line in lines)
