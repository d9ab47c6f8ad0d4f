"""Answers of a model to questions, as the pairwise judge reads them."""

from __future__ import annotations

import os
from collections.abc import Sequence

from ..errors import ArgumentError, DomainError
from .data import Row, read_set
from .likelihood import LanguageModel, chat_text
from .results import ResultFile, progress, read_results

__all__ = ["generate_answers", "load_questions", "read_answers"]

#: How many questions are answered before their rows are written.
BATCH = 8


def load_questions(data: str | os.PathLike[str] | None = None) -> list[Row]:
    """TruthfulQA's 817 questions (v1): ``id``, ``question``, ``category``."""
    rows = read_set("truthfulqa/questions_v1", data, ("question", "category"))
    return [
        {"id": f"question:{k}", "question": row["question"], "category": row["category"]}
        for k, row in enumerate(rows)
    ]


def generate_answers(
    model: LanguageModel,
    questions: Sequence[Row],
    *,
    max_new_tokens: int = 64,
    system: str | None = None,
    name: str = "",
    path: str | os.PathLike[str] | None = None,
    progress_bar: bool = False,
) -> list[Row]:
    """Greedy answers through the chat template: ``question``, ``category``, ``answer``, ``tokens``.

    Parameters
    ----------
    max_new_tokens
        64, as published: most answers are cut there.
    name, path, progress_bar
        As in `choice.evaluate`.
    """
    if max_new_tokens < 1:
        raise DomainError(f"max_new_tokens: expected at least 1, got {max_new_tokens}")
    header = {"kind": "answers", "model": name, "max_new_tokens": max_new_tokens, "system": system}
    file = ResultFile(path, header)
    identities = [question["id"] for question in questions]
    missing = file.missing(identities)
    done = len(identities) - len(missing)
    with progress(len(identities), done, "answers", progress_bar) as bar:
        for first in range(0, len(missing), BATCH):
            some = [questions[k] for k in missing[first : first + BATCH]]
            prompts = [
                model.tokenizer.encode(chat_text(model.tokenizer, one["question"], system))
                for one in some
            ]
            answers = model.generate(prompts, max_new_tokens=max_new_tokens, greedy=True)
            for question, [answer] in zip(some, answers, strict=True):
                tokens = list(answer.tokens)
                row = {key: question[key] for key in ("id", "question", "category")}
                text = model.tokenizer.decode(tokens).strip()
                file.add({**row, "answer": text, "tokens": len(tokens)})
                bar.update()
    return [file.rows[identity] for identity in identities]


def read_answers(path: str | os.PathLike[str]) -> list[Row]:
    """The rows that `generate_answers` wrote."""
    header, rows = read_results(path)
    if header.get("kind") != "answers":
        raise ArgumentError(f"{path}: expected answers, got a file of {header.get('kind')}")
    return rows
