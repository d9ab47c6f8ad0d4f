"""Training of reward models on text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .. import objectives
from .._arrays import Array
from .._configuration import unknown_name
from ..data import Dataset
from ..language.encoders import Text
from ..language.metrics import Row
from ..language.rewards import TextReward
from ..objectives import PairRewardLoss
from .base import Means
from .config import RewardConfig
from .learners import RewardLearner
from .offline import Data, OfflineTrainer, dataset

__all__ = ["RewardTrainer", "reward_text"]

_SINGLE = {
    "cross_entropy": objectives.cross_entropy,
    "squared_error": objectives.squared_error,
}


@dataclass(frozen=True)
class _Judged:
    """A pair of texts (chosen, rejected), or one, with a label."""

    texts: tuple[Text, ...]
    length: int
    label: float
    margin: float
    weight: float


class RewardTrainer(OfflineTrainer[_Judged]):
    """Fits a reward model to preferences, or to labels of single completions.

    >>> reward = TextReward(TextEncoder.from_pretrained("minilm"), trainable="lora")
    >>> rows = fpo.trainers.RewardTrainer(reward, config, "pairs.jsonl").train()

    Of pairs, the columns ``margin``, ``soft_label``, ``tie`` and ``weight`` count. Metrics have the
    names of TRL: ``loss``, ``accuracy`` (a tie of rewards is wrong), ``margin``, ``mean_reward``,
    ``min_reward``, ``max_reward``.

    Parameters
    ----------
    reward
        Its trainable part is trained: the head, the last blocks, adapters, or all.
    config
        All settings.
    train_dataset, eval_dataset
        Preference pairs; for "cross_entropy" and "squared_error" completions with a label. None:
        what the config names.
    """

    config: RewardConfig

    def __init__(
        self,
        reward: TextReward,
        config: RewardConfig | None = None,
        train_dataset: Data | None = None,
        eval_dataset: Data | None = None,
    ):
        self.config = config = config or RewardConfig()
        self.reward = reward
        known = [*PairRewardLoss.names(), *_SINGLE]
        if config.objective not in known:
            raise unknown_name("objective", config.objective, known)
        self._loss = None if config.objective in _SINGLE else _pair_loss(config)
        kind = "preference" if self._loss is not None else "unpaired-preference"
        super().__init__(
            config,
            RewardLearner(reward),
            self._examples(dataset("train_dataset", train_dataset or config.train_dataset, [kind])),
            self._examples(dataset("eval_dataset", eval_dataset or config.eval_dataset, [kind])),
        )

    @property
    def title(self) -> str:
        """The objective."""
        return self.config.objective

    def _examples(self, data: Dataset | None) -> list[_Judged]:
        if data is None:
            return []
        pairs = self._loss is not None
        labels = data.soft_labels() if pairs else data.column("label")
        names = ("chosen", "rejected") if pairs else ("completion",)
        found = []
        for row, label in zip(data, labels, strict=True):
            texts = tuple(
                reward_text(
                    self.reward,
                    row["prompt"],
                    row[name],
                    sees_prompt=self.config.sees_prompt,
                    max_length=self.config.max_length,
                )
                for name in names
            )
            size = max(len("".join(one)) for one in texts)
            margin, weight = float(row.get("margin", 0.0)), float(row.get("weight", 1.0))
            found.append(_Judged(texts, size, float(label), margin, weight))
        return found

    def length(self, example: _Judged) -> int:
        """Characters of the longer text."""
        return example.length

    def tokens(self, example: _Judged) -> int:
        """Tokens that the encoder reads."""
        return int(self.reward.encoder.tokenize(example.texts).batch.tokens.size)

    def begin(self, batch: Sequence[_Judged]) -> int:
        """The rows of the step."""
        return len(batch)

    def accumulate(self, batch: Sequence[_Judged], shared: int, key: int, means: Means) -> None:
        """Adds the gradient of the mean loss over the step's rows."""
        scores = self.reward.forward(_texts(batch), dropout=self.config.dropout, dropout_key=key)
        self.reward.backward(self._losses(batch, scores, means) / shared)

    def judge(self, batch: Sequence[_Judged], shared: int, means: Means) -> None:
        """Losses and metrics without a gradient."""
        self._losses(batch, self.reward.scores(_texts(batch)), means)

    def _losses(self, batch: Sequence[_Judged], scores: Array, means: Means) -> Array:
        labels = np.array([one.label for one in batch])
        weights = np.array([one.weight for one in batch])
        means.add("reward", scores)
        if self._loss is None:
            single = _SINGLE[self.config.objective](scores, labels)
            means.add("loss", weights * single.loss)
            means.add("accuracy", (scores > 0) == (labels > 0.5))
            return np.asarray(weights * single.derivative)
        chosen, rejected = np.split(scores, 2)
        margins = np.array([one.margin for one in batch])
        found = self._loss(chosen, rejected, margins, labels)
        means.add("loss", weights * found.loss)
        decided = labels != 0.5
        sign = np.where(labels > 0.5, 1.0, -1.0)
        means.add("accuracy", (sign * (chosen - rejected) > 0)[decided])
        means.add("margin", (sign * (chosen - rejected))[decided])
        return np.concatenate([weights * found.d_chosen, weights * found.d_rejected])

    def metrics(self, means: Means, prefix: str = "") -> Row:
        """TRL's metrics."""
        rewards = means.values("reward")
        row = means.row(prefix)
        row.pop(f"{prefix}reward", None)
        for name, value in (("mean", rewards.mean()), ("min", rewards.min())):
            row[f"{prefix}{name}_reward"] = float(value)
        row[f"{prefix}max_reward"] = float(rewards.max())
        return row


def reward_text(
    reward: TextReward,
    prompt: str | Sequence[Mapping[str, str]],
    completion: str | Sequence[Mapping[str, str]],
    *,
    sees_prompt: bool = True,
    max_length: int = 256,
) -> Text:
    """What a reward model reads of a row: the pair (prompt, completion), or the completion alone.

    A prompt that does not fit beside its completion loses its beginning, down to half of
    `max_length`; what is still too long loses its end.
    """
    answer = _plain(completion)
    tokenizer = reward.encoder.tokenizer
    if tokenizer is None:
        return (_plain(prompt), answer) if sees_prompt else answer
    answer = _cut(tokenizer.backend, answer, max_length - 3, first=True)
    if not sees_prompt:
        return answer
    taken = len(tokenizer.backend.encode(answer, add_special_tokens=False).ids)
    room = max(max_length - 3 - taken, max_length // 2)
    return _cut(tokenizer.backend, _plain(prompt), room, first=False), answer


def _cut(backend: Any, text: str, room: int, *, first: bool) -> str:
    """The first or last `room` tokens of a text."""
    offsets = _offsets(backend, text)
    if len(offsets) <= room:
        return text
    return text[: offsets[room - 1][1]] if first else text[offsets[-room][0] :]


def _offsets(backend: Any, text: str) -> list[tuple[int, int]]:
    encoded = backend.encode(text, add_special_tokens=False)
    found = list(encoded.offsets)
    for more in encoded.overflowing:  # of a tokenizer that truncates
        found += more.offsets
    return found


def _plain(turns: str | Sequence[Mapping[str, str]]) -> str:
    if isinstance(turns, str):
        return turns
    if len(turns) == 1:
        return turns[0]["content"]
    return "\n\n".join(f"{turn['role']}: {turn['content']}" for turn in turns)


def _texts(batch: Sequence[_Judged]) -> list[Text]:
    """First texts of all, then the second ones."""
    return [one.texts[side] for side in range(len(batch[0].texts)) for one in batch]


def _pair_loss(config: RewardConfig) -> PairRewardLoss:
    loss = PairRewardLoss.named(config.objective, centring=config.center_rewards_coefficient)
    if config.label_smoothing:
        loss = loss.replace(label_smoothing=config.label_smoothing)
    return loss
