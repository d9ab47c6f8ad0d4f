"""Optimisers against their formulas in NumPy."""

from __future__ import annotations

import numpy as np
import pytest
from fpo import SGD, Adam, AdamW
from fpo.errors import DomainError, DTypeError, FormatError, NonFiniteError, ShapeError


def gradients(steps: int = 30, count: int = 7) -> np.ndarray:
    return np.random.default_rng(0).normal(size=(steps, count))


@pytest.mark.parametrize(("cls", "decoupled"), [(Adam, False), (AdamW, True)])
@pytest.mark.parametrize("decay", [0.0, 0.05])
def test_adam(cls: type, decoupled: bool, decay: float) -> None:
    rate, b1, b2, eps = 0.01, 0.8, 0.95, 1e-6
    ours = cls(7, learning_rate=rate, beta1=b1, beta2=b2, epsilon=eps, weight_decay=decay)
    found, x, m, v = np.ones(7), np.ones(7), np.zeros(7), np.zeros(7)
    for t, g in enumerate(gradients(), start=1):
        ours.step(found, g)
        if decoupled:
            x = x * (1 - rate * decay)
        else:
            g = g + decay * x
        m, v = b1 * m + (1 - b1) * g, b2 * v + (1 - b2) * g * g
        x = x - rate * (m / (1 - b1**t)) / (np.sqrt(v / (1 - b2**t)) + eps)
        np.testing.assert_allclose(found, x, rtol=1e-12)


@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_sgd(momentum: float) -> None:
    ours = SGD(7, learning_rate=0.1, momentum=momentum, weight_decay=0.02)
    found, x, v = np.ones(7), np.ones(7), np.zeros(7)
    for g in gradients():
        ours.step(found, g)
        v = momentum * v + g + 0.02 * x
        x = x - 0.1 * v
        np.testing.assert_allclose(found, x, rtol=1e-12)


def test_defaults_are_those_of_the_papers() -> None:
    default, spelled = np.zeros(2), np.zeros(2)
    Adam(2).step(default, [1.0, -2.0])
    Adam(2, learning_rate=1e-3, beta1=0.9, beta2=0.999, epsilon=1e-8).step(spelled, [1.0, -2.0])
    np.testing.assert_array_equal(default, spelled)
    np.testing.assert_allclose(default, [-1e-3, 1e-3], rtol=1e-6)


def test_nothing_changes_on_failure() -> None:
    adam, x = Adam(3), np.ones(3)
    for gradient, error in (([1, np.nan, 1], NonFiniteError), ([1, 1], ShapeError)):
        with pytest.raises(error, match="gradient"):
            adam.step(x, gradient)
    for wrong in (np.ones(3, np.float32), [1.0, 1.0, 1.0], np.ones((3, 2))[:, 0]):
        with pytest.raises(DTypeError, match="parameters"):
            adam.step(wrong, np.ones(3))  # type: ignore[arg-type]
    np.testing.assert_array_equal(x, 1)
    fresh, y = Adam(3), np.ones(3)
    adam.step(x, np.ones(3))
    fresh.step(y, np.ones(3))
    np.testing.assert_array_equal(x, y)


@pytest.mark.parametrize(
    "settings",
    [{"learning_rate": 0}, {"beta1": 1.0}, {"beta2": -0.1}, {"epsilon": 0}, {"weight_decay": -1}],
)
def test_settings_are_checked(settings: dict[str, float]) -> None:
    with pytest.raises(DomainError, match=next(iter(settings))):
        Adam(3, **settings)


@pytest.mark.parametrize("kind", [SGD, Adam, AdamW])
def test_a_restored_optimizer_goes_on_bit_for_bit(kind):
    draw = np.random.default_rng(0)
    gradients = draw.standard_normal((6, 5))
    first, x = kind(5, learning_rate=0.1), np.ones(5)
    for gradient in gradients[:3]:
        first.step(x, gradient)
    second, y = kind(5, learning_rate=0.1), x.copy()
    second.restore(first.state())
    for gradient in gradients[3:]:
        first.step(x, gradient)
        second.step(y, gradient)
    np.testing.assert_array_equal(x, y)


def test_a_state_of_another_optimizer_is_refused():
    adam = Adam(5)
    for other in (Adam(4), SGD(5)):
        with pytest.raises(FormatError, match="another kind or count"):
            other.restore(adam.state())
    with pytest.raises(FormatError, match="truncated"):
        adam.restore(adam.state()[:-1])
    with pytest.raises(FormatError, match="no saved"):
        adam.restore(b"short")
    with pytest.raises(FormatError, match="this version"):
        adam.restore(bytes(len(adam.state())))


def test_the_learning_rate_can_change():
    sgd, x = SGD(1, learning_rate=1.0), np.zeros(1)
    sgd.step(x, [1.0])
    sgd.set_learning_rate(0.25)
    sgd.step(x, [1.0])
    assert x[0] == -1.25
    with pytest.raises(DomainError, match="learning_rate"):
        sgd.set_learning_rate(0.0)
