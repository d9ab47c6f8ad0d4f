"""``fpo train sft``, ``reward``, ``preference``, ``policy-gradient``: flags and files to a run."""

from __future__ import annotations

import argparse
from typing import Any

from .. import verifiers
from ..language.settings_command import summary, training_parser
from .base import Trainer
from .config import PolicyGradientConfig, PreferenceConfig, RewardConfig, SFTConfig

__all__ = ["VERIFIERS", "add_parsers"]

#: Verifiers of ``--verifier``.
VERIFIERS = {
    "numeric": verifiers.NumericMatch,
    "exact": verifiers.ExactMatch,
    "multiple-choice": verifiers.MultipleChoice,
}

_NAMES = (
    "loss",
    "rewards/chosen",
    "rewards/rejected",
    "rewards/margins",
    "rewards/accuracies",
    "logps/chosen",
    "logps/rejected",
    "logps/chosen_change",
    "eval_loss",
    "accuracy",
    "eval_accuracy",
    "mean_reward",
    "reward",
    "reward_std",
    "frac_reward_zero_std",
    "eval_reward",
    "objective/kl",
    "entropy",
    "completions/mean_length",
    "grad_norm",
    "time/step",
)


def add_parsers(kinds: Any) -> None:
    """Adds the trainers to the kinds of ``fpo train``."""
    training_parser(kinds, "sft", SFTConfig, _sft, help="supervised fine-tuning")
    training_parser(
        kinds, "reward", RewardConfig, _reward, help="a reward model on text, from preferences"
    )
    training_parser(
        kinds,
        "preference",
        PreferenceConfig,
        _preference,
        help="DPO, IPO, KTO, SimPO and the other direct preference losses",
    )
    parser = training_parser(
        kinds,
        "policy-gradient",
        PolicyGradientConfig,
        _policy_gradient,
        help="GRPO, RLOO, REINFORCE, PPO against a verifier",
    )
    parser.add_argument(
        "--verifier",
        choices=sorted(VERIFIERS),
        default="numeric",
        help="what rewards an answer; it reads the column answer (default: numeric)",
    )


def _sft(config: SFTConfig, parsed: argparse.Namespace) -> None:
    from .building import policy
    from .sft import SFTTrainer

    _run(SFTTrainer(policy(config), config), parsed)


def _preference(config: PreferenceConfig, parsed: argparse.Namespace) -> None:
    from .building import policy
    from .preference import PreferenceTrainer

    _run(PreferenceTrainer(policy(config), config=config), parsed)


def _reward(config: RewardConfig, parsed: argparse.Namespace) -> None:
    from .building import reward
    from .reward import RewardTrainer

    _run(RewardTrainer(reward(config), config), parsed)


def _policy_gradient(config: PolicyGradientConfig, parsed: argparse.Namespace) -> None:
    from .building import policy
    from .policy_gradient import PolicyGradientTrainer

    verifier = VERIFIERS[parsed.verifier]()
    _run(PolicyGradientTrainer(policy(config), verifier, config=config), parsed)


def _run(trainer: Trainer, parsed: argparse.Namespace) -> None:
    rows = trainer.train(resume=not parsed.restart, progress=not parsed.quiet, rounds=parsed.rounds)
    print(summary(rows, _NAMES))
    if trainer.config.output_dir:
        print(trainer.config.output_dir)
