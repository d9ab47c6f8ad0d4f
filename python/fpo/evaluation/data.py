"""Public evaluation data from a local folder; nothing is downloaded.

The folder is the argument, or the environment variable ``FPO_DATA``. Files are JSON lines, plain or
compressed by gzip.
"""

from __future__ import annotations

import gzip
import json
import os
import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from ..errors import ArgumentError, FormatError

__all__ = ["Row", "folder", "read", "read_set"]

Row = dict[str, Any]
VARIABLE = "FPO_DATA"


def folder(root: str | os.PathLike[str] | None = None) -> Path:
    """The folder of the data sets."""
    named = os.environ.get(VARIABLE) if root is None else root
    if not named:
        raise ArgumentError(f"data: name the folder of the data sets, or set {VARIABLE}")
    path = Path(named)
    if not path.is_dir():
        raise ArgumentError(f"data: {path} is not a folder")
    return path


def read(path: str | os.PathLike[str], fields: Iterable[str] = ()) -> list[Row]:
    """The rows of a JSON-lines file, ``.gz`` or not.

    Parameters
    ----------
    fields
        What each row must have.

    Raises
    ------
    FormatError
        A line that is no JSON object or lacks a field, by its number; a damaged archive.
    """
    path, wanted = Path(path), tuple(fields)
    open_text = gzip.open if path.suffix == ".gz" else open
    rows: list[Row] = []
    try:
        with open_text(path, "rt", encoding="utf-8") as file:
            for number, line in enumerate(file, start=1):
                if line.strip():
                    rows.append(_row(path, number, line, wanted))
    except (gzip.BadGzipFile, EOFError, zlib.error, UnicodeDecodeError) as error:
        raise FormatError(f"{path}: damaged, or not JSON lines ({error})") from error
    return rows


def _row(path: Path, number: int, line: str, fields: tuple[str, ...]) -> Row:
    try:
        row = json.loads(line)
    except ValueError as error:
        raise FormatError(f"{path}: line {number} is not JSON ({error})") from error
    if not isinstance(row, dict):
        raise FormatError(f"{path}: line {number} is not a JSON object")
    missing = [name for name in fields if name not in row]
    if missing:
        raise FormatError(f"{path}: line {number} has no {', '.join(map(repr, missing))}")
    return row


def read_set(
    name: str, root: str | os.PathLike[str] | None = None, fields: Iterable[str] = ()
) -> list[Row]:
    """The rows of the data set `name`, such as ``truthfulqa/mc_v1``."""
    path = folder(root) / f"{name}.jsonl.gz"
    if not path.exists():
        path = path.with_suffix("")
    if not path.exists():
        raise ArgumentError(f"data: {path.parent} has neither {path.name} nor {path.name}.gz")
    return read(path, fields)
