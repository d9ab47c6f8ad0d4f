"""The linear environment in NumPy, written from its equations: the oracle of the parity tests."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

#: The paper's constants, written out here because a test must not read them from the code it tests.
PUBLISHED = {
    "dimension": 50,
    "signal_dimension": 3,
    "rounds": 300,
    "utility_peak": 10.0,
    "utility_target": 2.0,
    "utility_decay": 0.3,
    "action_cost": 0.1,
    "penalty_weight": 0.1,
    "policy_learning_rate": 0.02,
    "reward_learning_rate": 0.005,
    "weight_decay": 1e-4,
}


def authors_weights(seed: int = 0, dimension: int = 50, signal_dimension: int = 3) -> Array:
    """The initial weights of the published figure."""
    state = np.random.RandomState(seed)
    weights = np.zeros(dimension)
    weights[:signal_dimension] = 1
    return weights + state.normal(0, 0.1, dimension)


def utility(y: Array, c: dict[str, float]) -> float:
    ideal = np.zeros(y.size)
    ideal[: int(c["signal_dimension"])] = c["utility_target"]
    return float(c["utility_peak"] * np.exp(-c["utility_decay"] * ((y - ideal) ** 2).sum()))


def penalty(kind: str, y: Array, w: Array, c: dict[str, float]) -> float:
    if kind == "myopic":
        return 0.0
    if kind == "practical":
        return float(y @ y)
    if kind == "relaxed":
        return float((w @ y - utility(y, c)) * (y @ y))
    raise ValueError(kind)


def forward_difference(f: Callable[[Array], float], y: Array, step: float) -> Array:
    base = f(y)
    slope = np.empty_like(y)
    for k in range(y.size):
        shifted = y.copy()
        shifted[k] += step
        slope[k] = (f(shifted) - base) / step
    return slope


def play(
    kind: str,
    weights: Array,
    *,
    step: float = 0.05,
    start: float = 0.0,
    centre: float = 0.0,
    **changes: float,
) -> dict[str, Array]:
    """One game: theta, utility, signal, noise and proxy reward after every round."""
    c = {**PUBLISHED, **changes}
    y, w = np.full(int(c["dimension"]), start), weights.copy()
    signal_dimension = int(c["signal_dimension"])
    trace: dict[str, list[float]] = {k: [] for k in ("utility", "signal", "noise", "proxy_reward")}

    def record() -> None:
        trace["utility"].append(utility(y, c))
        trace["signal"].append(float(np.linalg.norm(y[:signal_dimension])))
        trace["noise"].append(float(np.linalg.norm(y[signal_dimension:])))
        trace["proxy_reward"].append(float(w @ y))

    def objective(a: Array) -> float:
        cost = c["action_cost"] * ((a - centre) ** 2).sum()
        return float(w @ a - cost - c["penalty_weight"] * penalty(kind, a, w, c))

    record()
    for _ in range(int(c["rounds"])):
        y = y + c["policy_learning_rate"] * forward_difference(objective, y, step)
        record()
        error = w @ y - utility(y, c)
        w = w * (1 - c["weight_decay"]) - c["reward_learning_rate"] * 2 * error * y
    return {name: np.array(values) for name, values in trace.items()}
