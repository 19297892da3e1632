"""The language of a conversation, told by its scripts and, in Latin script, by its commonest words.

Measured on short real messages, the share of scripts alone tells Chinese from English at .99 and more.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from lf_bridge.prepare.quality.words import COMMON

# First and last code point of each script, and the language that a text mostly in it is taken for.
_SCRIPTS = (
    (0x41, 0x24F, ""), (0x400, 0x52F, "ru"), (0x370, 0x3FF, "el"), (0x590, 0x5FF, "he"), (0x600, 0x77F, "ar"),
    (0x900, 0x97F, "hi"), (0xE00, 0xE7F, "th"), (0x3400, 0x9FFF, "zh"), (0x3041, 0x30FF, "ja"), (0xAC00, 0xD7A3, "ko"),
)  # fmt: skip
_CHARACTERS = 200
_CHUNK = 10_000  # conversations at a time: each takes about 8 kB
# A Chinese message holds Latin names and links; an English one holds no Chinese.
_WEIGHT = {"zh": 3.0, "ja": 3.0, "ko": 3.0}


def languages(texts: pa.Array, starts: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """The language of each conversation (ISO 639-1, ``""`` where it cannot be told), from the first
    200 characters of its first two turns. ``texts`` are turns, ``starts`` the first turn of each conversation."""
    told = np.full(len(starts), "", "U2")
    for first in range(0, len(starts), _CHUNK):
        some = starts[first : first + _CHUNK]
        rows = np.column_stack([some, np.minimum(some + 1, len(texts) - 1)]).ravel()
        cut = pc.utf8_slice_codeunits(texts.take(pa.array(rows)), 0, _CHARACTERS)
        offsets = pa.array(np.arange(0, len(rows) + 1, 2), pa.int32())
        told[first : first + _CHUNK] = _tell(pc.binary_join(pa.ListArray.from_arrays(offsets, cut), " "))
    return told


def _tell(samples: pa.Array) -> npt.NDArray[Any]:
    counts = np.zeros((len(samples), len(_SCRIPTS)), np.int64)
    counts[:, 0] = 1
    foreign = np.flatnonzero(~pc.string_is_ascii(samples).to_numpy(zero_copy_only=False))
    counts[foreign] = _count_scripts(samples.take(pa.array(foreign)))
    names = np.array([language for _, _, language in _SCRIPTS])
    weights = np.array([_WEIGHT.get(language, 1.0) for language in names])
    # Japanese is written with Chinese characters too; Chinese has no kana.
    kana, chinese = names.tolist().index("ja"), names.tolist().index("zh")
    japanese = counts[:, kana] > 0.1 * counts[:, chinese]
    counts[japanese, kana] += counts[japanese, chinese]
    counts[japanese, chinese] = 0
    told: npt.NDArray[Any] = names[np.argmax(counts * weights, axis=1)]
    latin = np.flatnonzero((told == "") & (counts[:, 0] > 0))
    told[latin] = _by_words(samples.take(pa.array(latin)))
    return told


def _count_scripts(samples: pa.Array) -> npt.NDArray[Any]:
    """Letters of each script in each sample."""
    table = np.zeros(0x10000, np.uint8)
    for number, (first, last, _) in enumerate(_SCRIPTS, 1):
        table[first : last + 1] = number
    table[0x5B:0x61] = table[0x7B:0xC0] = 0
    codes = np.frombuffer("".join(samples.to_pylist()).encode("utf-32-le", "surrogatepass"), np.uint32)
    script = table[np.minimum(codes, 0xFFFF)].astype(np.int64)
    owner = np.repeat(np.arange(len(samples)), pc.utf8_length(samples).to_numpy())
    width = len(_SCRIPTS) + 1
    counts = np.bincount(owner * width + script, minlength=len(samples) * width).reshape(-1, width)
    return counts[:, 1:]


def _by_words(samples: pa.Array) -> npt.NDArray[Any]:
    lower = pc.utf8_lower(samples)
    counts = np.zeros((len(COMMON), len(samples)), np.int64)
    unsure = np.arange(len(samples))
    for number, common in enumerate(COMMON.values()):
        # RE2's \b knows ASCII only, and "für" ends in it all the same.
        pattern = rf"(?:^|[^\p{{L}}])(?:{'|'.join(common.split())})\b"
        counts[number, unsure] = pc.count_substring_regex(lower.take(pa.array(unsure)), pattern).to_numpy()
        unsure = unsure[counts[0, unsure] < 4]  # English comes first, and four of its words settle it
    best = counts.argmax(axis=0)
    return np.where(counts.max(axis=0) > 0, np.array(list(COMMON))[best], "")
