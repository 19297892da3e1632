"""What a GGUF file says of itself, read without its weights; and a copy of one without its chat template.

Read here rather than with the ``gguf`` package: that one is not part of the core install and holds every token of a
vocabulary as an object. Layout: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
"""

from __future__ import annotations

import mmap
import os
import shutil
import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from lf_bridge.errors import LfbError

T = TypeVar("T")
_STRING, _ARRAY = 8, 9
_SCALARS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
_FILE_TYPES = {
    0: "F32", 1: "F16", 2: "Q4_0", 3: "Q4_1", 7: "Q8_0", 8: "Q5_0", 9: "Q5_1", 10: "Q2_K", 11: "Q3_K_S", 12: "Q3_K_M",
    13: "Q3_K_L", 14: "Q4_K_S", 15: "Q4_K_M", 16: "Q5_K_S", 17: "Q5_K_M", 18: "Q6_K", 32: "BF16",
}  # fmt: skip
# Weights in a block and its bytes, by tensor type.
_BLOCKS = {
    0: (1, 4), 1: (1, 2), 2: (32, 18), 3: (32, 20), 6: (32, 22), 7: (32, 24), 8: (32, 34), 10: (256, 84),
    11: (256, 110), 12: (256, 144), 13: (256, 176), 14: (256, 210), 30: (1, 2),
}  # fmt: skip


@dataclass(frozen=True)
class GgufMetadata:
    """The header of a GGUF file.

    ``file_type`` is the quantization as llama.cpp names it; ``rope_base`` is 0 and ``add_bos`` None where the file
    does not state them; ``bos_token`` and ``eos_token`` are their texts, empty where there are none; ``tensors`` and
    ``parameters`` are counts.
    """

    architecture: str
    name: str
    file_type: str
    context_length: int
    rope_base: float
    add_bos: bool | None
    bos_token: str
    eos_token: str
    pre_tokenizer: str
    has_chat_template: bool
    vocabulary_size: int
    tensors: int
    parameters: int


def read_metadata(path: Path) -> GgufMetadata:
    """Read a GGUF file's header; raises ``LfbError`` for a file that is none, or that is cut short."""
    return _open(path, _metadata)


def without_chat_template(path: Path, target: Path) -> None:
    """Copy a GGUF file without the chat template in it; ``target`` appears whole or not at all."""
    start, end, header = _open(path, _header_without_template)
    temporary = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    try:
        with open(path, "rb") as source, open(temporary, "wb") as copy:
            copy.write(header)
            source.seek(start)
            shutil.copyfileobj(source, copy, 1 << 24)
            if source.tell() < end:
                raise _cut_short(path)
            copy.flush()
            os.fsync(copy.fileno())
        os.replace(temporary, target)
    finally:
        temporary.unlink(missing_ok=True)


class _Header:
    """The parsed header; ``spans`` are the bytes that each key takes, ``arrays`` (first byte, length) by key."""

    def __init__(self, data: mmap.mmap) -> None:
        self.data = data
        self.position = 4
        self.values: dict[str, Any] = {}
        self.arrays: dict[str, tuple[int, int]] = {}
        self.spans: dict[str, tuple[int, int]] = {}
        self.version = self.number("I")
        if self.version not in (2, 3):
            raise _DamagedError
        self.tensor_count, keys = self.number("Q"), self.number("Q")
        for _ in range(keys):
            begin = self.position
            key = self.text()
            self.values[key] = self._value(key, self.number("I"))
            self.spans[key] = (begin, self.position)
        self.tensors_start = self.position
        self.parameters, needed = 0, 0
        for _ in range(self.tensor_count):
            self.skip(self.number("Q"))
            dimensions, weights = self.number("I"), 1
            if dimensions > 4:
                raise _DamagedError
            for _ in range(dimensions):
                weights *= self.number("Q")
            block, size = _BLOCKS.get(self.number("I"), (1, 0))
            self.parameters += weights
            needed = max(needed, self.number("Q") + weights // block * size)
        self.tensors_end = self.position
        self.data_start = self.aligned(self.position)
        self.data_end = self.data_start + needed
        if self.data_end > len(data):
            raise _DamagedError

    def aligned(self, position: int) -> int:
        alignment = self.values.get("general.alignment", 32)
        if not isinstance(alignment, int) or alignment < 1:
            raise _DamagedError
        return -(-position // alignment) * alignment

    def number(self, code: str) -> Any:
        begin = self.position
        self.skip(struct.calcsize(f"<{code}"))
        return struct.unpack_from(f"<{code}", self.data, begin)[0]

    def text(self) -> str:
        length = self.number("Q")
        self.skip(length)
        return self.data[self.position - length : self.position].decode("utf-8", "replace")

    def skip(self, count: int) -> None:
        self.position += count
        if self.position > len(self.data):
            raise _DamagedError

    def item(self, key: str, index: int) -> str:
        """One text of an array of texts, found by walking to it."""
        self.position, length = self.arrays[key]
        if index >= length:
            return ""
        for _ in range(index):
            self.skip(self.number("Q"))
        return self.text()

    def _value(self, key: str, kind: int) -> Any:
        if kind == _STRING:
            return self.text()
        if kind in _SCALARS:
            return self.number(_SCALARS[kind])
        if kind != _ARRAY:
            raise _DamagedError
        kind, length = self.number("I"), self.number("Q")
        self.arrays[key] = (self.position, length)
        if kind == _STRING:
            for _ in range(length):
                self.skip(self.number("Q"))
        elif kind in _SCALARS:
            self.skip(struct.calcsize(f"<{_SCALARS[kind]}") * length)
        else:
            raise _DamagedError
        return None


class _DamagedError(Exception):
    """The bytes end too early, or are no header."""


def _open(path: Path, read: Callable[[_Header], T]) -> T:
    try:
        with open(path, "rb") as file:
            if file.read(4) != b"GGUF":
                raise LfbError(
                    f"{path} is not a GGUF file", hint="`lfb publish` takes a run, or a `.gguf` file of llama.cpp"
                )
            with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
                return read(_Header(data))
    except OSError as error:
        raise LfbError(f"cannot read {path}: {error.strerror}", hint="check the path") from error
    except _DamagedError:
        raise _cut_short(path) from None


def _cut_short(path: Path) -> LfbError:
    return LfbError(f"{path} is damaged or cut short", hint="make, copy or download the file again")


def _metadata(header: _Header) -> GgufMetadata:
    values = header.values
    architecture = str(values.get("general.architecture", ""))
    tokens = "tokenizer.ggml.tokens"

    def token(name: str) -> str:
        index = values.get(f"tokenizer.ggml.{name}_token_id")
        return header.item(tokens, index) if isinstance(index, int) and tokens in header.arrays else ""

    file_type = values.get("general.file_type")
    return GgufMetadata(
        architecture=architecture,
        name=str(values.get("general.name", "")),
        file_type=_FILE_TYPES.get(file_type, f"type {file_type}") if isinstance(file_type, int) else "",
        context_length=int(values.get(f"{architecture}.context_length") or 0),
        rope_base=float(values.get(f"{architecture}.rope.freq_base") or 0),
        add_bos=values.get("tokenizer.ggml.add_bos_token"),
        bos_token=token("bos"),
        eos_token=token("eos"),
        pre_tokenizer=str(values.get("tokenizer.ggml.pre", "")),
        has_chat_template=any(key.startswith("tokenizer.chat_template") for key in values),
        vocabulary_size=header.arrays.get(tokens, (0, 0))[1],
        tensors=header.tensor_count,
        parameters=header.parameters,
    )


def _header_without_template(header: _Header) -> tuple[int, int, bytes]:
    """Where the weights begin and end, and the new header up to them; tensor offsets count from there, and stay."""
    kept = [header.data[a:b] for key, (a, b) in header.spans.items() if not key.startswith("tokenizer.chat_template")]
    start = b"GGUF" + struct.pack("<IQQ", header.version, header.tensor_count, len(kept))
    body = start + b"".join(kept) + header.data[header.tensors_start : header.tensors_end]
    return header.data_start, header.data_end, body.ljust(header.aligned(len(body)), b"\0")
