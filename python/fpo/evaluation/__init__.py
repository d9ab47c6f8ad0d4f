"""Evaluation of language models: what can be concluded from it, and what cannot.

`tasks` and `choice` score multiple choice by log-likelihood, `sycophancy` asks what a user's
belief does to an answer, `generation`, `judge` and `judges` compare answers in pairs, `verdicts`
counts and tests, `report` lays all arms of an experiment side by side. ``fpo eval`` is the command.

>>> questions = tasks.select(tasks.load("truthfulqa"), 200)
>>> rows = choice.evaluate(model, questions, task="truthfulqa", path="mc.jsonl")
>>> choice.summary(rows)["mc2"]
"""

from __future__ import annotations

from . import (
    arms,
    choice,
    comparison,
    generation,
    judge,
    judges,
    report,
    statistics,
    sycophancy,
    tasks,
    verdicts,
)

__all__ = [
    "arms",
    "choice",
    "comparison",
    "generation",
    "judge",
    "judges",
    "report",
    "statistics",
    "sycophancy",
    "tasks",
    "verdicts",
]
