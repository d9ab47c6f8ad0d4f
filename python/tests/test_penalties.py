"""Penalties of plain arrays against their formulas in NumPy, float64."""

from __future__ import annotations

import numpy as np
import pytest
from fpo import penalties
from fpo.errors import ConvergenceError, DomainError, NonFiniteError, ShapeError

SIZES = [(1, 1), (2, 5), (7, 3), (33, 17), (20, 200)]


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


def draw(n: int, p: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(1000 * n + p + seed)
    return rng.normal(size=(n, p)), rng.normal(size=(n, p)), rng.normal(size=n)


def exact(
    g: np.ndarray, v: np.ndarray, e: np.ndarray, c: np.ndarray, gbar: np.ndarray, delta: float
) -> np.ndarray:
    hessian = (v * c[:, None]).T @ v / len(v)
    return e * (v @ np.linalg.solve(hessian + delta * np.eye(g.shape[1]), gbar))


@pytest.mark.parametrize(("n", "p"), SIZES)
def test_practical(n: int, p: int) -> None:
    g, g0, _ = draw(n, p)
    np.testing.assert_allclose(penalties.practical(g), (g * g).sum(1), rtol=1e-12)
    np.testing.assert_allclose(
        penalties.practical(g, g0), ((g - g0) * g).sum(1), rtol=1e-10, atol=1e-11
    )
    shifted = penalties.practical(g, g0, shift_invariant=True)
    np.testing.assert_allclose(shifted, ((g - g0) ** 2).sum(1), rtol=1e-11)
    assert (shifted >= 0).all()
    np.testing.assert_allclose(
        penalties.practical(g + 3, g0 + 3, shift_invariant=True), shifted, rtol=1e-9
    )
    assert (penalties.practical(g, g) == 0).all()


@pytest.mark.parametrize(("n", "p"), SIZES)
def test_relaxed_is_overconfidence_times_practical(n: int, p: int) -> None:
    g, g0, e = draw(n, p)
    np.testing.assert_allclose(penalties.relaxed(g, e), e * (g * g).sum(1), rtol=1e-12)
    np.testing.assert_allclose(
        penalties.relaxed(g, e, g0), e * penalties.practical(g, g0), rtol=1e-12
    )


def test_overconfidence() -> None:
    rng = np.random.default_rng(1)
    r, r0, u = rng.normal(size=9), rng.normal(size=9), rng.uniform(size=9)
    np.testing.assert_allclose(penalties.overconfidence(r, u), r - u, rtol=1e-15)
    np.testing.assert_allclose(penalties.overconfidence(r, u, r0), sigmoid(r - r0) - u, atol=1e-15)
    far = penalties.overconfidence([800.0, -800.0], [1.0, 0.0], [-800.0, 800.0])
    np.testing.assert_allclose(far, 0, atol=1e-15)
    with pytest.raises(DomainError, match="label"):
        penalties.overconfidence(r, u + 2, r0)


@pytest.mark.parametrize(("n", "p"), SIZES)
@pytest.mark.parametrize("solver", ["gram", "conjugate-gradient"])
def test_exact(n: int, p: int, solver: str) -> None:
    g, g0, e = draw(n, p)
    for delta in (1e-2, 1.0):
        options = {"damping": delta, "solver": solver, "tolerance": 1e-13}
        np.testing.assert_allclose(
            penalties.exact(g, e, **options),
            exact(g, g, e, np.ones(n), g.mean(0), delta),
            rtol=1e-8,
            atol=1e-9,
        )
        r = np.random.default_rng(3).normal(size=n)
        c = sigmoid(r) * (1 - sigmoid(r))
        gbar = np.random.default_rng(4).normal(size=p)
        np.testing.assert_allclose(
            penalties.exact(g, e, g0, curvature=c, mean_gradient=gbar, **options),
            exact(g, g - g0, e, c, gbar, delta),
            rtol=1e-8,
            atol=1e-8,
        )


def test_both_solvers_agree_to_1e_8() -> None:
    g, g0, e = draw(40, 300)
    gram, iterated = (
        penalties.exact(g, e, g0, damping=0.1, solver=s, tolerance=1e-13)
        for s in ("gram", "conjugate_gradient")
    )
    np.testing.assert_allclose(gram, iterated, atol=1e-8 * np.abs(gram).max())


def test_damping_ends_at_the_cross_influence() -> None:
    """delta P -> e <g, gbar> as delta grows."""
    g, _, e = draw(12, 5)
    big = 1e9
    np.testing.assert_allclose(
        big * penalties.exact(g, e, damping=big), e * (g @ g.mean(0)), rtol=1e-6
    )


def test_an_intercept_makes_the_exact_reward_the_utility() -> None:
    """With a column of ones and delta -> 0, r - P = U on every sample of the fit."""
    rng = np.random.default_rng(6)
    g = np.hstack([rng.normal(size=(60, 4)), np.ones((60, 1))])
    utility = rng.normal(size=60)
    reward = g @ np.linalg.lstsq(g, utility, rcond=None)[0]
    penalty = penalties.exact(g, penalties.overconfidence(reward, utility), damping=1e-7)
    np.testing.assert_allclose(reward - penalty, utility, atol=1e-5)


def test_float32_sums_in_float64() -> None:
    g, g0, e = draw(11, 501)
    g32, h32 = g.astype(np.float32), g0.astype(np.float32)
    wide, other = g32.astype(float), h32.astype(float)
    np.testing.assert_allclose(penalties.practical(g32), (wide**2).sum(1), rtol=1e-12)
    np.testing.assert_allclose(
        penalties.relaxed(g32, e, h32), e * ((wide - other) * wide).sum(1), rtol=1e-5, atol=1e-4
    )
    np.testing.assert_allclose(penalties.practical(g32, g0), ((wide - g0) * wide).sum(1), rtol=1e-9)


def test_influence() -> None:
    g, h, _ = draw(6, 8)
    np.testing.assert_allclose(penalties.self_influence(g, learning_rate=0.3), 0.3 * (g**2).sum(1))
    np.testing.assert_allclose(
        penalties.influence(g, h[:4], learning_rate=0.3), 0.3 * g @ h[:4].T, atol=1e-13
    )
    narrow = penalties.influence(g.astype(np.float32), h.astype(np.float32))
    np.testing.assert_allclose(narrow, g @ h.T, atol=1e-5)
    np.testing.assert_allclose(np.diag(penalties.influence(g, g)), penalties.self_influence(g))


def test_rows_apart_and_transposed_are_read_as_they_are() -> None:
    big = np.random.default_rng(0).normal(size=(10, 30))
    for view in (big[:, 3:9], big[::2, :5], big.T[:6], np.asfortranarray(big), big[::-1, ::-1]):
        np.testing.assert_allclose(penalties.practical(view), (view**2).sum(1), rtol=1e-13)


def test_no_rows_give_no_penalties() -> None:
    empty = np.empty((0, 4))
    assert penalties.practical(empty).shape == (0,)
    assert penalties.relaxed(empty, np.empty(0)).shape == (0,)
    assert penalties.influence(empty, np.ones((3, 4))).shape == (0, 3)


def test_a_batch_is_its_rows_bit_for_bit() -> None:
    g, g0, e = draw(33, 129)
    whole = penalties.relaxed(g, e, g0)
    rows = [penalties.relaxed(g[[i]], e[[i]], g0[[i]])[0] for i in range(33)]
    assert (whole == rows).all()


def test_arguments_are_named() -> None:
    g, g0, e = draw(4, 3)
    with pytest.raises(ShapeError, match="reference"):
        penalties.practical(g, g0[:2])
    with pytest.raises(ShapeError, match="overconfidence"):
        penalties.relaxed(g, e[:2])
    with pytest.raises(NonFiniteError, match="gradients"):
        penalties.practical(np.where(g == g[0, 0], np.inf, g))
    with pytest.raises(DomainError, match="damping"):
        penalties.exact(g, e, damping=-1)
    with pytest.raises(DomainError, match="solver"):
        penalties.exact(g, e, damping=1, solver="lu")
    with pytest.raises(ShapeError, match="gradients"):
        penalties.practical(np.empty((3, 0)))
    with pytest.raises(ShapeError, match="mean_gradient"):
        penalties.exact(g, e, damping=1, mean_gradient=np.ones(7))
    with pytest.raises(ConvergenceError):
        penalties.exact(
            np.random.default_rng(0).normal(size=(60, 60)) * 10.0 ** np.arange(-3, 3, 0.1),
            np.ones(60),
            damping=1e-9,
            solver="conjugate-gradient",
            max_iterations=1,
        )
