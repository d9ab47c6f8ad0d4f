"""Sweeps described in a file: TOML, JSON, or YAML if PyYAML is installed.

.. code-block:: toml

    seeds = 100
    penalties = ["myopic", { penalty = "residual", kappa = 0.1 }]
    environment = [{ environment = "neural" }, { environment = "displaced", rounds = 2000 }]

    [grid]
    penalty_weight = [0.001, 0.005, 0.02]
"""

from __future__ import annotations

import json
import os
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ._configuration import unknown_name
from .environments import Environment, NeuralEnvironment
from .errors import ArgumentError, FormatError, MissingDependencyError
from .penalties import Penalty

__all__ = ["environment_of", "parsed", "read"]

_KEYS = ["environment", "penalties", "seeds", "grid"]


def read(path: str | os.PathLike[str]) -> dict[str, Any]:
    """The first four arguments of `fpo.sweep`, by name.

    Keys of the file, of which all are optional: ``environment`` (a name, or a table with
    ``environment`` = "linear", "neural" or "displaced" and parameters, or a list of them),
    ``penalties`` (names, or tables with ``penalty`` and parameters), ``seeds`` (how many, or a
    list), ``grid``.

    Raises
    ------
    ArgumentError
        A key is unknown; the message has the nearest one.
    FormatError
        The file cannot be read as what its name ends in.
    """
    path = Path(path)
    values = parsed(path)
    if not isinstance(values, dict):
        raise FormatError(f"{path}: expected a table, got {type(values).__name__}")
    for name in values:
        if name not in _KEYS:
            raise unknown_name(str(path), name, _KEYS)
    seeds = values.get("seeds", 1)
    grid = values.get("grid", {})
    if not isinstance(grid, dict) or not all(isinstance(axis, list) for axis in grid.values()):
        raise ArgumentError("grid: expected a table of lists")
    return {
        "environments": [
            environment_of(one) for one in _listed(values.get("environment"), "linear")
        ],
        "penalties": [
            Penalty.from_dict(one) if isinstance(one, dict) else Penalty.named(one)
            for one in _listed(values.get("penalties"), "myopic")
        ],
        "seeds": range(seeds) if isinstance(seeds, int) else seeds,
        "grid": grid,
    }


def environment_of(values: Any) -> Environment:
    """An environment of its name, or of a table with ``environment`` and parameters."""
    table = {"environment": values} if isinstance(values, str) else values
    if not isinstance(table, dict):
        raise ArgumentError(f"environment: expected a name or a table, got {values!r}")
    if table.get("environment") == "displaced":
        rest = {name: value for name, value in table.items() if name != "environment"}
        return NeuralEnvironment.displaced(**rest)
    return Environment.from_dict(table)


def _listed(value: Any, default: str) -> list[Any]:
    if value is None:
        return [default]
    return value if isinstance(value, list) else [value]


def parsed(path: Path) -> Any:
    """What a TOML, JSON or YAML file holds; `FormatError` where it cannot be read as that."""
    text = path.read_text(encoding="utf-8")
    parse: dict[str, Callable[[str], Any]] = {
        ".toml": tomllib.loads,
        ".json": json.loads,
        ".yaml": _yaml,
        ".yml": _yaml,
    }
    if path.suffix not in parse:
        raise FormatError(f"{path}: expected a name that ends in .toml, .json, .yaml or .yml")
    try:
        return parse[path.suffix](text)
    except ValueError as error:
        raise FormatError(f"{path}: {error}") from error


def _yaml(text: str) -> Any:
    try:
        import yaml
    except ImportError as error:
        raise MissingDependencyError(
            "YAML needs PyYAML: pip install fpo[yaml]; TOML and JSON need nothing"
        ) from error
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ValueError(str(error)) from error
