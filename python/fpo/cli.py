"""The command line: ``fpo simulate``, ``demo``, ``sweep``, ``train language``, ``eval``, ``env``.

Exit codes: 0 done; 1 failed, or a cell of a sweep did; 2 wrong arguments; 130 interrupted.
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np

from . import __version__, demo, sweep_file
from ._lib import build_info, library_path
from .errors import ArgumentError, DTypeError, FpoError
from .evaluation import command as evaluation
from .language import command as language
from .penalties import Penalty
from .simulation import simulate
from .sweep import sweep
from .trainers import command as trainers

__all__ = ["main"]

DONE, FAILED, USAGE, INTERRUPTED = 0, 1, 2, 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command and returns its exit code."""
    parsed = _parser().parse_args(arguments)
    run: Callable[[argparse.Namespace], int] = parsed.command
    try:
        return run(parsed)
    except (ArgumentError, DTypeError) as error:
        print(f"fpo: {error}", file=sys.stderr)
        return USAGE
    except (FpoError, OSError) as error:
        print(f"fpo: {error}", file=sys.stderr)
        return FAILED
    except KeyboardInterrupt:
        print("fpo: interrupted", file=sys.stderr)
        return INTERRUPTED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="fpo", description="Iterative RLHF without alignment collapse (arXiv:2605.04266)."
    )
    parser.add_argument("--version", action="version", version=f"fpo {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    one = commands.add_parser("simulate", help="play one environment under one penalty")
    one.add_argument("environment", nargs="?", default="linear", help="linear, neural, displaced")
    one.add_argument("--penalty", default="myopic", help="myopic, practical, relaxed, exact, ...")
    one.add_argument(
        "--set", action="append", default=[], metavar="NAME=VALUE", help="environment parameter"
    )
    one.add_argument(
        "--penalty-set", action="append", default=[], metavar="NAME=VALUE", help="of the penalty"
    )
    one.add_argument("--seeds", default="1", metavar="N", help="how many, or FIRST:END")
    one.add_argument("--record-every", type=int, metavar="ROUNDS")
    one.add_argument("--output", type=Path, metavar="FILE.npz", help="where to save the runs")
    one.set_defaults(command=_simulate)

    show = commands.add_parser("demo", help="replay the paper's controlled experiments")
    show.add_argument("--quick", action="store_true", help=f"{demo.QUICK_SEEDS} seeds")
    show.add_argument(
        "--seeds",
        type=_positive,
        metavar="N",
        help=f"of each world; default {demo.LINEAR_SEEDS}, neural {demo.NEURAL_SEEDS}",
    )
    show.add_argument("--output", type=Path, metavar="DIR", help="for figures and numbers")
    show.add_argument("--no-language", action="store_true", help="without the language run")
    show.set_defaults(command=_demo)

    many = commands.add_parser("sweep", help="play a grid, one row of JSON for each cell")
    many.add_argument("--config", type=Path, required=True, metavar="FILE", help="TOML, JSON, YAML")
    many.add_argument(
        "--output", type=Path, metavar="FILE.jsonl", help="rows; resumes if it exists"
    )
    many.add_argument("--workers", type=int, default=0, metavar="N", help="processes; 0: this one")
    many.set_defaults(command=_sweep)

    for playing in (one, show, many):
        playing.add_argument("--threads", type=int, metavar="N", help="default: all there are")
        playing.add_argument("--quiet", action="store_true", help="no progress bar")

    train = commands.add_parser("train", help="train language models and reward models")
    kinds = train.add_subparsers(required=True, metavar="WHAT")
    language.add_parser(kinds)
    trainers.add_parsers(kinds)
    evaluation.add_parser(commands)

    about = commands.add_parser("env", help="versions, library, processor, threads")
    about.add_argument("--json", action="store_true", help="as JSON")
    about.set_defaults(command=_env)
    return parser


def _positive(text: str) -> int:
    """A count of at least 1."""
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"expected at least 1, got {value}")
    return value


def _simulate(parsed: argparse.Namespace) -> int:
    environment = {"environment": parsed.environment, **_assignments("--set", parsed.set)}
    penalty = {"penalty": parsed.penalty, **_assignments("--penalty-set", parsed.penalty_set)}
    runs = simulate(
        sweep_file.environment_of(environment),
        Penalty.from_dict(penalty),
        _seeds(parsed.seeds),
        record_every=parsed.record_every,
        threads=parsed.threads,
        progress=not parsed.quiet,
    )
    print(runs)
    for name, value in runs.summary().items():
        print(f"{name} = {value:.6g}")
    if parsed.output is not None:
        runs.save(parsed.output)
        print(parsed.output)
    return INTERRUPTED if runs.interrupted else DONE


def _demo(parsed: argparse.Namespace) -> int:
    demo.run(
        parsed.output,
        quick=parsed.quick,
        seeds=parsed.seeds,
        threads=parsed.threads,
        progress=not parsed.quiet,
    )
    if not parsed.no_language:
        from .language import demo as run

        rounds = run.ROUNDS // 5 if parsed.quick else run.ROUNDS
        run.run(parsed.output, rounds=rounds, progress=not parsed.quiet)
    return DONE


def _sweep(parsed: argparse.Namespace) -> int:
    arguments = sweep_file.read(parsed.config)
    if parsed.workers < 0:
        raise ArgumentError(f"--workers: expected at least 0, got {parsed.workers}")
    pool: AbstractContextManager[Executor | None] = (
        ProcessPoolExecutor(parsed.workers, mp_context=get_context("spawn"))
        if parsed.workers
        else nullcontext()
    )
    with pool as executor:
        rows = sweep(
            **arguments,
            executor=executor,
            path=parsed.output,
            threads=parsed.threads,
            progress=not parsed.quiet,
        )
    failed = [row for row in rows if "error" in row]
    if parsed.output is None:
        for row in rows:
            print(json.dumps(row))
    else:
        print(f"{parsed.output}: {len(rows)} rows, {len(failed)} failed")
    for row in failed:
        print(f"fpo: {row['id']}: {row['error']}", file=sys.stderr)
    return FAILED if failed else DONE


def _env(parsed: argparse.Namespace) -> int:
    facts = {
        **build_info(),
        "library": str(library_path),
        "python": platform.python_version(),
        "numpy": np.__version__,
        "platform": platform.platform(),
    }
    if parsed.json:
        print(json.dumps(facts))
    else:
        for name, value in facts.items():
            print(f"{name} = {value}")
    return DONE


def _assignments(option: str, items: Sequence[str]) -> dict[str, Any]:
    """``NAME=VALUE`` items; a value is read as JSON, and as text where it is none."""
    values: dict[str, Any] = {}
    for item in items:
        name, equals, text = item.partition("=")
        if not equals:
            raise ArgumentError(f"{option}: expected NAME=VALUE, got {item!r}")
        try:
            values[name.strip()] = json.loads(text)
        except ValueError:
            values[name.strip()] = text
    return values


def _seeds(text: str) -> range:
    """``N`` or ``FIRST:END``."""
    first, colon, end = text.rpartition(":")
    try:
        return range(int(first) if colon else 0, int(end))
    except ValueError:
        raise ArgumentError(f"--seeds: expected N or FIRST:END, got {text!r}") from None
