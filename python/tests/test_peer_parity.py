"""The neural environment against peers that share no code with the library.

NumPy (float64, derivatives by hand) and PyTorch (autograd) live in ``benchmarks/peers``. Same
initial weights, same draws, so trajectories must agree round by round, up to float32 rounding.
"""

import dataclasses
import sys
from pathlib import Path

import fpo
import numpy as np
import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
if not BENCHMARKS.is_dir():
    pytest.skip("benchmarks/ is not part of this distribution", allow_module_level=True)
sys.path.insert(0, str(BENCHMARKS))

from peers import numpy_neural  # noqa: E402
from peers.setting import PENALTIES, Setting, initial_weights, noise  # noqa: E402

SEEDS = (0, 1, 2)
ROUNDS = 120
SETTING = Setting()
QUANTITIES = ("utility", "proxy_reward", "action")


@pytest.fixture(scope="module")
def torch_neural():
    pytest.importorskip("torch", reason="PyTorch is not installed; NumPy referees alone")
    from peers import torch_neural

    return torch_neural


@pytest.fixture(scope="module")
def weights():
    return initial_weights(SETTING, SEEDS)


@pytest.fixture(scope="module")
def draws():
    return noise(SETTING, SEEDS, ROUNDS)


def game(arrays, index):
    return {name: array[index] for name, array in arrays.items()}


def play(setting, penalty, weights, draws, rounds, **changes):
    """The first rounds of the library's games, without the record of the initial state.

    The library wants noise for the whole game; that of the later rounds, which it must not use, is
    far out of range.
    """
    padded = {}
    for name, array in draws.items():
        games, _, *step = array.shape
        padded[name] = np.full((games, setting.rounds, *step), 1e3)
        padded[name][:, :rounds] = array
    simulation = fpo.Simulation(
        fpo.NeuralEnvironment(**(dataclasses.asdict(setting) | changes)),
        penalty,
        seeds=SEEDS,
        record_every=1,
        initial_weights=weights,
        noise=padded,
    )
    assert simulation.step(rounds) == rounds
    runs = simulation.runs()
    return {name: getattr(runs, name)[:, 1:] for name in QUANTITIES}


def largest_difference(ours, theirs):
    for name in QUANTITIES:
        assert ours[name].shape == theirs[name].shape
    return max(np.abs(ours[name] - theirs[name]).max() for name in QUANTITIES)


def test_the_published_setting_is_the_default():
    environment = fpo.NeuralEnvironment()
    for name, value in dataclasses.asdict(SETTING).items():
        assert getattr(environment, name) == value, name


@pytest.mark.parametrize("penalty", PENALTIES)
def test_float32_is_within_1e_3_of_pytorch_at_every_round(penalty, weights, draws, torch_neural):
    ours = play(SETTING, penalty, weights, draws, ROUNDS)
    for index in range(2):
        theirs = torch_neural.simulate(
            SETTING,
            penalty,
            weights=game(weights, index),
            noise=game(draws, index),
            stop_after=ROUNDS,
        )
        assert largest_difference(game(ours, index), theirs) < 1e-3


@pytest.mark.parametrize("penalty", PENALTIES)
@pytest.mark.parametrize(("precision", "tolerance"), [("float32", 1e-3), ("float64", 1e-9)])
def test_follows_the_numpy_referee(penalty, precision, tolerance, weights, draws):
    ours = play(SETTING, penalty, weights, draws, ROUNDS, precision=precision)
    theirs = numpy_neural.simulate(
        SETTING, penalty, weights=weights, noise=draws, stop_after=ROUNDS
    )
    assert np.ptp(theirs["utility"][:, -1]) > 0.01, "games that agree would hide mixed-up seeds"
    assert largest_difference(ours, theirs) < tolerance


@pytest.mark.parametrize("penalty", PENALTIES)
def test_follows_the_numpy_referee_through_the_annealing(penalty, weights):
    """A short game to its end, since the schedule hardly moves in 120 of 4000 rounds."""
    setting = dataclasses.replace(SETTING, rounds=60)
    draws = noise(setting, SEEDS, setting.rounds)
    ours = play(setting, penalty, weights, draws, setting.rounds, precision="float64")
    theirs = numpy_neural.simulate(setting, penalty, weights=weights, noise=draws)
    assert largest_difference(ours, theirs) < 1e-9


@pytest.mark.parametrize("penalty", PENALTIES)
def test_the_numpy_referee_agrees_with_autograd(penalty, weights, draws, torch_neural):
    import torch

    rounds = 20
    theirs = torch_neural.simulate(
        SETTING,
        penalty,
        weights=game(weights, 0),
        noise=game(draws, 0),
        stop_after=rounds,
        dtype=torch.float64,
    )
    referee = numpy_neural.simulate(
        SETTING, penalty, weights=weights, noise=draws, stop_after=rounds
    )
    assert largest_difference(game(referee, 0), theirs) < 1e-11


def test_jax_follows_the_numpy_referee(weights, draws):
    pytest.importorskip("jax", reason="JAX comes with `make bench` only")
    from peers import jax_neural

    for penalty in PENALTIES:
        theirs = jax_neural.simulate(
            SETTING, penalty, weights=weights, noise=draws, stop_after=ROUNDS
        )
        referee = numpy_neural.simulate(
            SETTING, penalty, weights=weights, noise=draws, stop_after=ROUNDS
        )
        assert largest_difference(referee, theirs) < 1e-3
