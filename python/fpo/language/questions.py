"""Prompts to train on: the questions that ship with the package, or a file of the user's."""

from __future__ import annotations

import os
from importlib import resources
from pathlib import Path

from ..data.files import read_rows
from ..errors import ArgumentError, FormatError

__all__ = ["read_prompts", "shipped_prompts"]

_SHOWN = 10  # bad rows named in an error
_EXPECTED = "expected an object with a text in prompt"


def shipped_prompts() -> list[str]:
    """Our own questions: 29 topics, with false premises and leading opinions among them; CC0."""
    with resources.as_file(resources.files("fpo.language") / "prompts" / "questions.jsonl") as file:
        return read_prompts(file)


def read_prompts(source: str | os.PathLike[str] = "shipped") -> list[str]:
    """The column ``prompt`` of a ``.jsonl``, ``.jsonl.gz`` or ``.parquet`` file, or "shipped".

    Other columns are ignored; prompts are plain texts that are not blank.

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
    prompts, bad = [], []
    for place, row in read_rows(path):
        prompt = row.get("prompt") if isinstance(row, dict) else None
        if isinstance(prompt, str) and prompt.strip():
            prompts.append(prompt)
        else:
            bad.append(f"{place}: {row if isinstance(row, FormatError) else _EXPECTED}")
    if bad:
        more = [f"and {len(bad) - _SHOWN} more"] if len(bad) > _SHOWN else []
        raise FormatError("\n".join(bad[:_SHOWN] + more))
    if not prompts:
        raise FormatError(f"{path}: holds no prompts")
    return prompts
