"""Every online estimator against exact truth: all responses of a small world, summed."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import fpo
import numpy as np
import pytest
from fpo import errors, objectives

WORLD = fpo.EnumerableWorld(3, 3)
SIZE = (WORLD.prefixes, WORLD.vocabulary)


def tables(seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A policy, a reference, and a reward for each response."""
    rng = np.random.default_rng(seed)
    return rng.normal(size=SIZE), rng.normal(size=SIZE), rng.normal(size=len(WORLD))


def numerical(f: Callable[[np.ndarray], float], z: np.ndarray, h: float = 1e-3) -> np.ndarray:
    gradient = np.empty_like(z)
    for at in np.ndindex(z.shape):
        value = {}
        for k in (-2, -1, 1, 2):
            moved = z.copy()
            moved[at] += k * h
            value[k] = f(moved)
        gradient[at] = (8 * (value[1] - value[-1]) - (value[2] - value[-2])) / (12 * h)
    return gradient


# ------------------------------------------------------------------------------------ the world


@pytest.mark.parametrize(("vocabulary", "length"), [(2, 1), (2, 5), (3, 3), (8, 2), (4, 4)])
def test_probabilities_sum_to_one(vocabulary: int, length: int) -> None:
    world = fpo.EnumerableWorld(vocabulary, length)
    logits = np.random.default_rng(1).normal(size=(world.prefixes, vocabulary))
    p = world.probabilities(logits)
    assert p.sum() == pytest.approx(1, abs=1e-14)
    assert len(set(world.responses)) == len(world) == p.size
    everything = world.all_responses()
    per_token = world.token_logps(logits, everything)
    sums = np.add.reduceat(per_token, np.r_[0, np.cumsum(everything.lengths)[:-1]])
    np.testing.assert_allclose(sums, world.logps(logits), rtol=1e-13)


def test_the_largest_world_can_be_enumerated() -> None:
    world = fpo.EnumerableWorld(8, 5)
    assert len(world) == sum(7**k for k in range(5)) + 7**5
    assert world.probabilities(np.zeros((world.prefixes, 8))).sum() == pytest.approx(1)
    with pytest.raises(errors.DomainError, match="vocabulary"):
        fpo.EnumerableWorld(9, 2)


def test_exact_gradients_match_finite_differences() -> None:
    z, ref, r = tables()
    for exact, f in (
        (WORLD.policy_gradient(z, r), lambda x: WORLD.expectation(x, r)),
        (WORLD.kl_gradient(z, ref), lambda x: WORLD.kl(x, ref)),
        (WORLD.forward_kl_gradient(z, ref), lambda x: WORLD.kl(ref, x)),
    ):
        np.testing.assert_allclose(exact, numerical(f, z), rtol=1e-8, atol=1e-10)


def test_the_optimum_maximises() -> None:
    z, ref, r = tables()
    p = WORLD.optimum(ref, r, 0.5)
    a = np.log(p) - WORLD.logps(ref)
    best = p @ r - 0.5 * p @ a
    assert best > WORLD.expectation(z, r) - 0.5 * WORLD.kl(z, ref)
    # At the optimum r - beta a is the same for all: the value of the game.
    assert np.ptp(r - 0.5 * a) < 1e-12


# -------------------------------------------------------------------------- KL estimators, exactly


def expected_loss_gradient(z: np.ndarray, slope: np.ndarray) -> np.ndarray:
    """The expected gradient of a loss with these slopes in the logp of each whole response."""
    return WORLD.score_gradient(z, WORLD.probabilities(z) * slope)


def test_kl_estimators_as_values() -> None:
    z, ref, _ = tables(1)
    a, b = WORLD.logps(z), WORLD.logps(ref)
    for name, unbiased in (("k1", True), ("k2", False), ("k3", True)):
        value = objectives.kl_estimate(a, b, name).value
        error = abs(WORLD.expectation(z, value) - WORLD.kl(z, ref))
        assert (error < 1e-12) == unbiased, name
    # Token by token, the sum of k3 is unbiased for the divergence of the response, too.
    everything = WORLD.all_responses()
    tokens = objectives.kl_estimate(
        WORLD.token_logps(z, everything), WORLD.token_logps(ref, everything), "k3"
    ).value
    sums = np.add.reduceat(tokens, np.r_[0, np.cumsum(everything.lengths)[:-1]])
    assert WORLD.expectation(z, sums) == pytest.approx(WORLD.kl(z, ref), abs=1e-12)


def test_kl_estimators_as_losses() -> None:
    z, ref, _ = tables(2)
    a, b = WORLD.logps(z), WORLD.logps(ref)
    reverse, forward = WORLD.kl_gradient(z, ref), WORLD.forward_kl_gradient(z, ref)
    for name, truth in (
        ("k1", 0 * reverse),
        ("k2", reverse),
        ("k3", forward),
        ("k3_plus", reverse),
    ):
        slope = objectives.kl_estimate(a, b, name).derivative
        np.testing.assert_allclose(expected_loss_gradient(z, slope), truth, atol=1e-13)
    assert np.abs(reverse - forward).max() > 1e-2


def test_kl_estimators_as_rewards() -> None:
    z, ref, _ = tables(3)
    a, b = WORLD.logps(z), WORLD.logps(ref)
    reverse = WORLD.kl_gradient(z, ref)
    for name, right in (("k1", True), ("k2", False), ("k3", False)):
        value = objectives.kl_estimate(a, b, name).value
        error = np.abs(WORLD.policy_gradient(z, value) - reverse).max()
        assert (error < 1e-12) == right, name


def test_the_weighted_k3_is_right_off_policy() -> None:
    """Expectation under the old policy of the slopes of rho k3 = gradient of KL(pi || ref)."""
    z, ref, _ = tables(4)
    old = z + np.random.default_rng(5).normal(0, 0.5, SIZE)
    a, b, c = WORLD.logps(z), WORLD.logps(ref), WORLD.logps(old)
    for weighted, right in ((1, True), (0, False)):
        loss = objectives.PPO(kl_coefficient=1, kl_weighted=weighted, aggregation="sequence_sum")
        one = np.ones(len(WORLD), dtype=int)
        # Each response as one token, so that its slope is that of the response's logp.
        slopes = loss(a, 0 * a, one, old_logps=c, ref_logps=b).d_logps * len(WORLD)
        gradient = WORLD.score_gradient(z, np.exp(c) * slopes)
        error = np.abs(gradient - WORLD.kl_gradient(z, ref)).max()
        assert (error < 1e-12) == right


# ----------------------------------------------------------------------- policy gradients, exactly


def estimate(
    z: np.ndarray, index: np.ndarray, advantage: np.ndarray, **given: object
) -> np.ndarray:
    """The gradient step that REINFORCE takes for these responses: up the reward."""
    responses = WORLD._gather(index)
    result = objectives.Reinforce()(
        WORLD.token_logps(z, responses), advantage, responses.lengths, **given
    )
    return -WORLD.token_gradient(z, responses, result.d_logps)


def exact_mean(z: np.ndarray, n: int, advantages: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """The expected step over all groups of n responses."""
    p = WORLD.probabilities(z)
    total = np.zeros(SIZE)
    for index in itertools.product(range(len(WORLD)), repeat=n):
        chosen = np.array(index)
        total += p[chosen].prod() * estimate(z, chosen, advantages(chosen))
    return total


def test_reinforce_and_rloo_are_unbiased_and_grpo_is_not() -> None:
    z, _, r = tables(6)
    truth = WORLD.policy_gradient(z, r)

    def advantage(name: str, **options: object) -> Callable[[np.ndarray], np.ndarray]:
        return lambda index: objectives.group_advantage(r[index], None, name, **options)

    for name, n in (("reinforce", 1), ("reinforce", 2), ("rloo", 2)):
        np.testing.assert_allclose(exact_mean(z, n, advantage(name)), truth, atol=1e-12)
    # The group's own mean costs the share 1/n; the deviation turns the gradient.
    half = exact_mean(z, 2, advantage("grpo", scale="none"))
    np.testing.assert_allclose(half, truth / 2, atol=1e-12)
    turned = exact_mean(z, 2, advantage("grpo"))
    cosine = (turned * truth).sum() / np.linalg.norm(turned) / np.linalg.norm(truth)
    assert cosine < 0.999


def test_remax_is_unbiased() -> None:
    z, _, r = tables(7)
    greedy: tuple[int, ...] = ()
    while greedy not in WORLD.responses:
        at = next(i for i, y in enumerate(WORLD.responses) if y[: len(greedy)] == greedy)
        greedy = (*greedy, int(np.argmax(z[WORLD._rows[at, len(greedy)]])))
    baseline = r[WORLD.responses.index(greedy)]
    mean = exact_mean(
        z,
        1,
        lambda index: objectives.group_advantage(
            r[index], None, "reinforce", baseline=np.full(index.size, baseline)
        ),
    )
    np.testing.assert_allclose(mean, WORLD.policy_gradient(z, r), atol=1e-12)


def test_importance_ratios_are_unbiased_off_policy() -> None:
    """The whole response's ratio corrects the sampler; without clipping the step is exact."""
    z, _, r = tables(8)
    old = z + np.random.default_rng(9).normal(0, 0.3, SIZE)
    everything = WORLD.all_responses()
    q = WORLD.probabilities(old)
    loss = objectives.PPO(ratio="sequence", aggregation="sequence_sum", clip_low=1, clip_high=1e6)
    total = np.zeros(SIZE)
    for i in range(len(WORLD)):
        one = WORLD._gather(np.array([i]))
        # PPO's surrogate sums u over tokens, which all share the ratio: share out the advantage.
        result = loss(
            WORLD.token_logps(z, one),
            [r[i] / one.lengths[0]],
            one.lengths,
            old_logps=WORLD.token_logps(old, one),
        )
        total -= q[i] * WORLD.token_gradient(z, one, result.d_logps)
    np.testing.assert_allclose(total, WORLD.policy_gradient(z, r), atol=1e-12)
    assert everything.lengths.sum() == everything.tokens.size


def test_gae_with_the_true_values_is_unbiased() -> None:
    """Token-level advantages against the exact value of each prefix have the exact mean step."""
    z, _, r = tables(10)
    p, everything = WORLD.probabilities(z), WORLD.all_responses()
    mass = np.bincount(
        everything.prefixes, np.repeat(p, everything.lengths), minlength=WORLD.prefixes
    )
    value = (
        np.bincount(
            everything.prefixes, np.repeat(p * r, everything.lengths), minlength=WORLD.prefixes
        )
        / mass
    )
    zero = np.zeros(everything.tokens.size)
    rewards = objectives.token_rewards(r, zero, zero, everything.lengths, beta=0)
    for lam in (1.0, 0.7, 0.0):
        advantage = objectives.gae(
            rewards, value[everything.prefixes], everything.lengths, lam=lam
        ).advantage
        weights = np.repeat(p, everything.lengths) * advantage
        step = WORLD.token_gradient(z, everything, weights)
        np.testing.assert_allclose(step, WORLD.policy_gradient(z, r), atol=1e-12)


@pytest.mark.parametrize("name", ["ppo", "grpo", "dr_grpo", "dapo", "gspo", "cispo"])
def test_surrogates_are_the_policy_gradient_up_to_their_weights(name: str) -> None:
    """On-policy, each surrogate's expected step is the sum it claims: weights w, exactly."""
    z, _, r = tables(11)
    everything = WORLD.all_responses()
    p, lengths = WORLD.probabilities(z), everything.lengths
    values = {"max_length": 3} if name == "dr_grpo" else {}
    loss = objectives.PolicyLoss.named(name, **values)
    total, truth = np.zeros(SIZE), np.zeros(SIZE)
    for i in range(len(WORLD)):
        one = WORLD._gather(np.array([i]))
        result = loss(WORLD.token_logps(z, one), [r[i]], one.lengths)
        total -= p[i] * WORLD.token_gradient(z, one, result.d_logps)
    share = 1 / 3 if name == "dr_grpo" else 1 / lengths
    truth = WORLD.policy_gradient(z, r * share)
    np.testing.assert_allclose(total, truth, atol=1e-13)


def test_sampled_estimates_are_within_monte_carlo_error() -> None:
    """RLOO from samples: the mean of many steps lies within five standard errors of truth."""
    z, _, r = tables(12)
    rng = np.random.default_rng(13)
    steps = []
    for _ in range(400):
        drawn = WORLD.sample(z, 4, rng)
        advantage = objectives.group_advantage(r[drawn.which], None, "rloo")
        steps.append(estimate(z, drawn.which, advantage))
    mean, deviation = np.mean(steps, 0), np.std(steps, 0, ddof=1)
    assert (np.abs(mean - WORLD.policy_gradient(z, r)) < 5 * deviation / 20 + 1e-12).all()


def test_the_reward_k1_leads_to_the_optimum() -> None:
    """Exact ascent of E(r - beta k1) comes near beta log E_ref e^(r / beta), the best value."""
    z, ref, r = tables(14)
    best = 0.5 * np.log(WORLD.expectation(ref, np.exp(r / 0.5)))
    gaps = []
    for _ in range(500):
        k1 = objectives.kl_estimate(WORLD.logps(z), WORLD.logps(ref), "k1").value
        gaps.append(best - WORLD.expectation(z, r - 0.5 * k1))
        z = z + 0.5 * WORLD.policy_gradient(z, r - 0.5 * k1)
    assert 0 <= gaps[-1] < 0.2 * gaps[0] and (np.diff(gaps) <= 1e-12).all()


# ------------------------------------------------------------------------------ preference losses


def test_dpo_on_all_pairs_has_the_optimum_of_its_reward() -> None:
    """With Bradley-Terry labels of r, DPO's expected gradient vanishes at pi_ref e^(r / beta)."""
    world = fpo.EnumerableWorld(4, 1)
    rng = np.random.default_rng(15)
    ref, r = rng.normal(size=(1, 4)), rng.normal(size=4)
    best = np.log(world.optimum(ref, r, 0.3))[None]
    pairs = np.array(list(itertools.permutations(range(4), 2)))
    w, lo = pairs.T
    a, b = world.logps(best), world.logps(ref)
    term = objectives.DPO(beta=0.3)(a[w], a[lo], b[w], b[lo])
    label = 1 / (1 + np.exp(-(r[w] - r[lo])))
    slope = np.bincount(w, label * term.d_chosen, 4) + np.bincount(lo, label * term.d_rejected, 4)
    np.testing.assert_allclose(slope, 0, atol=1e-14)
