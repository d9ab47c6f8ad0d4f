"""Where rewards come from: verifiers, functions, reward models, mixtures of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from .. import _arrays
from .._arrays import Array
from ..errors import ArgumentError, DTypeError, ShapeError
from ..language.rewards import TextReward
from .reward import reward_text

__all__ = ["Rewards", "Source"]

#: A verifier or a function with TRL's signature, or a reward model.
Source = Callable[..., Sequence[float | None]] | TextReward


class Rewards:
    """A weighted sum of reward sources.

    Parameters
    ----------
    sources
        A verifier of `fpo.verifiers`; a function ``(completions, prompts, **columns)`` that returns
        a number, or None for "cannot be told", for each completion; a `TextReward`; or a list of
        them. What one source cannot tell is left to the others, as in TRL.
    weights
        One for each; None: 1 each.
    """

    def __init__(
        self, sources: Source | Sequence[Source], weights: Sequence[float] | None = None
    ) -> None:
        listed = list(sources) if isinstance(sources, (list, tuple)) else [sources]
        if not listed:
            raise ArgumentError("reward: expected at least one source")
        for one in listed:
            if not callable(one) and not isinstance(one, TextReward):
                raise DTypeError(f"reward: expected a verifier, function or TextReward, got {one}")
        self.sources: list[Any] = listed
        given = [1.0] * len(listed) if weights is None else list(weights)
        self.weights = _arrays.vector("weights", given, len(listed))
        names = [getattr(one, "__name__", type(one).__name__) for one in listed]
        self.names = [
            name if names.count(name) == 1 else f"{name}-{i}" for i, name in enumerate(names)
        ]

    def __call__(
        self, prompts: Sequence[Any], completions: Sequence[Any], columns: Mapping[str, Any]
    ) -> tuple[Array, dict[str, Array]]:
        """The sum (n,), NaN where no source can tell, and the rewards of each source."""
        parts: dict[str, Array] = {}
        for name, source in zip(self.names, self.sources, strict=True):
            parts[name] = self._of(name, source, prompts, completions, columns)
        table = np.stack(list(parts.values()), axis=1) * self.weights
        total = np.where(np.isnan(table).all(axis=1), np.nan, np.nansum(table, axis=1))
        return total, parts

    def _of(
        self,
        name: str,
        source: Any,
        prompts: Sequence[Any],
        completions: Sequence[Any],
        columns: Mapping[str, Any],
    ) -> Array:
        if isinstance(source, TextReward):
            texts = [reward_text(source, *row) for row in zip(prompts, completions, strict=True)]
            return source.scores(texts)
        found = source(completions=list(completions), prompts=list(prompts), **columns)
        if not hasattr(found, "__len__") or len(found) != len(completions):
            raise ShapeError(f"reward {name}: expected {len(completions)} rewards, got {found!r}")
        values = np.array([np.nan if one is None else one for one in found], dtype=np.float64)
        if np.isinf(values).any():
            raise DTypeError(f"reward {name}: expected finite numbers or None, got {found!r:.80}")
        return values
