"""What a simulation starts from and draws, checked and laid out for the library."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping

import numpy as np
from numpy.typing import ArrayLike, NDArray

from . import _arrays
from ._arrays import Array
from ._configuration import unknown_name
from ._lib import new_array
from .environments import Environment, NeuralEnvironment
from .errors import DomainError, DTypeError, OutOfMemoryError, ShapeError
from .models import LinearReward, MLPReward, flatten
from .runs import INSTRUMENTS, QUANTITIES


def seeds(values: Iterable[int]) -> NDArray[np.uint64]:
    """At least one integer in [0, 2^64), duplicates allowed."""
    if isinstance(values, (int, np.integer)):
        raise DTypeError(f"seeds: expected a sequence such as [{values}] or range({values})")
    if isinstance(values, (str, bytes)) or not isinstance(values, Iterable):
        raise DTypeError(f"seeds: expected integers, got {values!r}")
    found = [_arrays.integer("seeds", seed, 0, 2**64 - 1) for seed in values]
    if not found:
        raise ShapeError("seeds: expected at least one")
    return np.array(found, dtype=np.uint64)


def record_every(value: int | None, rounds: int) -> int:
    """Rounds between records; by default so many that about 400 records are made."""
    if value is None:
        return max(1, rounds // 400)
    return _arrays.integer("record_every", value, 1, 2**31 - 1)


def parameter_shapes(environment: Environment) -> dict[str, tuple[int, ...]]:
    """Name -> shape of the tensors of one reward model."""
    if isinstance(environment, NeuralEnvironment):
        return MLPReward(environment.dimension, environment.hidden).shapes
    return LinearReward(environment.dimension, bias=bool(environment.reward_bias)).shapes


def initial_weights(
    value: ArrayLike | Mapping[str, ArrayLike] | None,
    count: int,
    shapes: Mapping[str, tuple[int, ...]],
) -> Array | None:
    """(count, p), tensors in the order of `shapes`."""
    if value is None:
        return None
    if isinstance(value, Mapping):
        return flatten("initial_weights", value, shapes, (count,))
    size = sum(int(np.prod(shape)) for shape in shapes.values())
    return np.ascontiguousarray(_arrays.matrix("initial_weights", value, count, size))


def noise(
    value: ArrayLike | Mapping[str, ArrayLike] | None, count: int, environment: Environment
) -> tuple[Array | None, Array | None]:
    """The arrays of the inner steps and of the labels."""
    if value is None:
        return None, None
    rounds, dimension = environment.rounds, environment.dimension
    draws = {"inner": environment.inner_steps, "label": environment.labels_per_round}
    if not isinstance(value, Mapping):
        if set(draws.values()) != {1}:
            raise ShapeError(
                'noise: expected {"inner": ..., "label": ...}, since the environment has '
                f"{draws['inner']} inner steps and {draws['label']} labels a round"
            )
        both = _arrays.real("noise", value, (count, rounds, dimension))
        value = dict.fromkeys(draws, both[:, :, None, :])
    for name in value:
        if name not in draws:
            raise unknown_name("noise", name, list(draws))
    inner, label = (
        np.ascontiguousarray(
            _arrays.real(f"noise[{name!r}]", value[name], (count, rounds, size, dimension))
        )
        if name in value
        else None
        for name, size in draws.items()
    )
    return inner, label


def instruments(value: Iterable[str] | None) -> tuple[str, ...]:
    """The instruments to record, by default all."""
    if value is None:
        return INSTRUMENTS
    if isinstance(value, str) or not isinstance(value, Iterable):
        raise DTypeError(f"instruments: expected a list of names, got {value!r}")
    names = tuple(value)
    for name in names:
        if name not in INSTRUMENTS:
            raise DomainError(
                f"instruments: expected some of {', '.join(INSTRUMENTS)}, got {name!r}"
            )
    return tuple(name for name in INSTRUMENTS if name in names)


def record_arrays(
    count: int, records: int, dimension: int, instruments: tuple[str, ...]
) -> dict[str, Array]:
    """Where the records go; refuses more than this machine has memory for."""
    names = [name for name in QUANTITIES if name not in INSTRUMENTS or name in instruments]
    needed = 8 * count * records * (len(names) + dimension)
    present = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    if needed > present:
        raise OutOfMemoryError(
            f"record_every: {records} records of {count} games need {needed / 2**30:.0f} GiB, "
            f"this machine has {present / 2**30:.0f}; record less often, or fewer seeds at a time"
        )
    arrays = {name: new_array(count, records) for name in names}
    return {**arrays, "action": new_array(count, records, dimension)}
