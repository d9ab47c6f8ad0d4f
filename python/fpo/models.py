"""Reward models: rewards, slopes in the action, and gradients in the parameters.

`LinearReward` and `MLPReward` compute in float64. Their parameters are one flat vector (`flat`),
and a dictionary of arrays with the names and shapes of ``torch.nn.Sequential`` (`parameters`).
Actions are rows (n, dimension) everywhere.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from . import _arrays, _lib, random
from ._arrays import Array
from ._configuration import unknown_name
from ._lib import address, leading_dimension, lib, new_array
from .errors import DomainError, DTypeError, ShapeError
from .penalties import iteration_limits, solver_code

__all__ = ["LinearReward", "MLPReward", "RewardModel"]


class RewardModel(_lib.Handle):
    """What `LinearReward` and `MLPReward` have in common."""

    def __init__(self, create: Any, *arguments: Any):
        super().__init__(create, lib.fpo_reward_model_destroy, *arguments)
        self.dimension = _lib.integer(lib.fpo_reward_model_dimension, self.pointer)
        self.parameter_count = _lib.integer(lib.fpo_reward_model_parameter_count, self.pointer)
        self.shapes = self._read_shapes()

    def _read_shapes(self) -> dict[str, tuple[int, ...]]:
        shapes: dict[str, tuple[int, ...]] = {}
        tensor = _lib.Tensor()
        while True:
            try:
                lib.fpo_reward_model_tensor(self.pointer, len(shapes), _lib.byref(tensor))
            except DomainError:
                return shapes
            name = tensor.name.decode()
            is_bias = name.endswith("bias")
            shapes[name] = (tensor.rows,) if is_bias else (tensor.rows, tensor.columns)

    # ------------------------------------------------------------------------ parameters

    @property
    def flat(self) -> Array:
        """All parameters (p,), tensors in the order of `shapes`. A copy; assign to change."""
        out = new_array(self.parameter_count)
        lib.fpo_reward_model_get_parameters(self.pointer, address(out))
        return out

    @flat.setter
    def flat(self, value: ArrayLike) -> None:
        flat = _arrays.vector("flat", value, self.parameter_count)
        lib.fpo_reward_model_set_parameters(self.pointer, address(flat))

    @property
    def parameters(self) -> dict[str, Array]:
        """Name -> array, as in ``torch.nn.Sequential``. Copies; assign a dictionary to change."""
        return unflatten(self.flat, self.shapes)

    @parameters.setter
    def parameters(self, value: Mapping[str, ArrayLike]) -> None:
        self.flat = flatten("parameters", value, self.shapes)

    def initialize(self, key: int | None = None, *, seed: int = 0, scale: float = 0.1) -> None:
        """Draws the weights from ``normal(0, scale^2)`` and sets the biases to 0.

        Parameters
        ----------
        key
            Of `fpo.random`; None for ``fpo.random.key(seed)``.
        seed
            Used if there is no key.
        scale
            Standard deviation of the weights, at least 0.
        """
        key = random.key(seed) if key is None else _arrays.integer("key", key, 0, 2**64 - 1)
        lib.fpo_reward_model_initialize(self.pointer, key, _arrays.scalar("scale", scale))

    # ------------------------------------------------------------------------ evaluation

    def _actions(self, name: str, value: ArrayLike, rows: int | str = "n") -> Array:
        return _arrays.matrix(name, value, rows, self.dimension)

    def _optional(self, name: str, value: ArrayLike | None, rows: int) -> Array | None:
        return None if value is None else self._actions(name, value, rows)

    def reward(self, action: ArrayLike) -> Array:
        """``r(y)`` (n,)."""
        y = self._actions("action", action)
        out = new_array(y.shape[0])
        lib.fpo_reward_model_reward_f64(
            self.pointer, y.shape[0], address(y), leading_dimension(y), address(out)
        )
        return out

    def slope(self, action: ArrayLike) -> Array:
        """``grad_y r(y)`` (n, dimension)."""
        y = self._actions("action", action)
        out = new_array(*y.shape)
        lib.fpo_reward_model_slope_f64(
            self.pointer,
            y.shape[0],
            address(y),
            leading_dimension(y),
            address(out),
            leading_dimension(out),
        )
        return out

    def gradients(self, action: ArrayLike) -> Array:
        """``g(y) = grad_phi r(y)`` of each sample (n, p)."""
        y = self._actions("action", action)
        out = new_array(y.shape[0], self.parameter_count)
        lib.fpo_reward_model_gradients_f64(
            self.pointer,
            y.shape[0],
            address(y),
            leading_dimension(y),
            address(out),
            leading_dimension(out),
        )
        return out

    def gram(self, a: ArrayLike, b: ArrayLike | None = None) -> Array:
        """``<g(a_i), g(b_j)>`` (n, m) by ghost inner products; `b` None means `a`."""
        first = self._actions("a", a)
        second = first if b is None else self._actions("b", b)
        out = new_array(first.shape[0], second.shape[0])
        lib.fpo_reward_model_gram_f64(
            self.pointer,
            first.shape[0],
            address(first),
            leading_dimension(first),
            second.shape[0],
            address(second),
            leading_dimension(second),
            address(out),
            leading_dimension(out),
        )
        return out

    def loss(
        self, action: ArrayLike, label: ArrayLike, reference: ArrayLike | None = None
    ) -> tuple[float, Array]:
        """The mean training loss, and its gradient in the parameters.

        Without a reference the squared error ``(r - label)^2``; with one Bradley-Terry with a soft
        label, ``-label log s - (1 - label) log(1 - s)``, ``s = sigmoid(r(y) - r(y0))``.

        Parameters
        ----------
        action
            y (n, dimension), n >= 1.
        label
            (n,): utilities, or with references soft labels in [0, 1].
        reference
            y0 (n, dimension), or None.

        Returns
        -------
        The loss, and its gradient (p,) in the order of `flat`.
        """
        y = self._actions("action", action)
        n = y.shape[0]
        y0 = self._optional("reference", reference, n)
        u = _arrays.vector("label", label, n)
        value, gradient = new_array(1), new_array(self.parameter_count)
        lib.fpo_reward_model_loss_f64(
            self.pointer,
            n,
            address(y),
            leading_dimension(y),
            address(y0),
            leading_dimension(y0),
            address(u),
            address(value),
            address(gradient),
        )
        return float(value[0]), gradient

    def steering_direction(
        self,
        action: ArrayLike,
        policy_action: ArrayLike,
        reference: ArrayLike | None = None,
        *,
        damping: float,
        solver: str = "gram",
        tolerance: float = 1e-10,
        max_iterations: int | None = None,
    ) -> Array:
        """``w = (H + damping I)^-1 gbar`` (p,), the direction of the exact penalty.

        ``H`` is the Gauss-Newton Hessian of the loss over the training samples (of the squared
        error without its factor 2, or of Bradley-Terry with references), ``gbar`` the mean
        gradient of the reward over the policy's samples.

        Parameters
        ----------
        action
            Training samples (n, dimension).
        policy_action
            Samples of the policy (m, dimension).
        reference
            (n, dimension), or None.
        damping
            Above 0.
        solver, tolerance, max_iterations
            As for `fpo.penalties.exact`.
        """
        y = self._actions("action", action)
        n = y.shape[0]
        y0 = self._optional("reference", reference, n)
        policy = self._actions("policy_action", policy_action)
        out = new_array(self.parameter_count)
        lib.fpo_reward_model_steering_direction_f64(
            self.pointer,
            n,
            address(y),
            leading_dimension(y),
            address(y0),
            leading_dimension(y0),
            policy.shape[0],
            address(policy),
            leading_dimension(policy),
            _arrays.positive("damping", damping),
            solver_code(solver),
            *iteration_limits(tolerance, max_iterations, min(n, self.parameter_count)),
            address(out),
        )
        return out

    def penalty(
        self,
        action: ArrayLike,
        label: ArrayLike | None = None,
        reference: ArrayLike | None = None,
        *,
        label_slope: ArrayLike | None = None,
        direction: ArrayLike | None = None,
        shift_invariant: bool = False,
    ) -> tuple[Array, Array]:
        """The penalty ``P = e A`` of each action, and its slope in the action.

        Parameters
        ----------
        action
            y (n, dimension).
        label
            (n,). None: ``e = 1``, the practical penalty. Otherwise ``e = r - label``, or with
            references ``e = sigmoid(r(y) - r(y0)) - label``: relaxed with the oracle's label,
            residual with an estimated one.
        reference
            y0 (n, dimension), or None.
        label_slope
            Slope of the label in the action (n, dimension); None holds the label constant.
        direction
            (p,), from `steering_direction`: ``A = <v, direction>``, the exact penalty. None:
            ``A = <v, g>``.
        shift_invariant
            ``A = <v, v>``.

        Returns
        -------
        ``P`` (n,), and ``grad_y P`` (n, dimension).
        """
        y = self._actions("action", action)
        n = y.shape[0]
        y0 = self._optional("reference", reference, n)
        u = None if label is None else _arrays.vector("label", label, n)
        du = self._optional("label_slope", label_slope, n)
        w = (
            None
            if direction is None
            else _arrays.vector("direction", direction, self.parameter_count)
        )
        value, slope = new_array(n), new_array(*y.shape)
        lib.fpo_reward_model_penalty_f64(
            self.pointer,
            n,
            address(y),
            leading_dimension(y),
            address(y0),
            leading_dimension(y0),
            address(u),
            address(du),
            leading_dimension(du),
            address(w),
            int(bool(shift_invariant)),
            address(value),
            address(slope),
            leading_dimension(slope),
        )
        return value, slope


class LinearReward(RewardModel):
    """``r(y) = w . y``, or ``w . y + b``. Parameters start at 0."""

    def __init__(self, dimension: int, *, bias: bool = False):
        super().__init__(
            lib.fpo_reward_model_create_linear,
            _arrays.integer("dimension", dimension, 1, 2**31 - 1),
            int(bool(bias)),
        )

    def __repr__(self) -> str:
        bias = self.parameter_count > self.dimension
        return f"LinearReward({self.dimension}, bias={bias})"


class MLPReward(RewardModel):
    """Linear layers with softplus between them, ending in one output. Parameters start at 0."""

    def __init__(self, dimension: int, hidden: Sequence[int] = (32, 32)):
        try:
            widths = [_arrays.integer("hidden", width, 1, 2**31 - 1) for width in hidden]
        except TypeError as error:
            raise DTypeError(f"hidden: expected a sequence of widths, got {hidden!r}") from error
        if not widths:
            raise DomainError("hidden: expected at least one layer; see LinearReward for none")
        self.hidden = tuple(widths)
        super().__init__(
            lib.fpo_reward_model_create_mlp,
            _arrays.integer("dimension", dimension, 1, 2**31 - 1),
            len(widths),
            (_lib.c_int64 * len(widths))(*widths),
        )

    def __repr__(self) -> str:
        return f"MLPReward({self.dimension}, {self.hidden})"


def unflatten(flat: Array, shapes: Mapping[str, tuple[int, ...]]) -> dict[str, Array]:
    """Splits the last axis of `flat` (..., p) into tensors (..., *shape)."""
    ends = np.cumsum([int(np.prod(shape)) for shape in shapes.values()])[:-1]
    parts = np.split(flat, ends, axis=-1)
    return {
        name: part.reshape(*flat.shape[:-1], *shape)
        for (name, shape), part in zip(shapes.items(), parts, strict=True)
    }


def flatten(
    what: str,
    tensors: Mapping[str, ArrayLike],
    shapes: Mapping[str, tuple[int, ...]],
    leading: tuple[int, ...] = (),
) -> Array:
    """The inverse of `unflatten`: tensors (*leading, *shape) as one array (*leading, p)."""
    if not isinstance(tensors, Mapping):
        raise DTypeError(f"{what}: expected a dictionary of arrays, got {type(tensors).__name__}")
    for name in tensors:
        if name not in shapes:
            raise unknown_name(what, name, list(shapes))
    missing = [name for name in shapes if name not in tensors]
    if missing:
        raise ShapeError(f"{what}: expected also {', '.join(missing)}")
    return np.concatenate(
        [
            np.ascontiguousarray(
                _arrays.real(f"{what}[{name!r}]", tensors[name], (*leading, *shape))
            ).reshape(*leading, -1)
            for name, shape in shapes.items()
        ],
        axis=-1,
    )
