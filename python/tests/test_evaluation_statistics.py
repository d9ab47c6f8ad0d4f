"""Tests and intervals against published values, exact arithmetic, and each other."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from fpo.errors import DomainError, FpoError, NonFiniteError, ShapeError
from fpo.evaluation import statistics as st
from hypothesis import given, settings
from hypothesis import strategies as some


def exact_half(successes: int, trials: int) -> float:
    """The two-sided test of one half in rational arithmetic."""
    tail = min(successes, trials - successes)
    if 2 * tail == trials:
        return 1.0
    term, total = 1, 0
    for k in range(tail + 1):
        total += term
        term = term * (trials - k) // (k + 1)
    return float(Fraction(2 * total, 2**trials))


# (successes, trials, p, two-sided p-value): scipy.stats.binomtest of SciPy 1.17.1
SCIPY = [
    (3, 15, 0.1, 0.18406106910639106),
    (7, 10, 0.3, 0.010592078399999996),
    (2, 9, 0.7, 0.004290894000000004),
    (140, 275, 0.5, 0.8094467255252819),
    (188, 332, 0.5, 0.018144635781542684),
    (167, 305, 0.5, 0.10872203600049524),
]


@pytest.mark.parametrize(("successes", "trials", "p", "expected"), SCIPY)
def test_binomial_test_equals_scipy(successes: int, trials: int, p: float, expected: float) -> None:
    assert st.binomial_test(successes, trials, p) == pytest.approx(expected, rel=1e-11)


@given(trials=some.integers(0, 400), part=some.floats(0, 1))
@settings(max_examples=60, deadline=None)
def test_binomial_test_is_exact(trials: int, part: float) -> None:
    successes = round(part * trials)
    expected = exact_half(successes, trials)
    assert st.binomial_test(successes, trials) == pytest.approx(expected, rel=1e-9)


def test_binomial_test_at_its_edges() -> None:
    assert st.binomial_test(0, 0) == 1
    assert st.binomial_test(0, 10_000) == pytest.approx(0, abs=1e-300)
    exact, normal = st.binomial_test(5100, 10_000), st.binomial_test(5101, 10_001)
    assert exact == pytest.approx(exact_half(5100, 10_000), rel=1e-9)
    assert normal == pytest.approx(exact_half(5101, 10_001), rel=1e-3)


# successes, trials, low, high at 95 %: the same library's Wilson interval
@pytest.mark.parametrize(
    ("successes", "trials", "low", "high"),
    [
        (0, 10, 0.0, 0.2775327998629),
        (7, 10, 0.3967781474611, 0.8922087325937),
        (212, 817, 0.2306027690889, 0.2906202444701),
    ],
)
def test_wilson(successes: int, trials: int, low: float, high: float) -> None:
    interval = st.wilson(successes, trials)
    assert (interval.low, interval.high) == pytest.approx((low, high), abs=1e-12)
    assert interval.estimate == successes / trials


@given(trials=some.integers(1, 200), part=some.floats(0, 1), level=some.floats(0.5, 0.999))
@settings(max_examples=60, deadline=None)
def test_wilson_inverts_the_score_test(trials: int, part: float, level: float) -> None:
    successes = round(part * trials)
    interval = st.wilson(successes, trials, level)
    for bound in (interval.low, interval.high):
        if 0 < bound < 1:
            z = (successes / trials - bound) / math.sqrt(bound * (1 - bound) / trials)
            assert math.erf(abs(z) / math.sqrt(2)) == pytest.approx(level, abs=1e-6)


def test_bootstrap_agrees_with_the_normal_interval() -> None:
    sample = np.random.default_rng(1).normal(2, 3, 2000)
    mean, error = st.mean_error(sample)
    interval = st.bootstrap(sample)
    assert interval.estimate == pytest.approx(mean)
    assert interval.low == pytest.approx(mean - 1.96 * error, abs=0.1 * error)
    assert interval.high == pytest.approx(mean + 1.96 * error, abs=0.1 * error)
    assert st.bootstrap(sample) == interval != st.bootstrap(sample, seed=1)


def test_pairs_remove_what_varies_between_questions() -> None:
    random = np.random.default_rng(2)
    hard, noise = random.normal(0, 10, 300), random.normal(0.2, 0.1, 300)
    paired = st.paired_bootstrap(hard + noise, hard)
    assert 0.18 < paired.low < paired.high < 0.22
    assert not paired.covers_zero
    assert st.bootstrap(hard + noise).covers_zero
    assert st.permutation_test(hard + noise, hard) == pytest.approx(1 / 5_001)


def test_permutation_test_counts_flips() -> None:
    # 4 equal differences: all signs the same in 2 of 16 flips
    p = st.permutation_test([1, 1, 1, 1, 5], [0, 0, 0, 0, 5], draws=40_000)
    assert p == pytest.approx(2 / 16, abs=0.006)
    assert st.permutation_test([1, 2], [1, 2]) == 1


def test_mcnemar_counts_disagreements_only() -> None:
    first, second = [1] * 6 + [0] + [1] * 50, [0] * 6 + [1] + [1] * 50
    assert st.mcnemar_test(first, second) == pytest.approx(exact_half(1, 7), rel=1e-12)


def test_holm_steps_down() -> None:
    # Holm (1979): sorted .005 .01 .03 .04 -> 4 p, 3 p, 2 p, p and never falling
    assert st.holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert st.holm([0.9, 0.8]) == [1.0, 1.0]
    assert st.holm([]) == []


@pytest.mark.parametrize(
    ("call", "kind", "text"),
    [
        (lambda: st.binomial_test(3, 2), DomainError, "successes: expected at most 2"),
        (lambda: st.binomial_test(1, -2), DomainError, "trials"),
        (lambda: st.binomial_test(1, 2, 1.0), DomainError, "p: expected"),
        (lambda: st.wilson(1, 2, 95), DomainError, "level"),
        (lambda: st.bootstrap([]), ShapeError, "values: expected a non-empty vector"),
        (lambda: st.bootstrap([1, math.nan]), NonFiniteError, "values"),
        (lambda: st.bootstrap([1], resamples=0), DomainError, "resamples"),
        (lambda: st.paired_bootstrap([1, 2], [1]), ShapeError, "second: expected 2 values"),
        (lambda: st.mcnemar_test([0.5], [1]), DomainError, "zeros and ones"),
        (lambda: st.holm([1.5]), DomainError, "p_values"),
    ],
)
def test_bad_input(call: object, kind: type[FpoError], text: str) -> None:
    with pytest.raises(kind, match=text):
        call()  # type: ignore[operator]
