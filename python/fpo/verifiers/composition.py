"""Rewards made of rewards. A completion that one part cannot score has no reward at all."""

from __future__ import annotations

import hashlib
import json
from abc import abstractmethod
from collections.abc import Sequence
from typing import Any

from .. import _arrays, random
from ..errors import ArgumentError, DomainError, ShapeError
from .base import Verdict, Verifier, as_array, field, group_statistics

__all__ = ["Gated", "Lexicographic", "Noisy", "Normalised", "Weighted", "debiased"]


class _Composed(Verifier):
    def __init__(self, parts: Sequence[Verifier]) -> None:
        if not parts:
            raise ArgumentError("parts: expected at least one verifier")
        self.parts = tuple(parts)

    def verify(self, completion: str, **fields: Any) -> Verdict:
        """The verdict on one completion, in a group of its own."""
        return self._verify_all([completion], [fields])[0]

    def _verify_all(self, texts: list[str], rows: list[dict[str, Any]]) -> list[Verdict]:
        by_part = [part._verify_all(texts, rows) for part in self.parts]
        verdicts = list(zip(*by_part, strict=True))
        scored = [
            index
            for index, parts in enumerate(verdicts)
            if all(part.reward is not None for part in parts)
        ]
        rewards = [[part.reward or 0.0 for part in verdicts[index]] for index in scored]
        combined = iter(self._combined(rewards, [rows[index] for index in scored]))
        kept = set(scored)
        return [
            Verdict(
                next(combined) if index in kept else None,
                ", ".join(part.status for part in parts),
            )
            for index, parts in enumerate(verdicts)
        ]

    @abstractmethod
    def _combined(self, rewards: list[list[float]], rows: list[dict[str, Any]]) -> list[float]:
        """One reward for each row of part rewards, of which none is None."""


def _weights(parts: Sequence[Verifier], weights: Sequence[float] | None) -> list[float]:
    values = [1.0] * len(parts) if weights is None else weights
    if len(values) != len(parts):
        raise ShapeError(f"weights: expected {len(parts)}, one for each part, got {len(values)}")
    return [_arrays.scalar(f"weights[{index}]", one) for index, one in enumerate(values)]


class Weighted(_Composed):
    """sum of w r over the parts.

    Parameters
    ----------
    parts
        Verifiers.
    weights
        One for each part; None: 1 each.
    """

    def __init__(self, parts: Sequence[Verifier], weights: Sequence[float] | None = None) -> None:
        super().__init__(parts)
        self.weights = _weights(parts, weights)

    def _combined(self, rewards: list[list[float]], rows: list[dict[str, Any]]) -> list[float]:
        return [sum(w * r for w, r in zip(self.weights, row, strict=True)) for row in rewards]


class Gated(_Composed):
    """The reward of one verifier where another is satisfied, else a constant.

    Parameters
    ----------
    gate
        Open where its reward is at least `threshold`.
    reward
        What is earned behind it.
    """

    def __init__(
        self, gate: Verifier, reward: Verifier, *, threshold: float = 1.0, otherwise: float = 0.0
    ) -> None:
        super().__init__((gate, reward))
        self.threshold = _arrays.scalar("threshold", threshold)
        self.otherwise = _arrays.scalar("otherwise", otherwise)

    def _combined(self, rewards: list[list[float]], rows: list[dict[str, Any]]) -> list[float]:
        return [r if gate >= self.threshold else self.otherwise for gate, r in rewards]


class _Grouped(_Composed):
    """Compares the completions of one group: those with an equal `column`."""

    def __init__(self, parts: Sequence[Verifier], column: str) -> None:
        super().__init__(parts)
        self.column = column

    def _groups(self, rows: list[dict[str, Any]]) -> list[str]:
        return [json.dumps(field(row, self.column), sort_keys=True) for row in rows]


class Lexicographic(_Grouped):
    """The rank in the group: by the first part, ties by the second, and so on; from 0 to 1.

    With k distinct rows of part rewards in a group, the best earns 1, the next (k - 2) / (k - 1),
    the worst 0; all earn 0 where k = 1. So no gain in a later part outweighs a loss in an earlier.

    Parameters
    ----------
    parts
        Verifiers, the most important first.
    column
        What tells a group.
    """

    def __init__(self, parts: Sequence[Verifier], *, column: str = "prompt") -> None:
        super().__init__(parts, column)

    def _combined(self, rewards: list[list[float]], rows: list[dict[str, Any]]) -> list[float]:
        groups = self._groups(rows)
        ranked = {
            group: sorted(
                {tuple(row) for row, own in zip(rewards, groups, strict=True) if own == group}
            )
            for group in set(groups)
        }
        return [
            ranked[group].index(tuple(row)) / max(len(ranked[group]) - 1, 1)
            for row, group in zip(rewards, groups, strict=True)
        ]


class Normalised(_Grouped):
    """sum of w (r - mean) / deviation over the parts, mean and deviation those of the group.

    Each part then weighs the same whatever its scale; a part in which the group does not differ
    adds exactly 0. Deviations as in `group_statistics`.

    Parameters
    ----------
    parts
        Verifiers.
    weights
        One for each part; None: 1 each.
    column
        What tells a group.
    """

    def __init__(
        self,
        parts: Sequence[Verifier],
        weights: Sequence[float] | None = None,
        *,
        column: str = "prompt",
    ) -> None:
        super().__init__(parts, column)
        self.weights = _weights(parts, weights)

    def _combined(self, rewards: list[list[float]], rows: list[dict[str, Any]]) -> list[float]:
        groups = self._groups(rows)
        total = [0.0] * len(rewards)
        for part, weight in enumerate(self.weights):
            own = [row[part] for row in rewards]
            mean, deviation, _ = group_statistics(own, groups)
            for index, value in enumerate(own):
                if deviation[index] > 0:
                    total[index] += weight * float((value - mean[index]) / deviation[index])
        return total


class Noisy(Verifier):
    """A verifier that errs: a simulation of a judge with known error rates.

    A reward of 0 becomes 1 with probability `false_positive`, a reward of 1 becomes 0 with
    probability `false_negative`, None remains. So E[r] = f+ + (1 - f+ - f-) p, and `debiased`
    undoes it in the mean.

    Parameters
    ----------
    verifier
        Of rewards 0 and 1.
    key
        From `fpo.random.key`. An error depends on it, the prompt (if there is one) and the
        completion: the same text meets the same error again, as with a flaw that can be exploited.
    independent
        Errors depend on the number of verdicts so far instead: a fresh draw each time.
    """

    def __init__(
        self,
        verifier: Verifier,
        key: int,
        *,
        false_positive: float = 0.0,
        false_negative: float = 0.0,
        independent: bool = False,
    ) -> None:
        self.verifier = verifier
        self.key = random.fold(key, 0)
        self.rates = (
            _rate("false_positive", false_positive),
            _rate("false_negative", false_negative),
        )
        self.independent = independent
        self.count = 0

    def verify(self, completion: str, **fields: Any) -> Verdict:
        """The verdict on one completion."""
        return self._verify_all([completion], [fields])[0]

    def _verify_all(self, texts: list[str], rows: list[dict[str, Any]]) -> list[Verdict]:
        verdicts = self.verifier._verify_all(texts, rows)
        return [
            self._erring(verdict, text, row.get("prompt"))
            for verdict, text, row in zip(verdicts, texts, rows, strict=True)
        ]

    def _erring(self, verdict: Verdict, text: str, prompt: Any) -> Verdict:
        if verdict.reward is None:
            return verdict
        if verdict.reward not in (0, 1):
            raise DomainError(f"verifier: expected rewards 0 and 1, got {verdict.reward}")
        content = json.dumps([prompt, text], sort_keys=True).encode()
        index = int.from_bytes(hashlib.blake2b(content, digest_size=8).digest())
        if self.independent:
            index, self.count = self.count, self.count + 1
        if random.uniform(random.fold(self.key, index), 1)[0] >= self.rates[int(verdict.reward)]:
            return verdict
        name = "false negative" if verdict.reward else "false positive"
        return Verdict(1.0 - verdict.reward, name)


def debiased(rewards: Sequence[float | None], false_positive: float, false_negative: float) -> Any:
    """(r - f+) / (1 - f+ - f-): without bias if the error rates are right; NaN for None."""
    scale = 1 - _rate("false_positive", false_positive) - _rate("false_negative", false_negative)
    if scale <= 0:
        raise DomainError(
            "false_positive + false_negative: expected less than 1, where rewards tell something"
        )
    return (as_array(rewards) - false_positive) / scale


def _rate(name: str, value: float) -> float:
    rate = _arrays.scalar(name, value)
    if not 0 <= rate <= 1:
        raise DomainError(f"{name}: expected 0 to 1, got {value!r}")
    return rate
