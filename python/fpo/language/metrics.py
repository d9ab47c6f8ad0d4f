"""Metrics of a round, its clock, and the progress bar."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from .. import numerics
from .._arrays import Array
from .model import Completion

__all__ = ["Clock", "Row", "bar", "completion_metrics", "numbers", "reward_metrics"]

Row = dict[str, Any]


class Clock:
    """Seconds that the parts of a round took."""

    def __init__(self) -> None:
        self._began = self._last = time.perf_counter()
        self._seconds: dict[str, float] = {}

    def lap(self, part: str) -> None:
        """What passed since the last lap belongs to `part`."""
        now = time.perf_counter()
        self._seconds[part] = self._seconds.get(part, 0.0) + now - self._last
        self._last = now

    def times(self) -> Row:
        """``time/...`` of each part and of the whole."""
        total = time.perf_counter() - self._began
        named = {f"time/{part}": round(value, 4) for part, value in self._seconds.items()}
        return {**named, "time/step": round(total, 4)}


def completion_metrics(of: Sequence[Completion]) -> Row:
    """Length of answers, and how many were cut."""
    return {
        "completions/mean_length": float(np.mean([len(one.tokens) for one in of])),
        "completions/clipped_ratio": float(np.mean([one.reason == "length" for one in of])),
    }


def reward_metrics(rewards: Array, winner: int, label: float) -> Row:
    """What the reward model makes of the winner and of the reference, which comes last.

    ``label`` is the oracle's probability that the winner is the better of the two.
    """
    margin = float(rewards[winner] - rewards[-1])
    believed = float(numerics.sigmoid(np.array([margin]))[0])
    return {
        "rewards/chosen": float(rewards[winner]),
        "rewards/rejected": float(rewards[-1]),
        "rewards/margins": margin,
        "rewards/mean": float(rewards[:-1].mean()),
        "rewards/std": float(rewards[:-1].std()),
        "rewards/accuracies": float((margin > 0) == (label > 0.5)),
        "fpo/overconfidence": believed - label,
    }


def numbers(row: Row) -> dict[str, float]:
    """The metrics of a row, without its number."""
    return {name: float(value) for name, value in row.items() if name != "step"}


def bar(rounds: range, done: int, progress: bool, what: str, unit: str = "round") -> Iterable[int]:
    """The rounds, behind a progress bar where one is wanted."""
    if not progress:
        return rounds
    from tqdm.auto import tqdm

    shown: Iterable[int] = tqdm(
        rounds, total=done + len(rounds), initial=done, desc=what, unit=unit
    )
    return shown
