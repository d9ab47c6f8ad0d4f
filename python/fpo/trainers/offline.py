"""Trainers that pass over a data set: epochs, batches of similar length, evaluation."""

from __future__ import annotations

import math
import os
from abc import abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from .. import random
from ..data import Dataset, length_sorted_batches, read
from ..errors import ArgumentError
from ..language.metrics import Clock, Row
from .base import Means, Trainer
from .config import TrainingConfig
from .learners import Learner

__all__ = ["OfflineTrainer", "dataset"]

Data = Dataset | str | os.PathLike[str] | Iterable[Mapping[str, Any]]
Example = TypeVar("Example")

_ORDER, _DROPOUT = 0, 1  # children of a run's key


def dataset(name: str, data: Data | None, kinds: Sequence[str]) -> Dataset | None:
    """A data set of one of some kinds: read from a file, or made of rows.

    Raises
    ------
    FormatError
        Rows are wrong; the message names the lines.
    ArgumentError
        It is of another kind; or it is empty.
    """
    if data is None or data == "":
        return None
    if isinstance(data, (str, os.PathLike)):
        data = read(data)
    found = data if isinstance(data, Dataset) else Dataset(data)
    if found.kind not in kinds:
        raise ArgumentError(f"{name}: expected rows of {' or '.join(kinds)}, got {found.kind}")
    if not len(found):
        raise ArgumentError(f"{name}: expected at least one row")
    return found


class OfflineTrainer(Trainer, Generic[Example]):
    """A trainer whose steps are batches of a data set.

    The rows of a step depend on seed and step alone; they are cut into passes of
    `per_device_train_batch_size`, and what is divided by is counted over the whole step.

    Parameters
    ----------
    train, evaluation
        Examples of the subclass's own form.
    """

    def __init__(
        self,
        config: TrainingConfig,
        learner: Learner,
        train: Sequence[Example],
        evaluation: Sequence[Example],
    ):
        super().__init__(config, learner)
        if not train:
            raise ArgumentError("train_dataset: no row is left to learn from")
        self.train_examples, self.eval_examples = list(train), list(evaluation)
        self.tokens_seen = 0
        self._key = random.key(config.seed)
        self._lengths = np.array([self.length(one) for one in self.train_examples])
        self._epoch: tuple[int, list[NDArray[np.int64]]] = (-1, [])

    @abstractmethod
    def length(self, example: Example) -> int:
        """Tokens of an example, of a pair those of its longer member."""

    @abstractmethod
    def tokens(self, example: Example) -> int:
        """Tokens that a pass over an example reads."""

    @abstractmethod
    def begin(self, batch: Sequence[Example]) -> Any:
        """What all passes of a step share, such as the number to divide by."""

    @abstractmethod
    def accumulate(self, batch: Sequence[Example], shared: Any, key: int, means: Means) -> None:
        """One pass: adds its part of the step's gradient, and its metrics."""

    @abstractmethod
    def judge(self, batch: Sequence[Example], shared: Any, means: Means) -> None:
        """Metrics of a batch of held-out examples."""

    # ----------------------------------------------------------------------------- steps

    @property
    def steps_per_epoch(self) -> int:
        """Steps of one pass over the data."""
        return math.ceil(len(self.train_examples) / self.config.batch_size)

    @property
    def rounds(self) -> int:
        """Steps of the whole run."""
        of = self.config
        return (
            of.max_steps
            if of.max_steps >= 0
            else math.ceil(of.num_train_epochs * self.steps_per_epoch)
        )

    def batch(self, step: int) -> list[Example]:
        """The examples of a step, from 0."""
        epoch, number = divmod(step, self.steps_per_epoch)
        if self._epoch[0] != epoch:
            key = random.fold(random.fold(self._key, _ORDER), epoch)
            self._epoch = (
                epoch,
                length_sorted_batches(self._lengths, self.config.batch_size, key),
            )
        return [self.train_examples[i] for i in self._epoch[1][number]]

    def learn(self, clock: Clock) -> tuple[Row, Row | None]:
        """A step over the next batch."""
        batch, means = self.batch(self.round), Means()
        key = random.fold(random.fold(self._key, _DROPOUT), self.round)
        shared = self.begin(batch)
        for number, part in enumerate(_parts(batch, self.config.per_device_train_batch_size)):
            self.accumulate(part, shared, random.fold(key, number), means)
        clock.lap("gradient")
        self.tokens_seen += sum(map(self.tokens, batch))
        row = self.metrics(means) | {
            "epoch": (self.round + 1) / self.steps_per_epoch,
            "num_tokens": self.tokens_seen,
        }
        row |= self.optimise()
        clock.lap("optimise")
        return row, None

    def metrics(self, means: Means, prefix: str = "") -> Row:
        """The metrics of a step or of an evaluation."""
        return means.row(prefix)

    def evaluate(self) -> Row:
        """Metrics of the evaluation data, each with the prefix ``eval_``."""
        if not self.eval_examples:
            return {}
        means = Means()
        lengths = np.array([self.length(one) for one in self.eval_examples])
        for rows in length_sorted_batches(lengths, self.config.per_device_eval_batch_size, None):
            batch = [self.eval_examples[i] for i in rows]
            self.judge(batch, self.begin(batch), means)
        return self.metrics(means, "eval_")

    # --------------------------------------------------------------------- save and resume

    def state(self) -> Any:
        """Everything that a step depends on."""
        return super().state() | {"data": {"tokens": np.array([self.tokens_seen])}}

    def restore(self, state: Mapping[str, Mapping[str, NDArray[Any]]]) -> None:
        """Goes back to a `state`."""
        super().restore(state)
        self.tokens_seen = int(state["data"]["tokens"][0])


def _parts(batch: Sequence[Example], size: int) -> list[Sequence[Example]]:
    return [batch[first : first + size] for first in range(0, len(batch), size)]
