"""Immutable sets of parameters whose names, defaults, bounds and documentation are the library's.

`Environment` and `Penalty` are such sets. No default is written down in Python: a subclass says
which struct it mirrors, and `fpo_parameter_info` and the struct's ``_init`` function say the rest.
"""

from __future__ import annotations

import difflib
import functools
import inspect
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

from . import _arrays, _lib
from .errors import ArgumentError, DomainError, DTypeError

Value = Any  # int, float, str (an enumerated value), tuple of int, or None (inherited)


@dataclass(frozen=True)
class Parameter:
    """One parameter of a config struct of ``fpo.h``."""

    name: str
    doc: str
    choices: tuple[str, ...]
    minimum: float
    maximum: float
    is_integer: bool
    count: int

    def accept(self, value: Any) -> Value:
        """`value` in its canonical form; raises if it is not one of this parameter's."""
        if self.choices:
            return self._choice(value)
        if self.count > 1:
            return self._integers(value)
        if self.is_integer:
            return _arrays.integer(self.name, value, int(self.minimum), int(self.maximum))
        return self._real(value)

    def _choice(self, value: Any) -> str:
        name = value.lower().replace("-", "_") if isinstance(value, str) else value
        for choice in self.choices:
            if name == choice.lower().replace("-", "_"):
                return choice
        raise DomainError(f"{self.name}: expected {one_of(self.choices)}, got {value!r}")

    def _integers(self, value: Any) -> tuple[int, ...]:
        try:
            values = tuple(value)
        except TypeError as error:
            raise DTypeError(f"{self.name}: expected integers, got {value!r}") from error
        if not 1 <= len(values) <= self.count:
            raise DomainError(f"{self.name}: expected 1 to {self.count} integers, got {value!r}")
        low, high = int(self.minimum), int(min(self.maximum, 2**31 - 1))
        return tuple(_arrays.integer(self.name, one, low, high) for one in values)

    def _real(self, value: Any) -> float:
        # In JSON, which has no infinity, it is a text.
        infinite = isinstance(value, (str, float)) and value in ("inf", math.inf)
        number = math.inf if infinite else _arrays.scalar(self.name, value)
        if not self.minimum <= number <= self.maximum:
            raise DomainError(
                f"{self.name}: expected {self.minimum:g} to {self.maximum:g}, got {value!r}"
            )
        return number


@functools.cache
def parameters(config: int) -> dict[str, Parameter]:
    """The parameters of a config struct, in the library's order."""
    table: dict[str, Parameter] = {}
    info = _lib.Parameter()
    while True:
        try:
            _lib.lib.fpo_parameter_info(config, len(table), _lib.byref(info))
        except DomainError:
            return table
        name = info.name.decode()
        table[name] = Parameter(
            name=name,
            doc=info.doc.decode(),
            choices=tuple(info.choices.decode().split(",")) if info.choices else (),
            minimum=info.minimum,
            maximum=info.maximum,
            is_integer=info.type == _lib.TYPE_INT32,
            count=info.count,
        )


def one_of(names: Iterator[str] | tuple[str, ...]) -> str:
    """``'a', 'b' or 'c'``."""
    *most, last = [repr(name) for name in names]
    return f"{', '.join(most)} or {last}" if most else last


def unknown_name(what: str, name: object, known: list[str]) -> ArgumentError:
    """The error for a name that does not exist, with the nearest one that does."""
    near = difflib.get_close_matches(str(name), known, n=1, cutoff=0.5)
    hint = f"did you mean {near[0]!r}?" if near else f"known are {', '.join(sorted(known))}"
    return ArgumentError(f"{what}: unknown name {name!r}; {hint}")


class Configuration:
    """A frozen set of parameters. Subclasses set the class variables below."""

    _what: ClassVar[str]  # "environment" or "penalty": the key of the kind in `to_dict`
    kind: ClassVar[str]
    #: Name -> default, in the library's order; filled by `_define`.
    _defaults: ClassVar[dict[str, Value]]
    _table: ClassVar[dict[str, Parameter]]
    _values: dict[str, Value]

    def __init__(self, **values: Any) -> None:
        self._fill(self._defaults, values)

    def _fill(self, base: Mapping[str, Value], changes: Mapping[str, Any]) -> None:
        for name in changes:
            if name not in self._defaults:
                raise unknown_name(type(self).__name__, name, list(self._defaults))
        accepted = {name: self._accept(name, value) for name, value in changes.items()}
        object.__setattr__(self, "_values", self._complete(base, accepted))

    @classmethod
    def _define(cls, defaults: Mapping[str, Value], table: Mapping[str, Parameter]) -> None:
        """Gives a subclass its parameters: defaults, signature and documentation."""
        cls._defaults, cls._table = dict(defaults), dict(table)
        cls.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
            [
                inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=value)
                for name, value in defaults.items()
            ]
        )
        cls.__doc__ = (cls.__doc__ or "").rstrip() + "\n\n    Parameters\n    ----------\n"
        cls.__doc__ += "\n".join(
            f"    {name} : default {_text(value)}\n        {cls._documentation(name)}"
            for name, value in defaults.items()
        )

    @classmethod
    def _documentation(cls, name: str) -> str:
        parameter = cls._table[name]
        choices = f"; {one_of(parameter.choices)}" if parameter.choices else ""
        return f"{parameter.doc[:1].upper()}{parameter.doc[1:].rstrip('.')}{choices}."

    def _accept(self, name: str, value: Any) -> Value:
        return self._table[name].accept(value)

    def _complete(
        self, base: Mapping[str, Value], changes: Mapping[str, Value]
    ) -> dict[str, Value]:
        """`base` with `changes`; a hook for parameters that follow others, and for checks."""
        return {**base, **changes}

    def __getattr__(self, name: str) -> Value:
        if name.startswith("_"):
            raise AttributeError(name)
        try:
            return self._values[name]
        except KeyError:
            raise AttributeError(
                str(unknown_name(type(self).__name__, name, list(self._defaults)))
            ) from None

    def __setattr__(self, name: str, value: Any) -> None:
        raise AttributeError(f"{type(self).__name__} is frozen; use replace({name}=...)")

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *self._defaults]

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        return self._values == other._values

    def __hash__(self) -> int:
        return hash((type(self), *self._values.items()))

    def __reduce__(self) -> Any:
        return _rebuild, (type(self), self._values)

    def __repr__(self) -> str:
        changed = ", ".join(f"{name}={_text(value)}" for name, value in self.changes().items())
        return f"{type(self).__name__}({changed})"

    def changes(self) -> dict[str, Value]:
        """The parameters that differ from their defaults."""
        return {
            name: value for name, value in self._values.items() if value != self._defaults[name]
        }

    def replace(self, **changes: Any) -> Self:
        """A copy with some parameters changed."""
        copy = object.__new__(type(self))
        copy._fill(self._values, changes)
        return copy

    def to_dict(self) -> dict[str, Any]:
        """All parameters in JSON types, and the kind; `from_dict` reads it back."""
        values = {name: _json(value) for name, value in self._values.items()}
        return {self._what: self.kind, **values}


def _rebuild(cls: type[Configuration], values: dict[str, Value]) -> Configuration:
    return cls(**values)


def _text(value: Value) -> str:
    return (
        f"{value:g}" if isinstance(value, float) and value == float(f"{value:g}") else repr(value)
    )


def _json(value: Value) -> Any:
    if isinstance(value, tuple):
        return list(value)
    return "inf" if value == math.inf else value


def to_struct(struct: Any, table: Mapping[str, Parameter], values: Mapping[str, Value]) -> None:
    """Writes accepted values into a config struct."""
    for name, value in values.items():
        parameter = table[name]
        if parameter.choices:
            setattr(struct, name, parameter.choices.index(value))
        elif parameter.count > 1:
            array = getattr(struct, name)
            array[:] = [*value, *[0] * (len(array) - len(value))]
        else:
            setattr(struct, name, value)


def from_struct(struct: Any, parameter: Parameter, count: int = 0) -> Value:
    """The value of a parameter in a config struct; the first `count` elements of an array."""
    value = getattr(struct, parameter.name)
    if parameter.choices:
        return parameter.choices[value]
    if parameter.count > 1:
        return tuple(value[:count])
    return value
