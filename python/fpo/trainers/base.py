"""What all trainers share: learning rate, evaluation, early stopping, state."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import ArgumentError, NonFiniteError
from ..language.metrics import Clock, Row
from ..language.run_directory import RunDirectory
from ..language.run_loop import RunFiles, RunLoop, State
from .config import TrainingConfig
from .learners import Learner

__all__ = ["Means", "Trainer"]


class Means:
    """Means of metrics over the rows of a step or of an evaluation, whatever the passes."""

    def __init__(self) -> None:
        self._values: dict[str, list[NDArray[np.float64]]] = {}

    def add(self, name: str, values: ArrayLike) -> None:
        """More values of a metric."""
        self._values.setdefault(name, []).append(np.asarray(values, dtype=np.float64).reshape(-1))

    def values(self, name: str) -> NDArray[np.float64]:
        """All values of a metric, in order."""
        return np.concatenate([*self._values.get(name, []), np.zeros(0)])

    def row(self, prefix: str = "") -> Row:
        """Metric -> mean; what has no values is left out."""
        joined = {name: self.values(name) for name in self._values}
        return {prefix + name: float(one.mean()) for name, one in joined.items() if one.size}


class Trainer(RunLoop):
    """A loop of optimiser steps with evaluations.

    A subclass says what a step learns from (`learn`) and how it is judged (`evaluate`).
    """

    config: TrainingConfig
    unit = "step"

    def __init__(self, config: TrainingConfig, learner: Learner):
        super().__init__()
        self.config, self.learner = config, learner
        self.best: float | None = None
        self.best_step = 0
        self.stopped = False
        self._worse = 0
        self._best_parameters: NDArray[np.float32] | None = None

    @abstractmethod
    def learn(self, clock: Clock) -> tuple[Row, Row | None]:
        """Adds a step's gradient up and follows it; returns its metrics, and a sample or None."""

    @abstractmethod
    def evaluate(self) -> Row:
        """Metrics of held-out data, each with the prefix ``eval_``; empty without such data."""

    # ----------------------------------------------------------------------------- running

    @property
    def files(self) -> RunFiles:
        """Where results go."""
        of = self.config
        return RunFiles(of.output_dir, of.save_steps, of.tensorboard, of.mlflow)

    def finished(self) -> bool:
        """Whether all steps are done, or no evaluation was better for too long."""
        return self.stopped or super().finished()

    def step(self) -> tuple[Row, Row | None]:
        """One step of the optimiser, and the evaluation that is due after it."""
        clock = Clock()
        learned, sample = self.learn(clock)
        if not all(math.isfinite(value) for value in learned.values()):
            names = [name for name, value in learned.items() if not math.isfinite(value)]
            raise NonFiniteError(f"step {self.round + 1}: not finite: {', '.join(names)}")
        self.round += 1
        row: Row = {"step": self.round, **learned}
        every = self.config.eval_steps
        if self.round >= self.rounds or (every and self.round % every == 0):
            found = self.evaluate()
            clock.lap("evaluate")
            row |= found
            if found:
                row |= self._compare(found)
        row |= clock.times()
        return row, sample

    def optimise(self) -> Row:
        """Follows the gradient."""
        of = self.config
        rate = of.learning_rate_at(self.round, self.rounds)
        norm = self.learner.step(rate, of.weight_decay, of.max_grad_norm)
        return {"grad_norm": norm, "learning_rate": rate}

    def _compare(self, found: Row) -> Row:
        """Keeps the best parameters; stops where patience has ended."""
        name = self.config.metric_for_best_model
        if name not in found:
            raise ArgumentError(
                f"metric_for_best_model: expected one of {', '.join(found)}, got {name!r}"
            )
        value = float(found[name])
        sign = 1 if self.config.greater_is_better else -1
        if self.best is None or sign * value > sign * self.best:
            self.best, self.best_step, self._worse = value, self.round, 0
            if self.config.load_best_model_at_end:
                self._best_parameters = self.learner.flat
        else:
            self._worse += 1
            patience = self.config.early_stopping_patience
            self.stopped = bool(patience) and self._worse >= patience
        return {"best_metric": self.best, "early_stop": float(self.stopped)}

    def finish(self, files: RunDirectory | None) -> None:
        """Takes the best parameters where that is wanted, and writes what was learned."""
        if self._best_parameters is not None:
            self.learner.flat = self._best_parameters
        if files is not None:
            self.learner.save(files.path)

    # ----------------------------------------------------------------------- save and resume

    def state(self) -> State:
        """Everything that a step depends on; `restore` goes on from it bit for bit."""
        best = np.nan if self.best is None else self.best
        state: State = {
            "learner": self.learner.state(),
            "counters": {
                "values": np.array([self.round, self.best_step, self._worse, int(self.stopped)]),
                "best": np.array([best]),
            },
        }
        if self._best_parameters is not None:
            state["best"] = {"parameters": self._best_parameters}
        return state

    def restore(self, state: Mapping[str, Mapping[str, NDArray[Any]]]) -> None:
        """Goes back to a `state`."""
        self.learner.restore(state["learner"])
        values = [int(one) for one in state["counters"]["values"]]
        self.round, self.best_step, self._worse = values[:3]
        self.stopped = bool(values[3])
        best = float(state["counters"]["best"][0])
        self.best = None if math.isnan(best) else best
        if "best" in state:
            self._best_parameters = np.asarray(state["best"]["parameters"], np.float32)
