"""A trainer as a command: every setting is a flag, or a line of a YAML, TOML or JSON file."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

from .settings import Settings, setting_types

__all__ = ["summary", "training_parser"]

S = TypeVar("S", bound=Settings)


def training_parser(
    kinds: Any,
    name: str,
    settings: type[S],
    run: Callable[[S, argparse.Namespace], None],
    *,
    help: str,
) -> argparse.ArgumentParser:
    """Adds a kind of training to ``fpo train``.

    Parameters
    ----------
    settings
        Becomes the flags.
    run
        Called with the settings, and with the flags of the run: ``restart``, ``rounds``, ``quiet``.
    """
    parser: argparse.ArgumentParser = kinds.add_parser(
        name,
        help=help,
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
    for setting, kind in setting_types(settings).items():
        flag = "--" + setting.replace("_", "-")
        if kind is bool:
            parser.add_argument(flag, action=argparse.BooleanOptionalAction, help=argparse.SUPPRESS)
        else:
            parser.add_argument(flag, type=kind, metavar=kind.__name__, help=argparse.SUPPRESS)
    parser.set_defaults(command=lambda parsed: _command(parsed, settings, run))
    return parser


def _command(
    parsed: argparse.Namespace,
    settings: type[S],
    run: Callable[[S, argparse.Namespace], None],
) -> int:
    if parsed.settings:
        print(settings.describe())
        return 0
    given = {
        name: getattr(parsed, name)
        for name in setting_types(settings)
        if getattr(parsed, name) is not None
    }
    config = (
        settings.read(parsed.config, **given)
        if parsed.config is not None
        else settings.from_dict(given)
    )
    if parsed.dry_run:
        print(json.dumps(config.to_dict(), indent=2))
        return 0
    from .. import set_num_threads

    if parsed.threads is not None:
        set_num_threads(parsed.threads)
    run(config, parsed)
    return 0


def summary(rows: list[dict[str, Any]], names: Sequence[str]) -> str:
    """The first and the last tenth of a run beside each other, of metrics that it has."""
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
        if any(name in row for row in rows)
    ]
    return "\n".join(lines)
