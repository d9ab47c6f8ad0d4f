"""Advantages and returns of sampled responses and tokens."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .. import _arrays
from .._arrays import Array
from .._lib import address, lib, new_array
from ..errors import DTypeError
from ._losses import ResponseLoss, optional
from ._ragged import integers, lengths_of, offsets_of
from .divergence import ESTIMATORS, choice, limit_of

__all__ = [
    "GAE",
    "gae",
    "group_advantage",
    "overlong_penalty",
    "token_rewards",
    "value_loss",
    "whiten",
]

_ADVANTAGES = ("reinforce", "rloo", "grpo", "opo", "reinforce_pp", "reinforce_pp_baseline")
_SCALES = ("none", "group", "batch")


def _rewards(rewards: Any) -> Array:
    """Rewards as floats; None is NaN: there is no score."""
    if isinstance(rewards, (list, tuple)):
        rewards = [np.nan if one is None else one for one in rewards]
    return np.ascontiguousarray(_arrays.real("rewards", rewards, ("n",), finite=False))


def group_advantage(
    rewards: ArrayLike,
    groups: ArrayLike | None = None,
    estimator: str = "grpo",
    *,
    scale: str = "group",
    epsilon: float = 1e-4,
    baseline: ArrayLike | None = None,
    lengths: ArrayLike | None = None,
) -> Array:
    """Advantages of responses (n,) from their rewards.

    Equal rewards of a group give exactly 0; so does a group of one, except for "rloo", which then
    compares with the rest of the batch.

    Parameters
    ----------
    rewards
        (n,); None or NaN where a response cannot be scored: it gets 0 and enters no statistic.
    groups
        Which prompt a response belongs to (n,): any integers; None: all to one.
    estimator
        "reinforce" ``R - baseline``, "rloo" minus the mean of the others, "grpo"
        ``(R - mean) / (s + epsilon)``, "opo" minus the length-weighted mean, "reinforce_pp"
        whitened over the batch, "reinforce_pp_baseline" after subtraction of the group's mean.
    scale
        What "grpo" divides by: the deviation of the "group", of the "batch", or "none" (Dr. GRPO).
    epsilon
        Added to the deviation; 1e-4 as in TRL.
    baseline
        Of "reinforce" (n,): a moving average, or for ReMax the reward of the greedy response.
    lengths
        Of "opo": tokens of each response (n,).
    """
    r = _rewards(rewards)
    n = r.size
    g: NDArray[np.int64] | None = None
    if groups is not None:
        g = np.unique(integers("groups", groups, n), return_inverse=True)[1].reshape(n)
        g = g.astype(np.int64)
    b = optional("baseline", baseline, n)
    t = None if lengths is None else lengths_of("lengths", lengths, n)
    if estimator == "opo" and t is None:
        raise DTypeError("lengths: the estimator opo needs them")
    out = new_array(n)
    lib.fpo_group_advantage_f64(
        choice("estimator", estimator, _ADVANTAGES),
        choice("scale", scale, _SCALES),
        _arrays.scalar("epsilon", epsilon),
        n,
        address(r),
        address(g),
        address(b),
        address(t),
        address(out),
    )
    return out


def overlong_penalty(lengths: ArrayLike, *, max_length: int, buffer: int) -> Array:
    """DAPO's soft punishment (n,): 0 up to ``max_length - buffer``, -1 from `max_length`."""
    t = lengths_of("lengths", lengths)
    out = new_array(t.size)
    lib.fpo_overlong_penalty_f64(
        t.size,
        address(t),
        _arrays.integer("max_length", max_length, 1, 2**31 - 1),
        _arrays.integer("buffer", buffer, 1, 2**31 - 1),
        address(out),
    )
    return out


def token_rewards(
    scores: ArrayLike,
    logps: ArrayLike,
    ref_logps: ArrayLike,
    lengths: ArrayLike,
    *,
    beta: float = 0.05,
    estimator: str = "k1",
) -> Array:
    """Rewards of tokens: ``-beta k_t``, and the response's score (n,) at its last token."""
    offset = offsets_of(lengths)
    n, tokens = offset.size - 1, int(offset[-1])
    s = _arrays.vector("scores", scores, n)
    a = _arrays.vector("logps", logps, tokens)
    b = _arrays.vector("ref_logps", ref_logps, tokens)
    out = new_array(tokens)
    lib.fpo_token_rewards_f64(
        n,
        address(offset),
        address(s),
        address(a),
        address(b),
        choice("estimator", estimator, ESTIMATORS),
        _arrays.scalar("beta", beta),
        address(out),
    )
    return out


class GAE(NamedTuple):
    """Advantages and returns of tokens."""

    advantage: Array
    returns: Array


def gae(
    rewards: ArrayLike,
    values: ArrayLike,
    lengths: ArrayLike,
    *,
    gamma: float = 1.0,
    lam: float = 0.95,
    bootstrap: ArrayLike | None = None,
) -> GAE:
    """Generalised advantage estimation (Schulman et al., arXiv:1506.02438, eq. 16).

    Parameters
    ----------
    rewards, values
        Of tokens.
    lengths
        Tokens of each response (n,).
    gamma, lam
        Discount, and decay of the estimate, in [0, 1].
    bootstrap
        The value after the last token (n,), of a response that was cut off; None: 0.
    """
    offset = offsets_of(lengths)
    n, tokens = offset.size - 1, int(offset[-1])
    r = _arrays.vector("rewards", rewards, tokens)
    v = _arrays.vector("values", values, tokens)
    b = optional("bootstrap", bootstrap, n)
    out = GAE(new_array(tokens), new_array(tokens))
    lib.fpo_gae_f64(
        n,
        address(offset),
        address(r),
        address(v),
        address(b),
        _arrays.scalar("gamma", gamma),
        _arrays.scalar("lam", lam),
        *map(address, out),
    )
    return out


def whiten(x: ArrayLike, *, shift_mean: bool = True) -> Array:
    """``(x - mean) / sqrt(variance + 1e-8)``; without `shift_mean` the mean is added again."""
    a = _arrays.vector("x", x)
    out = new_array(a.size)
    lib.fpo_whiten_f64(a.size, address(a), int(not shift_mean), address(out))
    return out


def value_loss(
    values: ArrayLike, old_values: ArrayLike, returns: ArrayLike, *, clip: float | None = 0.2
) -> ResponseLoss:
    """``max((V - R)^2, (clip(V, old +- clip) - R)^2) / 2`` of each token; None: no clip."""
    v = _arrays.vector("values", values)
    old = _arrays.vector("old_values", old_values, v.size)
    r = _arrays.vector("returns", returns, v.size)
    out = ResponseLoss(new_array(v.size), new_array(v.size))
    lib.fpo_value_loss_f64(
        v.size, address(v), address(old), address(r), limit_of("clip", clip), *map(address, out)
    )
    return out
