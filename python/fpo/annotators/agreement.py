"""How far annotators agree, with and without what chance would give.

All are NaN where they are 0/0: nothing was labelled twice, or all labels are the same class, so
that nothing tells agreement from a constant.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .. import _arrays
from .._arrays import Array
from ..errors import DomainError, ShapeError
from .annotations import Annotations

__all__ = [
    "cohen_kappa",
    "expected_agreement",
    "fleiss_kappa",
    "krippendorff_alpha",
    "raw_agreement",
    "symmetric_noise",
]


def raw_agreement(annotations: Annotations) -> float:
    """The share of equal labels among all pairs of labels of the same item."""
    counts = annotations.counts()
    totals = counts.sum(axis=1)
    return _ratio(float((counts * (counts - 1)).sum()), float((totals * (totals - 1)).sum()))


def cohen_kappa(first: ArrayLike, second: ArrayLike, *, weights: str = "none") -> float:
    """Agreement of two annotators beyond chance: Cohen, 1960 and 1968 (weighted).

    kappa = 1 - sum w o / sum w e, o the joint shares of labels, e the products of the marginal
    ones, w the weight of a disagreement; unweighted that is (p_o - p_e) / (1 - p_e).

    Parameters
    ----------
    first, second
        (n,) Labels from 0; items with -1 in either are left out.
    weights
        "none" (1 for any disagreement), "linear" (|k - l|) or "quadratic".
    """
    pair = [
        _arrays.vector(name, value, "n") for name, value in (("first", first), ("second", second))
    ]
    if len(pair[0]) != len(pair[1]):
        raise ShapeError(f"second: expected {len(pair[0])} labels, got {len(pair[1])}")
    if any((one != np.floor(one)).any() or (one < -1).any() for one in pair):
        raise DomainError("first, second: expected whole numbers of at least 0, or -1")
    both = (pair[0] >= 0) & (pair[1] >= 0)
    one, other = (labels[both].astype(np.int64) for labels in pair)
    if len(one) == 0:
        return math.nan
    classes = int(max(one.max(), other.max())) + 1
    joint = np.bincount(one * classes + other, minlength=classes**2).reshape(classes, classes)
    shares = joint / len(one)
    chance = np.outer(shares.sum(axis=1), shares.sum(axis=0))
    distance = np.abs(np.subtract.outer(np.arange(classes), np.arange(classes))).astype(float)
    if weights not in ("none", "linear", "quadratic"):
        raise DomainError(f"weights: expected none, linear or quadratic, got {weights!r}")
    cost = {"none": (distance > 0) * 1.0, "linear": distance, "quadratic": distance**2}[weights]
    return 1 - _ratio(float((cost * shares).sum()), float((cost * chance).sum()))


def fleiss_kappa(annotations: Annotations) -> float:
    """Agreement beyond chance of the same number of labels for each item: Fleiss, 1971.

    Raises
    ------
    ShapeError
        Items have different numbers of labels; `krippendorff_alpha` allows that.
    """
    counts = annotations.counts()
    raters = np.unique(counts.sum(axis=1))
    if len(raters) != 1 or raters[0] < 2:
        raise ShapeError(
            "annotations: expected the same number of labels, at least 2, for each item; "
            "krippendorff_alpha allows others"
        )
    agreement = raw_agreement(annotations)
    chance = float(((counts.sum(axis=0) / counts.sum()) ** 2).sum())
    return _ratio(agreement - chance, 1 - chance)


def krippendorff_alpha(
    annotations: Annotations, *, level: str = "nominal", values: ArrayLike | None = None
) -> float:
    """Agreement beyond chance with labels missing: Krippendorff, Content Analysis, 2004, ch. 11.

    alpha = 1 - D_o / D_e: the mean difference d(k, l) of two labels of one item over that of any
    two labels. Items with a single label count for neither.

    Parameters
    ----------
    level
        "nominal": d = 1 if k != l. "ordinal": the square of the number of labels from k to l, of
        those of k and l themselves one half. "interval": (k - l)^2. "ratio":
        ((k - l) / (k + l))^2.
    values
        (classes,) What the labels stand for, for interval and ratio; None: their numbers.
    """
    counts = annotations.counts()
    counts = counts[counts.sum(axis=1) >= 2]
    totals = counts.sum(axis=1, keepdims=True)
    weighted = counts / np.maximum(totals - 1, 1)
    observed = weighted.T @ counts - np.diag(weighted.sum(axis=0))
    frequency = counts.sum(axis=0)
    expected = np.outer(frequency, frequency) - np.diag(frequency)
    difference = _difference(level, frequency, annotations.classes, values)
    size = float(frequency.sum())
    return 1 - _ratio(
        (size - 1) * float((observed * difference).sum()), float((expected * difference).sum())
    )


def _difference(
    level: str, frequency: NDArray[np.float64], classes: int, values: ArrayLike | None
) -> Array:
    numbers = (
        np.arange(classes, dtype=float)
        if values is None
        else _arrays.vector("values", values, classes)
    )
    if level == "ordinal":  # the sum over k..l less half of each end is a difference of midpoints
        numbers = np.cumsum(frequency) - frequency / 2
    apart = np.subtract.outer(numbers, numbers)
    if level == "nominal":
        return 1.0 - np.eye(classes)
    if level in ("ordinal", "interval"):
        return np.asarray(apart**2)
    if level == "ratio":
        if (numbers < 0).any():
            raise DomainError("values: expected numbers of at least 0 for level ratio")
        total = np.add.outer(numbers, numbers)
        return np.asarray((apart / np.where(total == 0, 1, total)) ** 2)
    raise DomainError(f"level: expected nominal, ordinal, interval or ratio, got {level!r}")


def symmetric_noise(agreement: float) -> float:
    """The rate at which two annotators err if that alone explains how often they agree.

    Both flip a binary truth with probability e, so they agree with probability
    (1 - e)^2 + e^2, and e = (1 - sqrt(2 agreement - 1)) / 2. Agreement of 0.60, 0.65, 0.70 means
    0.276, 0.226, 0.184. Real annotators also disagree about what is right: then e is too high.

    Parameters
    ----------
    agreement
        In [1/2, 1]; less is not explained by independent errors.
    """
    share = _arrays.scalar("agreement", agreement)
    if not 0.5 <= share <= 1:
        raise DomainError(f"agreement: expected 0.5 to 1, got {agreement!r}")
    return (1 - math.sqrt(2 * share - 1)) / 2


def expected_agreement(probabilities: ArrayLike) -> float:
    """How often two annotators with the same choice probabilities agree: mean p^2 + (1 - p)^2."""
    p = _arrays.vector("probabilities", probabilities)
    if ((p < 0) | (p > 1)).any():
        raise DomainError("probabilities: expected numbers in [0, 1]")
    return float((p**2 + (1 - p) ** 2).mean()) if len(p) else math.nan


def _ratio(above: float, below: float) -> float:
    return above / below if below != 0 else math.nan
