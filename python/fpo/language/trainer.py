"""The loop: generate, score, choose, label, train the policy, retrain the reward model."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import numerics, random
from ..errors import ArgumentError, NonFiniteError
from ..penalties import Penalty
from .config import IterativeRLHFConfig
from .metrics import Clock, Row, bar, completion_metrics, reward_metrics
from .oracles import Oracle, as_oracle
from .policy import LlamaPolicy
from .prompting import order
from .questions import read_prompts
from .replay import Replay
from .rewarding import TextRewardModel
from .rollouts import Rollouts, Said
from .run_directory import RunDirectory
from .run_loop import RunFiles, RunLoop, State
from .scoring import Candidates, Labels, Scores, score

__all__ = ["IterativeRLHFTrainer"]

Array = NDArray[np.float64]

# Children of a run's key, and of a round's (the first two belong to `Rollouts`).
_ORDER, _ROUNDS, _PRETRAINING = 0, 1, 2
_SCORING, _REWARD_TRAINING, _POLICY_TRAINING, _REPLAY = range(2, 6)


class IterativeRLHFTrainer(RunLoop):
    """Iterative RLHF of a language model, with a penalty against alignment collapse.

    Each round draws `candidates` answers of the policy and a reference answer of its base model,
    takes the candidate of the highest ``reward - penalty`` as the winner, has winner and reference
    labelled by the oracle, raises the winner's likelihood under the policy, and fits the reward
    model to the label by soft Bradley-Terry. Gauthier, Bach and Jordan, arXiv:2605.04266.

    >>> trainer = fpo.IterativeRLHFTrainer(policy, reward_model, oracle, penalty="residual")
    >>> rows = trainer.train()

    Parameters
    ----------
    policy
        A `LlamaPolicy`; its base is the reference.
    reward_model
        A `HeadReward`, or another `TextRewardModel`.
    oracle
        An `Oracle`, or a function ``(question, answers) -> utilities``.
    penalty
        "myopic", "practical", "relaxed", "residual", "exact", "leash", "best-of-n", or an
        `fpo.Penalty`, whose weight becomes gamma; None leaves the config's.
    config
        All settings; `IterativeRLHFConfig` has the published defaults.
    prompts
        Questions; None reads those that the config names.
    """

    def __init__(
        self,
        policy: LlamaPolicy,
        reward_model: TextRewardModel,
        oracle: Oracle | Callable[[str, list[str]], Sequence[float]],
        penalty: str | Penalty | None = None,
        config: IterativeRLHFConfig | None = None,
        prompts: Sequence[str] | None = None,
    ):
        super().__init__()
        self.config: IterativeRLHFConfig = (config or IterativeRLHFConfig()).with_penalty(penalty)
        self.policy, self.reward_model, self.oracle = policy, reward_model, as_oracle(oracle)
        questions = read_prompts(self.config.prompts) if prompts is None else list(prompts)
        if not questions:
            raise ArgumentError("prompts: expected at least one")
        self._key = random.key(self.config.seed)
        shuffle = random.fold(self._key, _ORDER) if self.config.shuffle_prompts else None
        ordered = order(questions, self.config.steps, shuffle)
        self.rollouts = Rollouts(self.config, policy, ordered, random.fold(self._key, _ROUNDS))
        self._pool = questions
        context = policy.architecture.context
        if self.config.max_prompt_tokens + self.config.max_new_tokens > context:
            raise ArgumentError(
                f"max_prompt_tokens: {self.config.max_prompt_tokens} and max_new_tokens "
                f"{self.config.max_new_tokens} do not fit into the model's context of {context}"
            )
        self._reads_log_p = bool(getattr(self.oracle, "reads_log_p", False))
        self.labels_bought = 0
        self._labels = Labels(self.config.label_buffer)
        self._replay = Replay()

    # ----------------------------------------------------------------------------- running

    @property
    def rounds(self) -> int:
        """Rounds of the whole run."""
        return self.config.steps

    @property
    def files(self) -> RunFiles:
        """Where results go."""
        of = self.config
        return RunFiles(of.output, of.checkpoint_every, of.tensorboard, of.mlflow)

    @property
    def title(self) -> str:
        """The penalty."""
        return self.config.penalty

    def unchanged(self) -> set[str]:
        """The adapter, where the last round was not the end of an accumulation."""
        of = self.config
        stepped = of.checkpoint_every != 1 or self.round % of.accumulation == 0
        return set() if stepped else {"adapter"}

    def finish(self, files: RunDirectory | None) -> None:
        """Writes the adapter."""
        if files is not None:
            self.policy.save_adapter(files.path / "adapter")

    # ------------------------------------------------------------------------------- rounds

    def step(self) -> tuple[Row, Row]:
        """One round: its metrics, and what was said in it."""
        clock = Clock()
        key = self.rollouts.round_key(self.round)
        question = self.rollouts.questions[self.round]
        drawn = self.rollouts.candidates(self.round)
        reference = self.rollouts.reference(self.round)
        texts = [self.rollouts.text(one) for one in drawn]
        kept = [i for i, text in enumerate(texts) if text.strip()]
        clock.lap("generate")
        row: Row = {"step": self.round + 1, **completion_metrics(drawn)}
        if not kept:  # as published: nothing to learn from
            self.round += 1
            row |= clock.times()
            return row, {"step": self.round, "prompt": question, "skipped": True}

        said = self.rollouts.said(question, [*(drawn[i] for i in kept), reference])
        n = len(kept)
        reading = self.reward_model.read([question] * (n + 1), said.texts)
        scores, rewards, utilities, features = self._score(key, reading, said)
        winner = int(np.argmax(scores.score))
        clock.lap("reward")
        # All where the base has read all of them already; else the first candidate, a fair sample.
        is_known = self.config.penalty == "leash" or (self._reads_log_p and utilities is not None)
        measured = list(range(n)) if is_known else [0]
        said.log_p([*measured, winner] if self._reads_log_p else measured)
        log_ratio = said.log_ratio(measured)
        known = {winner, n} if utilities is None else set(range(n + 1))
        if utilities is None:
            utilities = np.full(n + 1, np.nan)
            utilities[[winner, n]] = said.utilities(self.oracle, [winner, n])
        self.labels_bought += len(known)
        log_odds, label = self._label(utilities, winner, n)
        clock.lap("oracle")

        reward_loss = self._learn_reward(key, reading.rows([winner]), reading.rows([n]), label)
        self._labels.add(features[winner] - features[n], log_odds)
        clock.lap("reward")
        loss = self._learn_policy(key, question, said.completions[winner].tokens)
        row |= self._optimise()
        clock.lap("train")
        row |= {
            "loss": loss,
            "reward_loss": reward_loss,
            "objective/kl": float(log_ratio.mean()),
            "kl": float(log_ratio.sum() / sum(len(said.completions[i].tokens) for i in measured)),
            **reward_metrics(rewards, winner, label),
            "utility/winner": float(utilities[winner]),
            "utility/reference": float(utilities[n]),
            "fpo/penalty": float(scores.penalty[winner]),
            "fpo/penalty_share": scores.share,
            "fpo/labels": self.labels_bought,
        }
        if len(known) > 2:
            row["utility/mean"] = float(utilities[:n].mean())
        if scores.overconfidence is not None:
            row["fpo/estimated_overconfidence"] = float(scores.overconfidence[winner])
        self.round += 1
        row |= clock.times()
        sample = {
            "step": self.round,
            "prompt": question,
            "winner": said.texts[winner],
            "reference": said.texts[n],
            "label": label,
            "candidates": list(said.texts[:n]),
            "rewards": [float(one) for one in rewards[:n]],
            "penalties": [float(one) for one in scores.penalty],
        }
        return row, sample

    def _label(self, utilities: Array, winner: int, reference: int) -> tuple[float, float]:
        """The log-odds and the probability with which the oracle prefers one to the other."""
        difference = float(utilities[winner] - utilities[reference])
        log_odds = self.config.utility_scale * difference
        return log_odds, float(numerics.sigmoid(np.array([log_odds]))[0])

    def _score(
        self, key: int, reading: Any, said: Said
    ) -> tuple[Scores, Array, Array | None, Array]:
        """Scores of the candidates; rewards, utilities and features of all, the reference last."""
        config, n = self.config, len(said.texts) - 1
        dropped = config.reward_dropout_rule == "published" and config.penalty == "myopic"
        scoring = random.fold(key, _SCORING) if dropped else None
        rewards = self.reward_model.rewards(reading, dropout_key=scoring)
        if not np.isfinite(rewards).all():
            raise NonFiniteError(f"round {self.round + 1}: a reward is not finite")
        utilities, label = None, None
        if config.penalty in ("relaxed", "exact"):
            utilities = said.utilities(self.oracle, range(n + 1))
            label = numerics.sigmoid(config.utility_scale * (utilities[:n] - utilities[n]))
        gradients = self.reward_model.gradients(reading)
        features = reading.features.astype(np.float64)
        candidates = Candidates(
            reward=rewards[:n],
            reference_reward=float(rewards[n]),
            gradients=gradients[:n],
            reference_gradient=gradients[n],
            features=features[:n],
            reference_features=features[n],
            log_ratio=said.log_ratio(range(n)) if config.penalty == "leash" else np.zeros(n),
            label=label,
        )
        return score(config, candidates, self._labels), rewards, utilities, features

    # ----------------------------------------------------------------------------- learning

    def _learn_reward(self, key: int, better: Any, reference: Any, label: float) -> float:
        config = self.config
        dropping = config.reward_dropout_rule != "off"
        again = self._replay.draw(config.replay, random.fold(key, _REPLAY))
        if config.replay:
            self._replay.add(better, reference, label)
        firsts, seconds, labels = again.with_first(better, reference, label)
        return self.reward_model.learn(
            firsts,
            seconds,
            labels,
            1 / config.accumulation,
            dropout_key=random.fold(key, _REWARD_TRAINING) if dropping else None,
        )

    def _learn_policy(self, key: int, question: str, answer: list[int]) -> float:
        if self.config.penalty == "best-of-n":
            return 0.0
        prompt = self.rollouts.prompt(question)
        tokens = [*prompt, *answer]
        weights = np.zeros(len(tokens))
        first = 1 if self.config.loss_on == "sequence" else len(prompt)
        weights[first:] = 1 / (len(tokens) - first) / self.config.accumulation
        loss = self.policy.loss([tokens], [weights], key=random.fold(key, _POLICY_TRAINING))
        if not math.isfinite(loss):
            raise NonFiniteError(f"round {self.round + 1}: the policy's loss is {loss}")
        return loss * self.config.accumulation

    def _optimise(self) -> Row:
        """A step of both optimisers, at the end of each `accumulation` rounds."""
        config = self.config
        if (self.round + 1) % config.accumulation:
            return {}
        factor = config.learning_rate_factor(self.round)
        row: Row = {}
        if config.reward_learning_rate * factor > 0:
            self.reward_model.step(config.reward_learning_rate * factor, config.weight_decay)
        if config.penalty != "best-of-n" and config.policy_learning_rate * factor > 0:
            row["grad_norm"] = self.policy.step(
                config.policy_learning_rate * factor,
                weight_decay=config.weight_decay,
                max_grad_norm=config.max_grad_norm,
            )
            row["learning_rate"] = config.policy_learning_rate * factor
        return row

    def prepare(self, progress: bool) -> None:
        """Fits a new head to comparisons of the base model's own answers."""
        config = self.config
        if not config.reward_pretraining:
            return
        root = random.fold(self._key, _PRETRAINING)
        questions = order(self._pool, config.reward_pretraining, random.fold(root, 2**32))
        memory = Replay()
        for i in bar(range(len(questions)), 0, progress, "reward model"):
            prompt = self.rollouts.prompt(questions[i])
            [pair] = self.rollouts.draw(self.policy.base, [prompt], 2, [random.fold(root, i)])
            if not all(self.rollouts.text(one).strip() for one in pair):
                continue
            said = self.rollouts.said(questions[i], pair)
            reading = self.reward_model.read([questions[i]] * 2, said.texts)
            log_odds, label = self._label(said.utilities(self.oracle, [0, 1]), 0, 1)
            memory.add(reading.rows([0]), reading.rows([1]), label)
            features = reading.features.astype(np.float64)
            self._labels.add(features[0] - features[1], log_odds)
            self.labels_bought += 2
        if not len(memory):
            return
        firsts, seconds, labels = memory.all()
        for _ in range(config.reward_epochs):
            self.reward_model.learn(firsts, seconds, labels, 1.0)
            self.reward_model.step(config.reward_pretraining_rate, config.weight_decay)
        self.reward_model.forget_moments()
        if config.replay:
            self._replay = memory

    # ------------------------------------------------------------------------ save and resume

    def state(self) -> State:
        """Everything that a round depends on, in parts; `restore` goes on from it bit for bit."""
        return {
            "adapter": {"bytes": np.frombuffer(self.policy.state(), dtype=np.uint8)},
            "gradient": {"values": self.policy.gradient},
            "reward": dict(self.reward_model.state()),
            "labels": self._labels.state(),
            "replay": self._replay.state(),
            "counters": {"values": np.array([self.round, self.labels_bought])},
        }

    def restore(self, state: State) -> None:
        """Goes back to a `state`."""
        self.policy.restore(state["adapter"]["bytes"].tobytes())
        self.policy.gradient = state["gradient"]["values"]
        self.reward_model.restore(state["reward"])
        self._labels.restore(state["labels"])
        self._replay.restore(state["replay"])
        self.round, self.labels_bought = (int(one) for one in state["counters"]["values"])
