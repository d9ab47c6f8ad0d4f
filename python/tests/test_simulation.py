"""Simulations: parity with NumPy, the same bits however they are cut, and their errors."""

from __future__ import annotations

import ctypes
import threading
from pathlib import Path

import fpo
import numpy as np
import pytest
from fpo import _lib
from fpo.errors import (
    ArgumentError,
    CancelledError,
    DomainError,
    DTypeError,
    FormatError,
    OutOfMemoryError,
    ShapeError,
)
from fpo.runs import INSTRUMENTS, QUANTITIES
from linear_reference import authors_weights, play

PUBLISHED = {  # final signal, noise, utility: the authors' seed 0
    "myopic": (4.063404175635242, 1.6479847296148684, 3.932168442202218),
    "relaxed": (3.274890586136819, 0.17177368478080918, 9.805979036021355),
    "practical": (3.419097283078261, 1.3928077201224383, 5.533140367637662),
}
DIFFERENCES = {"gradient": "forward-difference", "step": 0.05}
PENALTIES = ("myopic", "practical", "relaxed", "exact", "residual")


def small_neural(**changes: object) -> fpo.NeuralEnvironment:
    return fpo.NeuralEnvironment(rounds=12, **changes)


def same(a: fpo.Runs, b: fpo.Runs) -> None:
    for name in (*QUANTITIES, "action"):
        np.testing.assert_array_equal(getattr(a, name), getattr(b, name), err_msg=name)


# ------------------------------------------------------------------------------------- parity


@pytest.mark.parametrize("kind", sorted(PUBLISHED))
def test_published_numbers(kind: str) -> None:
    runs = fpo.simulate(
        fpo.LinearEnvironment(), kind, [0], initial_weights=authors_weights()[None], **DIFFERENCES
    )
    final = [getattr(runs, name)[0, -1] for name in ("signal", "noise", "utility")]
    np.testing.assert_allclose(final, PUBLISHED[kind], rtol=0, atol=1e-9)
    assert runs.rounds.tolist() == list(range(301))


@pytest.mark.parametrize("kind", sorted(PUBLISHED))
@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"dimension": 7, "signal_dimension": 2, "rounds": 40},
        {"action_cost": 0.3, "penalty_weight": 0.02, "utility_decay": 0.1, "rounds": 90},
        {"weight_decay": 0.01, "reward_learning_rate": 0.002, "policy_learning_rate": 0.05},
        {"utility_peak": 4.0, "utility_target": 1.0, "rounds": 60},
    ],
)
def test_every_round_is_that_of_the_equations(kind: str, changes: dict[str, float]) -> None:
    world = fpo.LinearEnvironment(**changes)
    weights = np.stack(
        [authors_weights(seed, world.dimension, world.signal_dimension) for seed in range(3)]
    )
    runs = fpo.simulate(
        world, kind, range(3), record_every=1, initial_weights=weights, **DIFFERENCES
    )
    for game in range(3):
        for name, values in play(kind, weights[game], **changes).items():
            np.testing.assert_allclose(
                getattr(runs, name)[game], values, rtol=1e-9, atol=1e-9, err_msg=name
            )


def test_start_centre_and_step_enter_the_equations() -> None:
    weights = authors_weights(4)
    world = fpo.LinearEnvironment(rounds=50, start=0.3, action_cost_centre=-0.2)
    runs = fpo.simulate(
        world,
        "relaxed",
        [0],
        initial_weights=weights[None],
        gradient="forward_difference",
        step=0.01,
    )
    expected = play("relaxed", weights, step=0.01, start=0.3, centre=-0.2, rounds=50)
    np.testing.assert_allclose(runs.utility[0], expected["utility"], atol=1e-9)


@pytest.mark.parametrize("kind", sorted(PUBLISHED))
def test_analytic_slopes_are_the_limit_of_the_difference(kind: str) -> None:
    world, w = fpo.LinearEnvironment(), authors_weights()[None]
    analytic = fpo.simulate(world, kind, [0], initial_weights=w).utility
    finer = [
        np.abs(
            fpo.simulate(world, kind, [0], initial_weights=w, **{**DIFFERENCES, "step": h}).utility
            - analytic
        ).max()
        for h in (1e-2, 1e-4, 1e-6)
    ]
    assert finer[0] > finer[1] > finer[2] and finer[2] < 1e-3


def test_practical_is_a_larger_action_cost() -> None:
    penalised = fpo.simulate(fpo.LinearEnvironment(), "practical", range(3))
    leash = fpo.simulate(fpo.LinearEnvironment(action_cost=0.2), "myopic", range(3))
    np.testing.assert_allclose(penalised.action, leash.action, atol=1e-11)


def test_the_records_agree_with_each_other() -> None:
    runs = fpo.simulate(small_neural(), "practical", range(4), record_every=1)
    k = runs.environment.signal_dimension
    norms = (
        np.linalg.norm(runs.action[:, :, :k], axis=2),
        np.linalg.norm(runs.action[:, :, k:], axis=2),
    )
    np.testing.assert_allclose(runs.signal, norms[0], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(runs.noise, norms[1], rtol=1e-5, atol=1e-6)
    utility = runs.environment.utility(runs.action.reshape(-1, 10)).reshape(4, -1)
    np.testing.assert_allclose(runs.utility, utility, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(
        runs.overconfidence, runs.proxy_reward - runs.utility, rtol=1e-4, atol=1e-5
    )
    np.testing.assert_allclose(runs.penalty, runs.sensitivity, rtol=1e-4)
    assert (np.abs(runs.slope_cosine) <= 1 + 1e-6).all()
    assert (runs.off_policy_error >= 0).all()


def test_the_first_record_follows_from_the_initial_weights() -> None:
    model = fpo.MLPReward(10, (32, 32))
    model.initialize(seed=1, scale=0.3)
    world = fpo.NeuralEnvironment.displaced(rounds=5, precision="float64")
    weights = {name: value[None] for name, value in model.parameters.items()}
    runs = fpo.simulate(world, "practical", [0], initial_weights=weights)
    start = world._point("start")[None]
    assert runs.proxy_reward[0, 0] == pytest.approx(model.reward(start)[0], rel=1e-9)
    assert runs.sensitivity[0, 0] == pytest.approx(model.gram(start)[0, 0], rel=1e-9)
    slope, u = model.slope(start)[0], world.utility(start)[0]
    up = -2 * world.utility_decay * u * (start[0] - world.ideal)
    cosine = slope @ up / np.linalg.norm(slope) / np.linalg.norm(up)
    assert runs.slope_cosine[0, 0] == pytest.approx(cosine, rel=1e-9)


# --------------------------------------------------------------------------------- same bits


@pytest.mark.parametrize("kind", PENALTIES)
@pytest.mark.parametrize("world", [fpo.LinearEnvironment(rounds=30), small_neural()])
def test_same_bits_for_threads_and_batches(world: fpo.Environment, kind: str) -> None:
    seeds = [3, 1, 4, 1, 5, 9, 2, 6, 5, 35, 89, 79, 32, 38, 46, 26, 43, 38, 32, 79, 50]
    whole = fpo.simulate(world, kind, seeds, threads=1)
    same(whole, fpo.simulate(world, kind, seeds, threads=2))
    for cut in (1, 7, 16):
        parts = [
            fpo.simulate(world, kind, seeds[i : i + cut], threads=2)
            for i in range(0, len(seeds), cut)
        ]
        for name in (*QUANTITIES, "action"):
            joined = np.concatenate([getattr(part, name) for part in parts])
            np.testing.assert_array_equal(joined, getattr(whole, name), err_msg=name)


@pytest.mark.parametrize("kind", PENALTIES)
@pytest.mark.parametrize("world", [fpo.LinearEnvironment(rounds=30), small_neural()])
def test_same_bits_after_save_and_resume(world: fpo.Environment, kind: str, tmp_path: Path) -> None:
    straight = fpo.simulate(world, kind, range(5), record_every=4)
    first = fpo.Simulation(world, kind, range(5), record_every=4)
    assert first.step(7) == 7 and first.round == 7
    first.save(tmp_path / "state.npz")
    second = fpo.Simulation.load(tmp_path / "state.npz")
    assert second.round == 7 and second.environment == world
    while second.step(3):
        pass
    same(second.runs(), straight)
    np.testing.assert_array_equal(second.actions, straight.action[:, -1])


def test_threads_are_put_back() -> None:
    before = fpo.get_num_threads()
    fpo.simulate(fpo.LinearEnvironment(rounds=2), threads=1)
    assert fpo.get_num_threads() == before
    with pytest.raises(DomainError, match="threads"):
        fpo.simulate(fpo.LinearEnvironment(rounds=2), threads=-1)


def test_given_noise_makes_games_independent_of_their_seeds() -> None:
    world = small_neural()
    rng = np.random.default_rng(0)
    model = fpo.MLPReward(10, (32, 32))
    noise = {
        "inner": rng.normal(size=(2, 12, world.inner_steps, 10)),
        "label": rng.normal(size=(2, 12, world.labels_per_round, 10)),
    }
    weights = 0.1 * rng.normal(size=(2, model.parameter_count))
    a, b = (
        fpo.simulate(world, "relaxed", seeds, initial_weights=weights, noise=noise)
        for seeds in ([0, 1], [8, 9])
    )
    np.testing.assert_array_equal(a.utility, b.utility)
    other = {**noise, "inner": -noise["inner"]}
    c = fpo.simulate(world, "relaxed", [0, 1], initial_weights=weights, noise=other)
    assert not np.allclose(a.action[:, -1], c.action[:, -1])


def test_linear_noise_may_be_one_array() -> None:
    world = fpo.LinearEnvironment(rounds=8, exploration=0.1)
    draws = np.random.default_rng(0).normal(size=(2, 8, 50))
    both = {"inner": draws[:, :, None], "label": draws[:, :, None]}
    a, b = (fpo.simulate(world, "myopic", [0, 1], noise=noise) for noise in (draws, both))
    same(a, b)
    with pytest.raises(ShapeError, match="noise"):
        fpo.simulate(small_neural(), noise=np.zeros((1, 12, 10)))


# -------------------------------------------------------------------------------- step level


def test_records_and_rounds() -> None:
    for every, expected in ((1, 11), (3, 5), (5, 3), (7, 3), (10, 2), (50, 2)):
        simulation = fpo.Simulation(fpo.LinearEnvironment(rounds=10), record_every=every)
        assert simulation.record_rounds.size == expected
        out = fpo._lib.integer(
            fpo._lib.lib.fpo_simulation_records, simulation.pointer, simulation.record_every
        )
        assert out == expected
        assert simulation.step(100) == 10 and simulation.step() == 0
        runs = simulation.runs()
        assert runs.rounds[0] == 0 and runs.rounds[-1] == 10
        assert np.isfinite(runs.utility).all()


def test_a_run_that_has_not_ended_has_the_records_so_far() -> None:
    simulation = fpo.Simulation(fpo.LinearEnvironment(rounds=10), record_every=3)
    assert simulation.runs().rounds.tolist() in ([], [0])
    simulation.step(7)
    runs = simulation.runs()
    assert runs.rounds.tolist() == [0, 3, 6]
    assert runs.utility.shape == (1, 3) and runs.action.shape == (1, 3, 50)


@pytest.mark.parametrize("kind", ["relaxed", "exact"])
def test_instruments_on_demand(kind: str, tmp_path: Path) -> None:
    """Each alone and in a company of two is what it is among all; the others are NaN."""
    world, seeds = small_neural(), range(3)
    full = fpo.simulate(world, kind, seeds)
    choices = [[], *([name] for name in INSTRUMENTS), ["penalty", "slope_cosine"]]
    for chosen in choices:
        simulation = fpo.Simulation(world, kind, seeds, instruments=chosen)
        simulation.step(5)
        simulation.save(tmp_path / "s.npz")
        resumed = fpo.Simulation.load(tmp_path / "s.npz")
        resumed.run()
        runs = resumed.runs()
        for name in (*QUANTITIES, "action"):
            recorded = getattr(runs, name)
            if name in INSTRUMENTS and name not in chosen:
                assert recorded.shape == runs.utility.shape and np.isnan(recorded).all(), name
            else:
                np.testing.assert_array_equal(recorded, getattr(full, name), err_msg=name)


def test_the_policy_step_is_clipped() -> None:
    """A slope beyond the clip moves each coordinate by no more than rate times clip."""
    clip, rate = 0.01, 0.5
    world = fpo.LinearEnvironment(
        rounds=40, policy_learning_rate=rate, gradient_clip=clip, gradient="analytic"
    )
    free = fpo.simulate(world.replace(gradient_clip=1e9), "relaxed", record_every=1)
    first = np.diff(free.action[0], axis=0)[0]
    biting = np.abs(first) > rate * clip
    assert biting.any() and not biting.all(), "the clip must bite some coordinates only"
    clipped = fpo.simulate(world, "relaxed", record_every=1)
    step = np.diff(clipped.action[0], axis=0)
    assert np.abs(step).max() <= rate * clip * (1 + 1e-12)
    np.testing.assert_allclose(step[0], np.clip(first, -rate * clip, rate * clip), atol=1e-15)


def test_weights_have_names() -> None:
    simulation = fpo.Simulation(small_neural(), seeds=range(3))
    shapes = {name: value.shape for name, value in simulation.weights.items()}
    assert shapes["net.2.weight"] == (3, 32, 32) and shapes["net.4.bias"] == (3, 1)
    before = simulation.flat_weights
    simulation.step(2)
    assert (simulation.flat_weights != before).any()


def test_cancel_from_another_thread() -> None:
    simulation = fpo.Simulation(fpo.NeuralEnvironment(rounds=200_000), seeds=range(64))
    timer = threading.Timer(0.2, simulation.cancel)
    timer.start()
    with pytest.raises(CancelledError):
        simulation.step(200_000)
    timer.join()
    stopped = simulation.round
    assert 0 < stopped < 200_000
    assert simulation.step(1) == 1 and simulation.round == stopped + 1


def test_state_of_something_else_is_refused(tmp_path: Path) -> None:
    world = fpo.LinearEnvironment(rounds=10)
    simulation = fpo.Simulation(world, "relaxed", range(3))
    simulation.step(4)
    state = simulation.state()
    for other in (
        fpo.Simulation(world, "relaxed", range(4)),
        fpo.Simulation(small_neural(), "relaxed", range(3)),
    ):
        with pytest.raises(FormatError):
            other.restore(state)
    for broken in (b"", state[:-1], state + b"x", bytes(len(state)), state[::-1]):
        with pytest.raises((ArgumentError, FormatError)):
            simulation.restore(broken)
    assert simulation.round == 4
    simulation.restore(state)
    with pytest.raises(DTypeError, match="state"):
        simulation.restore("text")  # type: ignore[arg-type]
    (tmp_path / "junk.npz").write_bytes(b"junk")
    with pytest.raises(FormatError, match="junk"):
        fpo.Simulation.load(tmp_path / "junk.npz")
    with pytest.raises(FileNotFoundError):
        fpo.Simulation.load(tmp_path / "none.npz")


def test_noise_must_be_given_again(tmp_path: Path) -> None:
    world = fpo.LinearEnvironment(rounds=6, exploration=0.2)
    noise = np.random.default_rng(0).normal(size=(1, 6, 50))
    straight = fpo.simulate(world, noise=noise)
    simulation = fpo.Simulation(world, noise=noise)
    simulation.step(3)
    simulation.save(tmp_path / "s.npz")
    with pytest.raises(FormatError, match="noise"):
        fpo.Simulation.load(tmp_path / "s.npz")
    resumed = fpo.Simulation.load(tmp_path / "s.npz", noise=noise)
    resumed.step(3)
    same(resumed.runs(), straight)


# ------------------------------------------------------------------------------------- errors


@pytest.mark.parametrize(
    ("options", "error", "name"),
    [
        ({"penalty": "nothing"}, ArgumentError, "penalty"),
        ({"seeds": 5}, DTypeError, "seeds"),
        ({"seeds": []}, ShapeError, "seeds"),
        ({"seeds": [-1]}, DomainError, "seeds"),
        ({"seeds": [0.5]}, DTypeError, "seeds"),
        ({"seeds": "abc"}, DTypeError, "seeds"),
        ({"seeds": None}, DTypeError, "seeds"),
        ({"record_every": 0}, DomainError, "record_every"),
        ({"instruments": "penalty"}, DTypeError, "instruments"),
        ({"instruments": ["utility"]}, DomainError, "instruments"),
        ({"initial_weights": np.zeros((2, 50))}, ShapeError, "initial_weights"),
        ({"initial_weights": np.full((1, 50), np.nan)}, ValueError, "initial_weights"),
        ({"initial_weights": {"w": np.zeros((1, 50))}}, ArgumentError, "initial_weights"),
        ({"noise": np.zeros((1, 3, 50))}, ShapeError, "noise"),
        ({"noise": {"iner": np.zeros((1, 300, 1, 50))}}, ArgumentError, "did you mean 'inner'"),
        ({"gradient": "numeric"}, DomainError, "gradient"),
        ({"step": -1.0}, DomainError, "difference_step"),
    ],
)
def test_arguments_are_named(options: dict[str, object], error: type, name: str) -> None:
    with pytest.raises(error, match=name):
        fpo.simulate(fpo.LinearEnvironment(), **options)  # type: ignore[arg-type]


def test_absurd_sizes_are_refused_before_memory_is_touched() -> None:
    with pytest.raises(OutOfMemoryError, match="record_every"):
        fpo.simulate(fpo.LinearEnvironment(rounds=10**9), seeds=range(1000), record_every=1)
    environment = _lib.initialized(_lib.Environment, 1)
    penalty = _lib.initialized(_lib.Penalty, 0)
    inputs = _lib.initialized(_lib.SimulationInputs)
    inputs.seeds, inputs.count = np.zeros(1, np.uint64).ctypes.data, 2**32  # one seed is there
    handle = ctypes.c_void_p()
    with pytest.raises(OutOfMemoryError, match="4294967296 games take"):
        _lib.lib.fpo_simulation_create(*map(ctypes.byref, (environment, penalty, inputs, handle)))
    with pytest.raises(DTypeError, match="environment"):
        fpo.simulate("linear")  # type: ignore[arg-type]


def test_the_exact_reward_is_the_utility() -> None:
    """With a bias and the oracle's slope the exact penalty ends at the ideal, in both worlds."""
    for world in (fpo.NeuralEnvironment(), fpo.NeuralEnvironment.displaced()):
        runs = fpo.simulate(world, "exact", range(4), record_every=4000)
        assert (runs.utility[:, -1] > 9.9).all()
