"""Principles that a model judges by, from a YAML file."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, fields
from importlib import resources
from pathlib import Path
from typing import Any

from ..errors import FormatError, MissingDependencyError

__all__ = ["Principle", "read_principles"]


@dataclass(frozen=True)
class Principle:
    """What to look for, put in three ways."""

    name: str
    critique: str
    """Asks what is wrong with the last response."""
    revision: str
    """Asks for a better one."""
    comparison: str
    """Asks which of two responses is better."""


def read_principles(path: str | os.PathLike[str] | None = None) -> tuple[Principle, ...]:
    """The principles of a YAML file, or the ten that ship with the package.

    The file holds a list ``principles`` of mappings with the texts ``name``, ``critique``,
    ``revision`` and ``comparison``.

    Raises
    ------
    FormatError
        The file is another one; the message says which entry and what was expected.
    MissingDependencyError
        PyYAML is not installed (``pip install fpo[yaml]``).
    """
    try:
        import yaml
    except ImportError as error:
        raise MissingDependencyError("principles need PyYAML: pip install fpo[yaml]") from error
    if path is None:
        where = "principles.yaml"
        text = (resources.files("fpo.feedback") / where).read_text(encoding="utf-8")
    else:
        where = os.fspath(path)
        text = Path(path).read_text(encoding="utf-8")
    try:
        content = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise FormatError(f"{where}: cannot be read as YAML: {error}") from error
    entries = content.get("principles") if isinstance(content, dict) else None
    if not isinstance(entries, list) or not entries:
        raise FormatError(f"{where}: expected a list named principles, not empty")
    principles = tuple(_principle(f"{where}: principle {i}", one) for i, one in enumerate(entries))
    names = [one.name for one in principles]
    for name in names:
        if names.count(name) > 1:
            raise FormatError(f"{where}: expected different names, got {name!r} twice")
    return principles


def _principle(where: str, entry: Any) -> Principle:
    expected = [field.name for field in fields(Principle)]
    if not isinstance(entry, Mapping) or set(entry) != set(expected):
        raise FormatError(f"{where}: expected exactly {', '.join(expected)}, got {entry!r:.60}")
    for name in expected:
        if not isinstance(entry[name], str) or not entry[name].strip():
            raise FormatError(f"{where}: {name}: expected a text, got {entry[name]!r:.60}")
    return Principle(**{name: entry[name].strip() for name in expected})
