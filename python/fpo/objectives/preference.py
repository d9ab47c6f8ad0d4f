"""Direct preference optimisation: losses of the policy's log-probabilities.

``c`` and ``q`` are the log-ratios ``log pi / pi_ref`` of the chosen and the rejected response,
``D = c - q``, ``T`` a length in tokens, ``s`` the logistic function. Papers and equations:
``docs/methods.md``.
"""

from __future__ import annotations

import functools

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .. import _arrays, _lib
from .._lib import address, lib, new_array
from ..errors import DTypeError
from ._losses import Loss, PairLoss, ResponseLoss
from ._ragged import flags, lengths_of

__all__ = [
    "APODown",
    "APOZero",
    "AlphaDivergenceDPO",
    "AlphaPO",
    "BCO",
    "CPO",
    "ConservativeDPO",
    "DPO",
    "DPOPositive",
    "DPOShift",
    "DiscoPOP",
    "EXO",
    "ForwardKLDPO",
    "HingeLoss",
    "IPO",
    "JensenShannonDPO",
    "KTO",
    "LengthNormalizedDPO",
    "MeanIPO",
    "NCA",
    "ORPO",
    "PreferenceLoss",
    "RPO",
    "RobustDPO",
    "SPPO",
    "SimPO",
    "UnpairedLoss",
    "kto_baseline",
    "sft",
]


@functools.cache
def _needs(number: int) -> tuple[bool, bool]:
    reference, length = _lib.c_int32(), _lib.c_int32()
    lib.fpo_loss_needs(number, _lib.byref(reference), _lib.byref(length))
    return bool(reference.value), bool(length.value)


class PreferenceLoss(Loss):
    """A loss of (chosen, rejected) pairs of responses, with derivatives in the policy's logps."""

    @property
    def needs_reference(self) -> bool:
        """Whether the log-probabilities of a reference model are read."""
        return _needs(self._number)[0]

    @property
    def needs_lengths(self) -> bool:
        """Whether the lengths of the responses are read."""
        return _needs(self._number)[1]

    def __call__(
        self,
        chosen_logps: ArrayLike,
        rejected_logps: ArrayLike,
        ref_chosen_logps: ArrayLike | None = None,
        ref_rejected_logps: ArrayLike | None = None,
        *,
        chosen_lengths: ArrayLike | None = None,
        rejected_lengths: ArrayLike | None = None,
    ) -> PairLoss:
        """The loss of each pair; what the loss does not need is not read.

        Parameters
        ----------
        chosen_logps, rejected_logps
            ``log pi(y | x)``, summed over the tokens of each response (n,).
        ref_chosen_logps, ref_rejected_logps
            The same of the reference model (n,).
        chosen_lengths, rejected_lengths
            Tokens of each response (n,); an empty response has log-probability 0.

        Raises
        ------
        NonFiniteError
            A pair's loss is beyond double precision; the message has its number.
        """
        w = _arrays.vector("chosen_logps", chosen_logps)
        n = w.size
        arrays: list[NDArray[np.generic] | None] = [w]
        arrays.append(_arrays.vector("rejected_logps", rejected_logps, n))
        for name, logps in (
            ("ref_chosen_logps", ref_chosen_logps),
            ("ref_rejected_logps", ref_rejected_logps),
        ):
            arrays.append(self._vector(name, logps, n) if self.needs_reference else None)
        for name, lengths in (
            ("chosen_lengths", chosen_lengths),
            ("rejected_lengths", rejected_lengths),
        ):
            if not self.needs_lengths:
                arrays.append(None)
            elif lengths is None:
                raise DTypeError(f"{name}: {self.kind} needs them")
            else:
                arrays.append(lengths_of(name, lengths, n))
        out = PairLoss(*(new_array(n) for _ in range(3)))
        lib.fpo_preference_loss_f64(self._struct(), n, *map(address, arrays), *map(address, out))
        return out

    def _vector(self, name: str, value: ArrayLike | None, n: int) -> _arrays.Array:
        if value is None:
            raise DTypeError(f"{name}: {self.kind} compares with a reference model")
        return _arrays.vector(name, value, n)


class DPO(PreferenceLoss, number=3):
    """``-log s(beta D)``: direct preference optimisation."""

    kind = "dpo"
    beta: float


class ConservativeDPO(PreferenceLoss, number=4):
    """``-(1 - eps) log s(beta D) - eps log s(-beta D)``: cDPO, for flipped labels."""

    kind = "conservative_dpo"
    beta: float
    label_smoothing: float


class RobustDPO(PreferenceLoss, number=5):
    """``(-(1 - eps) log s(beta D) + eps log s(-beta D)) / (1 - 2 eps)``; unbounded below."""

    kind = "robust_dpo"
    beta: float
    label_smoothing: float


class HingeLoss(PreferenceLoss, number=6):
    """``max(0, 1 - beta D)``, as SLiC-HF."""

    kind = "hinge"
    beta: float


class IPO(PreferenceLoss, number=7):
    """``(D - 1 / (2 beta))^2``, log-ratios summed over tokens, as the paper has them."""

    kind = "ipo"
    beta: float


class MeanIPO(PreferenceLoss, number=8):
    """``(c / T+ - q / T- - 1 / (2 beta))^2``, averaged over tokens: TRL's "ipo"."""

    kind = "mean_ipo"
    beta: float


class SimPO(PreferenceLoss, number=9):
    """``-log s(beta (mean logp+ - mean logp-) - gamma)``; no reference."""

    kind = "simpo"
    beta: float
    gamma: float


class ORPO(PreferenceLoss, number=10):
    """``-mean logp+ + beta softplus(-log(odds+ / odds-))``; no reference."""

    kind = "orpo"
    beta: float


class CPO(PreferenceLoss, number=11):
    """``-log s(beta (logp+ - logp-)) - alpha mean logp+``; no reference."""

    kind = "cpo"
    beta: float
    alpha: float


class AlphaPO(PreferenceLoss, number=12):
    """SimPO with rewards ``(1 - p^-alpha) / alpha`` of the mean probability p; no reference."""

    kind = "alphapo"
    beta: float
    gamma: float
    alpha: float


class DPOShift(PreferenceLoss, number=13):
    """``-log s(beta (c - weight q))``: the rejected response counts for less."""

    kind = "dpo_shift"
    beta: float
    weight: float


class LengthNormalizedDPO(PreferenceLoss, number=14):
    """``-log s(beta (c / T+ - q / T-))``: TRL's "sigmoid_norm"."""

    kind = "length_normalized_dpo"
    beta: float


class EXO(PreferenceLoss, number=15):
    """``KL(s(beta D) || 1 - eps)``: TRL's "exo_pair"."""

    kind = "exo"
    beta: float
    label_smoothing: float


class NCA(PreferenceLoss, number=16):
    """``-log s(beta c) - log s(-beta c) / 2 - log s(-beta q) / 2``: TRL's "nca_pair"."""

    kind = "nca"
    beta: float


class BCO(PreferenceLoss, number=17):
    """``-log s(beta c) - log s(-beta q)``: TRL's "bco_pair"."""

    kind = "bco"
    beta: float


class SPPO(PreferenceLoss, number=18):
    """``(c - 1 / (2 beta))^2 + (q + 1 / (2 beta))^2``: TRL's "sppo_hard"."""

    kind = "sppo"
    beta: float


class APOZero(PreferenceLoss, number=19):
    """``1 - s(beta c) + s(beta q)``."""

    kind = "apo_zero"
    beta: float


class APODown(PreferenceLoss, number=20):
    """``s(beta c) + 1 - s(beta D)``."""

    kind = "apo_down"
    beta: float


class DiscoPOP(PreferenceLoss, number=21):
    """``(1 - m) softplus(-x) + m e^-x``, x = beta D, m = s(x / temperature)."""

    kind = "discopop"
    beta: float
    temperature: float


class ForwardKLDPO(PreferenceLoss, number=22):
    """f-DPO with KL(reference || policy): scores ``-e^-a`` of the log-ratio a."""

    kind = "forward_kl_dpo"
    beta: float


class JensenShannonDPO(PreferenceLoss, number=23):
    """f-DPO with the Jensen-Shannon divergence: scores ``log s(a)``."""

    kind = "jensen_shannon_dpo"
    beta: float


class AlphaDivergenceDPO(PreferenceLoss, number=24):
    """f-DPO with an alpha-divergence: scores ``e^((alpha - 1) a) / (alpha - 1)``."""

    kind = "alpha_divergence_dpo"
    beta: float
    alpha: float


class DPOPositive(PreferenceLoss, number=25):
    """``-log s(beta (D - weight max(0, -c)))``: DPOP."""

    kind = "dpo_positive"
    beta: float
    weight: float


class RPO(PreferenceLoss, number=26):
    """DPO and ``-alpha mean logp+``."""

    kind = "rpo"
    beta: float
    alpha: float


class UnpairedLoss(Loss):
    """A loss of single responses, labelled desirable or not."""

    def __call__(
        self,
        logps: ArrayLike,
        ref_logps: ArrayLike,
        label: ArrayLike,
        *,
        baseline: float = 0.0,
    ) -> ResponseLoss:
        """The loss of each response.

        Parameters
        ----------
        logps, ref_logps
            ``log pi(y | x)`` of policy and reference, summed over tokens (n,).
        label
            True where a response is desirable (n,).
        baseline
            ``z0``, held constant; see `kto_baseline`.
        """
        a = _arrays.vector("logps", logps)
        b = _arrays.vector("ref_logps", ref_logps, a.size)
        y = flags("label", label, a.size)
        out = ResponseLoss(new_array(a.size), new_array(a.size))
        lib.fpo_unpaired_loss_f64(
            self._struct(),
            a.size,
            address(a),
            address(b),
            address(y),
            _arrays.scalar("baseline", baseline),
            *map(address, out),
        )
        return out


class KTO(UnpairedLoss, number=27):
    """``w_D (1 - s(beta (a - z0)))`` or ``w_U (1 - s(beta (z0 - a)))`` of the log-ratio a."""

    kind = "kto"
    beta: float
    desirable_weight: float
    undesirable_weight: float


def kto_baseline(logps: ArrayLike, ref_logps: ArrayLike) -> float:
    """``z0 = max(0, mean(logps - ref_logps))`` over responses paired with the wrong prompts.

    The responses of a batch under each other's prompts; a batch of one has none (n = 0 gives 0).
    """
    a = _arrays.vector("logps", logps)
    b = _arrays.vector("ref_logps", ref_logps, a.size)
    out = new_array(1)
    lib.fpo_kto_baseline_f64(a.size, address(a), address(b), address(out))
    return float(out[0])


def sft(logps: ArrayLike, lengths: ArrayLike | None = None) -> ResponseLoss:
    """Supervised fine-tuning: ``-logp``, or ``-logp / T`` with lengths (n,)."""
    a = _arrays.vector("logps", logps)
    t = None if lengths is None else lengths_of("lengths", lengths, a.size)
    out = ResponseLoss(new_array(a.size), new_array(a.size))
    lib.fpo_sft_loss_f64(a.size, address(a), address(t), *map(address, out))
    return out
