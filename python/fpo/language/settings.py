"""Settings of a run as a dataclass: checked, documented, read from files and flags."""

from __future__ import annotations

import dataclasses
import json
import os
import types
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self, get_args, get_origin, get_type_hints

from .. import _arrays
from .._configuration import one_of, unknown_name
from ..errors import ArgumentError, DomainError, DTypeError
from ..sweep_file import parsed

__all__ = ["Settings", "setting", "setting_types"]


def setting(
    default: Any,
    doc: str,
    *,
    low: float | None = None,
    high: float | None = None,
    choices: tuple[str, ...] = (),
) -> Any:
    """A field with its default, its meaning and its domain."""
    metadata = {"doc": doc, "low": low, "high": high, "choices": choices}
    return dataclasses.field(default=default, metadata=metadata)


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Settings whose fields are made by `setting`.

    Raises
    ------
    ArgumentError
        A value is of the wrong kind or outside its domain; the message names the setting.
    """

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            object.__setattr__(self, field.name, _accepted(field, getattr(self, field.name)))

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Settings by name.

        Raises
        ------
        ArgumentError
            A name is unknown; the message has the nearest one.
        """
        if not isinstance(values, Mapping):
            raise ArgumentError(f"config: expected a table of settings, got {values!r}")
        known = [field.name for field in dataclasses.fields(cls)]
        for name in values:
            if name not in known:
                raise unknown_name("config", name, known)
        return cls(**values)

    @classmethod
    def read(cls, path: str | os.PathLike[str], **changes: Any) -> Self:
        """Settings of a YAML, TOML or JSON file, with `changes` over them."""
        values = parsed(Path(path))
        if values is None:
            values = {}
        if not isinstance(values, Mapping):
            raise ArgumentError(f"{path}: expected a table of settings")
        return cls.from_dict({**values, **changes})

    def replace(self, **changes: Any) -> Self:
        """A copy with some settings changed."""
        return type(self).from_dict({**self.to_dict(), **changes})

    def to_dict(self) -> dict[str, Any]:
        """All settings by name, in JSON types."""
        return dataclasses.asdict(self)

    @classmethod
    def describe(cls) -> str:
        """Name, default and meaning of every setting."""
        lines = []
        for field in dataclasses.fields(cls):
            choices = field.metadata["choices"]
            allowed = f" ({', '.join(choices)})" if choices else ""
            lines.append(f"{field.name} = {json.dumps(field.default)}{allowed}")
            lines.append(f"    {field.metadata['doc']}")
        return "\n".join(lines)


def setting_types(of: type[Settings]) -> dict[str, type]:
    """Name -> bool, int, float or str."""
    hints = get_type_hints(of)
    return {field.name: _plain(hints[field.name]) for field in dataclasses.fields(of)}


def _plain(hint: Any) -> type:
    if get_origin(hint) is types.UnionType:
        hint = get_args(hint)[0]
    assert isinstance(hint, type)
    return hint


def _accepted(field: dataclasses.Field[Any], value: Any) -> Any:
    """`value` in the kind of a setting's default; raises if it is not one of the setting's."""
    name, facts = field.name, field.metadata
    kind: type = type(field.default)
    if kind is bool:
        if not isinstance(value, bool):
            raise DTypeError(f"{name}: expected true or false, got {value!r}")
        return value
    if kind is str:
        if isinstance(value, os.PathLike):
            value = os.fspath(value)
        if not isinstance(value, str):
            raise DTypeError(f"{name}: expected a text, got {value!r}")
        if facts["choices"] and value not in facts["choices"]:
            raise DomainError(f"{name}: expected {one_of(facts['choices'])}, got {value!r}")
        return value
    low, high = facts["low"], facts["high"]
    if kind is int:
        if isinstance(value, bool):
            raise DTypeError(f"{name}: expected an integer, got {value!r}")
        return _arrays.integer(name, value, int(low), int(high if high is not None else 2**31 - 1))
    if isinstance(value, str):  # YAML 1.1 reads 2e-5 as a text
        try:
            value = float(value)
        except ValueError:
            raise DTypeError(f"{name}: expected a number, got {value!r}") from None
    number = _arrays.scalar(name, value)
    if (low is not None and number < low) or (high is not None and number > high):
        bound = f"at least {low:g}" if high is None else f"{low:g} to {high:g}"
        raise DomainError(f"{name}: expected {bound}, got {value!r}")
    return number
