"""What a verifier is: from a completion to a reward, or to None where it cannot be told."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Hashable, Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from .._arrays import Array
from ..errors import ArgumentError, DTypeError, ShapeError

__all__ = [
    "Completion",
    "GroupStatistics",
    "Reward",
    "Verdict",
    "Verifier",
    "as_array",
    "completion_text",
    "group_statistics",
]

Reward: TypeAlias = float | None
Completion: TypeAlias = str | Sequence[Mapping[str, str]]


class Verdict(NamedTuple):
    """A reward and how it came about."""

    reward: Reward
    """None: unscorable; leave the completion out, of its group's statistics too."""
    status: str
    """"correct", "wrong", "no answer", "unscorable", or a verifier's own word."""


class Verifier(ABC):
    """A reward function with TRL's signature; None stands for a completion without a reward.

    A subclass says in `verify` what one completion earns. Its keyword arguments beyond the
    completion are columns of the data set.
    """

    @abstractmethod
    def verify(self, completion: str, **fields: Any) -> Verdict:
        """The verdict on one completion, given its row's fields."""

    def verdicts(
        self,
        completions: Sequence[Completion],
        prompts: Sequence[Any] | None = None,
        **columns: Any,
    ) -> list[Verdict]:
        """The verdicts on completions.

        Parameters
        ----------
        completions
            Texts, or lists of messages of which the last assistant's counts.
        prompts
            As long as `completions`; most verifiers need none.
        columns
            Further fields of the rows, each as long as `completions`.
        """
        texts = [completion_text(completion) for completion in completions]
        if prompts is not None:
            columns = {**columns, "prompt": prompts}
        for name, column in columns.items():
            if isinstance(column, str) or not hasattr(column, "__len__"):
                raise DTypeError(f"{name}: expected a list with a value for each completion")
            if len(column) != len(texts):
                raise ShapeError(
                    f"{name}: expected {len(texts)} values, one for each completion, "
                    f"got {len(column)}"
                )
        rows = [
            {name: column[index] for name, column in columns.items()} for index in range(len(texts))
        ]
        return self._verify_all(texts, rows)

    def _verify_all(self, texts: list[str], rows: list[dict[str, Any]]) -> list[Verdict]:
        return [self.verify(text, **row) for text, row in zip(texts, rows, strict=True)]

    def __call__(
        self,
        completions: Sequence[Completion],
        prompts: Sequence[Any] | None = None,
        **columns: Any,
    ) -> list[Reward]:
        """The rewards alone. Parameters as for `verdicts`."""
        return [one.reward for one in self.verdicts(completions, prompts, **columns)]


def completion_text(completion: Completion) -> str:
    """A text itself; of a conversation the content of its last assistant message."""
    if isinstance(completion, str):
        return completion
    try:
        said = [turn["content"] for turn in completion if turn["role"] == "assistant"]
    except (TypeError, KeyError) as error:
        raise DTypeError(
            f"completions: expected texts or lists of messages, got {completion!r:.60}"
        ) from error
    return said[-1] if said else ""


def field(fields: Mapping[str, Any], name: str) -> Any:
    """The value of a column that a verifier needs."""
    if name not in fields:
        raise ArgumentError(f"{name}: missing; this verifier reads the column {name!r}")
    return fields[name]


def as_array(rewards: Sequence[Reward]) -> Array:
    """Rewards as float64, NaN where there is None."""
    return np.array([math.nan if one is None else one for one in rewards], np.float64)


class GroupStatistics(NamedTuple):
    """Of each completion's group: (n,) each. NaN in a group without a reward."""

    mean: Array
    deviation: Array
    """The square root of the mean squared deviation: divided by the count, not one less."""
    size: NDArray[np.int64]
    """How many completions of the group have a reward."""


def group_statistics(rewards: Sequence[Reward], groups: Sequence[Hashable]) -> GroupStatistics:
    """Mean and deviation of the rewards in each group, those that are None left out.

    Equal rewards have a deviation of exactly 0, whatever they are.

    Parameters
    ----------
    rewards
        (n,) Numbers or None.
    groups
        (n,) What tells a group, such as the prompt or its number; its place does not matter.
    """
    if len(rewards) != len(groups):
        raise ShapeError(f"groups: expected {len(rewards)} values, got {len(groups)}")
    values = as_array(rewards)
    numbers: dict[Hashable, int] = {}
    index = np.array([numbers.setdefault(one, len(numbers)) for one in groups], np.intp)
    scored = ~np.isnan(values)
    mean, deviation = np.full(len(numbers), math.nan), np.full(len(numbers), math.nan)
    count = np.bincount(index[scored], minlength=len(numbers))
    for group in np.flatnonzero(count):
        members = values[scored & (index == group)]
        equal = bool((members == members[0]).all())
        mean[group] = members[0] if equal else members.mean()
        deviation[group] = 0.0 if equal else members.std()
    return GroupStatistics(mean[index], deviation[index], count[index].astype(np.int64))
