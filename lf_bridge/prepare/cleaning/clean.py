"""The cleaning of a column of messages. Each row by itself: the same row comes out the same in any company."""

from __future__ import annotations

import html
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from lf_bridge.prepare.cleaning.automatic import are_automatic
from lf_bridge.prepare.cleaning.characters import mend_characters
from lf_bridge.prepare.cleaning.html_text import html_text
from lf_bridge.prepare.cleaning.mail import strip_quotes
from lf_bridge.prepare.cleaning.noise import drop_noise
from lf_bridge.prepare.cleaning.signatures import strip_signature
from lf_bridge.prepare.formats.schema import KINDS, ROLES
from lf_bridge.recipe.preparing import Cleaning

Flags = npt.NDArray[np.bool_]
_HTML, _MAIL = [KINDS.index("html"), KINDS.index("email_html")], [KINDS.index("email_text"), KINDS.index("email_html")]
_MAIL_HTML, _TEXT, _AGENT = KINDS.index("email_html"), KINDS.index("text"), ROLES.index("agent")
# Exports of plain text that passed through a web page (tweets) keep its escapes; such a text holds no "<".
_ESCAPE = r"&(?:amp|lt|gt|quot|nbsp|#39|#x27|apos);"
_ESCAPES = re.compile(_ESCAPE)


@dataclass(frozen=True)
class Cleaned:
    """Texts without what is not theirs: trimmed, "" where nothing visible is left.

    ``changes`` says of each row whether a step changed it: html, quoted_reply, signature, unicode, noise.
    ``automatic`` marks mails that no person wrote. ``whole_quote`` marks mails that are nothing but a forward or a
    quote, which are left whole.
    """

    texts: pa.Array
    changes: Mapping[str, Flags]
    automatic: Flags
    whole_quote: Flags


def clean(texts: pa.Array, kinds: npt.NDArray[Any], roles: npt.NDArray[Any], settings: Cleaning) -> Cleaned:
    """Clean texts of the given kinds (indices into KINDS) by people in the given roles (indices into ROLES)."""
    raw = texts = pc.utf8_trim_whitespace(texts.fill_null(""))
    mail = np.isin(kinds, _MAIL)
    changes = {name: np.zeros(len(texts), bool) for name in ("html", "quoted_reply", "signature", "unicode", "noise")}
    automatic, whole = np.zeros(len(texts), bool), np.zeros(len(texts), bool)
    if settings.html:
        texts = _without_html(texts, kinds, settings, changes)
    if settings.unicode:
        before, texts = texts, mend_characters(texts)
        changes["unicode"] = _differ(before, texts)
    if mail.any():
        automatic, whole, texts = _without_mail(raw, texts, kinds, mail, settings, changes)
    if settings.noise:
        before, texts = texts, drop_noise(texts, pa.array(roles == _AGENT))
        changes["noise"] = _differ(before, texts)
    return Cleaned(pc.utf8_trim_whitespace(texts), changes, automatic, whole)


def _without_html(
    texts: pa.Array, kinds: npt.NDArray[Any], settings: Cleaning, changes: Mapping[str, Flags]
) -> pa.Array:
    before = texts
    marked = _flags(pc.match_substring_regex(texts, "[<&]"))
    pages = np.flatnonzero(marked & np.isin(kinds, _HTML))
    if len(pages):
        read = []
        for place, page in zip(pages.tolist(), texts.take(pa.array(pages)).to_pylist(), strict=True):
            mail = kinds[place] == _MAIL_HTML
            text, signed = html_text(
                page, quotes=mail and settings.quoted_replies, signatures=mail and settings.signatures
            )
            changes["signature"][place] = signed
            read.append(text)
        texts = _put(texts, pages, read)
    escaped = np.flatnonzero(marked & (kinds == _TEXT))
    if len(escaped):
        found = texts.take(pa.array(escaped))
        spelt = pc.and_(pc.match_substring_regex(found, _ESCAPE), pc.invert(pc.match_substring(found, "<")))
        escaped = escaped[_flags(spelt)]
        unescaped = [_ESCAPES.sub(_unescape, text) for text in texts.take(pa.array(escaped)).to_pylist()]
        texts = _put(texts, escaped, unescaped)
    changes["html"][:] = _differ(before, texts)
    return texts


def _without_mail(
    raw: pa.Array,
    texts: pa.Array,
    kinds: npt.NDArray[Any],
    mail: Flags,
    settings: Cleaning,
    changes: Mapping[str, Flags],
) -> tuple[Flags, Flags, pa.Array]:
    """Without quotes and signatures; also which mails are automatic, and which are nothing but a quote."""
    automatic, whole = np.zeros(len(texts), bool), np.zeros(len(texts), bool)
    places = np.flatnonzero(mail)
    mails = texts.take(pa.array(places))
    stripped = []
    for place, text in zip(places.tolist(), mails.to_pylist(), strict=True):
        text = text.replace("\r\n", "\n")
        if settings.quoted_replies:
            answer, whole[place] = strip_quotes(text)
            changes["quoted_reply"][place] = answer != text
            text = answer
        if settings.signatures and not whole[place]:
            unsigned = strip_signature(text)
            changes["signature"][place] |= unsigned != text
            text = unsigned
        stripped.append(text)
    texts = _put(texts, places, stripped)
    automatic[places] = _flags(are_automatic(pa.array(stripped, pa.string())))
    again = np.flatnonzero(whole & (kinds == _MAIL_HTML))
    if len(again) and settings.html:  # what stays whole is to be read whole, without the marks of quotes
        pages = pa.array([html_text(page)[0] for page in raw.take(pa.array(again)).to_pylist()], pa.string())
        texts = _put(texts, again, mend_characters(pages) if settings.unicode else pages)
    return automatic, whole, texts


def _unescape(match: re.Match[str]) -> str:
    return html.unescape(match[0])


def _put(texts: pa.Array, places: npt.NDArray[Any], values: Any) -> pa.Array:
    if not len(places):
        return texts
    mask = np.zeros(len(texts), bool)
    mask[places] = True
    return pc.replace_with_mask(texts, pa.array(mask), pa.array(values, pa.string()))


def _differ(before: pa.Array, after: pa.Array) -> Flags:
    return np.zeros(len(before), bool) if before is after else _flags(pc.not_equal(before, after))


def _flags(array: pa.Array) -> Flags:
    return np.asarray(array.to_numpy(zero_copy_only=False), bool)
