"""Simulated annotators: groups that want different things, errors, lapses, biases, flattery."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .. import _arrays, random
from .._arrays import Array
from ..errors import DomainError
from .annotations import Annotations, Integers, whole_numbers

__all__ = ["Comparisons", "Pool"]


class Comparisons(NamedTuple):
    """Choices between pairs, one element of each array for each choice."""

    pair: Integers
    annotator: Integers
    choice: NDArray[np.bool_]
    """True: the first of the pair."""

    def annotations(self, pairs: int, annotators: int) -> Annotations:
        """The same as labels: 1 for the first of the pair, 0 for the second."""
        return Annotations.of(
            self.pair, self.annotator, self.choice, items=pairs, annotators=annotators, classes=2
        )


@dataclass(frozen=True)
class Pool:
    """Annotators who choose between two completions, or name a class.

    Annotator a of group g picks the first of a pair with probability

        (1 - lapse) sigma(reliability (u_g - u'_g + bias . (x - x') + sycophancy (v - v')))
        + lapse / 2

    with u the group's utility, x features such as the length, v how far a completion agrees with
    the view that the user stated. If groups differ in utility, the majority can prefer a to b, b to
    c and c to a. A class is named right with probability ``accuracy``, else is any of the others.
    """

    group: Integers
    """(annotators,) From 0."""
    reliability: Array
    """(annotators,) In units of 1 / utility; 0 guesses."""
    accuracy: Array
    """(annotators,) In [0, 1], for `classify`."""
    lapse: Array
    """(annotators,) In [0, 1]: the probability of answering at random."""
    bias: Array
    """(annotators, features) In units of utility per feature."""
    sycophancy: Array
    """(annotators,) Utility of full agreement with the user's view."""

    @classmethod
    def of(
        cls,
        size: int,
        *,
        group: ArrayLike = 0,
        reliability: ArrayLike = 1.0,
        accuracy: ArrayLike = 0.8,
        lapse: ArrayLike = 0.0,
        bias: ArrayLike = (),
        sycophancy: ArrayLike = 0.0,
    ) -> Pool:
        """A pool of `size`; each property is one for all, or (size,) for each.

        `bias` is (features,) for all, or (size, features).
        """
        size = _arrays.integer("size", size, 1, 2**31)

        def spread(name: str, value: ArrayLike, high: float) -> Array:
            array = _arrays.real(name, value, None)
            array = np.full(size, float(array)) if array.ndim == 0 else array
            array = _arrays.vector(name, array, size)
            if (array < 0).any() or (array > high).any():
                raise DomainError(f"{name}: expected numbers in [0, {high:g}]")
            return array

        shape = _arrays.real("bias", bias, None)
        each = np.tile(shape, (size, 1)) if shape.ndim == 1 else shape
        groups = np.asarray(group)
        groups = np.full(size, groups) if groups.ndim == 0 else groups
        signed = _arrays.real("sycophancy", sycophancy, None)
        return cls(
            whole_numbers("group", groups, None),
            spread("reliability", reliability, np.inf),
            spread("accuracy", accuracy, 1),
            spread("lapse", lapse, 1),
            _arrays.real("bias", each, (size, "features")),
            _arrays.vector("sycophancy", np.broadcast_to(signed, size).copy(), size),
        )

    def __len__(self) -> int:
        """How many annotators there are."""
        return len(self.group)

    def probability(
        self,
        first: ArrayLike,
        second: ArrayLike,
        *,
        features: ArrayLike | None = None,
        flattery: ArrayLike | None = None,
    ) -> Array:
        """(pairs, annotators) That each annotator picks the first of each pair.

        Parameters
        ----------
        first, second
            (pairs, groups) Utilities; a vector is the same for all groups.
        features
            (pairs, features) x - x'; None: 0.
        flattery
            (pairs,) v - v'; None: 0.
        """
        gaps = [self._utilities(name, one) for name, one in (("first", first), ("second", second))]
        pairs = len(gaps[0])
        gap = gaps[0] - _arrays.real("second", gaps[1], gaps[0].shape)
        wanted = gap[:, self.group]
        if features is not None:
            x = _arrays.real("features", features, (pairs, self.bias.shape[1]))
            wanted = wanted + x @ self.bias.T
        if flattery is not None:
            wanted = wanted + np.outer(_arrays.vector("flattery", flattery, pairs), self.sycophancy)
        p = 0.5 * (1 + np.tanh(self.reliability * wanted / 2))
        return np.asarray((1 - self.lapse) * p + self.lapse / 2)

    def compare(
        self,
        key: int,
        first: ArrayLike,
        second: ArrayLike,
        per_pair: int,
        *,
        features: ArrayLike | None = None,
        flattery: ArrayLike | None = None,
    ) -> Comparisons:
        """Choices of `per_pair` different annotators, drawn at random for each pair.

        Parameters as for `probability`; the key decides who is drawn and what they choose.
        """
        p = self.probability(first, second, features=features, flattery=flattery)
        pair, people = self._assigned(key, len(p), per_pair)
        draw = random.uniform(random.fold(key, 1), len(pair))
        return Comparisons(pair, people, draw < p[pair, people])

    def classify(self, key: int, truth: ArrayLike, classes: int, per_item: int) -> Annotations:
        """Labels of `per_item` different annotators, drawn at random for each item.

        Right with probability (1 - lapse) accuracy + lapse / classes.
        """
        classes = _arrays.integer("classes", classes, 2, 2**31)
        right = whole_numbers("truth", truth, classes)
        item, people = self._assigned(key, len(right), per_item)
        lapsed, erring, other = (
            random.uniform(random.fold(key, stream), len(item)) for stream in (1, 2, 3)
        )
        shift = 1 + np.floor(other * (classes - 1)).astype(np.int64)
        label = np.where(
            erring < self.accuracy[people], right[item], (right[item] + shift) % classes
        )
        anything = np.floor(other * classes).astype(np.int64)
        label = np.where(lapsed < self.lapse[people], anything, label)
        return Annotations.of(
            item, people, label, items=len(right), annotators=len(self), classes=classes
        )

    def _utilities(self, name: str, value: ArrayLike) -> Array:
        groups = int(self.group.max()) + 1
        array = _arrays.real(name, value, None)
        if array.ndim == 1:
            array = np.tile(array[:, None], groups)
        return _arrays.real(name, array, ("pairs", groups))

    def _assigned(self, key: int, items: int, per_item: int) -> tuple[Integers, Integers]:
        per_item = _arrays.integer("per_item", per_item, 1, len(self))
        order = np.argsort(random.uniform(random.fold(key, 0), (items, len(self))), axis=1)
        return np.repeat(np.arange(items), per_item), order[:, :per_item].ravel()
