"""GGUF files: metadata and tensors, memory-mapped.

The header is read here, in a tenth of a second where the reader of the ``gguf`` package takes
seconds over a large vocabulary; that package's tables and routines size and dequantise the tensors.
"""

from __future__ import annotations

import mmap
import os
import struct
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import FormatError
from ._extras import optional

__all__ = ["GGUFFile"]

_SCALARS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q"}
_SCALARS[12] = "d"
_STRING, _ARRAY = 8, 9
_MAX_COUNT = 10**8


class _Cursor:
    """A position in the mapped file, from which values are read."""

    def __init__(self, data: mmap.mmap, path: Path):
        self.data = data
        self.path = path
        self.at = 0

    def take(self, count: int) -> bytes:
        if count < 0 or self.at + count > len(self.data):
            raise FormatError(f"{self.path}: cut short at byte {len(self.data)}")
        self.at += count
        return self.data[self.at - count : self.at]

    def number(self, code: str) -> Any:
        return struct.unpack(f"<{code}", self.take(struct.calcsize(f"<{code}")))[0]

    def count(self) -> int:
        value: int = self.number("Q")
        if value > _MAX_COUNT:
            raise FormatError(
                f"{self.path}: not a GGUF file of version 2 or 3 (a count of {value})"
            )
        return value

    def text(self) -> str:
        return self.take(self.count()).decode("utf-8", "replace")

    def value(self, kind: int) -> Any:
        if kind == _STRING:
            return self.text()
        if kind == _ARRAY:
            element, count = self.number("I"), self.count()
            if element in _SCALARS:
                code = _SCALARS[element]
                size = struct.calcsize(f"<{code}")
                return list(struct.unpack(f"<{count}{code}", self.take(count * size)))
            return [self.value(element) for _ in range(count)]
        if kind not in _SCALARS:
            raise FormatError(f"{self.path}: metadata of an unknown type {kind}")
        return self.number(_SCALARS[kind])


class GGUFFile:
    """The metadata and tensors of a ``.gguf`` file; a tensor is dequantised when it is asked for.

    Raises
    ------
    FormatError
        The file is no GGUF file of version 2 or 3, is cut short, or holds a type of tensor that
        the ``gguf`` package does not know.
    """

    def __init__(self, path: str | os.PathLike[str]):
        self.path = Path(path)
        gguf = optional("gguf", "reading GGUF files")
        self._quants = optional("gguf.quants", "reading GGUF files")
        with open(self.path, "rb") as file:
            try:
                data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
            except ValueError as error:
                raise FormatError(f"{self.path}: empty") from error
        cursor = _Cursor(data, self.path)
        if cursor.take(4) != b"GGUF":
            raise FormatError(f"{self.path}: not a GGUF file")
        version = cursor.number("I")
        if version not in (2, 3):
            raise FormatError(f"{self.path}: GGUF version {version}; 2 and 3 are read")
        tensors, fields = cursor.count(), cursor.count()
        self.metadata: dict[str, Any] = {}
        for _ in range(fields):
            name = cursor.text()
            self.metadata[name] = cursor.value(cursor.number("I"))
        self._entries: dict[str, tuple[Any, tuple[int, ...], int, tuple[int, ...], np.dtype[Any]]]
        self._entries = {}
        infos = []
        for _ in range(tensors):
            name, rank = cursor.text(), cursor.number("I")
            if rank > 4:
                raise FormatError(f"{self.path}: tensor {name!r} has {rank} dimensions")
            shape = tuple(cursor.number("Q") for _ in range(rank))[::-1]
            infos.append((name, shape, cursor.number("I"), cursor.number("Q")))
        alignment = int(self.metadata.get("general.alignment", 32))
        start = -(-cursor.at // alignment) * alignment
        for name, shape, kind, offset in infos:
            try:
                tensor_type = gguf.GGMLQuantizationType(kind)
                dtype, stored = self._stored(gguf, tensor_type, shape)
            except ValueError as error:
                raise FormatError(f"{self.path}: tensor {name!r}: {error}") from error
            end = start + offset + int(np.prod(stored, dtype=np.int64)) * dtype.itemsize
            if end > len(data):
                raise FormatError(
                    f"{self.path}: cut short: tensor {name!r} ends at byte {end}, "
                    f"the file at {len(data)}"
                )
            self._entries[name] = (tensor_type, shape, start + offset, stored, dtype)
        self._bytes = np.frombuffer(data, dtype=np.uint8)

    @staticmethod
    def _stored(
        gguf: Any, kind: Any, shape: tuple[int, ...]
    ) -> tuple[np.dtype[Any], tuple[int, ...]]:
        """How a tensor lies in the file: plain numbers, or bytes of quantised blocks."""
        if kind.name in ("F32", "F16"):
            return np.dtype("<f4" if kind.name == "F32" else "<f2"), shape
        return np.dtype(np.uint8), tuple(gguf.quant_shape_to_byte_shape(shape, kind))

    @property
    def names(self) -> list[str]:
        """The tensors' names, in the file's order."""
        return list(self._entries)

    def shape(self, name: str) -> tuple[int, ...]:
        """A tensor's shape, the slowest dimension first, as NumPy and Hugging Face have it."""
        return self._entries[name][1]

    def float32(self, name: str) -> NDArray[np.float32]:
        """A tensor, dequantised."""
        kind, _, first, stored, dtype = self._entries[name]
        size = int(np.prod(stored, dtype=np.int64)) * dtype.itemsize
        data = self._bytes[first : first + size].view(dtype).reshape(stored)
        try:
            out: NDArray[np.float32] = self._quants.dequantize(data, kind)
        except NotImplementedError as error:
            raise FormatError(
                f"{self.path}: tensor {name!r}: {kind.name} cannot be dequantised"
            ) from error
        return out
