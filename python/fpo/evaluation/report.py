"""A report of all arms: tables, figures, and what cannot be concluded from them.

There is no ranking in it. An arm is compared with the baseline, with an interval and a p-value
adjusted for the number of comparisons; where the interval covers 0 or the test fails, the report
says that nothing can be concluded.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..errors import MissingDependencyError
from . import verdicts as pairs
from .arms import Arm, read_arms
from .comparison import METRICS, Comparison, compare_arms, evaluation_level, training_level
from .statistics import Interval

__all__ = ["CONTROLS", "Levels", "markdown", "measure_levels", "write_report"]

#: Measure -> its mean with an interval, and the number of questions; 0 for rounds of training.
Levels = dict[str, tuple[Interval, int]]

#: Arms without which a penalty's merit cannot be told from that of a plain remedy.
CONTROLS = {
    "leash": "a penalty on the divergence from the base model",
    "best-of-n": "choosing the best of n answers without training",
}


def write_report(
    runs: Sequence[str | os.PathLike[str]],
    output: str | os.PathLike[str],
    *,
    baseline: str = "myopic",
    verdict_files: Sequence[str | os.PathLike[str]] = (),
    figures: bool = True,
    seed: int = 0,
) -> Path:
    """Writes ``report.md``, ``report.json`` and figures to a folder; returns the report's path.

    Parameters
    ----------
    runs
        Folders of runs, or ``NAME=FOLDER``; see `arms`.
    baseline
        The arm that all others are compared with.
    verdict_files
        Pairwise verdicts to include.
    figures
        Draws them, if matplotlib is there.
    seed
        Of the bootstraps.
    """
    arms = read_arms(runs)
    comparisons = compare_arms(arms, baseline, seed=seed)
    folder = Path(output)
    folder.mkdir(parents=True, exist_ok=True)
    drawn: list[str] = []
    if figures:
        try:
            from .figures import draw

            drawn = draw(arms, comparisons, folder)
        except MissingDependencyError:
            drawn = []
    judged = {str(Path(path).name): pairs.read_verdicts(path) for path in verdict_files}
    levels = measure_levels(arms, seed=seed)
    text = markdown(arms, levels, comparisons, baseline, figures=drawn)
    for name, found in judged.items():
        text += f"\n## Verdicts of {name}\n\n```text\n{pairs.table(found, seed=seed)}\n```\n"
    numbers: dict[str, Any] = {
        "baseline": baseline,
        "arms": {arm.name: [str(run.path.name) for run in arm.runs] for arm in arms},
        "levels": {
            name: {
                label: {**interval.to_dict(), "questions": questions}
                for label, (interval, questions) in of.items()
            }
            for name, of in levels.items()
        },
        "comparisons": [one.to_dict() for one in comparisons],
        "verdicts": {
            f"{name}: {first} against {second}": pairs.compare(rows, seed=seed)
            for name, found in judged.items()
            for (first, second), rows in found.items()
        },
    }
    (folder / "report.json").write_text(json.dumps(numbers, indent=1) + "\n", encoding="utf-8")
    (folder / "report.md").write_text(text, encoding="utf-8")
    return folder / "report.md"


def measure_levels(arms: Sequence[Arm], *, seed: int = 0) -> dict[str, Levels]:
    """Arm -> measure -> its mean with an interval, and the number of questions (training: 0)."""
    result: dict[str, Levels] = {}
    for arm in arms:
        levels: Levels = {}
        for metric, label in METRICS.items():
            interval = training_level(arm, metric, seed=seed)
            if interval is not None:
                levels[label] = interval, 0
        for measure in sorted(arm.mean_scores()):
            found = evaluation_level(arm, measure, seed=seed)
            if found is not None:
                levels[measure] = found
        result[arm.name] = levels
    return result


def _cell(interval: Interval | None) -> str:
    if interval is None:
        return "-"
    return f"{interval.estimate:.3f} [{interval.low:.3f}, {interval.high:.3f}]"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


def markdown(
    arms: Sequence[Arm],
    levels: Mapping[str, Levels],
    comparisons: Sequence[Comparison],
    baseline: str,
    *,
    figures: Sequence[str] = (),
) -> str:
    """The report as text."""
    parts = ["# Report\n", _what_was_run(arms, baseline)]
    measures = list(dict.fromkeys(label for of in levels.values() for label in of))
    names = [arm.name for arm in arms]
    rows: dict[bool, list[list[str]]] = {True: [], False: []}
    for measure in measures:
        found = [levels[name].get(measure) for name in names]
        counts = sorted({level[1] for level in found if level is not None})
        cells = [_cell(level[0] if level is not None else None) for level in found]
        trained = counts == [0]
        rows[trained].append([measure, *([] if trained else ["/".join(map(str, counts))]), *cells])
    if rows[True]:
        title = "## Training, mean over the last quarter of the rounds\n"
        parts += [title, _table(["", *names], rows[True])]
    if rows[False]:
        parts += ["## Evaluation\n", _table(["", "questions", *names], rows[False])]
    parts += [f"![{name}]({name})\n" for name in figures]
    parts += [_differences(comparisons, baseline), _conclusions(comparisons, arms)]
    return "\n".join(parts)


def _what_was_run(arms: Sequence[Arm], baseline: str) -> str:
    rows = []
    for arm in arms:
        rounds = sorted({len(run.log) for run in arm.runs})
        seeds = ", ".join(str(run.seed) for run in arm.runs)
        rows.append([arm.name, seeds, " / ".join(map(str, rounds))])
    text = _table(["arm", "seeds", "rounds"], rows)
    return text + (
        f"\nBrackets are 95 % intervals: of rounds by a block bootstrap, of questions by a "
        f"bootstrap. Differences are against {baseline}, paired by round or question; p-values are "
        "two-sided and adjusted by Holm's rule over every comparison of this report.\n"
    )


def _differences(comparisons: Sequence[Comparison], baseline: str) -> str:
    if not comparisons:
        return "## Differences\n\nThere is nothing to compare.\n"
    rows = [
        [
            one.measure,
            one.arm,
            _cell(one.difference),
            str(one.pairs),
            f"{one.p_value:.2g}",
            f"{one.p_holm:.2g}",
            one.conclusion(),
        ]
        for one in sorted(comparisons, key=lambda one: (one.source, one.measure))
    ]
    head = ["measure", "arm", "difference", "pairs", "p", "p (Holm)", "conclusion"]
    return f"## Differences from {baseline}\n\n" + _table(head, rows)


def _conclusions(comparisons: Sequence[Comparison], arms: Sequence[Arm]) -> str:
    open_ones = [one for one in comparisons if one.conclusion().startswith("cannot")]
    lines = ["## What cannot be concluded\n"]
    for one in open_ones:
        why = "the interval covers 0" if one.difference.covers_zero else "Holm's rule"
        lines.append(f"- {one.arm} against {one.baseline} in {one.measure}: {why}.")
    if any(len(arm.runs) == 1 for arm in arms):
        single = ", ".join(arm.name for arm in arms if len(arm.runs) == 1)
        lines.append(
            f"- One run each of {single}: intervals cover the noise within a run and between "
            "questions, not what another seed would give. A difference between such arms is one "
            "between two adapters, not between two methods."
        )
    for name, what in CONTROLS.items():
        if not any(arm.name.split()[0] == name for arm in arms):
            lines.append(f"- The control {name} ({what}) is missing: no penalty can be credited.")
    lines.append(
        "- Differences between arms other than the baseline were not tested; overlapping intervals "
        "do not show equality."
    )
    return "\n".join(lines) + "\n"
