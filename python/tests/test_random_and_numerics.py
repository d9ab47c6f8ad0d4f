"""Random draws and dense numerics against mathematics and NumPy in float64."""

from __future__ import annotations

import math

import fpo
import numpy as np
import pytest
from fpo import numerics, random
from fpo.errors import (
    ConvergenceError,
    DomainError,
    DTypeError,
    NonFiniteError,
    ShapeError,
    SingularError,
)


def spd(n: int, seed: int) -> np.ndarray:
    root = np.random.default_rng(seed).normal(size=(n, n))
    return root @ root.T + n * np.eye(n)


def test_the_generator_is_threefry_2x32_20() -> None:
    """Independent implementation of Salmon et al., SC 2011; keys must be made of its blocks."""

    def rotate(x: int, by: int) -> int:
        return ((x << by) | (x >> (32 - by))) & 0xFFFFFFFF

    def threefry(key: tuple[int, int], counter: tuple[int, int]) -> tuple[int, int]:
        rotations = (13, 15, 26, 6, 17, 29, 16, 24)
        schedule = (*key, 0x1BD11BDA ^ key[0] ^ key[1])
        x0, x1 = ((c + k) & 0xFFFFFFFF for c, k in zip(counter, key, strict=True))
        for i in range(20):
            x0 = (x0 + x1) & 0xFFFFFFFF
            x1 = rotate(x1, rotations[i % 8]) ^ x0
            if i % 4 == 3:
                j = i // 4 + 1
                x0 = (x0 + schedule[j % 3]) & 0xFFFFFFFF
                x1 = (x1 + schedule[(j + 1) % 3] + j) & 0xFFFFFFFF
        return x0, x1

    assert threefry((0, 0), (0, 0)) == (0x6B200159, 0x99BA4EFE)  # published test vector
    key = random.key(5)
    halves = (key & 0xFFFFFFFF, key >> 32)
    words = {word for i in range(8) for word in threefry(halves, (i, 0))}
    words |= {word for i in range(8) for word in threefry(halves, (0, i))}
    expected = {((word >> 9) + 0.5) / 2**23 for word in words}
    assert set(random.uniform(key, 8)) <= expected


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_moments_of_the_draws(dtype: type) -> None:
    n = 200_000
    uniform, normal = (
        draw(random.key(3), n, dtype).astype(float) for draw in (random.uniform, random.normal)
    )
    assert 0 < uniform.min() and uniform.max() < 1
    assert abs(uniform.mean() - 0.5) < 5 * math.sqrt(1 / 12 / n)
    assert abs(normal.mean()) < 5 / math.sqrt(n)
    assert abs(normal.var() - 1) < 5 * math.sqrt(2 / n)
    assert abs((normal**3).mean()) < 5 * math.sqrt(15 / n)
    assert abs((normal**4).mean() - 3) < 5 * math.sqrt(96 / n)


def test_a_stream_depends_on_key_and_index_alone() -> None:
    long, short = random.normal(random.key(1), 100), random.normal(random.key(1), 33)
    assert (long[:33] == short).all()
    assert (random.normal(random.key(1), (4, 25)).ravel() == long).all()
    keys = {random.fold(random.key(1), index) for index in range(1000)} | {random.key(1)}
    assert len(keys) == 1001
    assert abs(np.corrcoef(*(random.normal(k, 5000) for k in list(keys)[:2]))[0, 1]) < 0.08


def test_keys_are_checked() -> None:
    assert random.normal(random.key(2**64 - 1), 0).size == 0
    for bad in (-1, 2**64):
        with pytest.raises(DomainError, match="seed"):
            random.key(bad)
    with pytest.raises(DTypeError, match="key"):
        random.uniform(1.5, 3)  # type: ignore[arg-type]
    with pytest.raises(DTypeError, match="dtype"):
        random.uniform(1, 3, np.int32)


REFERENCES = {
    "exp": np.exp,
    "log": lambda x: np.log(np.abs(x) + 1e-30),
    "tanh": np.tanh,
    "sigmoid": lambda x: (
        np.where(x >= 0, 1 / (1 + np.exp(-np.abs(x))), 0)
        + np.where(x < 0, np.exp(-np.abs(x)) / (1 + np.exp(-np.abs(x))), 0)
    ),
    "softplus": lambda x: np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x))),
}


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", sorted(REFERENCES))
def test_elementary_functions(name: str, dtype: type) -> None:
    x = np.random.default_rng(0).normal(scale=10, size=(37, 29)).astype(dtype)
    if name == "log":
        x = np.abs(x) + dtype(1e-30)
        expected = np.log(x.astype(float))
    else:
        expected = REFERENCES[name](x.astype(float))
    y = getattr(numerics, name)(x)
    assert y.dtype == dtype and y.shape == x.shape
    scale = np.maximum(np.abs(expected), np.finfo(dtype).tiny)
    assert (np.abs(y - expected) / scale).max() < 8 * np.finfo(dtype).eps


def test_elementary_functions_at_their_limits() -> None:
    x = [-np.inf, 0.0, np.inf, np.nan]
    for name, limits in {
        "exp": [0, 1, np.inf, np.nan],
        "tanh": [-1, 0, 1, np.nan],
        "sigmoid": [0, 0.5, 1, np.nan],
        "softplus": [0, math.log(2), np.inf, np.nan],
        "log": [np.nan, -np.inf, np.inf, np.nan],
    }.items():
        for dtype in (np.float32, np.float64):
            found = getattr(numerics, name)(np.array(x, dtype=dtype))
            np.testing.assert_allclose(found, limits, rtol=1e-6, err_msg=name)
    assert numerics.exp(0.0).shape == ()
    assert numerics.exp([]).size == 0


@pytest.mark.parametrize("n", [1, 2, 7, 40])
def test_solvers_agree_with_numpy(n: int) -> None:
    a, rng = spd(n, n), np.random.default_rng(n)
    b, many = rng.normal(size=n), rng.normal(size=(n, 3))
    np.testing.assert_allclose(numerics.cholesky_solve(a, b), np.linalg.solve(a, b), rtol=1e-10)
    np.testing.assert_allclose(
        numerics.cholesky_solve(a, many), np.linalg.solve(a, many), rtol=1e-10
    )
    x, iterations = numerics.conjugate_gradient(a, b, tolerance=1e-12)
    np.testing.assert_allclose(x, np.linalg.solve(a, b), rtol=1e-8)
    assert 1 <= iterations <= 10 * n


def test_solvers_read_rows_that_are_apart() -> None:
    wide = np.zeros((5, 9))
    wide[:, :5] = spd(5, 1)
    b = np.arange(5.0)
    expected = np.linalg.solve(wide[:, :5], b)
    np.testing.assert_allclose(numerics.cholesky_solve(wide[:, :5], b), expected)
    np.testing.assert_allclose(numerics.cholesky_solve(np.asfortranarray(wide[:, :5]), b), expected)


def test_only_the_lower_triangle_is_read() -> None:
    a, b = spd(6, 2), np.ones(6)
    np.testing.assert_allclose(numerics.cholesky_solve(np.tril(a), b), np.linalg.solve(a, b))


def test_solvers_say_what_is_wrong() -> None:
    with pytest.raises(SingularError):
        numerics.cholesky_solve(-np.eye(3), np.ones(3))
    with pytest.raises(ArithmeticError):
        numerics.cholesky_solve(np.zeros((2, 2)), np.ones(2))
    with pytest.raises(ConvergenceError):
        numerics.conjugate_gradient(np.diag(10.0 ** np.arange(12)), np.ones(12), max_iterations=2)
    with pytest.raises(ShapeError, match="a: expected shape"):
        numerics.cholesky_solve(np.ones((2, 3)), np.ones(2))
    with pytest.raises(ShapeError, match="b: expected shape"):
        numerics.cholesky_solve(np.eye(2), np.ones(3))
    with pytest.raises(NonFiniteError, match=r"a: .*nan at \[1, 0\]"):
        numerics.cholesky_solve([[1, 0], [np.nan, 1]], np.ones(2))
    with pytest.raises(DomainError, match="tolerance"):
        numerics.conjugate_gradient(np.eye(2), np.ones(2), tolerance=0)
    with pytest.raises(DTypeError, match="b"):
        numerics.cholesky_solve(np.eye(2), ["x", "y"])


@pytest.mark.parametrize(("n", "d"), [(1, 3), (4, 9), (9, 4), (50, 10)])
def test_ridge_is_the_formula(n: int, d: int) -> None:
    rng = np.random.default_rng(n * d)
    x, u, kappa = rng.normal(size=(n, d)), rng.normal(size=n), 0.3
    centred = x - x.mean(axis=0)
    beta = np.linalg.solve(centred.T @ centred + kappa * np.eye(d), centred.T @ (u - u.mean()))
    fit = numerics.ridge(x, u, kappa=kappa)
    np.testing.assert_allclose(fit.coefficients, beta, atol=1e-11)
    np.testing.assert_allclose(fit.mean_x, x.mean(axis=0), atol=1e-13)
    assert fit.mean_u == pytest.approx(u.mean(), abs=1e-13)
    np.testing.assert_allclose(fit(x), u.mean() + centred @ beta, atol=1e-11)


def test_ridge_is_checked() -> None:
    with pytest.raises(DomainError, match="kappa"):
        numerics.ridge(np.eye(2), np.ones(2), kappa=0)
    with pytest.raises(ValueError, match="n|row|at least"):
        numerics.ridge(np.empty((0, 2)), np.empty(0))


def test_errors_are_fpo_errors() -> None:
    for error in (SingularError, ShapeError, DTypeError, NonFiniteError):
        assert issubclass(error, fpo.FpoError)
