"""Where the metrics of a run also go: TensorBoard and MLflow, if they are installed."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from ..errors import MissingDependencyError
from ._extras import optional
from .settings import Settings

__all__ = ["Tracker", "trackers"]


class Tracker(Protocol):
    """Takes one row of numbers a round."""

    def log(self, step: int, row: Mapping[str, float]) -> None:
        """The metrics of a round."""

    def close(self) -> None:
        """The run has ended, or was interrupted."""


def trackers(
    config: Settings, *, name: str, output: str = "", tensorboard: bool = False, mlflow: str = ""
) -> list[Tracker]:
    """Those that are asked for.

    Parameters
    ----------
    config
        Logged as parameters of the run.
    name
        Of the run.
    output
        TensorBoard events go below this folder.
    tensorboard, mlflow
        Whether to write TensorBoard events; the MLflow experiment to log to, or "".
    """
    found: list[Tracker] = []
    if tensorboard:
        found.append(_TensorBoard(Path(output or ".") / "tensorboard"))
    if mlflow:
        found.append(_MLflow(config, mlflow, name))
    return found


class _TensorBoard:
    def __init__(self, folder: Path):
        try:
            writer = optional("tensorboardX", "TensorBoard events", "track")
        except MissingDependencyError:
            writer = optional("torch.utils.tensorboard", "TensorBoard events", "track")
        self._writer: Any = writer.SummaryWriter(str(folder))

    def log(self, step: int, row: Mapping[str, float]) -> None:
        for name, value in row.items():
            self._writer.add_scalar(name, value, step)

    def close(self) -> None:
        self._writer.close()


class _MLflow:
    def __init__(self, config: Settings, experiment: str, name: str):
        self._mlflow = optional("mlflow", "logging to MLflow", "track")
        self._mlflow.set_experiment(experiment)
        self._mlflow.start_run(run_name=name)
        self._mlflow.log_params(config.to_dict())

    def log(self, step: int, row: Mapping[str, float]) -> None:
        self._mlflow.log_metrics({name: float(value) for name, value in row.items()}, step=step)

    def close(self) -> None:
        self._mlflow.end_run()
