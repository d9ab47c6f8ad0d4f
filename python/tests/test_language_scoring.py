"""Scores of candidates against their formulas in NumPy."""

from __future__ import annotations

import numpy as np
import pytest
from fpo.language import IterativeRLHFConfig
from fpo.language.scoring import Candidates, Labels, score


def some_candidates(n=5, d=6, seed=0):
    draw = np.random.default_rng(seed)
    features = draw.normal(size=(n + 1, d))
    weights = draw.normal(size=d)
    rewards = features @ weights
    return Candidates(
        reward=rewards[:n],
        reference_reward=float(rewards[n]),
        gradients=features[:n],
        reference_gradient=features[n],
        features=features[:n],
        reference_features=features[n],
        log_ratio=draw.normal(size=n),
        label=draw.uniform(size=n),
    )


def test_scores_are_the_published_formulas():
    of = some_candidates()
    inner = (of.gradients * (of.gradients - of.reference_gradient)).sum(axis=1)
    e = 1 / (1 + np.exp(of.reference_reward - of.reward)) - of.label
    for method, penalty in [
        ("myopic", 0 * inner),
        ("practical", 10 * inner),
        ("relaxed", 10 * inner * e),
        ("leash", 0.05 * of.log_ratio),
    ]:
        found = score(IterativeRLHFConfig(penalty=method), of, Labels(10))
        np.testing.assert_allclose(found.penalty, penalty, rtol=1e-12, atol=1e-14)
        np.testing.assert_allclose(found.score, of.reward - penalty, rtol=1e-12)
        assert found.share == pytest.approx(penalty.std() / of.reward.std())


def test_the_exact_score():
    of = some_candidates()
    s = 1 / (1 + np.exp(of.reference_reward - of.reward))
    v = of.gradients - of.reference_gradient
    hessian = (v.T * (s * (1 - s))) @ v / 5 + 0.3 * np.eye(6)
    direction = np.linalg.solve(hessian, of.gradients.mean(axis=0))
    config = IterativeRLHFConfig(penalty="exact", damping=0.3, gamma=2.0)
    found = score(config, of, Labels(10)).penalty
    np.testing.assert_allclose(found, 2 * (s - of.label) * (v @ direction), rtol=1e-9)


def test_the_residual_score_uses_only_labels_already_bought():
    of, draw = some_candidates(), np.random.default_rng(1)
    labels = Labels(20)
    slope = draw.normal(size=6)
    for _ in range(30):
        x = draw.normal(size=6)
        labels.add(x, float(x @ slope))
    x, y = np.array(labels.differences), np.array(labels.log_odds)
    assert x.shape == (20, 6)
    centred = x - x.mean(axis=0)
    inverse = np.linalg.inv(centred.T @ centred + 0.5 * np.eye(6))
    beta = inverse @ centred.T @ (y - y.mean())
    new = of.features - of.reference_features
    estimate = 1 / (1 + np.exp(-(y.mean() + (new - x.mean(axis=0)) @ beta)))
    e = 1 / (1 + np.exp(of.reference_reward - of.reward)) - estimate
    inner = (of.gradients * (of.gradients - of.reference_gradient)).sum(axis=1)
    config = IterativeRLHFConfig(penalty="residual", kappa=0.5, gamma=1.0)
    found = score(config, of, labels)
    np.testing.assert_allclose(found.penalty, e * inner, rtol=1e-9)
    z = new - x.mean(axis=0)
    explained = 1 - 0.5 * (z @ inverse * z).sum(axis=1) / (z * z).sum(axis=1)
    shrunk = score(config.replace(shrink=True), of, labels)
    np.testing.assert_allclose(shrunk.penalty, explained * e * inner, rtol=1e-8)


def test_without_labels_the_residual_estimate_says_nothing():
    of = some_candidates()
    probability, explained = Labels(5).probability(of.features, 1.0)
    assert (probability == 0.5).all() and (explained == 0).all()
    config = IterativeRLHFConfig(penalty="residual", shrink=True)
    assert (score(config, of, Labels(5)).penalty == 0).all()


@pytest.mark.parametrize("method", ["practical", "relaxed", "residual", "exact"])
def test_the_normalised_weight(method):
    config = IterativeRLHFConfig(penalty=method, gamma_rule="normalised", share=0.25)
    found = score(config, some_candidates(), Labels(5))
    assert found.share == pytest.approx(0.25)
    assert found.penalty.std() == pytest.approx(0.25 * some_candidates().reward.std())
