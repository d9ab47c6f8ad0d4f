"""Trainers on real models: Python drives, the library computes.

>>> policy = fpo.LlamaPolicy(fpo.LanguageModel.from_pretrained("smollm2"), key=fpo.random.key(0))
>>> config = fpo.trainers.PreferenceConfig(max_steps=100, output_dir="runs/dpo")
>>> rows = fpo.trainers.PreferenceTrainer(policy, "dpo", config, "pairs.jsonl").train()

===========================  ================================================================
`SFTTrainer`                 the likelihood of given answers
`PreferenceTrainer`          DPO, IPO, KTO, SimPO, ORPO and the others of `fpo.objectives`
===========================  ================================================================

Data is in TRL's schema (`fpo.data`), settings and metrics have TRL's names. Every run can be
interrupted at any moment and goes on bit for bit.
"""

from __future__ import annotations

from .config import PreferenceConfig, SFTConfig, TrainingConfig
from .preference import PreferenceTrainer
from .sft import SFTTrainer

__all__ = [
    "PreferenceConfig",
    "PreferenceTrainer",
    "SFTConfig",
    "SFTTrainer",
    "TrainingConfig",
]
