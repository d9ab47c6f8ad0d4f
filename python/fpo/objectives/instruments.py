"""Instruments: what a pair, a reward model or a sweep of policies tells about training on it."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from .. import _arrays
from .._lib import address, leading_dimension, lib, new_array
from .divergence import choice

__all__ = [
    "CHES",
    "OveroptimizationFit",
    "PairAccuracy",
    "ches",
    "overoptimization",
    "pair_accuracy",
]

_CURVES = ("best_of_n", "rl")


class CHES(NamedTuple):
    """The score of a pair, its length-normalised form, and that of the last embeddings."""

    score: float
    length_normalized: float
    last: float


def ches(chosen: ArrayLike, rejected: ArrayLike) -> CHES:
    """The centred hidden embedding similarity ``<S+, S-> - |S+|^2``, S the sum over tokens.

    High scores foretell that training on the pair lowers the likelihood of the chosen response,
    too. Razin et al., arXiv:2410.08847.

    Parameters
    ----------
    chosen, rejected
        The hidden states (t, d) and (u, d) that predict the tokens of the responses, without
        padding.
    """
    h = _arrays.matrix("chosen", chosen, "t", "d")
    g = _arrays.matrix("rejected", rejected, "u", h.shape[1])
    out = new_array(3)
    lib.fpo_ches_f64(
        h.shape[0],
        g.shape[0],
        h.shape[1],
        address(h),
        leading_dimension(h),
        address(g),
        leading_dimension(g),
        address(out),
    )
    return CHES(*map(float, out))


class OveroptimizationFit(NamedTuple):
    """``alpha`` and ``beta``, their standard errors, and the peak that they imply.

    The peak is an extrapolation where `peak_distance` exceeds the distances that were fitted; it
    is NaN where beta is not above 0, that is where the gold score does not turn.
    """

    alpha: float
    beta: float
    alpha_error: float
    beta_error: float
    peak_distance: float
    peak: float


def overoptimization(
    distance: ArrayLike, gold: ArrayLike, curve: str = "best_of_n"
) -> OveroptimizationFit:
    """Fits ``gold = d (alpha - beta d)``, or for "rl" ``d (alpha - beta log d)``, d = sqrt(KL).

    Gao, Schulman and Hilton, arXiv:2210.10760. `distance` (n,), at least 0; `gold` (n,) is the gold
    score less that of the initial policy.
    """
    number = choice("curve", curve, _CURVES)
    d = _arrays.vector("distance", distance)
    y = _arrays.vector("gold", gold, d.size)
    out = new_array(4)
    lib.fpo_overoptimization_fit_f64(number, d.size, address(d), address(y), address(out))
    alpha, beta, alpha_error, beta_error = map(float, out)
    at = peak = np.nan
    if beta > 0 and curve == "best_of_n":
        at, peak = alpha / (2 * beta), alpha**2 / (4 * beta)
    elif beta > 0:
        at = float(np.exp(min(alpha / beta - 1, 700)))
        peak = beta * at
    return OveroptimizationFit(alpha, beta, alpha_error, beta_error, at, peak)


class PairAccuracy(NamedTuple):
    """Three numbers, since tie rules differ: strict (ties are wrong), half credit, ties."""

    strict: float
    half_credit: float
    ties: float


def pair_accuracy(chosen: ArrayLike, rejected: ArrayLike) -> PairAccuracy:
    """How often the reward (n,) of the chosen response is the higher one; NaN without pairs."""
    w = _arrays.vector("chosen", chosen)
    r = _arrays.vector("rejected", rejected, w.size)
    if not w.size:
        return PairAccuracy(np.nan, np.nan, np.nan)
    strict, ties = float(np.mean(w > r)), float(np.mean(w == r))
    return PairAccuracy(strict, strict + ties / 2, ties)
