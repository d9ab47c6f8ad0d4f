"""Estimates of utility from labels, for the residual penalty on arrays of your own.

The overconfidence of the residual penalty is ``e = reward - estimate``: pass it to
`fpo.penalties.relaxed` together with the reward model's gradients. `UtilityFilter` follows the
policy and remembers all labels; `ridge` fits the newest ones.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from . import _arrays, _lib
from ._arrays import Array
from ._lib import address, leading_dimension, lib, new_array
from .numerics import Ridge, ridge

__all__ = ["Ridge", "UtilityFilter", "ridge"]


class UtilityFilter(_lib.Handle):
    """A Kalman filter on the level, slope and curvature of utility around the policy.

    ``Uhat(y) = level + slope . (y - m) + min(curvature, 0) |y - m|^2 / 2``

    with a reference ``m`` that follows the policy. Nothing fades with time or with the number of
    labels, only as far as the reference moves. It is the filter of ``fpo.Residual()``; derivation,
    and when it fails, in ``docs/math/utility-filter.md``.

    >>> filter = fpo.UtilityFilter(mean, level=reward, slope=reward_slope)
    >>> for _ in range(rounds):
    ...     filter.move(mean)                       # where the policy is now
    ...     filter.observe(actions, labels)         # what has been labelled since
    ...     estimate, slope = filter.estimate(y)
    ...     penalty = fpo.penalties.relaxed(gradients, rewards - estimate)

    Parameters
    ----------
    reference
        m (d,): the policy's mean.
    level
        What utility is taken to be there before any label: the reward model's reward.
    slope
        (d,), its slope there; None: 0.
    estimates_curvature
        False: the estimate is affine. ``None``, here and below, stands for the library's default:
        True.
    utility_scale
        Prior standard deviation A of utility, above 0; overstate it. Default 10.
    length_scale
        Distance over which utility varies by A, above 0; understate it. Default 2.
    noise_scale
        First guess of the standard deviation of a label's noise, above 0. Default 1.
    noise_memory
        Weight of a label in the estimate of that noise, 0 to 1; 0 holds it fixed. Default 0.2.
    """

    def __init__(
        self,
        reference: ArrayLike,
        level: float = 0.0,
        slope: ArrayLike | None = None,
        *,
        estimates_curvature: bool | None = None,
        utility_scale: float | None = None,
        length_scale: float | None = None,
        noise_scale: float | None = None,
        noise_memory: float | None = None,
    ):
        config = _lib.initialized(_lib.UtilityFilterConfig)
        if estimates_curvature is not None:
            config.estimates_curvature = bool(estimates_curvature)
        scales = {
            "utility_scale": utility_scale,
            "length_scale": length_scale,
            "noise_scale": noise_scale,
            "noise_memory": noise_memory,
        }
        for name, value in scales.items():
            if value is not None:
                setattr(config, name, _arrays.scalar(name, value))
        self._reference = _arrays.vector("reference", reference, "d").copy()
        initial = None if slope is None else _arrays.vector("slope", slope, self.dimension)
        super().__init__(
            lib.fpo_utility_filter_create,
            lib.fpo_utility_filter_destroy,
            _lib.byref(config),
            self.dimension,
            address(self._reference),
            _arrays.scalar("level", level),
            address(initial),
        )

    @property
    def dimension(self) -> int:
        """d, the number of coordinates of an action."""
        return self._reference.size

    @property
    def reference(self) -> Array:
        """The reference m (d,), where the estimate is expanded."""
        return self._reference.copy()

    def move(self, reference: ArrayLike) -> None:
        """Moves the reference (d,) to the policy's present mean."""
        target = _arrays.vector("reference", reference, self.dimension).copy()
        lib.fpo_utility_filter_move(self.pointer, address(target))
        self._reference = target

    def observe(self, x: ArrayLike, label: ArrayLike) -> None:
        """Takes in the labels (n,) of actions (n, d), one after the other."""
        rows = _arrays.matrix("x", x, "n", self.dimension)
        values = _arrays.vector("label", label, rows.shape[0])
        lib.fpo_utility_filter_observe(
            self.pointer,
            rows.shape[0],
            address(rows),
            leading_dimension(rows),
            address(values),
        )

    def estimate(self, x: ArrayLike) -> tuple[Array, Array]:
        """The estimate (n,) of the utility of actions (n, d), and its slope (n, d) there."""
        rows = _arrays.matrix("x", x, "n", self.dimension)
        utility, slope = new_array(rows.shape[0]), new_array(*rows.shape)
        lib.fpo_utility_filter_estimate(
            self.pointer,
            rows.shape[0],
            address(rows),
            leading_dimension(rows),
            address(utility),
            address(slope),
            leading_dimension(slope),
        )
        return utility, slope

    @property
    def level(self) -> float:
        """The estimate at the reference."""
        return self._state()[0]

    @property
    def slope(self) -> Array:
        """Its slope (d,) at the reference."""
        return self._state()[1]

    @property
    def curvature(self) -> float:
        """The curvature, positive ones too; `estimate` follows concave ones only."""
        return self._state()[2]

    @property
    def noise(self) -> float:
        """The standard deviation of a label's noise."""
        return self._state()[3]

    def _state(self) -> tuple[float, Array, float, float]:
        numbers, slope = np.empty(3), new_array(self.dimension)
        level, curvature, noise = (address(numbers[i:]) for i in range(3))
        lib.fpo_utility_filter_state(self.pointer, level, address(slope), curvature, noise)
        return float(numbers[0]), slope, float(numbers[1]), float(numbers[2])

    def __repr__(self) -> str:
        level, slope, curvature, noise = self._state()
        return (
            f"UtilityFilter(dimension={self.dimension}, level={level:.4g}, "
            f"|slope|={float(np.linalg.norm(slope)):.4g}, curvature={curvature:.4g}, "
            f"noise={noise:.4g})"
        )
