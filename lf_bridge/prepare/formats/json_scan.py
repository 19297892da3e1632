"""Where the records lie in a JSON document that does not fit into memory, or is broken in places.

Brackets are matched outside strings (RFC 8259), without building values: a document of a million nested lists costs no
more than its bytes, which an event parser that keeps the path to each value cannot promise.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import BinaryIO

MOST = 64 << 20
_CHUNK = 1 << 20
_TAIL = 64 << 10
_STRING = rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"'
_BRACKET = re.compile(rb'[^][{}"]*+(?:' + _STRING + rb'[^][{}"]*+)*+[][{}]', re.DOTALL)
_NAME = re.compile(rb"[\s,]*+(" + _STRING + rb")\s*+:\s*+", re.DOTALL)
_SPACE = re.compile(rb"[\s,]*+")
_SCALAR = re.compile(rb"[\s,]*+(?:" + _STRING + rb'|[^][{}",\s]++)', re.DOTALL)
_BETWEEN = re.compile(rb"(?:[]}]\s*+,|,[ \t\r]*+\n)\s*+(?=\{)")
_BOM = b"\xef\xbb\xbf"


class Scan:
    """A place in a JSON document, which is read as far as it is needed."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.data = file.read(_CHUNK).removeprefix(_BOM)
        self.place = 0

    def _more(self, keep: int) -> int:
        """Read on and forget what lies before ``keep``; returns how far places move down, -1 at the end."""
        rest = len(self.data) - keep
        more = self._file.read(max(_CHUNK, rest)) if rest < MOST else b""
        if not more:
            return -1
        self.data = self.data[keep:] + more
        self.place -= keep
        return keep

    def match(self, pattern: re.Pattern[bytes]) -> re.Match[bytes] | None:
        """Pass the pattern, which must stand here unless the document ends in it."""
        while (found := pattern.match(self.data, self.place)) is None or found.end() == len(self.data):
            if self._more(self.place) < 0:
                break
        if found is not None:
            self.place = found.end()
        return found

    def next_letter(self) -> bytes:
        """What stands here after spaces and commas: empty at the end."""
        self.match(_SPACE)
        return self.data[self.place : self.place + 1]

    def name(self) -> bytes | None:
        """The name of a member of an object, passed with its colon; None where there is none."""
        found = self.match(_NAME) if self.next_letter() == b'"' else None
        return found[1] if found else None

    def skip(self) -> bool:
        """Pass one value; False where the document ends in it."""
        if self.next_letter() not in (b"[", b"{"):
            return self._take_scalar() is not None
        depth = 0
        while True:
            end, depth = _follow(self.data, self.place, len(self.data), depth)
            self.place = end
            if not depth:
                return True
            if self._more(end) < 0:
                return False

    def take(self) -> bytes | None:
        """Pass one value and give its bytes; None, and no step further, where it does not end within 64 MB."""
        if self.next_letter() not in (b"[", b"{"):
            return self._take_scalar()
        start = self.place
        while (end := _end_of_value(self.data, start, len(self.data))) < 0:
            moved = self._more(start)
            if moved < 0:
                return None
            start -= moved
        self.place = end
        return self.data[start:end]

    def take_many(self) -> bytes | None:
        """Pass what may be whole objects up to the last comma between two in the next megabyte; None without one."""
        if len(self.data) - self.place < _CHUNK:
            self._more(self.place)
        end = -1
        for found in _BETWEEN.finditer(self.data, max(self.place, self.place + _CHUNK - _TAIL), self.place + _CHUNK):
            end = found.start() + 1
        if end < 0:
            return None
        start, self.place = self.place, end
        return self.data[start:end]

    def _take_scalar(self) -> bytes | None:
        found = self.match(_SCALAR) if self.next_letter() not in (b"]", b"}", b"") else None
        return found[0] if found else None

    def resume(self, is_record: Callable[[bytes], bool]) -> bool:
        """Go on behind a broken record: to the next object after a comma that ``is_record``; False where none is."""
        final = False
        while not final:
            for found in _BETWEEN.finditer(self.data, self.place):
                end = _end_of_value(self.data, found.end(), found.end() + _CHUNK)
                if end > 0 and is_record(self.data[found.end() : end]):
                    self.place = found.end()
                    return True
            # What begins in the last bytes may end in what is not read yet.
            self.place = max(len(self.data) - _CHUNK, self.place)
            final = self._more(self.place) < 0
        return False


def _end_of_value(data: bytes, place: int, stop: int) -> int:
    """The end of the list or object at ``place``, -1 where it does not end before ``stop``."""
    end, depth = _follow(data, place, stop, 0)
    return end if end > place and not depth else -1


def _follow(data: bytes, place: int, stop: int, depth: int) -> tuple[int, int]:
    """Go from bracket to bracket until none is open; where that was, and how many are open still."""
    match = _BRACKET.match
    while (found := match(data, place, stop)) is not None:
        place = found.end()
        depth += 1 if data[place - 1] in b"[{" else -1
        if not depth:
            break
    return place, depth


def enter(scan: Scan, path: tuple[str, ...], decode: Callable[[bytes], object]) -> bool:
    """Step into the list under these names; False where there is none."""
    for name in path:
        if scan.next_letter() != b"{":
            return False
        scan.place += 1
        while (found := scan.name()) is not None and decode(found) != name:
            if not scan.skip():
                return False
        if found is None:
            return False
    if scan.next_letter() != b"[":
        return False
    scan.place += 1
    return True


def members(scan: Scan) -> Iterator[bytes]:
    """The names in the object here; after each, the caller stands at its value and may pass it."""
    if scan.next_letter() == b"{":
        scan.place += 1
        while (found := scan.name()) is not None:
            yield found
