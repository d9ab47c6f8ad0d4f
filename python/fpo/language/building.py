"""From settings to a trainer: loads the models that an `IterativeRLHFConfig` names."""

from __future__ import annotations

import gzip
import json
import os
from pathlib import Path

from .. import random
from ..errors import ArgumentError
from .adapters import AdapterSettings
from .config import IterativeRLHFConfig
from .encoder_reward import EncoderReward
from .encoders import EncoderTrunk, TextEncoder
from .gold import GoldOracle, is_held_out, labelled_answers, truth_labels
from .model import LanguageModel
from .oracles import LikelihoodOracle, Oracle
from .policy import LlamaPolicy
from .questions import read_prompts
from .rewarding import HeadReward, LlamaTrunk, TextRewardModel, Trunk
from .trainer import IterativeRLHFTrainer

__all__ = ["build", "training_questions"]

_REWARD_TOKENS = 128  # of a text, as published

# Children of the run's key; the trainer has the others.
_ADAPTER, _HEAD = 16, 17


def build(
    config: IterativeRLHFConfig, *, base: LanguageModel | None = None, progress: bool = True
) -> IterativeRLHFTrainer:
    """A trainer with the policy, reward model, oracle and prompts of a configuration.

    Parameters
    ----------
    base
        The base model, where it is loaded already: runs may share one.
    """
    model = base or LanguageModel.from_pretrained(config.model, storage=config.storage)
    key = random.key(config.seed)
    settings = AdapterSettings(
        rank=config.lora_rank,
        alpha=config.lora_alpha,
        dropout=config.lora_dropout,
        targets=config.targets,
    )
    policy = LlamaPolicy(model, settings, key=random.fold(key, _ADAPTER))
    reward = _reward(config, model, random.fold(key, _HEAD))
    oracle = _oracle(config, model, progress)
    return IterativeRLHFTrainer(
        policy, reward, oracle, config=config, prompts=training_questions(config.prompts)
    )


def _reward(config: IterativeRLHFConfig, model: LanguageModel, key: int) -> TextRewardModel:
    sees_prompt, frozen = config.reward_sees_prompt, config.reward_trains == "head"
    trunk: Trunk
    if config.reward_model == "policy":
        if not frozen:
            raise ArgumentError(
                f"reward_trains: expected 'head', as reward_model 'policy' shares the policy's "
                f"frozen weights, got {config.reward_trains!r}"
            )
        trunk = LlamaTrunk(
            model, config.reward_layer, pooling=config.reward_pooling, sees_prompt=sees_prompt
        )
    else:
        encoder = TextEncoder.from_pretrained(config.reward_model, max_length=_REWARD_TOKENS)
        if not frozen:
            return EncoderReward(
                encoder,
                sees_prompt=sees_prompt,
                dropout=config.reward_dropout,
                trainable=config.reward_trains,
                blocks=config.reward_blocks,
                rank=config.reward_lora_rank,
                alpha=2.0 * config.reward_lora_rank,
                head_hidden=config.reward_hidden,
                head_scale=config.reward_scale,
                key=key,
            )
        pooler = {"bert": "tanh", "deberta-v2": "context"}.get(encoder.family, "tanh")
        trunk = EncoderTrunk(
            encoder, pooler=pooler if encoder.classifier else "mean", sees_prompt=sees_prompt
        )
    reward = HeadReward(
        trunk,
        hidden=config.reward_hidden,
        scale=config.reward_scale,
        key=key,
        dropout=config.reward_dropout,
    )
    classifier = getattr(getattr(trunk, "encoder", None), "classifier", {})
    if classifier and not config.reward_hidden:  # a reward model that is trained already
        reward.head.parameters = {
            name: classifier[name].reshape(shape) for name, shape in reward.head.shapes.items()
        }
    return reward


def _oracle(config: IterativeRLHFConfig, model: LanguageModel, progress: bool) -> Oracle:
    if config.oracle == "likelihood":
        return LikelihoodOracle()
    if config.oracle == "truth":
        return GoldOracle(model, truth_labels(), name="truth", progress=progress)
    path = Path(config.oracle)
    if path.suffix == ".jsonl" and path.is_file():
        return GoldOracle(model, labelled_answers(path), name=path.stem, progress=progress)
    raise ArgumentError(
        f"oracle: expected 'likelihood', 'truth' or a .jsonl file of labels, got {config.oracle!r}"
    )


def training_questions(source: str) -> list[str]:
    """Prompts of a file, "shipped", or "truthfulqa": its questions that are not held out."""
    if source != "truthfulqa":
        return read_prompts(source)
    data = os.environ.get("FPO_DATA")
    path = Path(data or "") / "truthfulqa" / "questions_v1.jsonl.gz"
    if not data or not path.is_file():
        raise ArgumentError("prompts 'truthfulqa': set FPO_DATA to the folder that holds it")
    with gzip.open(path, "rt", encoding="utf-8") as file:
        questions = [json.loads(line)["question"] for line in file]
    return [question for question in questions if not is_held_out(question)]
