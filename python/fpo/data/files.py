"""Rows from and to JSONL, gzipped JSONL and Parquet, each with the place where it stands."""

from __future__ import annotations

import gzip
import json
import os
import zlib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any, NoReturn

from ..errors import ArgumentError, FormatError, MissingDependencyError

__all__ = ["PathLike", "read_rows", "write_rows"]

PathLike = str | os.PathLike[str]
_SUFFIXES = ".jsonl, .jsonl.gz, .parquet"


def read_rows(path: PathLike) -> Iterator[tuple[str, Any]]:
    """Pairs of a place (``file:line``; ``file: row n`` in Parquet, from 1) and what stands there.

    What is not JSON is yielded as a `FormatError`, so that a reader can name all bad lines.
    """
    path = Path(path)
    if path.suffix == ".parquet":
        yield from _parquet_rows(path)
    elif path.name.endswith((".jsonl", ".jsonl.gz")):
        yield from _json_lines(path)
    else:
        raise ArgumentError(f"path: expected a name that ends in {_SUFFIXES}, got {path.name!r}")


def _json_lines(path: Path) -> Iterator[tuple[str, Any]]:
    # Lines end at \n alone: U+2028 and \x85 may stand inside a JSON text.
    try:
        with gzip.open(path, "rb") if path.suffix == ".gz" else open(path, "rb") as file:
            for number, line in enumerate(file, 1):
                if line.strip():
                    yield f"{path}:{number}", _parsed(line)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise FormatError(f"{path}: cannot be read as gzip: {error}") from error


def _parsed(line: bytes) -> Any:
    try:
        return json.loads(line.decode(), parse_constant=_no_constant)
    except UnicodeDecodeError as error:
        return FormatError(f"expected UTF-8, got byte {line[error.start]:#04x}")
    except ValueError as error:
        return FormatError(f"expected one JSON object: {error}")
    except RecursionError:
        return FormatError("expected one JSON object, got one nested too deeply")


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON; leave the field out, or write null")


def write_rows(path: PathLike, rows: Iterable[Mapping[str, Any]]) -> None:
    """Writes rows to the format that the name ends in."""
    path = Path(path)
    if path.suffix == ".parquet":
        arrow, parquet = _arrow()
        parquet.write_table(arrow.Table.from_pylist([dict(row) for row in rows]), path)
        return
    if not path.name.endswith((".jsonl", ".jsonl.gz")):
        raise ArgumentError(f"path: expected a name that ends in {_SUFFIXES}, got {path.name!r}")
    # gzip without name and time: the same rows are the same bytes.
    content = "".join(json.dumps(dict(row), ensure_ascii=False) + "\n" for row in rows).encode()
    path.write_bytes(gzip.compress(content, mtime=0) if path.suffix == ".gz" else content)


def _parquet_rows(path: Path) -> Iterator[tuple[str, Any]]:
    arrow, parquet = _arrow()
    try:
        with parquet.ParquetFile(path) as file:
            number = 0
            for batch in file.iter_batches(batch_size=1024):
                for row in batch.to_pylist():
                    number += 1
                    yield f"{path}: row {number}", row
    except arrow.ArrowInvalid as error:
        raise FormatError(f"{path}: cannot be read as Parquet: {error}") from error


def _arrow() -> tuple[ModuleType, ModuleType]:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise MissingDependencyError(
            "Parquet needs PyArrow: pip install fpo[data]; JSONL needs nothing"
        ) from error
    return pyarrow, pyarrow.parquet
