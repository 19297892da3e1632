"""What people and conversations are called here: HMACs with the project's key, never their ids."""

from __future__ import annotations

from collections.abc import Callable
from hashlib import sha256
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa


def hash_ids(key: bytes, kind: str, values: pa.Array) -> pa.Array:
    """The first 8 bytes of HMAC-SHA256(key, ``kind:value``) as uint64 for each id, null for null; never 0."""
    coded = values.dictionary_encode()
    sign = _signer(key, f"{kind}:".encode())
    digests = b"".join([sign(value.encode()) for value in coded.dictionary.to_pylist()])
    hashes = np.maximum(np.frombuffer(digests, ">u8").astype(np.uint64), 1)
    return pa.array(hashes).take(coded.indices)


def _signer(key: bytes, start: bytes) -> Callable[[bytes], bytes]:
    """HMAC-SHA256 (RFC 2104) with both keyed states made once: `hmac.digest` makes them anew for each of millions."""
    padded = (key if len(key) <= 64 else sha256(key).digest()).ljust(64, b"\0")
    inner, outer = sha256(bytes(byte ^ 0x36 for byte in padded) + start), sha256(bytes(byte ^ 0x5C for byte in padded))

    def sign(value: bytes) -> bytes:
        first, second = inner.copy(), outer.copy()
        first.update(value)
        second.update(first.digest())
        return second.digest()[:8]

    return sign


def hex_names(hashes: npt.NDArray[Any]) -> pa.Array:
    """Hashes as the ledger writes them: 16 hexadecimal digits."""
    text = hashes.astype(">u8").tobytes().hex().encode()
    fixed = pa.Array.from_buffers(pa.binary(16), len(hashes), [None, pa.py_buffer(text)])
    return fixed.cast(pa.binary()).cast(pa.string())


def customer_name(key: bytes, value: str) -> str:
    """What the ledger calls a customer with this id in the export."""
    return str(hex_names(hash_ids(key, "customer", pa.array([value], pa.string())).to_numpy())[0])
