"""A reward model of the truth, and what optimising the human-preference proxy does to it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import data, objectives, random
from .._arrays import Array
from ..data import Dataset
from ..evaluation.statistics import bootstrap, wilson
from ..language.model import LanguageModel
from ..language.rewards import TextReward
from ..language.safetensors import SafetensorsFile, write_safetensors
from ..trainers import RewardConfig, RewardTrainer
from ..trainers.building import reward as build
from .rewards import LEARNING_RATES, scores

__all__ = ["best_of_n_curve", "gold_reward", "load", "overoptimization"]

_LENGTH = 64  # tokens of question and answer; 99 of 100 have fewer


def _questions(held_out: int) -> tuple[Dataset, Dataset]:
    """Answers to four fifths of the questions, and to the first `held_out` of the others."""
    parts = data.truthfulqa_labels().split(train=0.8, test=0.2)
    test = parts["test"]
    first = set(list(dict.fromkeys(test.column("prompt")))[:held_out])
    return parts["train"], test.filter(lambda row: row["prompt"] in first)


def load(path: Path, trainable: str) -> TextReward:
    """A reward model whose trained part a study has saved."""
    model = build(RewardConfig(trainable=trainable, blocks=2, max_length=128))
    file = SafetensorsFile(path)
    model.parameters = {name: file.float32(name) for name in file.names}
    return model


def _by_question(prompts: list[str]) -> list[NDArray[np.int64]]:
    numbers = np.unique(np.array(prompts), return_inverse=True)[1]
    return [np.flatnonzero(numbers == one) for one in range(int(numbers.max()) + 1)]


def _ranking(score: Array, label: NDArray[np.bool_]) -> float:
    """How often a true answer scores above a false one; half for a tie."""
    gap = score[label][:, None] - score[~label][None, :]
    return float(np.mean(gap > 0) + np.mean(gap == 0) / 2)


def gold_reward(
    rows: int = 1024,
    *,
    held_out: int = 50,
    batch: int = 32,
    seed: int = 0,
    save: Path | None = None,
) -> dict[str, Any]:
    """Fits MiniLM to TruthfulQA's human labels "truthful"; judged on held-out questions.

    ``accuracy`` of the sign; ``ranking``: how often a true answer scores above a false one *to the
    same question*, mean over questions with both, bootstrapped over questions.
    """
    train, test = _questions(held_out)
    chosen = data.permutation(random.key(seed), len(train))[:rows]
    config = RewardConfig(
        objective="cross_entropy",
        trainable="all",
        learning_rate=LEARNING_RATES["all"],
        per_device_train_batch_size=batch,
        num_train_epochs=1.0,
        max_length=_LENGTH,
        warmup_steps=5,
        seed=seed,
    )
    model = build(config)
    log = RewardTrainer(model, config, train[chosen]).train(progress=False)
    if save is not None:
        write_safetensors(save, model.parameters)
    prompts, label = test.column("prompt"), test.column("label")
    score = scores(model, prompts, test.column("completion"), max_length=_LENGTH)
    right = (score > 0) == label
    groups = [rows for rows in _by_question(prompts) if 0 < label[rows].sum() < rows.size]
    ranking = [_ranking(score[rows], label[rows]) for rows in groups]
    return {
        "rows": len(chosen),
        "held_out": len(test),
        "questions": len(set(prompts)),
        "seed": seed,
        "log": log,
        "majority": float(max(label.mean(), 1 - label.mean())),
        "accuracy": wilson(int(right.sum()), right.size).to_dict(),
        "accuracy_by_question": bootstrap(
            [right[rows].mean() for rows in _by_question(prompts)]
        ).to_dict(),
        "ranking": bootstrap(ranking).to_dict(),
    }


def best_of_n_curve(
    selector: list[Array], judged: list[Array], counts: list[int]
) -> dict[str, Any]:
    """The mean of what is judged of the best of n, over groups of answers, less that of n = 1.

    Unbiased for each group; intervals by bootstrap over groups. With the fit of Gao, Schulman and
    Hilton, arXiv:2210.10760, in the distance ``sqrt(log n - (n - 1) / n)``.
    """
    table = np.array(
        [
            [objectives.best_of_n_estimate(s, g, n) for n in counts]
            for s, g in zip(selector, judged, strict=True)
        ]
    )
    gain = table - table[:, :1]
    distance = np.sqrt([np.log(n) - (n - 1) / n for n in counts])
    fit = objectives.overoptimization(distance, gain.mean(axis=0))
    return {
        "n": counts,
        "distance": distance.tolist(),
        "start": bootstrap(table[:, 0]).to_dict(),
        "gain": [bootstrap(column).to_dict() for column in gain.T],
        "fit": {name: float(value) for name, value in fit._asdict().items()},
    }


def overoptimization(
    proxy: Path,
    gold: Path,
    *,
    questions: int = 8,
    samples: int = 32,
    tokens: int = 12,
    held_out: int = 50,
    seed: int = 0,
) -> dict[str, Any]:
    """Best-of-n by the proxy of HH-RLHF, judged by human truth labels and by the gold model.

    Two pools, both on questions that neither model was trained on: the answers that people have
    labelled, 16 and more a question, judged by their labels and by the gold model; and `samples`
    answers of SmolLM2-135M to some `questions`, judged by the gold model. `proxy` and `gold` are
    files that `reward_model` ("blocks") and `gold_reward` have saved.
    """
    models = {"proxy": load(proxy, "blocks"), "gold": load(gold, "all")}
    _, test = _questions(held_out)
    groups = [rows for rows in _by_question(test.column("prompt")) if rows.size >= 16]
    label = test.column("label").astype(float)
    answers = {
        name: scores(model, test.column("prompt"), test.column("completion"), max_length=_LENGTH)
        for name, model in models.items()
    }

    def parts(values: Array) -> list[Array]:
        return [values[rows] for rows in groups]

    counts = [1, 2, 4, 8, 16]
    found: dict[str, Any] = {
        "seed": seed,
        "labelled_questions": len(groups),
        "labelled_answers": int(sum(map(len, groups))),
        "proxy_ranking": bootstrap(
            [
                _ranking(answers["proxy"][rows], label[rows] > 0)
                for rows in groups
                if 0 < label[rows].sum() < rows.size
            ]
        ).to_dict(),
        "labelled": {
            "label by proxy": best_of_n_curve(parts(answers["proxy"]), parts(label), counts),
            "label by gold": best_of_n_curve(parts(answers["gold"]), parts(label), counts),
            "gold by proxy": best_of_n_curve(
                parts(answers["proxy"]), parts(answers["gold"]), counts
            ),
            "proxy by proxy": best_of_n_curve(
                parts(answers["proxy"]), parts(answers["proxy"]), counts
            ),
        },
    }
    base = LanguageModel.from_pretrained("smollm2")
    asked = [str(test.column("prompt")[groups[i][0]]) for i in range(min(questions, len(groups)))]
    prompts = [base.tokenizer.encode(f"Q: {one}\nA:") for one in asked]
    drawn: list[list[str]] = []
    for number, prompt in enumerate(prompts):
        [group] = base.generate(
            [prompt],
            candidates=samples,
            max_new_tokens=tokens,
            key=random.fold(random.key(seed), number),
        )
        decoded = [base.tokenizer.decode(one.tokens) for one in group]
        drawn.append([one.split("\nQ:")[0].split("\n\n")[0].strip() for one in decoded])
    asked_each = [one for one in asked for _ in range(samples)]
    flat = [one for group in drawn for one in group]
    sampled = {
        name: list(scores(model, asked_each, flat, max_length=_LENGTH).reshape(len(asked), samples))
        for name, model in models.items()
    }
    counts = [n for n in (1, 2, 4, 8, 16, 32, 64) if n <= samples]
    found["sampled_questions"], found["samples"] = len(asked), samples
    found["sampled"] = {
        f"{judge} by {by}": best_of_n_curve(sampled[by], sampled[judge], counts)
        for by, judge in (("proxy", "proxy"), ("proxy", "gold"), ("gold", "gold"))
    }
    best = [int(np.argmax(one)) for one in sampled["proxy"]]
    found["shown"] = [
        {"question": asked[i], "proxy's best": drawn[i][best[i]], "first": drawn[i][0]}
        for i in range(min(3, len(asked)))
    ]
    return found
