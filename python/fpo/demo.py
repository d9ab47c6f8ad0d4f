"""The controlled experiments of the paper, replayed: ``fpo demo``.

Five penalties in the linear world, the neural world and the displaced neural world, each beside the
control that decides what a penalty is worth: a tuned leash, that is a larger action cost alone.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from .environments import Environment, LinearEnvironment, NeuralEnvironment
from .errors import MissingDependencyError
from .runs import Runs
from .simulation import simulate

__all__ = ["World", "play", "run", "worlds"]

PENALTIES = ("myopic", "practical", "relaxed", "exact", "residual")


@dataclass(frozen=True)
class World:
    """An environment, the action costs of its leashes, and how many seeds to play."""

    name: str
    environment: Environment
    leashes: tuple[float, ...]
    seeds: int

    def arms(self) -> dict[str, tuple[Environment, str]]:
        """Label -> environment and penalty: the five penalties, then the leashes."""
        arms = {name: (self.environment, name) for name in PENALTIES}
        for cost in self.leashes:
            arms[f"leash {cost:g}"] = (self.environment.replace(action_cost=cost), "myopic")
        return arms


#: Seeds of the linear world, of each neural one, and of all with ``--quick``.
LINEAR_SEEDS, NEURAL_SEEDS, QUICK_SEEDS = 1000, 128, 16


def worlds(*, quick: bool = False, seeds: int | None = None) -> list[World]:
    """The three worlds; `seeds` of each, where given.

    A leash is the best cost of its world, or of the published one.
    """
    linear, neural = (QUICK_SEEDS,) * 2 if quick else (LINEAR_SEEDS, NEURAL_SEEDS)
    return [
        World("linear", LinearEnvironment(), (0.3,), seeds or linear),
        World("neural", NeuralEnvironment(), (0.2,), seeds or neural),
        World("displaced", NeuralEnvironment.displaced(), (0.2, 0.03), seeds or neural),
    ]


def play(world: World, *, threads: int | None = None, progress: bool = True) -> dict[str, Runs]:
    """Plays every arm of a world; stops early, with what there is, at Ctrl-C."""
    played: dict[str, Runs] = {}
    for label, (environment, penalty) in world.arms().items():
        runs = simulate(
            environment,
            penalty,
            range(world.seeds),
            record_every=max(1, environment.rounds // 200),
            threads=threads,
            progress=progress,
        )
        if runs.interrupted:
            raise KeyboardInterrupt
        played[label] = runs
    return played


def table(name: str, played: dict[str, Runs]) -> str:
    """Final utility, best mean on the way, and the share of seeds above 9 tenths of the peak."""
    some = next(iter(played.values()))
    threshold = 0.9 * some.environment.utility_peak
    lines = [
        f"{name}: {some.seeds.size} seeds, {some.environment.rounds} rounds",
        f"  {'penalty':<12} {'final utility':>16} {'best mean':>10} {f'above {threshold:g}':>9}",
    ]
    for label, runs in played.items():
        row = runs.summary(threshold)
        final = f"{row['final_utility']:.2f} +- {row['final_utility_standard_error']:.2f}"
        lines.append(
            f"  {label:<12} {final:>16} {row['best_mean']:>10.2f} {row['share_above']:>9.2f}"
        )
    return "\n".join(lines)


def figures(results: dict[str, dict[str, Runs]], directory: Path) -> list[Path]:
    """Draws the figures; raises `MissingDependencyError` where matplotlib is not installed."""
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MissingDependencyError("figures need matplotlib: pip install fpo[plot]") from error
    from . import plot

    paths: list[Path] = []

    def keep(figure: Figure, name: str) -> None:
        FigureCanvasAgg(figure)
        paths.append(directory / f"{name}.png")
        figure.savefig(paths[-1], dpi=160)

    figure = Figure(figsize=(6.4, 4.8), layout="constrained")
    ax = plot.phase(results["linear"], seeds=4, ax=figure.subplots())
    ax.set_title("Linear world: paths over contours of the true utility")
    keep(figure, "linear-phase")

    neural = [name for name in results if name != "linear"]
    drawings: list[tuple[str, str, Callable[..., object]]] = [
        ("neural-bands", "mean and 95 % confidence interval", plot.bands),
        ("neural-distribution", "what single seeds end at", plot.distribution),
    ]
    for file, what, draw in drawings:
        figure = Figure(figsize=(6 * len(neural), 4.2), layout="constrained")
        for name, ax in zip(neural, figure.subplots(1, len(neural), squeeze=False)[0], strict=True):
            draw(results[name], ax=ax)
            ax.set_title(f"{name.capitalize()} world: {what}")
        keep(figure, file)

    figure = Figure(figsize=(14, 3.4), layout="constrained")
    axes = list(figure.subplots(1, 4))
    plot.instruments({n: results["neural"][n] for n in ("myopic", "relaxed")}, axes=axes)
    axes[0].set_title("The usual alarm is silent")
    keep(figure, "collapse-instruments")
    return paths


def run(
    output: Path | None,
    *,
    quick: bool = False,
    seeds: int | None = None,
    threads: int | None = None,
    progress: bool = True,
) -> None:
    """Plays all worlds, prints a table of each, and writes figures and numbers to `output`."""
    began = time.perf_counter()
    results: dict[str, dict[str, Runs]] = {}
    for world in worlds(quick=quick, seeds=seeds):
        results[world.name] = play(world, threads=threads, progress=progress)
        print(table(world.name, results[world.name]), flush=True)
    print(f"{time.perf_counter() - began:.1f} s")
    if output is None:
        return
    output.mkdir(parents=True, exist_ok=True)
    numbers = {
        name: {label: runs.summary() for label, runs in played.items()}
        for name, played in results.items()
    }
    (output / "results.json").write_text(json.dumps(numbers, indent=2) + "\n")
    try:
        for path in figures(results, output):
            print(path)
    except MissingDependencyError as error:
        print(f"no figures: {error}")
