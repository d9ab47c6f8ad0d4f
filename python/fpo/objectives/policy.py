"""Surrogate losses of policy-gradient methods.

Tokens of a batch of responses stand one after the other; `lengths` (n,) says how many each has. An
empty response has no tokens and takes no part.
"""

from __future__ import annotations

from typing import Any, ClassVar, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from .. import _arrays, _lib
from .._arrays import Array
from .._configuration import Configuration, from_struct, parameters, to_struct, unknown_name
from .._lib import address, lib, new_array
from ..errors import DTypeError
from ._losses import optional
from ._ragged import flags, offsets_of

__all__ = [
    "CISPO",
    "DAPO",
    "GRPO",
    "GSPO",
    "PPO",
    "DrGRPO",
    "PolicyLoss",
    "PolicyLossResult",
    "Reinforce",
]


class PolicyLossResult(NamedTuple):
    """The loss, its slope in each token's log-probability, and what was seen on the way."""

    loss: float
    d_logps: Array
    clip_fraction: float
    kl: float


class PolicyLoss(Configuration):
    """The surrogate loss of a policy-gradient method; the classes are presets of its parameters."""

    _what = "policy_loss"
    _number: ClassVar[int]
    _kinds: ClassVar[dict[str, type[PolicyLoss]]] = {}
    surrogate: str
    ratio: str
    aggregation: str
    clip_low: float
    clip_high: float
    dual_clip: float
    max_length: float
    kl_coefficient: float
    kl_estimator: str
    kl_weighted: int
    kl_limit: float

    def __init_subclass__(cls, *, number: int) -> None:
        cls._number = number
        table = parameters(_lib.CONFIG_POLICY_LOSS + number)
        struct = _lib.initialized(_lib.PolicyLoss, number)
        cls._define({name: from_struct(struct, one) for name, one in table.items()}, table)
        PolicyLoss._kinds[cls.kind] = cls

    @staticmethod
    def names() -> list[str]:
        """The names of the presets."""
        return list(PolicyLoss._kinds)

    @staticmethod
    def named(loss: str | PolicyLoss, **values: Any) -> PolicyLoss:
        """The preset of a name ("grpo", ...), with parameters; a loss is returned as it is."""
        if isinstance(loss, PolicyLoss):
            return loss.replace(**values)
        if not isinstance(loss, str):
            raise DTypeError(f"loss: expected a name or a PolicyLoss, got {loss!r}")
        try:
            return PolicyLoss._kinds[loss.strip().lower()](**values)
        except KeyError:
            raise unknown_name("loss", loss, PolicyLoss.names()) from None

    def __call__(
        self,
        logps: ArrayLike,
        advantages: ArrayLike,
        lengths: ArrayLike,
        *,
        old_logps: ArrayLike | None = None,
        ref_logps: ArrayLike | None = None,
        used: ArrayLike | None = None,
        token_level: bool = False,
    ) -> PolicyLossResult:
        """The loss of a batch, which is a mean already.

        Parameters
        ----------
        logps
            Log-probabilities of the sampled tokens.
        advantages
            One for each response (n,); with `token_level`, one for each token.
        lengths
            Tokens of each response (n,).
        old_logps
            Of the policy that sampled; None: this one.
        ref_logps
            Of the reference; needed where `kl_coefficient` is above 0.
        used
            False where a response is left out, such as a truncated one (n,); None: all are used.
        """
        offset = offsets_of(lengths)
        n, tokens = offset.size - 1, int(offset[-1])
        a = _arrays.vector("logps", logps, tokens)
        advantage = _arrays.vector("advantages", advantages, tokens if token_level else n)
        if not token_level:
            advantage = np.repeat(advantage, np.diff(offset))
        old = optional("old_logps", old_logps, tokens)
        ref = optional("ref_logps", ref_logps, tokens)
        part = None if used is None else flags("used", used, n)
        struct = _lib.initialized(_lib.PolicyLoss, self._number)
        to_struct(struct, self._table, self._values)
        statistics, slope = new_array(3), new_array(tokens)
        lib.fpo_policy_loss_f64(
            _lib.byref(struct),
            n,
            address(offset),
            address(a),
            address(old),
            address(ref),
            address(advantage),
            address(part),
            address(statistics),
            address(slope),
        )
        loss, clipped, kl = map(float, statistics)
        return PolicyLossResult(loss, slope, clipped, kl)


class Reinforce(PolicyLoss, number=0):
    """``-sum_t A logp_t``, mean over responses: REINFORCE, RLOO, ReMax by their advantages."""

    kind = "reinforce"


class PPO(PolicyLoss, number=1):
    """``-min(rho A, clip(rho, 1 - 0.2, 1 + 0.2) A)``, mean over tokens."""

    kind = "ppo"


class GRPO(PolicyLoss, number=2):
    """PPO's surrogate, mean over the tokens of each response, then over responses."""

    kind = "grpo"


class DrGRPO(PolicyLoss, number=3):
    """PPO's surrogate, summed and divided by a constant `max_length`, which must be given."""

    kind = "dr_grpo"


class DAPO(PolicyLoss, number=4):
    """PPO's surrogate with a higher upper clip, mean over all tokens."""

    kind = "dapo"


class GSPO(PolicyLoss, number=5):
    """The ratio of a response, the geometric mean of its tokens'; each response counts once."""

    kind = "gspo"


class CISPO(PolicyLoss, number=6):
    """``-min(rho, 1 + clip_high) A logp`` with the weight held constant, mean over all tokens."""

    kind = "cispo"
