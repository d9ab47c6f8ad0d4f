"""Comparisons of arms with a baseline: intervals, tests, and whether anything can be concluded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from .._arrays import Array
from ..errors import ArgumentError
from .arms import Arm, Run
from .statistics import (
    Interval,
    block_bootstrap,
    bootstrap,
    holm,
    paired_bootstrap,
    permutation_test,
)

__all__ = ["Comparison", "METRICS", "compare_arms", "evaluation_level", "training_level"]

#: What is read from a training log, and what it is called; ``a - b`` is a difference of two.
METRICS = {
    "utility/winner - utility/reference": "utility gained over the reference",
    "rewards/margins": "reward margin over the reference",
    "fpo/overconfidence": "overconfidence of the reward model",
    "objective/kl": "KL from the base model",
    "completions/mean_length": "tokens of an answer",
}

#: With fewer runs of an arm a conclusion holds for those runs alone.
FEW_RUNS = 5


@dataclass(frozen=True)
class Comparison:
    """An arm minus the baseline in one measure."""

    arm: str
    baseline: str
    measure: str
    #: Where the numbers come from: "training" or "evaluation".
    source: str
    difference: Interval
    #: Rounds or questions that both arms have.
    pairs: int
    p_value: float
    #: p-value adjusted for all comparisons of the report.
    p_holm: float = 1.0
    #: Runs of the arm with the fewer.
    runs: int = 1

    def conclusion(self, alpha: float = 0.05) -> str:
        """In words: never more than interval and test allow."""
        if self.difference.low == self.difference.high == 0:
            return "identical"
        if self.difference.covers_zero:
            return "cannot be concluded: the interval covers 0"
        if self.p_holm > alpha:
            return "cannot be concluded: not significant among all comparisons (Holm)"
        word = "higher" if self.difference.estimate > 0 else "lower"
        if self.runs < FEW_RUNS:
            return f"{word}, in {'this one run' if self.runs == 1 else f'these {self.runs} runs'}"
        return word

    def to_dict(self) -> dict[str, Any]:
        """The fields and the conclusion."""
        return {**asdict(self), "conclusion": self.conclusion()}


def metric_series(run: Run, metric: str) -> dict[int, float]:
    """A metric of `METRICS` by round."""
    first, minus, second = metric.partition(" - ")
    a = run.series(first)
    if not minus:
        return a
    b = run.series(second)
    return {at: a[at] - b[at] for at in a.keys() & b.keys()}


def _late(series: dict[int, float]) -> Array:
    """The last quarter of a run, where an arm shows what it leads to."""
    rounds = sorted(series)
    return np.array([series[at] for at in rounds[-max(1, len(rounds) // 4) :]])


def training_level(arm: Arm, metric: str, *, seed: int = 0) -> Interval | None:
    """The mean of a metric over the last quarter of the rounds; None if no run has it."""
    late = [_late(series) for run in arm.runs if (series := metric_series(run, metric))]
    return block_bootstrap(late, seed=seed)[0] if late else None


def evaluation_level(arm: Arm, measure: str, *, seed: int = 0) -> tuple[Interval, int] | None:
    """The mean of a measure over questions, and their number; None if the arm has it not."""
    values = list(arm.mean_scores().get(measure, {}).values())
    return (bootstrap(values, seed=seed), len(values)) if values else None


def _training(arm: Arm, base: Arm, metric: str, label: str, seed: int) -> Comparison | None:
    """By round, for runs of one seed: they had the same question in it."""
    others = {run.seed: run for run in base.runs}
    differences = []
    for run in arm.runs:
        if run.seed not in others:
            continue
        a, b = metric_series(run, metric), metric_series(others[run.seed], metric)
        common = {at: a[at] - b[at] for at in a.keys() & b.keys()}
        if common:
            differences.append(_late(common))
    if not differences:
        return None
    interval, p = block_bootstrap(differences, seed=seed)
    count = sum(d.size for d in differences)
    return Comparison(
        arm.name, base.name, label, "training", interval, count, p, runs=len(differences)
    )


def _evaluation(arm: Arm, base: Arm, measure: str, seed: int) -> Comparison | None:
    a, b = arm.mean_scores()[measure], base.mean_scores()[measure]
    common = sorted(a.keys() & b.keys())
    if not common:
        return None
    first, second = ([values[question] for question in common] for values in (a, b))
    return Comparison(
        arm.name,
        base.name,
        measure,
        "evaluation",
        paired_bootstrap(first, second, seed=seed),
        len(common),
        permutation_test(first, second, seed=seed),
        runs=min(len(arm.runs), len(base.runs)),
    )


def compare_arms(arms: Sequence[Arm], baseline: str, *, seed: int = 0) -> list[Comparison]:
    """Every arm against the baseline, in every measure that both have.

    Training metrics are the last quarter of the rounds, paired by seed and round, with a block
    bootstrap; evaluation measures are paired by question, with a bootstrap and a sign-flip test.
    p-values are adjusted by Holm's rule over all comparisons that are returned.
    """
    named = {arm.name: arm for arm in arms}
    if baseline not in named:
        raise ArgumentError(f"baseline: expected one of {', '.join(named)}, got {baseline!r}")
    base, found = named[baseline], []
    for arm in arms:
        if arm is base:
            continue
        for metric, label in METRICS.items():
            found.append(_training(arm, base, metric, label, seed))
        shared = base.mean_scores().keys() & arm.mean_scores().keys()
        for measure in sorted(shared):
            found.append(_evaluation(arm, base, measure, seed))
    made = [one for one in found if one is not None]
    adjusted = holm([one.p_value for one in made])
    return [
        Comparison(**{**one.__dict__, "p_holm": p}) for one, p in zip(made, adjusted, strict=True)
    ]
