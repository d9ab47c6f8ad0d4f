"""``fpo train language``: flags and files to a run."""

from __future__ import annotations

import argparse
from typing import Any

from .config import IterativeRLHFConfig
from .settings_command import summary, training_parser

__all__ = ["NAMES", "add_parser"]

#: Metrics that a summary shows.
NAMES = (
    "utility/winner",
    "utility/reference",
    "rewards/margins",
    "objective/kl",
    "fpo/penalty_share",
    "fpo/overconfidence",
    "loss",
    "completions/mean_length",
    "time/step",
)


def add_parser(kinds: Any) -> None:
    """Adds ``language`` to the kinds of ``fpo train``."""
    training_parser(
        kinds,
        "language",
        IterativeRLHFConfig,
        _train,
        help="the paper's loop on a Llama-shaped policy",
    )


def _train(config: IterativeRLHFConfig, parsed: argparse.Namespace) -> None:
    from .building import build

    trainer = build(config, progress=not parsed.quiet)
    quality = getattr(trainer.oracle, "accuracy", None)
    if quality is not None:
        print(trainer.oracle)
    rows = trainer.train(resume=not parsed.restart, progress=not parsed.quiet, rounds=parsed.rounds)
    print(summary(rows, NAMES))
    if config.output:
        print(config.output)
