"""Prompts to train on: the questions that ship with the package, or a file of the user's."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from importlib import resources
from pathlib import Path
from typing import Any

from ..errors import ArgumentError, FormatError
from ._extras import optional

__all__ = ["read_prompts", "shipped_prompts"]

_SHOWN = 10  # bad rows named in an error


def shipped_prompts() -> list[str]:
    """Our own questions: 29 topics, with false premises and leading opinions among them; CC0."""
    file = resources.files("fpo.language") / "prompts" / "questions.jsonl"
    lines = enumerate(file.read_text(encoding="utf-8").splitlines(), 1)
    return _prompts(_parsed_lines(lines), "questions.jsonl")


def read_prompts(source: str | os.PathLike[str] = "shipped") -> list[str]:
    """The column ``prompt`` of a ``.jsonl`` or ``.parquet`` file, or "shipped".

    Raises
    ------
    FormatError
        Rows are no prompts; the message names them by line.
    ArgumentError
        There is no such file, or it is of another kind.
    """
    if str(source) == "shipped":
        return shipped_prompts()
    path = Path(source)
    if not path.is_file():
        raise ArgumentError(f'prompts: expected "shipped" or a file, got {str(source)!r}')
    if path.suffix == ".jsonl":
        with open(path, encoding="utf-8") as file:
            try:
                return _prompts(_parsed_lines(enumerate(file, 1)), str(path))
            except UnicodeDecodeError as error:
                raise FormatError(f"{path}: not UTF-8 ({error})") from error
    if path.suffix == ".parquet":
        parquet = optional("pyarrow.parquet", "reading Parquet files", "data")
        try:
            rows = parquet.read_table(path, columns=["prompt"]).to_pylist()
        except Exception as error:  # pyarrow has its own hierarchy
            raise FormatError(f"{path}: cannot be read as Parquet ({error})") from error
        return _prompts(enumerate(rows, 1), str(path))
    raise ArgumentError(f"prompts: expected a .jsonl or .parquet file, got {path.name!r}")


def _parsed_lines(lines: Iterable[tuple[int, str]]) -> Iterable[tuple[int, Any]]:
    for number, line in lines:
        if line.strip():
            try:
                yield number, json.loads(line)
            except ValueError:
                yield number, None


def _prompts(rows: Iterable[tuple[int, Any]], where: str) -> list[str]:
    prompts, bad = [], []
    for number, row in rows:
        prompt = row.get("prompt") if isinstance(row, dict) else None
        if isinstance(prompt, str) and prompt.strip():
            prompts.append(prompt)
        else:
            bad.append(number)
    if bad:
        shown = ", ".join(map(str, bad[:_SHOWN]))
        more = f" and {len(bad) - _SHOWN} more" if len(bad) > _SHOWN else ""
        raise FormatError(
            f"{where}: expected objects with a text in prompt; wrong on line {shown}{more}"
        )
    if not prompts:
        raise FormatError(f"{where}: holds no prompts")
    return prompts
