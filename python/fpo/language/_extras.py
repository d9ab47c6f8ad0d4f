"""Optional packages, imported when they are first needed."""

from __future__ import annotations

import importlib
from typing import Any

from ..errors import MissingDependencyError

__all__ = ["optional"]


def optional(module: str, purpose: str, extra: str = "llm") -> Any:
    """An optional module.

    Raises
    ------
    MissingDependencyError
        It is not installed; the message names the extra that brings it.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        package = module.partition(".")[0]
        raise MissingDependencyError(
            f"{purpose} needs {package}: pip install fpo[{extra}]"
        ) from error
