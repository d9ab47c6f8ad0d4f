"""From settings to models."""

from __future__ import annotations

from .. import random
from ..language.adapters import AdapterSettings
from ..language.model import LanguageModel
from ..language.policy import LlamaPolicy
from .config import PolicyConfig

__all__ = ["policy"]

_ADAPTER = 16  # child of the run's key


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
