"""AI feedback (RLAIF, Constitutional AI): a model labels pairs and revises its own responses.

>>> model = fpo.LanguageModel.from_pretrained("smollm2")
>>> labels = fpo.feedback.ai_preferences(model, prompts, first, second, key=fpo.random.key(0))
>>> labels.dataset().write("pairs.jsonl")
>>> revised = fpo.feedback.critique_and_revise(model, prompts, key=fpo.random.key(1))
>>> fpo.feedback.sft_dataset(revised).write("sft.jsonl")

Principles are texts in a YAML file, `principles.yaml` in this package or one of your own.
"""

from __future__ import annotations

from .preferences import AIPreferences, ai_preferences
from .principles import Principle, read_principles
from .protocol import ChatModel
from .revisions import Revisions, critique_and_revise, sft_dataset

__all__ = [
    "AIPreferences",
    "ChatModel",
    "Principle",
    "Revisions",
    "ai_preferences",
    "critique_and_revise",
    "read_principles",
    "sft_dataset",
]
