"""Results of an evaluation, one JSON line a question, written as they come.

The file's first line says what was evaluated and how; a run that finds its own header there goes on
where it stopped, and any other run is refused.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from types import TracebackType
from typing import Any

from ..errors import ArgumentError, FormatError
from .data import Row

__all__ = ["ResultFile", "digest", "progress", "read_results"]

HEADER = "fpo_evaluation"
FORMAT = 1


class ResultFile:
    """Rows by ``id`` of one evaluation, in memory and, given a path, on disk.

    Parameters
    ----------
    path
        JSON lines; None keeps the rows in memory only. A last line that a crash cut short is
        dropped.
    header
        What the rows depend on: task, model, prompt, seed. Resuming demands the same.
    """

    def __init__(self, path: str | os.PathLike[str] | None, header: Mapping[str, Any]):
        self.header: Row = json.loads(json.dumps({HEADER: FORMAT, **header}))
        self.rows: dict[str, Row] = {}
        self._path = None if path is None else Path(path)
        if self._path is None:
            return
        if self._path.exists() and self._path.stat().st_size:
            found, rows = _parse(self._path, repair=True)
            if found is None:
                self._append(self.header)
            elif found != self.header:
                names = sorted(
                    name
                    for name in found.keys() | self.header.keys()
                    if found.get(name) != self.header.get(name)
                )
                raise ArgumentError(
                    f"{self._path}: holds another evaluation; it differs in {', '.join(names)}"
                )
            self.rows = {row["id"]: row for row in rows}
        else:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._append(self.header)

    def add(self, row: Row) -> None:
        """Keeps a row; it is on disk when this returns."""
        self.rows[row["id"]] = row
        if self._path is not None:
            self._append(row)

    def complete(
        self,
        identities: Sequence[str],
        make: Callable[[int], Row],
        *,
        shown: bool = False,
        label: str = "",
        workers: int = 1,
    ) -> list[Row]:
        """The rows of all `identities`, in order; ``make(k)`` is called for the missing ones.

        Parameters
        ----------
        workers
            Threads that call `make`; rows are then appended as they come.
        """
        missing = self.missing(identities)
        with progress(len(identities), len(identities) - len(missing), label, shown) as bar:
            for k, row in _made(make, missing, workers):
                self.add({"id": identities[k], **row})
                bar.update()
        return [self.rows[identity] for identity in identities]

    def missing(self, identities: Sequence[str]) -> list[int]:
        """Positions of the identities that have no row, or one that says it ``failed``."""
        return [
            k
            for k, identity in enumerate(identities)
            if identity not in self.rows or self.rows[identity].get("failed")
        ]

    def _append(self, row: Row) -> None:
        assert self._path is not None
        with open(self._path, "a", encoding="utf-8") as file:
            file.write(json.dumps(row, ensure_ascii=False) + "\n")
            file.flush()
            os.fsync(file.fileno())


def _made(
    make: Callable[[int], Row], missing: Sequence[int], workers: int
) -> Iterator[tuple[int, Row]]:
    if workers <= 1:
        for k in missing:
            yield k, make(k)
        return
    with ThreadPoolExecutor(workers) as pool:
        futures = {pool.submit(make, k): k for k in missing}
        try:
            for future in as_completed(futures):
                yield futures[future], future.result()
        finally:
            pool.shutdown(cancel_futures=True)


def read_results(path: str | os.PathLike[str]) -> tuple[Row, list[Row]]:
    """Header and rows of a result file; of rows with one ``id`` the last."""
    header, rows = _parse(Path(path), repair=False)
    if header is None:
        raise FormatError(f"{path}: not a result of fpo eval, its first line is no header")
    return header, list({row["id"]: row for row in rows}.values())


def _parse(path: Path, *, repair: bool) -> tuple[Row | None, list[Row]]:
    """Header and rows; a last line without its end is a crash's, and is left out."""
    text = path.read_bytes()
    whole = text[: text.rfind(b"\n") + 1]
    if repair and whole != text:
        with open(path, "r+b") as file:
            file.truncate(len(whole))
    rows: list[Row] = []
    header: Row | None = None
    for number, line in enumerate(whole.splitlines(), start=1):
        try:
            row = json.loads(line)
            if number == 1:
                if row[HEADER] != FORMAT:
                    raise FormatError(f"{path}: expected format {FORMAT}, got {row[HEADER]!r}")
                header = row
            else:
                row["id"]
                rows.append(row)
        except FormatError:
            raise
        except (ValueError, KeyError, TypeError) as error:
            raise FormatError(f"{path}: line {number} is not a row of fpo eval") from error
    return header, rows


def digest(texts: Iterable[str]) -> str:
    """A short hash of what was asked, for a header."""
    state = hashlib.sha256()
    for text in texts:
        state.update(text.encode() + b"\0")
    return state.hexdigest()[:16]


class progress:
    """A bar, or nothing."""

    def __init__(self, total: int, done: int, label: str, shown: bool):
        self._bar: Any = None
        if shown:
            from tqdm.auto import tqdm

            self._bar = tqdm(total=total, initial=done, desc=label, unit="question")

    def __enter__(self) -> progress:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._bar is not None:
            self._bar.close()

    def update(self) -> None:
        """One more."""
        if self._bar is not None:
            self._bar.update()
