"""Tests and intervals for evaluations: exact where that is cheap, seeded where it is not."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import DomainError, NonFiniteError, ShapeError

__all__ = [
    "Interval",
    "Verdict",
    "binomial_test",
    "block_bootstrap",
    "bootstrap",
    "holm",
    "mean_error",
    "mcnemar_test",
    "paired_bootstrap",
    "permutation_test",
    "wilson",
]

#: The longest series that the exact binomial test sums.
EXACT_TRIALS = 10_000
#: Two probabilities that differ by less, relatively, are one: their rounding is of this size.
SAME = 1e-7


@dataclass(frozen=True)
class Interval:
    """An estimate with a confidence interval."""

    estimate: float
    low: float
    high: float
    level: float = 0.95

    @property
    def covers_zero(self) -> bool:
        """Whether 0 is among the values that the data do not exclude."""
        return not (self.low > 0 or self.high < 0)

    def to_dict(self) -> dict[str, float]:
        """The fields."""
        return asdict(self)

    def __str__(self) -> str:
        return f"{self.estimate:.3f} [{self.low:.3f}, {self.high:.3f}]"


@dataclass(frozen=True)
class Verdict:
    """Counts of a pairwise comparison; ties are left out of the test."""

    wins: int
    losses: int
    ties: int

    @property
    def pairs(self) -> int:
        """All of them, ties included."""
        return self.wins + self.losses + self.ties

    @property
    def p_value(self) -> float:
        """The exact two-sided binomial test of wins against losses; 1 if there are none."""
        return binomial_test(self.wins, self.wins + self.losses)

    @property
    def win_share(self) -> Interval:
        """Wins among decisive pairs, with the Wilson interval."""
        return wilson(self.wins, self.wins + self.losses)

    def to_dict(self) -> dict[str, Any]:
        """Counts, share and p-value."""
        share = self.win_share.to_dict() if self.wins + self.losses else None
        return {**asdict(self), "win_share": share, "p_value": self.p_value}


def _count(name: str, value: int, upper: int | None = None) -> int:
    if isinstance(value, bool) or int(value) != value or value < 0:
        raise DomainError(f"{name}: expected a count, got {value!r}")
    if upper is not None and value > upper:
        raise DomainError(f"{name}: expected at most {upper}, got {value}")
    return int(value)


def _level(level: float) -> float:
    if not 0 < level < 1:
        raise DomainError(f"level: expected a number between 0 and 1, got {level!r}")
    return float(level)


def _sample(name: str, values: ArrayLike) -> NDArray[np.float64]:
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 1 or array.size == 0:
        raise ShapeError(f"{name}: expected a non-empty vector, got shape {array.shape}")
    if not np.isfinite(array).all():
        raise NonFiniteError(f"{name}: expected finite numbers")
    return array


def binomial_test(successes: int, trials: int, p: float = 0.5) -> float:
    """The two-sided p-value of a binomial count.

    The sum of the probabilities of all counts that are no more likely than the one observed; exact
    up to 10,000 trials, beyond that the normal approximation with a correction for continuity.

    Parameters
    ----------
    successes, trials
        0 trials give 1.
    p
        Of one success under the hypothesis.
    """
    trials = _count("trials", trials)
    successes = _count("successes", successes, trials)
    if not 0 < p < 1:
        raise DomainError(f"p: expected a number between 0 and 1, got {p!r}")
    if trials == 0:
        return 1.0
    if trials > EXACT_TRIALS:
        distance = max(abs(successes - trials * p) - 0.5, 0.0)
        z = distance / math.sqrt(trials * p * (1 - p))
        return min(1.0, math.erfc(z / math.sqrt(2)))
    log_p, log_q, whole = math.log(p), math.log1p(-p), math.lgamma(trials + 1)
    logs = [
        whole - math.lgamma(k + 1) - math.lgamma(trials - k + 1) + k * log_p + (trials - k) * log_q
        for k in range(trials + 1)
    ]
    observed = logs[successes] + math.log1p(SAME)
    return min(1.0, math.fsum(math.exp(value) for value in logs if value <= observed))


def mcnemar_test(first: ArrayLike, second: ArrayLike) -> float:
    """The exact test that two paired 0/1 series have one rate: binomial on the disagreements."""
    a, b = _paired(first, second)
    if not (np.isin(a, (0, 1)).all() and np.isin(b, (0, 1)).all()):
        raise DomainError("first, second: expected zeros and ones")
    gained, lost = int(((a == 1) & (b == 0)).sum()), int(((a == 0) & (b == 1)).sum())
    return binomial_test(gained, gained + lost)


def wilson(successes: int, trials: int, level: float = 0.95) -> Interval:
    """A rate with its Wilson score interval; 0 to 1 without trials."""
    trials = _count("trials", trials)
    successes = _count("successes", successes, trials)
    level = _level(level)
    if trials == 0:
        return Interval(math.nan, 0.0, 1.0, level)
    z = NormalDist().inv_cdf((1 + level) / 2)
    rate, shrink = successes / trials, 1 + z * z / trials
    centre = (rate + z * z / (2 * trials)) / shrink
    half = z * math.sqrt(rate * (1 - rate) / trials + z * z / (4 * trials**2)) / shrink
    low = 0.0 if successes == 0 else max(0.0, centre - half)
    high = 1.0 if successes == trials else min(1.0, centre + half)
    return Interval(rate, low, high, level)


def mean_error(values: ArrayLike) -> tuple[float, float]:
    """Mean and its standard error, s / sqrt(n) with n - 1 in s; NaN for one value."""
    sample = _sample("values", values)
    if sample.size == 1:
        return float(sample[0]), math.nan
    return float(sample.mean()), float(sample.std(ddof=1) / math.sqrt(sample.size))


def bootstrap(
    values: ArrayLike, *, level: float = 0.95, resamples: int = 5_000, seed: int = 0
) -> Interval:
    """The mean with a percentile bootstrap interval (Efron, 1979)."""
    sample, level = _sample("values", values), _level(level)
    if resamples < 1:
        raise DomainError(f"resamples: expected at least 1, got {resamples}")
    random = np.random.default_rng(seed)
    means = np.empty(resamples)
    rows = max(1, 2_000_000 // sample.size)
    for first in range(0, resamples, rows):
        count = min(rows, resamples - first)
        chosen = random.integers(0, sample.size, size=(count, sample.size))
        means[first : first + count] = sample[chosen].mean(axis=1)
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    return Interval(float(sample.mean()), float(low), float(high), level)


def block_bootstrap(
    series: Sequence[ArrayLike],
    *,
    block: int | None = None,
    level: float = 0.95,
    resamples: int = 5_000,
    seed: int = 0,
) -> tuple[Interval, float]:
    """The mean of runs whose rounds depend on each other, and a p-value of its being 0.

    Each run is redrawn in circular blocks of consecutive rounds (Politis and Romano, 1992); of
    several runs, the runs are redrawn too. One run says nothing of how another seed would differ,
    and few runs say too little: the interval is then too narrow.

    Parameters
    ----------
    series
        The rounds of each run.
    block
        Rounds in a block, more than the series remembers; None: 2 n^(1/3) of n.
    """
    runs, level = [_sample("series", one) for one in series], _level(level)
    if not runs:
        raise ShapeError("series: expected at least one run")
    if (block is not None and block < 1) or resamples < 1:
        raise DomainError(f"block, resamples: expected at least 1, got {block}, {resamples}")
    random = np.random.default_rng(seed)
    means = np.empty((len(runs), resamples))
    for row, run in zip(means, runs, strict=True):
        length = min(block or max(1, round(2 * run.size ** (1 / 3))), run.size)
        sums = np.concatenate([[0.0], np.cumsum(np.concatenate([run, run[: length - 1]]))])
        blocks = (sums[length:] - sums[:-length]) / length
        count = -(-run.size // length)
        row[:] = blocks[random.integers(0, run.size, size=(resamples, count))].mean(axis=1)
        if count > 1:  # blocks vary around the run's own mean: too little, by 1 - length / rounds
            row[:] = run.mean() + (row - run.mean()) / math.sqrt(1 - length / run.size)
    chosen = random.integers(0, len(runs), size=(resamples, len(runs)))
    drawn = means[chosen, np.arange(resamples)[:, None]].mean(axis=1)
    low, high = np.quantile(drawn, [(1 - level) / 2, (1 + level) / 2])
    estimate = float(np.mean([run.mean() for run in runs]))
    beyond = min(int((drawn <= 0).sum()), int((drawn >= 0).sum()))
    p_value = min(1.0, 2 * (1 + beyond) / (1 + resamples))
    return Interval(estimate, float(low), float(high), level), p_value


def paired_bootstrap(
    first: ArrayLike,
    second: ArrayLike,
    *,
    level: float = 0.95,
    resamples: int = 5_000,
    seed: int = 0,
) -> Interval:
    """The mean of first - second over pairs; what varies between questions cancels."""
    a, b = _paired(first, second)
    return bootstrap(a - b, level=level, resamples=resamples, seed=seed)


def permutation_test(
    first: ArrayLike, second: ArrayLike, *, draws: int = 5_000, seed: int = 0
) -> float:
    """The two-sided p-value of a mean paired difference under random flips of sign.

    (1 + flips at least as far from 0) / (1 + draws), so that it is never 0.
    """
    a, b = _paired(first, second)
    difference = a - b
    if draws < 1:
        raise DomainError(f"draws: expected at least 1, got {draws}")
    moved = difference[difference != 0]
    if moved.size == 0:
        return 1.0
    random = np.random.default_rng(seed)
    observed, rows, beyond = abs(moved.sum()) * (1 - SAME), max(1, 2_000_000 // moved.size), 0
    for start in range(0, draws, rows):
        signs = random.integers(0, 2, size=(min(rows, draws - start), moved.size)) * 2 - 1
        beyond += int((np.abs(signs @ moved) >= observed).sum())
    return (1 + beyond) / (1 + draws)


def _paired(first: ArrayLike, second: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    a, b = _sample("first", first), _sample("second", second)
    if a.size != b.size:
        raise ShapeError(f"second: expected {a.size} values, one for each of first, got {b.size}")
    return a, b


def holm(p_values: Sequence[float]) -> list[float]:
    """p-values adjusted for their number by the step-down rule of Holm (1979), in their order."""
    for p in p_values:
        if not 0 <= p <= 1:
            raise DomainError(f"p_values: expected numbers from 0 to 1, got {p!r}")
    order = sorted(range(len(p_values)), key=lambda k: p_values[k])
    adjusted, largest = [0.0] * len(p_values), 0.0
    for rank, k in enumerate(order):
        largest = max(largest, (len(order) - rank) * p_values[k])
        adjusted[k] = min(1.0, largest)
    return adjusted
