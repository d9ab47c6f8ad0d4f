"""The score by which a round's winner is chosen: reward minus a penalty, or minus a leash."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .. import numerics, penalties
from .config import IterativeRLHFConfig

__all__ = ["Candidates", "Labels", "Scores", "score"]

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Candidates:
    """What a score is made of: n candidates, and the reference answer of the same prompt.

    ``reward`` (n,), ``gradients`` (n, q) of the reward in the reward model's parameters (or rows
    with the same inner products), ``features`` (n, d); ``log_ratio`` (n,) to the base model;
    ``label`` (n,), the oracle's probability that a candidate is better than the reference, only
    where a penalty needs it.
    """

    reward: Array
    reference_reward: float
    gradients: Array
    reference_gradient: Array
    features: Array
    reference_features: Array
    log_ratio: Array
    label: Array | None = None


@dataclass(frozen=True)
class Scores:
    """``score`` (n,), and what was subtracted from the reward: ``penalty`` (n,), weight included.

    ``overconfidence`` (n,) is the penalty's own idea of it, None where it has none. ``share`` is
    the standard deviation of the penalty over the candidates relative to the reward's.
    """

    score: Array
    penalty: Array
    overconfidence: Array | None
    share: float


class Labels:
    """The newest labels bought: feature differences and the log-odds that the oracle gave them."""

    def __init__(self, capacity: int):
        self.capacity = capacity
        self.differences: list[Array] = []
        self.log_odds: list[float] = []

    def add(self, difference: Array, log_odds: float) -> None:
        """One more comparison; the oldest is forgotten."""
        self.differences.append(difference)
        self.log_odds.append(log_odds)
        del self.differences[: -self.capacity], self.log_odds[: -self.capacity]

    def probability(self, differences: Array, kappa: float) -> tuple[Array, Array]:
        """The estimated label of new differences (n, d), and how far the labels explain them.

        Ridge regression of the log-odds on feature differences. The second result is
        ``1 - kappa x (X^T X + kappa I)^-1 x / x x`` for the centred x: the share of the prior
        variance of a prediction there that the labels have removed, 0 where they say nothing.
        """
        n = differences.shape[0]
        if not self.log_odds:
            return np.full(n, 0.5), np.zeros(n)
        known = np.stack(self.differences)
        fit = numerics.ridge(known, np.array(self.log_odds), kappa=kappa)
        centred, new = known - fit.mean_x, differences - fit.mean_x
        # x (X^T X + kappa I)^-1 x kappa = x x - x X^T (X X^T + kappa I)^-1 X x
        kernel = centred @ centred.T + kappa * np.eye(len(known))
        cross = centred @ new.T
        removed = (cross * numerics.cholesky_solve(kernel, cross)).sum(axis=0)
        explained = removed / np.maximum((new * new).sum(axis=1), 1e-300)
        return numerics.sigmoid(fit(differences)), np.clip(explained, 0.0, 1.0)

    def state(self) -> dict[str, NDArray[np.generic]]:
        """Arrays from which `restore` rebuilds it."""
        width = self.differences[0].size if self.differences else 0
        return {
            "differences": np.array(self.differences).reshape(len(self.log_odds), width),
            "log_odds": np.array(self.log_odds),
        }

    def restore(self, state: dict[str, NDArray[np.generic]]) -> None:
        """Goes back to a `state`."""
        self.differences = [np.asarray(row, dtype=np.float64) for row in state["differences"]]
        self.log_odds = [float(one) for one in state["log_odds"]]


def score(config: IterativeRLHFConfig, candidates: Candidates, labels: Labels) -> Scores:
    """Scores of the candidates of one prompt under the configured penalty or control."""
    n = candidates.reward.size
    if config.penalty == "leash":
        penalty, overconfidence = config.kl_beta * candidates.log_ratio, None
    elif config.penalty in ("myopic", "best-of-n"):
        penalty, overconfidence = np.zeros(n), None
    else:
        raw, overconfidence = _penalty(config, candidates, labels)
        weight = config.gamma
        if config.gamma_rule == "normalised":
            spread = float(raw.std())
            weight = config.share * float(candidates.reward.std()) / spread if spread > 0 else 0.0
        penalty = weight * raw
    spread = float(candidates.reward.std())
    share = float(penalty.std()) / spread if spread > 0 else 0.0
    return Scores(candidates.reward - penalty, penalty, overconfidence, share)


def _penalty(
    config: IterativeRLHFConfig, of: Candidates, labels: Labels
) -> tuple[Array, Array | None]:
    """The penalty before its weight (n,), and the overconfidence that it was made of."""
    reference = np.broadcast_to(of.reference_gradient, of.gradients.shape).copy()
    if config.penalty == "practical":
        plain = penalties.practical(of.gradients, reference, shift_invariant=config.shift_invariant)
        return plain, None
    reference_reward = np.full(of.reward.size, of.reference_reward)
    if config.penalty == "residual":
        estimate, explained = labels.probability(of.features - of.reference_features, config.kappa)
        e = penalties.overconfidence(of.reward, estimate, reference_reward)
        if config.shrink:
            e = e * explained
        return penalties.relaxed(of.gradients, e, reference), e
    assert of.label is not None
    e = penalties.overconfidence(of.reward, of.label, reference_reward)
    if config.penalty == "relaxed":
        return penalties.relaxed(of.gradients, e, reference), e
    s = numerics.sigmoid(of.reward - of.reference_reward)
    exact = penalties.exact(
        of.gradients, e, reference, damping=config.damping, curvature=s * (1 - s)
    )
    return exact, e
