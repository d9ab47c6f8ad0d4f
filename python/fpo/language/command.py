"""``fpo train language``: flags and files to a run."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from .config import IterativeRLHFConfig, setting_types

__all__ = ["add_parser"]


def add_parser(commands: Any) -> None:
    """Adds ``train language`` to the commands of ``fpo``."""
    train = commands.add_parser("train", help="iterative RLHF of a language model")
    kinds = train.add_subparsers(required=True, metavar="WHAT")
    parser = kinds.add_parser(
        "language",
        help="the paper's loop on a Llama-shaped policy",
        description="Every setting is a flag; --settings lists them with their sources.",
    )
    parser.add_argument("--config", type=Path, metavar="FILE", help="YAML, TOML or JSON")
    parser.add_argument("--settings", action="store_true", help="list all settings, and stop")
    parser.add_argument("--dry-run", action="store_true", help="show what would run, and stop")
    parser.add_argument(
        "--restart", action="store_true", help="forget what the output folder holds"
    )
    parser.add_argument("--rounds", type=int, metavar="N", help="stop after N rounds; resumable")
    parser.add_argument("--threads", type=int, metavar="N", help="default: all there are")
    parser.add_argument("--quiet", action="store_true", help="no progress bar")
    for name, kind in setting_types().items():
        flag = "--" + name.replace("_", "-")
        if kind is bool:
            parser.add_argument(flag, action=argparse.BooleanOptionalAction, help=argparse.SUPPRESS)
        else:
            parser.add_argument(flag, type=kind, metavar=kind.__name__, help=argparse.SUPPRESS)
    parser.set_defaults(command=_train)


def _train(parsed: argparse.Namespace) -> int:
    if parsed.settings:
        print(IterativeRLHFConfig.describe())
        return 0
    given = {
        name: getattr(parsed, name) for name in setting_types() if getattr(parsed, name) is not None
    }
    config = (
        IterativeRLHFConfig.read(parsed.config, **given)
        if parsed.config is not None
        else IterativeRLHFConfig.from_dict(given)
    )
    if parsed.dry_run:
        print(json.dumps(config.to_dict(), indent=2))
        return 0
    from .. import set_num_threads
    from .building import build

    if parsed.threads is not None:
        set_num_threads(parsed.threads)
    trainer = build(config, progress=not parsed.quiet)
    quality = getattr(trainer.oracle, "accuracy", None)
    if quality is not None:
        print(trainer.oracle)
    rows = trainer.train(resume=not parsed.restart, progress=not parsed.quiet, rounds=parsed.rounds)
    print(summary(rows))
    if config.output:
        print(config.output)
    return 0


def summary(rows: list[dict[str, Any]]) -> str:
    """The first and the last tenth of a run beside each other."""
    names = [
        "utility/winner",
        "utility/reference",
        "rewards/margins",
        "objective/kl",
        "fpo/penalty_share",
        "fpo/overconfidence",
        "loss",
        "completions/mean_length",
        "time/step",
    ]
    if not rows:
        return "no rounds"
    part = max(len(rows) // 10, 1)

    def mean(some: list[dict[str, Any]], name: str) -> float:
        values = [row[name] for row in some if name in row]
        return sum(values) / len(values) if values else float("nan")

    lines = [f"{len(rows)} rounds; means of the first and the last {part}"]
    lines += [
        f"  {name:<24} {mean(rows[:part], name):>10.4f} {mean(rows[-part:], name):>10.4f}"
        for name in names
    ]
    return "\n".join(lines)
