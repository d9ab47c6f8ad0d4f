"""From settings to models."""

from __future__ import annotations

from .. import random
from ..language.adapters import AdapterSettings
from ..language.encoders import TextEncoder
from ..language.model import LanguageModel
from ..language.policy import LlamaPolicy
from ..language.rewards import TextReward
from .config import PolicyConfig, RewardConfig

__all__ = ["policy", "reward"]

_ADAPTER, _HEAD = 16, 17  # children of the run's key


def policy(config: PolicyConfig, base: LanguageModel | None = None) -> LlamaPolicy:
    """The policy that a configuration names.

    Parameters
    ----------
    base
        The base model, where it is loaded already.
    """
    model = base or LanguageModel.from_pretrained(config.model, storage=config.storage)
    if config.adapter:
        return LlamaPolicy.from_adapter(model, config.adapter)
    settings = AdapterSettings(
        rank=config.lora_rank,
        alpha=config.lora_alpha,
        dropout=config.lora_dropout,
        targets=config.targets,
    )
    return LlamaPolicy(model, settings, key=random.fold(random.key(config.seed), _ADAPTER))


def reward(config: RewardConfig) -> TextReward:
    """The reward model that a configuration names."""
    return TextReward(
        TextEncoder.from_pretrained(config.encoder, max_length=config.max_length),
        trainable=config.trainable,
        blocks=config.blocks,
        rank=config.lora_rank,
        alpha=config.lora_alpha,
        key=random.fold(random.key(config.seed), _HEAD),
    )
