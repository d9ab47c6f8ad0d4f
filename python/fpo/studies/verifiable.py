"""GRPO, RLOO and PPO against a verifier, and against a reward model that is retrained instead."""

from __future__ import annotations

import re
from typing import Any

import numpy as np

from .. import data, random
from ..data import Dataset
from ..evaluation.statistics import bootstrap, mean_error, wilson
from ..language.model import LanguageModel
from ..language.policy import LlamaPolicy
from ..language.rewarding import LlamaReward
from ..trainers import PolicyGradientConfig, PolicyGradientTrainer
from ..trainers.building import policy as build
from ..verifiers import NumericMatch

__all__ = ["exact_match", "grade_school", "retrained", "sums", "verifiable"]

_TOKENS = 3


def sums(most: int = 9) -> dict[str, Dataset]:
    """All sums of two numbers from 0 to `most`, as a plain text ``a+b=`` below a worked example.

    What is to be learned: to write the sum, and no other number behind it. A quarter is held out,
    by hash of the prompt.
    """
    rows = [
        {"prompt": f"3+4=7\n{a}+{b}=", "answer": a + b}
        for a in range(most + 1)
        for b in range(most + 1)
    ]
    return Dataset(rows, "prompt").split(train=0.75, test=0.25)


def exact_match(
    policy: LlamaPolicy, rows: Dataset, *, samples: int = 8, key: int = 0
) -> dict[str, Any]:
    """The rate of right answers of sampled completions, bootstrapped over prompts; and greedily."""
    prompts = [policy.tokenizer.encode(one) for one in rows.column("prompt")]
    drawn = policy.generate(prompts, candidates=samples, max_new_tokens=_TOKENS, key=key)
    likeliest = policy.generate(prompts, max_new_tokens=_TOKENS, greedy=True)
    sampled, greedy = (
        [
            float(np.mean(_verdicts([policy.tokenizer.decode(one.tokens) for one in group], right)))
            for group, right in zip(groups, rows.column("answer"), strict=True)
        ]
        for groups in (drawn, likeliest)
    )
    return {
        "sampled": bootstrap(sampled).to_dict(),
        "greedy": wilson(round(sum(greedy)), len(greedy)).to_dict(),
    }


def _verdicts(answers: list[str], right: int) -> list[float]:
    return [float(NumericMatch().verify(one, answer=int(right)).reward or 0.0) for one in answers]


def _config(
    objective: str, steps: int, prompts: int, seed: int, **more: Any
) -> PolicyGradientConfig:
    return PolicyGradientConfig(
        objective=objective,
        learning_rate=2e-4,
        lr_scheduler_type="constant",
        num_generations=8,
        per_device_train_batch_size=8 * prompts,
        max_completion_length=_TOKENS,
        max_steps=steps,
        seed=seed,
        **more,
    )


def verifiable(
    objective: str = "grpo",
    *,
    steps: int = 16,
    prompts: int = 4,
    samples: int = 8,
    seed: int = 0,
    base: LanguageModel | None = None,
) -> dict[str, Any]:
    """Trains on sums with a reward of 1 for the right number; exact match before and after.

    A step is 8 answers to each of some `prompts`, and one pass over them.
    """
    config = _config(objective, steps, prompts, seed)
    found = _trained(build(config, base), NumericMatch(), config, samples)
    return {"objective": objective, **found}


def _trained(
    policy: LlamaPolicy, reward: Any, config: PolicyGradientConfig, samples: int, **more: Any
) -> dict[str, Any]:
    """Trains on sums; exact match before and after, and some answers."""
    parts = sums()
    key = random.fold(random.key(config.seed), 1)
    before = exact_match(policy, parts["test"], samples=samples, key=key)
    trainer = PolicyGradientTrainer(
        policy, reward, config=config, train_dataset=parts["train"], **more
    )
    log = trainer.train(progress=False)
    return {
        "prompts": {name: len(part) for name, part in parts.items()},
        "seed": config.seed,
        "log": log,
        "before": before,
        "after": exact_match(policy, parts["test"], samples=samples, key=key),
        "examples": _examples(policy, parts["test"]),
    }


def _examples(policy: LlamaPolicy, rows: Dataset) -> list[list[str]]:
    shown = [str(one) for one in rows.column("prompt")[:4]]
    groups = policy.generate(
        [policy.tokenizer.encode(one) for one in shown], max_new_tokens=_TOKENS, greedy=True
    )
    return [
        [prompt, policy.tokenizer.decode(one.tokens)]
        for prompt, [one] in zip(shown, groups, strict=True)
    ]


def _right(question: str, answers: list[str]) -> list[float]:
    """The utility of an answer to a sum: 1 if the number it ends on is right."""
    a, b = (int(one) for one in re.findall(r"(\d+)\+(\d+)=$", question)[0])
    return _verdicts(answers, a + b)


def retrained(
    penalty: str = "myopic",
    *,
    steps: int = 16,
    prompts: int = 4,
    samples: int = 8,
    seed: int = 0,
    base: LanguageModel | None = None,
) -> dict[str, Any]:
    """GRPO on sums with a reward model that is fitted in the loop, in place of the verifier.

    The reward model is a head of 32 units on SmolLM2's own hidden states of layer 20 at the last
    token of prompt and answer, and knows nothing at first. Of each prompt the answer that it likes
    best and one of the base are labelled, ``sigmoid(6 (U - U_0))`` with U = 1 for a right answer.
    """
    config = _config(
        "grpo",
        steps,
        prompts,
        seed,
        penalty=penalty,
        gamma_rule="normalised",
        share=0.5,
        utility_scale=6.0,
        reward_learning_rate=3e-3,
    )
    policy = build(config, base)
    model = LlamaReward(
        policy.base, 20, pooling="last", sees_prompt=True, hidden=32, scale=0.05, key=seed
    )
    found = _trained(policy, model, config, samples, oracle=_right)
    log = found["log"]
    gains = [row["utility/winner"] - row["utility/reference"] for row in log]
    mean, error = mean_error(gains)
    return {
        "penalty": penalty,
        **found,
        "winner_over_reference": {"mean": mean, "error": error},
        "labels": log[-1]["fpo/labels"],
    }


def grade_school(
    *,
    problems: int = 8,
    steps: int = 1,
    tokens: int = 64,
    seed: int = 0,
    base: LanguageModel | None = None,
) -> dict[str, Any]:
    """GSM8K through the verifier: published solutions, SmolLM2's answers, and GRPO steps on them.

    Published solutions must all be right, and all wrong against the next problem's answer but for
    those that have the same one.
    """
    verifier, test = NumericMatch(), data.gsm8k("test")
    solutions, answers = test.column("completion"), test.column("answer")
    own = [verifier.verify(s, answer=a).reward for s, a in zip(solutions, answers, strict=True)]
    others = [
        verifier.verify(s, answer=a).reward
        for s, a in zip(solutions, [*answers[1:], answers[0]], strict=True)
    ]
    same = [a == b for a, b in zip(answers, [*answers[1:], answers[0]], strict=True)]
    config = PolicyGradientConfig(
        objective="grpo",
        num_generations=4,
        per_device_train_batch_size=4,
        max_completion_length=tokens,
        max_prompt_length=160,
        max_steps=steps,
        seed=seed,
    )
    policy = build(config, base)

    def asked(rows: Dataset) -> Dataset:
        return Dataset(
            (
                {
                    "prompt": [{"role": "user", "content": row["prompt"]}],
                    "answer": row["answer"],
                }
                for row in rows
            ),
            "prompt",
        )

    trainer = PolicyGradientTrainer(
        policy,
        verifier,
        config=config,
        train_dataset=asked(data.gsm8k("train")[:64]),
        eval_dataset=asked(test[:problems]),
    )
    log = trainer.train(progress=False)
    right = round(log[-1]["eval_reward"] * problems)
    return {
        "seed": seed,
        "published": len(own),
        "published_right": int(sum(one == 1 for one in own)),
        "shifted_right": int(sum(one == 1 for one in others)),
        "same_answer": int(sum(same)),
        "log": log,
        "greedy": wilson(right, problems).to_dict(),
    }
