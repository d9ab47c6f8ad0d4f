"""Past comparisons that a reward model learns from again."""

from __future__ import annotations

import json
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from .. import random
from .rewarding import Reading

__all__ = ["Replay"]

Array = NDArray[np.float64]


class Replay:
    """Comparisons: the reading of an answer, that of the reference, and the soft label."""

    def __init__(self) -> None:
        self.better: list[Reading] = []
        self.reference: list[Reading] = []
        self.labels: list[float] = []

    def __len__(self) -> int:
        return len(self.labels)

    def add(self, better: Reading, reference: Reading, label: float) -> None:
        """One more; each reading has one row."""
        self.better.append(better)
        self.reference.append(reference)
        self.labels.append(label)

    def draw(self, count: int, key: int) -> Replay:
        """`count` of them, with replacement; none if there are none."""
        some = Replay()
        if len(self) and count:
            for at in (random.uniform(key, count) * len(self)).astype(int):
                some.add(self.better[at], self.reference[at], self.labels[at])
        return some

    def with_first(
        self, better: Reading, reference: Reading, label: float
    ) -> tuple[Reading, Reading, Array]:
        """These comparisons behind another one, as one batch."""
        return (
            _joined([better, *self.better]),
            _joined([reference, *self.reference]),
            np.array([label, *self.labels]),
        )

    def all(self) -> tuple[Reading, Reading, Array]:
        """All of them, at least one, as one batch."""
        return _joined(self.better), _joined(self.reference), np.array(self.labels)

    def state(self) -> dict[str, NDArray[np.generic]]:
        """Arrays from which `restore` rebuilds it."""
        if not len(self):
            return {"labels": np.array(self.labels)}
        better, reference, labels = self.all()
        texts = [better.questions, better.answers, reference.questions, reference.answers]
        return {
            "labels": labels,
            "better": better.features,
            "reference": reference.features,
            "texts": np.frombuffer(json.dumps(texts).encode(), dtype=np.uint8),
        }

    def restore(self, state: dict[str, NDArray[np.generic]]) -> None:
        """Goes back to a `state`."""
        self.better, self.reference = [], []
        self.labels = [float(one) for one in state["labels"].tolist()]
        if not self.labels:
            return
        texts = json.loads(state["texts"].tobytes())
        better = Reading(np.asarray(state["better"], np.float32), *map(tuple, texts[:2]))
        reference = Reading(np.asarray(state["reference"], np.float32), *map(tuple, texts[2:]))
        self.better = [better.rows([i]) for i in range(len(self.labels))]
        self.reference = [reference.rows([i]) for i in range(len(self.labels))]


def _joined(of: Sequence[Reading]) -> Reading:
    return Reading(
        np.concatenate([one.features for one in of]),
        tuple(text for one in of for text in one.questions),
        tuple(text for one in of for text in one.answers),
    )
