"""What comes in from the user, checked: arrays of real, finite numbers of the expected shape."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from .errors import DomainError, DTypeError, NonFiniteError, ShapeError

Array = NDArray[np.float64]
Shape = Sequence["int | str"]

_BOTH = (np.dtype(np.float32), np.dtype(np.float64))


def _shape_text(shape: Sequence[int | str]) -> str:
    return f"({', '.join(map(str, shape))}{',' if len(shape) == 1 else ''})"


def real(
    name: str,
    value: ArrayLike,
    shape: Shape | None,
    *,
    dtype: DTypeLike | None = np.float64,
    finite: bool = True,
) -> NDArray[Any]:
    """`value` as an array of the given shape, in C order.

    A number in `shape` must be met, a string names a size that may be anything, and a `shape` of
    None allows all. `dtype` None keeps float32 and reads everything else as float64.
    """
    try:
        array = np.asarray(value)
    except (TypeError, ValueError) as error:
        raise DTypeError(f"{name}: expected an array of real numbers ({error})") from error
    if array.dtype.kind not in "fiub":
        raise DTypeError(f"{name}: expected real numbers, got dtype {array.dtype}")
    if shape is not None and not _matches(array.shape, shape):
        raise ShapeError(
            f"{name}: expected shape {_shape_text(shape)}, got {_shape_text(array.shape)}"
        )
    if dtype is None:
        dtype = array.dtype if array.dtype in _BOTH else np.float64
    array = np.asarray(array, dtype=dtype)
    if not _rows_are_contiguous(array):
        array = np.ascontiguousarray(array)
    if finite:
        bad = ~np.isfinite(array)
        if bad.any():
            index = [int(i) for i in np.argwhere(bad)[0]]
            raise NonFiniteError(
                f"{name}: expected finite numbers, got {array[tuple(index)]} at {index}"
            )
    return array


def _matches(shape: tuple[int, ...], expected: Shape) -> bool:
    return len(shape) == len(expected) and all(
        isinstance(size, str) or size == actual
        for size, actual in zip(expected, shape, strict=True)
    )


def _rows_are_contiguous(array: NDArray[Any]) -> bool:
    """C order, or a matrix whose rows are evenly spaced: what a leading dimension can say."""
    if array.flags.c_contiguous:
        return True
    if array.ndim != 2 or not array.flags.aligned:
        return False
    across, along = array.strides
    columns = array.shape[1]
    return (
        along == array.itemsize
        and across >= columns * array.itemsize
        and across % array.itemsize == 0
    )


def vector(name: str, value: ArrayLike, size: int | str = "n") -> Array:
    """A float64 vector."""
    return real(name, value, (size,))


def matrix(
    name: str,
    value: ArrayLike,
    rows: int | str = "n",
    columns: int | str = "p",
    dtype: DTypeLike | None = np.float64,
) -> NDArray[Any]:
    """A matrix with at least one column."""
    array = real(name, value, (rows, columns), dtype=dtype)
    if array.shape[1] == 0:
        raise ShapeError(f"{name}: expected at least one column, got shape {array.shape}")
    return array


def positive(name: str, value: float) -> float:
    """A finite number above zero."""
    number = scalar(name, value)
    if number <= 0:
        raise DomainError(f"{name}: expected a number above 0, got {value!r}")
    return number


def scalar(name: str, value: Any) -> float:
    """A finite number."""
    if isinstance(value, (str, bytes)):
        raise DTypeError(f"{name}: expected a number, got {value!r}")
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError) as error:
        raise DTypeError(f"{name}: expected a number, got {value!r}") from error
    if not math.isfinite(number):
        raise NonFiniteError(f"{name}: expected a finite number, got {value!r}")
    return number


def integer(name: str, value: Any, minimum: int, maximum: int) -> int:
    """A whole number in [minimum, maximum]."""
    try:
        number = value.__index__()
    except (AttributeError, TypeError) as error:
        raise DTypeError(f"{name}: expected an integer, got {value!r}") from error
    if not minimum <= number <= maximum:
        raise DomainError(f"{name}: expected {minimum} to {maximum}, got {number}")
    return int(number)
