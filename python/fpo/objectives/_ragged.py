"""Whole numbers, and ragged arrays: rows of different lengths, one after the other."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .. import _arrays
from ..errors import DomainError, DTypeError, ShapeError


def integers(name: str, value: Any, n: int | None = None) -> NDArray[np.int64]:
    """A vector of whole numbers; an empty one may be of any type."""
    try:
        array = np.asarray(value)
    except (TypeError, ValueError) as error:
        raise DTypeError(f"{name}: expected integers ({error})") from error
    if array.ndim != 1 or (n is not None and array.size != n):
        raise ShapeError(f"{name}: expected shape ({'n' if n is None else n},), got {array.shape}")
    if array.size and array.dtype.kind not in "iu":
        raise DTypeError(f"{name}: expected integers, got dtype {array.dtype}")
    return np.ascontiguousarray(array, dtype=np.int64)


def flags(name: str, value: ArrayLike, n: int) -> NDArray[np.int32]:
    """True and False, or 1 and 0."""
    array = _arrays.vector(name, value, n)
    if not ((array == 0) | (array == 1)).all():
        raise DTypeError(f"{name}: expected True or False, or 1 or 0")
    return array.astype(np.int32)


def lengths_of(name: str, lengths: ArrayLike, n: int | None = None) -> NDArray[np.int64]:
    """Whole numbers, at least 0."""
    array = integers(name, lengths, n)
    bad = (array < 0) | (array > 2**31 - 1)
    if bad.any():
        i = int(np.argmax(bad))
        raise DomainError(f"{name}[{i}]: expected 0 to {2**31 - 1}, got {array[i]}")
    return array


def offsets_of(lengths: ArrayLike, name: str = "lengths") -> NDArray[np.int64]:
    """Where each row begins, and where the last one ends (n + 1)."""
    return np.concatenate([[0], np.cumsum(lengths_of(name, lengths))]).astype(np.int64)
