"""Losses against the formulas of their papers in torch, float64, with autograd as the oracle."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from fpo import _lib, errors, objectives

torch = pytest.importorskip("torch")
F = torch.nn.functional
T = torch.Tensor


def draw(n: int = 64, seed: int = 0) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Log-probabilities of policy and reference, and lengths, of n pairs."""
    rng = np.random.default_rng(seed)
    lengths = [rng.integers(1, 40, n) for _ in range(2)]
    logps = [-rng.uniform(0.3, 2.5, n) * length for length in lengths]
    return [*logps, *(logp + rng.normal(0, 1.5, n) for logp in logps)], lengths


def sp(x: T) -> T:
    return F.softplus(x)


def odds(mean: T) -> T:
    return mean - torch.log1p(-torch.exp(mean))


def box_cox(mean: T, alpha: float) -> T:
    return (1 - torch.exp(-alpha * mean)) / alpha


def exo(x: T, eps: float) -> T:
    p = torch.sigmoid(x)
    return p * (F.logsigmoid(x) - np.log1p(-eps)) + (1 - p) * (F.logsigmoid(-x) - np.log(eps))


def discopop(x: T, tau: float) -> T:
    m = torch.sigmoid(x / tau)
    return sp(-x) * (1 - m) + torch.exp(-x) * m


#: Name -> parameters, and the loss of (w, lo): policy, (c, q): log-ratios, (a, b): lengths.
FORMULAS = {
    "dpo": ({"beta": 0.3}, lambda w, lo, c, q, a, b: sp(-0.3 * (c - q))),
    "conservative_dpo": (
        {"beta": 0.3, "label_smoothing": 0.2},
        lambda w, lo, c, q, a, b: 0.8 * sp(-0.3 * (c - q)) + 0.2 * sp(0.3 * (c - q)),
    ),
    "robust_dpo": (
        {"beta": 0.3, "label_smoothing": 0.2},
        lambda w, lo, c, q, a, b: (0.8 * sp(-0.3 * (c - q)) - 0.2 * sp(0.3 * (c - q))) / 0.6,
    ),
    "hinge": ({"beta": 0.3}, lambda w, lo, c, q, a, b: torch.relu(1 - 0.3 * (c - q))),
    "ipo": ({"beta": 0.2}, lambda w, lo, c, q, a, b: (c - q - 2.5) ** 2),
    "mean_ipo": ({"beta": 0.2}, lambda w, lo, c, q, a, b: (c / a - q / b - 2.5) ** 2),
    "simpo": (
        {"beta": 2.5, "gamma": 0.3},
        lambda w, lo, c, q, a, b: sp(-(2.5 * (w / a - lo / b) - 0.3)),
    ),
    "orpo": (
        {"beta": 0.4},
        lambda w, lo, c, q, a, b: -w / a + 0.4 * sp(-(odds(w / a) - odds(lo / b))),
    ),
    "cpo": (
        {"beta": 0.3, "alpha": 0.7},
        lambda w, lo, c, q, a, b: sp(-0.3 * (w - lo)) - 0.7 * w / a,
    ),
    "alphapo": (
        {"beta": 2.5, "gamma": 0.3, "alpha": 0.5},
        lambda w, lo, c, q, a, b: sp(-(2.5 * (box_cox(w / a, 0.5) - box_cox(lo / b, 0.5)) - 0.3)),
    ),
    "dpo_shift": ({"beta": 0.3, "weight": 0.6}, lambda w, lo, c, q, a, b: sp(-0.3 * (c - 0.6 * q))),
    "length_normalized_dpo": (
        {"beta": 3.0},
        lambda w, lo, c, q, a, b: sp(-3.0 * (c / a - q / b)),
    ),
    "exo": (
        {"beta": 0.3, "label_smoothing": 0.05},
        lambda w, lo, c, q, a, b: exo(0.3 * (c - q), 0.05),
    ),
    "nca": (
        {"beta": 0.3},
        lambda w, lo, c, q, a, b: sp(-0.3 * c) + 0.5 * sp(0.3 * c) + 0.5 * sp(0.3 * q),
    ),
    "bco": ({"beta": 0.3}, lambda w, lo, c, q, a, b: sp(-0.3 * c) + sp(0.3 * q)),
    "sppo": ({"beta": 0.2}, lambda w, lo, c, q, a, b: (c - 2.5) ** 2 + (q + 2.5) ** 2),
    "apo_zero": (
        {"beta": 0.3},
        lambda w, lo, c, q, a, b: 1 - torch.sigmoid(0.3 * c) + torch.sigmoid(0.3 * q),
    ),
    "apo_down": (
        {"beta": 0.3},
        lambda w, lo, c, q, a, b: torch.sigmoid(0.3 * c) + 1 - torch.sigmoid(0.3 * (c - q)),
    ),
    "discopop": (
        {"beta": 0.3, "temperature": 0.2},
        lambda w, lo, c, q, a, b: discopop(0.3 * (c - q), 0.2),
    ),
    "forward_kl_dpo": (
        {"beta": 0.3},
        lambda w, lo, c, q, a, b: sp(-0.3 * (torch.exp(-q) - torch.exp(-c))),
    ),
    "jensen_shannon_dpo": (
        {"beta": 0.3},
        lambda w, lo, c, q, a, b: sp(-0.3 * (F.logsigmoid(c) - F.logsigmoid(q))),
    ),
    "alpha_divergence_dpo": (
        {"beta": 0.3, "alpha": 0.7},
        lambda w, lo, c, q, a, b: sp(-0.3 * (torch.exp(-0.3 * q) - torch.exp(-0.3 * c)) / 0.3),
    ),
    "dpo_positive": (
        {"beta": 0.3, "weight": 3.0},
        lambda w, lo, c, q, a, b: sp(-0.3 * (c - q - 3 * torch.relu(-c))),
    ),
    "rpo": (
        {"beta": 0.3, "alpha": 0.7},
        lambda w, lo, c, q, a, b: sp(-0.3 * (c - q)) - 0.7 * w / a,
    ),
}


def test_every_loss_of_the_header_has_a_class_and_a_formula() -> None:
    header = Path(__file__).resolve().parents[2] / "include" / "fpo.h"
    if not header.exists():
        pytest.skip("fpo.h comes with the repository")
    kinds = dict(re.findall(r"FPO_LOSS_(\w+) = (\d+)", header.read_text()))
    ours = {name.upper(): str(kind._number) for name, kind in objectives.Loss._kinds.items()}
    assert ours == kinds
    assert set(objectives.PreferenceLoss.names()) == set(FORMULAS)


@pytest.mark.parametrize("name", FORMULAS)
@pytest.mark.parametrize("seed", range(3))
def test_preference_losses_agree_with_autograd(name: str, seed: int) -> None:
    values, formula = FORMULAS[name]
    logps, lengths = draw(seed=seed)
    loss = objectives.PreferenceLoss.named(name, **values)
    ours = loss(*logps, chosen_lengths=lengths[0], rejected_lengths=lengths[1])
    w, lo, rw, rl = (torch.tensor(logp, requires_grad=True) for logp in logps)
    a, b = (torch.tensor(length) for length in lengths)
    theirs = formula(w, lo, w - rw, lo - rl, a, b)
    theirs.sum().backward()
    for found, expected in zip(ours, (theirs.detach(), w.grad, lo.grad), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-11)
    assert set(loss._values) == set(values), "the formula leaves a parameter untested"


def test_only_needed_arrays_are_read() -> None:
    w, lo, rw, rl = draw()[0]
    for name in objectives.PreferenceLoss.names():
        loss = objectives.PreferenceLoss.named(name)
        if loss.needs_reference:
            with pytest.raises(errors.DTypeError, match="ref_chosen_logps"):
                loss(w, lo)
        if loss.needs_lengths:
            with pytest.raises(errors.DTypeError, match="chosen_lengths"):
                loss(w, lo, rw, rl)
    assert not objectives.SimPO().needs_reference and objectives.SimPO().needs_lengths
    assert objectives.DPO().needs_reference and not objectives.DPO().needs_lengths


def test_a_parameter_that_a_loss_lacks_is_refused() -> None:
    """TRL's "sigmoid" ignores label_smoothing; here nothing is ignored, in C neither."""
    with pytest.raises(errors.ArgumentError, match="label_smoothing"):
        objectives.DPO(label_smoothing=0.1)
    struct = _lib.initialized(_lib.Loss, objectives.DPO._number)
    struct.label_smoothing = 0.1
    one = np.ones(1)
    with pytest.raises(errors.DomainError, match=r"config\.label_smoothing"):
        _lib.lib.fpo_preference_loss_f64(
            _lib.byref(struct), 1, *[one.ctypes.data] * 4, None, None, *[one.ctypes.data] * 3
        )


def test_overflow_names_the_row_and_writes_nothing() -> None:
    with pytest.raises(errors.NonFiniteError, match="row 1"):
        objectives.ForwardKLDPO()([-1, -1e4], [-1, -1], [-1, -1], [-1, -1])
    with pytest.raises(errors.NonFiniteError, match="row 0"):
        objectives.ORPO()([-1], [0], chosen_lengths=[3], rejected_lengths=[0])
    with pytest.raises(errors.DomainError, match="log-probability"):
        objectives.ORPO()([-1], [0.5], chosen_lengths=[3], rejected_lengths=[3])


@pytest.mark.parametrize("name", FORMULAS)
def test_extreme_and_empty_inputs(name: str) -> None:
    loss = objectives.PreferenceLoss.named(name)
    far = [-1e4, 0.0, -1e4, 0.0, -3.0]
    other = [0.0, -1e4, -1e4, 0.0, -3.0]
    sizes = {"chosen_lengths": [5, 0, 9, 0, 1], "rejected_lengths": [0, 5, 9, 0, 1]}
    try:
        result = loss(far, other, other, far, **sizes)
        assert all(np.isfinite(one).all() for one in result)
    except errors.NonFiniteError as error:
        assert name in {"forward_kl_dpo", "alpha_divergence_dpo", "orpo", "alphapo"}, error
    empty = loss([], [], [], [], chosen_lengths=[], rejected_lengths=[])
    assert empty.loss.size == 0


def test_bradley_terry_agrees_with_autograd() -> None:
    rng = np.random.default_rng(5)
    w, lo = rng.normal(0, 3, (2, 50))
    m, p = rng.uniform(0, 1, (2, 50))
    a, b = torch.tensor(w, requires_grad=True), torch.tensor(lo, requires_grad=True)
    d, q = a - b - torch.tensor(m), 0.1 + 0.8 * torch.tensor(p)
    theirs = -q * F.logsigmoid(d) - (1 - q) * F.logsigmoid(-d) + 0.01 * (a + b) ** 2
    theirs.sum().backward()
    loss = objectives.BradleyTerry(label_smoothing=0.1, centring=0.01)
    for found, expected in zip(loss(w, lo, m, p), (theirs.detach(), a.grad, b.grad), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-10, atol=1e-12)


def test_tied_losses_agree_with_autograd() -> None:
    rng = np.random.default_rng(6)
    w, lo = rng.normal(0, 2, (2, 60))
    p = np.repeat([1.0, 0.5, 0.0], 20)
    for loss, weights in (
        (objectives.Davidson(tie=0.7), lambda d: (d / 2, np.log(0.7) + 0 * d, -d / 2)),
        (
            objectives.RaoKupper(tie=0.7),
            lambda d: (
                F.logsigmoid(d - 0.7),
                torch.log(1 - torch.sigmoid(d - 0.7) - torch.sigmoid(-d - 0.7)),
                F.logsigmoid(-d - 0.7),
            ),
        ),
    ):
        a = torch.tensor(w, requires_grad=True)
        outcome = torch.log_softmax(torch.stack(weights(a - torch.tensor(lo))), 0)
        theirs = -outcome[torch.arange(3).repeat_interleave(20), torch.arange(60)]
        theirs.sum().backward()
        ours = loss(w, lo, label=p)
        np.testing.assert_allclose(ours.loss, theirs.detach(), rtol=1e-10, atol=1e-12)
        np.testing.assert_allclose(ours.d_chosen, a.grad, rtol=1e-9, atol=1e-12)
        np.testing.assert_allclose(ours.d_rejected, -a.grad, rtol=1e-9, atol=1e-12)


def test_scores_agree_with_autograd() -> None:
    rng = np.random.default_rng(7)
    s, p = rng.normal(0, 3, 40), rng.uniform(0, 1, 40)
    a = torch.tensor(s, requires_grad=True)
    for ours, theirs in (
        (objectives.squared_error(s, p), (a - torch.tensor(p)) ** 2),
        (
            objectives.cross_entropy(s, p),
            F.binary_cross_entropy_with_logits(a, torch.tensor(p), reduction="none"),
        ),
    ):
        (slope,) = torch.autograd.grad(theirs.sum(), a)
        np.testing.assert_allclose(ours.loss, theirs.detach(), rtol=1e-10, atol=1e-12)
        np.testing.assert_allclose(ours.derivative, slope, rtol=1e-10, atol=1e-12)


def test_process_rewards() -> None:
    rng = np.random.default_rng(8)
    lengths = [3, 0, 1, 5]
    s = rng.normal(0, 2, 9)
    reduce = {"product": torch.prod, "min": torch.min, "mean": torch.mean}
    for name in ("product", "min", "mean", "last"):
        a = torch.tensor(s, requires_grad=True)
        rows = torch.split(torch.sigmoid(a), lengths)
        theirs = [
            0 * a.sum() if not len(row) else reduce[name](row) if name != "last" else row[-1]
            for row in rows
        ]
        sum(theirs).backward()
        ours = objectives.process_reward(s, lengths, name)
        np.testing.assert_allclose(ours.reward, [x.item() for x in theirs], rtol=1e-12)
        np.testing.assert_allclose(ours.d_score, a.grad, rtol=1e-12, atol=1e-15)
    with pytest.raises(errors.ShapeError, match="scores"):
        objectives.process_reward(s, [3, 3])
    with pytest.raises(errors.DomainError, match="aggregation"):
        objectives.process_reward(s, lengths, "sum")


def test_general_preference_agrees_with_autograd() -> None:
    rng = np.random.default_rng(9)
    v, u = rng.normal(size=(2, 12, 6))
    weights, margin = rng.uniform(size=(12, 3)), rng.uniform(size=12)
    a, b, c = (torch.tensor(x, requires_grad=True) for x in (v, u, weights))
    block = a[:, 0::2] * b[:, 1::2] - a[:, 1::2] * b[:, 0::2]
    score = (c * block).sum(1)
    theirs = sp(-(score - torch.tensor(margin)) / 0.4)
    theirs.sum().backward()
    ours = objectives.general_preference(v, u, weights, margin, temperature=0.4)
    for found, expected in zip(
        ours, (score.detach(), theirs.detach(), a.grad, b.grad, c.grad), strict=True
    ):
        np.testing.assert_allclose(found, expected, rtol=1e-10, atol=1e-12)
    assert (objectives.general_preference(v, v).score == 0).all()


def test_kto_agrees_with_autograd() -> None:
    (w, lo, rw, rl), _ = draw()
    a = torch.tensor(w, requires_grad=True)
    ratio, good = a - torch.tensor(rw), torch.arange(64) % 3 == 0
    z = max(0.0, float((lo - rl).mean()))
    x = 0.2 * (ratio - z)
    theirs = torch.where(good, 1.3 * (1 - torch.sigmoid(x)), 0.8 * (1 - torch.sigmoid(-x)))
    theirs.sum().backward()
    loss = objectives.KTO(beta=0.2, desirable_weight=1.3, undesirable_weight=0.8)
    ours = loss(w, rw, good.numpy(), baseline=objectives.kto_baseline(lo, rl))
    np.testing.assert_allclose(ours.loss, theirs.detach(), rtol=1e-10)
    np.testing.assert_allclose(ours.derivative, a.grad, rtol=1e-10)
    with pytest.raises(errors.DTypeError, match="label"):
        loss(w, rw, np.full(64, 0.5))


def test_sft() -> None:
    ours = objectives.sft([-42.0, 0.0], [20, 0])
    assert ours.loss.tolist() == [2.1, 0] and ours.derivative.tolist() == [-0.05, -1]
    assert objectives.sft([-42.0]).loss.tolist() == [42]


def test_names_and_parameters() -> None:
    assert objectives.PreferenceLoss.named("SimPO", gamma=0.2) == objectives.SimPO(gamma=0.2)
    with pytest.raises(errors.ArgumentError, match="did you mean 'dpo'"):
        objectives.PreferenceLoss.named("dpoo")
    with pytest.raises(errors.ArgumentError, match="unknown name 'kto'"):
        objectives.PreferenceLoss.named("kto")
    with pytest.raises(errors.DomainError, match="beta"):
        objectives.DPO(beta=0)
    with pytest.raises(errors.DomainError, match="label_smoothing"):
        objectives.EXO(label_smoothing=0)
    assert objectives.DPO().beta == 0.1 and "beta" in (objectives.DPO.__doc__ or "")
