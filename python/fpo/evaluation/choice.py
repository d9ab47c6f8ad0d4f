"""Multiple choice by log-likelihood: accuracy, length-normalised accuracy, MC1 and MC2.

For the log-likelihoods *l* of the choices of a question, ``acc`` asks whether the largest *l* is
the answer's, ``acc_norm`` the same of *l* divided by the number of characters, and ``mc2`` is the
share of the true choices in the sum of exp(*l*). ``acc`` of the task ``truthfulqa`` is MC1.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..errors import ArgumentError
from .data import Row
from .likelihood import LanguageModel, Scores, score
from .results import ResultFile, digest
from .statistics import Interval, mean_error, wilson
from .tasks import Question

__all__ = ["MEASURES", "evaluate", "measure", "summary"]

#: The numbers of a row that a summary averages.
MEASURES = ("acc", "acc_norm", "mc2")


def measure(question: Question, scores: Scores) -> dict[str, float]:
    """The measures of one question; a tie with a wrong choice counts as the first of the two."""
    rivals = list(question.rivals if question.rivals is not None else range(len(question.choices)))
    sums = scores.log_probability
    lengths = np.array([len(choice.removeprefix(" ")) for choice in question.choices])
    row: dict[str, float] = {
        "acc": float(rivals[int(sums[rivals].argmax())] == question.answer),
        "acc_norm": float(rivals[int((sums / lengths)[rivals].argmax())] == question.answer),
    }
    if question.true is not None:
        mass = np.exp(sums - sums.max())
        row["mc2"] = float(mass[list(question.true)].sum() / mass.sum())
    return row


def evaluate(
    model: LanguageModel,
    questions: Sequence[Question],
    *,
    task: str,
    name: str = "",
    path: str | os.PathLike[str] | None = None,
    special: bool = False,
    progress: bool = False,
) -> list[Row]:
    """Scores questions, one row each: ``id``, ``log_probability``, ``tokens`` and `MEASURES`.

    Parameters
    ----------
    task, name
        Of the task and the model, for the header of the file.
    path
        Result file, appended to question by question; questions that are in it are not scored
        again, so that a part of a task can be extended to the whole.
    special
        Whether the tokenizer's special tokens precede the context.
    progress
        Shows a bar.
    """
    identities = [question.id for question in questions]
    if not questions or len(set(identities)) != len(identities):
        raise ArgumentError("questions: expected at least one, and no identity twice")
    header = {"kind": "choice", "task": task, "model": name, "special": special}
    file = ResultFile(path, header)

    def make(k: int) -> Row:
        question = questions[k]
        asked = digest([question.context, *question.choices])
        scores = score(model, question.context, question.choices, special=special)
        return {
            "category": question.category,
            "asked": asked,
            "log_probability": [round(float(v), 6) for v in scores.log_probability],
            "tokens": scores.tokens.tolist(),
            **measure(question, scores),
        }

    rows = file.complete(identities, make, shown=progress, label=task)
    for question, row in zip(questions, rows, strict=True):
        if row.get("asked") != digest([question.context, *question.choices]):
            raise ArgumentError(f"{path}: {question.id} was asked with other words")
    return rows


def summary(rows: Sequence[Row]) -> dict[str, Any]:
    """Mean, standard error and interval of each measure: Wilson's for accuracies."""
    if not rows:
        raise ArgumentError("rows: expected at least one")
    result: dict[str, Any] = {"questions": len(rows)}
    for name in MEASURES:
        if name not in rows[0]:
            continue
        values = [row[name] for row in rows]
        mean, error = mean_error(values)
        interval = (
            Interval(mean, mean - 1.96 * error, mean + 1.96 * error)
            if name == "mc2"
            else wilson(round(sum(values)), len(values))
        )
        result[name] = {**interval.to_dict(), "standard_error": error}
    return result
