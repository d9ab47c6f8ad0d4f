"""Public data sets in the schema of `Dataset`, from a folder of files that the user provides.

Each function reads ``root``, or the folder that the environment variable ``FPO_DATA`` names. The
package ships none of the data; mind the licence of each set.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..errors import ArgumentError, DomainError, FormatError
from .dataset import Dataset
from .files import PathLike, read_rows

__all__ = ["HH_SUBSETS", "Ratings", "gsm8k", "hh_rlhf", "popquorn", "truthfulqa_labels"]

HH_SUBSETS = ("harmless-base", "helpful-base", "helpful-online", "helpful-rejection-sampled")
_SIDES = ("prompt", "chosen", "rejected")
_ROLES = {"H": "user", "A": "assistant"}


class Ratings(NamedTuple):
    """Ratings of items by annotators, one element of the last three for each rating."""

    texts: list[str]
    item: NDArray[np.int64]
    annotator: NDArray[np.int64]
    rating: NDArray[np.int64]


def hh_rlhf(subsets: Iterable[str] = HH_SUBSETS, *, root: PathLike | None = None) -> Dataset:
    """Human preferences between two replies: Bai et al., arXiv:2204.05862. Kind ``preference``.

    Conversational, with the further columns ``id`` and ``subset``. Kept are the pairs whose sides
    are one assistant turn each after a user turn: 8,497 of 8,552; most of the others compare a
    reply with none. Split with `Dataset.split`: the source has test files only.
    """
    rows: list[dict[str, Any]] = []
    for subset in subsets:
        if subset not in HH_SUBSETS:
            raise DomainError(f"subsets: expected some of {', '.join(HH_SUBSETS)}, got {subset!r}")
        for row in _rows(root, "hh-rlhf", f"{subset}.test", ("id", *_SIDES, "simple")):
            if row["simple"]:
                sides = {name: _turns(row[name]) for name in _SIDES}
                rows.append({**sides, "id": row["id"], "subset": subset})
    return Dataset(rows, "preference")


def truthfulqa_labels(what: str = "truth", *, root: PathLike | None = None) -> Dataset:
    """Human labels of answers: Lin et al., arXiv:2109.07958. Kind ``unpaired-preference``.

    `what` is "truth" (is the answer truthful?) or "info" (is it informative?). `Dataset.split`
    splits by question, as it must be.
    """
    if what not in ("truth", "info"):
        raise DomainError(f"what: expected truth or info, got {what!r}")
    rows = _rows(root, "truthfulqa", f"human_{what}_labels", ("question", "answer", "label"))
    return Dataset(
        (
            {"prompt": row["question"], "completion": row["answer"], "label": row["label"]}
            for row in rows
        ),
        "unpaired-preference",
    )


def gsm8k(part: str = "train", *, root: PathLike | None = None) -> Dataset:
    """Word problems with worked solutions: Cobbe et al., arXiv:2110.14168.

    Kind ``prompt-completion``, the completion ending in ``#### answer`` as published; the further
    column ``answer`` is what the verifiers read. `part` is "train" or "test".
    """
    if part not in ("train", "test"):
        raise DomainError(f"part: expected train or test, got {part!r}")
    return Dataset(
        (
            {
                "prompt": row["question"],
                "completion": f"{row['solution']}\n#### {row['answer']}",
                "answer": row["answer"],
            }
            for row in _rows(root, "gsm8k", part, ("question", "solution", "answer"))
        ),
        "prompt-completion",
    )


def popquorn(*, root: PathLike | None = None) -> Ratings:
    """Offensiveness of comments, 1 to 5, by many annotators: Pei and Jurgens, arXiv:2306.06826."""
    folder = "popquorn-offensiveness"
    texts = {row["item"]: row["text"] for row in _rows(root, folder, "items", ("item", "text"))}
    names = ("item", "annotator", "rating")
    ratings = np.array(
        [[row[name] for name in names] for row in _rows(root, folder, "ratings", names)], np.int64
    )
    return Ratings([texts[item] for item in range(len(texts))], *ratings.T.copy())


def _rows(
    root: PathLike | None, folder: str, name: str, fields: tuple[str, ...]
) -> Iterable[dict[str, Any]]:
    for place, row in read_rows(_root(root) / folder / f"{name}.jsonl.gz"):
        if isinstance(row, FormatError):
            raise FormatError(f"{place}: {row}")
        if not isinstance(row, dict) or not row.keys() >= set(fields):
            raise FormatError(f"{place}: expected an object with {', '.join(fields)}")
        yield row


def _root(root: PathLike | None) -> Path:
    root = root if root is not None else os.environ.get("FPO_DATA")
    if root is None:
        raise ArgumentError("root: expected a folder, or one named by the variable FPO_DATA")
    return Path(root)


def _turns(turns: list[list[str]]) -> list[dict[str, str]]:
    return [{"role": _ROLES[role], "content": content} for role, content in turns]
