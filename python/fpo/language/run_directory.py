"""A run on disk: settings, a log, samples, and checkpoints that survive a kill at any moment."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import IO, Any

from numpy.typing import NDArray

from ..errors import ArgumentError, BusyError, FormatError
from .checkpoint import read_json
from .safetensors import SafetensorsFile, write_safetensors

__all__ = ["RunDirectory", "write_atomically"]

_FORMAT = 1
State = Mapping[str, Mapping[str, NDArray[Any]]]


def write_atomically(path: Path, data: bytes) -> None:
    """A file that appears complete or not at all, also after a power cut."""
    partial = path.with_name(path.name + ".partial")
    with open(partial, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    os.replace(partial, path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


class RunDirectory:
    """The folder of one run.

    ``config.json``, ``log.jsonl`` (one row of metrics a round), ``samples.jsonl`` (winner and
    reference of each round), ``checkpoint/`` and, at the end, ``adapter/`` in PEFT's format.

    A checkpoint is a set of parts, each a file of arrays; a part that has not changed is not
    written again. ``checkpoint/state.json`` names the files that belong together and is replaced
    last, by a rename: whenever the process dies, it names a complete set. ``lock`` keeps a second
    writer out from `open` to `close`; the system lifts it when the process ends.
    """

    def __init__(self, path: str | os.PathLike[str]):
        self.path = Path(path)
        self._checkpoint = self.path / "checkpoint"
        self._manifest = self._checkpoint / "state.json"
        self._parts: dict[str, str] = {}
        self._lock: IO[bytes] | None = None

    def open(self, config: Mapping[str, Any], *, fresh: bool = False) -> bool:
        """Makes the folder, or finds a run to go on with: whether there is one.

        Raises
        ------
        ArgumentError
            The folder holds a run with other settings.
        BusyError
            Another process, or another run of this one, is writing to it.
        """
        self.path.mkdir(parents=True, exist_ok=True)
        self._checkpoint.mkdir(exist_ok=True)
        self._take_lock()
        file = self.path / "config.json"
        if file.exists() and not fresh:
            before = read_json(file)
            ignored = {"output", "steps", "checkpoint_every", "tensorboard", "mlflow"}
            ignored |= {"output_dir", "max_steps", "num_train_epochs", "save_steps"}
            changed = [
                name
                for name in {**before, **config}
                if name not in ignored and before.get(name) != config.get(name)
            ]
            if changed and self._manifest.exists():
                raise ArgumentError(
                    f"output: {self.path} holds a run with another {', '.join(sorted(changed))}; "
                    "choose another folder, or start afresh"
                )
        if fresh:
            for name in ("log.jsonl", "samples.jsonl"):
                (self.path / name).unlink(missing_ok=True)
            self._manifest.unlink(missing_ok=True)
        write_atomically(file, (json.dumps(dict(config), indent=2) + "\n").encode())
        return self._manifest.exists()

    def close(self) -> None:
        """Lets others write."""
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def _take_lock(self) -> None:
        lock = open(self.path / "lock", "ab")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            lock.close()
            raise BusyError(f"output: another run is writing to {self.path}") from error
        self._lock = lock

    # ---------------------------------------------------------------------- checkpoints

    def save(self, round_: int, state: State, unchanged: Collection[str] = ()) -> None:
        """Writes a checkpoint after `round_` rounds.

        Parameters
        ----------
        state
            Part -> name -> array.
        unchanged
            Parts that are as they were in the last checkpoint of this process.
        """
        parts = {}
        for part, arrays in state.items():
            if part in unchanged and part in self._parts:
                parts[part] = self._parts[part]
                continue
            name = f"{part}-{round_:08d}.safetensors"
            write_safetensors(self._checkpoint / name, arrays)
            parts[part] = name
        manifest = {"fpo_language_run": _FORMAT, "round": round_, "parts": parts}
        write_atomically(self._manifest, json.dumps(manifest).encode())
        self._parts = parts
        kept = {*parts.values(), self._manifest.name}
        for file in self._checkpoint.iterdir():
            if file.name not in kept:
                file.unlink(missing_ok=True)

    def load(self) -> tuple[int, dict[str, dict[str, NDArray[Any]]]]:
        """The round and the state of the last checkpoint.

        Raises
        ------
        FormatError
            It is damaged, or of another version.
        """
        manifest = read_json(self._manifest)
        if manifest.get("fpo_language_run") != _FORMAT:
            raise FormatError(f"{self._manifest}: not a checkpoint of this version")
        try:
            round_, parts = int(manifest["round"]), dict(manifest["parts"])
            state = {}
            for part, name in parts.items():
                file = SafetensorsFile(self._checkpoint / name)
                state[part] = {one: file.tensor(one).copy() for one in file.names}
        except (KeyError, TypeError, ValueError, FileNotFoundError) as error:
            raise FormatError(f"{self._manifest}: damaged ({error})") from error
        self._parts = {}
        for name in ("log.jsonl", "samples.jsonl"):
            self._cut(self.path / name, round_)
        return round_, state

    # ------------------------------------------------------------------------------ logs

    def append(self, name: str, row: Mapping[str, Any]) -> None:
        """One row of ``log.jsonl`` or ``samples.jsonl``."""
        with open(self.path / name, "a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")

    def rows(self, name: str = "log.jsonl") -> list[dict[str, Any]]:
        """The rows of a log so far; a torn last line is left out."""
        path = self.path / name
        if not path.exists():
            return []
        rows = []
        for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
            try:
                rows.append(json.loads(line))
            except ValueError:
                continue
        return rows

    def _cut(self, path: Path, rounds: int) -> None:
        """Drops rows of rounds that the checkpoint does not know: they will be played again."""
        if path.exists():
            kept = [row for row in self.rows(path.name) if row.get("step", 0) <= rounds]
            data = "".join(json.dumps(row) + "\n" for row in kept)
            write_atomically(path, data.encode())
