"""FPO penalties: as functions of arrays, and as objects that an environment is played with.

A penalty ``P`` is subtracted from the reward after multiplication by a weight ``lambda``. It has
the form *overconfidence x alignment*. Rows are samples; ``g`` (n, p) are gradients of the reward in
its parameters (or features, for a linear head); with a reference response the loss of the reward
model is Bradley-Terry and ``v = g - g_reference``, without it is the squared error and ``v = g``.

==========  ======================================================================================
practical   ``<v, g>``; shift-invariant ``<v, v>``
relaxed     ``e <v, g>``, with the overconfidence ``e``
residual    the same, with the overconfidence against an estimate fitted to past labels
exact       ``e <v, (H + delta I)^-1 gbar>``, the leader's true gradient as delta -> 0
==========  ======================================================================================

Gauthier, Bach and Jordan, *Explaining and Preventing Alignment Collapse in Iterative RLHF*, 2026,
arXiv:2605.04266. The residual penalty is ours; see ``docs/methods.md``.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from . import _arrays, _lib
from ._arrays import Array
from ._configuration import one_of
from ._lib import address, leading_dimension, lib, new_array
from ._penalty_kinds import Exact, Myopic, Penalty, Practical, Relaxed, Residual
from .errors import DomainError

__all__ = [
    "Exact",
    "Myopic",
    "Penalty",
    "Practical",
    "Relaxed",
    "Residual",
    "exact",
    "influence",
    "overconfidence",
    "practical",
    "relaxed",
    "self_influence",
]


# --------------------------------------------------------------------------- functions of arrays


def _gradients(
    gradients: ArrayLike, reference: ArrayLike | None
) -> tuple[NDArray[Any], NDArray[Any] | None, str]:
    """Both matrices in one precision, and its suffix: float32 only if all are."""
    g = _arrays.matrix("gradients", gradients, dtype=None)
    if reference is None:
        return g, None, _suffix(g)
    other = _arrays.matrix("reference", reference, g.shape[0], g.shape[1], dtype=None)
    if other.dtype != g.dtype:
        g, other = g.astype(np.float64, copy=False), other.astype(np.float64, copy=False)
    return g, other, _suffix(g)


def _suffix(array: NDArray[Any]) -> str:
    return "f32" if array.dtype == np.float32 else "f64"


def overconfidence(
    reward: ArrayLike, label: ArrayLike, reference_reward: ArrayLike | None = None
) -> Array:
    """How far the reward model lies above the label.

    ``e = reward - label``, or ``e = sigmoid(reward - reference_reward) - label`` against a
    reference.

    Parameters
    ----------
    reward
        (n,).
    label
        (n,): the utility; with a reference the soft label in [0, 1] that the response is preferred.
    reference_reward
        (n,), or None.

    Returns
    -------
    ``e`` (n,).
    """
    r = _arrays.vector("reward", reward)
    n = r.size
    u = _arrays.vector("label", label, n)
    r0 = (
        None
        if reference_reward is None
        else _arrays.vector("reference_reward", reference_reward, n)
    )
    out = new_array(n)
    lib.fpo_overconfidence_f64(n, address(r), address(r0), address(u), address(out))
    return out


def practical(
    gradients: ArrayLike, reference: ArrayLike | None = None, *, shift_invariant: bool = False
) -> Array:
    """The practical penalty ``<v, g>``; ``|g|^2`` without a reference.

    Parameters
    ----------
    gradients
        g (n, p), float64 or float32; sums run in float64.
    reference
        Gradients at the reference responses (n, p), or None.
    shift_invariant
        ``<v, v>`` instead: never negative, and blind to a constant added to all gradients.

    Returns
    -------
    ``P`` (n,).
    """
    g, g0, suffix = _gradients(gradients, reference)
    out = new_array(g.shape[0])
    getattr(lib, f"fpo_practical_penalty_{suffix}")(
        *g.shape,
        address(g),
        leading_dimension(g),
        address(g0),
        leading_dimension(g0),
        int(bool(shift_invariant)),
        address(out),
    )
    return out


def relaxed(
    gradients: ArrayLike, overconfidence: ArrayLike, reference: ArrayLike | None = None
) -> Array:
    """The relaxed penalty ``e <v, g>``; with an estimated overconfidence, the residual one.

    Parameters
    ----------
    gradients
        g (n, p), float64 or float32.
    overconfidence
        ``e`` (n,), as `fpo.penalties.overconfidence` returns it.
    reference
        Gradients at the reference responses (n, p), or None.

    Returns
    -------
    ``P`` (n,).
    """
    g, g0, suffix = _gradients(gradients, reference)
    e = _arrays.vector("overconfidence", overconfidence, g.shape[0])
    out = new_array(g.shape[0])
    getattr(lib, f"fpo_relaxed_penalty_{suffix}")(
        *g.shape,
        address(g),
        leading_dimension(g),
        address(g0),
        leading_dimension(g0),
        address(e),
        address(out),
    )
    return out


def exact(
    gradients: ArrayLike,
    overconfidence: ArrayLike,
    reference: ArrayLike | None = None,
    *,
    damping: float,
    curvature: ArrayLike | None = None,
    mean_gradient: ArrayLike | None = None,
    solver: str = "gram",
    tolerance: float = 1e-10,
    max_iterations: int | None = None,
) -> Array:
    """The exact penalty ``e <v, (H + delta I)^-1 gbar>``, ``H = (1/n) sum_i c_i v_i v_i^T``.

    Parameters
    ----------
    gradients
        g (n, p).
    overconfidence
        ``e`` (n,).
    reference
        Gradients at the reference responses (n, p), or None.
    damping
        delta > 0.
    curvature
        ``c`` (n,); None for ones, the squared error with its factor 2 absorbed in lambda. For
        Bradley-Terry ``s (1 - s)``, ``s = sigmoid(reward - reference_reward)``.
    mean_gradient
        ``gbar`` (p,); None for the mean of `gradients`.
    solver
        "gram" solves the (n, n) or the (p, p) system, the smaller one, by Cholesky;
        "conjugate-gradient" forms no matrix.
    tolerance, max_iterations
        Of the conjugate gradient: relative residual, and iterations (default 10 times n or p, the
        smaller).

    Returns
    -------
    ``P`` (n,).

    Raises
    ------
    ConvergenceError
        The conjugate gradient did not meet its tolerance.
    """
    g = _arrays.matrix("gradients", gradients)
    n, p = g.shape
    g0 = None if reference is None else _arrays.matrix("reference", reference, n, p)
    e = _arrays.vector("overconfidence", overconfidence, n)
    c = None if curvature is None else _arrays.vector("curvature", curvature, n)
    gbar = None if mean_gradient is None else _arrays.vector("mean_gradient", mean_gradient, p)
    out = new_array(n)
    lib.fpo_exact_penalty_f64(
        n,
        p,
        address(g),
        leading_dimension(g),
        address(g0),
        leading_dimension(g0),
        address(e),
        address(c),
        address(gbar),
        _arrays.positive("damping", damping),
        solver_code(solver),
        *iteration_limits(tolerance, max_iterations, min(n, p)),
        address(out),
    )
    return out


def solver_code(solver: str) -> int:
    """The library's number of a solver's name."""
    try:
        return _lib.SOLVERS[solver.replace("_", "-")]
    except (KeyError, AttributeError):
        raise DomainError(
            f"solver: expected {one_of(tuple(_lib.SOLVERS))}, got {solver!r}"
        ) from None


def iteration_limits(tolerance: float, max_iterations: int | None, rank: int) -> tuple[float, int]:
    """Checked limits of a conjugate gradient over a matrix of at most this rank."""
    limit = 10 * max(rank, 1) if max_iterations is None else max_iterations
    return (
        _arrays.positive("tolerance", tolerance),
        _arrays.integer("max_iterations", limit, 1, 2**62),
    )


def self_influence(gradients: ArrayLike, *, learning_rate: float = 1.0) -> Array:
    """TracIn self-influence ``eta |g_i|^2`` at one checkpoint; sum over checkpoints yourself.

    Pruthi et al., *Estimating Training Data Influence by Tracing Gradient Descent*, 2020,
    arXiv:2002.08484, eq. 2. `gradients` (n, p) are those of the loss. Returns (n,).
    """
    g = _arrays.matrix("gradients", gradients, dtype=None)
    out = new_array(g.shape[0])
    getattr(lib, f"fpo_self_influence_{_suffix(g)}")(
        *g.shape,
        address(g),
        leading_dimension(g),
        _arrays.scalar("learning_rate", learning_rate),
        address(out),
    )
    return out


def influence(gradients: ArrayLike, others: ArrayLike, *, learning_rate: float = 1.0) -> Array:
    """TracIn influence ``eta <g_i, g'_j>`` of samples on others at one checkpoint.

    Source as for `self_influence`. `gradients` (n, p), `others` (m, p). Returns (n, m).
    """
    g = _arrays.matrix("gradients", gradients, dtype=None)
    n, p = g.shape
    h = _arrays.matrix("others", others, "m", p, dtype=None)
    if h.dtype != g.dtype:
        g, h = g.astype(np.float64, copy=False), h.astype(np.float64, copy=False)
    out = new_array(n, h.shape[0])
    getattr(lib, f"fpo_influence_{_suffix(g)}")(
        n,
        h.shape[0],
        p,
        address(g),
        leading_dimension(g),
        address(h),
        leading_dimension(h),
        _arrays.scalar("learning_rate", learning_rate),
        address(out),
        leading_dimension(out),
    )
    return out
