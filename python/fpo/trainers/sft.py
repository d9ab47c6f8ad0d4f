"""Supervised fine-tuning."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .._arrays import Array
from ..data import Dataset, truncate
from ..errors import ArgumentError
from ..language.policy import LlamaPolicy
from .base import Means
from .config import SFTConfig
from .learners import PolicyLearner
from .offline import Data, OfflineTrainer, dataset
from .tokenizing import completion_tokens, prompt_tokens, text_tokens

__all__ = ["SFTTrainer"]

_KINDS = ("prompt-completion", "messages", "text")


@dataclass(frozen=True)
class _Sequence:
    tokens: list[int]
    first: int
    """The first token that counts."""

    @property
    def weights(self) -> Array:
        """1 where a token counts."""
        out = np.zeros(len(self.tokens))
        out[self.first :] = 1
        return out


class SFTTrainer(OfflineTrainer[_Sequence]):
    """Raises the likelihood of given texts: the mean of ``-log p`` over the tokens of a step.

    >>> trainer = fpo.trainers.SFTTrainer(policy, SFTConfig(max_steps=100), "answers.jsonl")
    >>> rows = trainer.train()

    Metrics: ``loss``, ``num_tokens``, ``epoch``, ``grad_norm``, ``learning_rate``, and
    ``eval_loss`` in nats a token.

    Parameters
    ----------
    policy
        Its adapter is trained.
    config
        All settings.
    train_dataset, eval_dataset
        Rows of ``prompt`` and ``completion``, of ``messages`` or of ``text``: a `fpo.data.Dataset`,
        a file, or rows. None: what the config names.
    """

    config: SFTConfig

    def __init__(
        self,
        policy: LlamaPolicy,
        config: SFTConfig | None = None,
        train_dataset: Data | None = None,
        eval_dataset: Data | None = None,
    ):
        self.config = config = config or SFTConfig()
        self.policy = policy
        self._room = room(policy, config.max_length)
        super().__init__(
            config,
            PolicyLearner(policy),
            self._examples(dataset("train_dataset", train_dataset or config.train_dataset, _KINDS)),
            self._examples(dataset("eval_dataset", eval_dataset or config.eval_dataset, _KINDS)),
        )

    @property
    def title(self) -> str:
        """The method."""
        return "sft"

    def _examples(self, data: Dataset | None) -> list[_Sequence]:
        found = [self._example(row) for row in data or ()]
        return [one for one in found if one.first < len(one.tokens)]

    def _example(self, row: dict[str, Any]) -> _Sequence:
        tokenizer = self.policy.tokenizer
        if "completion" not in row:
            return _Sequence(text_tokens(tokenizer, row)[: self._room], 1)
        prompt, completion = truncate(
            prompt_tokens(tokenizer, row["prompt"]),
            completion_tokens(tokenizer, row["prompt"], row["completion"]),
            self._room,
        )
        first = len(prompt) if self.config.completion_only_loss else 1
        return _Sequence([*prompt, *completion], max(first, 1))

    def length(self, example: _Sequence) -> int:
        """Tokens."""
        return len(example.tokens)

    def tokens(self, example: _Sequence) -> int:
        """Tokens."""
        return len(example.tokens)

    def begin(self, batch: Sequence[_Sequence]) -> int:
        """The tokens of the step that count."""
        return sum(len(one.tokens) - one.first for one in batch)

    def accumulate(self, batch: Sequence[_Sequence], shared: int, key: int, means: Means) -> None:
        """Adds the gradient of the mean over the step's tokens."""
        weights = [one.weights / shared for one in batch]
        part = self.policy.loss([one.tokens for one in batch], weights, key=key)
        count = self.begin(batch)
        means.add("loss", np.full(count, part * shared / count))

    def judge(self, batch: Sequence[_Sequence], shared: int, means: Means) -> None:
        """The loss of each token."""
        found = self.policy.log_probabilities([one.tokens for one in batch])
        for one, log_p in zip(batch, found, strict=True):
            means.add("loss", -log_p[one.first :])


def room(policy: LlamaPolicy, max_length: int) -> int:
    """`max_length` if the model has as many positions."""
    context = policy.architecture.context
    if max_length > context:
        raise ArgumentError(
            f"max_length: {max_length} does not fit into the model's context of {context}"
        )
    return max_length
