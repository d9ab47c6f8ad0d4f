"""TRL 1.16 as oracle: whole trainers on a small random model."""

from __future__ import annotations

from collections import deque
from typing import Any

import fpo
import numpy as np
import pytest
from fpo import objectives
from fpo.language import AdapterSettings, LanguageModel, LlamaPolicy
from fpo.trainers import PreferenceConfig, PreferenceTrainer
from test_trainers_offline import pairs
from tiny_models import save

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")
trl = pytest.importorskip("trl", reason="TRL is not installed")
datasets = pytest.importorskip("datasets")
if trl.__version__.split(".")[:2] != ["1", "16"]:
    pytest.skip(f"written against TRL 1.16, not {trl.__version__}", allow_module_level=True)

pytestmark = pytest.mark.filterwarnings("ignore")

PLAIN: dict[str, Any] = {
    "report_to": "none",
    "save_strategy": "no",
    "bf16": False,
    "use_cpu": True,
    "gradient_checkpointing": False,
    "disable_tqdm": True,
}


def close(found: Any, expected: Any, tolerance: float) -> None:
    np.testing.assert_allclose(found, expected, rtol=tolerance, atol=tolerance)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: Any) -> Any:
    return save(tmp_path_factory.mktemp("tiny"))


def test_ten_steps_of_dpo_trainer(folder: Any, tmp_path: Any) -> None:
    """From a new adapter: an older one is TRL's reference as it stands; ours is always the base."""
    peft = pytest.importorskip("peft")

    policy = LlamaPolicy(
        LanguageModel.from_pretrained(folder, storage="f32"),
        AdapterSettings(rank=4, alpha=8.0, dropout=0.0),
        key=fpo.random.key(0),
    )
    settings: dict[str, Any] = {
        "max_length": 32,
        "max_steps": 10,
        "per_device_train_batch_size": 4,
        "learning_rate": 2e-2,
        "weight_decay": 0.01,
        "max_grad_norm": 0.5,
        "warmup_steps": 2,
        "lr_scheduler_type": "linear",
        "beta": 0.5,
    }
    data = [{**row, "prompt": row["prompt"] + " "} for row in pairs()]  # TRL joins the texts
    ours = PreferenceTrainer(policy, "dpo", PreferenceConfig(**settings), data)
    policy.save_adapter(tmp_path / "start")
    base = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    model = peft.PeftModel.from_pretrained(base, tmp_path / "start", is_trainable=True)

    # Ours orders the data by its own key; TRL is given the rows in that order.
    examples = {id(one): row for one, row in zip(ours.train_examples, data, strict=True)}
    rows = [examples[id(one)] for step in range(10) for one in ours.batch(step)]
    theirs = trl.DPOTrainer(
        model,
        args=trl.DPOConfig(
            output_dir=str(tmp_path / "run"),
            logging_steps=1,
            **PLAIN,
            **settings,
        ),
        train_dataset=datasets.Dataset.from_list(rows),
        processing_class=transformers.AutoTokenizer.from_pretrained(folder),
    )
    theirs._get_train_sampler = lambda *_: torch.utils.data.SequentialSampler(theirs.train_dataset)
    theirs.train()
    log = [row for row in theirs.state.log_history if "loss" in row]
    found = ours.train(progress=False)
    assert len(log) == len(found) == 10
    for name in ("loss", "rewards/margins", "rewards/accuracies", "logps/chosen", "grad_norm"):
        close([row[name] for row in found], [row[name] for row in log], 1e-3)
    assert found[-1]["loss"] < found[0]["loss"] - 0.01


def test_advantages_of_grpo_trainer(folder: Any, tmp_path: Any) -> None:
    """Rewards with gaps, a group without a score, and one of equal rewards, through one step."""
    rewards: list[float | None] = [0.1, None, 2.0, -1.0, 0.5, 0.5, 0.5, 0.5, None, None, None, None]
    for scale in ("group", "batch", "none"):
        trainer = trl.GRPOTrainer(
            transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32),
            reward_funcs=lambda completions, **_: rewards,
            args=trl.GRPOConfig(
                output_dir=str(tmp_path / scale),
                **PLAIN,
                max_steps=1,
                per_device_train_batch_size=12,
                num_generations=4,
                max_completion_length=4,
                scale_rewards=scale,
                loss_type="grpo",
            ),
            train_dataset=datasets.Dataset.from_list([{"prompt": f"w{i}"} for i in (3, 4, 5)]),
            processing_class=transformers.AutoTokenizer.from_pretrained(folder),
        )
        kept: deque[float] = deque(maxlen=12)
        trainer._logs["advantages"] = kept
        trainer.train()
        ours = objectives.group_advantage(rewards, np.repeat([0, 1, 2], 4), scale=scale)
        close(ours, list(kept), 1e-5)  # theirs in float32
