"""The parts that a dataset's report is made of, as HTML: sections, tables, bars beside their numbers, lists."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any

Cell = str | int | float


def section(title: str, *content: str) -> str:
    """A section with its heading; ``content`` is HTML."""
    return f"<section>\n<h2>{escape(title)}</h2>\n" + "\n".join(content) + "\n</section>"


def bullets(title: str, sentences: Iterable[str]) -> str:
    """A section with one item a sentence, words in backticks as code; nothing where there are none."""
    items = "".join(f"<li>{_with_code(sentence)}</li>\n" for sentence in sentences)
    return section(title, f"<ul>\n{items}</ul>") if items else ""


def table(
    caption: str, heads: Sequence[str], rows: Iterable[Sequence[Cell]], total: Sequence[Cell] | None = None
) -> str:
    """A table; the first cell of a row is its heading, columns of numbers stand to the right."""
    rows = list(rows)
    figures = [_is_figure(cell) for cell in (rows[0] if rows else heads)]
    head = "".join(
        f'<th scope="col"{_side(figure)}>{escape(name)}</th>' for name, figure in zip(heads, figures, strict=True)
    )
    body = "\n".join(_row(row) for row in rows)
    foot = f"<tfoot>{_row(total)}</tfoot>" if total else ""
    return (
        f'<div class="wide"><table><caption>{escape(caption)}</caption>\n<thead><tr>{head}</tr></thead>\n'
        f"<tbody>{body}</tbody>{foot}</table></div>"
    )


def bars(caption: str, head: str, counts: Mapping[Any, int], names: Mapping[Any, str], *, shares: bool = True) -> str:
    """A table of counts with a bar for each, the longest for the largest; ``names`` says what its rows are called."""
    most, whole = max(counts.values(), default=0), sum(counts.values())
    rows = []
    for key, count in counts.items():
        share = f'<td class="number">{share_of(count, whole)}</td>' if shares else ""
        rows.append(
            f'<tr><th scope="row">{escape(names.get(key, str(key)))}</th><td class="number">{count:,}</td>{share}'
            f'<td class="bar" aria-hidden="true"><span style="width:{100 * count / most:.1f}%"></span></td></tr>'
        )
    share_head = '<th scope="col" class="number">share</th>' if shares else ""
    return (
        f'<table><caption>{escape(caption)}</caption>\n<thead><tr><th scope="col">{escape(head)}</th>'
        f'<th scope="col" class="number">count</th>{share_head}<td aria-hidden="true"></td></tr></thead>\n<tbody>'
        + "\n".join(rows)
        + "</tbody></table>"
    )


def share_of(count: int, whole: int) -> str:
    """A share in per cent; what is neither none nor all never reads as 0% or 100%."""
    share = 100 * count / whole if whole else 0.0
    if 0 < share < 0.1:
        return "under 0.1%"
    return "over 99.9%" if 99.9 < share < 100 else f"{share:.1f}%"


def _row(cells: Sequence[Cell]) -> str:
    first, *others = cells
    rest = "".join(f"<td{_side(_is_figure(cell))}>{_shown(cell)}</td>" for cell in others)
    return f'<tr><th scope="row">{_shown(first)}</th>{rest}</tr>'


def _shown(cell: Cell) -> str:
    if isinstance(cell, str):
        return _with_code(cell)
    return f"{cell:,.2f}" if isinstance(cell, float) else f"{cell:,}"


def _is_figure(cell: Cell) -> bool:
    return not isinstance(cell, str) or cell.endswith("%")


def _side(figure: bool) -> str:
    return ' class="number"' if figure else ""


def _with_code(text: str) -> str:
    return re.sub(r"`([^`]*)`", r"<code>\1</code>", escape(text))
