"""One answer from many annotators: votes, shares, and the model of Dawid and Skene."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .. import _arrays
from .._arrays import Array
from ..errors import ArgumentError, DomainError
from .annotations import Annotations

__all__ = ["DawidSkene", "dawid_skene", "majority_vote", "soft_share"]


def majority_vote(annotations: Annotations) -> NDArray[np.int64]:
    """(items,) The most frequent label; -1 for a tie and where there is none."""
    counts = annotations.counts()
    if counts.size == 0:
        return np.full(annotations.items, -1)
    most = counts.max(axis=1, keepdims=True)
    unique = (counts == most).sum(axis=1) == 1
    return np.where(unique & (most[:, 0] > 0), counts.argmax(axis=1), -1)


def soft_share(annotations: Annotations, *, smoothing: float = 0.0) -> Array:
    """(items, classes) The share of each label, (count + smoothing) / (total + K smoothing).

    Without smoothing an item that nobody labelled has equal shares. Column 1 of binary labels is
    the ``soft_label`` of a preference pair.
    """
    counts = annotations.counts() + _at_least_0("smoothing", smoothing)
    total = counts.sum(axis=1, keepdims=True)
    return np.asarray(
        np.where(total > 0, counts / np.where(total > 0, total, 1), 1 / annotations.classes)
    )


@dataclass(frozen=True)
class DawidSkene:
    """What `dawid_skene` found."""

    posterior: Array
    """(items, classes) The probability of each true class."""
    prior: Array
    """(classes,) How frequent the true classes are."""
    confusion: Array
    """(annotators, classes, classes) [a, k, l]: the probability that a says l where k is true."""
    objective: Array
    """After each iteration: log-likelihood + smoothing * sum of log confusion. Never falls."""
    converged: bool
    """Whether the last gain was below the tolerance."""

    @property
    def accuracy(self) -> Array:
        """(annotators,) sum over k of prior[k] confusion[a, k, k]."""
        return np.asarray(np.einsum("k,akk->a", self.prior, self.confusion))

    def predict(self, annotations: Annotations) -> Array:
        """(n,) The probability of each label given, from the posterior of its item.

        For labels that were not fitted: what the model says before they are seen.
        """
        rows = self.confusion[annotations.annotator, :, annotations.label]
        return np.asarray((self.posterior[annotations.item] * rows).sum(axis=1))


def dawid_skene(
    annotations: Annotations,
    *,
    smoothing: float = 1.0,
    max_iterations: int = 500,
    tolerance: float = 1e-8,
) -> DawidSkene:
    """True classes and each annotator's confusions by EM: Dawid and Skene, 1979, eqs. 2.3 to 2.5.

    E: T[i, k] ~ prior[k] prod over i's labels of confusion[a, k, l], in logarithms. M: prior =
    mean T; confusion[a, k, l] = (sum T[i, k] [a said l of i] + smoothing) / (the same over l):
    the largest posterior under a Dirichlet distribution with parameter 1 + smoothing. An
    annotator without labels has uniform confusions.

    *Convergence*: each step raises `objective`, to a local maximum. It stops when a step gains
    less than `tolerance` per label.

    *Identifiability*: any renaming of the true classes has the same likelihood. The start, the
    shares of the votes, picks the naming in which most annotators are right more often than not;
    if they are not, the result is renamed. Confusions need three or more labels of most items
    (with two, errors of one cannot be told from errors of the other). Annotators are taken to err
    independently given the true class: those who share a bias count as independent witnesses
    for it, and posteriors are then far too sure.

    Parameters
    ----------
    smoothing
        At least 0; 1 predicted held-out ratings of POPQUORN best (with 0.1 and 0.01 worse in turn).
        More for annotators with few labels. A true class that no annotator needs may die out.
    max_iterations, tolerance
        When to stop.
    """
    smoothing = _at_least_0("smoothing", smoothing)
    max_iterations = _arrays.integer("max_iterations", max_iterations, 1, 10**6)
    tolerance = _at_least_0("tolerance", tolerance)
    if annotations.classes == 0 or len(annotations) == 0:
        raise ArgumentError("annotations: expected at least one label")
    posterior = soft_share(annotations)
    objective: list[float] = []
    converged = False
    while not converged and len(objective) < max_iterations:
        prior = posterior.mean(axis=0)
        confusion = _confusion(annotations, posterior, smoothing)
        posterior, value = _posterior(annotations, prior, confusion)
        if smoothing > 0:
            value += smoothing * float(np.log(confusion).sum())
        objective.append(value)
        converged = len(objective) > 1 and objective[-1] - objective[-2] < tolerance * len(
            annotations
        )
    return DawidSkene(posterior, prior, confusion, np.array(objective), converged)


def _confusion(annotations: Annotations, posterior: Array, smoothing: float) -> Array:
    classes, size = annotations.classes, annotations.annotators * annotations.classes
    flat = annotations.annotator * classes + annotations.label
    table: Array = np.stack(
        [
            np.bincount(flat, posterior[annotations.item, k], size).reshape(-1, classes)
            for k in range(classes)
        ],
        axis=1,
    )
    table = table + smoothing
    total = table.sum(axis=2, keepdims=True)
    return np.asarray(np.where(total > 0, table / np.where(total > 0, total, 1), 1 / classes))


def _posterior(annotations: Annotations, prior: Array, confusion: Array) -> tuple[Array, float]:
    with np.errstate(divide="ignore"):
        log_prior, log_confusion = np.log(prior), np.log(confusion)
    evidence = log_confusion[annotations.annotator, :, annotations.label]
    scores = log_prior + np.stack(
        [
            np.bincount(annotations.item, evidence[:, k], annotations.items)
            for k in range(annotations.classes)
        ],
        axis=1,
    )
    top = scores.max(axis=1, keepdims=True)
    weights = np.exp(scores - top)
    total = weights.sum(axis=1, keepdims=True)
    return weights / total, float((top + np.log(total)).sum())


def _at_least_0(name: str, value: float) -> float:
    number = _arrays.scalar(name, value)
    if number < 0:
        raise DomainError(f"{name}: expected at least 0, got {value!r}")
    return number
