"""An encoder and a text reward for `test_fuzz`, with all sizes 1, 2 or 5."""

from __future__ import annotations

import ctypes
from functools import cache

import numpy as np
from fpo import _lib
from fpo._lib import byref, lib

PREFIXES = ("fpo_text_encoder_", "fpo_text_reward_")
TENSORS = [b"embeddings.word_embeddings.weight", b"encoder.layer.0.output.dense.weight"]


def set_sizes(config: _lib.TextEncoderConfig) -> None:
    """One block of width 2 over 16 tokens."""
    config.vocab_size = config.max_position_embeddings = 16
    config.intermediate_size = 5
    config.hidden_size = config.type_vocab_size = 2
    config.num_hidden_layers = config.num_attention_heads = 1


@cache
def _encoder(finished: bool) -> int:
    config, out, tensor = (
        _lib.initialized(_lib.TextEncoderConfig),
        ctypes.c_void_p(),
        _lib.Tensor(),
    )
    set_sizes(config)
    lib.fpo_text_encoder_create(byref(config), byref(out))
    ones = np.ones(64, np.float32)
    for i in range(21 if finished else 0):
        lib.fpo_text_encoder_tensor(out, i, byref(tensor))
        rows, columns = tensor.rows, tensor.columns
        lib.fpo_text_encoder_load(
            out, tensor.name, rows, columns, 0, rows, 0, ones.ctypes.data, columns
        )
    if finished:
        lib.fpo_text_encoder_finish(out)
    assert out.value
    return out.value


@cache
def _reward() -> int:
    config, out = _lib.initialized(_lib.TextRewardConfig), ctypes.c_void_p()
    config.trainable = 3
    lib.fpo_text_reward_create(_encoder(True), byref(config), 1, byref(out))
    assert out.value
    return out.value


def handle(name: str) -> int | None:
    """What a function takes first."""
    if name == "fpo_text_encoder_create":
        return None
    if name in ("fpo_text_encoder_load", "fpo_text_encoder_missing"):
        return _encoder(False)
    if name.startswith("fpo_text_encoder_") or name.endswith("_create"):
        return _encoder(True)
    return _reward()
