"""What is measured. Each function prepares a contest and returns the call to time.

Every contestant draws its own random numbers inside the timed call, and keeps a record of utility,
proxy reward and action at every round. Names are those of `benchmarks.__main__`; everything here
runs in the worker process, which has set the cores before the imports below.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from . import machine
from .peers.setting import Setting, initial_weights, noise

Call = Callable[[], Any]


def fpo_neural(games: int, rounds: int) -> Call:
    """Plays a batch of neural games in libfpo."""
    import fpo

    environment = fpo.NeuralEnvironment(rounds=rounds)
    return lambda: fpo.simulate(
        environment,
        "relaxed",
        seeds=range(games),
        record_every=1,
        instruments=[],
        threads=len(machine.cores()),
    )


def torch_neural(rounds: int) -> Call:
    """Plays the first rounds of one neural game in PyTorch."""
    import torch

    from .peers import torch_neural

    torch.set_num_threads(len(machine.cores()))
    return lambda: torch_neural.simulate(Setting(), "relaxed", stop_after=rounds)


def jax_neural(games: int, rounds: int) -> Call:
    """Plays the first rounds of a batch of neural games in JAX, compiled beforehand."""
    from .peers import jax_neural

    seeds = np.arange(games)
    weights = initial_weights(Setting(), seeds)
    return jax_neural.prepare(Setting(), "relaxed", weights=weights, seeds=seeds, stop_after=rounds)


def numpy_neural(games: int, rounds: int) -> Call:
    """Plays the first rounds of a batch of neural games in NumPy, given noise, in float64."""
    from .peers import numpy_neural

    weights = initial_weights(Setting(), range(games))
    draws = noise(Setting(), range(games), rounds)
    return lambda: numpy_neural.simulate(
        Setting(), "relaxed", weights=weights, noise=draws, stop_after=rounds
    )


def fpo_allocations(games: int, lengths: list[int], repeats: int) -> Call:
    """Heap allocations, counted by the preloaded shim, of calls that play so many rounds.

    The fewest of `repeats` calls: the interpreter allocates now and then on its own account.
    """
    import ctypes

    import fpo

    count = ctypes.CDLL(None).allocation_count
    count.restype = ctypes.c_ulonglong

    def measure() -> list[int]:
        simulation = fpo.Simulation(fpo.NeuralEnvironment(), "relaxed", range(games))
        simulation.step(max(lengths))
        fewest = []
        for length in lengths:
            counts = []
            for _ in range(repeats):
                before = count()
                simulation.step(length)
                counts.append(count() - before)
            fewest.append(min(counts))
        return fewest

    return measure


def _values(count: int) -> np.ndarray:
    return np.random.default_rng(0).uniform(-20, 20, count).astype(np.float32)


def fpo_elementwise(function: str, count: int, repeat: int) -> Call:
    """A function of `fpo.numerics` on an array, `repeat` times."""
    import fpo

    x, f = _values(count), getattr(fpo.numerics, function)
    return lambda: [f(x) for _ in range(repeat)]


def numpy_elementwise(function: str, count: int, repeat: int) -> Call:
    """The same in NumPy."""
    x = _values(count)
    f = {"exp": np.exp, "softplus": lambda x: np.logaddexp(x, np.float32(0))}[function]
    return lambda: [f(x) for _ in range(repeat)]


def torch_elementwise(function: str, count: int, repeat: int) -> Call:
    """The same in PyTorch."""
    import torch

    torch.set_num_threads(len(machine.cores()))
    x = torch.as_tensor(_values(count))
    f = {"exp": torch.exp, "softplus": torch.nn.functional.softplus}[function]
    return lambda: [f(x) for _ in range(repeat)]


def _gradients(count: int, parameters: int) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(0)
    return generator.standard_normal((count, parameters)), generator.standard_normal(count)


def fpo_exact(count: int, parameters: int) -> Call:
    """The exact penalty of `count` samples, in Gram form."""
    import fpo

    gradients, error = _gradients(count, parameters)
    return lambda: fpo.penalties.exact(gradients, error, damping=0.1)


def numpy_exact(count: int, parameters: int) -> Call:
    """The same in NumPy: (G^T G / n + delta I)^-1 gbar by the push-through identity."""
    g, error = _gradients(count, parameters)

    def measure() -> np.ndarray:
        mean = g.mean(0)
        gram = g @ g.T
        projected = g @ mean
        inner = np.linalg.solve(gram + 0.1 * count * np.eye(count), projected)
        return error * (projected - gram @ inner) / 0.1

    return measure
