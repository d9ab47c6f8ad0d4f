"""Oracles: the true utility of an answer, which the reward model only estimates.

An oracle takes `Answers` and returns a utility for each. The soft label of a comparison is
``sigmoid(U - U0)``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from .. import _arrays
from ..errors import ArgumentError

__all__ = ["Answers", "CallableOracle", "LikelihoodOracle", "Oracle", "as_oracle"]

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Answers:
    """Answers to one question; for oracles with ``reads_log_p`` also what the base makes of them.

    ``prompt_log_p`` are the base model's log-probabilities of the prompt's tokens (0 for the
    first), ``log_p`` those of each answer's tokens.
    """

    question: str
    texts: tuple[str, ...]
    prompt_log_p: Array | None = None
    log_p: tuple[Array, ...] = ()


class Oracle(Protocol):
    """The true utility of answers."""

    name: str

    def __call__(self, answers: Answers) -> Array:
        """A finite utility for each answer (n,)."""


class LikelihoodOracle:
    """``clip(5 + mean log p, -15, 5)`` over prompt and answer under the base: as published.

    A weak notion of utility: it prefers what the base model would have said anyway, and knows
    nothing of truth or of human preference.
    """

    name = "likelihood"
    reads_log_p = True

    def __call__(self, answers: Answers) -> Array:
        """Utilities (n,)."""
        assert answers.prompt_log_p is not None
        before, count = float(answers.prompt_log_p.sum()), answers.prompt_log_p.size
        means = [
            (before + float(one.sum())) / max(count - 1 + one.size, 1) for one in answers.log_p
        ]
        return np.clip(5.0 + np.array(means), -15.0, 5.0)


class CallableOracle:
    """A function ``(question, answers) -> utilities`` of the user's."""

    def __init__(self, function: Callable[[str, list[str]], Sequence[float]], name: str = ""):
        self.function = function
        self.name = name or getattr(function, "__name__", "callable")

    def __call__(self, answers: Answers) -> Array:
        """Utilities (n,), checked."""
        texts = list(answers.texts)
        value = self.function(answers.question, texts)
        return _arrays.vector(f"utilities of oracle {self.name!r}", value, len(texts))


def as_oracle(oracle: Any) -> Oracle:
    """An oracle; a plain function of a question and its answers is wrapped."""
    if isinstance(getattr(oracle, "name", None), str):
        known: Oracle = oracle
        return known
    if callable(oracle):
        return CallableOracle(oracle)
    raise ArgumentError(f"oracle: expected an oracle or a function, got {oracle!r}")
