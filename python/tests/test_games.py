"""Games against brute force and the finite sums of the enumerable world."""

from __future__ import annotations

import itertools

import fpo
import numpy as np
import pytest
from fpo import errors, objectives
from fpo.errors import ConvergenceError

CYCLE = np.array([[0.5, 0.7, 0.3], [0.3, 0.5, 0.8], [0.7, 0.2, 0.5]])


def preferences(n: int, seed: int) -> np.ndarray:
    upper = np.triu(np.random.default_rng(seed).uniform(size=(n, n)), 1)
    return np.asarray(upper + np.tril(1 - upper.T, -1) + np.eye(n) / 2)


# ------------------------------------------------------------------------------------- equilibria


def test_nash_of_a_cycle() -> None:
    np.testing.assert_allclose(objectives.nash(CYCLE), [3 / 7, 2 / 7, 2 / 7], atol=1e-12)
    # The Borda winner is another response than the Bradley-Terry fit's.
    np.testing.assert_allclose(CYCLE.mean(1), [0.5, 0.5333333, 0.4666667], atol=1e-6)


@pytest.mark.parametrize("n", [1, 2, 3, 8, 40])
@pytest.mark.parametrize("seed", range(4))
def test_the_von_neumann_winner_loses_to_none(n: int, seed: int) -> None:
    p = preferences(n, seed)
    winner = objectives.nash(p)
    assert winner.sum() == pytest.approx(1, abs=1e-12) and (winner >= 0).all()
    assert (winner @ p).min() >= 0.5 - 1e-9


@pytest.mark.parametrize("seed", range(6))
def test_matrix_games_are_saddle_points(seed: int) -> None:
    rng = np.random.default_rng(seed)
    a = rng.normal(size=(rng.integers(1, 30), rng.integers(1, 30))) * 10.0 ** rng.integers(-6, 6)
    game = objectives.matrix_game(a)
    scale = np.ptp(a) or 1
    assert (a @ game.column).max() <= game.value + 1e-9 * scale
    assert (game.row @ a).min() >= game.value - 1e-9 * scale


@pytest.mark.parametrize("tau", [1.0, 0.1, 0.02])
def test_regularised_nash_is_a_fixed_point(tau: float) -> None:
    p = preferences(5, 1)
    ref = np.random.default_rng(2).dirichlet(np.ones(5))
    pi = objectives.regularized_nash(p, ref, tau=tau)
    z = np.log(ref) + p @ pi / tau
    expected = np.exp(z - z.max())
    np.testing.assert_allclose(pi, expected / expected.sum(), atol=1e-9)


def test_regularised_nash_tends_to_nash() -> None:
    even = np.full(3, 1 / 3)
    for tau, expected in (
        (0.1, (0.39274, 0.34151, 0.26575)),
        (0.01, (0.42800, 0.29176, 0.28024)),
    ):
        pi = objectives.regularized_nash(CYCLE, even, tau=tau)
        np.testing.assert_allclose(pi, expected, atol=6e-6)
    with pytest.raises(ConvergenceError):
        objectives.regularized_nash(CYCLE, [0.2, 0.3, 0.5], tau=0.01, max_iterations=5)


def test_bad_games_are_refused() -> None:
    with pytest.raises(errors.DomainError, match="must be 1"):
        objectives.regularized_nash([[0.5, 0.7], [0.7, 0.5]], [0.5, 0.5], tau=1)
    with pytest.raises(errors.DomainError, match="reference"):
        objectives.regularized_nash(CYCLE, [0.5, 0.5, 0.5], tau=1)
    with pytest.raises(errors.ShapeError, match="preference"):
        objectives.nash(np.ones((2, 3)))
    with pytest.raises(errors.DomainError, match="probability"):
        objectives.best_of_n([0.5, 0.7], [1, 2], 2)
    with pytest.raises(errors.DomainError, match="n:"):
        objectives.best_of_n_estimate([1.0, 2.0], [1.0, 2.0], 3)


# ----------------------------------------------------------------------- in the enumerable world

WORLD = fpo.EnumerableWorld(3, 2)


def world_game(seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    size = (WORLD.prefixes, WORLD.vocabulary)
    return rng.normal(size=size), rng.normal(size=size), preferences(len(WORLD), seed)


def test_spo_rewards_have_the_gradient_of_self_play() -> None:
    """Over all pairs of samples: grad_pi P(pi over pi') at pi' = pi, exactly."""
    z, _, p = world_game(1)
    pi = WORLD.probabilities(z)
    truth = WORLD.policy_gradient(z, p @ pi)
    total = np.zeros_like(z)
    for i, j in itertools.product(range(len(WORLD)), repeat=2):
        index = np.array([i, j])
        rewards = objectives.win_rate(p[np.ix_(index, index)])
        drawn = WORLD._gather(index)
        step = objectives.Reinforce()(WORLD.token_logps(z, drawn), rewards, drawn.lengths)
        total -= pi[i] * pi[j] * WORLD.token_gradient(z, drawn, step.d_logps)
    np.testing.assert_allclose(total, truth, atol=1e-12)


def test_nash_md_advantages_are_unbiased_and_find_the_equilibrium() -> None:
    z, ref, p = world_game(2)
    tau = 0.3
    b = WORLD.logps(ref)

    def step(z: np.ndarray) -> np.ndarray:
        """Expected over all responses, against the exact mixture opponent of whole responses."""
        a = WORLD.logps(z)
        opponent = np.exp(objectives.geometric_mixture(a[None], b[None], 0.0)[0])
        advantage = objectives.nash_md_advantage(p @ opponent, a, b, tau=tau)
        return WORLD.score_gradient(z, np.exp(a) * advantage)

    pi = WORLD.probabilities(z)
    truth = WORLD.policy_gradient(z, p @ pi) - tau * WORLD.kl_gradient(z, ref)
    np.testing.assert_allclose(step(z), truth, atol=1e-12)

    # The game's own fixed point stops the ascent.
    best = objectives.regularized_nash(p, np.exp(b), tau=tau)
    logits = np.zeros_like(z)
    for row in range(WORLD.prefixes):
        at = WORLD._rows == row
        for token in range(WORLD.vocabulary):
            mass = best[(at & (WORLD._tokens == token)).any(1)].sum()
            logits[row, token] = np.log(mass)
    np.testing.assert_allclose(WORLD.probabilities(logits), best, atol=1e-9)
    np.testing.assert_allclose(step(logits), 0, atol=1e-9)


def test_the_mixture_is_nearer_to_the_reference() -> None:
    z, ref, _ = world_game(3)
    for c, expected in ((0.0, z), (1.0, ref)):
        np.testing.assert_allclose(
            objectives.geometric_mixture(z, ref, c), WORLD.policy(expected), atol=1e-14
        )
    half = objectives.geometric_mixture(z, ref, 0.5)
    assert WORLD.kl(half, ref) < WORLD.kl(z, ref)


def test_xpo_adds_the_exploration_bonus() -> None:
    rng = np.random.default_rng(4)
    w, lo, rw, rl = rng.normal(-20, 3, (4, 9))
    dpo = objectives.DPO(beta=0.2)(w, lo, rw, rl)
    ours = objectives.xpo(w, lo, rw, rl, lo, beta=0.2, alpha=0.01)
    np.testing.assert_allclose(ours.loss, dpo.loss + 0.01 * lo, rtol=1e-13)
    np.testing.assert_allclose(ours.d_chosen, dpo.d_chosen)
    assert (ours.d_sample == 0.01).all()


# -------------------------------------------------------------------------------------- best of n


@pytest.mark.parametrize("n", [1, 2, 3])
def test_best_of_n_by_enumeration(n: int) -> None:
    """All n-tuples of responses of the world, the best one (or a fair share of the best) kept."""
    z, _, _ = world_game(5)
    pi = WORLD.probabilities(z)
    score = np.round(np.random.default_rng(6).normal(size=pi.size), 0)  # with ties
    expected = np.zeros_like(pi)
    for index in itertools.product(range(pi.size), repeat=n):
        drawn = np.array(index)
        best = drawn[score[drawn] == score[drawn].max()]
        np.add.at(expected, best, pi[drawn].prod() / best.size)
    ours = objectives.best_of_n(pi, score, n)
    np.testing.assert_allclose(ours.probability, expected, atol=1e-14)
    kl = (expected * np.log(expected / pi))[expected > 0].sum()
    assert ours.kl == pytest.approx(kl, abs=1e-13)
    assert ours.kl <= ours.bound + 1e-15


def test_the_estimate_of_best_of_n_is_unbiased() -> None:
    rng = np.random.default_rng(7)
    pi = rng.dirichlet(np.ones(4))
    proxy, gold = np.array([1.0, 2.0, 2.0, 3.0]), rng.normal(size=4)
    truth = objectives.best_of_n(pi, proxy, 2).probability @ gold
    total = 0.0
    for index in itertools.product(range(4), repeat=4):
        drawn = np.array(index)
        total += pi[drawn].prod() * objectives.best_of_n_estimate(proxy[drawn], gold[drawn], 2)
    assert total == pytest.approx(truth, abs=1e-13)


# ------------------------------------------------------------------------------------ instruments


def test_overoptimization_fit() -> None:
    d = np.linspace(0.2, 6, 12)
    best = objectives.overoptimization(d, d * (1 - 0.1 * d))
    assert best.alpha == pytest.approx(1) and best.beta == pytest.approx(0.1)
    assert best.peak_distance == pytest.approx(5) and best.peak == pytest.approx(2.5)
    rl = objectives.overoptimization(d, d * (1 - 0.1 * np.log(d)), "rl")
    assert rl.peak_distance == pytest.approx(8103.08, rel=1e-5)
    noise = np.random.default_rng(8).normal(0, 0.1, 12)
    ours = objectives.overoptimization(d, d * (1 - 0.1 * d) + noise)
    columns = np.stack([d, -d * d], 1)
    expected, residual, *_ = np.linalg.lstsq(columns, d * (1 - 0.1 * d) + noise)
    np.testing.assert_allclose(ours[:2], expected, rtol=1e-9)
    errors_ = np.sqrt(np.diag(np.linalg.inv(columns.T @ columns)) * residual[0] / 10)
    np.testing.assert_allclose(ours[2:4], errors_, rtol=1e-9)
    with pytest.raises(errors.SingularError):
        objectives.overoptimization([1.0, 1.0], [1.0, 2.0])
    assert np.isnan(objectives.overoptimization([1.0, 2.0], [1.0, 4.0]).peak)


def test_ches_and_accuracy() -> None:
    rng = np.random.default_rng(9)
    h, g = rng.normal(size=(5, 7)), rng.normal(size=(3, 7))
    s, t = h.sum(0), g.sum(0)
    ours = objectives.ches(h, g)
    np.testing.assert_allclose(ours.score, s @ t - s @ s, rtol=1e-12)
    np.testing.assert_allclose(ours.length_normalized, s @ t / 15 - s @ s / 25, rtol=1e-12)
    np.testing.assert_allclose(ours.last, h[-1] @ g[-1] - h[-1] @ h[-1], rtol=1e-12)
    assert objectives.pair_accuracy([2, 1, 1, 0], [1, 1, 2, 0]) == (0.25, 0.5, 0.5)
    assert np.isnan(objectives.pair_accuracy([], []).strict)
