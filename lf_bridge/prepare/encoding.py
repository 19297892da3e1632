"""Text in whatever encoding becomes UTF-8: UTF-16 by its mark, then UTF-8, then what the other lines look like."""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import BinaryIO

from lf_bridge.errors import LfbError

_CHUNK = 1 << 20
_LINE = 8 << 20
_SAMPLE = 256 << 10
_MARKS = {
    codecs.BOM_UTF32_LE: "utf-32", codecs.BOM_UTF32_BE: "utf-32", codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}  # fmt: skip
# The characters that run most often through Chinese support chats; Chinese text of any length holds some of them.
_FREQUENT = frozenset(
    "的一是不了我你您好有在这个人们到要可以会么吗请问没为发货单订退款客服么呢吧就都也还和上下来去说看时间天号"
    "，。？！：、元钱买家收快递地址电话谢谢已经能多少什怎样商品"
)
# What else the rest of the world has written; asked of charset-normalizer where neither Chinese nor Western fits.
_OTHERS = ["big5", "cp932", "euc_jp", "cp949", "cp1251", "koi8_r", "cp1250", "cp1253", "cp1255", "cp1256"]
_SHOWN = {"gb18030": "GB18030"}


@dataclass
class _Lines:
    """What the lines of one file are; ``sample`` holds lines that are not UTF-8, ``first`` the number of the first."""

    good: int = 0
    bad: int = 0
    first: int = 0
    mended: int = 0
    first_mended: int = 0
    zeros: int = 0
    first_zero: int = 0
    sample: bytes = b""


def is_plain(path: Path) -> bool:
    """Whether a file is UTF-8 without NUL bytes, and can be read where it lies."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    with open(path, "rb") as file:
        while chunk := file.read(_CHUNK):
            try:
                decoder.decode(chunk)
            except UnicodeDecodeError:
                return False
            if b"\0" in chunk:
                return False
    return not decoder.getstate()[0]


def transcode(path: Path, label: str, output: BinaryIO) -> list[str]:
    """Write a file as UTF-8 and say what was assumed and what was lost, with the first line of each.

    A file that is partly UTF-8 is read line by line. Raises ``LfbError`` for text in no encoding that is known.
    """
    with open(path, "rb") as file:
        head = file.read(_SAMPLE)
    encoding = _wide_encoding(head)
    if encoding:
        with open(path, encoding=encoding, errors="replace", newline="") as text:
            while letters := text.read(_CHUNK):
                output.write(letters.replace("\0", "").encode("utf-8", "replace"))
        return []
    found = _survey(path)
    second, notes = "utf-8", []
    whole = found.bad > 10 * (found.good + found.mended)
    if found.bad:
        second = _second_encoding(found.sample, label)
        name = _SHOWN.get(second, second)
        notes.append(
            f"{label} is not UTF-8: read as {name}"
            if whole
            else f"{label}: {found.bad} lines are not UTF-8: read as {name} (the first is line {found.first})"
        )
    if found.mended and not whole:
        notes.append(
            f"{label}: {found.mended} lines hold broken characters, which are lost (the first is line "
            f"{found.first_mended})"
        )
    if found.zeros:
        notes.append(f"{label}: {found.zeros} NUL bytes were removed (the first is in line {found.first_zero})")
    with open(path, "rb") as file:
        for line in _lines(file):
            text_line = None if whole else _as_utf8(line)
            if text_line is None:
                text_line = line.decode(second, "replace")
            output.write(text_line.encode("utf-8", "replace"))
    return notes


def _survey(path: Path) -> _Lines:
    found = _Lines()
    with open(path, "rb") as file:
        for number, raw in enumerate(iter(partial(file.readline, _LINE), b""), 1):
            line = raw.replace(b"\0", b"")
            if len(line) < len(raw):
                found.first_zero = found.first_zero or number
                found.zeros += len(raw) - len(line)
            if line.isascii():
                continue
            text = _as_utf8(line)
            if text is None:
                found.bad += 1
                found.first = found.first or number
                if len(found.sample) < _SAMPLE:
                    found.sample += line[:_SAMPLE]
            elif "\ufffd" in text and "\ufffd".encode() not in line:
                found.mended += 1
                found.first_mended = found.first_mended or number
            else:
                found.good += 1
    return found


def _lines(file: BinaryIO) -> Iterator[bytes]:
    return (line.replace(b"\0", b"") for line in iter(partial(file.readline, _LINE), b""))


def _as_utf8(line: bytes) -> str | None:
    """The line where it is UTF-8, or mostly: pairs of surrogates (CESU-8) are joined, a character that a length limit
    cut becomes U+FFFD; None where more of it is broken than whole."""
    try:
        return line.decode()
    except UnicodeDecodeError:
        pass
    try:
        joined = line.decode("utf-8", "surrogatepass").encode("utf-16", "surrogatepass")
        return joined.decode("utf-16", "replace")
    except UnicodeDecodeError:
        pass
    text = line.decode("utf-8", "replace")
    lost = text.count("\ufffd")
    return text if sum(letter > "\x7f" for letter in text) > 2 * lost else None


def _second_encoding(sample: bytes, label: str) -> str:
    if _reads_as_chinese(sample):
        return "gb18030"
    high = sum(byte > 0x7F for byte in sample)
    letters = sum(byte < 0x80 and chr(byte).isalpha() for byte in sample)
    # European words are mostly ASCII letters; in other scripts nearly every letter is a high byte.
    if 2 * high <= letters:
        return "cp1252"
    from charset_normalizer import from_bytes

    best = from_bytes(sample, cp_isolation=_OTHERS).best()
    if best is None:
        raise LfbError(
            f"{label} is text in no encoding that is known", hint="save it as UTF-8, for example with `iconv -t UTF-8`"
        )
    return str(best.encoding)


def _reads_as_chinese(sample: bytes) -> bool:
    """Whether most characters are of the first level of GB 2312 (its 3,755 in common use) and, in a longer text, some
    of the most frequent ones are among them, which tells it from Korean in the same rows of the code table."""
    letters = [letter for letter in sample.decode("gb18030", "replace") if letter > "\x7f"]
    rows = [letter.encode("gb2312", "ignore")[:1] for letter in letters]
    common = sum(0xA1 <= row[0] <= 0xA3 or 0xB0 <= row[0] <= 0xD7 for row in rows if row)
    if not letters or common < 0.7 * len(letters):
        return False
    return len(letters) < 100 or sum(letter in _FREQUENT for letter in letters) > 0.08 * len(letters)


def is_wide(head: bytes) -> bool:
    """Whether a file begins like UTF-16 or UTF-32."""
    return _wide_encoding(head) is not None


def _wide_encoding(head: bytes) -> str | None:
    marked = next((name for mark, name in _MARKS.items() if head.startswith(mark)), None)
    even, odd = head[0::2].count(0), head[1::2].count(0)
    # Without its mark: mostly Latin text has a NUL in every other byte.
    if marked or 3 * max(even, odd) < len(head) or 20 * min(even, odd) > max(even, odd):
        return marked
    return "utf-16-le" if odd > even else "utf-16-be"
