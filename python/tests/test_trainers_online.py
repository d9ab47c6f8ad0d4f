"""Reward models, and policy gradients against verifiers and retrained rewards, on small models."""

from __future__ import annotations

import json

import fpo
import numpy as np
import pytest
from fpo.errors import ArgumentError, DomainError, FormatError, ShapeError
from fpo.language import LanguageModel
from fpo.language.rewarding import HeadReward
from fpo.language.rewards import TextReward
from fpo.trainers import (
    PolicyGradientConfig,
    PolicyGradientTrainer,
    RewardConfig,
    Rewards,
    RewardTrainer,
)
from fpo.trainers.reward import reward_text
from tiny_models import WORDS, encoder, policy_of, save, untimed

OBJECTIVES = (
    "grpo",
    "dr_grpo",
    "dapo",
    "gspo",
    "cispo",
    "rloo",
    "reinforce",
    "reinforce_pp",
    "remax",
    "opo",
    "ppo",
)


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    return LanguageModel.from_pretrained(save(tmp_path_factory.mktemp("tiny")), storage="f32")


# ------------------------------------------------------------------------------ reward models


def pairs(n=32, seed=0):
    """The better answer has w3 in it."""
    draw = np.random.default_rng(seed)

    def words(low, high):
        return " ".join(draw.choice(WORDS[4:], draw.integers(low, high)))

    return [
        {
            "prompt": words(2, 6),
            "chosen": f"{words(1, 5)} w3",
            "rejected": f"{words(1, 5)} w4",
        }
        for _ in range(n)
    ]


def reward_trainer(data=None, evaluation=None, trainable="all", **changes):
    settings = {
        "max_length": 32,
        "num_train_epochs": 4,
        "learning_rate": 5e-3,
        "lr_scheduler_type": "constant",
    }
    reward = TextReward(encoder(), trainable=trainable, rank=4)
    config = RewardConfig(**{**settings, "trainable": trainable, **changes})
    return RewardTrainer(reward, config, data or pairs(), evaluation)


@pytest.mark.parametrize("trainable", ["head", "blocks", "lora", "all"])
def test_a_reward_model_learns_to_tell_better_from_worse(trainable):
    rate = 5e-2 if trainable == "head" else 1e-2  # adapters leave their minimum at 2e-2
    trainer = reward_trainer(
        evaluation=pairs(32, 1), trainable=trainable, learning_rate=rate, num_train_epochs=10
    )
    before = trainer.evaluate()["eval_accuracy"]
    rows = trainer.train(progress=False)
    assert rows[-1]["loss"] < rows[0]["loss"]
    assert rows[-1]["eval_accuracy"] > max(before, 0.85)
    assert {"margin", "mean_reward", "min_reward", "max_reward", "num_tokens"} <= set(rows[0])


def test_margins_labels_and_weights_of_pairs_count():
    def slopes(**columns):
        trainer = reward_trainer([{**row, **columns} for row in pairs(4)])
        seen = []
        trainer.learner.step = lambda *a: seen.append(trainer.reward.gradient) or 0.0
        trainer.step()
        return seen[0]

    plain = np.linalg.norm(slopes())
    assert np.linalg.norm(slopes(margin=2.0)) > plain > np.linalg.norm(slopes(soft_label=0.7))
    np.testing.assert_allclose(slopes(weight=3.0), 3 * slopes(), rtol=1e-4, atol=1e-7)
    turned = reward_trainer([{**row, "tie": True} for row in pairs(4)])
    assert "accuracy" not in turned.step()[0]


def test_one_pass_of_eight_pairs_is_eight_passes_of_one():
    def slope(size):
        trainer = reward_trainer(
            pairs(8), per_device_train_batch_size=size, gradient_accumulation_steps=8 // size
        )
        seen = []
        trainer.learner.step = lambda *a: seen.append(trainer.reward.gradient) or 0.0
        trainer.step()
        return seen[0]

    whole = slope(8)
    np.testing.assert_allclose(slope(1), whole, rtol=0, atol=1e-6 * np.abs(whole).max())


def test_single_completions_with_a_label():
    rows = [
        {"prompt": row["prompt"], "completion": row[name], "label": name == "chosen"}
        for row in pairs(16)
        for name in ("chosen", "rejected")
    ]
    trained = reward_trainer(rows, objective="cross_entropy", num_train_epochs=10).train(
        progress=False
    )
    assert trained[-1]["accuracy"] > 0.8
    with pytest.raises(ArgumentError, match="did you mean"):
        reward_trainer(objective="bradley_tery")


def test_a_long_prompt_loses_its_beginning():
    reward = TextReward(encoder())
    prompt = " ".join(WORDS[:30])
    first, second = reward_text(reward, prompt, "w3 w4", max_length=16)
    assert first == " ".join(WORDS[19:30]) and second == "w3 w4"
    assert reward_text(reward, prompt, "w3 w4", sees_prompt=False) == "w3 w4"
    assert reward_text(reward, [{"role": "user", "content": "w5"}], "w3") == ("w5", "w3")


def test_a_reward_run_goes_on_bit_for_bit(tmp_path):
    def trainer(folder):
        return reward_trainer(
            evaluation=pairs(8, 1), output_dir=str(tmp_path / folder), save_steps=3, dropout=0.1
        )

    whole = trainer("whole")
    expected = whole.train(progress=False)
    trainer("parts").train(progress=False, rounds=7)
    last = trainer("parts")
    assert untimed(last.train(progress=False)) == untimed(expected)
    assert np.array_equal(last.reward.flat, whole.reward.flat)
    assert (tmp_path / "parts" / "reward.safetensors").exists()


# ---------------------------------------------------------------------------- policy gradients


def has_word(completions, prompts, **columns):
    """1 where w5 or one of its neighbours occurs."""
    return [float(any(f"w{i}" in text for i in range(5, 10))) for text in map(str, completions)]


PROMPTS = [{"prompt": f"w{i} w{i + 1}"} for i in range(10, 18)]
SETTINGS = {
    "per_device_train_batch_size": 32,
    "num_generations": 8,
    "max_completion_length": 4,
    "max_prompt_length": 16,
    "learning_rate": 2e-2,
    "lr_scheduler_type": "constant",
    "max_steps": 12,
    "seed": 1,
}


def online(base, objective="grpo", reward=has_word, data=PROMPTS, evaluation=None, **changes):
    oracle = changes.pop("oracle", None)
    config = PolicyGradientConfig(**{**SETTINGS, **changes})
    return PolicyGradientTrainer(
        policy_of(base), reward, objective, config, data, evaluation, oracle=oracle
    )


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_every_objective_raises_the_rate_of_success(base, objective):
    trainer = online(base, objective, beta=0.0, per_device_train_batch_size=64, max_steps=40)
    rows = trainer.train(progress=False)
    first = np.mean([row["reward"] for row in rows[:5]])
    last = np.mean([row["reward"] for row in rows[-10:]])
    assert last > first + 0.15  # three standard errors of the difference are 0.1
    named = {"reward_std", "frac_reward_zero_std", "objective/kl", "entropy", "loss"}
    named |= {"policy/clipfrac_avg", "rewards/has_word/mean", "completions/mean_length"}
    assert named <= set(rows[0])
    assert max(row["sampling/sampling_logp_difference/mean"] for row in rows) < 1e-4


@pytest.mark.parametrize("objective", ["grpo", "dr_grpo", "dapo", "gspo", "cispo", "rloo", "opo"])
def test_equal_rewards_have_no_gradient(base, objective):
    trainer = online(base, objective, lambda completions, **_: [0.7] * len(completions), beta=0.0)
    before = trainer.policy.flat
    row, _ = trainer.step()
    assert row["grad_norm"] == 0 and row["frac_reward_zero_std"] == 1
    assert np.array_equal(trainer.policy.flat, before)


@pytest.mark.parametrize("objective", ["grpo", "dapo", "dr_grpo", "rloo", "ppo"])
def test_one_pass_of_sixteen_answers_is_sixteen_passes_of_one(base, objective):
    def slope(size):
        trainer = online(
            base,
            objective,
            per_device_train_batch_size=size,
            gradient_accumulation_steps=16 // size,
        )
        seen = []
        trainer.policy.step = lambda *a, **k: seen.append(trainer.policy.gradient) or 0.0
        trainer.step()
        return seen[0]

    whole = slope(16)
    assert np.abs(whole).max() > 0
    np.testing.assert_allclose(slope(1), whole, rtol=0, atol=1e-6 * np.abs(whole).max())


def test_the_divergence_holds_the_policy(base):
    free = online(base, "rloo", beta=0.0, max_steps=15).train(progress=False)
    held = online(base, "rloo", beta=2.0, max_steps=15).train(progress=False)
    assert held[-1]["objective/kl"] < 0.7 * free[-1]["objective/kl"]


def test_several_steps_on_the_same_answers_are_clipped(base):
    rows = online(base, "grpo", num_iterations=3, learning_rate=5e-2).train(progress=False)
    assert max(row["policy/clipfrac_avg"] for row in rows) > 0
    with pytest.raises(ArgumentError, match="num_iterations"):
        online(base, "rloo", num_iterations=2)


def test_verifiers_columns_mixtures_and_unscorable_answers(base):
    seen = {}

    def echo(completions, prompts, answer):
        seen.update(prompts=prompts, answer=answer, n=len(completions))
        return [None] * 8 + [1.0 * (i % 2) for i in range(len(completions) - 8)]

    data = [{**row, "answer": f"a{i}"} for i, row in enumerate(PROMPTS)]
    mixture = Rewards([echo, fpo.verifiers.FormatMatch(r"w\d+.*")], [1.0, 0.5])
    row, sample = online(base, reward=mixture, data=data).step()
    assert seen["n"] == 32 and seen["answer"][0] == seen["answer"][7] != seen["answer"][8]
    assert row["rewards/echo/mean"] == pytest.approx(0.5)
    assert "rewards/FormatMatch/mean" in row and row["unscorable"] == 0
    assert len(sample["completions"]) == 8
    alone, _ = online(base, reward=echo, data=data).step()
    assert alone["unscorable"] == pytest.approx(8 / 32)
    with pytest.raises(ShapeError, match="expected 32 rewards"):
        online(base, reward=lambda completions, **_: [1.0]).step()


def test_a_text_reward_is_a_source(base):
    row, _ = online(base, reward=[TextReward(encoder()), has_word]).step()
    assert "rewards/TextReward/mean" in row


class Trunk:
    """How often some words occur."""

    width = 6

    def features(self, questions, answers):
        return np.array([[text.count(f"w{i}") for i in range(5, 11)] for text in answers], "f4")


@pytest.mark.parametrize("penalty", ["myopic", "practical", "relaxed", "residual", "exact"])
def test_a_retrained_reward_with_a_penalty(base, penalty):
    trainer = online(
        base,
        "grpo",
        HeadReward(Trunk(), scale=0.1, key=fpo.random.key(0)),
        oracle=lambda question, texts: [2.0 * text.count("w5") for text in texts],
        penalty=penalty,
        gamma=0.1,
        reward_learning_rate=0.1,
        max_steps=12,
    )
    rows = trainer.train(progress=False)
    assert {"reward_loss", "utility/winner", "fpo/penalty_share"} <= set(rows[0])
    each = 9 if penalty in ("relaxed", "exact") else 2
    assert rows[-1]["fpo/labels"] == 12 * 4 * each
    weights = trainer.retrained.model.head.flat
    assert weights[0] > weights[1:6].max()


@pytest.mark.parametrize("objective", ["grpo", "reinforce", "ppo", "retrained"])
def test_an_online_run_goes_on_bit_for_bit(base, tmp_path, objective):
    def trainer(folder):
        own = {"output_dir": str(tmp_path / folder), "save_steps": 2, "max_steps": 6}
        own |= {"eval_steps": 2}
        if objective == "retrained":
            return online(
                base,
                "grpo",
                HeadReward(Trunk(), scale=0.1, key=fpo.random.key(0)),
                oracle=lambda question, texts: [1.0 * text.count("w5") for text in texts],
                penalty="residual",
                **own,
            )
        return online(base, objective, evaluation=PROMPTS[:2], **own)

    whole = trainer("whole")
    expected = whole.train(progress=False)
    trainer("parts").train(progress=False, rounds=3)
    last = trainer("parts")
    assert untimed(last.train(progress=False)) == untimed(expected)
    assert np.array_equal(last.policy.flat, whole.policy.flat)
    samples = (tmp_path / "parts" / "samples.jsonl").read_text().splitlines()
    assert len(samples) == 6 and len(json.loads(samples[0])["completions"]) == 8


def test_what_cannot_work_is_said(base, tmp_path):
    with pytest.raises(DomainError, match="num_generations"):
        PolicyGradientConfig(per_device_train_batch_size=6, num_generations=4)
    with pytest.raises(ArgumentError, match="oracle"):
        online(base, penalty="residual")
    with pytest.raises(ArgumentError, match="context of 64"):
        online(base, max_completion_length=64)
    path = tmp_path / "prompts.jsonl"
    path.write_text('{"prompt": "w5"}\n{"prompt": 5}\n')
    with pytest.raises(FormatError, match=r"prompts.jsonl:2: prompt"):
        online(base, data=path)
