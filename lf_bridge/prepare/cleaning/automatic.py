"""Mails that no person wrote: automatic replies and notices of a failed delivery."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

# A machine's own words say enough alone (RFC 3834 for the headers).
_AUTOMATIC = (
    r"auto-submitted:\s*auto-|x-autore(?:ply|spond)|precedence:\s*auto_reply|"
    r"\bauto(?:matic|mated)?[- ](?:reply|response|message|e-?mail)\b|\bautoresponder\b|"
    r"automatische antwort|réponse automatique|respuesta automática|"
    r"delivery status notification|undeliver(?:ed mail returned|able:)|mail delivery (?:failed|failure|subsystem)|"
    r"delivery has failed to these recipients|message could not be delivered|mailer-daemon@|"
    r"自动(?:回复|答复|回覆|应答)|此(?:邮件|郵件)(?:为|由|為)?系统自动|系统(?:退信|自动发送)|"
    r"(?:邮件|来信)(?:无法|未能)(?:投递|送达)|退信(?:通知|原因)|自動返信"
)
# A person's absence needs a second sign, for customers speak of theirs too.
_ABSENT = (
    r"out of (?:the )?office|on (?:annual |parental |maternity )?(?:leave|vacation|holiday)|"
    r"away from (?:my |the )?(?:desk|office|e-?mail)|nicht im (?:büro|haus)|absent du bureau|"
    r"休假|出差|外出|不在办公室|年假"
)
_UNTIL_BACK = (
    r"limited access|no access|(?:will|shall) (?:reply|respond|answer|get back)|in my absence|"
    r"(?:urgent|immediate)\b.*contact|contact .*(?:urgent|immediate)|upon my return|when i (?:return|am back)|"
    r"im dringenden fall|en mon absence|如有(?:急事|紧急|要事)|紧急.{0,6}联系|无法及时|"
    r"(?:尽快|回来后|返回后|回公司后|之后).{0,8}(?:回复|答复|处理|联系)"
)
_OPENING, _BEGINNING = 400, 800  # characters


def are_automatic(mails: pa.Array) -> pa.Array:
    """Which mails are automatic, by headers or phrases near their beginning; English and Chinese first."""
    opening = pc.utf8_slice_codeunits(mails, 0, _OPENING)
    beginning = pc.utf8_slice_codeunits(mails, 0, _BEGINNING)
    absent = pc.and_(_match(opening, _ABSENT), _match(beginning, _UNTIL_BACK))
    return pc.or_(_match(opening, _AUTOMATIC), absent)


def _match(texts: pa.Array, pattern: str) -> pa.Array:
    return pc.match_substring_regex(texts, f"(?is){pattern}")
