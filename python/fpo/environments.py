"""The controlled environments of the paper, as frozen sets of parameters.

A policy ``N(theta, sigma^2 I)`` over actions ``y`` climbs a reward model, minus a cost of the
action and a penalty; then the reward model is retrained on labels of the policy's own actions.

=========  =======================================================================================
utility    ``U(y) = peak exp(-decay |y - ideal|^2)``, ideal = target on the signal coordinates
label      ``U(y) + label_bias tanh(y_k) + label_noise z``, k the first noise coordinate
objective  ``r(y) - action_cost |y - action_cost_centre|^2 - penalty_weight P(y)``
annealing  ``final + (initial - final) (1 - (round / rounds)^annealing_power)``
=========  =======================================================================================

Gauthier, Bach and Jordan, 2026, arXiv:2605.04266. Every constant is a parameter; the defaults are
the published settings and live in the library alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike

from . import _arrays, _lib
from ._arrays import Array
from ._configuration import Configuration, Value, from_struct, parameters, to_struct, unknown_name
from .errors import ShapeError

__all__ = ["Environment", "LinearEnvironment", "NeuralEnvironment"]

_POINTS = {
    "start": "theta at round 0: a number for all coordinates, or one for each.",
    "action_cost_centre": "Centre of the action cost: a number for all coordinates, or each.",
}
_NOT_PARAMETERS = {"reward_model", "hidden_count", "struct_size", "reserved"}


class Environment(Configuration):
    """A controlled environment: `LinearEnvironment` or `NeuralEnvironment`."""

    _what = "environment"
    _config: int
    precision: str
    gradient: str
    dimension: int
    signal_dimension: int
    rounds: int
    inner_steps: int
    labels_per_round: int
    label_buffer: int
    reward_steps: int
    reward_optimizer: str
    difference_step: float
    utility_peak: float
    utility_target: float
    utility_decay: float
    action_cost: float
    penalty_weight: float
    policy_learning_rate: float
    policy_learning_rate_final: float
    gradient_clip: float
    exploration: float
    exploration_final: float
    annealing_power: float
    label_exploration: float
    label_noise: float
    label_bias: float
    reward_learning_rate: float
    weight_decay: float
    initial_weight_scale: float
    start: float | tuple[float, ...]
    action_cost_centre: float | tuple[float, ...]

    @staticmethod
    def from_dict(values: Mapping[str, Any]) -> Environment:
        """Reads what `to_dict` wrote."""
        rest = dict(values)
        kind = rest.pop("environment", None)
        if kind not in _KINDS:
            raise unknown_name("environment", kind, list(_KINDS))
        return _KINDS[kind](**rest)

    @property
    def ideal(self) -> Array:
        """The action of highest utility (dimension,)."""
        point = np.zeros(self.dimension)
        point[: self.signal_dimension] = self.utility_target
        return point

    def utility(self, action: ArrayLike) -> Array:
        """``U(y)`` of actions (n, dimension): (n,)."""
        y = _arrays.matrix("action", action, "n", self.dimension)
        distance = ((y - self.ideal) ** 2).sum(axis=1)
        return self.utility_peak * np.exp(-self.utility_decay * distance)  # type: ignore[no-any-return]

    def _accept(self, name: str, value: Any) -> Value:
        if name not in _POINTS:
            return super()._accept(name, value)
        array = _arrays.real(name, value, None)
        if array.ndim == 0:
            return float(array)
        return tuple(_arrays.vector(name, array, "dimension").tolist())

    def _complete(
        self, base: Mapping[str, Value], changes: Mapping[str, Value]
    ) -> dict[str, Value]:
        values = super()._complete(base, changes)
        for name in changes:  # a constant schedule stays constant
            final = f"{name}_final"
            if final in base and final not in changes and base[name] == base[final]:
                values[final] = changes[name]
        for name in _POINTS:
            if isinstance(values[name], tuple) and len(values[name]) != values["dimension"]:
                raise ShapeError(
                    f"{name}: expected one number, or {values['dimension']} as the dimension "
                    f"says, got {len(values[name])}"
                )
        return values

    @classmethod
    def _documentation(cls, name: str) -> str:
        return _POINTS[name] if name in _POINTS else super()._documentation(name)

    def _point(self, name: str) -> Array:
        return np.broadcast_to(np.float64(getattr(self, name)), (self.dimension,)).copy()

    def _struct(self) -> Any:
        """The library's struct of this environment."""
        struct = _lib.initialized(_lib.Environment, self._config)
        values = {name: value for name, value in self._values.items() if name not in _POINTS}
        to_struct(struct, self._table, values)
        struct.hidden_count = len(values.get("hidden", ()))
        return struct


class LinearEnvironment(Environment):
    """A linear reward model ``r(y) = w . y`` in 50 dimensions, 3 of them signal."""

    kind = "linear"
    _config = _lib.CONFIG_LINEAR
    reward_bias: int
    initial_signal_weight: float


class NeuralEnvironment(Environment):
    """A softplus network as the reward model, in 10 dimensions."""

    kind = "neural"
    _config = _lib.CONFIG_NEURAL
    hidden: tuple[int, ...]

    @classmethod
    def displaced(cls, by: float = 1.0, **changes: Any) -> Self:
        """The displaced world: start and centre of the action cost moved away from the ideal.

        Every noise coordinate of both is `by`, with alternating sign. As published, the cost pulls
        exactly to where the noise coordinates of the ideal lie, so that a larger cost alone wins;
        here it does not.

        Parameters
        ----------
        by
            How far, in units of the action.
        **changes
            Other parameters of the environment.
        """
        environment = cls(**changes)
        point = np.zeros(environment.dimension)
        noise = environment.dimension - environment.signal_dimension
        point[environment.signal_dimension :] = by * (-1.0) ** np.arange(noise)
        points = {name: point for name in _POINTS if name not in changes}
        return environment.replace(**points)


_KINDS: dict[str, type[Environment]] = {
    cls.kind: cls for cls in (LinearEnvironment, NeuralEnvironment)
}
_ELSEWHERE = {
    LinearEnvironment: {"hidden"},
    NeuralEnvironment: {"reward_bias", "initial_signal_weight"},
}


def _define_environments() -> None:
    for cls in _KINDS.values():
        table = parameters(cls._config)
        struct = _lib.initialized(_lib.Environment, cls._config)
        defaults: dict[str, Value] = {
            name: from_struct(struct, parameter, struct.hidden_count)
            for name, parameter in table.items()
            if name not in _NOT_PARAMETERS | _ELSEWHERE[cls]
        }
        cls._define({**defaults, "start": 0.0, "action_cost_centre": 0.0}, table)


_define_environments()
