"""Safetensors files: memory-mapped reading in every float type, and atomic writing.

The format is an 8-byte little-endian header length, a JSON header, and the tensors' bytes. NumPy
has no bfloat16, so such a tensor is read as its bits (uint16).
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import ArgumentError, FormatError

__all__ = ["BFLOAT16", "SafetensorsFile", "float32_of_bfloat16", "write_safetensors"]

#: How the bits of bfloat16 numbers arrive in NumPy.
BFLOAT16 = np.dtype("<u2")

_DTYPES: dict[str, np.dtype[Any]] = {
    "F64": np.dtype("<f8"),
    "F32": np.dtype("<f4"),
    "F16": np.dtype("<f2"),
    "BF16": BFLOAT16,
    "I64": np.dtype("<i8"),
    "I32": np.dtype("<i4"),
    "I8": np.dtype("i1"),
    "U8": np.dtype("u1"),
    "BOOL": np.dtype("?"),
}
_MAX_HEADER = 100_000_000  # the format's own limit


class SafetensorsFile:
    """The tensors of one ``.safetensors`` file; none is read before it is asked for.

    Raises
    ------
    FormatError
        The file is no safetensors file, or is cut short.
    """

    def __init__(self, path: str | os.PathLike[str]):
        self.path = Path(path)
        size = self.path.stat().st_size
        with open(self.path, "rb") as file:
            start = file.read(8)
            length = int.from_bytes(start, "little")
            if len(start) < 8 or length > min(size - 8, _MAX_HEADER):
                raise FormatError(f"{self.path}: not a safetensors file, or cut short")
            try:
                header = json.loads(file.read(length))
            except ValueError as error:
                raise FormatError(f"{self.path}: its header is not JSON ({error})") from error
        if not isinstance(header, dict):
            raise FormatError(f"{self.path}: its header is not a JSON object")
        metadata = header.pop("__metadata__", None)
        self.metadata: dict[str, str] = metadata if isinstance(metadata, dict) else {}
        self._start = 8 + length
        self._entries = {name: self._entry(name, one, size) for name, one in header.items()}
        self._bytes = np.memmap(self.path, dtype=np.uint8, mode="r") if size else None

    def _entry(self, name: str, entry: Any, size: int) -> tuple[str, tuple[int, ...], int, int]:
        try:
            kind, shape = entry["dtype"], tuple(int(one) for one in entry["shape"])
            first, end = (int(one) for one in entry["data_offsets"])
            width = _DTYPES[kind].itemsize
        except (KeyError, TypeError, ValueError) as error:
            raise FormatError(f"{self.path}: tensor {name!r}: bad entry ({error!r})") from error
        if min(shape, default=0) < 0 or first < 0 or end - first != math.prod(shape) * width:
            raise FormatError(f"{self.path}: tensor {name!r}: its size is not that of its shape")
        if self._start + end > size:
            raise FormatError(
                f"{self.path}: cut short: tensor {name!r} ends at byte {self._start + end}, "
                f"the file at {size}"
            )
        return kind, shape, first, end

    @property
    def names(self) -> list[str]:
        """The tensors' names, in the file's order."""
        return list(self._entries)

    def shape(self, name: str) -> tuple[int, ...]:
        """A tensor's shape."""
        return self._entries[name][1]

    def kind(self, name: str) -> str:
        """A tensor's type, as the format writes it: F32, F16, BF16, ..."""
        return self._entries[name][0]

    def tensor(self, name: str) -> NDArray[Any]:
        """A tensor, as a read-only view of the mapped file; the bits of bfloat16 as uint16."""
        kind, shape, first, end = self._entries[name]
        assert self._bytes is not None
        data = self._bytes[self._start + first : self._start + end]
        if (self._start + first) % _DTYPES[kind].itemsize:
            data = data.copy()  # an unaligned header, as some writers leave it
        return data.view(_DTYPES[kind]).reshape(shape).view(np.ndarray)

    def float32(self, name: str) -> NDArray[np.float32]:
        """A tensor in float32."""
        array = self.tensor(name)
        return float32_of_bfloat16(array) if self.kind(name) == "BF16" else array.astype(np.float32)


def float32_of_bfloat16(bits: NDArray[Any]) -> NDArray[np.float32]:
    """Numbers of bfloat16 bits (uint16)."""
    return (bits.astype(np.uint32) << np.uint32(16)).view(np.float32)


def write_safetensors(
    path: str | os.PathLike[str],
    tensors: Mapping[str, NDArray[Any]],
    metadata: Mapping[str, str] | None = None,
) -> None:
    """Writes arrays of float64, float32, float16, int64, int32, int8, uint8 or bool.

    The file appears complete or not at all: it is written beside its place, flushed to disk, and
    renamed.
    """
    kinds = {dtype: kind for kind, dtype in _DTYPES.items() if kind != "BF16"}
    header: dict[str, Any] = {"__metadata__": dict(metadata)} if metadata else {}
    blocks, offset = [], 0
    for name, array in tensors.items():
        block = np.ascontiguousarray(array).reshape(np.shape(array))
        kind = kinds.get(block.dtype)
        if kind is None:
            raise ArgumentError(f"tensor {name!r}: safetensors has no type for {block.dtype}")
        header[name] = {
            "dtype": kind,
            "shape": list(block.shape),
            "data_offsets": [offset, offset + block.nbytes],
        }
        blocks.append(block)
        offset += block.nbytes
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    partial = Path(f"{os.fspath(path)}.partial")
    with open(partial, "wb") as file:
        file.write(len(text).to_bytes(8, "little"))
        file.write(text)
        for block in blocks:
            file.write(block.tobytes())
        file.flush()
        os.fsync(file.fileno())
    os.replace(partial, path)
