"""Elementary functions and dense solves, as the library computes them.

The elementary functions take float32 or float64 arrays of any shape (other real numbers are read
as float64) and return an array of the same kind; NaN and infinities go to the limits. Bounds on
their error, in units in the last place, stand in ``docs/math/elementary.md``.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from . import _arrays
from ._arrays import Array
from ._lib import address, byref, c_int64, leading_dimension, lib, new_array

__all__ = [
    "Ridge",
    "cholesky_solve",
    "conjugate_gradient",
    "exp",
    "log",
    "ridge",
    "sigmoid",
    "softplus",
    "tanh",
]


def _elementwise(function: str, x: ArrayLike) -> NDArray[Any]:
    array = _arrays.real("x", x, None, dtype=None, finite=False)
    values = array.ravel()
    out = np.empty_like(values)
    scalar = "f32" if values.dtype == np.float32 else "f64"
    getattr(lib, f"fpo_{function}_{scalar}")(values.size, address(values), address(out))
    return out.reshape(array.shape)


def exp(x: ArrayLike) -> NDArray[Any]:
    """``e^x``, elementwise."""
    return _elementwise("exp", x)


def log(x: ArrayLike) -> NDArray[Any]:
    """The natural logarithm, elementwise; NaN below zero."""
    return _elementwise("log", x)


def tanh(x: ArrayLike) -> NDArray[Any]:
    """The hyperbolic tangent, elementwise."""
    return _elementwise("tanh", x)


def sigmoid(x: ArrayLike) -> NDArray[Any]:
    """``1 / (1 + e^-x)``, elementwise."""
    return _elementwise("sigmoid", x)


def softplus(x: ArrayLike) -> NDArray[Any]:
    """``log(1 + e^x)``, elementwise."""
    return _elementwise("softplus", x)


def cholesky_solve(a: ArrayLike, b: ArrayLike) -> Array:
    """Solves ``A X = B`` for a symmetric positive definite ``A``, by Cholesky.

    Parameters
    ----------
    a
        (n, n), of which the lower triangle is read.
    b
        (n, m), or (n,).

    Returns
    -------
    X, of the shape of `b`.

    Raises
    ------
    SingularError
        `a` is not positive definite.
    """
    matrix = _arrays.matrix("a", a, "n", "n")
    n = matrix.shape[0]
    matrix = _arrays.matrix("a", matrix, n, n)
    right = _arrays.real("b", b, None)
    column = right.ndim == 1
    right = _arrays.real("b", right[:, None] if column else right, (n, "m"))
    x = new_array(*right.shape)
    lib.fpo_cholesky_solve_f64(
        n,
        right.shape[1],
        address(matrix),
        leading_dimension(matrix),
        address(right),
        leading_dimension(right),
        address(x),
        leading_dimension(x),
    )
    return x[:, 0] if column else x


def conjugate_gradient(
    a: ArrayLike, b: ArrayLike, *, tolerance: float = 1e-10, max_iterations: int | None = None
) -> tuple[Array, int]:
    """Solves ``A x = b`` for a symmetric positive definite ``A`` by conjugate gradient.

    Parameters
    ----------
    a
        (n, n).
    b
        (n,).
    tolerance
        Ends when ``|b - A x| <= tolerance |b|``.
    max_iterations
        Default ``10 n``.

    Returns
    -------
    ``x`` (n,), and the number of iterations.

    Raises
    ------
    ConvergenceError
        The tolerance was not met within `max_iterations`.
    """
    matrix = _arrays.matrix("a", a, "n", "n")
    n = matrix.shape[0]
    matrix = _arrays.matrix("a", matrix, n, n)
    right = _arrays.vector("b", b, n)
    limit = 10 * n if max_iterations is None else max_iterations
    x, iterations = new_array(n), c_int64()
    lib.fpo_conjugate_gradient_f64(
        n,
        address(matrix),
        leading_dimension(matrix),
        address(right),
        _arrays.positive("tolerance", tolerance),
        _arrays.integer("max_iterations", limit, 1, 2**62),
        address(x),
        byref(iterations),
    )
    return x, iterations.value


class Ridge(NamedTuple):
    """A ridge regression around the mean; call it on actions (n, d) for its estimate (n,)."""

    coefficients: Array
    mean_x: Array
    mean_u: float

    def __call__(self, x: ArrayLike) -> Array:
        """``mean_u + (x - mean_x) . coefficients`` of the rows of x (n, d)."""
        rows = _arrays.matrix("x", x, "n", self.mean_x.size)
        return self.mean_u + (rows - self.mean_x) @ self.coefficients


def ridge(x: ArrayLike, u: ArrayLike, *, kappa: float = 1.0) -> Ridge:
    """Ridge regression around the mean, as residual FPO uses it on the label buffer.

    ``coefficients = ((X - mu)^T (X - mu) + kappa I)^-1 (X - mu)^T (u - mean u)``

    Parameters
    ----------
    x
        (n, d), n >= 1.
    u
        (n,).
    kappa
        The ridge, above 0.

    Returns
    -------
    `Ridge`: ``coefficients`` (d,), ``mean_x`` (d,), ``mean_u``.
    """
    rows = _arrays.matrix("x", x, "n", "d")
    n, d = rows.shape
    values = _arrays.vector("u", u, n)
    coefficients, mean_x, mean_u = new_array(d), new_array(d), new_array(1)
    lib.fpo_ridge_f64(
        n,
        d,
        address(rows),
        leading_dimension(rows),
        address(values),
        _arrays.positive("kappa", kappa),
        address(coefficients),
        address(mean_x),
        address(mean_u),
    )
    return Ridge(coefficients, mean_x, float(mean_u[0]))
