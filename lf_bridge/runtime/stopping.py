"""Where an answer ends: at the first of its stop texts, none of which may be shown in part."""

from __future__ import annotations

from collections.abc import Callable, Sequence


class Answering:
    """An answer's text as it grows; passed on only as far as no stop text can begin in it."""

    def __init__(self, stop: Sequence[str], on_text: Callable[[str], None] | None) -> None:
        self._stop = [text for text in stop if text]
        self._on_text = on_text
        self._sent = 0
        self.text = ""

    def write(self, whole: str) -> bool:
        """Take the whole text so far; True where it has come to a stop text."""
        ends = [at for at in (whole.find(text) for text in self._stop) if at >= 0]
        self.text = whole[: min(ends)] if ends else whole
        # A character whose bytes are not all there yet reads as U+FFFD.
        sure = len(self.text.rstrip("\ufffd"))
        if not ends:
            begun = (count for text in self._stop for count in range(1, len(text)) if whole.endswith(text[:count]))
            sure = min(sure, len(whole) - max(begun, default=0))
        self._send(sure)
        return bool(ends)

    def close(self) -> None:
        """Pass on what was held back."""
        self._send(len(self.text))

    def _send(self, upto: int) -> None:
        if self._on_text and upto > self._sent:
            self._on_text(self.text[self._sent : upto])
        self._sent = max(self._sent, upto)
