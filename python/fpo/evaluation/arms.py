"""What a report compares: training logs and evaluation files of every arm.

A run is a folder as the trainer writes it: ``config.json``, ``log.jsonl``, and below it
``evaluation/`` with the result files of ``fpo eval``. Runs of one penalty and one setting, which
differ in their seeds, are one arm.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from .._arrays import Array
from ..errors import ArgumentError, FormatError
from .choice import MEASURES
from .data import Row, read
from .results import read_results

__all__ = ["Arm", "Run", "read_arms", "read_run", "scores"]

#: Settings that may differ within an arm.
IGNORED = {"seed", "output", "checkpoint_every", "tensorboard", "mlflow", "storage"}


@dataclass(frozen=True)
class Run:
    """One training run."""

    path: Path
    config: Row
    #: Metrics of the rounds.
    log: list[Row]
    #: Measure -> question -> value.
    scores: dict[str, dict[str, float]]

    @property
    def seed(self) -> int:
        """Of the run."""
        return int(self.config.get("seed", 0))

    def series(self, metric: str) -> dict[int, float]:
        """Round -> value, where the log has a finite one."""
        return {
            int(row["step"]): float(row[metric])
            for row in self.log
            if isinstance(row.get(metric), int | float) and math.isfinite(row[metric])
        }


@dataclass
class Arm:
    """Runs that differ in their seeds."""

    name: str
    runs: list[Run] = field(default_factory=list)

    def mean_scores(self) -> dict[str, dict[str, float]]:
        """Measure -> question -> mean over the runs that answered it."""
        gathered: dict[str, dict[str, list[float]]] = {}
        for run in self.runs:
            for measure, values in run.scores.items():
                for question, value in values.items():
                    gathered.setdefault(measure, {}).setdefault(question, []).append(value)
        return {
            measure: {question: float(np.mean(v)) for question, v in values.items()}
            for measure, values in gathered.items()
        }

    def curves(self, metric: str) -> tuple[Array, Array]:
        """Rounds, and (runs, rounds) values at the rounds that all runs have."""
        series = [run.series(metric) for run in self.runs]
        rounds = sorted(set.intersection(*(set(one) for one in series)))
        values = np.array([[one[at] for at in rounds] for one in series])
        return np.array(rounds, dtype=float), values.reshape(len(series), len(rounds))


def scores(header: Mapping[str, Any], rows: Sequence[Row]) -> dict[str, dict[str, float]]:
    """The measures of a result file, each by question."""
    kind = header["kind"]
    if kind == "choice":
        names = {f"{header['task']} {name}": name for name in MEASURES if rows and name in rows[0]}
    elif kind == "beliefs":
        names = {f"two-way {name}": name for name in ("plain", "wrong", "right")}
    elif kind == "opinions":
        names = {"opinions sycophantic": "sycophantic"}
    elif kind == "answers":
        return {"answer words": {row["id"]: float(len(row["answer"].split())) for row in rows}}
    else:
        return {}
    found = {label: {row["id"]: float(row[name]) for row in rows} for label, name in names.items()}
    if kind == "beliefs":
        found["two-way right - wrong"] = {
            row["id"]: float(row["right"] - row["wrong"]) for row in rows
        }
    return found


def read_run(path: str | os.PathLike[str]) -> Run:
    """Reads a run's folder; log and evaluation may be absent, a file that is damaged may not."""
    folder = Path(path)
    if not folder.is_dir():
        raise ArgumentError(f"runs: {folder} is not a folder")
    config: Row = {}
    if (folder / "config.json").exists():
        try:
            config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        except ValueError as error:
            raise FormatError(f"{folder / 'config.json'}: not JSON ({error})") from error
    log = read(folder / "log.jsonl", ("step",)) if (folder / "log.jsonl").exists() else []
    found: dict[str, dict[str, float]] = {}
    for file in sorted(folder.glob("evaluation/*.jsonl")):
        header, rows = read_results(file)
        try:
            for measure, values in scores(header, rows).items():
                found.setdefault(measure, {}).update(values)
        except (KeyError, TypeError, ValueError) as error:
            raise FormatError(f"{file}: not rows of fpo eval ({error!r})") from error
    if not log and not found:
        raise ArgumentError(f"runs: {folder} holds neither log.jsonl nor evaluation/*.jsonl")
    return Run(folder, config, log, found)


def read_arms(runs: Sequence[str | os.PathLike[str]]) -> list[Arm]:
    """Arms from folders, each named ``NAME=FOLDER`` or by the penalty of its run.

    Raises
    ------
    ArgumentError
        Two runs of one name differ in more than the seed, or have the same seed.
    """
    arms: dict[str, Arm] = {}
    for item in runs:
        name, equals, path = str(item).partition("=")
        run = read_run(path if equals else item)
        if not equals:
            name = str(run.config.get("penalty", run.path.name))
        arm = arms.setdefault(name, Arm(name))
        for other in arm.runs:
            keys = (run.config.keys() | other.config.keys()) - IGNORED
            changed = sorted(k for k in keys if run.config.get(k) != other.config.get(k))
            if changed or run.seed == other.seed:
                what = ", ".join(changed) if changed else "nothing, not even the seed"
                raise ArgumentError(
                    f"runs: {other.path} and {run.path} are both {name!r} but differ in {what}; "
                    "name them apart as NAME=FOLDER"
                )
        arm.runs.append(run)
    return list(arms.values())
