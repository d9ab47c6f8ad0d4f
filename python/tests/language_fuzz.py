"""A decoder, an adapter and a generation for `test_fuzz`, with all sizes 1, 2 or 5."""

from __future__ import annotations

import ctypes
from functools import cache

import numpy as np
from fpo import _lib
from fpo._lib import byref, lib

PREFIXES = ("fpo_language_model_", "fpo_lora_", "fpo_generation_")
#: Functions whose second argument is an adapter or NULL.
TAKES_ADAPTER = {
    "fpo_language_model_log_probabilities",
    "fpo_language_model_continuations",
    "fpo_language_model_hidden_states",
    "fpo_language_model_logits",
    "fpo_generation_create",
}
TENSORS = [
    b"model.embed_tokens.weight",
    b"model.norm.weight",
    b"model.layers.0.self_attn.q_proj.weight",
    b"model.layers.0.mlp.down_proj.weight",
]


def set_sizes(config: _lib.LanguageModelConfig) -> None:
    """One block of width 2 over five tokens."""
    config.vocab_size = config.intermediate_size = 5
    config.hidden_size = config.head_dim = 2
    config.num_hidden_layers = config.num_attention_heads = config.tie_word_embeddings = 1
    config.max_position_embeddings = 16


@cache
def _model(finished: bool) -> int:
    config, out, tensor = (
        _lib.initialized(_lib.LanguageModelConfig),
        ctypes.c_void_p(),
        _lib.Tensor(),
    )
    set_sizes(config)
    lib.fpo_language_model_create(byref(config), byref(out))
    ones = np.ones(16, np.float32)
    for i in range(11 if finished else 0):
        lib.fpo_language_model_tensor(out, i, byref(tensor))
        rows, columns = tensor.rows, tensor.columns
        lib.fpo_language_model_load(
            out, tensor.name, rows, columns, 0, rows, 0, ones.ctypes.data, columns
        )
    if finished:
        lib.fpo_language_model_finish(out)
    assert out.value
    return out.value


@cache
def _adapter() -> int:
    config, out = _lib.initialized(_lib.LoraConfig), ctypes.c_void_p()
    config.rank = 1
    lib.fpo_lora_create(_model(True), byref(config), byref(out))
    assert out.value
    return out.value


@cache
def _generation() -> int:
    config, out = _lib.initialized(_lib.GenerationConfig), ctypes.c_void_p()
    config.max_new_tokens = 3
    offsets, token, key = np.array([0, 1]), np.zeros(1, np.int32), np.ones(1, np.uint64)
    lib.fpo_generation_create(
        _model(True), None, byref(config), 1, offsets.ctypes.data, token.ctypes.data, 0, None,
        key.ctypes.data, byref(out),
    )  # fmt: skip
    assert out.value
    return out.value


def handle(name: str) -> int | None:
    """What a function takes first."""
    if name == "fpo_language_model_create":
        return None
    if name in ("fpo_language_model_load", "fpo_language_model_missing"):
        return _model(False)
    if name.startswith("fpo_language_model_") or name.endswith("_create"):
        return _model(True)
    return _adapter() if name.startswith("fpo_lora") else _generation()
