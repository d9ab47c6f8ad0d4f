"""DPO, IPO, KTO and SimPO on SmolLM2-135M with HH-RLHF pairs."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import data
from .._arrays import Array
from ..data import Dataset
from ..evaluation.statistics import bootstrap, wilson
from ..language.model import LanguageModel
from ..trainers import PreferenceConfig, PreferenceTrainer
from ..trainers.building import policy as build
from ..trainers.tokenizing import completion_tokens, prompt_tokens

__all__ = ["OBJECTIVES", "plain_pairs", "preferences"]

#: Objective -> its settings. IPO divides log-ratios by lengths, as TRL's "ipo" does.
OBJECTIVES: dict[str, dict[str, float]] = {
    "dpo": {"beta": 0.1},
    "mean_ipo": {"beta": 0.1},
    "kto": {"beta": 0.1},
    "simpo": {"beta": 2.0, "gamma": 1.0},
}
_NAMES = {"user": "Human", "assistant": "Assistant"}


def plain_pairs(base: LanguageModel, longest: int, rows: Dataset | None = None) -> list[Dataset]:
    """Pairs to train on and held out (a fifth by hash of the first user turn), as plain text.

    ``Human: ...`` and ``Assistant: ...``, as HH-RLHF writes them; only pairs of at most `longest`
    tokens with the longer reply.
    """
    found = []
    for part in (rows if rows is not None else data.hh_rlhf()).split(train=0.8, test=0.2).values():
        kept = []
        for row in part:
            turns = [f"{_NAMES[one['role']]}: {one['content'].strip()}" for one in row["prompt"]]
            text = "\n\n".join([*turns, "Assistant:"])
            sides = {side: " " + row[side][0]["content"].strip() for side in ("chosen", "rejected")}
            if max(len(text) + len(one) for one in sides.values()) > 6 * longest:
                continue
            size = len(prompt_tokens(base.tokenizer, text)) + max(
                len(completion_tokens(base.tokenizer, text, one)) for one in sides.values()
            )
            if size <= longest and sides["chosen"] != sides["rejected"]:
                kept.append({"prompt": text, **sides})
        found.append(Dataset(kept, "preference"))
    return found


def _log_p(model: Any, rows: Dataset) -> tuple[Array, Array]:
    """``log p`` (n, 2) of chosen and rejected, and their lengths."""
    sums, lengths = [], []
    for row in rows:
        both = [
            completion_tokens(model.tokenizer, row["prompt"], row[side])
            for side in ("chosen", "rejected")
        ]
        prompt = prompt_tokens(model.tokenizer, row["prompt"])
        sums.append(model.continuations(prompt, both).sums)
        lengths.append([len(one) for one in both])
    return np.array(sums), np.array(lengths, dtype=float)


def preferences(
    objective: str = "dpo",
    *,
    longest: int = 48,
    steps: int = 16,
    batch: int = 4,
    held_out: int = 32,
    learning_rate: float = 5e-4,
    seed: int = 0,
    base: LanguageModel | None = None,
    rows: Dataset | None = None,
) -> dict[str, Any]:
    """Trains adapters (rank 16), and compares log-probabilities on held-out pairs with the base's.

    ``ratio_accuracy``: how often ``log p - log p_ref`` is the higher for the chosen reply, the
    reward of DPO, IPO and KTO up to their beta; ``mean_accuracy``: how often the log-probability
    per token is, SimPO's reward, with that of the base. Likelihood displacement (Razin et al.,
    arXiv:2410.08847) is ``chosen_change`` below 0: the chosen reply has become less likely.
    """
    settings = OBJECTIVES[objective]
    config = PreferenceConfig(
        objective=objective,
        learning_rate=learning_rate,
        per_device_train_batch_size=batch,
        max_steps=steps,
        max_length=2 * longest,
        warmup_steps=2,
        seed=seed,
        **settings,  # type: ignore[arg-type]
    )
    policy = build(config, base)
    train, test = plain_pairs(policy.base, longest, rows)
    test = test[:held_out]
    reference, lengths = _log_p(policy.base, test)
    log = PreferenceTrainer(policy, config=config, train_dataset=train).train(progress=False)
    ratio = _log_p(policy, test)[0] - reference
    margin = ratio[:, 0] - ratio[:, 1]
    before = reference / lengths
    after = (reference + ratio) / lengths

    def accuracy(values: Array) -> dict[str, float]:
        return wilson(int((values > 0).sum()), values.size).to_dict()

    return {
        "objective": objective,
        "settings": settings,
        "learning_rate": learning_rate,
        "train": len(train),
        "pairs_seen": steps * batch,
        "held_out": len(test),
        "seed": seed,
        "log": log,
        "ratio_accuracy": accuracy(margin),
        "margin": bootstrap(margin).to_dict(),
        "mean_accuracy_before": accuracy(before[:, 0] - before[:, 1]),
        "mean_accuracy": accuracy(after[:, 0] - after[:, 1]),
        "mean_margin_change": bootstrap(
            (after[:, 0] - after[:, 1]) - (before[:, 0] - before[:, 1])
        ).to_dict(),
        "chosen_change": bootstrap(ratio[:, 0]).to_dict(),
        "rejected_change": bootstrap(ratio[:, 1]).to_dict(),
        "displaced": accuracy(-ratio[:, 0]),
    }
