"""Draws where things went: one whole on the left, its branches in the middle, their leaves on the right, as SVG."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from html import escape

from lf_bridge.prepare.report_parts import share_of

_WIDTH, _BAR, _WHOLE = 960, 12, 240  # of the picture, of a bar, and the height of the whole; pixels
_COLUMNS = (0, 330, 660)
_LINE, _GAP = 19, 7  # height that a label needs, and what is left between two


@dataclass(frozen=True)
class Branch:
    """``count`` of the whole, and how many of those by leaf; ``kind`` names its colour in the style sheet."""

    name: str
    kind: str
    count: int
    leaves: Mapping[str, int] = field(default_factory=dict)


def draw_flow(name: str, title: str, branches: Sequence[Branch]) -> str:
    """The picture as SVG, the widths of its bands in proportion to the counts; nothing for a whole of 0."""
    branches = [branch for branch in branches if branch.count]
    whole = sum(branch.count for branch in branches)
    if not whole:
        return ""
    scale = _WHOLE / whole
    bands: list[str] = []
    labels = [_label(_COLUMNS[0], 20, name, whole, whole)]
    top = leaf_top = 30.0
    source = 30.0
    bars = [_bar(_COLUMNS[0], source, whole * scale, "whole")]
    for branch in branches:
        top = max(top, leaf_top if branch.leaves else top)
        height = branch.count * scale
        bands.append(_band(_COLUMNS[0], source, _COLUMNS[1], top, height, branch.kind))
        bars.append(_bar(_COLUMNS[1], top, height, branch.kind))
        labels.append(_label(_COLUMNS[1] + _BAR + 7, _middle(top, height), branch.name, branch.count, whole))
        leaf_source, leaf_top = top, max(leaf_top, top)
        for leaf, count in branch.leaves.items():
            size = count * scale
            bands.append(_band(_COLUMNS[1], leaf_source, _COLUMNS[2], leaf_top, size, branch.kind))
            bars.append(_bar(_COLUMNS[2], leaf_top, size, branch.kind))
            labels.append(_label(_COLUMNS[2] + _BAR + 7, _middle(leaf_top, size), leaf, count, whole))
            leaf_source += size
            leaf_top += max(size, _LINE) + _GAP
        source += height
        top += max(height, _LINE) + _GAP
    bottom = max(top, leaf_top, 30 + _WHOLE + _GAP)
    parts = "\n".join((*bands, *bars, *labels))
    return (
        f'<div class="wide" tabindex="0"><svg class="flow" viewBox="0 0 {_WIDTH} {bottom:.0f}" role="img" '
        f'aria-label="{escape(title)}">\n{parts}\n</svg></div>'
    )


def _middle(top: float, height: float) -> float:
    return top + max(height, _LINE) / 2 + 5


def _bar(left: float, top: float, height: float, kind: str) -> str:
    return f'<rect class="{kind}" x="{left}" y="{top:.1f}" width="{_BAR}" height="{max(height, 1):.1f}"/>'


def _band(left: float, start: float, right: float, end: float, height: float, kind: str) -> str:
    begin, middle, height = left + _BAR, (left + _BAR + right) / 2, max(height, 0.6)
    low_start, low_end = start + height, end + height
    return (
        f'<path class="band {kind}" d="M{begin} {start:.1f}C{middle} {start:.1f} {middle} {end:.1f} {right} {end:.1f}'
        f'V{low_end:.1f}C{middle} {low_end:.1f} {middle} {low_start:.1f} {begin} {low_start:.1f}Z"/>'
    )


def _label(left: float, baseline: float, name: str, count: int, whole: int) -> str:
    share = "" if count == whole else f' <tspan class="quiet">{share_of(count, whole)}</tspan>'
    return f'<text x="{left}" y="{baseline:.1f}">{escape(name)} <tspan class="figure">{count:,}</tspan>{share}</text>'
