"""The loop that every trainer shares: play, log, save, and go on where it stopped."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from .metrics import Row, bar, numbers
from .run_directory import RunDirectory
from .settings import Settings
from .tracking import trackers

__all__ = ["RunFiles", "RunLoop", "State"]

State = dict[str, dict[str, NDArray[Any]]]


@dataclass(frozen=True)
class RunFiles:
    """Where a run's results go, and how often it is saved.

    ``output`` is a folder, or "" for none; ``save_every`` rounds pass between checkpoints, 0: only
    one at the end.
    """

    output: str = ""
    save_every: int = 1
    tensorboard: bool = False
    mlflow: str = ""


class RunLoop(ABC):
    """Rounds that can be interrupted at any moment and go on bit for bit.

    A trainer says what a `step` is, what its `state` is, and after how many rounds it ends.
    """

    config: Settings
    unit = "round"

    def __init__(self) -> None:
        self.round = 0
        self._fresh = True

    @property
    @abstractmethod
    def rounds(self) -> int:
        """Rounds of the whole run."""

    @property
    @abstractmethod
    def files(self) -> RunFiles:
        """Where results go."""

    @property
    @abstractmethod
    def title(self) -> str:
        """What the progress bar shows."""

    @abstractmethod
    def step(self) -> tuple[Row, Row | None]:
        """One round: its metrics, which begin with ``step``, and a sample of what was said."""

    @abstractmethod
    def state(self) -> State:
        """Everything that a round depends on, in parts; `restore` goes on from it bit for bit."""

    @abstractmethod
    def restore(self, state: State) -> None:
        """Goes back to a `state`."""

    def prepare(self, progress: bool) -> None:  # noqa: B027 -- most have nothing to do
        """What comes before the first round, once in a run."""

    def finished(self) -> bool:
        """Whether the run is over."""
        return self.round >= self.rounds

    def unchanged(self) -> set[str]:
        """The parts of the state that are as the last checkpoint has them."""
        return set()

    def finish(self, files: RunDirectory | None) -> None:  # noqa: B027
        """What comes after the last round."""

    def train(
        self, *, resume: bool = True, progress: bool = True, rounds: int | None = None
    ) -> list[Row]:
        """Plays the rounds that are left, and returns the metrics of all.

        With an output folder set in the config, a checkpoint is left every so many rounds; the run
        goes on from the last one, bit for bit, after Ctrl-C or a kill. Ctrl-C raises
        `KeyboardInterrupt`.

        Parameters
        ----------
        resume
            Go on with what the output folder holds; False starts afresh.
        rounds
            At most so many now.

        Raises
        ------
        BusyError
            Another run is writing to the output folder.
        """
        files = RunDirectory(self.files.output) if self.files.output else None
        try:
            return self._train(files, resume, progress, rounds)
        finally:
            if files is not None:
                files.close()

    def _train(
        self, files: RunDirectory | None, resume: bool, progress: bool, rounds: int | None
    ) -> list[Row]:
        settings = self.files
        if files is not None and files.open(self.config.to_dict(), fresh=not resume):
            self.restore(files.load()[1])
            self._fresh = False
        rows = files.rows() if files is not None else []
        if self._fresh and self.round == 0:
            self.prepare(progress)
            if files is not None:
                files.save(0, self.state())
        self._fresh = False
        end = self.rounds if rounds is None else min(self.round + rounds, self.rounds)
        sinks = trackers(
            self.config,
            name=self.title,
            output=settings.output,
            tensorboard=settings.tensorboard,
            mlflow=settings.mlflow,
        )
        try:
            for _ in bar(range(self.round, end), self.round, progress, self.title, self.unit):
                if self.finished():
                    break
                row, sample = self.step()
                rows.append(row)
                for sink in sinks:
                    sink.log(row["step"], numbers(row))
                if files is not None:
                    files.append("log.jsonl", row)
                    if sample is not None:
                        files.append("samples.jsonl", sample)
                    every = settings.save_every
                    if (every and self.round % every == 0) or self.finished():
                        files.save(self.round, self.state(), self.unchanged())
        finally:
            for sink in sinks:
                sink.close()
        if self.finished():
            self.finish(files)
        return rows
