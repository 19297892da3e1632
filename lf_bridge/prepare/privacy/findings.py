"""What a recognizer says of a text, and the words around a place that tell one kind of number from another."""

from __future__ import annotations

import re
from typing import NamedTuple

# A finding of this type is no personal data: the place is known and nothing else may take it.
KEPT = ""
_REACH = 28


class Finding(NamedTuple):
    """Characters ``start`` to ``end`` hold personal data of ``type``; ``value`` is the same however it is written."""

    start: int
    end: int
    type: str
    value: str


def follows(context: re.Pattern[str], text: str, start: int, reach: int = _REACH) -> bool:
    """Whether one of the words of ``context`` stands in the last ``reach`` characters before ``start``."""
    return context.search(text, max(0, start - reach), start) is not None


def nearby(context: re.Pattern[str], text: str, start: int, end: int) -> bool:
    """Whether one of the words of ``context`` stands near, before or shortly after."""
    return follows(context, text, start, 40) or context.search(text, end, end + 12) is not None
