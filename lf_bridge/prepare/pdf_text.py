"""From a PDF to the text that a person would read: no headers or footers, lines of one sentence joined."""

from __future__ import annotations

import io
import logging
import re
import warnings
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

from lf_bridge.errors import LfbError

if TYPE_CHECKING:
    from pypdf import PdfReader

_EDGE = 3  # lines at the top and at the bottom of a page among which headers and footers stand
_LEAST_PAGES = 3
_NUMBER = re.compile(r"\d+")
_BROKEN = re.compile(r"([^\W\d_]+)[-\u00ad\u2010]\n([^\W\d_]+)")
_ENDS = re.compile(r"[.!?:;。！？：；…][\"'”’)\]」』）]*$")


def pdf_text(data: bytes) -> str:
    """The text of a PDF, pages in order.

    Raises ``LfbError`` whose message completes "FILE ..." for one that is encrypted, damaged or holds images only.
    """
    # Its warnings quote the file, which may be anybody's words.
    logging.getLogger("pypdf").setLevel(logging.CRITICAL)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pages = _read_pages(data)
    text = _joined(_without_edges(pages))
    if not text:
        raise LfbError("holds no text, only images", hint="recognize its text (OCR) and give the result")
    return text


def _read_pages(data: bytes) -> list[list[str]]:
    from pypdf import PdfReader

    try:
        reader = PdfReader(io.BytesIO(data))
        encrypted = reader.is_encrypted and not _opens(reader)
        if not encrypted:
            return [_lines(page.extract_text()) for page in reader.pages]
    # A damaged file fails anywhere in the parser, with any exception.
    except Exception:
        raise LfbError("is a damaged PDF", hint="open it and save it anew") from None
    raise LfbError("is encrypted", hint="save it without its password")


def _opens(reader: PdfReader) -> bool:
    """Whether it opens without a password: many files only forbid to print."""
    from pypdf.errors import DependencyError

    try:
        return bool(reader.decrypt(""))
    except (DependencyError, NotImplementedError):
        return False


def _lines(page: str) -> list[str]:
    # Glyphs without a character come as halves of surrogate pairs, which no file takes.
    whole = page.encode("utf-16", "surrogatepass").decode("utf-16", "ignore")
    return [line.rstrip() for line in whole.split("\n")]


def _without_edges(pages: Sequence[list[str]]) -> list[list[str]]:
    """The pages without lines that stand at the same edge of a third of them; digits may differ.

    A third, because left and right pages often have headers of their own.
    """
    edges: Counter[tuple[bool, str]] = Counter()
    for page in pages:
        filled = [line for line in page if line.strip()]
        edges.update({(True, _pattern(line)) for line in filled[:_EDGE]})
        edges.update({(False, _pattern(line)) for line in filled[-_EDGE:]})
    least = max(_LEAST_PAGES, len(pages) / 3)
    repeated = {edge for edge, count in edges.items() if count >= least}
    return [_trim(_trim(page, repeated, top=True), repeated, top=False) for page in pages]


def _trim(page: list[str], repeated: set[tuple[bool, str]], *, top: bool) -> list[str]:
    lines = page if top else page[::-1]
    seen, cut = 0, 0
    for place, line in enumerate(lines):
        if seen == _EDGE:
            break
        if line.strip():
            seen += 1
            if (top, _pattern(line)) in repeated:
                cut = place + 1
    lines = lines[cut:]
    return lines if top else lines[::-1]


def _pattern(line: str) -> str:
    return _NUMBER.sub("#", " ".join(line.split()))


def _joined(pages: Sequence[list[str]]) -> str:
    """One text: a page begins a paragraph where the page before ends a sentence."""
    text = ""
    for page in pages:
        body = "\n".join(page).strip()
        if body:
            text += ("\n\n" if _ENDS.search(text) else "\n") + body
    text = text.strip()
    words = Counter(re.findall(r"[^\W\d_]+(?:-[^\W\d_]+)*", text.lower()))

    def mend(match: re.Match[str]) -> str:
        """A word is spelt as it is elsewhere; one that stands nowhere else was cut by the line's end."""
        one, other = match.groups()
        compound = not other[0].islower() or (
            words[f"{one}-{other}".lower()] > 0 and words[f"{one}{other}".lower()] == 0
        )
        return f"{one}-{other}" if compound else f"{one}{other}"

    return re.sub(r"(?<![.!?:;|])\n(?=[a-zß-öø-ÿ])", " ", _BROKEN.sub(mend, text))
