"""Metrics of a round, its clock, and the progress bar."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from .model import Completion

__all__ = ["Clock", "Row", "bar", "completion_metrics", "numbers"]

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


def numbers(row: Row) -> dict[str, float]:
    """The metrics of a row, without its number."""
    return {name: float(value) for name, value in row.items() if name != "step"}


def bar(rounds: range, done: int, progress: bool, what: str) -> Iterable[int]:
    """The rounds, behind a progress bar where one is wanted."""
    if not progress:
        return rounds
    from tqdm.auto import tqdm

    shown: Iterable[int] = tqdm(
        rounds, total=done + len(rounds), initial=done, desc=what, unit="round"
    )
    return shown
