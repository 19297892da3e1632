"""From HTML to the text that a person would read: lines where the page has lines, and what was quoted marked."""

from __future__ import annotations

import html
import re
from typing import TYPE_CHECKING
from urllib.parse import unquote

if TYPE_CHECKING:
    from selectolax.lexbor import LexborHTMLParser, LexborNode

# Marks that stand for layout until the end. All are white space to `str.split`, so none can come from the page.
_CELL, _PARAGRAPH, _BLOCK, _ITEM = "\x1c", "\x1d", "\x1e", "\x1f"
_QUOTE, _CUT = "\x02", "\x03"
QUOTE_LINE, CUT_LINE = ">", "-----Original Message-----"

_HAS_TAG = re.compile(r"<[a-zA-Z/!?]")
_TAG = re.compile(r"<!--.*?-->|<(/?[^\s/>]+)[^>]*>", re.DOTALL)
_PRE = re.compile(r"<pre[\s>].*?</pre>", re.DOTALL)
_CELLS = re.compile(f" *{_CELL}[ {_CELL}]*")
_LONE_CELLS = re.compile(f"(?<=[{_PARAGRAPH}{_BLOCK}\n]){_CELL}|{_CELL}(?=[{_PARAGRAPH}{_BLOCK}\n]|$)|^{_CELL}")
_AFTER_ITEM = re.compile(f"{_ITEM}[ \n{_PARAGRAPH}{_BLOCK}]*")
_BREAKS = re.compile(f"[\n{_PARAGRAPH}{_BLOCK}][ \n{_PARAGRAPH}{_BLOCK}]*")
_SPACES = re.compile(" {2,}")
_PREFIX = re.compile(r"^(?:https?://)?(?:www\.)?")

_BLOCKS = (
    "address", "article", "aside", "body", "caption", "center", "dd", "div", "dl", "dt", "fieldset", "figcaption",
    "figure", "footer", "form", "header", "hr", "legend", "main", "nav", "option", "section", "summary", "table",
    "tbody", "tfoot", "thead", "tr", "ol", "ul",
)  # fmt: skip
_PARAGRAPHS = ("blockquote", "h1", "h2", "h3", "h4", "h5", "h6", "p", "pre")
_LAYOUT = {
    "br": "\n",
    "li": f"{_BLOCK}-{_ITEM}",
    "/li": _BLOCK,
    "td": _CELL,
    "th": _CELL,
    **{name: _BLOCK for tag in _BLOCKS for name in (tag, f"/{tag}")},
    **{name: _PARAGRAPH for tag in _PARAGRAPHS for name in (tag, f"/{tag}")},
}
_COMPACT = {**_LAYOUT, "p": _BLOCK, "/p": _BLOCK}  # Outlook's paragraphs are lines, an empty one is the space between
# Elements whose content is no text. The serializer does not escape it, but it always writes the end.
_SILENT_NAMES = "script|style|title|template|iframe|noembed|noframes|noscript|xmp|plaintext"
_SILENT = re.compile(f"<(?:{_SILENT_NAMES})[ >]")
_SILENT_ELEMENT = re.compile(rf"<({_SILENT_NAMES})[ >].*?</\1>", re.DOTALL)

# Where a mail program puts what was written before: a word that the page must hold, and the elements. Sources: talon
# 71d9b6e talon/html_quotations.py (Gmail, Outlook, Hotmail, Zimbra), markup of Freshdesk, Front, Proton, Tuta, Yahoo
# and Thunderbird as it stands in public repositories, and the mails of tests/fixtures/mail.
_INDENTED = 'blockquote:not([style*="border:none"]):not([style*="border: none"])'  # Gmail's indentation is own text
_QUOTES = (
    ("yahoo_quoted", '[class*="yahoo_quoted"]'),
    ("freshdesk_quote", ".freshdesk_quote"),
    ("protonmail_quote", ".protonmail_quote"),
    ("front-blockquote", ".front-blockquote"),
    ("tutanota_quote", ".tutanota_quote"),
    ("OLK_SRC_BODY_SECTION", "#OLK_SRC_BODY_SECTION"),
    ("mail-editor-reference-message-container", '[id$="mail-editor-reference-message-container"]'),
    ("moz-cite-prefix", ".moz-cite-prefix"),
    ("isReplyContent", "#isReplyContent"),
    ("origbody", "#origbody"),
    ("<blockquote", _INDENTED),
    ("<BLOCKQUOTE", _INDENTED),
)
_CUTS = (
    ("divRplyFwdMsg", '[id$="divRplyFwdMsg"]'),
    ("stopSpelling", "hr#stopSpelling"),
    ("__DIVIDER__", 'hr[data-marker="__DIVIDER__"]'),
    ("solid #B5C4DF", 'div[style*="border-top:solid #B5C4DF 1.0pt"]'),
    ("solid #E1E1E1", 'div[style*="border-top:solid #E1E1E1 1.0pt"]'),
    ("rgb(229, 229, 229)", 'div[style*="border-top-color: rgb(229, 229, 229)"]'),
)
_SIGNATURES = (
    ("gmail_signature", '.gmail_signature, [data-smartmail="gmail_signature"]'),
    ("moz-signature", ".moz-signature"),
    ("data-signatureblock", "[data-signatureblock]"),
    ("protonmail_signature", ".protonmail_signature_block"),
    ('id="Signature"', "#Signature"),
    ("ms-outlook-mobile-signature", "#ms-outlook-mobile-signature"),
    ("AppleMailSignature", "#AppleMailSignature"),
)


_LONG = 20_000
_PLAIN_TAG = re.compile(r"</?(?:p|div|span|b|i|strong|em|u)>|<br ?/?>")
_OTHER_ENTITY = re.compile(r"&(?!(?:lt|gt|amp|nbsp);)")
_NESTED = re.compile(r"<p>[^<]*(?:<(?!/?p>|/?div>)[^<]*)*<(?:p|/?div)>|</p>(?=[^<]*(?:<(?!p>)[^<]*)*</p>)")


def html_text(page: str, *, quotes: bool = False, signatures: bool = False) -> tuple[str, bool]:
    """The text of a page, and whether a signature was taken out of it.

    With ``quotes``, a block that quotes an earlier mail becomes a line `>`, and the place from which all is an earlier
    mail a line `-----Original Message-----`: `mail.strip_quotes` knows both. With ``signatures``, elements that a mail
    program marks as one are left out. Text without a tag keeps its lines; only its entities are resolved.
    """
    from selectolax.lexbor import LexborHTMLParser

    if "<" not in page or not _HAS_TAG.search(page):
        return html.unescape(page), False
    if _is_plain(page):
        return _lines(" ".join(page.replace(_QUOTE, " ").replace(_CUT, " ").split()), compact=False), False
    tree = LexborHTMLParser(page.replace(_QUOTE, " ").replace(_CUT, " "))
    signed = False
    if quotes:
        for node in _find(tree, page, _CUTS)[:1]:
            node.insert_before(_CUT)
        # What lies within a replaced element is only detached, so that to replace it too does no harm.
        for node in _find(tree, page, _QUOTES):
            node.replace_with(_QUOTE)
    if signatures:
        for node in _find(tree, page, _SIGNATURES):
            signed = signed or bool(node.text(strip=True))
            node.replace_with("")
    if "href" in page or "HREF" in page:
        _spell_links(tree)
    body = tree.body
    written = (body.html if body is not None else None) or ""
    if _SILENT.search(written):
        written = _SILENT_ELEMENT.sub("", written)
    if "<pre" in written:
        written = _PRE.sub(lambda match: match[0].replace("\n", "<br>"), written)
    return _lines(" ".join(written.split()), compact="MsoNormal" in page), signed


def _is_plain(page: str) -> bool:
    """Whether nothing in it quotes, signs, links or hides: what a parser would say of it stands there already."""
    if len(page) >= _LONG or not page.count("<") == page.count(">") == len(_PLAIN_TAG.findall(page)):
        return False
    return not (_NESTED.search(page) or ("&" in page and _OTHER_ENTITY.search(page)) or "\xa0" in page)


def _find(tree: LexborHTMLParser, page: str, known: tuple[tuple[str, str], ...]) -> list[LexborNode]:
    selectors = [selector for word, selector in known if word in page]
    return tree.css(", ".join(selectors)) if selectors else []


def _lines(written: str, compact: bool) -> str:
    pieces = _TAG.split(written)
    tags = pieces[1::2]
    layout = _COMPACT if compact else _LAYOUT
    pieces[1::2] = _numbered(tags, layout) if "ol" in tags else [layout.get(tag, "") for tag in tags]
    text = "".join(pieces)
    if "&" in text:  # the serializer writes no other entities
        text = text.replace("&nbsp;", " ").replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
    if _CELL in text:
        text = _CELLS.sub(" | ", _LONE_CELLS.sub("", _CELLS.sub(_CELL, text)))
    if _ITEM in text:
        text = _AFTER_ITEM.sub(" ", text)
    text = _BREAKS.sub(_break, text)
    text = _SPACES.sub(" ", text).replace(" \n", "\n")
    if _QUOTE in text or _CUT in text:
        text = text.replace(_QUOTE, f"\n{QUOTE_LINE}\n").replace(_CUT, f"\n{CUT_LINE}\n")
    return text.strip()


def _break(match: re.Match[str]) -> str:
    """One line end for a block's edge, an empty line for a paragraph's or for a line that holds only a `<br>`."""
    run = match[0]
    if run == _BLOCK:
        return "\n"
    run = run.replace(" ", "")
    if _PARAGRAPH in run or run.count("\n") > 1:
        return "\n\n"
    return "\n\n" if run[0] == run[-1] == _BLOCK and "\n" in run else "\n"


def _numbered(tags: list[str], layout: dict[str, str]) -> list[str]:
    counts: list[int] = []
    result = []
    for tag in tags:
        if tag in ("ol", "ul"):
            counts.append(0 if tag == "ol" else -1)
        elif tag in ("/ol", "/ul") and counts:
            counts.pop()
        if tag == "li" and counts and counts[-1] >= 0:
            counts[-1] += 1
            result.append(f"{_BLOCK}{counts[-1]}.{_ITEM}")
        else:
            result.append(layout.get(tag, ""))
    return result


def _spell_links(tree: LexborHTMLParser) -> None:
    for node in tree.css("a[href]"):
        address = node.attributes.get("href") or ""
        label = node.text(strip=True)
        scheme = address.partition(":")[0].lower()
        if not label or scheme not in ("http", "https", "mailto", "tel"):
            continue
        if scheme in ("mailto", "tel"):
            address = unquote(address.partition(":")[2].partition("?")[0])
        if _bare(address) != _bare(label):
            node.insert_after(f" ({address})")


def _bare(address: str) -> str:
    return _PREFIX.sub("", address.strip().lower()).rstrip("/")
