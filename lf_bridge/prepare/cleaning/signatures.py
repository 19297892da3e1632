"""What stands below a mail's words: closing, name, contact data, mobile footers, disclaimers; and banners above."""

from __future__ import annotations

import re


def _phrases(text: str) -> frozenset[str]:
    return frozenset(phrase.strip() for phrase in text.split("|"))


# Lines in small letters without marks at their ends. A closing ends a mail by itself, thanks only where a name follows.
_CLOSINGS = _phrases(
    """regards|best regards|kind regards|kindest regards|warm regards|warmest regards|with regards|
    with kind regards|with best regards|many regards|best|best wishes|all the best|cheers|sincerely|sincerely yours|
    yours sincerely|yours faithfully|yours truly|respectfully|rgds|br|thanks and regards|thanks & regards|
    thanks and best regards|thanks & best regards|thank you and regards|
    thank you and best regards|thank you & regards|
    mit freundlichen grüßen|mit freundlichen grüssen|mit freundlichen gruessen|mit freundlichem gruß|
    mit besten grüßen|mit lieben grüßen|freundliche grüße|freundliche grüsse|beste grüße|beste grüsse|liebe grüße|
    viele grüße|viele grüsse|schöne grüße|herzliche grüße|gruß|gruss|grüße|mfg|lg|vg|
    cordialement|bien cordialement|très cordialement|bien à vous|salutations|meilleures salutations|
    sincères salutations|salutations distinguées|un saludo|un cordial saludo|saludos|saludos cordiales|atentamente|
    cordialmente|cordiali saluti|distinti saluti|atenciosamente|melhores cumprimentos|com os melhores cumprimentos|
    met vriendelijke groet|met vriendelijke groeten|vriendelijke groet|hartelijke groeten|mvg|med vänlig hälsning|
    med vänliga hälsningar|vänliga hälsningar|hälsningar|bästa hälsningar|med venlig hilsen|venlig hilsen|hilsen|
    bedste hilsner|de bedste hilsner|mvh|kh|dbh|z poważaniem|z powazaniem|pozdrawiam|s pozdravem|s úctou|
    с уважением|з повагою|此致|敬礼|此致敬礼|祝好|商祺|顺祝商祺|顺颂商祺|祝生活愉快|祝您生活愉快|
    祝工作愉快|祝您工作愉快|よろしくお願いします|よろしくお願いいたします|よろしくお願い致します|
    以上、よろしくお願いします|以上、よろしくお願いいたします|
    以上、よろしくお願い致します|敬具|감사합니다|안부 전합니다"""
)
_THANKS = _phrases(
    """thanks|many thanks|best thanks|thanks a lot|thanks so much|thanks very much|thanks in advance|thanks again|
    thank you|thank you so much|thank you very much|thank you in advance|thank you again|thx|tia|dank|danke|
    danke schön|vielen dank|besten dank|vielen dank im voraus|merci|merci beaucoup|merci d'avance|gracias|
    muchas gracias|grazie|grazie mille|obrigado|obrigada|bedankt|dank u|tak|tack|dziękuję|děkuji|спасибо|谢谢|
    多谢|感谢"""
)
_MOBILES = (
    "sent from ", "sent via ", "sent with ", "sent using ", "written from ", "typed on ", "get outlook for ",
    "outlook for ", "outlook für ", "via mobile", "gesendet von ", "gesendet mit ", "von meinem ", "envoyé de ",
    "envoyé depuis ", "envoyé à partir ", "enviado desde ", "enviado do ", "enviado de ", "inviato da ",
    "verzonden vanaf ", "verzonden met ", "skickat från ", "sendt fra ", "hent outlook til ", "wysłano z ",
    "odesláno z ", "отправлено с ", "отправлено из ", "发自我的", "发自 ", "从我的", "来自我的", "來自我的",
)  # fmt: skip
_MARKS = " \t*_,.!;:~-，。！、；：～"
_NAME = re.compile(r"[\s*_/~–—-]*[A-ZÀ-ÞА-Я\u3040-\u30ff\u4e00-\u9fff\uac00-\ud7a3][^,;:!?。！？，：]*,?$")
_PARTICLE = "(?:de|van|von|der|den|da|del|la|di|le)"
_DASH_NAME = re.compile(
    rf"\s*(?:[–—~/-]|--)\s?[A-ZÀ-Þ\u4e00-\u9fff][\w.'-]*(?:\s(?:{_PARTICLE}\s)*[A-ZÀ-Þ][\w.'-]*){{0,2}}\s*$"
)
_DELIMITERS = ("--", "—", "—-", "–")
_RULE = re.compile(r"[\s*]*[-_=*—]{3,}\s*$")
_CONTACT = re.compile(
    r"@[\w-]+\.|\b(?:https?:|www\.)|\+?\(?\d[\d\s()./+-]{6,}\d|"
    r"\b(?:tel|phone|mobile|mob|fax|direct|cell|skype|e-?mail)\b|电话|手机|传真|邮箱|地址|電話"
)
# A line that says something stays, even below a closing.
_SAYS = re.compile(
    r"[?？](?:\s|$)|[\u4e00-\u9fff\u3040-\u30ff]{6,}[。！]|^\W*(?:p\.?\s?s\b|n\.?b\.|附[:：])|"
    r"\b(?:please|can|could|would|need|bitte|i|we|my)\b|请|\b(?:order|invoice|ticket|case|account|booking|reference|ref|tracking|serial|attached|attachment)\b|订单|单号|附件"
)
_DISCLAIMER = re.compile(
    r"^[ \t*_]*(?:confidentiality (?:notice|note|statement)|confidential:|(?:legal )?disclaimer\b|"
    r"(?:privileged|confidential|important) (?:notice|information)|notice:|the (?:information|contents?) |"
    r"this (?:e-?mail|message|communication|transmission)\b|diese (?:e-?mail|nachricht)|ce (?:message|courriel)|"
    r"este (?:mensaje|correo)|questo messaggio|wichtiger hinweis|(?:本|此)(?:电子)?邮件|免责声明|保密(?:声明|提示)|"
    r"重要提示[:：])",
    re.IGNORECASE | re.MULTILINE,
)
_BINDING = (
    "confidential", "privileged", "intended solely", "intended only", "intended for", "recipient", "unauthori",
    "vertraulich", "empfänger", "confidentiel", "destinataire", "confidencial", "destinatario", "riservat", "保密",
    "机密", "收件人", "接收者",
)  # fmt: skip
_BANNER = re.compile(
    r"\W*(?:caution|external|warning|attention|achtung|注意)\b[^\n]*(?:outside|external|extern|originated|外部)[^\n]*"
    r"(?:\n[^\n]+)*\n\s*\n|\[?(?:external|外部邮件)\]?:?\s*\n",
    re.IGNORECASE,
)
_LISTED = ("unsubscribe", "receiv", "reply to this email", "view it on")
_LIST = re.compile(
    r"^(?:you are receiving this (?:because|e-?mail)|reply to this email directly|to unsubscribe|unsubscribe\b|"
    r"view it on github|you received this message because)",
    re.IGNORECASE | re.MULTILINE,
)
_LONGEST, _MOST = 80, 12  # characters in a line of a signature, lines
_DEEPEST = 3  # name above a delimiter, below it a company's signature, and a mobile footer


def strip_signature(text: str) -> str:
    """A mail without its signature and footers; one that would be left without a word stays as it is."""
    banner = _BANNER.match(text)
    lines = _above_footers(text[banner.end() :] if banner else text).split("\n")
    for _ in range(_DEEPEST):
        if (cut := _cut(lines)) == len(lines):
            break
        lines = lines[:cut]
    stripped = "\n".join(lines).strip()
    return stripped if any(letter.isalnum() for letter in stripped) else text


def _above_footers(text: str) -> str:
    lowered = text.lower()
    if any(word in lowered for word in _BINDING):
        for match in _DISCLAIMER.finditer(text):
            notice = text[match.start() : match.start() + 1500].lower()
            if any(word in notice for word in _BINDING):
                return text[: match.start()].rstrip()
    if any(word in lowered for word in _LISTED):
        footer = _LIST.search(text)
        if footer and text.count("\n", footer.start()) < 8:
            return text[: footer.start()].rstrip()
    return text


def _cut(lines: list[str]) -> int:
    """The line from which the rest is signature, or the number of lines; read from below."""
    end = len(lines)
    while end and not lines[end - 1].strip():
        end -= 1
    for place in range(max(end - _MOST, 1), end):
        if lines[place].strip() == "--":  # RFC 3676, 4.3: whatever follows is the signature
            return place
    cut, count, contacts, below = end, 0, 0, ""
    last_paragraph = True
    for place in range(end - 1, -1, -1):
        line = lines[place]
        words = line.strip(_MARKS).lower()
        if not line.strip():
            # A block of contact data needs no closing above it.
            if last_paragraph and count > contacts > 1 and _NAME.match(below) and not _leads_in(lines, place):
                cut = place
            last_paragraph = False
            continue
        if len(line) > _LONGEST or count > _MOST:
            break
        if (
            _is_closing(words, line)
            or (words.startswith(_MOBILES) and not _is_sentence(line))
            or (words in _THANKS and 0 < count <= 8 and len(below.split()) < 6 and _NAME.match(below))
            or line.strip() in _DELIMITERS
            or (contacts and _RULE.match(line))
            or (place == end - 1 and _signs(lines, place))
        ):
            cut = place
        elif words and _says(line, words):
            break
        elif words:
            count += 1
            contacts += _CONTACT.search(words) is not None
        below = line
    return cut if cut < end else len(lines)


def _is_closing(words: str, line: str) -> bool:
    if words in _CLOSINGS:
        return True
    head, comma, name = words.replace("，", ",").partition(",")
    if not comma or head not in _CLOSINGS or len(name.split()) > 3:
        return False
    return _NAME.match(line.strip()[len(head) + 1 :]) is not None


def _says(line: str, words: str) -> bool:
    mark = line.rstrip()[-1:]
    return _is_sentence(line) or _SAYS.search(words + mark) is not None


def _is_sentence(line: str) -> bool:
    return line.rstrip().endswith((".", "!", "…")) and len(line.split()) > 3


def _signs(lines: list[str], place: int) -> bool:
    """Whether a last line is a name after a dash, and no item of a list."""
    listed = place and lines[place - 1].lstrip()[:1] == lines[place].lstrip()[:1]
    return not listed and _DASH_NAME.match(lines[place]) is not None


def _leads_in(lines: list[str], place: int) -> bool:
    """Whether what stands below was announced ("My address:"), or is all there is."""
    while place and not lines[place - 1].strip():
        place -= 1
    return place == 0 or lines[place - 1].rstrip()[-1:] in (":", "：")
