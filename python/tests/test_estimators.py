"""The utility filter on plain arrays: against NumPy, and in a loop of one's own."""

from __future__ import annotations

import copy
from typing import Any

import fpo
import numpy as np
import pytest
from fpo import estimators
from fpo.errors import DomainError, FpoError, NonFiniteError, ShapeError
from kalman_reference import KalmanReference

SETTINGS: list[dict[str, Any]] = [
    {},
    {"estimates_curvature": False},
    {"utility_scale": 2, "length_scale": 0.5, "noise_scale": 0.1, "noise_memory": 0.5},
    {"noise_memory": 0},
]


@pytest.mark.parametrize("settings", SETTINGS, ids=str)
@pytest.mark.parametrize("d", [1, 2, 7])
def test_walk_is_that_of_numpy(d: int, settings: dict[str, Any]) -> None:
    rng = np.random.default_rng(d)
    start, slope = rng.normal(size=(2, d))
    ours = fpo.UtilityFilter(start, 0.7, slope, **settings)
    theirs = KalmanReference(start, 0.7, slope, **settings)
    position = start
    for count in (0, 1, 5, 13, 2, 40):
        position = position + 0.2 * rng.normal(size=d)
        x = position + 0.3 * rng.normal(size=(count, d))
        label = np.cos(x).sum(1) + 0.2 * rng.normal(size=count)
        probes = position + rng.normal(size=(11, d))
        for one in (ours, theirs):
            one.move(position)
            one.observe(x, label)
        for found, expected in zip(ours.estimate(probes), theirs.estimate(probes), strict=True):
            np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-9)
        state = [ours.level, *ours.slope, ours.curvature, ours.noise]
        expected = [*theirs.mean, theirs.variance**0.5]
        np.testing.assert_allclose(state, expected, rtol=1e-9, atol=1e-9)
        np.testing.assert_array_equal(ours.reference, position)


def test_defaults_are_those_of_the_simulated_penalty() -> None:
    p = fpo.Residual()
    same = {
        name: getattr(p, name)
        for name in ("utility_scale", "length_scale", "noise_scale", "noise_memory")
    }
    rng = np.random.default_rng(0)
    x, label = rng.normal(size=(20, 3)), rng.normal(size=20)
    default, spelled = (fpo.UtilityFilter(np.zeros(3), **kw) for kw in ({}, same))
    for one in (default, spelled):
        one.observe(x, label)
    np.testing.assert_array_equal(default.estimate(x)[0], spelled.estimate(x)[0])


def test_labels_in_one_call_or_in_many() -> None:
    rng = np.random.default_rng(1)
    wide = rng.normal(size=(30, 9))
    x, label = wide[:, 2:6], rng.normal(size=30)  # rows are not adjacent
    once, singly = fpo.UtilityFilter(np.ones(4)), fpo.UtilityFilter(np.ones(4))
    once.observe(x, label)
    for i in range(30):
        singly.observe(x[i : i + 1], label[i : i + 1])
    np.testing.assert_array_equal(once.estimate(x)[0], singly.estimate(x.copy())[0])
    single = [once.estimate(x[i : i + 1])[0][0] for i in range(30)]
    np.testing.assert_array_equal(once.estimate(x)[0], single)


def test_a_policy_of_ones_own_reaches_the_ideal() -> None:
    """r(y) = tilt . y + bias leads away. The bias is its one parameter: g = 1, P = e."""
    ideal, tilt = np.array([2.0, 0, 0]), np.array([0.5, 2.0, 0])

    def utility(y: np.ndarray) -> np.ndarray:
        return 10 * np.exp(-0.1 * ((y - ideal) ** 2).sum(-1))

    def play(weight: float) -> np.ndarray:
        rng = np.random.default_rng(2)
        policy = np.zeros(3)
        estimator = fpo.UtilityFilter(policy, level=0.0, slope=tilt)
        for _ in range(400):
            x = policy + 0.1 * rng.normal(size=(4, 3))
            estimator.move(policy)
            estimator.observe(x, utility(x) + 0.1 * rng.normal(size=4))
            # The penalty and its slope, at samples of the policy.
            y = policy + 0.1 * rng.normal(size=(8, 3))
            estimate, slope = estimator.estimate(y)
            penalty = fpo.penalties.relaxed(np.ones((8, 1)), y @ tilt - estimate)
            np.testing.assert_allclose(y @ tilt - penalty, estimate, rtol=1e-12, atol=1e-12)
            ascent = tilt - weight * (tilt - slope)
            policy = policy + 0.05 * np.clip(ascent.mean(0), -1, 1)
        return policy

    assert utility(play(0.0)) < 0.1
    assert utility(play(1.0)) > 9.9


def test_a_label_beyond_double_precision_changes_nothing() -> None:
    estimator = fpo.UtilityFilter([0.0, 0.0])
    estimator.observe([[0.1, 0.2]], [1.0])
    before = estimator.estimate([[1.0, 1.0]])[0]
    with pytest.raises(NonFiniteError, match="double precision"):
        estimator.observe([[0.1, 0.2], [0.3, 0.4]], [1.0, 1e300])
    with pytest.raises(NonFiniteError, match="double precision"):
        estimator.move([1e200, 0.0])
    np.testing.assert_array_equal(estimator.estimate([[1.0, 1.0]])[0], before)
    np.testing.assert_array_equal(estimator.reference, 0)


@pytest.mark.parametrize(
    ("arguments", "settings", "error", "name"),
    [
        (([],), {}, DomainError, "dimension"),
        (([[1.0]],), {}, ShapeError, "reference"),
        (([np.inf],), {}, NonFiniteError, "reference"),
        (([1.0], np.nan), {}, NonFiniteError, "level"),
        (([1.0], 0.0, [1.0, 2.0]), {}, ShapeError, "slope"),
        (([1.0],), {"utility_scale": 0}, DomainError, "utility_scale"),
        (([1.0],), {"length_scale": -1}, DomainError, "length_scale"),
        (([1.0],), {"noise_scale": np.nan}, NonFiniteError, "noise_scale"),
        (([1.0],), {"noise_memory": 1.1}, DomainError, "noise_memory"),
    ],
)
def test_errors_name_the_argument(
    arguments: tuple[Any, ...], settings: dict[str, Any], error: type[FpoError], name: str
) -> None:
    with pytest.raises(error, match=name):
        fpo.UtilityFilter(*arguments, **settings)


def test_shapes_are_those_of_the_filter() -> None:
    estimator = fpo.UtilityFilter(np.zeros(2))
    for call, name in (
        (lambda: estimator.move([1.0]), "reference"),
        (lambda: estimator.observe(np.zeros((3, 1)), np.zeros(3)), "x"),
        (lambda: estimator.observe(np.zeros((3, 2)), np.zeros(2)), "label"),
        (lambda: estimator.estimate(np.zeros(2)), "x"),
    ):
        with pytest.raises(ShapeError, match=name):
            call()
    assert estimator.estimate(np.zeros((0, 2)))[1].shape == (0, 2)
    with pytest.raises(TypeError, match="copied"):
        copy.deepcopy(estimator)
    assert "dimension=2" in repr(estimator)
    assert estimators.ridge is fpo.numerics.ridge
