"""Losses as objects: a name, parameters whose defaults are the library's, and a call."""

from __future__ import annotations

from typing import Any, ClassVar, NamedTuple, Self

from .. import _arrays, _lib
from .._arrays import Array
from .._configuration import Configuration, from_struct, parameters, to_struct, unknown_name
from ..errors import DTypeError

__all__ = ["Loss", "PairLoss", "ResponseLoss"]


class PairLoss(NamedTuple):
    """The loss of each pair (n,), and its derivatives in what was passed for either response.

    The mean over the batch is the caller's: divide the derivatives by n as well.
    """

    loss: Array
    d_chosen: Array
    d_rejected: Array


class ResponseLoss(NamedTuple):
    """The loss of each response or score (n,), and its derivative in what was passed."""

    loss: Array
    derivative: Array


class Loss(Configuration):
    """A loss with parameters; `named` makes one from its name."""

    _what = "loss"
    _number: ClassVar[int]
    _kinds: ClassVar[dict[str, type[Loss]]] = {}

    def __init_subclass__(cls, *, number: int | None = None) -> None:
        if number is None:
            return
        cls._number = number
        table = parameters(_lib.CONFIG_LOSS + number)
        struct = _lib.initialized(_lib.Loss, number)
        cls._define({name: from_struct(struct, one) for name, one in table.items()}, table)
        Loss._kinds[cls.kind] = cls

    @classmethod
    def names(cls) -> list[str]:
        """The names of the losses of this family."""
        return [name for name, kind in Loss._kinds.items() if issubclass(kind, cls)]

    @classmethod
    def named(cls, loss: str | Self, **values: Any) -> Self:
        """The loss of a name ("dpo", ...), with parameters; a loss is returned as it is.

        Raises
        ------
        ArgumentError
            There is no such name; the message has the nearest one.
        """
        if isinstance(loss, cls):
            return loss.replace(**values)
        if not isinstance(loss, str):
            raise DTypeError(f"loss: expected a name or an fpo.objectives.Loss, got {loss!r}")
        name = loss.strip().lower()
        if name not in cls.names():
            raise unknown_name("loss", loss, cls.names())
        return Loss._kinds[name](**values)  # type: ignore[return-value]

    def _struct(self) -> Any:
        struct = _lib.initialized(_lib.Loss, self._number)
        to_struct(struct, self._table, self._values)
        return _lib.byref(struct)


def optional(name: str, value: Any, n: int) -> Array | None:
    """A vector of n numbers, or None."""
    return None if value is None else _arrays.vector(name, value, n)
