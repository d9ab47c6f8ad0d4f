"""TRL 1.16 as oracle: its loss functions on random numbers.

The trainers' loss methods are called on stand-ins that hold what they read and return our random
log-probabilities in place of a model's. What differs on purpose is said where it is tested.
"""

from __future__ import annotations

from collections import defaultdict
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from fpo import objectives

torch = pytest.importorskip("torch")
trl = pytest.importorskip("trl", reason="TRL is not installed")
if trl.__version__.split(".")[:2] != ["1", "16"]:
    pytest.skip(f"written against TRL 1.16, not {trl.__version__}", allow_module_level=True)

pytestmark = pytest.mark.filterwarnings("ignore")

LENGTHS = np.array([[3, 4], [1, 6], [5, 2], [7, 7], [2, 3], [4, 1]])  # of chosen and rejected
PROMPT = 2
WIDTH = PROMPT + LENGTHS.max()


class Accelerator:
    """One process on the processor."""

    device = torch.device("cpu")
    num_processes = 1
    sync_gradients = True

    def gather(self, value: Any) -> Any:
        return value

    gather_for_metrics = unwrap_model = gather

    def reduce(self, value: Any, reduction: str) -> Any:
        return value


def stand_in(**attributes: Any) -> SimpleNamespace:
    """A trainer with what its loss reads."""
    common: dict[str, Any] = {
        "accelerator": Accelerator(),
        "model": SimpleNamespace(training=True),
        "aux_loss_enabled": False,
        "current_gradient_accumulation_steps": 1,
        "precompute_ref_logps": True,
        "use_weighting": False,
        "ld_alpha": None,
        "_metrics": {"train": defaultdict(list)},
        "_total_train_tokens": 0,
        "_tp_size": 1,
    }
    return SimpleNamespace(**{**common, **attributes})


def close(found: Any, expected: Any, tolerance: float = 1e-6) -> None:
    expected = expected.detach() if isinstance(expected, torch.Tensor) else expected
    np.testing.assert_allclose(found, expected, rtol=tolerance, atol=tolerance)


def padded(lengths: Any) -> Any:
    """Which tokens belong to completions (n, WIDTH)."""
    at = np.arange(WIDTH)
    return torch.tensor((at >= PROMPT) & (at < PROMPT + np.asarray(lengths)[:, None])).long()


def draw(seed: int, lengths: Any) -> tuple[Any, Any]:
    """Log-probabilities of tokens (n, WIDTH - 1), zero elsewhere, and sums of a reference (n,)."""
    rng = np.random.default_rng(seed)
    mask = padded(lengths)[:, 1:].numpy()
    tokens = -rng.uniform(0.1, 1.5, mask.shape) * mask
    reference = tokens.sum(1) + rng.normal(0, 1.5, len(lengths))
    return torch.tensor(tokens, requires_grad=True), torch.tensor(reference)


def outputs_of(tokens: Any) -> Any:
    """A model that gives these log-probabilities."""
    zeros = torch.zeros_like(tokens)
    found = SimpleNamespace(
        log_probs=tokens,
        entropy=zeros,
        mean_logits=zeros,
        is_top1=zeros.bool(),
        log_sum_sq_probs=zeros,
    )
    return lambda **_: found


# -------------------------------------------------------------------------- pairs of responses

#: TRL's loss types -> our loss, TRL's other settings.
PAIRED = {
    "sigmoid": (objectives.DPO(beta=0.3), {}),
    "hinge": (objectives.HingeLoss(beta=0.3), {}),
    "ipo": (objectives.MeanIPO(beta=0.3), {}),
    "exo_pair": (objectives.EXO(beta=0.3, label_smoothing=0.05), {}),
    "nca_pair": (objectives.NCA(beta=0.3), {}),
    "robust": (objectives.RobustDPO(beta=0.3, label_smoothing=0.05), {}),
    "bco_pair": (objectives.BCO(beta=0.3), {}),
    "sppo_hard": (objectives.SPPO(beta=0.3), {}),
    "apo_zero": (objectives.APOZero(beta=0.3), {}),
    "apo_down": (objectives.APODown(beta=0.3), {}),
    "discopop": (objectives.DiscoPOP(beta=0.3, temperature=0.05), {}),
    "sigmoid_norm": (objectives.LengthNormalizedDPO(beta=0.3), {}),
    "sigmoid forward_kl": (objectives.ForwardKLDPO(beta=0.3), {}),
    "sigmoid js_divergence": (objectives.JensenShannonDPO(beta=0.3), {}),
}


def their_pair_loss(tokens: Any, reference: Any, name: str, **settings: Any) -> Any:
    from trl import DPOTrainer

    kind, _, divergence = name.partition(" ")
    chosen, rejected = reference.chunk(2)
    completion = padded(LENGTHS.T.reshape(-1))
    trainer = stand_in(
        loss_types=[kind],
        loss_weights=[1.0],
        f_divergence_type=divergence or "reverse_kl",
        args=SimpleNamespace(discopop_tau=0.05),
        **{"beta": 0.3, "label_smoothing": 0.05, "f_alpha_divergence_coef": 0.7, **settings},
    )
    inputs = {
        "input_ids": torch.zeros_like(completion),
        "attention_mask": torch.ones_like(completion),
        "completion_mask": completion,
        "ref_chosen_logps": chosen,
        "ref_rejected_logps": rejected,
    }
    return DPOTrainer._compute_loss(trainer, outputs_of(tokens), inputs, False)


def our_pair_loss(loss: Any, tokens: Any, reference: Any) -> Any:
    chosen, rejected = tokens.detach().sum(1).chunk(2)
    references = reference.chunk(2) if loss.needs_reference else ()
    return loss(
        chosen, rejected, *references, chosen_lengths=LENGTHS[:, 0], rejected_lengths=LENGTHS[:, 1]
    )


def compare_pairs(ours: Any, theirs: Any, tokens: Any, tolerance: float = 1e-6) -> None:
    """The mean loss, and its slope in every pair's log-probabilities."""
    theirs.backward()
    close(ours.loss.mean(), theirs, tolerance)
    slopes = tokens.grad[:, PROMPT - 1] * len(LENGTHS)  # the first token of each completion
    close(np.concatenate([ours.d_chosen, ours.d_rejected]), slopes, tolerance)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("name", PAIRED)
def test_losses_of_dpo_trainer(name: str, seed: int) -> None:
    loss, settings = PAIRED[name]
    tokens, reference = draw(seed, LENGTHS.T.reshape(-1))
    theirs = their_pair_loss(tokens, reference, name, **settings)
    compare_pairs(our_pair_loss(loss, tokens, reference), theirs, tokens)


def test_alpha_divergence_of_dpo_trainer() -> None:
    """TRL has no float64 here; the tolerance is that of its float32."""
    tokens, reference = draw(0, LENGTHS.T.reshape(-1))
    single = tokens.detach().float().requires_grad_()
    theirs = their_pair_loss(single, reference.float(), "sigmoid alpha_divergence")
    loss = objectives.AlphaDivergenceDPO(beta=0.3, alpha=0.7)
    compare_pairs(our_pair_loss(loss, tokens, reference), theirs, single, 1e-5)


def test_sft_term_of_dpo_trainer_is_a_mean_over_tokens() -> None:
    """TRL divides the chosen responses' NLL by the batch's tokens, RPO by each response's own."""
    tokens, reference = draw(0, LENGTHS.T.reshape(-1))
    theirs = their_pair_loss(tokens, reference, "sft")
    chosen = tokens.detach().sum(1).chunk(2)[0]
    close(objectives.sft(chosen).loss.sum() / LENGTHS[:, 0].sum(), theirs)


@pytest.mark.parametrize("name", ["simpo", "cpo", "alphapo"])
def test_losses_of_cpo_trainer(name: str) -> None:
    """TRL's own losses know no supervised term and no lengths: what it is given is averaged."""
    from trl.experimental.cpo.cpo_trainer import CPOTrainer

    loss, settings = {
        "simpo": (objectives.SimPO(beta=2.5, gamma=0.4), {"loss_type": "simpo", "beta": 2.5}),
        "cpo": (objectives.CPO(beta=0.3, alpha=0), {"loss_type": "sigmoid", "beta": 0.3}),
        "alphapo": (
            objectives.AlphaPO(beta=2.5, gamma=0.4, alpha=0.25),
            {"loss_type": "simpo", "beta": 2.5, "alpha": 0.25},
        ),
    }[name]
    trainer = stand_in(**{"alpha": 0.0, "simpo_gamma": 0.4, "label_smoothing": 0.0, **settings})
    tokens, reference = draw(1, LENGTHS.T.reshape(-1))
    sums = tokens.sum(1)
    if name != "cpo":
        sums = sums / torch.tensor(LENGTHS.T.reshape(-1))
    theirs = CPOTrainer.cpo_loss(trainer, *sums.chunk(2))[0].mean()
    compare_pairs(our_pair_loss(loss, tokens, reference), theirs, tokens)


def test_odds_ratio_of_orpo_trainer() -> None:
    """TRL returns beta times the log of the ratio, in float32; the supervised term is apart."""
    from trl.experimental.orpo.orpo_trainer import ORPOTrainer

    tokens, reference = draw(2, LENGTHS.T.reshape(-1))
    means = (tokens.sum(1) / torch.tensor(LENGTHS.T.reshape(-1))).detach().chunk(2)
    theirs = ORPOTrainer.odds_ratio_loss(stand_in(beta=0.4), *means)[0]
    ours = our_pair_loss(objectives.ORPO(beta=0.4), tokens, reference)
    close(ours.loss + means[0].numpy(), -theirs, 1e-5)


@pytest.mark.parametrize("seed", range(3))
def test_loss_of_reward_trainer(seed: int) -> None:
    from trl import RewardTrainer

    rng = np.random.default_rng(seed)
    scores = torch.tensor(rng.normal(0, 2, 12), requires_grad=True)
    margin = torch.tensor(rng.uniform(0, 1, 6))
    trainer = stand_in(args=SimpleNamespace(center_rewards_coefficient=0.01))
    inputs = {"attention_mask": torch.ones(12, 3), "margin": margin}
    outputs = SimpleNamespace(logits=scores.unsqueeze(-1))
    theirs = RewardTrainer.compute_loss(trainer, lambda **_: outputs, inputs)
    theirs.backward()
    chosen, rejected = scores.detach().numpy().reshape(2, 6)
    ours = objectives.BradleyTerry(centring=0.01)(chosen, rejected, margin.numpy())
    close(ours.loss.mean(), theirs)
    close(np.concatenate([ours.d_chosen, ours.d_rejected]) / 6, scores.grad)


@pytest.mark.parametrize("seed", range(3))
def test_loss_of_kto_trainer(seed: int) -> None:
    from trl import KTOTrainer

    lengths = LENGTHS[:, 0]
    tokens, reference = draw(seed, lengths)
    others, other_reference = (one.detach() for one in draw(seed + 50, lengths))
    label = torch.tensor([True, False, True, True, False, False])
    completion = padded(lengths)
    trainer = stand_in(
        beta=0.2,
        loss_type="kto",
        desirable_weight=1.3,
        undesirable_weight=0.8,
        calculate_KL=True,
        _compute_kl_logps=lambda model, batch: others.sum(1),
    )
    inputs = {
        "input_ids": torch.zeros_like(completion),
        "attention_mask": torch.ones_like(completion),
        "completion_mask": completion,
        "label": label,
        "ref_logps": reference,
        "ref_KL_logps": other_reference,
    }
    theirs = KTOTrainer._compute_loss(trainer, outputs_of(tokens), inputs, False)
    theirs.backward()
    loss = objectives.KTO(beta=0.2, desirable_weight=1.3, undesirable_weight=0.8)
    baseline = objectives.kto_baseline(others.sum(1), other_reference)
    ours = loss(tokens.detach().sum(1), reference, label.numpy(), baseline=baseline)
    close(ours.loss.mean(), theirs)
    close(ours.derivative / len(label), tokens.grad[:, PROMPT - 1])


# ---------------------------------------------------------------------------- policy gradients

_BOTH = {"kl_coefficient": 0.1}
#: Our loss, TRL's settings.
ONLINE = {
    "grpo": (objectives.GRPO(**_BOTH), {"loss_type": "grpo"}),
    "dr_grpo": (objectives.DrGRPO(max_length=9, **_BOTH), {"loss_type": "dr_grpo"}),
    "dapo": (objectives.DAPO(**_BOTH), {"loss_type": "dapo", "epsilon_high": 0.28}),
    "gspo": (
        objectives.GSPO(clip_low=0.1, clip_high=0.1),
        {
            "loss_type": "grpo",
            "importance_sampling_level": "sequence",
            "epsilon_low": 0.1,
            "epsilon_high": 0.1,
            "beta": 0.0,
        },
    ),
    # TRL's epsilon_high of CISPO bounds the ratio itself, ours what it is above 1.
    "cispo": (objectives.CISPO(clip_high=0.28), {"loss_type": "cispo", "epsilon_high": 1.28}),
}


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("name", ONLINE)
def test_losses_of_grpo_trainer(name: str, seed: int) -> None:
    from trl import GRPOTrainer

    ours, settings = ONLINE[name]
    lengths = LENGTHS[:, 1]
    rng = np.random.default_rng(seed)
    mask = padded(lengths)[:, PROMPT:]
    logp = torch.tensor(-rng.uniform(0.2, 3, mask.shape), requires_grad=True)
    old = logp.detach() + torch.tensor(rng.normal(0, 0.3, mask.shape))
    ref = logp.detach() + torch.tensor(rng.normal(0, 0.5, mask.shape))
    advantages = torch.tensor(rng.normal(size=len(lengths)))
    beta = ours.kl_coefficient
    trainer = stand_in(
        **{
            "importance_sampling_level": "token",
            "epsilon_low": 0.2,
            "epsilon_high": 0.2,
            "beta": beta,
            "top_entropy_quantile": 1.0,
            "off_policy_mask_threshold": None,
            "use_vllm": False,
            "max_completion_length": 9,
            "_entropy_bonus_enabled": False,
            "args": SimpleNamespace(
                delta=None, use_bias_correction_kl=False, steps_per_generation=1
            ),
            "_get_per_token_logps_and_entropies": lambda *_, **__: (logp, logp.detach() * 0, None),
            **settings,
        }
    )
    inputs = {
        "prompt_ids": torch.zeros(len(lengths), 1),
        "prompt_mask": torch.ones(len(lengths), 1),
        "completion_ids": torch.zeros_like(mask),
        "completion_mask": mask,
        "advantages": advantages,
        "old_per_token_logps": old,
        "ref_per_token_logps": ref,
        "num_items_in_batch": mask.sum(),
    }
    theirs = GRPOTrainer._compute_loss(trainer, None, inputs)
    theirs.backward()
    chosen = mask.bool()
    found = ours(
        logp.detach()[chosen],
        advantages,
        lengths,
        old_logps=old[chosen],
        ref_logps=ref[chosen] if beta else None,
    )
    close(found.loss, theirs)
    close(found.d_logps, logp.grad[chosen])


def test_gradient_of_rloo_trainer() -> None:
    """TRL clips the ratio of a whole response; on fresh samples that ratio is 1."""
    from trl import RLOOTrainer

    lengths = LENGTHS[:, 1]
    rng = np.random.default_rng(0)
    mask = padded(lengths)[:, PROMPT:]
    logp = torch.tensor(-rng.uniform(0.2, 3, mask.shape), requires_grad=True)
    rewards, groups = rng.normal(size=6), [0, 0, 0, 1, 1, 1]
    advantages = objectives.group_advantage(rewards, groups, "rloo")
    trainer = stand_in(
        epsilon_low=0.2,
        epsilon_high=0.2,
        _get_per_token_logps_and_entropies=lambda *_, **__: (logp, logp.detach() * 0, None),
    )
    inputs = {
        "prompt_ids": torch.zeros(len(lengths), 1),
        "prompt_mask": torch.ones(len(lengths), 1),
        "completion_ids": torch.zeros_like(mask),
        "completion_mask": mask,
        "advantages": torch.tensor(advantages),
        "old_logps": (logp.detach() * mask).sum(1),
    }
    RLOOTrainer._compute_loss(trainer, None, inputs).backward()
    chosen = mask.bool()
    found = objectives.Reinforce()(logp.detach()[chosen], advantages, lengths)
    close(found.d_logps, logp.grad[chosen])
