"""Games: general preferences, their equilibria, and selection by the best of n."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from .. import _arrays
from .._arrays import Array
from .._lib import address, leading_dimension, lib, new_array
from ._losses import PairLoss
from ._ragged import integers

__all__ = [
    "BestOfN",
    "MatrixGame",
    "XPOLoss",
    "best_of_n",
    "best_of_n_estimate",
    "geometric_mixture",
    "matrix_game",
    "nash",
    "nash_md_advantage",
    "regularized_nash",
    "win_rate",
    "xpo",
]


class MatrixGame(NamedTuple):
    """The equilibrium of a zero-sum game: the mixtures of both players, and the row's payoff."""

    row: Array
    column: Array
    value: float


def matrix_game(payoff: ArrayLike) -> MatrixGame:
    """The exact equilibrium of the zero-sum game ``max_p min_q p^T A q``, A (m, n).

    By linear programming, to 1e-9 of the range of A.
    """
    a = _arrays.matrix("payoff", payoff, "m", "n")
    m, n = a.shape
    row, column, value = new_array(m), new_array(n), new_array(1)
    lib.fpo_matrix_game_f64(
        m, n, address(a), leading_dimension(a), address(row), address(column), address(value)
    )
    return MatrixGame(row, column, float(value[0]))


def nash(preference: ArrayLike) -> Array:
    """The von Neumann winner (n,) of preferences P (n, n), ``P + P^T = 1``.

    A mixture that is preferred to every response at least half of the time.
    """
    p = _arrays.matrix("preference", preference)
    p = _arrays.matrix("preference", p, p.shape[0], p.shape[0])
    return matrix_game((p - p.T) / 2).row


def regularized_nash(
    preference: ArrayLike,
    reference: ArrayLike,
    *,
    tau: float,
    tolerance: float = 1e-10,
    max_iterations: int = 1_000_000,
) -> Array:
    """The equilibrium of Nash learning, ``pi = reference exp(P pi / tau) / Z``.

    Munos et al., arXiv:2312.00886, by magnetic mirror descent: about ``30 (0.5 / tau)^2`` steps.

    Parameters
    ----------
    preference
        P (n, n): the probability that the row beats the column.
    reference
        A distribution (n,).
    tau
        Weight of the divergence from the reference, above 0.
    tolerance, max_iterations
        Residual of ``log pi``, and steps.

    Raises
    ------
    ConvergenceError
        The tolerance was not met.
    """
    p = _arrays.matrix("preference", preference)
    n = p.shape[0]
    p = _arrays.matrix("preference", p, n, n)
    q = _arrays.vector("reference", reference, n)
    out = new_array(n)
    lib.fpo_regularized_nash_f64(
        n,
        address(p),
        leading_dimension(p),
        address(q),
        _arrays.positive("tau", tau),
        _arrays.positive("tolerance", tolerance),
        _arrays.integer("max_iterations", max_iterations, 0, 2**62),
        address(out),
        None,
    )
    return out


def nash_md_advantage(
    preference: ArrayLike, logps: ArrayLike, ref_logps: ArrayLike, *, tau: float
) -> Array:
    """Nash-MD's advantages ``P - 1/2 - tau (logp - ref_logp)`` of whole responses (n,).

    `preference` is that over a response of the opponent, which draws from `geometric_mixture`. The
    policy gradient with these advantages is unbiased.
    """
    p = _arrays.vector("preference", preference)
    a = _arrays.vector("logps", logps, p.size)
    b = _arrays.vector("ref_logps", ref_logps, p.size)
    out = new_array(p.size)
    lib.fpo_nash_md_advantage_f64(
        p.size, address(p), address(a), address(b), _arrays.scalar("tau", tau), address(out)
    )
    return out


def geometric_mixture(logits: ArrayLike, ref_logits: ArrayLike, coefficient: float = 0.5) -> Array:
    """Log-probabilities (n, v) of ``policy^(1 - c) reference^c``: Nash-MD's opponent."""
    z = _arrays.matrix("logits", logits)
    b = _arrays.matrix("ref_logits", ref_logits, *z.shape)
    out = new_array(*z.shape)
    lib.fpo_geometric_mixture_f64(
        *z.shape,
        address(z),
        leading_dimension(z),
        address(b),
        leading_dimension(b),
        _arrays.scalar("coefficient", coefficient),
        address(out),
    )
    return out


def win_rate(preference: ArrayLike, groups: ArrayLike | None = None) -> Array:
    """SPO's rewards (n,): the mean preference over the group's other samples; 1/2 without any.

    Swamy et al., arXiv:2401.04056. `preference` is P (n, n), `groups` integers (n,).
    """
    p = _arrays.matrix("preference", preference)
    n = p.shape[0]
    p = _arrays.matrix("preference", p, n, n)
    g = None if groups is None else integers("groups", groups, n)
    out = new_array(n)
    lib.fpo_win_rate_f64(n, address(p), leading_dimension(p), address(g), address(out))
    return out


class XPOLoss(NamedTuple):
    """The loss of each pair (n,), and its derivatives in the three log-probabilities."""

    loss: Array
    d_chosen: Array
    d_rejected: Array
    d_sample: Array


def xpo(
    chosen_logps: ArrayLike,
    rejected_logps: ArrayLike,
    ref_chosen_logps: ArrayLike,
    ref_rejected_logps: ArrayLike,
    sample_logps: ArrayLike,
    *,
    beta: float = 0.1,
    alpha: float = 1e-5,
) -> XPOLoss:
    """XPO: DPO, and ``alpha log pi(y~)`` of the response y~ that the reference drew.

    Xie et al., arXiv:2405.21046; ``alpha=0`` is online DPO. All arrays (n,). Where y~ is a member
    of the pair, add `d_sample` to that member's derivative.
    """
    w = _arrays.vector("chosen_logps", chosen_logps)
    n = w.size
    others = (
        _arrays.vector("rejected_logps", rejected_logps, n),
        _arrays.vector("ref_chosen_logps", ref_chosen_logps, n),
        _arrays.vector("ref_rejected_logps", ref_rejected_logps, n),
        _arrays.vector("sample_logps", sample_logps, n),
    )
    out = PairLoss(*(new_array(n) for _ in range(3)))
    weight = _arrays.scalar("alpha", alpha)
    lib.fpo_xpo_loss_f64(
        _arrays.positive("beta", beta),
        weight,
        n,
        address(w),
        *map(address, others),
        *map(address, out),
    )
    return XPOLoss(*out, np.full(n, weight))


class BestOfN(NamedTuple):
    """What is chosen (m,), its exact divergence from what was sampled, and the usual bound."""

    probability: Array
    kl: float
    bound: float


def best_of_n(probability: ArrayLike, score: ArrayLike, n: int) -> BestOfN:
    """The best of n samples from a distribution (m,) by a score (m,), exactly, ties included.

    ``bound`` is ``log n - (n - 1) / n``: the divergence without ties, of very many outcomes.
    """
    p = _arrays.vector("probability", probability)
    s = _arrays.vector("score", score, p.size)
    count = _arrays.integer("n", n, 1, 2**62)
    out, kl = new_array(p.size), new_array(1)
    lib.fpo_best_of_n_f64(p.size, address(p), address(s), count, address(out), address(kl))
    return BestOfN(out, float(kl[0]), float(np.log(count) - (count - 1) / count))


def best_of_n_estimate(proxy: ArrayLike, gold: ArrayLike, n: int) -> float:
    """Unbiased estimate of the gold score of the best of n by a proxy, from all samples (m,)."""
    p = _arrays.vector("proxy", proxy)
    g = _arrays.vector("gold", gold, p.size)
    out = new_array(1)
    lib.fpo_best_of_n_estimate_f64(
        p.size, address(p), address(g), _arrays.integer("n", n, 1, 2**62), address(out)
    )
    return float(out[0])
