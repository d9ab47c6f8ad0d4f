"""Policy-gradient training: GRPO and its kin, RLOO, REINFORCE, ReMax, OPO, PPO."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import random
from .._arrays import Array
from ..data import Dataset, permutation
from ..errors import ArgumentError
from ..language.metrics import Clock, Row
from ..language.model import Completion
from ..language.oracles import Oracle, as_oracle
from ..language.policy import LlamaPolicy
from ..language.rewarding import TextRewardModel
from ..objectives import PolicyLoss
from .advantages import Advantages, Answer
from .base import Means, Trainer
from .config import PolicyGradientConfig
from .learners import PolicyLearner
from .offline import Data, dataset
from .retrained import RetrainedReward
from .sources import Rewards, Source
from .tokenizing import prompt_tokens

__all__ = ["PolicyGradientTrainer"]

_KINDS = ("prompt", "prompt-completion", "preference", "unpaired-preference")
_ORDER, _GENERATION, _DROPOUT, _REFERENCE = range(4)  # children of a run's key


@dataclass(frozen=True)
class _Prompt:
    tokens: list[int]
    row: dict[str, Any]


class PolicyGradientTrainer(Trainer):
    """Learns from rewards of the policy's own answers.

    >>> verifier = fpo.verifiers.NumericMatch()
    >>> trainer = fpo.trainers.PolicyGradientTrainer(policy, verifier, "grpo", config, "sums.jsonl")
    >>> rows = trainer.train()

    A step draws `num_generations` answers to each of its prompts, has them rewarded, and follows
    the gradient of the objective `num_iterations` times. A reward model that is retrained in the
    loop, with an FPO penalty in the reward, is a `TextRewardModel` together with an oracle.

    ==========================================  ================================================
    objective                                   advantage, surrogate
    ==========================================  ================================================
    grpo, dr_grpo, dapo, gspo, cispo            of the group, over its deviation (dr_grpo: not);
                                                those of `fpo.objectives`
    rloo, opo, remax, reinforce, reinforce_pp   minus the mean of the others, the length-weighted
                                                mean, the greedy answer's reward, a moving
                                                average; whitened over the batch; ``-A log p``
    ppo                                         GAE of a value head; clipped
    ==========================================  ================================================

    Metrics, as TRL names them: ``reward``, ``reward_std``, ``frac_reward_zero_std``,
    ``rewards/NAME/mean``, ``objective/kl``, ``entropy``, ``policy/clipfrac_avg``, ``loss``,
    ``completions/mean_length``, ``completions/clipped_ratio``.

    Parameters
    ----------
    policy
        Its adapter is trained; its base is the reference.
    reward
        A verifier, a function ``(completions, prompts, **columns)``, a `TextReward`, a list of them
        or `Rewards` with weights; or, with an oracle, a `TextRewardModel` to be retrained.
    objective
        None: the config's.
    config
        All settings.
    train_dataset, eval_dataset
        Rows with a ``prompt``; further columns, such as ``answer``, go to the reward. None: what
        the config names.
    oracle
        Labels answers for the reward model, as in `fpo.IterativeRLHFTrainer`.
    """

    config: PolicyGradientConfig

    def __init__(
        self,
        policy: LlamaPolicy,
        reward: Source | Sequence[Source] | Rewards | TextRewardModel,
        objective: str | None = None,
        config: PolicyGradientConfig | None = None,
        train_dataset: Data | None = None,
        eval_dataset: Data | None = None,
        *,
        oracle: Oracle | Callable[[str, list[str]], Sequence[float]] | None = None,
    ):
        config = config or PolicyGradientConfig()
        config = config if objective is None else config.replace(objective=objective)
        super().__init__(config, PolicyLearner(policy))
        self.policy = policy
        self.retrained: RetrainedReward | None = None
        if oracle is not None:
            if not hasattr(reward, "learn"):
                raise ArgumentError("oracle: expected a reward model that can be retrained with it")
            model: Any = reward
            self.retrained = RetrainedReward(config, policy, model, as_oracle(oracle))
        elif config.penalty != "myopic":
            raise ArgumentError(
                f"penalty: {config.penalty} needs a reward model and an oracle to retrain it"
            )
        sources: Any = [] if self.retrained else reward
        self.reward = sources if isinstance(sources, Rewards) or not sources else Rewards(sources)
        self.loss = _loss(config)
        context = policy.architecture.context
        if config.max_completion_length >= context:
            raise ArgumentError(
                f"max_completion_length: {config.max_completion_length} does not fit into the "
                f"model's context of {context}"
            )
        self._room = min(config.max_prompt_length, context - config.max_completion_length)
        self.prompts = self._read(
            dataset("train_dataset", train_dataset or config.train_dataset, _KINDS)
        )
        self.eval_prompts = self._read(
            dataset("eval_dataset", eval_dataset or config.eval_dataset, _KINDS)
        )
        if not self.prompts:
            raise ArgumentError("train_dataset: expected at least one prompt")
        self.advantages = Advantages(config, policy.base)
        self._key = random.key(config.seed)

    def _read(self, data: Dataset | None) -> list[_Prompt]:
        tokenizer = self.policy.tokenizer
        found = []
        for row in data or ():
            tokens = prompt_tokens(tokenizer, row["prompt"])[-self._room :]
            if not tokens:
                raise ArgumentError("train_dataset: expected prompts that are not empty")
            found.append(_Prompt(tokens, row))
        return found

    @property
    def title(self) -> str:
        """The objective."""
        return self.config.objective

    @property
    def prompts_per_step(self) -> int:
        """Prompts of a step."""
        return self.config.batch_size // self.config.num_generations

    @property
    def rounds(self) -> int:
        """Steps of the whole run."""
        of = self.config
        if of.max_steps >= 0:
            return of.max_steps
        return math.ceil(of.num_train_epochs * len(self.prompts) / self.prompts_per_step)

    # ------------------------------------------------------------------------ generation

    def batch(self, step: int) -> list[_Prompt]:
        """The prompts of a step, from 0: all before one comes again."""
        first, size = step * self.prompts_per_step, len(self.prompts)
        order = random.fold(self._key, _ORDER)
        return [
            self.prompts[permutation(random.fold(order, at // size), size)[at % size]]
            for at in range(first, first + self.prompts_per_step)
        ]

    def _generate(self, prompts: Sequence[_Prompt], key: int | None) -> list[list[Completion]]:
        """Answers of the policy; without a key the greedy one of each."""
        of = self.config
        return self.policy.generate(
            [one.tokens for one in prompts],
            candidates=of.num_generations if key is not None else 1,
            max_new_tokens=of.max_completion_length,
            temperature=of.temperature,
            top_k=of.top_k,
            top_p=of.top_p,
            greedy=key is None,
            key=key,
        )

    def _rewards(
        self, prompts: Sequence[_Prompt], answers: Sequence[Completion]
    ) -> tuple[Array, dict[str, Array]]:
        """Rewards of answers, one for each prompt given."""
        completions: list[Any] = []
        for prompt, answer in zip(prompts, answers, strict=True):
            text = self.policy.tokenizer.decode(answer.tokens)
            plain = isinstance(prompt.row["prompt"], str)
            completions.append(text if plain else [{"role": "assistant", "content": text}])
        names = [name for name in prompts[0].row if name not in ("prompt", "completion")]
        columns = {name: [one.row[name] for one in prompts] for name in names}
        return self.reward([one.row["prompt"] for one in prompts], completions, columns)

    def _scores(
        self, prompts: Sequence[_Prompt], groups: Sequence[Sequence[Completion]]
    ) -> tuple[Array, Row]:
        """What each answer is worth, the divergence apart, and metrics."""
        if self.retrained is None:
            each = [one for one, group in zip(prompts, groups, strict=True) for _ in group]
            total, parts = self._rewards(each, [one for group in groups for one in group])
            row: Row = {}
            for name, values in parts.items():
                known = values[~np.isnan(values)]
                if known.size:
                    row[f"rewards/{name}/mean"] = float(known.mean())
                    row[f"rewards/{name}/std"] = float(known.std())
            return total, row
        root = random.fold(random.fold(self._key, _REFERENCE), self.round)
        of = self.config
        references = self.policy.base.generate(
            [one.tokens for one in prompts],
            max_new_tokens=of.max_completion_length,
            temperature=of.temperature,
            top_k=of.top_k,
            top_p=of.top_p,
            key=root,
        )
        scores, rows = [], []
        for prompt, group, [reference] in zip(prompts, groups, references, strict=True):
            question = prompt.row["prompt"]
            text = question if isinstance(question, str) else question[-1]["content"]
            found, row = self.retrained.score(
                text, prompt.tokens, group, reference, 1 / len(prompts)
            )
            scores.append(found)
            rows.append(row)
        self.retrained.step()
        mean = {name: float(np.mean([row[name] for row in rows])) for name in rows[0]}
        return np.concatenate(scores), mean | {"fpo/labels": self.retrained.labels_bought}

    # --------------------------------------------------------------------------- learning

    def learn(self, clock: Clock) -> tuple[Row, Row | None]:
        """Generates, rewards, and follows the gradient."""
        of, means = self.config, Means()
        prompts = self.batch(self.round)
        groups = self._generate(
            prompts, random.fold(random.fold(self._key, _GENERATION), self.round)
        )
        answers = [
            Answer(
                prompt.tokens,
                one,
                number,
                bool(one.tokens) and not (of.mask_truncated_completions and one.reason == "length"),
            )
            for number, (prompt, group) in enumerate(zip(prompts, groups, strict=True))
            for one in group
        ]
        clock.lap("generate")
        scores, row = self._scores(prompts, groups)
        clock.lap("reward")
        self._divergence(answers, means)
        clock.lap("reference")
        row |= self.advantages(
            answers,
            scores,
            lambda: self._greedy_scores(prompts, [one for [one] in self._generate(prompts, None)]),
        )
        self._learn_answers(answers, means, row)
        clock.lap("train")
        lengths = [len(one.tokens) for one in answers]
        cut = [one.completion.reason == "length" for one in answers]
        row |= means.row()
        row |= {
            "loss": float(means.values("loss").sum()) / of.num_iterations,
            "completions/mean_length": float(np.mean(lengths)),
            "completions/clipped_ratio": float(np.mean(cut)),
        }
        decode = self.policy.tokenizer.decode
        sample = {
            "step": self.round + 1,
            "prompt": prompts[0].row["prompt"],
            "completions": [decode(one.tokens) for one in groups[0]],
            "rewards": [None if math.isnan(one) else one for one in scores[: len(groups[0])]],
        }
        return row, sample

    def _divergence(self, answers: Sequence[Answer], means: Means) -> None:
        """The base's log-probabilities of all answers."""
        for start in range(0, len(answers), self.config.num_generations):
            group = answers[start : start + self.config.num_generations]
            found = self.policy.base.continuations(group[0].prompt, [one.tokens for one in group])
            for one, log_p in zip(group, found.log_probabilities, strict=True):
                one.reference = log_p
                means.add("objective/kl", float((one.completion.log_probabilities - log_p).sum()))

    def _greedy_scores(self, prompts: Sequence[_Prompt], greedy: list[Completion]) -> Array:
        if self.retrained is None:
            return self._rewards(prompts, greedy)[0]
        model = self.retrained.model
        questions = [
            one.row["prompt"]
            if isinstance(one.row["prompt"], str)
            else one.row["prompt"][-1]["content"]
            for one in prompts
        ]
        texts = [self.policy.tokenizer.decode(one.tokens) for one in greedy]
        return model.rewards(model.read(questions, texts))

    def _learn_answers(self, answers: Sequence[Answer], means: Means, row: Row) -> None:
        """The gradient over all answers, pass by pass, and a step along it."""
        of = self.config
        used = [one for one in answers if one.used]
        size = of.per_device_train_batch_size
        key = random.fold(random.fold(self._key, _DROPOUT), self.round)
        tokens = sum(len(one.tokens) for one in used)
        for iteration in range(of.num_iterations):
            for start in range(0, len(used), size):
                part = used[start : start + size]
                ours = sum(len(one.tokens) for one in part)
                by_token = self.loss.aggregation == "token_mean"
                share = ours / tokens if by_token else len(part) / len(used)
                number = iteration * len(used) + start
                self._pass(part, share, random.fold(key, number), means)
            row |= self.optimise()

    def _pass(self, part: Sequence[Answer], share: float, key: int, means: Means) -> None:
        sequences = [[*one.prompt, *one.tokens] for one in part]
        masks = [
            np.concatenate([np.zeros(len(one.prompt)), np.ones(len(one.tokens))]) for one in part
        ]
        found, entropies = self.policy.forward_with_entropy(sequences, mask=masks, key=key)
        log_p = [values[len(one.prompt) :] for one, values in zip(part, found, strict=True)]
        for one, values, entropy in zip(part, log_p, entropies, strict=True):
            if one.old is None:
                one.old = values
                means.add("entropy", entropy[len(one.prompt) :])
                gap = np.abs(values - one.completion.log_probabilities)
                means.add("sampling/sampling_logp_difference/mean", gap)
        result = self.loss(
            np.concatenate(log_p),
            np.concatenate([one.advantage for one in part if one.advantage is not None]),
            [len(one.tokens) for one in part],
            old_logps=np.concatenate([one.old for one in part if one.old is not None]),
            ref_logps=np.concatenate([one.reference for one in part if one.reference is not None]),
            token_level=True,
        )
        means.add("loss", share * result.loss)
        means.add("policy/clipfrac_avg", result.clip_fraction)
        slopes = np.split(share * result.d_logps, np.cumsum([one.size for one in log_p])[:-1])
        self.policy.backward(
            [
                np.concatenate([np.zeros(len(one.prompt)), slope])
                for one, slope in zip(part, slopes, strict=True)
            ]
        )

    def evaluate(self) -> Row:
        """The mean reward of greedy answers to held-out prompts."""
        if not self.eval_prompts:
            return {}
        answers = [one for [one] in self._generate(self.eval_prompts, None)]
        scores = self._greedy_scores(self.eval_prompts, answers)
        known = scores[~np.isnan(scores)]
        return {"eval_reward": float(known.mean())} if known.size else {}

    # ----------------------------------------------------------------------- save and resume

    def state(self) -> Any:
        """Everything that a step depends on."""
        state = super().state() | self.advantages.state()
        if self.retrained is not None:
            state |= {f"retrained_{n}": part for n, part in self.retrained.state().items()}
        return state

    def restore(self, state: Mapping[str, Mapping[str, NDArray[Any]]]) -> None:
        """Goes back to a `state`."""
        super().restore(state)
        self.advantages.restore(state)
        if self.retrained is not None:
            prefix = "retrained_"
            self.retrained.restore(
                {n.removeprefix(prefix): part for n, part in state.items() if n.startswith(prefix)}
            )


def _loss(config: PolicyGradientConfig) -> PolicyLoss:
    clipped = config.kl_in_loss or config.objective == "ppo"
    if not clipped:
        if config.num_iterations > 1:
            raise ArgumentError(
                f"num_iterations: {config.objective} has no ratio to an older policy; expected 1, "
                f"got {config.num_iterations}"
            )
        return PolicyLoss.named("reinforce")
    loss = PolicyLoss.named(config.objective)
    if config.objective == "dr_grpo":
        loss = loss.replace(max_length=float(config.max_completion_length))
    if config.kl_in_loss and config.kl_weight > 0:
        loss = loss.replace(kl_coefficient=config.kl_weight)
    return loss
