"""Direct preference optimisation with any objective: DPO, IPO, KTO, SimPO, ORPO and the others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .. import objectives
from .._arrays import Array
from .._configuration import unknown_name
from ..data import Dataset, truncate_pair
from ..errors import ArgumentError
from ..language.metrics import Row
from ..language.policy import LlamaPolicy
from ..objectives import KTO, PreferenceLoss, UnpairedLoss
from .base import Means
from .config import PreferenceConfig
from .learners import PolicyLearner
from .offline import Data, OfflineTrainer, dataset
from .sft import room
from .tokenizing import completion_tokens, prompt_tokens

__all__ = ["PreferenceTrainer"]

_SUMMED = ("cpo",)  # objectives without a reference whose rewards are sums, not means, of log p


@dataclass(frozen=True, eq=False)
class _Responses:
    """A prompt and its completions: (chosen, rejected), or one that is desirable or not."""

    prompt: list[int]
    completions: tuple[list[int], ...]
    label: float
    """The probability that chosen is better; of a single completion, 1 if it is desirable."""
    weight: float


class PreferenceTrainer(OfflineTrainer[_Responses]):
    """Learns from preferences without a reward model.

    >>> trainer = fpo.trainers.PreferenceTrainer(policy, "dpo", train_dataset="pairs.jsonl")
    >>> rows = trainer.train()

    The reference is the policy's base: the same weights with the adapter off. A pair that is a tie
    or has a ``soft_label`` p counts p times as it stands, and 1 - p times turned round.

    Metrics, as TRL names them: ``loss``, ``rewards/chosen``, ``rewards/rejected``,
    ``rewards/margins``, ``rewards/accuracies``, ``logps/chosen``, ``logps/rejected``. Likelihood
    displacement (Razin et al., arXiv:2410.08847): ``logps/chosen_change`` is the mean of
    ``log p - log p_ref`` of chosen responses, ``displacement/share`` the share of pairs where it
    is negative, and ``displacement/warning`` is 1 in a step where the mean is.

    Parameters
    ----------
    policy
        Its adapter is trained.
    objective
        A name or a loss of `fpo.objectives`; None: the config's.
    config
        All settings.
    train_dataset, eval_dataset
        Preference pairs; for KTO also completions with a label. None: what the config names.
    """

    config: PreferenceConfig

    def __init__(
        self,
        policy: LlamaPolicy,
        objective: str | PreferenceLoss | UnpairedLoss | None = None,
        config: PreferenceConfig | None = None,
        train_dataset: Data | None = None,
        eval_dataset: Data | None = None,
    ):
        config = config or PreferenceConfig()
        self.objective = _objective(config, objective)
        self.config = config = config.replace(objective=self.objective.kind)
        self.policy = policy
        self._room = room(policy, config.max_length)
        self._reference: dict[int, Array] = {}
        self.left_out = 0
        kinds = ["preference"]
        if isinstance(self.objective, UnpairedLoss):
            kinds = ["preference", "unpaired-preference"]
        super().__init__(
            config,
            PolicyLearner(policy),
            self._examples(dataset("train_dataset", train_dataset or config.train_dataset, kinds)),
            self._examples(dataset("eval_dataset", eval_dataset or config.eval_dataset, kinds)),
        )

    @property
    def title(self) -> str:
        """The objective."""
        return self.objective.kind

    @property
    def beta(self) -> float:
        """What log-ratios are multiplied by to be rewards."""
        return float(getattr(self.objective, "beta", 1.0))

    # ------------------------------------------------------------------------------- data

    def _examples(self, data: Dataset | None) -> list[_Responses]:
        if data is None:
            return []
        unpaired = isinstance(self.objective, UnpairedLoss)
        if unpaired and data.kind == "preference":
            data = data.to_unpaired()
        labels = data.column("label") if unpaired else data.soft_labels()
        found = []
        names = ("completion", "completion") if unpaired else ("chosen", "rejected")
        tokenizer = self.policy.tokenizer
        for row, label in zip(data, labels, strict=True):
            first, second = (
                completion_tokens(tokenizer, row["prompt"], row[name]) for name in names
            )
            pair = truncate_pair(
                prompt_tokens(tokenizer, row["prompt"]),
                first,
                second,
                self._room,
                self.config.max_prompt_length or None,
            )
            if not unpaired and pair.identical:
                self.left_out += 1  # no gradient
                continue
            completions = (pair.chosen,) if unpaired else (pair.chosen, pair.rejected)
            weight = float(row.get("weight", 1.0))
            found.append(_Responses(pair.prompt, completions, float(label), weight))
        return found

    def length(self, example: _Responses) -> int:
        """Tokens of prompt and longest completion."""
        return len(example.prompt) + max(map(len, example.completions))

    def tokens(self, example: _Responses) -> int:
        """Tokens of all sequences."""
        return sum(len(example.prompt) + len(one) for one in example.completions)

    # ----------------------------------------------------------------------- likelihoods

    def _reference_logps(self, example: _Responses) -> Array:
        """``log p_ref`` of the completions; computed once."""
        found = self._reference.get(id(example))
        if found is None:
            found = _logps(self.policy.base, example.prompt, example.completions)
            self._reference[id(example)] = found
        return found

    def _references(self, batch: Sequence[_Responses]) -> Array | None:
        """(n, 1 or 2), or None where nothing needs them."""
        needed = isinstance(self.objective, UnpairedLoss) or self.objective.needs_reference
        if not needed and not self.config.watch_displacement:
            return None
        return np.stack([self._reference_logps(one) for one in batch])

    def begin(self, batch: Sequence[_Responses]) -> tuple[int, float]:
        """The rows of the step, and the baseline of KTO."""
        if not isinstance(self.objective, KTO) or len(batch) < 2:
            return len(batch), 0.0
        # As TRL: the responses of a batch under each other's prompts.
        mismatched = [
            (batch[i].prompt, batch[(i + 1) % len(batch)].completions) for i in range(len(batch))
        ]
        fitting = [
            (prompt, (completions[0][: self._room - len(prompt)],))
            for prompt, completions in mismatched
        ]
        ours = [float(_logps(self.policy, *one)[0]) for one in fitting]
        theirs = [float(_logps(self.policy.base, *one)[0]) for one in fitting]
        return len(batch), objectives.kto_baseline(ours, theirs)

    # --------------------------------------------------------------------------- learning

    def accumulate(
        self, batch: Sequence[_Responses], shared: tuple[int, float], key: int, means: Means
    ) -> None:
        """Adds the gradient of the mean loss over the step's rows."""
        count, baseline = shared
        responses = len(batch[0].completions)
        order = [(one, side) for side in range(responses) for one in batch]
        sequences = [[*one.prompt, *one.completions[side]] for one, side in order]
        masks = [
            np.concatenate([np.zeros(max(len(one.prompt), 1)), np.ones(len(tokens))])[
                : len(one.prompt) + len(tokens)
            ]
            for one, side in order
            for tokens in [one.completions[side]]
        ]
        found = self.policy.forward(sequences, mask=masks, key=key)
        logps = np.array([float(one.sum()) for one in found]).reshape(responses, -1).T
        slopes = self._losses(batch, logps, baseline, means)
        flat = slopes.T.reshape(-1) / count
        self.policy.backward([c * mask for c, mask in zip(flat, masks, strict=True)])

    def judge(self, batch: Sequence[_Responses], shared: tuple[int, float], means: Means) -> None:
        """Losses and metrics without a gradient."""
        logps = np.stack([_logps(self.policy, one.prompt, one.completions) for one in batch])
        self._losses(batch, logps, shared[1], means)

    def _losses(
        self, batch: Sequence[_Responses], logps: Array, baseline: float, means: Means
    ) -> Array:
        """Adds metrics; derivatives of the weighted losses in `logps` (n, 1 or 2)."""
        references = self._references(batch)
        labels = np.array([one.label for one in batch])
        weights = np.array([one.weight for one in batch])
        if isinstance(self.objective, UnpairedLoss):
            assert references is not None
            single = self.objective(logps[:, 0], references[:, 0], labels == 1, baseline=baseline)
            self._unpaired_metrics(logps[:, 0], references[:, 0], labels == 1, means)
            means.add("loss", weights * single.loss)
            means.add("kl", baseline)
            return np.asarray((weights * single.derivative)[:, None])
        lengths = np.array([[len(one) for one in row.completions] for row in batch])
        loss, slopes = self._pair(logps, references, lengths)
        if (labels < 1).any():
            turned = references if references is None else references[:, ::-1]
            other, others = self._pair(logps[:, ::-1], turned, lengths[:, ::-1])
            loss = labels * loss + (1 - labels) * other
            slopes = labels[:, None] * slopes + (1 - labels)[:, None] * others[:, ::-1]
        means.add("loss", weights * loss)
        self._pair_metrics(logps, references, lengths, means)
        return np.asarray(weights[:, None] * slopes)

    def _pair(self, logps: Array, references: Array | None, lengths: Any) -> tuple[Array, Array]:
        assert isinstance(self.objective, PreferenceLoss)
        needed = references is not None and self.objective.needs_reference
        found = self.objective(
            logps[:, 0],
            logps[:, 1],
            references[:, 0] if references is not None and needed else None,
            references[:, 1] if references is not None and needed else None,
            chosen_lengths=lengths[:, 0],
            rejected_lengths=lengths[:, 1],
        )
        return found.loss, np.stack([found.d_chosen, found.d_rejected], axis=1)

    # ---------------------------------------------------------------------------- metrics

    def _pair_metrics(
        self, logps: Array, references: Array | None, lengths: Any, means: Means
    ) -> None:
        assert isinstance(self.objective, PreferenceLoss)
        if self.objective.needs_reference and references is not None:
            rewards = self.beta * (logps - references)
        elif self.objective.kind in _SUMMED:
            rewards = self.beta * logps
        else:
            rewards = self.beta * logps / np.maximum(lengths, 1)
        means.add("rewards/chosen", rewards[:, 0])
        means.add("rewards/rejected", rewards[:, 1])
        means.add("rewards/margins", rewards[:, 0] - rewards[:, 1])
        means.add("rewards/accuracies", rewards[:, 0] > rewards[:, 1])
        means.add("logps/chosen", logps[:, 0])
        means.add("logps/rejected", logps[:, 1])
        if references is not None:
            means.add("logps/chosen_change", logps[:, 0] - references[:, 0])

    def _unpaired_metrics(
        self, logps: Array, references: Array, desirable: Any, means: Means
    ) -> None:
        rewards = self.beta * (logps - references)
        for name, rows in (("chosen", desirable), ("rejected", ~desirable)):
            means.add(f"rewards/{name}", rewards[rows])
            means.add(f"logps/{name}", logps[rows])
        means.add("logps/chosen_change", (logps - references)[desirable])

    def metrics(self, means: Means, prefix: str = "") -> Row:
        """TRL's metrics, and whether the likelihood of chosen responses is displaced."""
        row = means.row(prefix)
        if isinstance(self.objective, UnpairedLoss):
            chosen, rejected = (row.get(f"{prefix}rewards/{one}") for one in ("chosen", "rejected"))
            if chosen is not None and rejected is not None:
                row[f"{prefix}rewards/margins"] = chosen - rejected
        change = means.values("logps/chosen_change")
        if change.size:
            row[f"{prefix}displacement/share"] = float((change < 0).mean())
            row[f"{prefix}displacement/warning"] = float(change.mean() < 0)
        return row


def _logps(model: Any, prompt: list[int], completions: Sequence[list[int]]) -> Array:
    """``log p`` of completions, summed over tokens, as `accumulate` counts them."""
    if prompt:
        sums: Array = model.continuations(prompt, completions).sums
        return sums
    return np.array([float(one.sum()) for one in model.log_probabilities(completions)])


def _objective(
    config: PreferenceConfig, objective: str | PreferenceLoss | UnpairedLoss | None
) -> PreferenceLoss | UnpairedLoss:
    if isinstance(objective, (PreferenceLoss, UnpairedLoss)):
        return objective
    name = str(objective or config.objective).strip().lower()
    known = [*PreferenceLoss.names(), *UnpairedLoss.names()]
    if name not in known:
        raise unknown_name("objective", name, known)
    made: Any = objectives.Loss.named(name)
    for setting in ("beta", "label_smoothing", "gamma"):
        value = getattr(config, setting)
        if value < 0:
            continue
        if not hasattr(made, setting):
            raise ArgumentError(f"{setting}: the objective {name} has none")
        made = made.replace(**{setting: value})
    found: PreferenceLoss | UnpairedLoss = made
    return found
