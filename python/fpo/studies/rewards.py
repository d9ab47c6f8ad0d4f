"""A reward model of human preferences, with its encoder trained in part or as a whole."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from .. import _arrays, data, numerics
from ..data import Dataset
from ..evaluation.statistics import wilson
from ..language.rewards import TextReward
from ..language.safetensors import write_safetensors
from ..trainers import RewardConfig, RewardTrainer
from ..trainers.building import reward as build
from ..trainers.reward import reward_text

__all__ = ["LEARNING_RATES", "calibration", "fit_pairs", "pairs", "reward_model", "scores"]

#: Of AdamW, by what is trained; chosen beforehand, the same for all seeds.
LEARNING_RATES = {"head": 1e-2, "blocks": 2e-4, "lora": 5e-4, "all": 1e-4}
_STEPS = {"head": -1, "blocks": 48, "lora": 48, "all": 48}  # -1: one epoch; its steps are cheap


def pairs(
    longest: int, held_out: int, *, rows: Dataset | None = None, encoder: str = "minilm"
) -> tuple[Dataset, Dataset]:
    """HH-RLHF pairs to train on and held out (a fifth), split by hash of the first user turn.

    Parameters
    ----------
    longest, held_out
        The most tokens of prompt and longer reply, of the two parts, without the names of the
        roles: longer pairs are left out.
    rows
        Instead of HH-RLHF.
    """
    from ..language.encoders import TextEncoder

    tokenizer = TextEncoder.from_pretrained(encoder).tokenizer
    if tokenizer is None:
        raise ValueError(f"{encoder} has no tokenizer")
    parts = (rows if rows is not None else data.hh_rlhf()).split(train=0.8, test=0.2)
    found = []
    for part, most in zip(parts.values(), (longest, held_out), strict=True):
        short = part.filter(lambda row, most=most: _characters(row) <= 8 * most)  # type: ignore[misc]
        lengths = [
            max(len(tokenizer.backend.encode(*_texts(row, side)).ids) for side in _SIDES)
            for row in short
        ]
        kept: Dataset = short[np.array(lengths, dtype=np.int64) <= most]
        found.append(kept[~kept.identical_pairs()])
    return found[0], found[1]


_SIDES = ("chosen", "rejected")


def _plain(turns: Any) -> str:
    if isinstance(turns, str):
        return turns
    return "\n\n".join(turn["content"] for turn in turns)


def _texts(row: dict[str, Any], side: str) -> tuple[str, str]:
    return _plain(row["prompt"]), _plain(row[side])


def _characters(row: dict[str, Any]) -> int:
    return len(_plain(row["prompt"])) + max(len(_plain(row[side])) for side in _SIDES)


def fit_pairs(
    trainable: str, train: Dataset, *, steps: int = -1, batch: int = 16, seed: int = 0
) -> tuple[TextReward, list[dict[str, float]]]:
    """A reward model of pairs, and the metrics of each step."""
    config = RewardConfig(
        trainable=trainable,
        blocks=2,
        learning_rate=LEARNING_RATES[trainable],
        per_device_train_batch_size=batch,
        num_train_epochs=1.0,
        max_steps=steps,
        max_length=128,
        warmup_steps=5,
        seed=seed,
    )
    model = build(config)
    rows = RewardTrainer(model, config, train).train(progress=False)
    return model, [{name: float(value or 0) for name, value in row.items()} for row in rows]


def scores(
    model: TextReward, prompts: Sequence[Any], completions: Sequence[Any], *, max_length: int = 128
) -> _arrays.Array:
    """Rewards (n,) of completions, read as in training, in batches of similar length."""
    texts = [
        reward_text(model, *row, max_length=max_length)
        for row in zip(prompts, completions, strict=True)
    ]
    out = np.empty(len(texts))
    lengths = np.array([len("".join(text)) for text in texts])
    for rows in data.length_sorted_batches(lengths, 32, None):
        out[rows] = model.scores([texts[i] for i in rows])
    return out


def calibration(margin: ArrayLike, bins: int = 8) -> dict[str, Any]:
    """How a model's certainty compares with how often it is right.

    The certainty of a pair is ``sigmoid |margin|``. ``error`` is the expected calibration error:
    the mean over `bins` of equally many pairs of ``|certainty - accuracy|`` (Guo et al.,
    arXiv:1706.04599, equation 3); it is above 0 by chance alone, by ``chance`` on average if each
    pair were right with the probability that the model states.
    """
    d = _arrays.vector("margin", margin)
    order = np.argsort(np.abs(d))
    certainty = np.asarray(numerics.sigmoid(np.abs(d)))
    parts = [part for part in np.array_split(order, bins) if part.size]
    right = (d > 0).astype(float)

    def error(outcome: _arrays.Array) -> float:
        gaps = [part.size * abs(certainty[part].mean() - outcome[part].mean()) for part in parts]
        return float(sum(gaps) / d.size)

    draws = np.random.default_rng(0).random((400, d.size)) < certainty
    return {
        "certainty": [float(certainty[part].mean()) for part in parts],
        "accuracy": [wilson(int(right[part].sum()), part.size).to_dict() for part in parts],
        "error": error(right),
        "chance": float(np.mean([error(draw.astype(float)) for draw in draws])),
        "log_loss": float(np.mean(numerics.softplus(-d))),
    }


def reward_model(
    trainable: str = "all",
    *,
    longest: int = 96,
    held_out: int = 128,
    steps: int | None = None,
    batch: int = 16,
    seed: int = 0,
    rows: Dataset | None = None,
    save: Path | None = None,
) -> dict[str, Any]:
    """Trains on HH-RLHF; accuracy, calibration and length bias on held-out pairs.

    Length bias: accuracy where the chosen reply is the longer and where it is the shorter one, and
    the correlation of the margin with the difference in characters, over pairs in random order.
    `save` is a file for what was trained.
    """
    train, test = pairs(longest, held_out, rows=rows)
    steps = _STEPS[trainable] if steps is None else steps
    model, log = fit_pairs(trainable, train, steps=steps, batch=batch, seed=seed)
    if save is not None:
        write_safetensors(save, model.parameters)
    prompts, chosen, rejected = (test.column(name) for name in ("prompt", *_SIDES))
    margin = scores(model, prompts, chosen) - scores(model, prompts, rejected)
    longer = np.array(
        [len(_plain(one)) - len(_plain(two)) for one, two in zip(chosen, rejected, strict=True)]
    )
    right = margin > 0
    turned = np.random.default_rng(0).choice([-1.0, 1.0], len(test))

    def accuracy(among: Any = slice(None)) -> dict[str, float]:
        return wilson(int(right[among].sum()), right[among].size).to_dict()

    return {
        "trainable": trainable,
        "parameters": model.parameter_count,
        "train": len(train),
        "pairs_seen": len(log) * batch,
        "held_out": len(test),
        "seed": seed,
        "log": log,
        "margin": margin.tolist(),
        "length_difference": longer.tolist(),
        "accuracy": accuracy(),
        "calibration": calibration(margin),
        "accuracy_if_longer": accuracy(longer > 0),
        "accuracy_if_shorter": accuracy(longer < 0),
        "accuracy_of_length": wilson(int((longer > 0).sum()), int((longer != 0).sum())).to_dict(),
        "length_correlation": float(np.corrcoef(turned * margin, turned * longer)[0, 1]),
    }
