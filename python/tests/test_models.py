"""Reward models against NumPy, and every derivative against finite differences."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from fpo import LinearReward, MLPReward, RewardModel, penalties
from fpo.errors import DomainError, FpoError, ShapeError

MODELS = {
    "linear": lambda: LinearReward(4),
    "linear with bias": lambda: LinearReward(4, bias=True),
    "one layer": lambda: MLPReward(4, [5]),
    "two layers": lambda: MLPReward(4, [6, 3]),
    "three layers": lambda: MLPReward(4, (3, 7, 2)),
}


@pytest.fixture(params=sorted(MODELS))
def model(request: pytest.FixtureRequest) -> RewardModel:
    made: RewardModel = MODELS[request.param]()
    made.flat = np.random.default_rng(1).normal(size=made.parameter_count)
    return made


def forward(model: RewardModel, flat: np.ndarray, y: np.ndarray) -> np.ndarray:
    """The network, in NumPy."""
    tensors = dict(zip(model.shapes, split(model, flat), strict=True))
    layers = sorted(name.removesuffix("weight") for name in model.shapes if "weight" in name)
    h = y
    for layer in layers:
        h = h @ np.atleast_2d(tensors[f"{layer}weight"]).T + tensors.get(f"{layer}bias", 0)
        if layer != layers[-1]:
            h = np.logaddexp(0, h)
    return h[:, 0]


def split(model: RewardModel, flat: np.ndarray) -> list[np.ndarray]:
    parts, at = [], 0
    for shape in model.shapes.values():
        size = int(np.prod(shape))
        parts.append(flat[at : at + size].reshape(shape))
        at += size
    return parts


def slope_of(f, x: np.ndarray, step: float = 1e-3) -> np.ndarray:  # type: ignore[no-untyped-def]
    """Fourth-order central differences."""
    out = np.empty_like(x)
    for k in np.ndindex(x.shape):
        values = []
        for shift in (-2, -1, 1, 2):
            moved = x.copy()
            moved[k] += shift * step
            values.append(f(moved))
        out[k] = (values[0] - 8 * values[1] + 8 * values[2] - values[3]) / (12 * step)
    return out


def close(found: np.ndarray, expected: np.ndarray, bound: float) -> None:
    scale = max(float(np.abs(expected).max()), 1e-4)
    assert float(np.abs(found - expected).max()) < bound * scale


def actions(n: int = 5, seed: int = 2) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(n, 4))


def test_names_and_shapes_are_those_of_torch() -> None:
    assert MLPReward(10, (32, 32)).shapes == {
        "net.0.weight": (32, 10),
        "net.0.bias": (32,),
        "net.2.weight": (32, 32),
        "net.2.bias": (32,),
        "net.4.weight": (1, 32),
        "net.4.bias": (1,),
    }
    assert MLPReward(10, (32, 32)).parameter_count == 1441
    assert LinearReward(7).parameter_count == 7
    assert LinearReward(7, bias=True).parameter_count == 8


def test_reward(model: RewardModel) -> None:
    y = actions()
    np.testing.assert_allclose(model.reward(y), forward(model, model.flat, y), rtol=1e-12)


def test_slope(model: RewardModel) -> None:
    for y in actions():
        numerical = slope_of(lambda x: forward(model, model.flat, x[None])[0], y)
        close(model.slope(y[None])[0], numerical, 1e-8)


def test_gradients(model: RewardModel) -> None:
    for y in actions():
        numerical = slope_of(lambda p: forward(model, p, y[None])[0], model.flat)  # noqa: B023
        close(model.gradients(y[None])[0], numerical, 1e-8)


def test_gram_is_that_of_the_gradients(model: RewardModel) -> None:
    a, b = actions(6), actions(3, seed=9)
    expected = model.gradients(a) @ model.gradients(b).T
    np.testing.assert_allclose(model.gram(a, b), expected, rtol=1e-11, atol=1e-11)
    np.testing.assert_allclose(np.diag(model.gram(a)), (model.gradients(a) ** 2).sum(1), rtol=1e-12)


@pytest.mark.parametrize("preference", [False, True])
def test_loss(model: RewardModel, preference: bool) -> None:
    y, y0 = actions(), actions(seed=5) if preference else None
    label = np.random.default_rng(4).uniform(size=5)

    def loss(flat: np.ndarray) -> float:
        r = forward(model, flat, y)
        if y0 is None:
            return float(((r - label) ** 2).mean())
        z = r - forward(model, flat, y0)
        return float((label * np.logaddexp(0, -z) + (1 - label) * np.logaddexp(0, z)).mean())

    value, gradient = model.loss(y, label, y0)
    assert value == pytest.approx(loss(model.flat), rel=1e-12)
    close(gradient, slope_of(loss, model.flat), 1e-8)


@pytest.mark.parametrize("preference", [False, True])
@pytest.mark.parametrize("solver", ["gram", "conjugate-gradient"])
def test_steering_direction(model: RewardModel, preference: bool, solver: str) -> None:
    y, policy = actions(8), actions(5, seed=7)
    y0 = actions(8, seed=5) if preference else None
    v = model.gradients(y) - (0 if y0 is None else model.gradients(y0))
    c = np.ones(8)
    if y0 is not None:
        s = 1 / (1 + np.exp(model.reward(y0) - model.reward(y)))
        c = s * (1 - s)
    hessian = (v * c[:, None]).T @ v / 8
    gbar = model.gradients(policy).mean(0)
    expected = np.linalg.solve(hessian + 0.1 * np.eye(len(gbar)), gbar)
    found = model.steering_direction(y, policy, y0, damping=0.1, solver=solver, tolerance=1e-13)
    close(found, expected, 1e-8)


@pytest.mark.parametrize("shift_invariant", [False, True])
@pytest.mark.parametrize("preference", [False, True])
@pytest.mark.parametrize("labelled", [False, True])
def test_penalty_and_its_slope(
    model: RewardModel, labelled: bool, preference: bool, shift_invariant: bool
) -> None:
    y, y0 = actions(), actions(seed=5) if preference else None
    rng = np.random.default_rng(4)
    label, tilt = rng.uniform(0.2, 0.8, size=5), 0.1 * rng.normal(size=(5, 4))

    def value(x: np.ndarray, i: int) -> float:
        one = x[None]
        g = model.gradients(one)[0]
        v = g if y0 is None else g - model.gradients(y0[[i]])[0]
        e = 1.0
        if labelled:
            u = label[i] + tilt[i] @ (x - y[i])
            r = model.reward(one)[0]
            e = r - u if y0 is None else 1 / (1 + np.exp(model.reward(y0[[i]])[0] - r)) - u
        return float(e * (v @ v if shift_invariant else v @ g))

    options = {"label": label, "label_slope": tilt} if labelled else {}
    found, slope = model.penalty(y, reference=y0, shift_invariant=shift_invariant, **options)
    np.testing.assert_allclose(found, [value(y[i], i) for i in range(5)], rtol=1e-9, atol=1e-10)
    for i in range(5):
        close(slope[i], slope_of(lambda x: value(x, i), y[i]), 1e-6)  # noqa: B023


def test_penalty_along_a_direction(model: RewardModel) -> None:
    y, direction = actions(), np.random.default_rng(8).normal(size=model.parameter_count)
    found, slope = model.penalty(y, direction=direction)
    np.testing.assert_allclose(found, model.gradients(y) @ direction, rtol=1e-10, atol=1e-12)
    for i in range(5):
        numerical = slope_of(lambda x: float(model.gradients(x[None])[0] @ direction), y[i])
        close(slope[i], numerical, 1e-6)


def test_a_label_without_slope_is_held_constant(model: RewardModel) -> None:
    y, label = actions(), np.full(5, 0.3)
    held, zero = (model.penalty(y, label, label_slope=s)[1] for s in (None, np.zeros((5, 4))))
    np.testing.assert_array_equal(held, zero)


def test_arrays_and_models_give_the_same_penalty(model: RewardModel) -> None:
    y, label = actions(), np.linspace(-1, 1, 5)
    e = penalties.overconfidence(model.reward(y), label)
    np.testing.assert_allclose(
        model.penalty(y, label)[0], penalties.relaxed(model.gradients(y), e), rtol=1e-11
    )


def test_parameters_come_back(model: RewardModel) -> None:
    flat = model.flat
    model.flat = np.zeros_like(flat)
    assert (model.reward(actions()) == 0).all()
    model.parameters = {
        k: v + 0 for k, v in dict(zip(model.shapes, split(model, flat), strict=True)).items()
    }
    np.testing.assert_array_equal(model.flat, flat)
    assert {k: v.shape for k, v in model.parameters.items()} == model.shapes


def test_initialize() -> None:
    model = MLPReward(50, (60, 60))
    model.initialize(seed=3, scale=0.2)
    parameters = model.parameters
    assert (parameters["net.0.bias"] == 0).all()
    assert parameters["net.2.weight"].std() == pytest.approx(0.2, rel=0.05)
    again = MLPReward(50, (60, 60))
    again.initialize(seed=3, scale=0.2)
    np.testing.assert_array_equal(model.flat, again.flat)


def test_what_is_wrong_is_named() -> None:
    model = MLPReward(4, [3])
    with pytest.raises(ShapeError, match=r"action: expected shape \(n, 4\), got \(2, 5\)"):
        model.reward(np.zeros((2, 5)))
    with pytest.raises(FpoError, match="did you mean 'net.0.weight'"):
        model.parameters = {"net.0.weigth": np.zeros((3, 4))}
    with pytest.raises(ShapeError, match="net.2.bias"):
        model.parameters = {k: v for k, v in model.parameters.items() if k != "net.2.bias"}
    with pytest.raises(DomainError, match="hidden"):
        MLPReward(4, [])
    with pytest.raises(DomainError, match="dimension"):
        LinearReward(0)
    with pytest.raises(TypeError):
        pickle.dumps(model)
    with pytest.raises(ShapeError, match="label"):
        model.loss(np.zeros((3, 4)), np.zeros(2))
