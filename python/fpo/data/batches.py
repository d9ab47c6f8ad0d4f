"""Batches of rows of similar length, in an order that a key decides."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .. import _arrays, random
from ..errors import DomainError, DTypeError

__all__ = ["length_sorted_batches", "permutation"]


def permutation(key: int, size: int) -> NDArray[np.int64]:
    """The numbers below `size` in an order that depends on `key` alone."""
    size = _arrays.integer("size", size, 0, 2**40)
    # Two draws of 23 bits each: equal pairs are too rare to bias the order.
    high = random.uniform(random.fold(key, 0), size)
    low = random.uniform(random.fold(key, 1), size)
    return np.lexsort((low, high)).astype(np.int64)


def length_sorted_batches(
    lengths: ArrayLike,
    size: int,
    key: int | None,
    *,
    window: int = 32,
    drop_last: bool = False,
) -> list[NDArray[np.int64]]:
    """Row numbers in batches whose rows are of similar length, so that little is padded.

    The rows are shuffled, cut into windows of `window` batches, sorted by length within each
    (longest first, equal lengths in shuffled order), cut into batches, and the batches are
    shuffled. Each row is in exactly one batch; the same key gives the same batches. Use
    ``fpo.random.fold(key, epoch)`` to have another order in each epoch.

    Parameters
    ----------
    lengths
        (n,) Tokens of each row; of a pair, those of its longer member.
    size
        Rows of a batch.
    key
        From `fpo.random.key`; None: no shuffling, all rows sorted, longest batch first, as for an
        evaluation (and the memory it needs shows in the first batch).
    window
        Batches that are sorted together; 1: plain shuffled batches.
    drop_last
        Leaves out the one batch that is not full.
    """
    tokens = _lengths(lengths)
    size = _arrays.integer("size", size, 1, 2**31)
    window = _arrays.integer("window", window, 1, 2**31)
    count = len(tokens)
    order = np.arange(count) if key is None else permutation(random.fold(key, 0), count)
    span = count if key is None else size * window
    batches: list[NDArray[np.int64]] = []
    for start in range(0, count, max(span, 1)):
        rows = order[start : start + span]
        rows = rows[np.argsort(-tokens[rows], kind="stable")]
        batches.extend(rows[first : first + size] for first in range(0, len(rows), size))
    if drop_last:
        batches = [batch for batch in batches if len(batch) == size]
    if key is None:
        return batches
    return [batches[index] for index in permutation(random.fold(key, 1), len(batches))]


def _lengths(value: ArrayLike) -> NDArray[np.int64]:
    array = np.asarray(value)
    if array.ndim != 1 or (array.size and array.dtype.kind not in "iu"):
        raise DTypeError("lengths: expected a vector of whole numbers")
    if array.size and array.min() < 0:
        raise DomainError(f"lengths: expected at least 0, got {array.min()}")
    return array.astype(np.int64)
