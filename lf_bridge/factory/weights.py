"""Looking into a safetensors file without torch: are there weights, are they finite, are they all zero?"""

from __future__ import annotations

import json
from pathlib import Path

from lf_bridge.errors import Fault, LfbError

# safetensors: 8 bytes header length (little endian), a JSON header, then the tensors' bytes.
# https://github.com/huggingface/safetensors#format
_EXPONENT = {"BF16": (2, 0x7F80), "F16": (2, 0x7C00), "F32": (4, 0x7F800000), "F64": (8, 0x7FF0000000000000)}


def check_weights(folder: Path, *, adapter: bool) -> int:
    """Check every tensor of a result folder and return how many there are.

    Raises ``LfbError`` naming the tensors that are not finite, and for an adapter those of the side that begins at zero
    (``lora_B``) where all of them still are: such an adapter learned nothing.
    """
    names = sorted(folder.glob("adapter_model*.safetensors" if adapter else "model*.safetensors"))
    what = "adapter" if adapter else "model"
    if not names:
        raise LfbError(
            f"training ended without {'an' if adapter else 'a'} {what} file in {folder}",
            hint="read train.log in that run, then run the same command again",
        )
    count, learned, broken = 0, False, []
    for path in names:
        for name, dtype, start, end in _tensors(path):
            finite, zero = _examine(path, dtype, start, end)
            count += 1
            learned = learned or not (zero or (adapter and "lora_A" in name))
            if not finite:
                broken.append(Fault(name, "holds values that are not finite"))
    if broken:
        raise LfbError(
            f"{len(broken)} of {count} tensors of the {what} are broken",
            faults=broken[:5],
            hint="lower `train.learning_rate`, or set `compute.precision: fp32`",
        )
    if not learned:
        raise LfbError(
            f"the {what} learned nothing: every trained tensor is zero",
            hint="raise `train.learning_rate` or `train.epochs`; a run needs at least a few dozen steps",
        )
    return count


def _tensors(path: Path) -> list[tuple[str, str, int, int]]:
    try:
        with open(path, "rb") as file:
            length = int.from_bytes(file.read(8), "little")
            if length > path.stat().st_size:
                raise ValueError
            header = json.loads(file.read(length))
    except ValueError as error:
        raise LfbError(f"{path} is damaged", hint="run the same command again") from error
    header.pop("__metadata__", None)
    base = 8 + length
    return [
        (name, entry["dtype"], base + entry["data_offsets"][0], base + entry["data_offsets"][1])
        for name, entry in header.items()
    ]


def _examine(path: Path, dtype: str, start: int, end: int) -> tuple[bool, bool]:
    import numpy

    if dtype not in _EXPONENT:
        return True, False
    width, exponent = _EXPONENT[dtype]
    bits = numpy.memmap(path, mode="r", dtype=f"<u{width}", offset=start, shape=((end - start) // width,))
    finite, zero = True, True
    for begin in range(0, len(bits), 1 << 24):
        part = bits[begin : begin + (1 << 24)]
        finite = finite and not bool(((part & exponent) == exponent).any())
        zero = zero and not bool((part << 1).any())
    return finite, zero
