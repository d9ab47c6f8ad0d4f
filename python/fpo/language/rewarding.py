"""Reward models on text as the loop sees them: a frozen trunk, and a head that is retrained."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from .. import _arrays, random
from ..models import LinearReward, MLPReward, RewardModel
from ..optimizers import AdamW
from .model import TokenModel
from .questions import shipped_prompts

__all__ = [
    "HeadReward",
    "LlamaReward",
    "LlamaTrunk",
    "Reading",
    "TextRewardModel",
    "Trunk",
]

Array = NDArray[np.float64]
Features = NDArray[np.float32]


@dataclass(frozen=True)
class Reading:
    """What a reward model makes of n answers: their features (n, d), and the texts."""

    features: Features
    questions: tuple[str, ...]
    answers: tuple[str, ...]

    def rows(self, index: Sequence[int] | slice) -> Reading:
        """Some of the answers."""
        numbers = range(len(self.answers))[index] if isinstance(index, slice) else index
        return Reading(
            self.features[list(numbers)],
            tuple(self.questions[i] for i in numbers),
            tuple(self.answers[i] for i in numbers),
        )


class TextRewardModel(Protocol):
    """What `IterativeRLHFTrainer` needs of a reward model."""

    def read(self, questions: Sequence[str], answers: Sequence[str]) -> Reading:
        """One forward pass over texts."""

    def rewards(self, reading: Reading, *, dropout_key: int | None = None) -> Array:
        """``r`` (n,); with dropout where a key is given."""

    def gradients(self, reading: Reading) -> Array:
        """Rows (n, q) whose inner products are those of the gradients in the parameters."""

    def learn(
        self,
        better: Reading,
        reference: Reading,
        labels: Array,
        weight: float,
        *,
        dropout_key: int | None = None,
    ) -> float:
        """Adds `weight` times the gradient of the mean Bradley-Terry loss; returns the loss."""

    def step(self, learning_rate: float, weight_decay: float) -> None:
        """One step of AdamW along what `learn` has added up."""

    def forget_moments(self) -> None:
        """A new optimiser, as at the start of a new phase of training."""

    def state(self) -> dict[str, NDArray[np.generic]]:
        """Everything that `restore` needs to go on bit for bit."""

    def restore(self, state: dict[str, NDArray[np.generic]]) -> None:
        """Goes back to a `state`."""


class Trunk(Protocol):
    """Frozen features of texts."""

    width: int

    def features(self, questions: Sequence[str], answers: Sequence[str]) -> Features:
        """(n, width)."""


class LlamaTrunk:
    """Hidden states of a language model, standardised over the shipped prompts.

    It shares the weights of the policy's base: one copy in memory.

    Parameters
    ----------
    model
        The language model.
    layer
        0 (embeddings) to the last.
    pooling
        "mean" or "last", over the tokens of the answer's text.
    sees_prompt
        The text is ``question, newline, answer``; otherwise the answer alone.
    """

    def __init__(
        self,
        model: TokenModel,
        layer: int,
        *,
        pooling: str = "mean",
        sees_prompt: bool = False,
        max_tokens: int = 256,
    ):
        self.model = model
        self.layer = _arrays.integer("layer", layer, 0, model.architecture.layers)
        self.pooling = pooling
        self.sees_prompt = sees_prompt
        self.max_tokens = max_tokens
        self.width = model.architecture.hidden
        texts = shipped_prompts()[::4]
        raw = self._states(texts)
        self.mean = raw.mean(axis=0)
        self.scale = raw.std(axis=0) + np.float32(1e-6)

    def _states(self, texts: Sequence[str]) -> Features:
        encode = self.model.tokenizer.encode
        tokens = [encode(text)[: self.max_tokens] or encode(" ") for text in texts]
        return self.model.hidden_states(tokens, self.layer, pooling=self.pooling)

    def features(self, questions: Sequence[str], answers: Sequence[str]) -> Features:
        """(n, hidden)."""
        texts = _texts(questions, answers, self.sees_prompt)
        states: Features = (self._states(texts) - self.mean) / self.scale
        return states


def _texts(questions: Sequence[str], answers: Sequence[str], sees_prompt: bool) -> list[str]:
    if not sees_prompt:
        return list(answers)
    return [f"{q}\n{a}" for q, a in zip(questions, answers, strict=True)]


class HeadReward:
    """``r(text) = head(features(text))``: a frozen trunk and a linear or one-layer head.

    The parameter gradient of a linear head is the feature vector itself, so that every penalty is
    exact and costs one inner product.

    Parameters
    ----------
    trunk
        Gives the features.
    hidden
        Units of a hidden layer (softplus); 0: a linear head.
    scale
        Standard deviation of the initial weights; biases start at 0.
    key
        Draws them.
    dropout
        Rate on the head's input, where a key of it is given.
    """

    def __init__(
        self,
        trunk: Trunk,
        *,
        hidden: int = 0,
        scale: float = 0.02,
        key: int = 0,
        dropout: float = 0.0,
    ):
        self.trunk = trunk
        self.dropout = dropout
        self.head: RewardModel = (
            MLPReward(trunk.width, [hidden]) if hidden else LinearReward(trunk.width, bias=True)
        )
        self.head.initialize(key, scale=scale)
        self._optimizer = AdamW(self.head.parameter_count)
        self._decay = 0.0
        self._gradient = np.zeros(self.head.parameter_count)

    def read(self, questions: Sequence[str], answers: Sequence[str]) -> Reading:
        """Features of texts."""
        return Reading(self.trunk.features(questions, answers), tuple(questions), tuple(answers))

    def _inputs(self, features: Features, dropout_key: int | None) -> Array:
        inputs = features.astype(np.float64)
        if dropout_key is not None and self.dropout > 0:
            kept = random.uniform(dropout_key, inputs.shape) >= self.dropout
            inputs *= kept / (1 - self.dropout)
        return inputs

    def rewards(self, reading: Reading, *, dropout_key: int | None = None) -> Array:
        """``r`` (n,)."""
        return self.head.reward(self._inputs(reading.features, dropout_key))

    def gradients(self, reading: Reading) -> Array:
        """Per-text gradients in the head's parameters (n, p)."""
        return self.head.gradients(reading.features.astype(np.float64))

    def learn(
        self,
        better: Reading,
        reference: Reading,
        labels: Array,
        weight: float,
        *,
        dropout_key: int | None = None,
    ) -> float:
        """Adds `weight` times the gradient of the mean Bradley-Terry loss; returns the loss."""
        first = None if dropout_key is None else random.fold(dropout_key, 0)
        second = None if dropout_key is None else random.fold(dropout_key, 1)
        loss, gradient = self.head.loss(
            self._inputs(better.features, first),
            labels,
            self._inputs(reference.features, second),
        )
        self._gradient += weight * gradient
        return loss

    def step(self, learning_rate: float, weight_decay: float) -> None:
        """One step of AdamW along what `learn` has added up, which is then zero."""
        if weight_decay != self._decay:  # settings of an optimiser are fixed but for its rate
            state = self._optimizer.state()
            self._optimizer = AdamW(self.head.parameter_count, weight_decay=weight_decay)
            self._optimizer.restore(state)
            self._decay = weight_decay
        self._optimizer.set_learning_rate(learning_rate)
        flat = self.head.flat
        self._optimizer.step(flat, self._gradient)
        self.head.flat = flat
        self._gradient[:] = 0

    def forget_moments(self) -> None:
        """A new optimiser, as at the start of a new phase of training."""
        self._optimizer = AdamW(self.head.parameter_count)
        self._decay = 0.0

    def state(self) -> dict[str, NDArray[np.generic]]:
        """Parameters, moments and the gradient so far."""
        return {
            "parameters": self.head.flat,
            "gradient": self._gradient.copy(),
            "optimizer": np.frombuffer(self._optimizer.state(), dtype=np.uint8),
        }

    def restore(self, state: dict[str, NDArray[np.generic]]) -> None:
        """Goes back to a `state`."""
        self.head.flat = state["parameters"]
        self._gradient[:] = state["gradient"]
        self._optimizer.restore(state["optimizer"].tobytes())


class LlamaReward(HeadReward):
    """A head on the hidden states of a language model at `layer`, whose weights it shares.

    Parameters as for `LlamaTrunk` and `HeadReward`. Hidden states of the middle layers judge human
    preference better than a small sentence encoder does.
    """

    def __init__(
        self,
        model: TokenModel,
        layer: int = 20,
        *,
        pooling: str = "mean",
        sees_prompt: bool = False,
        hidden: int = 0,
        scale: float = 0.02,
        key: int = 0,
        dropout: float = 0.0,
    ):
        trunk = LlamaTrunk(model, layer, pooling=pooling, sees_prompt=sees_prompt)
        super().__init__(trunk, hidden=hidden, scale=scale, key=key, dropout=dropout)
