"""SFT and preference training of a small random model."""

from __future__ import annotations

import json

import fpo
import numpy as np
import pytest
from fpo.errors import ArgumentError, FormatError
from fpo.language import LanguageModel
from fpo.objectives import SimPO
from fpo.trainers import PreferenceConfig, PreferenceTrainer, SFTConfig, SFTTrainer
from tiny_models import WORDS, policy_of, save, untimed

SETTINGS = {
    "max_length": 32,
    "num_train_epochs": 1,
    "per_device_train_batch_size": 4,
    "learning_rate": 1e-2,
    "lr_scheduler_type": "constant",
    "seed": 5,
}


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    return LanguageModel.from_pretrained(save(tmp_path_factory.mktemp("tiny")), storage="f32")


def words(draw, low, high):
    return " ".join(draw.choice(WORDS[4:], draw.integers(low, high)))


def pairs(n=16, seed=0):
    """The chosen answer has w3 in it, the rejected w4."""
    draw = np.random.default_rng(seed)
    return [
        {
            "prompt": words(draw, 2, 6),
            "chosen": f"w3 {words(draw, 0, 5)}",
            "rejected": f"w4 {words(draw, 0, 5)}",
        }
        for _ in range(n)
    ]


def answers(n=16):
    return [{"prompt": row["prompt"], "completion": row["chosen"]} for row in pairs(n)]


def sft(base, data=None, evaluation=None, **changes):
    config = SFTConfig(**{**SETTINGS, **changes})
    return SFTTrainer(policy_of(base), config, data or answers(), evaluation)


def preference(base, objective="dpo", data=None, evaluation=None, **changes):
    config = PreferenceConfig(**{**SETTINGS, **changes})
    return PreferenceTrainer(policy_of(base), objective, config, data or pairs(), evaluation)


def gradient(trainer):
    """What a step would follow."""
    seen = []
    trainer.policy.step = lambda *a, **k: seen.append(trainer.policy.gradient) or 0.0
    trainer.step()
    return seen[0]


# ------------------------------------------------------------------------------------ SFT


def test_sft_learns_and_says_how_well(base):
    rows = sft(base, evaluation=answers(4), num_train_epochs=4, eval_steps=8).train(progress=False)
    assert [row["step"] for row in rows] == list(range(1, 17))
    assert rows[-1]["eval_loss"] < rows[7]["eval_loss"] < rows[0]["loss"]
    assert rows[-1]["epoch"] == 4 and "eval_loss" not in rows[0]
    assert {"loss", "num_tokens", "grad_norm", "learning_rate"} <= set(rows[0])


def test_sft_loss_is_the_mean_over_the_completions_tokens(base):
    trainer = sft(base)
    policy, expected, count = trainer.policy, 0.0, 0
    encode = policy.tokenizer.encode
    batch = trainer.batch(0)
    chosen = {tuple(one.tokens) for one in batch}
    for row in answers():
        prompt, completion = encode(row["prompt"]), [*encode(row["completion"]), 1]
        if tuple(prompt + completion) in chosen:
            [log_p] = policy.log_probabilities([prompt + completion])
            expected -= log_p[len(prompt) :].sum()
            count += len(completion)
    row, _ = trainer.step()
    assert row["loss"] == pytest.approx(expected / count, abs=1e-5)


@pytest.mark.parametrize("kind", ["text", "messages"])
def test_sft_takes_whole_texts(base, kind):
    rows = {
        "text": [{"text": "w5 w6 w7"}, {"text": "w8"}],
        "messages": [
            {
                "messages": [
                    {"role": "user", "content": "w5"},
                    {"role": "assistant", "content": "w6 w7"},
                ]
            }
        ],
    }[kind]
    trainer = sft(base, rows)
    assert trainer.train_examples[0].first == 1
    expected = [5, 6, 7, 1] if kind == "text" else [2, 5, 1, 2, 6, 7, 1]
    assert trainer.train_examples[0].tokens == expected
    trainer.step()


def test_a_conversation_is_cut_where_the_answer_begins(base):
    row = {
        "prompt": [{"role": "user", "content": "w5"}],
        "completion": [{"role": "assistant", "content": "w6"}],
    }
    [example] = sft(base, [row]).train_examples
    assert example.tokens == [2, 5, 1, 2, 6, 1] and example.first == 4


# ------------------------------------------------------------------------------ preference


@pytest.mark.parametrize(
    "objective", [*fpo.objectives.PreferenceLoss.names(), *fpo.objectives.UnpairedLoss.names()]
)
def test_every_objective_learns_to_tell_chosen_from_rejected(base, objective):
    slow = objective in ("sppo", "ipo", "mean_ipo", "exo", "discopop")
    trainer = preference(
        base,
        objective,
        num_train_epochs=4,
        learning_rate=3e-3 if slow else 1e-2,
        **({"label_smoothing": 0.1} if objective == "exo" else {}),
    )
    rows = trainer.train(progress=False)
    assert rows[-1]["loss"] < rows[0]["loss"]
    gap = [row["logps/chosen"] - row["logps/rejected"] for row in rows]
    assert np.mean(gap[-3:]) > np.mean(gap[:3])
    named = {"loss", "rewards/chosen", "rewards/rejected", "rewards/margins", "logps/chosen"}
    assert named <= set(rows[0])


def test_dpo_metrics_are_those_of_the_log_probabilities(base):
    trainer = preference(base)
    batch = trainer.batch(0)
    policy = trainer.policy
    c, q, logps = [], [], []
    for one in batch:
        ours = policy.continuations(one.prompt, one.completions).sums
        theirs = base.continuations(one.prompt, one.completions).sums
        logps.append(ours)
        c.append(ours[0] - theirs[0])
        q.append(ours[1] - theirs[1])
    c, q = np.array(c), np.array(q)
    row, _ = trainer.step()
    assert row["loss"] == pytest.approx(np.log1p(np.exp(-0.1 * (c - q))).mean(), abs=1e-5)
    assert row["rewards/chosen"] == pytest.approx(0.1 * c.mean(), abs=1e-5)
    assert row["rewards/margins"] == pytest.approx(0.1 * (c - q).mean(), abs=1e-5)
    assert row["rewards/accuracies"] == pytest.approx((c > q).mean())
    assert row["logps/chosen"] == pytest.approx(np.mean(logps, axis=0)[0], abs=1e-4)
    assert row["logps/chosen_change"] == pytest.approx(c.mean(), abs=1e-4)
    assert row["displacement/share"] == pytest.approx((c < 0).mean())
    assert row["displacement/warning"] == float(c.mean() < 0)


def test_a_new_policy_is_its_reference(base):
    trainer = preference(base)
    trainer.policy.flat = fpo.LlamaPolicy(base, trainer.policy.settings).flat
    trainer.policy.flat = np.zeros(trainer.policy.parameter_count, np.float32)
    row, _ = trainer.step()
    assert row["loss"] == pytest.approx(np.log(2), abs=1e-6)


@pytest.mark.parametrize("objective", ["sft", "dpo", "kto", "simpo"])
def test_one_pass_of_eight_is_eight_passes_of_one(base, objective):
    def trainer(size):
        own = {"per_device_train_batch_size": size, "gradient_accumulation_steps": 8 // size}
        return sft(base, **own) if objective == "sft" else preference(base, objective, **own)

    whole, parts = gradient(trainer(8)), gradient(trainer(1))
    assert np.abs(whole).max() > 0
    np.testing.assert_allclose(parts, whole, rtol=0, atol=1e-6 * np.abs(whole).max())


def test_a_tie_has_no_pull_and_a_soft_label_a_smaller_one(base):
    data = pairs(4)
    sure = gradient(preference(base, data=data))
    half = gradient(preference(base, data=[{**row, "soft_label": 0.5} for row in data]))
    most = gradient(preference(base, data=[{**row, "soft_label": 0.9} for row in data]))
    turned = gradient(
        preference(
            base,
            data=[
                {**row, "chosen": row["rejected"], "rejected": row["chosen"], "soft_label": 0.0}
                for row in data
            ],
        )
    )
    np.testing.assert_allclose(turned, sure, atol=1e-6)
    assert np.linalg.norm(half) < np.linalg.norm(most) < np.linalg.norm(sure)


def test_weights_count(base):
    data = pairs(4)
    plain = gradient(preference(base, data=data))
    double = gradient(preference(base, data=[{**row, "weight": 2.0} for row in data]))
    np.testing.assert_allclose(double, 2 * plain, rtol=1e-4, atol=1e-7)


def test_pairs_that_are_the_same_once_cut_are_left_out(base):
    long = " ".join(["w9"] * 40)
    data = [*pairs(3), {"prompt": "w5", "chosen": f"{long} w3", "rejected": f"{long} w4"}]
    trainer = preference(base, data=data)
    assert trainer.left_out == 1 and len(trainer.train_examples) == 3


def test_an_objective_with_its_own_parameters(base):
    trainer = preference(base, SimPO(beta=4.0, gamma=1.0))
    assert trainer.beta == 4.0 and trainer.config.objective == "simpo"
    assert preference(base, "dpo", beta=0.5).beta == 0.5
    with pytest.raises(ArgumentError, match="gamma"):
        preference(base, "dpo", gamma=0.5)
    with pytest.raises(ArgumentError, match="did you mean 'simpo'"):
        preference(base, "simp")


def test_kto_takes_labelled_completions(base):
    rows = [
        {"prompt": row["prompt"], "completion": row[name], "label": name == "chosen"}
        for row in pairs(8)
        for name in ("chosen", "rejected")
    ]
    trained = preference(base, "kto", rows).train(progress=False)
    assert "kl" in trained[0]
    with pytest.raises(ArgumentError, match="expected rows of preference, got unpaired"):
        preference(base, "dpo", rows)


# ------------------------------------------------------------------------------------- runs


@pytest.mark.parametrize("method", ["sft", "dpo", "kto"])
def test_a_run_goes_on_bit_for_bit(base, tmp_path, method):
    def trainer(folder):
        own = {"output_dir": str(tmp_path / folder), "save_steps": 2, "num_train_epochs": 2}
        own |= {"eval_steps": 3, "load_best_model_at_end": True}
        if method == "sft":
            return sft(base, evaluation=answers(4), **own)
        return preference(base, method, evaluation=pairs(4, 1), **own)

    whole = trainer("whole")
    expected = whole.train(progress=False)
    trainer("parts").train(progress=False, rounds=5)
    last = trainer("parts")  # goes on from step 4, the last checkpoint
    found = last.train(progress=False)
    assert untimed(found) == untimed(expected) and len(found) == whole.rounds
    assert np.array_equal(last.policy.flat, whole.policy.flat)
    assert (tmp_path / "parts" / "adapter" / "adapter_model.safetensors").exists()
    again = trainer("parts")
    assert untimed(again.train(progress=False)) == untimed(expected)
    assert np.array_equal(again.policy.flat, whole.policy.flat)


def test_early_stopping_and_the_best_parameters(base):
    trainer = sft(
        base,
        evaluation=answers(4),
        num_train_epochs=50,
        learning_rate=0.5,
        eval_steps=1,
        early_stopping_patience=3,
        load_best_model_at_end=True,
    )
    rows = trainer.train(progress=False)
    losses = [row["eval_loss"] for row in rows]
    assert len(rows) < 200 and rows[-1]["early_stop"] == 1
    assert len(rows) - 1 - int(np.argmin(losses)) == 3
    assert trainer.best == min(losses)
    assert trainer.evaluate()["eval_loss"] == pytest.approx(min(losses))
    with pytest.raises(ArgumentError, match="metric_for_best_model"):
        sft(base, evaluation=answers(4), metric_for_best_model="eval_lss", max_steps=1).train(
            progress=False
        )


def test_bad_rows_are_named_by_line(base, tmp_path):
    path = tmp_path / "pairs.jsonl"
    rows = [json.dumps(row) for row in pairs(3)]
    rows[1] = json.dumps({"prompt": "w5", "chosen": 3, "rejected": "w4"})
    path.write_text("\n".join(rows) + "\n{\n")
    with pytest.raises(FormatError, match=r"pairs.jsonl:2: chosen(.|\n)*pairs.jsonl:4"):
        preference(base, data=path)
    with pytest.raises(ArgumentError, match="expected rows of prompt-completion"):
        sft(base, data=pairs(2))
    with pytest.raises(ArgumentError, match="no row is left"):
        preference(base, data=[{"prompt": "w5", "chosen": "w6", "rejected": "w6"}])
    with pytest.raises(ArgumentError, match="context of 64"):
        sft(base, max_length=65)


def test_a_learning_rate_that_starts_at_zero(base):
    trainer = sft(base, warmup_steps=2, lr_scheduler_type="linear")
    before = trainer.policy.flat
    rows = [trainer.step()[0] for _ in range(4)]
    assert [row["learning_rate"] for row in rows] == pytest.approx([0, 5e-3, 1e-2, 5e-3])
    assert rows[0]["grad_norm"] > 0 and not np.array_equal(trainer.policy.flat, before)
