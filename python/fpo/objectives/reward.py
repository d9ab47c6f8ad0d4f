"""Losses of reward models: pairs, scores, steps, and general preferences."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from .. import _arrays
from .._arrays import Array
from .._lib import address, lib, new_array
from ..errors import ShapeError
from ._losses import Loss, PairLoss, ResponseLoss, optional
from ._ragged import offsets_of
from .divergence import choice

__all__ = [
    "BradleyTerry",
    "Davidson",
    "GeneralPreferenceLoss",
    "PairRewardLoss",
    "ProcessReward",
    "RaoKupper",
    "cross_entropy",
    "general_preference",
    "process_reward",
    "squared_error",
]


class PairRewardLoss(Loss):
    """A loss of the rewards of (chosen, rejected) pairs, with derivatives in them."""

    def __call__(
        self,
        chosen: ArrayLike,
        rejected: ArrayLike,
        margin: ArrayLike | None = None,
        label: ArrayLike | None = None,
    ) -> PairLoss:
        """The loss of each pair.

        Parameters
        ----------
        chosen, rejected
            Rewards (n,).
        margin
            What the chosen response must win by (n,); None: 0.
        label
            Probability in [0, 1] that `chosen` is the better one (n,), 0.5 for a tie; None: 1.
        """
        w = _arrays.vector("chosen", chosen)
        n = w.size
        r = _arrays.vector("rejected", rejected, n)
        m, p = optional("margin", margin, n), optional("label", label, n)
        out = PairLoss(*(new_array(n) for _ in range(3)))
        lib.fpo_reward_loss_f64(
            self._struct(), n, address(w), address(r), address(m), address(p), *map(address, out)
        )
        return out


class BradleyTerry(PairRewardLoss, number=0):
    """``-p log s(d) - (1 - p) log s(-d) + centring (chosen + rejected)^2``.

    ``d = chosen - rejected - margin``; labels are smoothed to ``p = eps + (1 - 2 eps) label``.
    """

    kind = "bradley_terry"
    label_smoothing: float
    centring: float


class Davidson(PairRewardLoss, number=1):
    """Preferences with ties: weights ``e^(d/2)``, ``tie``, ``e^(-d/2)`` of win, tie and loss."""

    kind = "davidson"
    tie: float
    centring: float


class RaoKupper(PairRewardLoss, number=2):
    """Preferences with ties: a win is ``s(d - tie)``, a loss ``s(-d - tie)``, a tie the rest."""

    kind = "rao_kupper"
    tie: float
    centring: float


def _score_loss(kind: int, score: ArrayLike, label: ArrayLike) -> ResponseLoss:
    s = _arrays.vector("score", score)
    u = _arrays.vector("label", label, s.size)
    out = ResponseLoss(new_array(s.size), new_array(s.size))
    lib.fpo_score_loss_f64(kind, s.size, address(s), address(u), *map(address, out))
    return out


def squared_error(score: ArrayLike, label: ArrayLike) -> ResponseLoss:
    """``(score - label)^2`` of each score (n,): a reward model of absolute grades."""
    return _score_loss(0, score, label)


def cross_entropy(score: ArrayLike, label: ArrayLike) -> ResponseLoss:
    """Cross-entropy of ``sigmoid(score)`` with a label in [0, 1]: outcomes, or steps (n,)."""
    return _score_loss(1, score, label)


class ProcessReward(NamedTuple):
    """Rewards of solutions (n,), and their slopes in the scores of all steps."""

    reward: Array
    d_score: Array


_AGGREGATIONS = ("product", "min", "mean", "last")


def process_reward(
    scores: ArrayLike, lengths: ArrayLike, aggregation: str = "product"
) -> ProcessReward:
    """Rewards of solutions from the scores of their steps, ``sigmoid(score)`` each.

    Parameters
    ----------
    scores
        Scores of the steps of all solutions, one after the other.
    lengths
        Steps of each solution (n,); a solution without steps has reward 0.
    aggregation
        "product", "min", "mean" or "last". Product and minimum fall with the number of steps.
    """
    number = choice("aggregation", aggregation, _AGGREGATIONS)
    offset = offsets_of(lengths)
    s = _arrays.vector("scores", scores, int(offset[-1]))
    out = ProcessReward(new_array(offset.size - 1), np.zeros(s.size))
    lib.fpo_process_reward_f64(
        number,
        offset.size - 1,
        address(offset),
        address(s),
        *map(address, out),
    )
    return out


class GeneralPreferenceLoss(NamedTuple):
    """Scores and losses (n,), and derivatives in the embeddings (n, 2 b) and weights (n, b)."""

    score: Array
    loss: Array
    d_chosen: Array
    d_rejected: Array
    d_weights: Array


def general_preference(
    chosen: ArrayLike,
    rejected: ArrayLike,
    weights: ArrayLike | None = None,
    margin: ArrayLike | None = None,
    *,
    temperature: float = 0.1,
) -> GeneralPreferenceLoss:
    """The general preference model: a skew-symmetric score of two embeddings.

    ``score = sum_b w_b (v_2b u_2b+1 - v_2b+1 u_2b)``, ``P(chosen wins) = sigmoid(score /
    temperature)``, ``loss = softplus(-(score - margin) / temperature)``. Zhang et al.,
    arXiv:2410.02197.

    Parameters
    ----------
    chosen, rejected
        Embeddings v, u (n, 2 b), of length one in the paper.
    weights
        One for each block (n, b); None: 1.
    margin
        (n,); None: 0.
    temperature
        tau > 0; 0.1 in the paper's code.
    """
    v = np.ascontiguousarray(_arrays.matrix("chosen", chosen))
    n, d = v.shape
    if d % 2:
        raise ShapeError(f"chosen: expected an even number of columns, got {d}")
    u = np.ascontiguousarray(_arrays.matrix("rejected", rejected, n, d))
    w = None
    if weights is not None:
        w = np.ascontiguousarray(_arrays.matrix("weights", weights, n, d // 2))
    m = optional("margin", margin, n)
    out = GeneralPreferenceLoss(
        new_array(n), new_array(n), new_array(n, d), new_array(n, d), new_array(n, d // 2)
    )
    lib.fpo_general_preference_f64(
        n,
        d // 2,
        address(v),
        address(u),
        address(w),
        address(m),
        _arrays.positive("temperature", temperature),
        *map(address, out),
    )
    return out
