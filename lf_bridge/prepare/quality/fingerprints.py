"""What identifies a question with its answer: hashes of their words, and a MinHash signature of their characters.

Character 4-grams and 64 permutations (Broder 1997); all in numpy, over the code points of many texts at once.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

PERMUTATIONS = 64
# The signature of what is too short to be compared by it: recall was measured from 25 characters on.
SHORT = np.uint32(0xFFFFFFFF)
_LEAST_CHARACTERS = 25
_GRAM = 4
_MOST_CHARACTERS = 4000  # of a longer question and answer the first halves of these are compared
_CHUNK = 1 << 16  # bytes at a time: what is made of them stays in the cache
_BETWEEN = "\x1f"
_GOLDEN = 0x9E3779B97F4A7C15
# Stand-ins, placeholders and links, which differ where the template is the same; and whom an answer greets.
_PLACEHOLDER = (
    r"\[[^\[\]\n]{1,24}\]|\{+[^{}\n]{1,24}\}+|<[^<>\n]{1,24}>|__[a-z_]{1,24}__|https?://\S+|[a-z0-9._%+-]+@[a-z0-9.-]+"
)
_GREETING = r"(?:^|\n)(hi|hello|hey|dear)( (mr|mrs|ms|dr)\.?)? [^\s,.!:，]{1,20}( [^\s,.!:，]{1,20})?([,!:.，])"
_CHINESE_GREETING = r"(?:^|\n)(尊敬的|亲爱的)?[^\s，。！,]{1,4}(先生|女士|小姐)"
# What one of these begins with or holds: few answers do.
_MARK = r"[\[{<@]|__|://|(?:^|\n)(?:h|dear )|先生|女士|小姐"
Hashes = npt.NDArray[np.uint64]


@dataclass(frozen=True)
class Fingerprints:
    """One row a conversation: ``exact`` (uint64) of question and answer without case and white space, ``template``
    (uint64) of the answer's letters alone, ``signature`` (uint32, 64 columns) for estimating how alike two are. Their
    ``bands`` (uint64, 16 rows: one hash a band, a column a conversation) may be at hand already."""

    exact: Hashes
    template: Hashes
    signature: npt.NDArray[np.uint32]
    bands: Hashes | None = None

    def __len__(self) -> int:
        return len(self.exact)


def fingerprint(questions: pa.Array, answers: pa.Array) -> Fingerprints:
    """Fingerprints of last customer turns with their answers, row by row."""
    made = Fingerprints(
        np.zeros(len(questions), np.uint64),
        np.zeros(len(questions), np.uint64),
        np.full((len(questions), PERMUTATIONS), SHORT, np.uint32),
    )
    size = pc.add(pc.binary_length(questions), pc.binary_length(answers)).to_numpy().astype(np.int64)
    chunks = np.cumsum(size) // _CHUNK
    columns = [_lower(questions), _lower(answers)]
    columns.append(_masked(columns[1]))  # before they are parted: an expression is compiled at each call
    for start, stop in zip(*_runs(chunks), strict=True):
        _fill(made, slice(start, stop), *(column.slice(start, stop - start) for column in columns))
    return made


def _lower(texts: pa.Array) -> pa.Array:
    ascii_only = pc.all(pc.string_is_ascii(texts)).as_py()
    return pc.ascii_lower(texts) if ascii_only else pc.utf8_lower(texts)


def mix(values: Hashes) -> Hashes:
    """splitmix64's finalizer (Steele, Lea and Flood 2014): every bit of a value decides on every bit of its hash."""
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))


def _fill(made: Fingerprints, rows: slice, questions: pa.Array, answers: pa.Array, masked: pa.Array) -> None:
    both = _Characters(pc.binary_join_element_wise(questions, answers, _BETWEEN), 1)
    made.exact[rows] = both.hash()
    letters = _Characters(masked, 2)
    made.template[rows] = np.where(letters.lengths > 0, letters.hash(), made.exact[rows])
    if both.lengths.max() > _MOST_CHARACTERS:
        questions, answers = (pc.utf8_slice_codeunits(part, 0, _MOST_CHARACTERS // 2) for part in (questions, answers))
        both = _Characters(pc.binary_join_element_wise(questions, answers, _BETWEEN), 1)
    made.signature[rows] = _signatures(both)


class _Characters:
    """The code points of many texts in one row, of the classes from ``least`` on; see ``_classes``."""

    def __init__(self, texts: pa.Array, least: int) -> None:
        lengths = pc.utf8_length(texts).to_numpy()
        if pc.all(pc.string_is_ascii(texts)).as_py():
            # One byte a character: Arrow's own buffer is what is looked for.
            offsets = np.frombuffer(texts.buffers()[1], np.int32)[texts.offset : texts.offset + len(texts) + 1]
            codes = np.frombuffer(texts.buffers()[2] or b"", np.uint8)[offsets[0] : offsets[-1]]
            kept = _classes()[:0x80][codes] >= least
        else:
            codes = np.frombuffer("".join(texts.to_pylist()).encode("utf-32-le", "surrogatepass"), np.uint32)
            kept = _classes()[np.minimum(codes, 0xFFFF)] >= least
        ends = np.cumsum(lengths)
        before = np.concatenate([[0], np.cumsum(kept)])
        self.ends = before[ends]
        self.lengths = np.diff(self.ends, prepend=0)
        self.begins = self.ends - self.lengths
        self.codes = codes[kept].astype(np.uint32)

    def hash(self) -> Hashes:
        """A 64-bit hash of each text: the sum of the hashes of its characters with their places."""
        sums = np.zeros(len(self.ends), np.uint64)
        filled = np.flatnonzero(self.lengths)
        if len(filled):
            place = (np.arange(len(self.codes)) - np.repeat(self.begins, self.lengths)).astype(np.uint64)
            mixed = mix((place << np.uint64(21)) + self.codes + np.uint64(_GOLDEN))
            sums[filled] = np.add.reduceat(mixed, self.begins[filled])
        return mix(sums + self.lengths.astype(np.uint64))


def _masked(answers: pa.Array) -> pa.Array:
    """Answers without what differs from customer to customer."""
    marked = pc.match_substring_regex(answers, _MARK)
    some = answers.filter(marked)
    for pattern in (_PLACEHOLDER, _GREETING, _CHINESE_GREETING):
        some = pc.replace_substring_regex(some, pattern, " ")
    return pc.replace_with_mask(answers, marked, some)


@cache
def _classes() -> npt.NDArray[np.uint8]:
    """For each code point of the basic plane: 0 white space or invisible, 1 digits and signs, 2 letters."""
    classes = np.ones(0x10000, np.uint8)
    for code in range(0x10000):
        category = unicodedata.category(chr(code))
        if category[0] in "ZC" and category != "Cs":
            classes[code] = 0
        elif category[0] in "LM":
            classes[code] = 2
    classes[ord(_BETWEEN)] = 1
    return classes


@cache
def _permutations() -> npt.NDArray[np.uint32]:
    """Odd factors: multiplying by one permutes the 32-bit hashes, which are well mixed already."""
    drawn = mix(np.arange(1, PERMUTATIONS + 1, dtype=np.uint64) * np.uint64(_GOLDEN))
    return (drawn >> np.uint64(32)).astype(np.uint32) | np.uint32(1)


def _signatures(texts: _Characters) -> npt.NDArray[np.uint32]:
    signature = np.full((len(texts.ends), PERMUTATIONS), SHORT, np.uint32)
    of = np.flatnonzero(texts.lengths >= _LEAST_CHARACTERS)
    if not len(of):
        return signature
    codes = texts.codes.astype(np.uint64)
    count = len(codes) - _GRAM + 1
    grams = codes[:count].copy()
    for step in range(1, _GRAM):
        grams *= np.uint64(0x100000001B3)
        grams += codes[step : step + count]
    # No gram reaches over the end of its text, nor is there one of a text that is too short.
    steps = np.zeros(count + _GRAM, np.int8)
    np.add.at(steps, texts.begins[of], 1)
    np.add.at(steps, texts.ends[of] - _GRAM + 1, -1)
    hashes = (mix(grams[np.cumsum(steps[:count]) > 0]) >> np.uint64(32)).astype(np.uint32)
    grams_each = texts.lengths[of] - _GRAM + 1
    begins = np.cumsum(grams_each) - grams_each
    least = np.empty((PERMUTATIONS, len(of)), np.uint32)
    room = np.empty_like(hashes)
    for number, factor in enumerate(_permutations()):
        np.multiply(hashes, factor, out=room)
        np.minimum.reduceat(room, begins, out=least[number])
    signature[of] = np.minimum(least.T, SHORT - np.uint32(1))
    return signature


def _runs(values: npt.NDArray[Any]) -> tuple[list[int], list[int]]:
    """Where runs of equal values begin and end."""
    if not len(values):
        return [], []
    begins = np.flatnonzero(np.concatenate([[True], values[1:] != values[:-1]]))
    return begins.tolist(), [*begins[1:].tolist(), len(values)]
