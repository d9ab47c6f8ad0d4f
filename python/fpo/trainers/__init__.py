"""Trainers on real models: Python drives, the library computes.

>>> policy = fpo.LlamaPolicy(fpo.LanguageModel.from_pretrained("smollm2"), key=fpo.random.key(0))
>>> config = fpo.trainers.PreferenceConfig(max_steps=100, output_dir="runs/dpo")
>>> rows = fpo.trainers.PreferenceTrainer(policy, "dpo", config, "pairs.jsonl").train()

===========================  ================================================================
`SFTTrainer`                 the likelihood of given answers
`RewardTrainer`              reward models on text, from pairs or labels
`PreferenceTrainer`          DPO, IPO, KTO, SimPO, ORPO and the others of `fpo.objectives`
`PolicyGradientTrainer`      GRPO, RLOO, REINFORCE, PPO with verifiers, functions, reward models
===========================  ================================================================

Data is in TRL's schema (`fpo.data`), settings and metrics have TRL's names. Every run can be
interrupted at any moment and goes on bit for bit.
"""

from __future__ import annotations

from .config import (
    PolicyGradientConfig,
    PreferenceConfig,
    RewardConfig,
    SFTConfig,
    TrainingConfig,
)
from .policy_gradient import PolicyGradientTrainer
from .preference import PreferenceTrainer
from .reward import RewardTrainer
from .sft import SFTTrainer
from .sources import Rewards

__all__ = [
    "PolicyGradientConfig",
    "PolicyGradientTrainer",
    "PreferenceConfig",
    "PreferenceTrainer",
    "RewardConfig",
    "RewardTrainer",
    "Rewards",
    "SFTConfig",
    "SFTTrainer",
    "TrainingConfig",
]
