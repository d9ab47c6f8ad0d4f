"""Grids of environments, penalties and parameters: one row for each cell, on any executor.

A cell is a dictionary of JSON values and runs in `run_trial`, which any process can import; so any
`concurrent.futures.Executor` serves: threads, processes (start method "spawn" or "forkserver"),
Dask's ``Client.get_executor()``, MPI's ``MPICommExecutor``.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, Future, as_completed
from math import isnan
from pathlib import Path
from typing import Any

from . import _arrays, _inputs
from ._configuration import unknown_name
from ._lib import lib
from .environments import Environment
from .errors import DTypeError, FormatError, FpoError
from .penalties import Penalty
from .simulation import simulate

__all__ = ["cells", "run_trial", "sweep"]

Row = dict[str, Any]


def cells(
    environments: Environment | Sequence[Environment],
    penalties: str | Penalty | Sequence[str | Penalty] = ("myopic",),
    seeds: Iterable[int] = (0,),
    grid: Mapping[str, Sequence[Any]] | None = None,
) -> list[Row]:
    """The cells of a sweep: every environment x penalty x point of the grid.

    Parameters
    ----------
    environments, penalties
        One, or a sequence.
    seeds
        Played together in each cell.
    grid
        Parameter -> values; a parameter of the environment, or "penalty." and one of the penalty,
        which is varied for those penalties that have it: ``{"penalty_weight": [0.001, 0.01],
        "penalty.kappa": [0.1, 1]}``.

    Returns
    -------
    JSON dictionaries without duplicates, as `run_trial` takes them.
    """
    worlds = _listed("environments", environments, Environment)
    kinds = _listed("penalties", penalties, (str, Penalty))
    axes = {name: _listed(f"grid[{name!r}]", values, ()) for name, values in (grid or {}).items()}
    listed = _inputs.seeds(seeds).tolist()
    found: dict[str, Row] = {}
    for world, kind in itertools.product(worlds, kinds):
        if not isinstance(world, Environment):
            raise DTypeError(f"environments: expected fpo.Environment, got {world!r}")
        penalty = Penalty.named(kind)
        for point in itertools.product(*axes.values()):
            cell = _cell(world, penalty, dict(zip(axes, point, strict=True)), listed)
            found.setdefault(cell["id"], cell)
    for name in axes:
        if name.startswith("penalty.") and not any(
            name in cell["point"] for cell in found.values()
        ):
            raise unknown_name("grid", name, _grid_names(worlds, kinds))
    return list(found.values())


def _cell(world: Environment, penalty: Penalty, point: Mapping[str, Any], seeds: list[int]) -> Row:
    others = {name: value for name, value in point.items() if not name.startswith("penalty.")}
    prefixed = {name.removeprefix("penalty."): point[name] for name in point.keys() - others}
    own = {name: value for name, value in prefixed.items() if name in penalty._defaults}
    content = {
        "environment": world.replace(**others).to_dict(),
        "penalty": penalty.replace(**own).to_dict(),
        "seeds": seeds,
    }
    varied = {**others, **{f"penalty.{name}": value for name, value in own.items()}}
    return {**content, "point": varied, "id": _identity(content)}


def _listed(name: str, value: Any, single: type | tuple[type, ...]) -> list[Any]:
    """A sequence, or one thing of a kind, as a list."""
    if isinstance(value, single):
        return [value]
    if not isinstance(value, Iterable):
        raise DTypeError(f"{name}: expected a sequence, got {value!r}")
    return list(value)


def _grid_names(worlds: Sequence[Environment], kinds: Sequence[str | Penalty]) -> list[str]:
    names = {name for world in worlds for name in world._defaults}
    return sorted(names | {f"penalty.{n}" for kind in kinds for n in Penalty.named(kind)._defaults})


def _identity(content: Mapping[str, Any]) -> str:
    """A hash of everything that the result depends on, the library's version included."""
    text = json.dumps({**content, "version": lib.fpo_version().decode()}, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def run_trial(cell: Mapping[str, Any], threads: int | None = None) -> Row:
    """Plays one cell of `cells` and returns its row.

    Returns
    -------
    ``id``; ``environment`` and ``penalty`` (their kinds); every parameter of the environment, and
    ``penalty.``-parameters; the numbers of `Runs.summary` (None for a NaN); or ``error`` where the
    cell failed. A
    penalty with a weight of its own overrides ``penalty_weight`` in the row.
    """
    row = _description(cell)
    try:
        runs = simulate(
            Environment.from_dict(cell["environment"]),
            Penalty.from_dict(cell["penalty"]),
            cell["seeds"],
            threads=threads,
        )
        if runs.interrupted:
            raise KeyboardInterrupt
        row.update((n, None if isnan(value) else value) for n, value in runs.summary().items())
    except FpoError as error:
        row["error"] = _text(error)
    return row


def _description(cell: Mapping[str, Any]) -> Row:
    """The columns of a row that are known before the cell is played."""
    penalty = dict(cell["penalty"])
    row: Row = {"id": cell["id"], **cell["environment"], "penalty": penalty.pop("penalty")}
    row.update((f"penalty.{name}", value) for name, value in penalty.items())
    if penalty.get("weight") is not None:
        row["penalty_weight"] = penalty["weight"]
    return row


def _text(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"


def sweep(
    environments: Environment | Sequence[Environment],
    penalties: str | Penalty | Sequence[str | Penalty] = ("myopic",),
    seeds: Iterable[int] = (0,),
    grid: Mapping[str, Sequence[Any]] | None = None,
    *,
    executor: Executor | None = None,
    path: str | os.PathLike[str] | None = None,
    threads: int | None = None,
    progress: bool = False,
) -> list[Row]:
    """Plays every cell of a grid; see `cells` for the first four parameters.

    Ctrl-C cancels what has not begun, and is raised again; the rows of finished cells are on disk.

    Parameters
    ----------
    executor
        Any `concurrent.futures.Executor`. None plays the cells here, one after the other, each on
        all threads.
    path
        A JSON-lines file, one row each as it is finished. Cells that are in it already are not
        played again, those that failed are.
    threads
        For each cell; None: 1 with an executor, the setting of the process without.
    progress
        Shows a bar.

    Returns
    -------
    The rows in the order of the cells, as `run_trial` makes them.
    """
    todo = cells(environments, penalties, seeds, grid)
    if threads is not None:
        threads = _arrays.integer("threads", threads, 0, 1024)
    elif executor is not None:
        threads = 1
    rows = {} if path is None else _finished(Path(path))
    missing = [cell for cell in todo if cell["id"] not in rows]
    with _Progress(len(todo), len(todo) - len(missing), progress) as bar:
        for row in _played(missing, executor, threads):
            rows[row["id"]] = row
            if path is not None:
                _append(Path(path), row)
            bar.update()
    return [rows[cell["id"]] for cell in todo]


def _played(
    missing: Sequence[Row], executor: Executor | None, threads: int | None
) -> Iterator[Row]:
    if executor is None:
        for cell in missing:
            yield run_trial(cell, threads)
        return
    futures: dict[Future[Row], Row] = {}
    try:
        futures = {executor.submit(run_trial, cell, threads): cell for cell in missing}
        for future in as_completed(futures):
            try:
                yield future.result()
            except Exception as error:  # a lost worker costs its own cells only
                yield {**_description(futures[future]), "error": _text(error)}
    finally:
        for future in futures:
            future.cancel()


def _finished(path: Path) -> dict[str, Row]:
    """The rows of a file that did not fail; a last line cut short by a crash is dropped."""
    if not path.exists():
        return {}
    lines = path.read_text().splitlines(keepends=True)
    if lines and not lines[-1].endswith("\n"):
        path.write_text("".join(lines[:-1]))
        lines.pop()
    rows: dict[str, Row] = {}
    for number, line in enumerate(lines, start=1):
        try:
            row = json.loads(line)
            rows[row["id"]] = row
        except (ValueError, KeyError, TypeError) as error:
            raise FormatError(f"{path}: line {number} is not a row of a sweep") from error
    return {key: row for key, row in rows.items() if "error" not in row}


def _append(path: Path, row: Row) -> None:
    with open(path, "a") as file:
        file.write(json.dumps(row) + "\n")
        file.flush()
        os.fsync(file.fileno())


class _Progress:
    """A bar, or nothing."""

    def __init__(self, total: int, done: int, shown: bool):
        self._bar: Any = None
        if shown:
            from tqdm.auto import tqdm

            self._bar = tqdm(total=total, initial=done, desc="sweep", unit="cell")

    def __enter__(self) -> _Progress:
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.close()

    def update(self) -> None:
        if self._bar is not None:
            self._bar.update()
