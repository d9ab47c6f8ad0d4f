"""Contestants take turns, so that a busy or slow spell of the machine meets them all."""

import json
import os
import statistics
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]

# Would slow OpenBLAS under NumPy and PyTorch, or libfpo itself, below what a user gets.
UNSET = ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE", "OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS")
QUIET = {
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    "HF_HUB_OFFLINE": "1",
    "PYTHONWARNINGS": "ignore::FutureWarning",
    "TQDM_DISABLE": "1",
    "TRANSFORMERS_NO_ADVISORY_WARNINGS": "1",
    "TRANSFORMERS_VERBOSITY": "error",
}


@dataclass
class Contestant:
    """A worker process and its times, `scale` times those of a call.

    `function` is one of `benchmarks.contestants`, or "module.function" of another module.

    On one core a time is the processor's, so that other programs on the machine are not counted;
    on several it is the wall clock's.
    """

    function: str
    arguments: dict[str, Any]
    cores: list[int]
    scale: float = 1.0
    environment: dict[str, str] = field(default_factory=dict)
    report: bool = False
    walls: list[float] = field(default_factory=list)
    processor: list[float] = field(default_factory=list)
    peak_mb: float = 0.0
    prepared: float = 0.0
    result: Any = None

    def start(self) -> None:
        """Starts the process and waits until it is prepared."""
        job = {
            "contestant": self.function,
            "arguments": self.arguments,
            "cores": self.cores,
            "report": self.report,
        }
        inherited = {k: v for k, v in os.environ.items() if k not in UNSET}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.worker", json.dumps(job)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            bufsize=1,
            cwd=ROOT,
            env=inherited | QUIET | self.environment,
        )
        self.prepared = self._answer()["prepared"]

    def _answer(self) -> dict[str, Any]:
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"{self.function} ended with status {self.process.wait()}")
        return json.loads(line)

    def call(self, *, count: bool = True) -> None:
        """One timed call."""
        self.process.stdin.write("\n")
        answer = self._answer()
        self.peak_mb, self.result = answer["peak_mb"], answer.get("result")
        if count:
            self.walls.append(answer["wall"] * self.scale)
            self.processor.append(answer["cpu"] * self.scale)

    def stop(self) -> None:
        """Ends the process."""
        self.process.stdin.close()
        self.process.wait()

    @property
    def times(self) -> list[float]:
        """Seconds of every call."""
        return self.processor if len(self.cores) == 1 else self.walls

    @property
    def best(self) -> float:
        """The shortest time: what noise cannot lengthen."""
        return min(self.times)

    @property
    def median(self) -> float:
        """The median time."""
        return statistics.median(self.times)


def contest(
    contestants: list[Contestant], repeats: int, *, allowance: float = float("inf")
) -> None:
    """Lets the contestants take turns, `repeats` times after one turn that does not count.

    Whoever has been counted for `allowance` seconds by the wall clock takes no further turn.
    """
    started = []
    try:
        for contestant in contestants:
            contestant.start()
            started.append(contestant)
        for turn in range(repeats + 1):
            for contestant in contestants:
                if sum(contestant.walls) / contestant.scale < allowance:
                    contestant.call(count=turn > 0)
    finally:
        for contestant in started:
            contestant.stop()
