"""What each token of a sampled answer is worth, by objective."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import objectives
from .._arrays import Array
from ..language.metrics import Row
from ..language.model import Completion, LanguageModel
from ..language.run_loop import State
from .config import PolicyGradientConfig
from .values import ValueHead

__all__ = ["Advantages", "Answer"]

_DECAY = 0.9  # of the moving average of REINFORCE


@dataclass
class Answer:
    """One answer, and what it is worth."""

    prompt: list[int]
    completion: Completion
    group: int
    used: bool
    reference: Array | None = None
    advantage: Array | None = None  # one for each token
    old: Array | None = None

    @property
    def tokens(self) -> list[int]:
        """Its tokens."""
        return self.completion.tokens


class Advantages:
    """The advantages of an objective, with the baseline that it learns, if any.

    REINFORCE has a moving average of the rewards, PPO a value head.
    """

    def __init__(self, config: PolicyGradientConfig, base: LanguageModel):
        self.config = config
        self.values = ValueHead(base) if config.objective == "ppo" else None
        self._average = math.nan

    def __call__(
        self, answers: Sequence[Answer], scores: Array, greedy: Callable[[], Array]
    ) -> Row:
        """Gives each answer its advantage; metrics of the rewards.

        Parameters
        ----------
        answers
            Of one prompt after the other.
        scores
            What each is worth, the divergence apart; NaN where it cannot be told.
        greedy
            Gives the score of the greedy answer to each prompt.
        """
        of = self.config
        spread = [
            float(np.std(known, ddof=1)) if known.size > 1 else 0.0
            for group in scores.reshape(-1, of.num_generations)
            for known in [group[~np.isnan(group)]]
        ]
        known = scores[~np.isnan(scores)]
        row: Row = {
            "reward_std": float(np.mean(spread)),
            "frac_reward_zero_std": float(np.mean([one == 0 for one in spread])),
            "unscorable": float(np.isnan(scores).mean()),
        }
        if known.size:
            row["reward"] = float(known.mean())
        if self.values is not None:
            return row | self._value_advantages(answers, scores)
        if of.kl_weight > 0 and not of.kl_in_loss:
            scores = scores - of.kl_weight * np.array(
                [
                    float((one.completion.log_probabilities - one.reference).sum())
                    for one in answers
                    if one.reference is not None
                ]
            )
        baseline = None
        estimator, scale = "grpo", "none" if of.objective == "dr_grpo" else of.scale_rewards
        if of.objective == "remax":
            estimator = "reinforce"
            baseline = np.repeat(np.nan_to_num(greedy()), of.num_generations)
        elif of.objective == "reinforce":
            estimator = "reinforce"
            mean = float(np.nanmean(scores)) if known.size else 0.0
            average = mean if math.isnan(self._average) else self._average
            baseline = np.full(len(answers), average)
            self._average = _DECAY * average + (1 - _DECAY) * mean
        elif not of.kl_in_loss:
            estimator = of.objective
        advantages = objectives.group_advantage(
            scores,
            np.array([one.group for one in answers]),
            estimator,
            scale=scale,
            baseline=baseline,
            lengths=[len(one.tokens) for one in answers],
        )
        for one, advantage in zip(answers, advantages, strict=True):
            one.advantage = np.full(len(one.tokens), advantage)
        return row

    def _value_advantages(self, answers: Sequence[Answer], scores: Array) -> Row:
        """Advantages of tokens by the value head, which then learns from the returns."""
        assert self.values is not None
        of = self.config
        kept = [
            (one, score)
            for one, score in zip(answers, scores, strict=True)
            if one.tokens and not math.isnan(score)
        ]
        for one in answers:
            one.advantage = np.zeros(len(one.tokens))
        if not kept:
            return {}
        lengths = [len(one.tokens) for one, _ in kept]
        rewards = objectives.token_rewards(
            [score for _, score in kept],
            np.concatenate([one.completion.log_probabilities for one, _ in kept]),
            np.concatenate([one.reference for one, _ in kept if one.reference is not None]),
            lengths,
            beta=of.kl_weight,
        )
        features = self.values.features(
            [one.prompt for one, _ in kept], [one.tokens for one, _ in kept]
        )
        old = self.values(features)
        found = objectives.gae(rewards, old, lengths, lam=of.gae_lambda)
        advantages = objectives.whiten(found.advantage)
        for (one, _), part in zip(kept, np.split(advantages, np.cumsum(lengths)[:-1]), strict=True):
            one.advantage = part
        losses = [
            self.values.step(
                features, old, found.returns, of.value_learning_rate, of.cliprange_value
            )
            for _ in range(of.num_iterations)
        ]
        return {"loss/value_avg": float(np.mean(losses)), "val/mean": float(old.mean())}

    def state(self) -> State:
        """Everything that `restore` needs, in parts."""
        state: State = {"baseline": {"average": np.array([self._average])}}
        if self.values is not None:
            state["values"] = self.values.state()
        return state

    def restore(self, state: Mapping[str, Mapping[str, NDArray[Any]]]) -> None:
        """Goes back to a `state`."""
        self._average = float(state["baseline"]["average"][0])
        if self.values is not None:
            self.values.restore(state["values"])
