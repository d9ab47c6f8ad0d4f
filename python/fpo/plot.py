"""Figures. matplotlib is imported when a function is called, and no global style is touched.

Every function takes ``ax`` (None makes one) and returns the Axes that it drew on. A penalty has one
colour everywhere, of the palette of Okabe and Ito, which the colour-blind can tell apart.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ._arrays import Array
from .errors import ArgumentError, DomainError, DTypeError, MissingDependencyError
from .runs import QUANTITIES, Runs

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["COLOURS", "bands", "distribution", "instruments", "lambda_curve", "phase"]

#: Penalty, or "leash" (a tuned action cost and no penalty) -> colour.
COLOURS = {
    "myopic": "#D55E00",
    "practical": "#E69F00",
    "relaxed": "#0072B2",
    "exact": "#009E73",
    "residual": "#CC79A7",
    "leash": "#000000",
}

_LABELS = {
    "utility": "true utility",
    "proxy_reward": "proxy reward",
    "signal": "signal norm",
    "noise": "noise norm",
    "overconfidence": "overconfidence",
    "slope_cosine": "cosine of reward and utility slopes",
    "off_policy_error": "reward error off-policy",
    "sensitivity": "squared gradient norm",
    "penalty": "penalty",
    "utility_drawdown": "utility below its running best",
    "reward_gap": "proxy reward minus utility",
}

_Z = {0.9: 1.6449, 0.95: 1.96, 0.99: 2.5758}

_DASHES = ("-", "--", ":", "-.")

Group = Runs | Sequence[Runs] | Mapping[str, Runs]


def _axes(ax: Axes | None, **figure: Any) -> Axes:
    if ax is not None:
        return ax
    try:
        import matplotlib.pyplot
    except ImportError as error:
        raise MissingDependencyError("figures need matplotlib: pip install fpo[plot]") from error
    return matplotlib.pyplot.subplots(layout="constrained", **figure)[1]  # type: ignore[no-any-return]


def _named(runs: Group) -> list[tuple[str, Runs]]:
    """Label and runs of each curve."""
    if isinstance(runs, Runs):
        runs = [runs]
    pairs = (
        list(runs.items())
        if isinstance(runs, Mapping)
        else [(one.penalty_name if isinstance(one, Runs) else "", one) for one in runs]
    )
    if not pairs or not all(isinstance(one, Runs) for _, one in pairs):
        raise DTypeError("runs: expected fpo.Runs, a sequence of them, or a dictionary of them")
    if any(one.rounds.size == 0 for _, one in pairs):
        raise ArgumentError("runs: expected at least one record")
    return pairs


def colour(label: str, runs: Runs) -> str:
    """The colour of a curve: by its label if that names a penalty or a leash, else by penalty."""
    first = label.split()[0].lower() if label.split() else ""
    return COLOURS.get(first, COLOURS.get(runs.penalty_name, "#56B4E9"))


def _curves(runs: Group) -> list[tuple[str, Runs, dict[str, Any]]]:
    """Label, runs and line style of each curve; a colour that comes again is dashed."""
    curves: list[tuple[str, Runs, dict[str, Any]]] = []
    for label, one in _named(runs):
        shade = colour(label, one)
        seen = sum(style["color"] == shade for _, _, style in curves)
        curves.append((label, one, {"color": shade, "ls": _DASHES[seen % len(_DASHES)]}))
    return curves


def _quantity(runs: Runs, name: str) -> Array:
    if name not in QUANTITIES and name not in _LABELS:
        raise DomainError(f"quantity: expected one of {', '.join(_LABELS)}, got {name!r}")
    return getattr(runs, name)  # type: ignore[no-any-return]


def bands(
    runs: Group,
    *,
    quantity: str = "utility",
    level: float = 0.95,
    spread: bool = False,
    ax: Axes | None = None,
) -> Axes:
    """Mean over seeds against the round, with a confidence interval of the mean.

    Parameters
    ----------
    runs
        One, a sequence, or a dictionary label -> runs.
    quantity
        An attribute of `Runs` of shape (seeds, records).
    level
        0.9, 0.95 or 0.99: normal interval, mean +- z s.e.
    spread
        Adds dotted quartiles of the seeds.
    """
    if level not in _Z:
        raise DomainError(f"level: expected one of {', '.join(map(str, _Z))}, got {level!r}")
    curves = _curves(runs)
    ax = _axes(ax)
    for label, one, style in curves:
        values = _quantity(one, quantity)
        mean, shade = values.mean(axis=0), style["color"]
        ax.plot(one.rounds, mean, label=label, **style)
        if len(values) > 1:
            half = _Z[level] * values.std(axis=0, ddof=1) / np.sqrt(len(values))
            ax.fill_between(one.rounds, mean - half, mean + half, color=shade, alpha=0.25, lw=0)
        if spread:
            for quartile in np.percentile(values, [25, 75], axis=0):
                ax.plot(one.rounds, quartile, color=shade, lw=0.7, ls=":")
    if quantity == "utility":
        ax.axhline(curves[0][1].environment.utility_peak, color="0.6", lw=0.8, ls="--")
    ax.set_xlabel("round")
    ax.set_ylabel(_LABELS[quantity])
    ax.legend(frameon=False, loc="upper left", bbox_to_anchor=(1, 1))  # beside the curves
    return ax


def phase(runs: Group, *, contours: bool = True, seeds: int = 8, ax: Axes | None = None) -> Axes:
    """Paths in the plane of signal norm and noise norm, over contours of the utility.

    The contours hold along the ray of equal signal coordinates, where the ideal lies.

    Parameters
    ----------
    runs
        One, a sequence, or a dictionary label -> runs.
    contours
        Draws the utility.
    seeds
        How many single games to draw thinly beside the mean.
    """
    curves = _curves(runs)
    ax = _axes(ax)
    for label, one, style in curves:
        shade = style["color"]
        for game in range(min(seeds, one.seeds.size)):
            ax.plot(one.signal[game], one.noise[game], color=shade, lw=0.5, alpha=0.35)
        signal, noise = one.signal.mean(axis=0), one.noise.mean(axis=0)
        ax.plot(signal, noise, label=label, **style)
        ax.plot(signal[-1], noise[-1], "o", color=shade, ms=5)
    world = curves[0][1].environment
    ideal = abs(world.utility_target) * np.sqrt(world.signal_dimension)
    ax.plot(ideal, 0, marker="*", color="0.2", ms=12, ls="", label="ideal")
    if contours:
        x = np.linspace(0, max(ax.get_xlim()[1], 1.1 * ideal), 160)
        y = np.linspace(0, ax.get_ylim()[1], 160)
        distance = (x[None, :] - ideal) ** 2 + y[:, None] ** 2
        utility = world.utility_peak * np.exp(-world.utility_decay * distance)
        lines = ax.contour(x, y, utility, levels=8, colors="0.75", linewidths=0.7, zorder=0)
        ax.clabel(lines, fontsize=7, fmt="%g")
    ax.set_xlabel(_LABELS["signal"])
    ax.set_ylabel(_LABELS["noise"])
    ax.legend(frameon=False)
    return ax


def distribution(runs: Group, *, ax: Axes | None = None) -> Axes:
    """The share of seeds whose final utility is at most x: what one seed cannot show."""
    ax = _axes(ax)
    for label, one, style in _curves(runs):
        final = np.sort(one.utility[:, -1])
        share = np.arange(1, final.size + 1) / final.size
        ax.step(final, share, where="post", label=label, **style)
    ax.set_xlabel("final true utility")
    ax.set_ylabel("share of seeds at or below")
    ax.set_ylim(0, 1.02)
    ax.legend(frameon=False)
    return ax


def instruments(runs: Group, *, axes: Sequence[Axes] | None = None) -> list[Axes]:
    """Four instruments of collapse side by side; the first, the usual alarm, is silent."""
    names = ("reward_gap", "slope_cosine", "off_policy_error", "utility_drawdown")
    if axes is None:
        axes = list(_axes(None, nrows=1, ncols=4, figsize=(13, 3)))  # type: ignore[call-overload]
    if len(axes) != len(names):
        raise ArgumentError(f"axes: expected {len(names)}, got {len(axes)}")
    for name, ax in zip(names, axes, strict=True):
        bands(runs, quantity=name, ax=ax)
    for ax in axes[:-1]:  # one legend for all
        legend = ax.get_legend()
        if legend is not None:
            legend.remove()
    return list(axes)


def lambda_curve(
    rows: Iterable[Mapping[str, Any]],
    *,
    x: str = "penalty_weight",
    y: str = "final_utility",
    group: str = "penalty",
    ax: Axes | None = None,
) -> Axes:
    """Results of a sweep against one parameter, a line for each penalty, with 95 % intervals.

    Parameters
    ----------
    rows
        Of `fpo.sweep`.
    x
        A parameter of the environment or the penalty, on a logarithmic axis if positive.
    y
        A number of `Runs.summary`.
    group
        The column that makes a line.
    """
    lines: dict[str, list[tuple[float, float, float]]] = {}
    for row in rows:
        if x not in row or group not in row:
            raise ArgumentError(f"rows: expected the columns {x!r} and {group!r} in each")
        if y in row:
            error = row.get(f"{y}_standard_error", 0.0) or 0.0
            lines.setdefault(str(row[group]), []).append((row[x], row[y], _Z[0.95] * error))
    if not lines:
        raise ArgumentError(f"rows: expected at least one with a {y!r}")
    ax = _axes(ax)
    shades: list[str] = []
    for label, points in lines.items():
        values = np.array(sorted(points), dtype=float)
        shade = COLOURS.get(label.split()[0].lower(), "#56B4E9")
        dashes = _DASHES[shades.count(shade) % len(_DASHES)]
        shades.append(shade)
        at, height, half = values.T
        ax.errorbar(at, height, half, color=shade, ls=dashes, marker="o", ms=4, label=label)
    if all(value[0] > 0 for points in lines.values() for value in points):
        ax.set_xscale("log")
    ax.set_xlabel(x.replace("_", " "))
    ax.set_ylabel(y.replace("_", " "))
    ax.legend(frameon=False)
    return ax
