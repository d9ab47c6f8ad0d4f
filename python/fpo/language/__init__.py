"""Iterative RLHF on language models: weights, tokenizers, policies, oracles and the loop."""

from __future__ import annotations

from .config import IterativeRLHFConfig
from .trainer import IterativeRLHFTrainer

__all__ = ["IterativeRLHFConfig", "IterativeRLHFTrainer"]
