"""The loop, on a language of eleven letters."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import fpo
import numpy as np
import pytest
from fpo.errors import ArgumentError, BusyError, FormatError, NonFiniteError
from fpo.language import IterativeRLHFConfig, IterativeRLHFTrainer
from fpo.language.config import METHODS
from fpo.language.oracles import Answers, LikelihoodOracle
from fpo.language.rewarding import HeadReward
from fpo.language.run_directory import RunDirectory
from language_fakes import PROMPTS, FakeModel, FakePolicy, FakeTrunk, utility

SETTINGS = {
    "steps": 12,
    "candidates": 4,
    "max_new_tokens": 10,
    "reward_learning_rate": 1e-2,
    "reward_scale": 0.1,
    "policy_learning_rate": 1e-2,
    "seed": 3,
}


def trainer(oracle=utility, policy=None, **changes):
    config = IterativeRLHFConfig.from_dict({**SETTINGS, **changes})
    reward = HeadReward(
        FakeTrunk(),
        hidden=config.reward_hidden,
        scale=config.reward_scale,
        key=fpo.random.key(1),
        dropout=config.reward_dropout,
    )
    return IterativeRLHFTrainer(
        policy or FakePolicy(), reward, oracle, config=config, prompts=PROMPTS
    )


def untimed(rows):
    return [
        {name: value for name, value in row.items() if not name.startswith("time/")} for row in rows
    ]


# ------------------------------------------------------------------------------------ rounds


@pytest.mark.parametrize("method", METHODS)
def test_every_method_runs(method):
    of = trainer(penalty=method)
    before = of.policy.logits.copy()
    rows = of.train(progress=False)
    assert [row["step"] for row in rows] == list(range(1, 13))
    assert all(np.isfinite(value) for row in rows for value in row.values())
    expected = {"objective/kl", "rewards/chosen", "utility/winner", "utility/reference", "kl"}
    expected |= {"fpo/penalty", "fpo/penalty_share", "fpo/overconfidence", "fpo/labels", "loss"}
    assert expected <= set(rows[0])
    bought = rows[-1]["fpo/labels"]  # of every candidate that is not empty, or of two
    assert 40 < bought <= 60 if method in ("relaxed", "exact") else bought == 24
    trained = not np.array_equal(of.policy.logits, before)
    assert trained == (method != "best-of-n")
    assert of.policy.steps == (0 if method == "best-of-n" else 3)


def test_the_winner_has_the_highest_score_and_is_what_both_models_learn_from():
    of = trainer(penalty="practical", gamma=3.0)
    seen = {}
    loss = of.policy.loss
    of.policy.loss = lambda tokens, weights, key: (
        seen.update(tokens=tokens) or loss(tokens, weights, key=key)
    )
    learn = of.reward_model.learn
    of.reward_model.learn = lambda *a, **k: seen.update(learn=(a, k)) or learn(*a, **k)
    row, sample = of.step()
    scores = np.array(sample["rewards"]) - np.array(sample["penalties"])
    winner = int(np.argmax(scores))
    assert sample["winner"] == sample["candidates"][winner]
    assert of.policy.tokenizer.decode(seen["tokens"][0]).endswith(sample["winner"])
    (better, reference, labels, weight), options = seen["learn"]
    assert better.answers == (sample["winner"],)
    assert reference.answers == (sample["reference"],)
    assert weight == 1 / 4 and options["dropout_key"] is None
    ours, theirs = utility("", [sample["winner"], sample["reference"]])
    assert labels[0] == pytest.approx(1 / (1 + np.exp(theirs - ours)))
    assert row["utility/winner"] == ours and row["utility/reference"] == theirs


def test_the_loop_follows_the_oracle():
    rows = trainer(steps=300, accumulation=1, reward_learning_rate=0.05).train(progress=False)
    first = np.mean([row["utility/winner"] for row in rows[:50]])
    last = np.mean([row["utility/winner"] for row in rows[-50:]])
    assert last > first + 0.3


def test_the_leash_holds_the_policy():
    settings = {"steps": 300, "accumulation": 1, "reward_learning_rate": 0.05}
    free = trainer(penalty="myopic", **settings).train(progress=False)
    held = trainer(penalty="leash", kl_beta=1.0, **settings).train(progress=False)
    assert held[-1]["objective/kl"] < 0.7 * free[-1]["objective/kl"]


def test_the_loss_may_be_on_the_answer_alone():
    of = trainer(loss_on="completion")
    seen = []
    of.policy.loss = lambda tokens, weights, key: seen.append((tokens, weights)) or 0.5
    of.step()
    [([tokens], [weights])] = seen
    used = np.flatnonzero(weights)
    assert len(tokens) - 1 == used[-1] and weights.sum() == pytest.approx(1 / 4)
    assert used[0] == len(of.rollouts.prompt(of.rollouts.questions[0]))


def test_empty_answers_are_left_out_and_a_round_of_them_is_skipped():
    silent = FakeModel(np.append(np.full(11, -50.0), 0.0))
    of = trainer(policy=FakePolicy(silent))
    row, sample = of.step()
    assert sample["skipped"] and of.round == 1 and "loss" not in row
    assert of.labels_bought == 0


def test_dropout_rules():
    for rule, method, scoring, learning in [
        ("off", "myopic", False, False),
        ("training", "myopic", False, True),
        ("training", "relaxed", False, True),
        ("published", "myopic", True, True),
        ("published", "relaxed", False, True),
    ]:
        of = trainer(penalty=method, reward_dropout_rule=rule, reward_dropout=0.5)
        keys = {}
        rewards, learn = of.reward_model.rewards, of.reward_model.learn

        def spy(reading, *, dropout_key=None, keys=keys, rewards=rewards):
            keys["scoring"] = dropout_key
            return rewards(reading, dropout_key=dropout_key)

        def spy_learn(*a, dropout_key=None, keys=keys, learn=learn):
            keys["learning"] = dropout_key
            return learn(*a, dropout_key=dropout_key)

        of.reward_model.rewards, of.reward_model.learn = spy, spy_learn
        of.step()
        assert (keys["scoring"] is not None, keys["learning"] is not None) == (scoring, learning)


def test_pretraining_teaches_the_head_before_the_first_round():
    of = trainer(reward_pretraining=60, reward_epochs=50, reward_pretraining_rate=0.02, steps=40)
    of.train(progress=False, rounds=0)
    weights = of.reward_model.head.parameters["weight"].ravel()
    assert weights[0] == max(weights[:8]) and weights[1] == min(weights[:8])
    assert 90 < of.labels_bought <= 120


def test_replay_is_learned_from():
    of = trainer(replay=3)
    sizes = []
    learn = of.reward_model.learn
    of.reward_model.learn = lambda *a, **k: sizes.append(len(a[2])) or learn(*a, **k)
    of.train(progress=False, rounds=3)
    assert sizes == [1, 4, 4]


@pytest.mark.parametrize("bad", [[np.nan] * 5, [1.0], "no"])
def test_an_oracle_that_gives_no_utilities(bad):
    with pytest.raises((ArgumentError, NonFiniteError, TypeError), match="oracle|utilities"):
        trainer(oracle=lambda question, answers: bad, penalty="relaxed").step()


def test_the_published_oracle():
    answers = Answers("?", ("x", "y"), np.array([0.0, -1.0]), (np.array([-3.0]), np.full(2, -60.0)))
    np.testing.assert_allclose(LikelihoodOracle()(answers), [5 - 4 / 2, -15.0])
    row, _ = trainer(oracle=LikelihoodOracle()).step()
    assert row["utility/winner"] == pytest.approx(5 - np.log(12), abs=0.5)


# ------------------------------------------------------------------------- save and resume


@pytest.mark.parametrize(
    "changes",
    [
        {"penalty": "residual", "replay": 2, "reward_pretraining": 5},
        {"penalty": "relaxed", "reward_dropout_rule": "training", "reward_hidden": 3},
        {"penalty": "myopic", "checkpoint_every": 3},
    ],
)
def test_a_resumed_run_is_the_uninterrupted_one(tmp_path, changes):
    whole = trainer(**changes, output=str(tmp_path / "whole"))
    rows = whole.train(progress=False)
    for rounds in (5, 2, 100):
        part = trainer(**changes, output=str(tmp_path / "parts"))
        found = part.train(progress=False, rounds=rounds)
    assert untimed(found) == untimed(rows)
    for name, array in whole.state()["adapter"].items():
        np.testing.assert_array_equal(part.state()["adapter"][name], array)
    for name, array in whole.state()["reward"].items():
        np.testing.assert_array_equal(part.state()["reward"][name], array)
    for file in ("adapter/adapter", "samples.jsonl"):
        assert (tmp_path / "whole" / file).read_bytes() == (tmp_path / "parts" / file).read_bytes()


def test_output_changes_nothing(tmp_path):
    assert untimed(trainer(output=str(tmp_path)).train(progress=False)) == untimed(
        trainer().train(progress=False)
    )


def test_the_folder_of_another_run_is_refused_and_can_be_started_afresh(tmp_path):
    trainer(output=str(tmp_path)).train(progress=False, rounds=2)
    with pytest.raises(ArgumentError, match="another gamma, seed"):
        trainer(output=str(tmp_path), seed=4, gamma=1.0).train(progress=False)
    rows = trainer(output=str(tmp_path), seed=4).train(progress=False, resume=False)
    assert untimed(rows) == untimed(trainer(seed=4).train(progress=False))
    assert json.loads((tmp_path / "config.json").read_text())["seed"] == 4


def test_a_run_can_be_made_longer(tmp_path):
    trainer(output=str(tmp_path), steps=4).train(progress=False)
    rows = trainer(output=str(tmp_path), steps=8).train(progress=False)
    assert len(rows) == 8


@pytest.mark.parametrize("damage", ["cut", "gone", "version"])
def test_a_damaged_checkpoint(tmp_path, damage):
    trainer(output=str(tmp_path)).train(progress=False, rounds=2)
    manifest = tmp_path / "checkpoint" / "state.json"
    parts = json.loads(manifest.read_text())
    part = tmp_path / "checkpoint" / parts["parts"]["adapter"]
    if damage == "cut":
        part.write_bytes(part.read_bytes()[:-4])
    elif damage == "gone":
        part.unlink()
    else:
        manifest.write_text(json.dumps({**parts, "fpo_language_run": 99}))
    with pytest.raises(FormatError):
        trainer(output=str(tmp_path)).train(progress=False)


def test_rows_of_rounds_that_no_checkpoint_knows_are_dropped(tmp_path):
    trainer(output=str(tmp_path)).train(progress=False, rounds=3)
    with open(tmp_path / "log.jsonl", "a") as file:
        file.write('{"step": 4, "loss": 1}\n{"step": 5, "lo')
    rows = trainer(output=str(tmp_path)).train(progress=False)
    assert untimed(rows) == untimed(trainer().train(progress=False))
    assert untimed(RunDirectory(tmp_path).rows()) == untimed(rows)


def test_a_folder_has_one_writer(tmp_path):
    writer = RunDirectory(tmp_path)
    writer.open(trainer(output=str(tmp_path)).config.to_dict())
    with pytest.raises(BusyError, match="another run"):
        trainer(output=str(tmp_path)).train(progress=False)
    writer.close()
    assert len(trainer(output=str(tmp_path)).train(progress=False)) == SETTINGS["steps"]


CHILD = """
import sys, time
sys.path.insert(0, sys.argv[2])
from test_language_trainer import trainer
of = trainer(output=sys.argv[1], steps=40, penalty="residual", replay=2)
step = of.step
def slow():
    time.sleep(0.02)
    return step()
of.step = slow
of.train(progress=False)
"""


@pytest.mark.parametrize("wait", [0.0, 0.13, 0.4])
def test_kill_and_resume(tmp_path, wait):
    here = Path(__file__).parent
    command = [sys.executable, "-c", CHILD, str(tmp_path / "run"), str(here)]
    child = subprocess.Popen(command, env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"})
    for _ in range(3000):
        if (tmp_path / "run" / "checkpoint" / "state.json").exists() or child.poll() is not None:
            break
        time.sleep(0.01)
    time.sleep(wait)
    child.send_signal(signal.SIGKILL)
    child.wait()
    settings = {"steps": 40, "penalty": "residual", "replay": 2}
    resumed = trainer(output=str(tmp_path / "run"), **settings)
    rows = resumed.train(progress=False)
    whole = trainer(**settings)
    assert untimed(rows) == untimed(whole.train(progress=False))
    assert resumed.policy.state() == whole.policy.state()


def test_ctrl_c_loses_the_current_round_only(tmp_path):
    of = trainer(output=str(tmp_path))
    step = of.step

    def interrupted():
        if of.round == 5:
            raise KeyboardInterrupt
        return step()

    of.step = interrupted
    with pytest.raises(KeyboardInterrupt):
        of.train(progress=False)
    rows = trainer(output=str(tmp_path)).train(progress=False)
    assert untimed(rows) == untimed(trainer().train(progress=False))


# ---------------------------------------------------------------------------------- settings


def test_a_penalty_object():
    config = IterativeRLHFConfig().with_penalty(fpo.Residual(weight=2.5, kappa=0.5))
    assert (config.penalty, config.gamma, config.kappa) == ("residual", 2.5, 0.5)
    assert IterativeRLHFConfig().with_penalty(fpo.Relaxed()).gamma == 10.0


def test_prompts_and_context_are_checked():
    with pytest.raises(ArgumentError, match="context"):
        trainer(max_prompt_tokens=5000)
    with pytest.raises(ArgumentError, match="conversation alone"):
        of = trainer(max_prompt_tokens=8, system="abc abc abc abc")
        of.step()


def test_a_long_question_loses_its_end():
    of = trainer(max_prompt_tokens=9)
    of.rollouts.questions[0] = "abcdefgh" * 9
    assert of.rollouts.prompt(of.rollouts.questions[0]) == [0, 1, 2, 3, 4, 5, 6, 7, 8]


def test_the_order_of_questions():
    of = trainer(steps=11)
    assert (
        sorted(of.rollouts.questions[:5]) == sorted(of.rollouts.questions[5:10]) == sorted(PROMPTS)
    )
    assert trainer(steps=7, shuffle_prompts=False).rollouts.questions == [*PROMPTS, *PROMPTS[:2]]
