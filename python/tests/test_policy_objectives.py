"""Policy-gradient objectives against torch, float64, written as their papers write them."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from fpo import errors, objectives

torch = pytest.importorskip("torch")
T = torch.Tensor
LENGTHS = [3, 0, 1, 5, 2]
TOKENS = sum(LENGTHS)


def draw(seed: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    logps = -rng.uniform(0.2, 3, TOKENS)
    return {
        "logps": logps,
        "old_logps": logps + rng.normal(0, 0.3, TOKENS),
        "ref_logps": logps + rng.normal(0, 0.5, TOKENS),
        "advantages": rng.normal(size=len(LENGTHS)),
    }


def rows(x: T) -> list[T]:
    """Those of responses that are not empty."""
    return [row for row in torch.split(x, LENGTHS) if len(row)]


def clipped(rho: T, a: T, low: float, high: float) -> T:
    return torch.minimum(rho * a, torch.clamp(rho, 1 - low, 1 + high) * a)


def k3(a: T) -> T:
    return torch.exp(-a) - 1 + a


def formula(name: str, logp: T, old: T, ref: T, advantage: T) -> tuple[dict[str, object], T]:
    """Parameters, and the loss of the response-wise advantages repeated over tokens."""
    rho = torch.exp(logp - old)
    weighted = torch.clamp(rho, max=1.28).detach() * advantage * logp
    ratios = torch.cat([torch.exp(r.mean()).expand(len(r)) for r in rows(logp - old)])
    kl = 0.1 * k3(logp - ref)
    n = len(rows(logp))

    def of_sequences(u: T) -> T:
        return -torch.stack([row.mean() for row in rows(u)]).mean()

    both = {"kl_coefficient": 0.1}
    return {
        "reinforce": ({}, -(advantage * logp).sum() / n),
        "ppo": (
            {"dual_clip": 1.5},
            -torch.where(
                advantage < 0,
                torch.maximum(clipped(rho, advantage, 0.2, 0.2), 1.5 * advantage),
                clipped(rho, advantage, 0.2, 0.2),
            ).mean(),
        ),
        "grpo": (both, of_sequences(clipped(rho, advantage, 0.2, 0.2) - kl)),
        "dr_grpo": (
            {"max_length": 7, **both},
            -(clipped(rho, advantage, 0.2, 0.2) - kl).sum() / (7 * n),
        ),
        "dapo": (
            {"kl_weighted": 1, **both},
            -(clipped(rho, advantage, 0.2, 0.28) - rho * kl).mean(),
        ),
        "gspo": (
            {"clip_low": 0.1, "clip_high": 0.1},
            of_sequences(clipped(ratios, advantage, 0.1, 0.1)),
        ),
        "cispo": ({}, -weighted.mean()),
    }[name]


def test_every_preset_of_the_header_has_a_class() -> None:
    header = Path(__file__).resolve().parents[2] / "include" / "fpo.h"
    if not header.exists():
        pytest.skip("fpo.h comes with the repository")
    presets = dict(re.findall(r"FPO_POLICY_LOSS_(\w+) = (\d+)", header.read_text()))
    ours = {name.upper(): str(kind._number) for name, kind in objectives.PolicyLoss._kinds.items()}
    assert ours == presets


@pytest.mark.parametrize("name", objectives.PolicyLoss.names())
@pytest.mark.parametrize("seed", range(4))
def test_policy_losses_agree_with_autograd(name: str, seed: int) -> None:
    given = draw(seed)
    logp = torch.tensor(given["logps"], requires_grad=True)
    old, ref = torch.tensor(given["old_logps"]), torch.tensor(given["ref_logps"])
    advantage = torch.tensor(np.repeat(given["advantages"], LENGTHS))
    values, theirs = formula(name, logp, old, ref, advantage)
    theirs.backward()
    loss = objectives.PolicyLoss.named(name, **values)
    ours = loss(
        given["logps"],
        given["advantages"],
        LENGTHS,
        old_logps=given["old_logps"],
        ref_logps=given["ref_logps"],
    )
    np.testing.assert_allclose(ours.loss, theirs.item(), rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(ours.d_logps, logp.grad, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(ours.kl, k3(logp.detach() - ref).mean(), rtol=1e-10)


def test_the_policy_itself_sampled() -> None:
    """One engine samples and trains: the ratio is 1, and losses of the same weights coincide."""
    given = draw(7)
    for name in ("ppo", "dapo", "cispo"):
        one = objectives.PolicyLoss.named(name)(given["logps"], given["advantages"], LENGTHS)
        assert one.clip_fraction == 0
        other = objectives.PPO(surrogate="logarithm")(given["logps"], given["advantages"], LENGTHS)
        np.testing.assert_allclose(one.d_logps, other.d_logps, rtol=1e-14)


def test_truncated_responses_are_left_out() -> None:
    given = draw(8)
    used = [True, True, True, False, True]
    part = objectives.DAPO()(given["logps"], given["advantages"], LENGTHS, used=used)
    assert (part.d_logps[4:9] == 0).all() and (part.d_logps[:4] != 0).any()
    none = objectives.DAPO()(given["logps"], given["advantages"], LENGTHS, used=[False] * 5)
    assert none.loss == 0 and (none.d_logps == 0).all()


def test_advantages_of_tokens() -> None:
    given = draw(9)
    repeated = np.repeat(given["advantages"], LENGTHS)
    one = objectives.PPO()(given["logps"], given["advantages"], LENGTHS)
    other = objectives.PPO()(given["logps"], repeated, LENGTHS, token_level=True)
    assert one.loss == other.loss


def test_clipping_is_counted() -> None:
    ours = objectives.PPO()([0.5, 0.0], [1.0, 1.0], [1, 1], old_logps=[0.0, 0.0])
    assert ours.clip_fraction == 0.5
    np.testing.assert_allclose(ours.loss, -1.1)


def test_bad_settings_are_refused() -> None:
    with pytest.raises(errors.DomainError, match="max_length"):
        objectives.DrGRPO()([-1.0], [1.0], [1])
    with pytest.raises(errors.DomainError, match="dual_clip"):
        objectives.PPO(dual_clip=0.5)([-1.0], [1.0], [1])
    with pytest.raises(errors.NullError, match="reference"):
        objectives.GRPO(kl_coefficient=0.1)([-1.0], [1.0], [1])
    with pytest.raises(errors.NonFiniteError, match="kl_limit"):
        objectives.GRPO(kl_coefficient=0.1)([-1e4], [1.0], [1], ref_logps=[0.0])
    limited = objectives.GRPO(kl_coefficient=0.1, kl_limit=10)
    assert limited([-1e4], [0.0], [1], ref_logps=[0.0]).loss == 1
    with pytest.raises(errors.ShapeError, match="advantages"):
        objectives.GRPO()([-1.0, -2.0], [1.0, 2.0, 3.0], [2])
    with pytest.raises(errors.ArgumentError, match="did you mean 'grpo'"):
        objectives.PolicyLoss.named("grppo")


def test_group_advantages_against_numpy() -> None:
    rng = np.random.default_rng(3)
    groups = rng.integers(0, 4, 30) * 100 - 5
    r = rng.normal(size=30)
    t = rng.integers(1, 9, 30)
    expected = {name: np.zeros(30) for name in ("rloo", "grpo", "opo", "reinforce_pp_baseline")}
    for g in np.unique(groups):
        at = groups == g
        n, x = at.sum(), r[at]
        expected["rloo"][at] = x - (x.sum() - x) / (n - 1)
        expected["grpo"][at] = (x - x.mean()) / (x.std(ddof=1) + 1e-4)
        expected["opo"][at] = x - (t[at] * x).sum() / t[at].sum()
        expected["reinforce_pp_baseline"][at] = x - x.mean()
    centred = expected["reinforce_pp_baseline"]
    centred /= centred.std(ddof=1) + 1e-4
    for name, values in expected.items():
        ours = objectives.group_advantage(r, groups, name, lengths=t)
        np.testing.assert_allclose(ours, values, rtol=1e-11, atol=1e-12)
    whole = objectives.group_advantage(r, groups, "reinforce_pp")
    np.testing.assert_allclose(whole, (r - r.mean()) / (r.std(ddof=1) + 1e-4), rtol=1e-11)


def test_none_is_no_reward() -> None:
    assert objectives.group_advantage([1, None, 0], scale="none").tolist() == [0.5, 0, -0.5]
    assert objectives.group_advantage([None], None, "rloo").tolist() == [0]
    assert objectives.group_advantage([], None).size == 0
    with pytest.raises(errors.NonFiniteError, match="reward"):
        objectives.group_advantage([np.inf, 1])
    with pytest.raises(errors.DTypeError, match="lengths"):
        objectives.group_advantage([1, 2], None, "opo")


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_equal_rewards_have_exactly_no_advantage(dtype: type) -> None:
    for epsilon in (0, 1e-9, 1e-4):
        a = objectives.group_advantage(np.full(8, 0.7, dtype), epsilon=epsilon)
        assert (a == 0).all()


def test_gae_against_the_sum_of_its_definition() -> None:
    rng = np.random.default_rng(4)
    r, v = rng.normal(size=(2, TOKENS))
    last = rng.normal(size=len(LENGTHS))
    ours = objectives.gae(r, v, LENGTHS, gamma=0.9, lam=0.8, bootstrap=last)
    start = 0
    for i, n in enumerate(LENGTHS):
        values = np.append(v[start : start + n], last[i])
        delta = r[start : start + n] + 0.9 * values[1:] - values[:-1]
        for t in range(n):
            expected = sum(0.72 ** (s - t) * delta[s] for s in range(t, n))
            np.testing.assert_allclose(ours.advantage[start + t], expected, rtol=1e-12)
        start += n
    np.testing.assert_allclose(ours.returns, ours.advantage + v)


def test_token_rewards() -> None:
    given = draw(5)
    scores = np.arange(5.0)
    ours = objectives.token_rewards(scores, given["logps"], given["ref_logps"], LENGTHS, beta=0.1)
    expected = -0.1 * (given["logps"] - given["ref_logps"])
    ends = np.cumsum(LENGTHS)
    for i in (0, 2, 3, 4):
        expected[ends[i] - 1] += scores[i]
    np.testing.assert_allclose(ours, expected, rtol=1e-12)


def test_values_entropy_and_divergence_agree_with_autograd() -> None:
    rng = np.random.default_rng(6)
    v, old, ret = rng.normal(size=(3, 40))
    a = torch.tensor(v, requires_grad=True)
    near = torch.tensor(old) + torch.clamp(a - torch.tensor(old), -0.3, 0.3)
    theirs = 0.5 * torch.maximum((a - torch.tensor(ret)) ** 2, (near - torch.tensor(ret)) ** 2)
    theirs.sum().backward()
    ours = objectives.value_loss(v, old, ret, clip=0.3)
    np.testing.assert_allclose(ours.loss, theirs.detach(), rtol=1e-12)
    inside = (a.detach() - torch.tensor(old)).abs() > 0.3  # torch halves the slope of equal maxima
    np.testing.assert_allclose(ours.derivative[inside], a.grad[inside], rtol=1e-12)

    z, w = rng.normal(0, 2, size=(2, 9, 5))
    b = torch.tensor(z, requires_grad=True)
    p, q = torch.log_softmax(b, 1), torch.log_softmax(torch.tensor(w), 1)
    for found, value in (
        (objectives.entropy(z), -(p.exp() * p).sum(1)),
        (objectives.exact_kl(z, w), (p.exp() * (p - q)).sum(1)),
    ):
        (slope,) = torch.autograd.grad(value.sum(), b, retain_graph=True)
        np.testing.assert_allclose(found.value, value.detach(), rtol=1e-12)
        np.testing.assert_allclose(found.d_logits, slope, rtol=1e-9, atol=1e-13)


def test_kl_estimates_agree_with_autograd() -> None:
    given = draw(9)
    a = torch.tensor(given["logps"], requires_grad=True)
    x = a - torch.tensor(given["ref_logps"])
    for name, theirs in (("k1", x), ("k2", x * x / 2), ("k3", k3(x))):
        (slope,) = torch.autograd.grad(theirs.sum(), a, retain_graph=True)
        ours = objectives.kl_estimate(given["logps"], given["ref_logps"], name)
        np.testing.assert_allclose(ours.value, theirs.detach(), rtol=1e-12)
        np.testing.assert_allclose(ours.derivative, slope, rtol=1e-11)
    plus = objectives.kl_estimate(given["logps"], given["ref_logps"], "k3_plus")
    np.testing.assert_allclose(plus.derivative, x.detach(), rtol=1e-12)
    with pytest.raises(errors.NonFiniteError, match="row 0"):
        objectives.kl_estimate([-1e4], [0.0])
    assert objectives.kl_estimate([-1e4], [0.0], limit=10).value.tolist() == [10]


def test_whitening_and_controller() -> None:
    x = np.random.default_rng(1).normal(3, 2, 50)
    expected = (x - x.mean()) / np.sqrt(x.var(ddof=1) + 1e-8)
    np.testing.assert_allclose(objectives.whiten(x), expected, rtol=1e-12)
    np.testing.assert_allclose(
        objectives.whiten(x, shift_mean=False), expected + x.mean(), rtol=1e-12
    )
    assert objectives.whiten([5.0]).tolist() == [0]
    controller = objectives.AdaptiveKL(0.2, target=6)
    assert controller.update(60, 100) == pytest.approx(0.2 * 1.002)
    assert controller.beta == pytest.approx(0.2 * 1.002)
    penalty = objectives.overlong_penalty([0, 80, 90, 100, 500], max_length=100, buffer=20)
    assert penalty.tolist() == [0, 0, -0.5, -1, -1]
