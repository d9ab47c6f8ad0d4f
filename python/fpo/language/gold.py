"""Gold models: oracles fitted to labels of people, on a language model's hidden states."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from .. import numerics
from ..errors import ArgumentError, FormatError
from .model import TokenModel
from .oracles import Answers
from .safetensors import SafetensorsFile, write_safetensors

__all__ = ["GoldOracle", "LabelledAnswer", "is_held_out", "labelled_answers", "truth_labels"]

Array = NDArray[np.float64]

_BATCH = 64
_MAX_TOKENS = 192


@dataclass(frozen=True)
class LabelledAnswer:
    """An answer to a question, and the probability that people hold it for good."""

    question: str
    answer: str
    label: float


def is_held_out(question: str, parts: int = 5) -> bool:
    """Whether a question belongs to the fifth on which nothing is fitted, by its hash."""
    return int(hashlib.sha256(question.strip().encode()).hexdigest()[:8], 16) % parts == 0


def truth_labels() -> list[LabelledAnswer]:
    """TruthfulQA's human truth labels, of ``truthfulqa`` under ``FPO_DATA``; one row a pair."""
    data = os.environ.get("FPO_DATA")
    if not data:
        raise ArgumentError("oracle 'truth': set FPO_DATA to the folder that holds truthfulqa")
    path = Path(data) / "truthfulqa" / "human_truth_labels.jsonl.gz"
    if not path.is_file():
        raise ArgumentError(f"oracle 'truth': there is no {path}")
    with gzip.open(path, "rt", encoding="utf-8") as file:
        rows = [json.loads(line) for line in file]
    return _distinct((row["question"], row["answer"], float(row["label"])) for row in rows)


def labelled_answers(path: str | os.PathLike[str]) -> list[LabelledAnswer]:
    """A ``.jsonl`` file of rows with prompt, response, and label in [0, 1].

    Raises
    ------
    FormatError
        A row is something else; the message names its line.
    """
    rows = []
    with open(path, encoding="utf-8") as file:
        for number, line in enumerate(file, 1):
            if not line.strip():
                continue
            try:
                row = json.loads(line)
                prompt, response, label = row["prompt"], row["response"], float(row["label"])
                good = isinstance(prompt, str) and isinstance(response, str) and 0 <= label <= 1
            except (ValueError, KeyError, TypeError):
                good = False
            if not good:
                raise FormatError(
                    f"{path}: line {number}: expected prompt, response, and label from 0 to 1"
                )
            rows.append((prompt, response, label))
    if not rows:
        raise FormatError(f"{path}: holds no rows")
    return _distinct(rows)


def _distinct(rows: Iterable[tuple[str, str, float]]) -> list[LabelledAnswer]:
    labels: dict[tuple[str, str], list[float]] = {}
    for question, answer, label in rows:
        labels.setdefault((question.strip(), answer.strip()), []).append(label)
    return [LabelledAnswer(*pair, float(np.mean(of))) for pair, of in labels.items()]


class GoldOracle:
    """The log-odds that people hold an answer for good: logistic regression on hidden states.

    Fitted on four fifths of the questions; ``accuracy`` and ``auc`` are of the fifth that was held
    out (`is_held_out`), on which alone a model that was trained against this oracle may be
    evaluated. The fit is kept in a cache.

    Parameters
    ----------
    model
        Gives the hidden states; usually the policy's base.
    rows
        Labelled answers.
    layer
        Of the hidden states; the mean over the tokens of "Q: question, newline, A: answer".
    ridge
        Of the regression, on standardised features.
    """

    def __init__(
        self,
        model: TokenModel,
        rows: Sequence[LabelledAnswer],
        *,
        layer: int = 20,
        ridge: float = 100.0,
        name: str = "gold",
        cache: str | os.PathLike[str] | None = None,
        progress: bool = True,
    ):
        self.model, self.layer, self.name = model, min(layer, model.architecture.layers), name
        self._progress = progress
        file = _cache_folder(cache) / f"gold-{self._identity(rows, ridge)}.safetensors"
        if not file.exists():
            self._fit(rows, ridge, file)
        self._read(SafetensorsFile(file))

    def __repr__(self) -> str:
        return (
            f"GoldOracle({self.name!r}, held-out accuracy {self.accuracy:.3f}, AUC {self.auc:.3f})"
        )

    def _identity(self, rows: Sequence[LabelledAnswer], ridge: float) -> str:
        of = self.model
        text = json.dumps(
            [
                *(getattr(of, "name", ""), getattr(of, "storage", ""), self.layer, ridge),
                *([row.question, row.answer, row.label] for row in rows),
            ]
        )
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def _states(self, questions: Sequence[str], answers: Sequence[str]) -> Array:
        encode = self.model.tokenizer.encode
        tokens = [
            encode(f"Q: {question}\nA: {answer}")[:_MAX_TOKENS]
            for question, answer in zip(questions, answers, strict=True)
        ]
        return self.model.hidden_states(tokens, self.layer, pooling="mean").astype(np.float64)

    def _fit(self, rows: Sequence[LabelledAnswer], ridge: float, file: Path) -> None:
        from tqdm.auto import tqdm

        starts = range(0, len(rows), _BATCH)
        batches = [rows[start : start + _BATCH] for start in starts]
        shown = tqdm(batches, desc=f"{self.name} oracle", disable=not self._progress)
        states = np.concatenate(
            [self._states([r.question for r in one], [r.answer for r in one]) for one in shown]
        )
        labels = np.array([row.label for row in rows])
        held_out = np.array([is_held_out(row.question) for row in rows])
        if held_out.all() or not held_out.any():
            raise ArgumentError(f"oracle {self.name!r}: too few questions to hold some out")
        mean, scale = states[~held_out].mean(axis=0), states[~held_out].std(axis=0) + 1e-6
        x = np.column_stack([(states - mean) / scale, np.ones(len(states))])
        weights = _logistic(x[~held_out], labels[~held_out], ridge)
        found = x[held_out] @ weights
        truth = labels[held_out] > 0.5
        quality = np.array([float(((found > 0) == truth).mean()), _auc(found, truth)])
        file.parent.mkdir(parents=True, exist_ok=True)
        write_safetensors(
            file, {"mean": mean, "scale": scale, "weights": weights, "quality": quality}
        )

    def _read(self, file: SafetensorsFile) -> None:
        self._mean, self._scale = file.tensor("mean"), file.tensor("scale")
        self._weights = file.tensor("weights")
        self.accuracy, self.auc = (float(one) for one in file.tensor("quality"))

    def log_odds(self, questions: Sequence[str], answers: Sequence[str]) -> Array:
        """Of each answer (n,)."""
        x = (self._states(questions, answers) - self._mean) / self._scale
        odds: Array = x @ self._weights[:-1] + self._weights[-1]
        return odds

    def __call__(self, answers: Answers) -> Array:
        """Utilities (n,)."""
        return self.log_odds([answers.question] * len(answers.texts), answers.texts)


def _cache_folder(cache: str | os.PathLike[str] | None) -> Path:
    if cache is not None:
        return Path(cache)
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(os.environ.get("FPO_CACHE") or Path(base) / "fpo")


def _logistic(x: Array, labels: Array, ridge: float) -> Array:
    """Ridge-penalised logistic regression with soft labels by Newton; the last column is free."""
    weights = np.zeros(x.shape[1])
    decay = np.full(x.shape[1], ridge)
    decay[-1] = 1e-6
    for _ in range(25):
        p = numerics.sigmoid(x @ weights)
        gradient = x.T @ (p - labels) + decay * weights
        hessian = (x.T * (p * (1 - p))) @ x + np.diag(decay)
        step = numerics.cholesky_solve(hessian, gradient)
        weights = weights - step
        if np.abs(step).max() < 1e-8:
            break
    return weights


def _auc(scores: Array, truth: NDArray[np.bool_]) -> float:
    """The probability that a true answer scores above a false one (rank sum, ties by order)."""
    ranks = np.empty(scores.size)
    ranks[np.argsort(scores, kind="stable")] = np.arange(1, scores.size + 1)
    true = int(truth.sum())
    false = truth.size - true
    if not true or not false:
        return float("nan")
    return float((ranks[truth].sum() - true * (true + 1) / 2) / (true * false))
