"""Counter-based random numbers: Threefry-2x32-20 (Salmon et al., SC 2011).

A key is a 64-bit integer; element ``i`` of a stream depends on ``(key, i)`` alone, so that any part
of it can be drawn again, and keys split without a global state.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from . import _arrays
from ._lib import address, lib
from .errors import DTypeError

__all__ = ["fold", "key", "normal", "uniform"]

_MAX = 2**64 - 1


def key(seed: int) -> int:
    """The key of a seed in [0, 2^64)."""
    return int(lib.fpo_random_key(_arrays.integer("seed", seed, 0, _MAX)))


def fold(key: int, index: int) -> int:
    """The `index`-th child of a key; children of distinct indices are independent streams."""
    return int(
        lib.fpo_random_fold(
            _arrays.integer("key", key, 0, _MAX), _arrays.integer("index", index, 0, _MAX)
        )
    )


def uniform(key: int, shape: int | tuple[int, ...], dtype: DTypeLike = np.float64) -> NDArray[Any]:
    """Draws from the open interval (0, 1), with 23 bits.

    Parameters
    ----------
    key
        From `key` or `fold`.
    shape
        Of the result.
    dtype
        float64 or float32.
    """
    return _draw("uniform", key, shape, dtype)


def normal(key: int, shape: int | tuple[int, ...], dtype: DTypeLike = np.float64) -> NDArray[Any]:
    """Standard normal draws by Box-Muller. Parameters as for `uniform`."""
    return _draw("normal", key, shape, dtype)


def _draw(kind: str, key: int, shape: int | tuple[int, ...], dtype: DTypeLike) -> NDArray[Any]:
    sizes = (shape,) if not isinstance(shape, (tuple, list)) else shape
    sizes = tuple(_arrays.integer("shape", size, 0, 2**48) for size in sizes)
    scalar = {np.dtype(np.float32): "f32", np.dtype(np.float64): "f64"}.get(np.dtype(dtype))
    if scalar is None:
        raise DTypeError(f"dtype: expected float32 or float64, got {np.dtype(dtype)}")
    out = np.empty(sizes, dtype=dtype)
    function = getattr(lib, f"fpo_random_{kind}_{scalar}")
    function(_arrays.integer("key", key, 0, _MAX), out.size, address(out))
    return out
