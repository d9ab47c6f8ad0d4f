"""Playing the controlled environments: many games at once, one for each seed."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from . import _arrays, _inputs, _lib
from ._arrays import Array
from ._lib import address, lib, new_array
from .environments import Environment
from .errors import DTypeError, FormatError
from .models import unflatten
from .penalties import Penalty
from .runs import INSTRUMENTS, UNREADABLE, Runs

__all__ = ["Simulation", "simulate"]

_CALL_SECONDS = 0.05  # one call into the library; Ctrl-C waits no longer than that
_FILE_FORMAT = 1


def simulate(
    environment: Environment,
    penalty: str | Penalty = "myopic",
    seeds: Iterable[int] = (0,),
    *,
    record_every: int | None = None,
    instruments: Iterable[str] | None = None,
    threads: int | None = None,
    progress: bool = False,
    initial_weights: ArrayLike | Mapping[str, ArrayLike] | None = None,
    noise: ArrayLike | Mapping[str, ArrayLike] | None = None,
    gradient: str | None = None,
    step: float | None = None,
) -> Runs:
    """Plays every round of an environment, one game for each seed.

    The result is the same, bit for bit, for any number of threads and any split of the seeds.
    Ctrl-C returns what has been played so far, with ``interrupted`` set; a second one aborts.

    Parameters
    ----------
    environment
        `LinearEnvironment` or `NeuralEnvironment`.
    penalty
        "myopic", "practical", "relaxed", "exact", "residual", or an object such as
        ``fpo.Residual(kappa=0.1)``.
    seeds
        One game each, integers in [0, 2^64).
    record_every
        Rounds between records. None: 1, but at most about 400 records.
    instruments
        What to record beside utility, proxy reward, signal, noise and action: some of
        "overconfidence", "slope_cosine", "off_policy_error", "sensitivity", "penalty". None: all.
        The others are not computed, and NaN.
    threads
        How many to use; None leaves the setting of the process as it is.
    progress
        Shows a bar with the time that is left.
    initial_weights
        Of the reward model. Linear: (seeds, dimension); neural: a dictionary
        ``net.0.weight, net.0.bias, net.2.weight, ...`` in the shapes of torch with a leading axis
        of seeds. Either may be flat (seeds, p). None: drawn from the seeds.
    noise
        Standard normal draws, ``{"inner": (seeds, rounds, inner_steps, dimension), "label":
        (seeds, rounds, labels_per_round, dimension)}``, or one of both. An array (seeds, rounds,
        dimension) serves as both where there is one inner step and one label a round. None: drawn.
    gradient, step
        "analytic" or "forward-difference", and the step of the latter: short for
        ``environment.replace(gradient=..., difference_step=...)``.

    Returns
    -------
    Runs

    Raises
    ------
    ArgumentError
        The message names the argument and says what was expected.
    """
    if not isinstance(environment, Environment):
        raise DTypeError(f"environment: expected an fpo.Environment, got {environment!r}")
    changes = {"gradient": gradient, "difference_step": step}
    environment = environment.replace(
        **{name: value for name, value in changes.items() if value is not None}
    )
    simulation = Simulation(
        environment,
        penalty,
        seeds,
        record_every=record_every,
        instruments=instruments,
        initial_weights=initial_weights,
        noise=noise,
    )
    before = lib.fpo_get_num_threads()
    if threads is not None:
        lib.fpo_set_num_threads(_arrays.integer("threads", threads, 0, 1024))
    try:
        interrupted = simulation.run(progress=progress)
    finally:
        if threads is not None:
            lib.fpo_set_num_threads(before)
    return simulation.runs(interrupted=interrupted)


class Simulation(_lib.Handle):
    """Games that are played a few rounds at a time; `simulate` plays them to the end.

    Parameters as for `simulate`. ``step`` plays, ``runs`` returns the records so far, ``save`` and
    ``load`` continue in another process with the same bits.
    """

    def __init__(
        self,
        environment: Environment,
        penalty: str | Penalty = "myopic",
        seeds: Iterable[int] = (0,),
        *,
        record_every: int | None = None,
        instruments: Iterable[str] | None = None,
        initial_weights: ArrayLike | Mapping[str, ArrayLike] | None = None,
        noise: ArrayLike | Mapping[str, ArrayLike] | None = None,
    ):
        if not isinstance(environment, Environment):
            raise DTypeError(f"environment: expected an fpo.Environment, got {environment!r}")
        self.environment = environment
        self.penalty = Penalty.named(penalty)
        self.seeds = _inputs.seeds(seeds)
        self.record_every = _inputs.record_every(record_every, environment.rounds)
        count, rounds = self.seeds.size, environment.rounds
        # Refuses what is too large before anything else is made.
        self.instruments = _inputs.instruments(instruments)
        records = _inputs.record_arrays(
            count, -(-rounds // self.record_every) + 1, environment.dimension, self.instruments
        )
        self.shapes = _inputs.parameter_shapes(environment)
        weights = _inputs.initial_weights(initial_weights, count, self.shapes)
        # The library reads these as it plays: they live as long as this object.
        self._inner_noise, self._label_noise = _inputs.noise(noise, count, environment)

        inputs = _lib.initialized(_lib.SimulationInputs)
        start, centre = environment._point("start"), environment._point("action_cost_centre")
        inputs.count = count
        inputs.seeds = address(self.seeds)
        inputs.start = address(start)
        inputs.centre = address(centre)
        inputs.initial_weights = address(weights)
        inputs.inner_noise = address(self._inner_noise)
        inputs.label_noise = address(self._label_noise)
        super().__init__(
            lib.fpo_simulation_create,
            lib.fpo_simulation_destroy,
            _lib.byref(environment._struct()),
            _lib.byref(self.penalty._struct()),
            _lib.byref(inputs),
        )
        self._records = records
        self.record_rounds = np.append(np.arange(0, rounds, self.record_every), rounds)
        self._trace = _lib.initialized(_lib.Trace)
        for name, array in self._records.items():
            setattr(self._trace, name, address(array))

    def __repr__(self) -> str:
        return (
            f"Simulation({self.environment!r}, {self.penalty!r}, {self.seeds.size} seeds, "
            f"round {self.round} of {self.environment.rounds})"
        )

    @property
    def round(self) -> int:
        """How many rounds have been played."""
        return _lib.integer(lib.fpo_simulation_round, self.pointer)

    @property
    def actions(self) -> Array:
        """The policy's mean theta of every game (seeds, dimension)."""
        out = new_array(self.seeds.size, self.environment.dimension)
        lib.fpo_simulation_actions(self.pointer, address(out))
        return out

    @property
    def flat_weights(self) -> Array:
        """The reward models' parameters (seeds, p)."""
        count = _lib.integer(lib.fpo_simulation_parameter_count, self.pointer)
        out = new_array(self.seeds.size, count)
        lib.fpo_simulation_weights(self.pointer, address(out))
        return out

    @property
    def weights(self) -> dict[str, Array]:
        """The reward models' parameters by name, each (seeds, *shape)."""
        return unflatten(self.flat_weights, self.shapes)

    def step(self, rounds: int = 1) -> int:
        """Plays up to `rounds` further rounds; returns how many were left to play.

        Raises
        ------
        CancelledError
            `cancel` was called; all games stand at the same round, and can go on.
        """
        return _lib.integer(
            lib.fpo_simulation_step,
            self.pointer,
            _arrays.integer("rounds", rounds, 0, 2**31 - 1),
            self.record_every,
            _lib.byref(self._trace),
        )

    def cancel(self) -> None:
        """Ends the current or next `step` at the next round; from any thread."""
        lib.fpo_simulation_cancel(self.pointer)

    def run(self, *, progress: bool = False) -> bool:
        """Plays to the end; returns whether Ctrl-C ended it before."""
        total, chunk, done = self.environment.rounds, 1, self.round
        bar = _progress_bar(total, done, self.penalty.kind) if progress else None
        try:
            while done < total:
                began = time.perf_counter()
                played = self.step(chunk)
                seconds = time.perf_counter() - began
                done += played
                if bar is not None:
                    bar.update(played)
                chunk = max(1, min(8 * chunk, int(played * _CALL_SECONDS / max(seconds, 1e-6))))
            return False
        except KeyboardInterrupt:
            return True
        finally:
            if bar is not None:
                bar.close()

    def runs(self, *, interrupted: bool = False) -> Runs:
        """The records so far."""
        done = self.round
        # The first record is written together with the first round.
        records = int((self.record_rounds <= done).sum()) if done else 0
        unmeasured = np.broadcast_to(np.nan, (self.seeds.size, records))
        recorded = {name: array[:, :records].copy() for name, array in self._records.items()}
        return Runs(
            environment=self.environment,
            penalty_settings=self.penalty,
            seeds=self.seeds.copy(),
            rounds=self.record_rounds[:records].copy(),
            interrupted=interrupted,
            **(dict.fromkeys(INSTRUMENTS, unmeasured) | recorded),
        )

    # -------------------------------------------------------------------- save and resume

    def state(self) -> bytes:
        """The complete state of the games; `restore` goes on from it bit for bit."""
        return _lib.sized_bytes(lib.fpo_simulation_save, self.pointer)

    def restore(self, state: bytes) -> None:
        """Goes back to a state of a simulation of the same environment, penalty and inputs.

        Raises
        ------
        FormatError
            The bytes belong to another simulation, or to another version of the library.
        """
        if not isinstance(state, (bytes, bytearray)):
            raise DTypeError(f"state: expected bytes, got {type(state).__name__}")
        data = np.frombuffer(bytes(state), dtype=np.uint8)
        lib.fpo_simulation_load(self.pointer, address(data), data.size)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes state and records to a ``.npz`` file, from which `load` continues."""
        header = {
            "fpo_simulation": _FILE_FORMAT,
            "environment": self.environment.to_dict(),
            "penalty": self.penalty.to_dict(),
            "record_every": self.record_every,
            "instruments": self.instruments,
            "given_noise": self._inner_noise is not None or self._label_noise is not None,
        }
        partial = Path(f"{os.fspath(path)}.partial")
        with open(partial, "wb") as file:  # a crash must not spoil the previous file
            arrays: dict[str, Any] = {
                "header": np.array(json.dumps(header)),
                "seeds": self.seeds,
                "state": np.frombuffer(self.state(), dtype=np.uint8),
                **{f"record_{name}": array for name, array in self._records.items()},
            }
            np.savez(file, **arrays)
        os.replace(partial, path)

    @classmethod
    def load(
        cls,
        path: str | os.PathLike[str],
        *,
        noise: ArrayLike | Mapping[str, ArrayLike] | None = None,
    ) -> Simulation:
        """Reads what `save` wrote. Noise that was given as arrays must be given again.

        Raises
        ------
        FormatError
            The file is not a saved simulation of this version.
        """
        try:
            with np.load(path, allow_pickle=False) as file:
                data = {name: file[name] for name in file.files}
            header = json.loads(str(data["header"]))
            version = header["fpo_simulation"]
        except UNREADABLE as error:
            if isinstance(error, FileNotFoundError):
                raise
            raise FormatError(f"{path}: not a saved simulation ({error})") from error
        if version != _FILE_FORMAT:
            raise FormatError(f"{path}: expected format {_FILE_FORMAT}, got {version}")
        if header["given_noise"] and noise is None:
            raise FormatError(f"{path}: was played with given noise; pass the same noise again")
        simulation = cls(
            Environment.from_dict(header["environment"]),
            Penalty.from_dict(header["penalty"]),
            data["seeds"],
            record_every=header["record_every"],
            instruments=header["instruments"],
            noise=noise,
        )
        simulation.restore(data["state"].tobytes())
        for name, array in simulation._records.items():
            array[...] = data[f"record_{name}"]
        return simulation


def _progress_bar(total: int, done: int, label: str) -> Any:
    from tqdm.auto import tqdm

    return tqdm(total=total, initial=done, desc=label, unit="round")
