"""Bradley-Terry with a reliability for each annotator."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import ArrayLike

from .. import _arrays
from .._arrays import Array
from ..errors import DomainError, ShapeError
from .annotations import Integers, whole_numbers

__all__ = ["AnnotatorBradleyTerry", "annotator_bradley_terry"]


@dataclass(frozen=True)
class AnnotatorBradleyTerry:
    """What `annotator_bradley_terry` found."""

    score: Array
    """(items,) Of sum 0 but for the ridge's pull."""
    reliability: Array
    """(annotators,) 1 for the average one, 0 for one who guesses, negative for one who inverts."""
    objective: Array
    """After each round. Never falls."""
    converged: bool

    def probability(self, annotator: ArrayLike, first: ArrayLike, second: ArrayLike) -> Array:
        """(n,) That an annotator prefers the first item to the second."""
        people = whole_numbers("annotator", annotator, len(self.reliability))
        one = whole_numbers("first", first, len(self.score))
        other = whole_numbers("second", second, len(self.score))
        return _sigmoid(self.reliability[people] * (self.score[one] - self.score[other]))


def annotator_bradley_terry(
    annotator: ArrayLike,
    first: ArrayLike,
    second: ArrayLike,
    preference: ArrayLike,
    *,
    items: int | None = None,
    annotators: int | None = None,
    ridge: float = 0.1,
    reliability_ridge: float = 1.0,
    max_iterations: int = 200,
    tolerance: float = 1e-9,
) -> AnnotatorBradleyTerry:
    """Scores of items and reliabilities of annotators from comparisons, by maximum posterior.

    P(a prefers i to j) = sigma(k_a (s_i - s_j)): Bradley and Terry, 1952, with a discrimination for
    each annotator in place of the mixture of Crowd-BT (Chen et al., WSDM 2013). Maximised is

        sum p log P + (1 - p) log(1 - P) - ridge/2 |s|^2 - reliability_ridge/2 |k - 1|^2

    by Newton steps with backtracking on s and on k in turn, each a concave problem, and by the best
    scale moved between them.

    *Convergence*: the objective never falls; it stops when a round gains less than `tolerance` per
    comparison. The joint problem is not concave, so the maximum is a local one.

    *Identifiability*: the likelihood alone leaves open a shift of s, a scale moved between s and k,
    and the sign of both. The ridges fix the shift and the scale; the start, k = 1, fixes the sign
    so that most annotators are taken to mean what they say. Items that no comparison links are
    comparable through the ridge only, and an annotator with few comparisons has k near 1.

    Parameters
    ----------
    annotator, first, second
        (n,) Who compared what with what, numbered from 0.
    preference
        (n,) In [0, 1]: 1 if the first was preferred, 1/2 for a tie.
    items, annotators
        How many there are; None: the largest number + 1. The work grows as items^3.
    ridge, reliability_ridge
        Above 0.
    """
    people = whole_numbers("annotator", annotator, annotators)
    one, other = whole_numbers("first", first, items), whole_numbers("second", second, items)
    wins = _arrays.vector("preference", preference, len(people))
    if len(one) != len(people) or len(other) != len(people):
        raise ShapeError(f"first, second: expected {len(people)} numbers, as annotator has")
    if ((wins < 0) | (wins > 1)).any():
        raise DomainError("preference: expected numbers in [0, 1]")
    if (one == other).any():
        raise DomainError(
            f"second: expected another item than first, got {one[one == other][0]} twice"
        )
    ridge = _arrays.positive("ridge", ridge)
    reliability_ridge = _arrays.positive("reliability_ridge", reliability_ridge)
    max_iterations = _arrays.integer("max_iterations", max_iterations, 1, 10**6)
    tolerance = _arrays.positive("tolerance", tolerance)
    n_items = items or int(max(one.max(initial=-1), other.max(initial=-1))) + 1
    score = np.zeros(n_items)
    reliability = np.ones(annotators or int(people.max(initial=-1)) + 1)

    def value(s: Array, k: Array) -> float:
        z = k[people] * (s[one] - s[other])
        fit = wins * z - np.logaddexp(0, z)
        penalty = ridge * (s @ s) + reliability_ridge * ((k - 1) @ (k - 1))
        return float(fit.sum() - penalty / 2)

    objective = [value(score, reliability)]
    converged = len(people) == 0
    while not converged and len(objective) <= max_iterations:
        step = _score_step(score, reliability, people, one, other, wins, ridge)
        score = _raised(partial(value, k=reliability), score, step)
        step = _reliability_step(score, reliability, people, one, other, wins, reliability_ridge)
        reliability = _raised(partial(value, score), reliability, step)
        scale = _best_scale(score, reliability, ridge, reliability_ridge)
        if value(scale * score, reliability / scale) > value(score, reliability):
            score, reliability = scale * score, reliability / scale
        objective.append(value(score, reliability))
        converged = objective[-1] - objective[-2] < tolerance * len(people)
    return AnnotatorBradleyTerry(score, reliability, np.array(objective[1:]), converged)


def _score_step(
    s: Array,
    k: Array,
    people: Integers,
    one: Integers,
    other: Integers,
    wins: Array,
    ridge: float,
) -> Array:
    scale = k[people]
    p = _sigmoid(scale * (s[one] - s[other]))
    residual, weight = scale * (wins - p), scale**2 * p * (1 - p)
    size = len(s)
    gradient = np.bincount(one, residual, size) - np.bincount(other, residual, size) - ridge * s
    links = np.bincount(one * size + other, weight, size**2).reshape(size, size)
    links += links.T
    hessian = np.diag(links.sum(axis=1) + ridge) - links
    return np.asarray(np.linalg.solve(hessian, gradient))


def _reliability_step(
    s: Array,
    k: Array,
    people: Integers,
    one: Integers,
    other: Integers,
    wins: Array,
    ridge: float,
) -> Array:
    apart = s[one] - s[other]
    p = _sigmoid(k[people] * apart)
    gradient = np.bincount(people, apart * (wins - p), len(k)) - ridge * (k - 1)
    curvature = np.bincount(people, apart**2 * p * (1 - p), len(k)) + ridge
    return np.asarray(gradient / curvature)


def _best_scale(s: Array, k: Array, ridge: float, reliability_ridge: float) -> float:
    """The c for which c s and k / c, which fit the same, have the least penalty.

    The root above 0 of ridge |s|^2 c^4 + reliability_ridge (sum(k) c - |k|^2).
    """
    top = ridge * float(s @ s)
    if top == 0:
        return 1.0
    roots = np.roots(
        [top, 0, 0, reliability_ridge * float(k.sum()), -reliability_ridge * float(k @ k)]
    )
    real = roots.real[(abs(roots.imag) < 1e-9 * abs(roots)) & (roots.real > 0)]
    return float(real[0]) if len(real) else 1.0


def _raised(value: Callable[[Array], float], start: Array, step: Array) -> Array:
    """`start` plus as much of `step`, halved until it does, as raises the value; or `start`."""
    before = value(start)
    for halvings in range(40):
        moved = start + step * 0.5**halvings
        if value(moved) >= before:
            return moved
    return start


def _sigmoid(z: Array) -> Array:
    return np.asarray(0.5 * (1 + np.tanh(z / 2)))
