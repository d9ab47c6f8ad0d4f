"""The critic of PPO: a linear head on the hidden states of the frozen base."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import objectives
from .._arrays import Array
from ..language.model import LanguageModel
from ..optimizers import AdamW

__all__ = ["ValueHead"]


class ValueHead:
    """``V`` before each token of an answer, from the last hidden state before it.

    The value model of TRL's PPO is a whole network; this one shares the base's weights.
    """

    def __init__(self, base: LanguageModel):
        self.base = base
        self.weights = np.zeros(base.architecture.hidden + 1)
        self._optimizer = AdamW(self.weights.size)

    def features(self, prompts: Sequence[list[int]], answers: Sequence[list[int]]) -> Array:
        """(tokens of all answers, hidden + 1), of length one apart from the constant."""
        rows = []
        for prompt, answer in zip(prompts, answers, strict=True):
            layers = self.base.architecture.layers
            states = self.base.hidden_states([[*prompt, *answer]], layers).astype(np.float64)
            rows.append(states[len(prompt) - 1 : len(prompt) - 1 + len(answer)])
        joined = np.concatenate(rows)
        norms = np.linalg.norm(joined, axis=1, keepdims=True)
        return np.hstack([joined / np.maximum(norms, 1e-12), np.ones((len(joined), 1))])

    def __call__(self, features: Array) -> Array:
        """Values (tokens,)."""
        return np.asarray(features @ self.weights)

    def step(
        self, features: Array, old: Array, returns: Array, learning_rate: float, clip: float
    ) -> float:
        """One step of AdamW along the clipped value loss; returns the loss."""
        if not old.size:
            return 0.0
        found = objectives.value_loss(self(features), old, returns, clip=clip)
        if learning_rate > 0:
            self._optimizer.set_learning_rate(learning_rate)
            self._optimizer.step(self.weights, features.T @ found.derivative / old.size)
        return float(found.loss.mean())

    def state(self) -> dict[str, NDArray[Any]]:
        """Everything that `restore` needs."""
        moments = np.frombuffer(self._optimizer.state(), dtype=np.uint8)
        return {"weights": self.weights.copy(), "optimizer": moments}

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Goes back to a `state`."""
        self.weights[:] = state["weights"]
        self._optimizer.restore(state["optimizer"].tobytes())
