"""The penalties that an environment is played with, as objects with parameters."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from . import _lib
from ._configuration import (
    Configuration,
    Value,
    from_struct,
    parameters,
    to_struct,
    unknown_name,
)
from .errors import DTypeError

__all__ = ["Exact", "Myopic", "Penalty", "Practical", "Relaxed", "Residual"]

#: Values that say "as the environment has it" or "as published"; None in Python.
_INHERITED: dict[str, float] = {"weight": -1.0, "oracle_gradient": -1, "estimator_buffer": 0}


class Penalty(Configuration):
    """A penalty that an environment is played with: one of the five subclasses.

    `Penalty.named` makes one from its name, with default parameters.
    """

    _what = "penalty"
    weight: float | None

    @staticmethod
    def named(penalty: str | Penalty) -> Penalty:
        """The penalty of a name ("myopic", ...); a penalty is returned as it is.

        Raises
        ------
        ArgumentError
            There is no such name; the message has the nearest one.
        """
        if isinstance(penalty, Penalty):
            return penalty
        if not isinstance(penalty, str):
            raise DTypeError(f"penalty: expected a name or an fpo.Penalty, got {penalty!r}")
        try:
            return _KINDS[penalty.strip().lower()]()
        except KeyError:
            raise unknown_name("penalty", penalty, list(_KINDS)) from None

    @staticmethod
    def from_dict(values: Mapping[str, Any]) -> Penalty:
        """Reads what `to_dict` wrote."""
        rest = dict(values)
        kind = rest.pop("penalty", None)
        if kind not in _KINDS:
            raise unknown_name("penalty", kind, list(_KINDS))
        return _KINDS[kind](**rest)

    def _accept(self, name: str, value: Any) -> Value:
        if name in _INHERITED and value is None:
            return None
        accepted = super()._accept(name, value)
        return None if name in _INHERITED and accepted == _INHERITED[name] else accepted

    def _struct(self) -> Any:
        """The library's struct of this penalty."""
        struct = _lib.initialized(_lib.Penalty, _KIND_NUMBERS[self.kind])
        values = {
            name: _INHERITED[name] if value is None else value
            for name, value in self._values.items()
        }
        to_struct(struct, self._table, values)
        return struct


class Myopic(Penalty):
    """No penalty: plain iterative RLHF."""

    kind = "myopic"


class Practical(Penalty):
    """``P(y) = |g(y)|^2``: needs nothing but the reward model."""

    kind = "practical"


class Relaxed(Penalty):
    """``P(y) = (r(y) - U(y)) |g(y)|^2``: needs the oracle's label of each action."""

    kind = "relaxed"
    oracle_gradient: int | None


class Exact(Penalty):
    """``P(y) = (r(y) - U(y)) <g(y), (H + delta I)^-1 gbar>``: the leader's true gradient.

    The policy sees the oracle's slope, unlike `Relaxed` in the neural environment: ``r - P`` tends
    to ``U``, so that with the oracle's value alone (``oracle_gradient=0``) no slope is left.
    `curvature` and `alignment` replace the inverse Hessian and the mean gradient one at a time, on
    the way to the relaxed penalty.
    """

    kind = "exact"
    oracle_gradient: int | None
    curvature: str
    alignment: str
    damping: float


class Residual(Penalty):
    """``P(y) = (r(y) - Uhat(y)) |g(y)|^2``, ``Uhat`` fitted to the labels of past rounds.

    The estimator is a Kalman filter on the utility's level, slope and curvature around the policy
    (``"kalman"``), or ridge regression over the newest labels (``"ridge"``, which forgets its slope
    when exploration ends). `curvature` and `alignment` are those of `Exact`: with
    ``alignment="unit", weight=1`` the policy climbs the estimate itself.
    """

    kind = "residual"
    curvature: str
    alignment: str
    damping: float
    estimator: str
    estimator_gradient: int
    estimator_buffer: int | None
    estimator_curvature: int
    kappa: float
    utility_scale: float
    length_scale: float
    noise_scale: float
    noise_memory: float


_FIELDS = {
    Myopic: ("weight",),
    Practical: ("weight",),
    Relaxed: ("weight", "oracle_gradient"),
    Exact: ("weight", "oracle_gradient", "curvature", "alignment", "damping"),
}
_KINDS: dict[str, type[Penalty]] = {
    cls.kind: cls for cls in (Myopic, Practical, Relaxed, Exact, Residual)
}
_KIND_NUMBERS = {kind: number for number, kind in enumerate(_KINDS)}


def _define_penalties() -> None:
    table = parameters(_lib.CONFIG_PENALTY)
    others = {"kind", "oracle_gradient"}
    fields = {**_FIELDS, Residual: tuple(name for name in table if name not in others)}
    for kind, cls in _KINDS.items():
        struct = _lib.initialized(_lib.Penalty, _KIND_NUMBERS[kind])
        defaults = {name: from_struct(struct, table[name]) for name in fields[cls]}
        defaults = {
            name: None if name in _INHERITED and value == _INHERITED[name] else value
            for name, value in defaults.items()
        }
        cls._define(defaults, table)


_define_penalties()
