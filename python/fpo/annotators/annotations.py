"""Labels of items by annotators, not all by all."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .. import _arrays
from .._arrays import Array
from ..errors import DomainError, DTypeError, ShapeError

__all__ = ["Annotations"]

Integers = NDArray[np.int64]


@dataclass(frozen=True)
class Annotations:
    """Who gave which label to what: one element of each array for each label given.

    Items, annotators and classes are numbered from 0; some may have no label. An annotator may
    label an item more than once.
    """

    item: Integers
    annotator: Integers
    label: Integers
    items: int
    annotators: int
    classes: int

    @classmethod
    def of(
        cls,
        item: ArrayLike,
        annotator: ArrayLike,
        label: ArrayLike,
        *,
        items: int | None = None,
        annotators: int | None = None,
        classes: int | None = None,
    ) -> Annotations:
        """Annotations from (n,) numbers of items, annotators and labels.

        `items`, `annotators` and `classes` say how many there are; None: the largest number + 1.
        """
        columns = [
            whole_numbers(name, value, size)
            for name, value, size in (
                ("item", item, items),
                ("annotator", annotator, annotators),
                ("label", label, classes),
            )
        ]
        if len({len(column) for column in columns}) != 1:
            sizes = ", ".join(str(len(column)) for column in columns)
            raise ShapeError(f"item, annotator, label: expected equal lengths, got {sizes}")
        counts = [
            int(column.max(initial=-1)) + 1 if size is None else size
            for column, size in zip(columns, (items, annotators, classes), strict=True)
        ]
        return cls(columns[0], columns[1], columns[2], counts[0], counts[1], counts[2])

    @classmethod
    def from_matrix(cls, labels: ArrayLike, *, classes: int | None = None) -> Annotations:
        """Annotations from (items, annotators) labels; NaN or -1 where there is none."""
        table = _arrays.real("labels", labels, ("items", "annotators"), finite=False)
        item, annotator = np.nonzero(~(np.isnan(table) | (table == -1)))
        values = table[item, annotator]
        if (values != np.floor(values)).any():
            raise DTypeError("labels: expected whole numbers, NaN or -1")
        size = table.shape
        return cls.of(
            item,
            annotator,
            values.astype(np.int64),
            items=size[0],
            annotators=size[1],
            classes=classes,
        )

    def __len__(self) -> int:
        """How many labels there are."""
        return len(self.label)

    def counts(self) -> Array:
        """(items, classes) How often each item got each label."""
        flat = self.item * self.classes + self.label
        counted = np.bincount(flat, minlength=self.items * self.classes)
        return counted.reshape(self.items, self.classes).astype(np.float64)

    def select(self, mask: ArrayLike) -> Annotations:
        """Some of the labels; items, annotators and classes keep their numbers."""
        chosen = np.asarray(mask)
        if chosen.dtype != np.bool_ or chosen.shape != self.label.shape:
            raise ShapeError(f"mask: expected {len(self)} booleans")
        return Annotations(
            self.item[chosen],
            self.annotator[chosen],
            self.label[chosen],
            self.items,
            self.annotators,
            self.classes,
        )


def whole_numbers(name: str, value: Any, below: int | None) -> Integers:
    """A vector of whole numbers of at least 0, and below a bound if there is one."""
    array = np.asarray(value)
    if array.ndim != 1 or (array.size and array.dtype.kind not in "iub"):
        raise DTypeError(f"{name}: expected a vector of whole numbers")
    array = array.astype(np.int64)
    if array.size and (array.min() < 0 or (below is not None and array.max() >= below)):
        limit = "" if below is None else f" and below {below}"
        raise DomainError(
            f"{name}: expected numbers of at least 0{limit}, got {array.min()} to {array.max()}"
        )
    return array
