"""The divergence from a reference: estimates, exact values, and a controller of its weight."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from .. import _arrays
from .._arrays import Array
from .._configuration import one_of
from .._lib import address, leading_dimension, lib, new_array
from ..errors import DomainError

__all__ = ["AdaptiveKL", "KLEstimate", "TokenStatistic", "entropy", "exact_kl", "kl_estimate"]

ESTIMATORS = ("k1", "k2", "k3", "k3_plus")


def choice(name: str, value: Any, choices: tuple[str, ...]) -> int:
    """The library's number of a name."""
    if not isinstance(value, str) or value not in choices:
        raise DomainError(f"{name}: expected {one_of(choices)}, got {value!r}")
    return choices.index(value)


def limit_of(name: str, value: float | None) -> float:
    """A number above 0; None is infinity."""
    return np.inf if value is None else _arrays.positive(name, value)


class KLEstimate(NamedTuple):
    """Estimates (n,), and their slopes in the policy's log-probability."""

    value: Array
    derivative: Array


def kl_estimate(
    logps: ArrayLike, ref_logps: ArrayLike, estimator: str = "k3", *, limit: float | None = None
) -> KLEstimate:
    """Estimates of ``KL(pi || pi_ref)`` from samples of the policy, one each.

    Of the log-ratio a: ``k1 = a``, ``k2 = a^2 / 2``, ``k3 = e^-a - 1 + a``. In the reward,
    detached, k1 has the true gradient. In the loss, the expected slope of k1 is zero, that of k2 is
    the gradient of KL(pi || pi_ref), that of k3 the gradient of KL(pi_ref || pi); "k3_plus" is the
    value of k3 with the slope of k2. See docs/math/policy-gradient.md.

    Parameters
    ----------
    logps, ref_logps
        Log-probabilities of tokens, or of responses (n,).
    estimator
        "k1", "k2", "k3" or "k3_plus".
    limit
        Estimates beyond it are the limit, with slope 0; None: no limit.
    """
    a = _arrays.vector("logps", logps)
    b = _arrays.vector("ref_logps", ref_logps, a.size)
    out = KLEstimate(new_array(a.size), new_array(a.size))
    lib.fpo_kl_estimate_f64(
        choice("estimator", estimator, ESTIMATORS),
        a.size,
        address(a),
        address(b),
        limit_of("limit", limit),
        *map(address, out),
    )
    return out


class AdaptiveKL:
    """A coefficient that holds the divergence near a target (Ziegler et al., arXiv:1909.08593).

    ``beta <- beta (1 + clip(kl / target - 1, +-0.2) n / horizon)`` after n samples.
    """

    def __init__(self, beta: float = 0.2, *, target: float = 6.0, horizon: float = 10_000):
        self.beta = _arrays.scalar("beta", beta)
        self.target = _arrays.positive("target", target)
        self.horizon = _arrays.positive("horizon", horizon)

    def update(self, kl: float, samples: int) -> float:
        """Takes in the mean divergence of `samples` responses; returns the next coefficient."""
        out = new_array(1)
        lib.fpo_adaptive_kl(
            self.beta,
            _arrays.scalar("kl", kl),
            self.target,
            _arrays.scalar("samples", samples),
            self.horizon,
            address(out),
        )
        self.beta = float(out[0])
        return self.beta


class TokenStatistic(NamedTuple):
    """A number for each distribution (n,), and its gradient in the logits (n, v)."""

    value: Array
    d_logits: Array


def entropy(logits: ArrayLike) -> TokenStatistic:
    """The entropy of each ``softmax(logits)`` (n, v)."""
    z = _arrays.matrix("logits", logits)
    out = TokenStatistic(new_array(z.shape[0]), new_array(*z.shape))
    lib.fpo_entropy_f64(*z.shape, address(z), leading_dimension(z), *map(address, out))
    return out


def exact_kl(logits: ArrayLike, ref_logits: ArrayLike) -> TokenStatistic:
    """``KL(softmax(logits) || softmax(ref_logits))`` of each row (n, v)."""
    z = _arrays.matrix("logits", logits)
    b = _arrays.matrix("ref_logits", ref_logits, *z.shape)
    out = TokenStatistic(new_array(z.shape[0]), new_array(*z.shape))
    lib.fpo_exact_kl_f64(
        *z.shape,
        address(z),
        leading_dimension(z),
        address(b),
        leading_dimension(b),
        *map(address, out),
    )
    return out
