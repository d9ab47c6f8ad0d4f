"""A reward model that is retrained while the policy learns from it, with an FPO penalty."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import numerics
from .._arrays import Array
from ..language.config import IterativeRLHFConfig
from ..language.metrics import Row
from ..language.model import Completion
from ..language.oracles import Oracle
from ..language.policy import LlamaPolicy
from ..language.rewarding import TextRewardModel
from ..language.rollouts import Said
from ..language.scoring import Candidates, Labels, score
from .config import PolicyGradientConfig

__all__ = ["RetrainedReward"]


class RetrainedReward:
    """Scores of answers, ``reward - penalty``, and what the reward model learns of an oracle.

    As in `fpo.IterativeRLHFTrainer`: of each prompt the answer with the highest score and the
    base's own answer are labelled, and the reward model is fitted to the label.
    """

    def __init__(
        self,
        config: PolicyGradientConfig,
        policy: LlamaPolicy,
        model: TextRewardModel,
        oracle: Oracle,
    ):
        self.config, self.policy, self.model, self.oracle = config, policy, model, oracle
        self.settings = IterativeRLHFConfig(
            penalty=config.penalty,
            gamma=config.gamma,
            gamma_rule=config.gamma_rule,
            share=config.share,
            kappa=config.kappa,
            damping=config.damping,
        )
        self.labels_bought = 0
        self._labels = Labels(self.settings.label_buffer)

    def score(
        self,
        question: str,
        prompt: list[int],
        answers: Sequence[Completion],
        reference: Completion,
        weight: float,
    ) -> tuple[Array, Row]:
        """Scores of the answers of one prompt (n,), and metrics; adds the reward's gradient."""
        n = len(answers)
        said = Said(_Speaker(self.policy, prompt), question, [*answers, reference])  # type: ignore[arg-type]
        reading = self.model.read([question] * (n + 1), said.texts)
        rewards = self.model.rewards(reading)
        utilities, label = None, None
        if self.config.penalty in ("relaxed", "exact"):
            utilities = said.utilities(self.oracle, range(n + 1))
            label = self._probability(utilities[:n] - utilities[n])
        gradients = self.model.gradients(reading)
        features = reading.features.astype(np.float64)
        found = score(
            self.settings,
            Candidates(
                reward=rewards[:n],
                reference_reward=float(rewards[n]),
                gradients=gradients[:n],
                reference_gradient=gradients[n],
                features=features[:n],
                reference_features=features[n],
                log_ratio=np.zeros(n),
                label=label,
            ),
            self._labels,
        )
        winner = int(np.argmax(found.score))
        if utilities is None:
            pair = said.utilities(self.oracle, [winner, n])
            self.labels_bought += 2
        else:
            pair = utilities[[winner, n]]
            self.labels_bought += n + 1
        truth = self._probability(pair[:1] - pair[1:])
        loss = self.model.learn(reading.rows([winner]), reading.rows([n]), truth, weight)
        log_odds = self.config.utility_scale * float(pair[0] - pair[1])
        self._labels.add(features[winner] - features[n], log_odds)
        return found.score, {
            "reward_loss": loss,
            "utility/winner": float(pair[0]),
            "utility/reference": float(pair[1]),
            "fpo/penalty": float(found.penalty.mean()),
            "fpo/penalty_share": found.share,
        }

    def step(self) -> None:
        """A step of the reward model along what `score` has added up."""
        self.model.step(self.config.reward_learning_rate, 0.0)

    def _probability(self, difference: Array) -> Array:
        return np.asarray(numerics.sigmoid(self.config.utility_scale * difference))

    def state(self) -> dict[str, dict[str, NDArray[Any]]]:
        """Everything that `restore` needs."""
        return {
            "reward": dict(self.model.state()),
            "labels": self._labels.state(),
            "bought": {"count": np.array([self.labels_bought])},
        }

    def restore(self, state: Mapping[str, Mapping[str, NDArray[Any]]]) -> None:
        """Goes back to a `state`."""
        self.model.restore(dict(state["reward"]))
        self._labels.restore(dict(state["labels"]))
        self.labels_bought = int(state["bought"]["count"][0])


class _Speaker:
    """What `Said` needs of rollouts, for one prompt."""

    def __init__(self, policy: LlamaPolicy, prompt: list[int]):
        self.policy, self._prompt = policy, prompt

    def prompt(self, question: str) -> list[int]:
        return self._prompt

    def text(self, completion: Completion) -> str:
        return self.policy.tokenizer.decode(completion.tokens)
