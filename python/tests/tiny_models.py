"""A small random Llama with a tokenizer of words, without PyTorch."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import fpo
import numpy as np
import pytest
from fpo.language import AdapterSettings, LanguageModel, LlamaPolicy
from fpo.language.encoders import TextEncoder
from fpo.language.safetensors import write_safetensors
from fpo.language.tokenizer import Tokenizer

tokenizers = pytest.importorskip("tokenizers")

WORDS = [f"w{i}" for i in range(2, 40)]
CONFIG: dict[str, Any] = {
    "model_type": "llama",
    "architectures": ["LlamaForCausalLM"],
    "vocab_size": 40,
    "hidden_size": 16,
    "intermediate_size": 24,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "head_dim": 8,
    "max_position_embeddings": 64,
    "rms_norm_eps": 1e-5,
    "rope_theta": 10000.0,
    "hidden_act": "silu",
    "tie_word_embeddings": False,
    "eos_token_id": 1,
    "bos_token_id": 0,
}
TEMPLATE = (
    "{% for message in messages %}w2 {{ message['content'] }} </s> {% endfor %}"
    "{% if add_generation_prompt %}w2 {% endif %}"
)


def tensors(seed: int = 0) -> dict[str, np.ndarray]:
    """Weights by Hugging Face name."""
    draw = np.random.default_rng(seed)
    d, m, v, kv = 16, 24, 40, 8

    def matrix(rows: int, columns: int) -> np.ndarray:
        return draw.normal(0, 0.15, (rows, columns)).astype(np.float32)

    out = {
        "model.embed_tokens.weight": matrix(v, d) * 3,
        "model.norm.weight": np.ones(d, np.float32),
        "lm_head.weight": matrix(v, d),
    }
    for i in range(2):
        at = f"model.layers.{i}."
        out |= {
            at + "input_layernorm.weight": np.ones(d, np.float32),
            at + "post_attention_layernorm.weight": np.ones(d, np.float32),
            at + "self_attn.q_proj.weight": matrix(d, d),
            at + "self_attn.k_proj.weight": matrix(kv, d),
            at + "self_attn.v_proj.weight": matrix(kv, d),
            at + "self_attn.o_proj.weight": matrix(d, d),
            at + "mlp.gate_proj.weight": matrix(m, d),
            at + "mlp.up_proj.weight": matrix(m, d),
            at + "mlp.down_proj.weight": matrix(d, m),
        }
    return out


def save(folder: Path) -> Path:
    """The model as a Hugging Face folder."""
    write_safetensors(folder / "model.safetensors", tensors(), {"format": "pt"})
    (folder / "config.json").write_text(json.dumps(CONFIG))
    words = {"<s>": 0, "</s>": 1, **{word: i for i, word in enumerate(WORDS, 2)}}
    backend = tokenizers.Tokenizer(tokenizers.models.WordLevel(words, unk_token="w2"))
    backend.pre_tokenizer = tokenizers.pre_tokenizers.WhitespaceSplit()
    backend.decoder = tokenizers.decoders.Fuse()
    backend.add_special_tokens(["<s>", "</s>"])
    backend.save(str(folder / "tokenizer.json"))
    settings = {"bos_token": "<s>", "eos_token": "</s>", "chat_template": TEMPLATE}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    return folder


def policy_of(base: LanguageModel, **changes: Any) -> LlamaPolicy:
    """A policy whose adapter is not zero."""
    settings = AdapterSettings(rank=4, alpha=8.0, **{"dropout": 0.0, **changes})
    policy = LlamaPolicy(base, settings, key=fpo.random.key(0))
    draw = np.random.default_rng(1)
    policy.flat = (policy.flat + draw.normal(0, 0.02, policy.parameter_count)).astype(np.float32)
    return policy


def untimed(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Rows without the metrics that a clock gave."""
    return [
        {name: value for name, value in row.items() if not name.startswith("time/")} for row in rows
    ]


def encoder(seed: int = 0) -> TextEncoder:
    """A small random BERT that reads the same words."""
    draw = np.random.default_rng(seed)
    d, m = 16, 24
    out: dict[str, np.ndarray] = {}

    def dense(name: str, rows: int, columns: int) -> None:
        out[name + ".weight"] = draw.normal(0, 0.2, (rows, columns)).astype(np.float32)
        out[name + ".bias"] = np.zeros(rows, np.float32)

    def norm(name: str) -> None:
        out[name + ".weight"], out[name + ".bias"] = np.ones(d, np.float32), np.zeros(d, np.float32)

    for name, rows in (("word", 40), ("position", 40), ("token_type", 2)):
        table = draw.normal(0, 0.5, (rows, d)).astype(np.float32)
        out[f"embeddings.{name}_embeddings.weight"] = table
    norm("embeddings.LayerNorm")
    for i in range(2):
        at = f"encoder.layer.{i}."
        for part in ("query", "key", "value"):
            dense(f"{at}attention.self.{part}", d, d)
        dense(f"{at}attention.output.dense", d, d)
        norm(f"{at}attention.output.LayerNorm")
        dense(f"{at}intermediate.dense", m, d)
        dense(f"{at}output.dense", d, m)
        norm(f"{at}output.LayerNorm")
    config = {
        "model_type": "bert",
        "vocab_size": 40,
        "hidden_size": d,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "intermediate_size": m,
        "max_position_embeddings": 40,
        "type_vocab_size": 2,
        "layer_norm_eps": 1e-12,
        "hidden_act": "gelu",
    }
    words = {"<s>": 0, "</s>": 1, **{word: i for i, word in enumerate(WORDS, 2)}}
    backend = tokenizers.Tokenizer(tokenizers.models.WordLevel(words, unk_token="w2"))
    backend.pre_tokenizer = tokenizers.pre_tokenizers.WhitespaceSplit()
    backend.post_processor = tokenizers.processors.TemplateProcessing(
        single="<s> $A </s>",
        pair="<s> $A </s> $B:1 </s>:1",
        special_tokens=[("<s>", 0), ("</s>", 1)],
    )
    tensors = {name: (array, "F32") for name, array in out.items()}
    return TextEncoder(config, tensors, Tokenizer(backend), max_length=32)
