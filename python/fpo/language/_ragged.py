"""Sequences of tokens as the library takes them: one array, and where each sequence begins."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import DomainError, DTypeError, ShapeError

__all__ = ["Ragged", "Tokens"]

Tokens = Sequence[int] | NDArray[Any]


@dataclass(frozen=True)
class Ragged:
    """`count` sequences; sequence i is ``tokens[offsets[i]:offsets[i + 1]]``."""

    offsets: NDArray[np.int64]
    tokens: NDArray[np.int32]

    @property
    def count(self) -> int:
        """How many sequences there are."""
        return self.offsets.size - 1

    @classmethod
    def of(
        cls,
        name: str,
        sequences: Sequence[Tokens],
        vocabulary: int,
        longest: int,
        *,
        shortest: int = 0,
    ) -> Ragged:
        """Checked sequences.

        Raises
        ------
        ArgumentError
            A token is outside the vocabulary, or a sequence is too long or too short.
        """
        if isinstance(sequences, (str, bytes)) or not hasattr(sequences, "__len__"):
            raise DTypeError(f"{name}: expected a list of token lists, got {sequences!r}")
        rows = [_row(f"{name}[{i}]", one) for i, one in enumerate(sequences)]
        for i, row in enumerate(rows):
            if not shortest <= row.size <= longest:
                raise ShapeError(
                    f"{name}[{i}]: expected {shortest} to {longest} tokens, got {row.size}"
                )
            if row.size and not (0 <= row.min() and row.max() < vocabulary):
                raise DomainError(
                    f"{name}[{i}]: expected tokens of the model's vocabulary, 0 to "
                    f"{vocabulary - 1}, got {row.min() if row.min() < 0 else row.max()}"
                )
        offsets = np.zeros(len(rows) + 1, dtype=np.int64)
        np.cumsum([row.size for row in rows], out=offsets[1:])
        joined = np.concatenate(rows) if rows else np.empty(0, np.int64)
        return cls(offsets, np.ascontiguousarray(joined, dtype=np.int32))

    def split(self, values: NDArray[Any]) -> list[NDArray[Any]]:
        """Values as tokens, one array for each sequence."""
        return [
            values[first:end]
            for first, end in zip(self.offsets[:-1], self.offsets[1:], strict=True)
        ]


def _row(name: str, tokens: Tokens) -> NDArray[Any]:
    try:
        row = np.asarray(tokens)
    except (TypeError, ValueError) as error:
        raise DTypeError(f"{name}: expected tokens ({error})") from error
    if row.size == 0:
        return np.empty(0, np.int64)
    if row.ndim != 1 or row.dtype.kind not in "iu":
        raise DTypeError(f"{name}: expected a list of integers, got {str(tokens)[:60]}")
    return row
