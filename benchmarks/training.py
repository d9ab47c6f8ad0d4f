"""Contestants of the training rows: one optimiser step on a fixed batch of pairs, ours and PyTorch.

Every call steps on the same pairs, so that calls are comparable. Both sides clip the gradient and
follow it with AdamW; neither drops out. What a data set needs once, such as reading and, for the
peers, tokenizing, is done beforehand.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from . import machine
from .texts import pairs

Call = Callable[[], Any]

MAX_LENGTH = 256
SETTINGS = {"max_steps": 10**6, "lr_scheduler_type": "constant", "max_length": MAX_LENGTH}
RANK, BETA = 16, 0.1


def fpo_reward(count: int) -> Call:
    """Bradley-Terry on all parameters of MiniLM."""
    import fpo
    from fpo.language.encoders import TextEncoder
    from fpo.language.rewards import TextReward
    from fpo.trainers import RewardConfig, RewardTrainer

    fpo.set_num_threads(len(machine.cores()))
    reward = TextReward(TextEncoder.from_pretrained("minilm"), trainable="all")
    config = RewardConfig(per_device_train_batch_size=count, **SETTINGS)
    return RewardTrainer(reward, config, pairs(count)).step


def torch_reward(count: int) -> Call:
    """The same in Transformers."""
    import torch

    torch.set_num_threads(len(machine.cores()))
    from .peers import torch_training

    return torch_training.RewardModel(pairs(count), MAX_LENGTH).step


def fpo_dpo(storage: str, count: int) -> Call:
    """DPO on an adapter of SmolLM2, the reference computed in every step."""
    import fpo
    from fpo.language import AdapterSettings
    from fpo.trainers import PreferenceConfig, PreferenceTrainer

    fpo.set_num_threads(len(machine.cores()))
    model = fpo.LanguageModel.from_pretrained("smollm2", storage=storage)
    settings = AdapterSettings(rank=RANK, alpha=2 * RANK, dropout=0.0)
    policy = fpo.LlamaPolicy(model, settings, key=fpo.random.key(0))
    config = PreferenceConfig(per_device_train_batch_size=count, beta=BETA, **SETTINGS)
    trainer = PreferenceTrainer(policy, "dpo", config, pairs(count))

    def measure() -> Any:
        trainer._reference.clear()  # as on pairs that it has not seen
        return trainer.step()

    return measure


def torch_dpo(dtype: str, count: int) -> Call:
    """The same in Transformers and PEFT."""
    import torch

    torch.set_num_threads(len(machine.cores()))
    from .language import _tokenizer
    from .peers import torch_training

    tokenizer = _tokenizer()
    rows = [
        (
            tokenizer.encode(row["prompt"], special=True),
            *(
                [*tokenizer.encode(row[side]), tokenizer.eos_token]
                for side in ("chosen", "rejected")
            ),
        )
        for row in pairs(count)
    ]
    return torch_training.DirectPreference(dtype, rows, BETA).step
