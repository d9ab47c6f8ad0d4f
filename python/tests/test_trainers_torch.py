"""The first steps of training against PyTorch and PEFT, from the same weights and order."""

from __future__ import annotations

import numpy as np
import pytest
from fpo.language import LanguageModel
from fpo.trainers import PreferenceConfig, PreferenceTrainer, SFTConfig, SFTTrainer
from test_trainers_offline import answers, pairs
from tiny_models import policy_of, save

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")
peft = pytest.importorskip("peft")

SETTINGS = {
    "max_length": 32,
    "max_steps": 10,
    "per_device_train_batch_size": 4,
    "learning_rate": 5e-3,
    "weight_decay": 0.01,
    "max_grad_norm": 0.5,
    "warmup_steps": 2,
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return save(tmp_path_factory.mktemp("tiny"))


def their_policy(folder, ours, tmp_path):
    ours.save_adapter(tmp_path / "start")
    base = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    return peft.PeftModel.from_pretrained(base, tmp_path / "start", is_trainable=True).eval()


def log_p(model, prompt, completion):
    tokens = torch.tensor([[*prompt, *completion]])
    table = model(tokens).logits[0].log_softmax(-1)
    return sum(table[len(prompt) - 1 + i, token] for i, token in enumerate(completion))


def their_losses(trainer, model, loss_of):
    parameters = [one for one in model.parameters() if one.requires_grad]
    of = trainer.config
    optimizer = torch.optim.AdamW(parameters, of.learning_rate, weight_decay=of.weight_decay)
    schedule = transformers.get_linear_schedule_with_warmup(
        optimizer, of.warmup_steps, of.max_steps
    )
    losses, norms = [], []
    for step in range(of.max_steps):
        loss = loss_of(trainer.batch(step))
        optimizer.zero_grad()
        loss.backward()
        norms.append(float(torch.nn.utils.clip_grad_norm_(parameters, of.max_grad_norm)))
        optimizer.step()
        schedule.step()
        losses.append(float(loss.detach()))
    return losses, norms


def test_ten_steps_of_dpo(folder, tmp_path):
    policy = policy_of(LanguageModel.from_pretrained(folder, storage="f32"))
    config = PreferenceConfig(**SETTINGS, beta=0.5)
    trainer = PreferenceTrainer(policy, "dpo", config, pairs())
    model = their_policy(folder, policy, tmp_path)

    def loss_of(batch):
        losses = []
        for one in batch:
            with torch.no_grad(), model.disable_adapter():
                ref = [log_p(model, one.prompt, tokens) for tokens in one.completions]
            ours = [log_p(model, one.prompt, tokens) for tokens in one.completions]
            margin = (ours[0] - ref[0]) - (ours[1] - ref[1])
            losses.append(-torch.nn.functional.logsigmoid(0.5 * margin))
        return torch.stack(losses).mean()

    losses, norms = their_losses(trainer, model, loss_of)
    rows = trainer.train(progress=False)
    np.testing.assert_allclose([row["loss"] for row in rows], losses, atol=1e-4)
    np.testing.assert_allclose([row["grad_norm"] for row in rows], norms, rtol=1e-3, atol=1e-5)
    assert losses[-1] < losses[0] - 0.01


def test_ten_steps_of_sft(folder, tmp_path):
    policy = policy_of(LanguageModel.from_pretrained(folder, storage="f32"))
    trainer = SFTTrainer(policy, SFTConfig(**SETTINGS), answers())
    model = their_policy(folder, policy, tmp_path)

    def loss_of(batch):
        total = sum(log_p(model, one.tokens[: one.first], one.tokens[one.first :]) for one in batch)
        return -total / sum(len(one.tokens) - one.first for one in batch)

    losses, norms = their_losses(trainer, model, loss_of)
    rows = trainer.train(progress=False)
    np.testing.assert_allclose([row["loss"] for row in rows], losses, atol=1e-4)
    np.testing.assert_allclose([row["grad_norm"] for row in rows], norms, rtol=1e-3, atol=1e-5)
