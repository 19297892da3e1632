"""A document's text in paragraphs, and paragraphs in pieces."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})")


def paragraphs(text: str, *, fences: bool) -> Iterator[str]:
    """What stands between empty lines; with ``fences``, a fenced block of code is not cut.

    Source: CommonMark 0.31.2, 4.5 Fenced code blocks.
    """
    lines: list[str] = []
    fence = ""
    for line in text.split("\n"):
        mark = _FENCE.match(line) if fences else None
        if mark and not fence:
            fence = mark[1]
        elif mark and mark[1].startswith(fence) and not line[mark.end() :].strip():
            fence = ""
        if line.strip() or fence:
            lines.append(line)
        elif lines:
            yield "\n".join(lines)
            lines = []
    if lines:
        yield "\n".join(lines).rstrip()


def gather(texts: Iterable[str], most: int) -> Iterator[str]:
    """Texts together with an empty line between them, as many as ``most`` characters hold; a longer one alone."""
    gathered = ""
    for text in texts:
        if gathered and len(gathered) + 2 + len(text) > most:
            yield gathered
            gathered = ""
        gathered = f"{gathered}\n\n{text}" if gathered else text
    if gathered:
        yield gathered


def cut(paragraph: str, most: int) -> Iterator[str]:
    """A paragraph that is too long in parts, cut at a line, a sentence or a word."""
    while len(paragraph) > most:
        ends = (paragraph.rfind(mark, most // 2, most) for mark in ("\n", ". ", "。", " "))
        end = next((place + 1 for place in ends if place > 0), most)
        yield paragraph[:end].rstrip()
        paragraph = paragraph[end:].lstrip()
    if paragraph:
        yield paragraph
