"""Figures of a report: curves of the training logs, and differences with their intervals."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from .._arrays import Array
from ..errors import ArgumentError, MissingDependencyError
from ..plot import COLOURS
from .arms import Arm
from .comparison import METRICS, Comparison, metric_series

__all__ = ["differences", "draw", "training_curves"]

_OTHER = ("#56B4E9", "#F0E442", "#999999")


def _pyplot() -> Any:
    try:
        import matplotlib.pyplot
    except ImportError as error:
        raise MissingDependencyError("figures need matplotlib: pip install fpo[plot]") from error
    return matplotlib.pyplot


def _colours(names: Sequence[str]) -> dict[str, str]:
    """Penalties have their usual colours, the rest three more."""
    unknown = [name for name in names if name.split()[0] not in COLOURS]
    return {
        name: COLOURS.get(name.split()[0]) or _OTHER[unknown.index(name) % len(_OTHER)]
        for name in names
    }


def _smooth(values: Array, width: int) -> Array:
    kernel = np.ones(width) / width
    return np.array([np.convolve(row, kernel, mode="valid") for row in values])


def training_curves(
    arms: Sequence[Arm], metrics: Sequence[str] | None = None, *, window: int = 25
) -> Any:
    """Running means over `window` rounds, one panel a metric; a thin line for each run.

    Returns
    -------
    The figure; metrics that no log has are left out.
    """
    wanted = list(METRICS) if metrics is None else list(metrics)
    curves: dict[str, dict[str, list[tuple[Array, Array]]]] = {}
    for metric in wanted:
        for arm in arms:
            for run in arm.runs:
                series = metric_series(run, metric)
                if series:
                    rounds = np.array(sorted(series), dtype=float)
                    values = np.array([series[int(at)] for at in rounds])
                    curves.setdefault(metric, {}).setdefault(arm.name, []).append((rounds, values))
    if not curves:
        raise ArgumentError("arms: no log has any of the metrics")
    plt = _pyplot()
    figure, axes = plt.subplots(
        1, len(curves), figsize=(3.4 * len(curves), 3), layout="constrained", squeeze=False
    )
    shades = _colours([arm.name for arm in arms])
    for ax, (metric, by_arm) in zip(axes[0], curves.items(), strict=True):
        for name, runs in by_arm.items():
            for k, (rounds, values) in enumerate(runs):
                width = max(1, min(window, len(values) // 4))
                smooth = _smooth(values[None], width)[0]
                label = name if k == 0 else None
                ax.plot(rounds[width - 1 :], smooth, color=shades[name], lw=1.2, label=label)
        ax.axhline(0, color="0.8", lw=0.7, zorder=0)
        ax.set_title(METRICS.get(metric, metric), fontsize=9)
        ax.set_xlabel("round")
    axes[0][-1].legend(frameon=False, fontsize=8, loc="upper left", bbox_to_anchor=(1, 1))
    return figure


def differences(comparisons: Sequence[Comparison], *, source: str = "evaluation") -> Any:
    """Differences from the baseline with 95 % intervals; hollow where nothing can be concluded."""
    chosen = [one for one in comparisons if one.source == source]
    if not chosen:
        raise ArgumentError(f"comparisons: none is of source {source!r}")
    measures = sorted({one.measure for one in chosen})
    names = list(dict.fromkeys(one.arm for one in chosen))
    shades, plt = _colours(names), _pyplot()
    height = 0.7 + 0.16 * len(measures) * (len(names) + 1)
    figure, ax = plt.subplots(figsize=(7, height), layout="constrained")
    for one in chosen:
        at = measures.index(one.measure) * (len(names) + 1) + names.index(one.arm)
        interval, shade = one.difference, shades[one.arm]
        first = one.measure == next(c.measure for c in chosen if c.arm == one.arm)
        ax.plot([interval.low, interval.high], [at, at], color=shade, lw=1.4)
        ax.plot(
            interval.estimate,
            at,
            "o",
            ms=5,
            color=shade,
            mfc="white" if one.conclusion().startswith("cannot") else shade,
            label=one.arm if first else None,
        )
    ax.axvline(0, color="0.6", lw=0.8, zorder=0)
    ticks = [k * (len(names) + 1) + (len(names) - 1) / 2 for k in range(len(measures))]
    ax.set_yticks(ticks, measures)
    ax.invert_yaxis()
    ax.set_xlabel(f"difference from {chosen[0].baseline}; hollow: cannot be concluded")
    ax.legend(frameon=False, fontsize=8, loc="upper left", bbox_to_anchor=(1, 1))
    return figure


def draw(arms: Sequence[Arm], comparisons: Sequence[Comparison], folder: Path) -> list[str]:
    """Writes the figures that the data allow, and returns their names."""
    plt = _pyplot()
    drawn: list[tuple[str, Callable[[], Any]]] = []
    if any(run.log for arm in arms for run in arm.runs):
        drawn.append(("training.png", lambda: training_curves(arms)))
    if any(one.source == "evaluation" for one in comparisons):
        drawn.append(("evaluation.png", lambda: differences(comparisons)))
    for name, make in drawn:
        figure = make()
        figure.savefig(folder / name, dpi=110)
        plt.close(figure)
    return [name for name, _ in drawn]
