"""Reward models on text whose encoder is trained too."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import _arrays
from .encoders import Text, TextEncoder, judged_texts
from .rewarding import Array, Reading
from .rewards import TextReward, bradley_terry

__all__ = ["EncoderReward"]


class EncoderReward:
    """``r(text) = head(pool(encoder(text)))`` as the loop sees it, with any choice of what trains.

    What `HeadReward` is to a frozen trunk: a `TextReward` behind `TextRewardModel`. The penalties
    see the gradients of single texts in all trained parameters through their Gram matrix, of which
    no gradient is formed. Features are those of the moment they were read; a residual penalty's
    ridge therefore mixes features of several moments, as the encoder moves slowly.

    >>> reward = fpo.EncoderReward(TextEncoder.from_pretrained("minilm"), trainable="lora")
    >>> trainer = fpo.IterativeRLHFTrainer(policy, reward, oracle, penalty="practical")

    Parameters
    ----------
    encoder
        The trunk; the reward trains a copy of what it trains.
    sees_prompt
        The text is the pair (question, answer); otherwise the answer alone.
    dropout
        Rate where a key of it is given, at the places that `TextReward.forward` names.
    options
        Those of `TextReward`: `trainable`, `blocks`, `rank`, `pooler`, `head_hidden`, `key` ...
    """

    def __init__(
        self,
        encoder: TextEncoder,
        *,
        sees_prompt: bool = False,
        dropout: float = 0.0,
        **options: Any,
    ):
        self.encoder, self.sees_prompt = encoder, sees_prompt
        self.dropout = _arrays.scalar("dropout", dropout)
        self._options = options
        self.reward = TextReward(encoder, **options)

    def _texts(self, reading: Reading) -> list[Text]:
        return judged_texts(reading.questions, reading.answers, self.sees_prompt)

    def read(self, questions: Sequence[str], answers: Sequence[str]) -> Reading:
        """Features of texts under the encoder as it is now."""
        texts = judged_texts(questions, answers, self.sees_prompt)
        return Reading(self.reward.features(texts), tuple(questions), tuple(answers))

    def rewards(self, reading: Reading, *, dropout_key: int | None = None) -> Array:
        """``r`` (n,)."""
        texts = self._texts(reading)
        if dropout_key is None or self.dropout == 0:
            return self.reward.scores(texts)
        return self.reward.forward(texts, dropout=self.dropout, dropout_key=dropout_key)

    def gradients(self, reading: Reading) -> Array:
        """Rows (n, n) whose inner products are those of the gradients in what is trained."""
        return self.reward.ghost_rows(self._texts(reading))

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
        scores = self.reward.forward(
            self._texts(better) + self._texts(reference),
            dropout=0.0 if dropout_key is None else self.dropout,
            dropout_key=dropout_key or 0,
        )
        loss, slopes = bradley_terry(scores, labels)
        self.reward.backward(weight * slopes)
        return loss

    def step(self, learning_rate: float, weight_decay: float) -> None:
        """One step of AdamW along what `learn` has added up, which is then zero."""
        self.reward.step(learning_rate, weight_decay=weight_decay)

    def forget_moments(self) -> None:
        """A new optimiser, as at the start of a new phase of training."""
        fresh = TextReward(self.encoder, **self._options)
        fresh.flat = self.reward.flat
        self.reward = fresh

    def state(self) -> dict[str, NDArray[np.generic]]:
        """Parameters, moments and the gradient so far."""
        return {
            "bytes": np.frombuffer(self.reward.state(), dtype=np.uint8),
            "gradient": self.reward.gradient,
        }

    def restore(self, state: dict[str, NDArray[np.generic]]) -> None:
        """Goes back to a `state`."""
        self.reward.restore(state["bytes"].tobytes())
        self.reward.gradient = state["gradient"]
