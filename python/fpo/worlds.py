"""A world so small that every expectation is a finite sum.

Responses are token sequences that end with token 0 or at the maximal length; a policy is a table of
logits, one row for each prefix. With at most 8 tokens and 5 positions all responses can be written
down, so what an estimator estimates can be computed, and compared.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from . import _arrays
from ._arrays import Array

__all__ = ["EnumerableWorld", "Responses"]


class Responses(NamedTuple):
    """Responses with their tokens one after the other, as `fpo.objectives` takes them."""

    #: Which of `EnumerableWorld.responses` each one is (n,).
    which: NDArray[np.int64]
    #: Tokens of each (n,).
    lengths: NDArray[np.int64]
    #: Of every token: the row of the policy's table that it was drawn from, and the token.
    prefixes: NDArray[np.int64]
    tokens: NDArray[np.int64]


class EnumerableWorld:
    """All responses of up to `length` tokens from a vocabulary; token 0 ends a response.

    A policy is an array of logits (`prefixes`, `vocabulary`); its gradient has the same shape.

    Parameters
    ----------
    vocabulary
        2 to 8 tokens, the first of which ends a response.
    length
        1 to 5 tokens at most.
    """

    def __init__(self, vocabulary: int = 3, length: int = 3):
        self.vocabulary = _arrays.integer("vocabulary", vocabulary, 2, 8)
        self.length = _arrays.integer("length", length, 1, 5)
        prefixes: list[tuple[int, ...]] = [()]
        responses: list[tuple[int, ...]] = []
        for prefix in prefixes:  # grows as it is read: shorter prefixes first
            for token in range(self.vocabulary):
                whole = (*prefix, token)
                ends = token == 0 or len(whole) == self.length
                (responses if ends else prefixes).append(whole)
        rows = {prefix: row for row, prefix in enumerate(prefixes)}
        #: Every response, as a tuple of tokens.
        self.responses = responses
        #: The number of rows of a policy's table.
        self.prefixes = len(rows)
        count = len(responses)
        self._lengths = np.array([len(one) for one in responses], dtype=np.int64)
        # (count, length): the row and the token of each position, -1 past the end.
        self._rows = np.full((count, self.length), -1, dtype=np.int64)
        self._tokens = np.full((count, self.length), -1, dtype=np.int64)
        for i, one in enumerate(responses):
            for t, token in enumerate(one):
                self._rows[i, t], self._tokens[i, t] = rows[one[:t]], token

    def __repr__(self) -> str:
        return f"EnumerableWorld(vocabulary={self.vocabulary}, length={self.length})"

    def __len__(self) -> int:
        return len(self.responses)

    def policy(self, logits: ArrayLike) -> Array:
        """Log-probabilities (prefixes, vocabulary) of a table of logits."""
        z = _arrays.matrix("logits", logits, self.prefixes, self.vocabulary)
        z = z - z.max(1, keepdims=True)
        return np.asarray(z - np.log(np.exp(z).sum(1, keepdims=True)))

    def logps(self, logits: ArrayLike) -> Array:
        """The log-probability of every response (count,)."""
        at = self.policy(logits)[self._rows, self._tokens]
        return np.asarray(np.where(self._rows >= 0, at, 0).sum(1))

    def probabilities(self, logits: ArrayLike) -> Array:
        """The probability of every response (count,); they sum to 1."""
        return np.exp(self.logps(logits))

    def expectation(self, logits: ArrayLike, values: ArrayLike) -> float:
        """``E f(y)`` of the values (count,) of every response."""
        f = _arrays.vector("values", values, len(self))
        return float(self.probabilities(logits) @ f)

    def score_gradient(self, logits: ArrayLike, weights: ArrayLike) -> Array:
        """``sum_y w(y) grad log pi(y)`` in the logits, for weights (count,)."""
        w = _arrays.vector("weights", weights, len(self))
        slopes = np.repeat(w, self._lengths)
        return self.token_gradient(logits, self.all_responses(), slopes)

    def policy_gradient(self, logits: ArrayLike, values: ArrayLike) -> Array:
        """``grad E f(y)`` in the logits, for values (count,) of a fixed function f."""
        f = _arrays.vector("values", values, len(self))
        return self.score_gradient(logits, self.probabilities(logits) * f)

    def kl(self, logits: ArrayLike, ref_logits: ArrayLike) -> float:
        """``KL(pi || pi_ref)`` of whole responses."""
        a = self.logps(logits)
        return float(np.exp(a) @ (a - self.logps(ref_logits)))

    def kl_gradient(self, logits: ArrayLike, ref_logits: ArrayLike) -> Array:
        """``grad KL(pi || pi_ref)`` in the policy's logits."""
        a = self.logps(logits)
        return self.score_gradient(logits, np.exp(a) * (a - self.logps(ref_logits)))

    def forward_kl_gradient(self, logits: ArrayLike, ref_logits: ArrayLike) -> Array:
        """``grad KL(pi_ref || pi)`` in the policy's logits."""
        return self.score_gradient(logits, -self.probabilities(ref_logits))

    def optimum(self, ref_logits: ArrayLike, values: ArrayLike, beta: float) -> Array:
        """The distribution (count,) that maximises ``E f - beta KL``: ``pi_ref e^(f / beta)``."""
        f = _arrays.vector("values", values, len(self))
        z = self.logps(ref_logits) + f / _arrays.positive("beta", beta)
        p = np.exp(z - z.max())
        return np.asarray(p / p.sum())

    def all_responses(self) -> Responses:
        """Every response once, in the order of `responses`."""
        return self._gather(np.arange(len(self)))

    def sample(self, logits: ArrayLike, count: int, rng: np.random.Generator) -> Responses:
        """Responses drawn from a policy."""
        n = _arrays.integer("count", count, 0, 2**31 - 1)
        p = self.probabilities(logits)
        return self._gather(rng.choice(len(self), n, p=p / p.sum()))

    def _gather(self, index: NDArray[np.int64]) -> Responses:
        inside = self._rows[index] >= 0
        return Responses(
            index, self._lengths[index], self._rows[index][inside], self._tokens[index][inside]
        )

    def token_logps(self, logits: ArrayLike, responses: Responses) -> Array:
        """The log-probability of each token."""
        return np.asarray(self.policy(logits)[responses.prefixes, responses.tokens])

    def token_gradient(self, logits: ArrayLike, responses: Responses, slopes: ArrayLike) -> Array:
        """The gradient in the logits of a loss with these slopes in each token's logp."""
        d = _arrays.vector("slopes", slopes, responses.tokens.size)
        p = np.exp(self.policy(logits))
        gradient = np.zeros_like(p)
        np.add.at(gradient, (responses.prefixes, responses.tokens), d)
        total = np.bincount(responses.prefixes, weights=d, minlength=self.prefixes)
        return np.asarray(gradient - total[:, None] * p)

    def values(self, function: Callable[[tuple[int, ...]], float]) -> Array:
        """``function(response)`` of every response (count,)."""
        return _arrays.vector("function", [function(one) for one in self.responses], len(self))
