"""``fpo train sft`` and ``fpo train preference``: flags and files to a run."""

from __future__ import annotations

import argparse
from typing import Any

from ..language.settings_command import summary, training_parser
from .base import Trainer
from .config import PreferenceConfig, SFTConfig

__all__ = ["add_parsers"]

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
    "grad_norm",
    "time/step",
)


def add_parsers(kinds: Any) -> None:
    """Adds the trainers to the kinds of ``fpo train``."""
    training_parser(kinds, "sft", SFTConfig, _sft, help="supervised fine-tuning")
    training_parser(
        kinds,
        "preference",
        PreferenceConfig,
        _preference,
        help="DPO, IPO, KTO, SimPO and the other direct preference losses",
    )


def _sft(config: SFTConfig, parsed: argparse.Namespace) -> None:
    from .building import policy
    from .sft import SFTTrainer

    _run(SFTTrainer(policy(config), config), parsed)


def _preference(config: PreferenceConfig, parsed: argparse.Namespace) -> None:
    from .building import policy
    from .preference import PreferenceTrainer

    _run(PreferenceTrainer(policy(config), config=config), parsed)


def _run(trainer: Trainer, parsed: argparse.Namespace) -> None:
    rows = trainer.train(resume=not parsed.restart, progress=not parsed.quiet, rounds=parsed.rounds)
    print(summary(rows, _NAMES))
    if trainer.config.output_dir:
        print(trainer.config.output_dir)
