"""Ragged arrays: rows of different lengths, one after the other."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import DomainError, DTypeError, ShapeError


def lengths_of(name: str, lengths: ArrayLike, n: int | None = None) -> NDArray[np.int64]:
    """Whole numbers, at least 0."""
    try:
        array = np.asarray(lengths)
    except (TypeError, ValueError) as error:
        raise DTypeError(f"{name}: expected integers ({error})") from error
    if array.ndim != 1 or (n is not None and array.size != n):
        raise ShapeError(f"{name}: expected shape ({'n' if n is None else n},), got {array.shape}")
    if array.size == 0:
        return np.zeros(0, dtype=np.int64)
    if array.dtype.kind not in "iu":
        raise DTypeError(f"{name}: expected integers, got dtype {array.dtype}")
    bad = (array < 0) | (array > 2**31 - 1)
    if bad.any():
        i = int(np.argmax(bad))
        raise DomainError(f"{name}[{i}]: expected 0 to {2**31 - 1}, got {array[i]}")
    return np.ascontiguousarray(array, dtype=np.int64)


def offsets_of(lengths: ArrayLike, name: str = "lengths") -> NDArray[np.int64]:
    """Where each row begins, and where the last one ends (n + 1)."""
    return np.concatenate([[0], np.cumsum(lengths_of(name, lengths))]).astype(np.int64)
