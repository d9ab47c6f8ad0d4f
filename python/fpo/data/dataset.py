"""A set of rows of one kind, kept by columns."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import _arrays
from .._arrays import Array
from ..errors import ArgumentError, DomainError, DTypeError, FormatError, ShapeError
from . import _schema, files
from ._schema import Invalid
from .files import PathLike

__all__ = ["Dataset", "first_user_turn", "read"]

_MOST_NAMED = 10
_NUMERIC = {"label": np.bool_, "tie": np.bool_}
_MISSING = {"tie": False, "weight": 1.0, "margin": 0.0}


class Dataset(Sequence[dict[str, Any]]):
    """Rows of one kind, checked, with a column for each field.

    ============================  ===============================================================
    kind                          fields
    ============================  ===============================================================
    ``preference``                ``prompt``, ``chosen``, ``rejected``; optional ``margin`` >= 0,
                                  ``soft_label`` (the probability that `chosen` is better),
                                  ``tie``, ``weight``
    ``unpaired-preference``       ``prompt``, ``completion``, ``label`` (good or bad)
    ``stepwise``                  ``prompt``, ``completions`` (steps), ``labels`` in [0, 1], or
                                  null for a step without a label
    ``prompt-completion``         ``prompt``, ``completion``
    ``prompt``                    ``prompt``
    ``messages``, ``text``        a whole conversation, a whole text
    ============================  ===============================================================

    These are TRL's names. A prompt or completion is a plain text, or a list of messages with
    ``role`` and ``content``. Any further field, such as ``answer``, is a column too.

    Parameters
    ----------
    rows
        Mappings from field to value.
    kind
        One of the above; None: what the fields of the first row say.

    Raises
    ------
    FormatError
        Rows are not of that kind; the message names the first ten and what was expected.
    """

    def __init__(self, rows: Iterable[Mapping[str, Any]], kind: str | None = None) -> None:
        named = ((f"row {index}", row) for index, row in enumerate(rows))
        self._load(named, kind)

    def _load(self, rows: Iterable[tuple[str, Any]], kind: str | None) -> None:
        kind = kind if kind is None else _schema.check_kind(kind)
        accepted: list[dict[str, Any]] = []
        bad: list[str] = []
        for place, row in rows:
            try:
                if isinstance(row, FormatError):
                    raise Invalid(str(row))
                if kind is None:
                    kind = _schema.kind_of(_schema.mapping(row))
                accepted.append(_schema.checked(row, kind))
            except Invalid as error:
                bad.append(f"{place}: {error}")
        if bad:
            rest = [f"and {len(bad) - _MOST_NAMED} more"] if len(bad) > _MOST_NAMED else []
            raise FormatError("\n".join(bad[:_MOST_NAMED] + rest))
        if kind is None:
            raise ArgumentError("kind: expected the kind of an empty set, got None")
        names = dict.fromkeys([*_schema.KINDS[kind], *chain.from_iterable(accepted)])
        self._fill(
            kind,
            len(accepted),
            {
                name: _column(name, [row.get(name, _MISSING.get(name)) for row in accepted])
                for name in names
            },
        )

    def _fill(self, kind: str, size: int, columns: dict[str, Any]) -> None:
        self._kind, self._size, self._columns = kind, size, columns

    @property
    def kind(self) -> str:
        """Which fields every row has."""
        return self._kind

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of the fields."""
        return tuple(self._columns)

    @property
    def conversational(self) -> bool:
        """Whether the rows are conversations rather than plain texts."""
        first = next(iter(self._columns))
        return any(isinstance(value, list) for value in self._columns[first])

    def column(self, name: str) -> Any:
        """One field of all rows: an array of numbers, else a list. Not a copy."""
        if name not in self._columns:
            raise DomainError(f"name: expected one of {', '.join(self._columns)}, got {name!r}")
        return self._columns[name]

    def __len__(self) -> int:
        """How many rows there are."""
        return self._size

    def __repr__(self) -> str:
        return f"Dataset({self._kind!r}, {self._size} rows: {', '.join(self._columns)})"

    def __getitem__(self, index: Any) -> Any:
        """A row of its number; a `Dataset` of a slice, of row numbers, or of a mask."""
        if isinstance(index, (int, np.integer)):
            position = range(self._size)[index]
            return {name: _plain(column[position]) for name, column in self._columns.items()}
        if isinstance(index, slice):
            return self._selected(np.arange(self._size)[index])
        chosen = np.asarray(index)
        if chosen.dtype == np.bool_:
            if chosen.shape != (self._size,):
                raise ShapeError(f"index: expected shape ({self._size},), got {chosen.shape}")
            return self._selected(np.flatnonzero(chosen))
        if chosen.size == 0:
            return self._selected(np.empty(0, np.intp))
        if chosen.ndim != 1 or chosen.dtype.kind not in "iu":
            raise DTypeError("index: expected a row number, a slice, row numbers or a mask")
        if chosen.min() < -self._size or chosen.max() >= self._size:
            raise DomainError(f"index: expected row numbers below {self._size}")
        return self._selected(chosen % self._size)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        """The rows in order."""
        return (self[index] for index in range(self._size))

    def _selected(self, rows: NDArray[np.intp]) -> Dataset:
        result = Dataset.__new__(Dataset)
        result._fill(
            self._kind,
            len(rows),
            {
                name: column[rows]
                if isinstance(column, np.ndarray)
                else [column[row] for row in rows]
                for name, column in self._columns.items()
            },
        )
        return result

    def soft_labels(self) -> Array:
        """The target of each pair: the probability that `chosen` is the better one.

        ``soft_label`` where it is given, else 1/2 for a tie, else 1.
        """
        self._require("preference")
        ties = self._columns.get("tie", np.zeros(self._size, bool))
        given = self._columns.get("soft_label", np.full(self._size, np.nan))
        return np.where(np.isnan(given), np.where(ties, 0.5, 1.0), given)

    def identical_pairs(self) -> NDArray[np.bool_]:
        """Which pairs have the same text twice: no gradient, though they count in a mean."""
        self._require("preference")
        pairs = zip(self._columns["chosen"], self._columns["rejected"], strict=True)
        return np.fromiter((one == other for one, other in pairs), bool, self._size)

    def duplicates(self) -> NDArray[np.bool_]:
        """Which rows repeat an earlier one in all required fields."""
        names = [*_schema.KINDS[self._kind]]
        keys = [
            json.dumps([_plain(self._columns[name][row]) for name in names])
            for row in range(self._size)
        ]
        first = {key: row for row, key in reversed(list(enumerate(keys)))}
        return np.fromiter((first[key] != row for row, key in enumerate(keys)), bool, self._size)

    def deduplicated(self) -> Dataset:
        """The first of each set of equal rows, in order."""
        result: Dataset = self[~self.duplicates()]
        return result

    def split(self, salt: str = "", **shares: float) -> dict[str, Dataset]:
        """Splits by the first user turn, so that no two parts share one.

        A row's place in [0, 1) is the BLAKE2b hash (8 bytes, big-endian) of `salt`, a zero byte
        and `first_user_turn` of its prompt, in UTF-8, over 2^64; the shares cut that interval in
        the order in which they are named. Neither order nor size of the set matters: a row added
        later moves no other.

        >>> parts = dataset.split(train=0.8, validation=0.1, test=0.1)
        """
        sizes = [_arrays.scalar(name, share) for name, share in shares.items()]
        if not sizes or min(sizes) < 0 or not math.isclose(sum(sizes), 1, abs_tol=1e-9):
            raise DomainError(f"shares: expected numbers of at least 0 with sum 1, got {shares}")
        column = self._columns[next(iter(self._columns))]
        places = np.array([_place(salt, first_user_turn(prompt)) for prompt in column])
        part = np.searchsorted(np.cumsum(sizes)[:-1], places, side="right")
        return {name: self[part == number] for number, name in enumerate(shares)}

    def to_unpaired(self) -> Dataset:
        """Each pair as a good and a bad completion, as KTO takes them; ties are left out."""
        self._require("preference")
        rows: list[dict[str, Any]] = []
        for row, target in zip(self, self.soft_labels(), strict=True):
            if target != 0.5:
                good = target > 0.5
                for name, label in (("chosen", good), ("rejected", not good)):
                    rows.append({"prompt": row["prompt"], "completion": row[name], "label": label})
        return Dataset(rows, "unpaired-preference")

    def filter(self, keep: Callable[[dict[str, Any]], bool]) -> Dataset:
        """The rows for which `keep` is true."""
        kept = np.fromiter((bool(keep(row)) for row in self), bool, self._size)
        result: Dataset = self[kept]
        return result

    def write(self, path: PathLike) -> None:
        """Writes ``.jsonl``, ``.jsonl.gz`` or ``.parquet``; `read` gives the same rows back."""
        files.write_rows(path, (_without_nan(row) for row in self))

    def _require(self, kind: str) -> None:
        if self._kind != kind:
            raise ArgumentError(f"dataset: expected kind {kind}, got {self._kind}")


def read(*paths: PathLike, kind: str | None = None) -> Dataset:
    """Reads one set from one or more files: ``.jsonl``, ``.jsonl.gz``, ``.parquet``.

    Parameters
    ----------
    paths
        Read one after the other; blank lines are passed over.
    kind
        As for `Dataset`.

    Raises
    ------
    FormatError
        Rows are wrong; each is named as ``file:line: field: what was expected``.
    MissingDependencyError
        Parquet without PyArrow (``pip install fpo[data]``).
    """
    if not paths:
        raise ArgumentError("paths: expected at least one file")
    result = Dataset.__new__(Dataset)
    result._load(chain.from_iterable(map(files.read_rows, paths)), kind)
    return result


def first_user_turn(prompt: str | Sequence[Mapping[str, str]]) -> str:
    """The first thing the user says, without the white space around it.

    Of a conversation the first message with role ``user`` (the first message, if there is none);
    of a plain text in the form of HH-RLHF what stands between the first ``Human:`` and
    ``Assistant:``; of any other text all of it.
    """
    if not isinstance(prompt, str):
        turns = [turn["content"] for turn in prompt if turn["role"] == "user"]
        return (turns[0] if turns else prompt[0]["content"]).strip()
    before, human, rest = prompt.partition("Human:")
    if human and not before.strip():
        return rest.partition("\n\nAssistant:")[0].strip()
    return prompt.strip()


def _place(salt: str, turn: str) -> float:
    content = salt.encode() + b"\0" + turn.encode()
    # 53 bits: a quotient of all 64 could round up to 1.
    return (int.from_bytes(hashlib.blake2b(content, digest_size=8).digest()) >> 11) / 2**53


def _column(name: str, values: list[Any]) -> list[Any] | NDArray[Any]:
    """An array where all values are numbers of one kind, NaN for what is missing; else a list."""
    if name in _NUMERIC:
        return np.array(values, _NUMERIC[name])
    kinds = {type(value) for value in values}
    if kinds == {bool}:
        return np.array(values)
    if kinds == {int} and all(abs(value) < 2**63 for value in values):
        return np.array(values, np.int64)
    if float in kinds and kinds <= {int, float, type(None)}:
        return np.array([math.nan if value is None else value for value in values], np.float64)
    return values


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value


def _without_nan(row: dict[str, Any]) -> dict[str, Any]:
    def plain(value: Any) -> Any:
        if isinstance(value, list):
            return [plain(one) for one in value]
        return None if isinstance(value, float) and math.isnan(value) else value

    return {name: plain(value) for name, value in row.items()}
