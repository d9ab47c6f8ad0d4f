"""What a simulation returns: the records of every game, and what they say."""

from __future__ import annotations

import html
import json
import math
import os
import zipfile
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ._arrays import Array
from .environments import Environment
from .errors import FormatError, MissingDependencyError
from .penalties import Penalty

__all__ = ["INSTRUMENTS", "QUANTITIES", "Runs"]

#: Recorded quantities that take their time, and can be left out.
INSTRUMENTS = ("overconfidence", "slope_cosine", "off_policy_error", "sensitivity", "penalty")
#: The recorded quantities of shape (seeds, records).
QUANTITIES = ("utility", "proxy_reward", "signal", "noise", *INSTRUMENTS)
_FILE_FORMAT = 1

#: What `numpy.load` and `json.loads` raise at a file that is something else.
UNREADABLE = (KeyError, ValueError, TypeError, EOFError, OSError, zipfile.BadZipFile)


@dataclass(frozen=True, eq=False, repr=False)
class Runs:
    """Records of the games of one environment under one penalty.

    Record 0 is the initial state; a later one is taken after the policy's update of its round, and
    before the reward model retrains. Arrays are (seeds, records), `action` (seeds, records,
    dimension). An instrument that was not asked for is NaN.

    An on-policy gap of proxy reward and utility cannot see alignment collapse: the reward model has
    the right level at the policy and the wrong slope. `slope_cosine`, `off_policy_error` and
    `utility_drawdown` see it.
    """

    environment: Environment
    penalty_settings: Penalty
    #: (seeds,)
    seeds: NDArray[np.uint64]
    #: The round of each record (records,).
    rounds: NDArray[np.int64]
    #: True utility at the policy's mean, U(theta).
    utility: Array
    #: What the reward model says of it, r(theta).
    proxy_reward: Array
    #: Norm of theta over the signal coordinates.
    signal: Array
    #: Norm of theta over the noise coordinates.
    noise: Array
    #: r(theta) minus the noise-free label.
    overconfidence: Array
    #: Cosine between the slopes of reward and utility at theta; 0 where one vanishes.
    slope_cosine: Array
    #: Root mean square of r - U over probes theta + unit normals.
    off_policy_error: Array
    #: |g(theta)|^2, the practical penalty.
    sensitivity: Array
    #: P(theta), not multiplied by lambda.
    penalty: Array
    #: theta (seeds, records, dimension).
    action: Array
    #: Whether Ctrl-C ended the game before its last round.
    interrupted: bool = False

    @property
    def penalty_name(self) -> str:
        """The kind of the penalty, such as "relaxed"."""
        return self.penalty_settings.kind

    @property
    def utility_drawdown(self) -> Array:
        """How far the utility lies below its running best (seeds, records); 0: no collapse."""
        return np.maximum.accumulate(self.utility, axis=1) - self.utility

    @property
    def reward_gap(self) -> Array:
        """Proxy reward minus utility (seeds, records), the usual alarm, which is silent here."""
        return self.proxy_reward - self.utility

    def summary(self, threshold: float | None = None) -> dict[str, float]:
        """The numbers of a table row.

        Parameters
        ----------
        threshold
            Of ``share_above``; None: 0.9 times the utility's peak.

        Returns
        -------
        ``final_utility`` (mean over seeds), its ``_standard_error`` and ``_deviation``;
        ``best_mean`` (the highest mean utility on the way) and ``best_round``; ``share_above`` the
        threshold at the end; mean ``drawdown``, ``slope_cosine`` and ``off_policy_error`` at the
        end; ``seeds``, ``rounds``.
        """
        if threshold is None:
            threshold = 0.9 * self.environment.utility_peak
        row: dict[str, float] = {"seeds": self.seeds.size, "rounds": 0}
        if self.rounds.size == 0:
            return row
        final, mean = self.utility[:, -1], self.utility.mean(axis=0)
        best = int(mean.argmax())
        deviation = float(final.std(ddof=1)) if final.size > 1 else math.nan
        return {
            "seeds": self.seeds.size,
            "rounds": int(self.rounds[-1]),
            "final_utility": float(mean[-1]),
            "final_utility_standard_error": deviation / math.sqrt(final.size),
            "final_utility_deviation": deviation,
            "best_mean": float(mean[best]),
            "best_round": int(self.rounds[best]),
            "share_above": float((final > threshold).mean()),
            "drawdown": float(self.utility_drawdown[:, -1].mean()),
            "slope_cosine": float(self.slope_cosine[:, -1].mean()),
            "off_policy_error": float(self.off_policy_error[:, -1].mean()),
        }

    # --------------------------------------------------------------------- representation

    def __repr__(self) -> str:
        text = f"Runs({self.penalty_name}, {self.environment!r}, {self.seeds.size} seeds"
        if self.rounds.size:
            row = self.summary()
            text += f", {row['rounds']} rounds, final utility {self._final_text(row)}"
        return text + (", interrupted)" if self.interrupted else ")")

    @staticmethod
    def _final_text(row: dict[str, float]) -> str:
        error = row["final_utility_standard_error"]
        spread = "" if math.isnan(error) else f" \u00b1 {error:.2g}"
        return f"{row['final_utility']:.4g}{spread}"

    def _repr_html_(self) -> str:
        title = f"{self.penalty_settings!r} in {self.environment!r}"
        rows = [("seeds", f"{self.seeds.size}")]
        picture = ""
        if self.rounds.size:
            row = self.summary()
            rows += [
                ("rounds", f"{row['rounds']}" + (" (interrupted)" if self.interrupted else "")),
                ("final utility", self._final_text(row)),
                ("best mean utility", f"{row['best_mean']:.4g} at round {row['best_round']}"),
                ("below its running best", f"{row['drawdown']:.3g}"),
                ("slope cosine", f"{row['slope_cosine']:.3g}"),
            ]
            picture = _sparkline(self.utility, "mean utility, and its quartiles, over the rounds")
        cells = "".join(
            f"<tr><th>{html.escape(name)}</th><td>{html.escape(value)}</td></tr>"
            for name, value in rows
        )
        return f"<div><strong>{html.escape(title)}</strong>{picture}<table>{cells}</table></div>"

    # --------------------------------------------------------------------------- exchange

    def to_dataframe(self, *, actions: bool = False) -> Any:
        """A pandas DataFrame, one row for each seed and record.

        Parameters
        ----------
        actions
            Adds a column ``action_k`` for each coordinate.

        Raises
        ------
        MissingDependencyError
            pandas is not installed.
        """
        try:
            import pandas
        except ImportError as error:
            raise MissingDependencyError("to_dataframe needs pandas: pip install pandas") from error
        seeds, records = self.utility.shape
        columns: dict[str, Any] = {
            "penalty_name": np.repeat(self.penalty_name, seeds * records),
            "seed": np.repeat(self.seeds, records),
            "round": np.tile(self.rounds, seeds),
            **{name: getattr(self, name).ravel() for name in QUANTITIES},
        }
        if actions:
            for k in range(self.action.shape[2]):
                columns[f"action_{k}"] = self.action[:, :, k].ravel()
        return pandas.DataFrame(columns)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes everything to a compressed ``.npz`` file; nothing in it is a pickle."""
        header = {
            "fpo_runs": _FILE_FORMAT,
            "environment": self.environment.to_dict(),
            "penalty": self.penalty_settings.to_dict(),
            "interrupted": self.interrupted,
        }
        with open(path, "wb") as file:
            np.savez_compressed(
                file, header=np.array(json.dumps(header)), **{n: getattr(self, n) for n in _ARRAYS}
            )

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Runs:
        """Reads what `save` wrote.

        Raises
        ------
        FormatError
            The file is something else, or of a later format.
        """
        try:
            with np.load(path, allow_pickle=False) as file:
                header = json.loads(str(file["header"]))
                version = header["fpo_runs"]
                if version != _FILE_FORMAT:
                    raise FormatError(f"{path}: expected format {_FILE_FORMAT}, got {version}")
                arrays = {name: file[name] for name in _ARRAYS}
        except FormatError:
            raise
        except UNREADABLE as error:
            if isinstance(error, FileNotFoundError):
                raise
            raise FormatError(f"{path}: not saved runs ({error})") from error
        return cls(
            environment=Environment.from_dict(header["environment"]),
            penalty_settings=Penalty.from_dict(header["penalty"]),
            interrupted=bool(header["interrupted"]),
            **arrays,
        )


_ARRAYS = tuple(
    field.name
    for field in fields(Runs)
    if field.name not in ("environment", "penalty_settings", "interrupted")
)


def _sparkline(values: Array, title: str, width: int = 240, height: int = 48) -> str:
    """A small picture of the mean over rows, and of the quartiles behind it."""
    columns = np.unique(np.linspace(0, values.shape[1] - 1, num=min(values.shape[1], 120)).round())
    shown = np.nan_to_num(values[:, columns.astype(int)])
    low, high = np.percentile(shown, [25, 75], axis=0)
    top = max(float(max(high.max(), shown.mean(axis=0).max())), 1e-12)
    bottom = min(float(min(low.min(), shown.mean(axis=0).min())), 0.0)
    x = np.linspace(1, width - 1, num=max(shown.shape[1], 2))[: shown.shape[1]]

    def points(curve: Array) -> list[str]:
        y = height - 1 - (height - 2) * (curve - bottom) / (top - bottom)
        return [f"{a:.1f},{b:.1f}" for a, b in zip(x, y, strict=True)]

    band = " ".join(points(high) + points(low)[::-1])
    return (
        f'<svg width="{width}" height="{height}" role="img"><title>{html.escape(title)}</title>'
        f'<polygon points="{band}" fill="#0072B2" fill-opacity="0.2"/>'
        f'<polyline points="{" ".join(points(shown.mean(axis=0)))}" fill="none" '
        'stroke="#0072B2" stroke-width="1.5"/></svg>'
    )
