"""Optimisers: one step at a time on a flat vector of parameters, in place."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from . import _arrays, _lib
from ._arrays import Array
from .errors import DTypeError, ShapeError

__all__ = ["SGD", "Adam", "AdamW"]


class Optimizer(_lib.Handle):
    """The state of an optimiser of `count` parameters."""

    _kind: int

    def __init__(self, count: int, **settings: float | None):
        self.count = _arrays.integer("count", count, 0, 2**48)
        config = _lib.initialized(_lib.OptimizerConfig)
        config.kind = self._kind
        for name, value in settings.items():
            if value is not None:
                setattr(config, name, _arrays.scalar(name, value))
        super().__init__(
            _lib.lib.fpo_optimizer_create,
            _lib.lib.fpo_optimizer_destroy,
            _lib.byref(config),
            self.count,
        )

    def step(self, parameters: Array, gradient: ArrayLike) -> None:
        """One step, in place.

        Parameters
        ----------
        parameters
            A writable float64 array in C order with `count` elements, of any shape.
        gradient
            Of the loss, of the same shape.
        """
        ours = isinstance(parameters, np.ndarray) and parameters.dtype == np.float64
        if not (ours and parameters.flags.c_contiguous and parameters.flags.writeable):
            raise DTypeError("parameters: expected a writable float64 array in C order")
        if parameters.size != self.count:
            raise ShapeError(f"parameters: expected {self.count} elements, got {parameters.size}")
        if not np.isfinite(parameters).all():
            _arrays.real("parameters", parameters, parameters.shape)
        slope = np.ascontiguousarray(_arrays.real("gradient", gradient, parameters.shape))
        _lib.lib.fpo_optimizer_step(self.pointer, _lib.address(parameters), _lib.address(slope))

    def set_learning_rate(self, value: float) -> None:
        """Changes the learning rate, above 0, from the next step on."""
        _lib.lib.fpo_optimizer_set_learning_rate(
            self.pointer, _arrays.scalar("learning_rate", value)
        )

    def state(self) -> bytes:
        """Moments and number of steps; `restore` goes on from them bit for bit."""
        return _lib.sized_bytes(_lib.lib.fpo_optimizer_save, self.pointer)

    def restore(self, state: bytes) -> None:
        """Goes back to a `state` of an optimiser of the same kind and count.

        Raises
        ------
        FormatError
            The bytes are those of another one, or damaged.
        """
        if not isinstance(state, (bytes, bytearray)):
            raise DTypeError(f"state: expected bytes, got {type(state).__name__}")
        data = np.frombuffer(bytes(state), dtype=np.uint8)
        _lib.lib.fpo_optimizer_load(self.pointer, _lib.address(data), data.size)


class SGD(Optimizer):
    """Gradient descent with momentum; `weight_decay` is added to the gradient.

    ``None`` stands for the library's default: learning rate 1e-3, no momentum, no decay.
    """

    _kind = _lib.OPTIMIZER_SGD

    def __init__(
        self,
        count: int,
        *,
        learning_rate: float | None = None,
        momentum: float | None = None,
        weight_decay: float | None = None,
    ):
        super().__init__(
            count, learning_rate=learning_rate, momentum=momentum, weight_decay=weight_decay
        )


class Adam(Optimizer):
    """Adam (Kingma and Ba, arXiv:1412.6980); `weight_decay` is added to the gradient.

    ``None`` stands for the library's default: learning rate 1e-3, betas 0.9 and 0.999, epsilon
    1e-8, no decay.
    """

    _kind = _lib.OPTIMIZER_ADAM

    def __init__(
        self,
        count: int,
        *,
        learning_rate: float | None = None,
        beta1: float | None = None,
        beta2: float | None = None,
        epsilon: float | None = None,
        weight_decay: float | None = None,
    ):
        super().__init__(
            count,
            learning_rate=learning_rate,
            beta1=beta1,
            beta2=beta2,
            epsilon=epsilon,
            weight_decay=weight_decay,
        )


class AdamW(Adam):
    """Adam with decoupled weight decay (Loshchilov and Hutter, arXiv:1711.05101)."""

    _kind = _lib.OPTIMIZER_ADAMW
