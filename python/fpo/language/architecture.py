"""Sizes of a Llama-shaped model, and the tensors that a checkpoint of it must hold."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import FormatError

__all__ = ["LlamaArchitecture", "RotaryScaling", "check_tensors"]


@dataclass(frozen=True)
class RotaryScaling:
    """How rotary frequencies are stretched: "none", "linear" or "llama3"."""

    kind: str = "none"
    factor: float = 1.0
    low_frequency_factor: float = 1.0
    high_frequency_factor: float = 4.0
    original_context: int = 8192


@dataclass(frozen=True)
class LlamaArchitecture:
    """Llama 2 and 3, SmolLM2, and Qwen2 (`attention_bias`)."""

    vocabulary: int
    hidden: int
    intermediate: int
    layers: int
    heads: int
    key_value_heads: int
    head_dimension: int
    context: int
    norm_epsilon: float = 1e-5
    rotary_base: float = 10000.0
    rotary_scaling: RotaryScaling = RotaryScaling()
    tied_embeddings: bool = False
    attention_bias: bool = False
    output_bias: bool = False

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Every tensor by its Hugging Face name."""
        queries = self.heads * self.head_dimension
        keys = self.key_value_heads * self.head_dimension
        shapes: dict[str, tuple[int, ...]] = {
            "model.embed_tokens.weight": (self.vocabulary, self.hidden)
        }
        for layer in range(self.layers):
            block = f"model.layers.{layer}."
            shapes[block + "input_layernorm.weight"] = (self.hidden,)
            for name, outputs in (("q", queries), ("k", keys), ("v", keys)):
                shapes[f"{block}self_attn.{name}_proj.weight"] = (outputs, self.hidden)
                if self.attention_bias:
                    shapes[f"{block}self_attn.{name}_proj.bias"] = (outputs,)
            shapes[block + "self_attn.o_proj.weight"] = (self.hidden, queries)
            if self.output_bias:
                shapes[block + "self_attn.o_proj.bias"] = (self.hidden,)
            shapes[block + "post_attention_layernorm.weight"] = (self.hidden,)
            shapes[block + "mlp.gate_proj.weight"] = (self.intermediate, self.hidden)
            shapes[block + "mlp.up_proj.weight"] = (self.intermediate, self.hidden)
            shapes[block + "mlp.down_proj.weight"] = (self.hidden, self.intermediate)
        shapes["model.norm.weight"] = (self.hidden,)
        if not self.tied_embeddings:
            shapes["lm_head.weight"] = (self.vocabulary, self.hidden)
        return shapes

    @classmethod
    def from_config(cls, config: Mapping[str, Any], where: str) -> LlamaArchitecture:
        """Reads the dictionary of a ``config.json``.

        Raises
        ------
        FormatError
            A key is missing, or asks for what the engine does not compute.
        """
        kind = config.get("model_type")
        if kind not in ("llama", "qwen2", "mistral"):
            raise FormatError(
                f"{where}: model_type {kind!r}; expected 'llama', 'qwen2' or 'mistral'"
            )
        if config.get("quantization_config"):
            raise FormatError(f"{where}: quantised weights are read from GGUF files only")
        if config.get("hidden_act", "silu") != "silu":
            raise FormatError(f"{where}: hidden_act {config['hidden_act']!r}; expected 'silu'")
        if config.get("mlp_bias"):
            raise FormatError(f"{where}: mlp_bias is not computed")
        sliding = config.get("sliding_window")
        if sliding and config.get("use_sliding_window", kind == "mistral"):
            raise FormatError(f"{where}: sliding-window attention is not computed")
        get = _reader(config, where)
        heads = int(get("num_attention_heads"))
        hidden = int(get("hidden_size"))
        rotary = config.get("rope_parameters") or config.get("rope_scaling") or {}
        base = rotary.get("rope_theta", config.get("rope_theta", 10000.0))
        context = int(config.get("max_position_embeddings", 2048))
        bias = bool(config.get("attention_bias", False))
        return cls(
            vocabulary=int(get("vocab_size")),
            hidden=hidden,
            intermediate=int(get("intermediate_size")),
            layers=int(get("num_hidden_layers")),
            heads=heads,
            key_value_heads=int(config.get("num_key_value_heads") or heads),
            head_dimension=int(config.get("head_dim") or hidden // heads),
            context=context,
            norm_epsilon=float(config.get("rms_norm_eps", 1e-6)),
            rotary_base=float(base),
            rotary_scaling=_scaling(rotary, context, where),
            tied_embeddings=bool(config.get("tie_word_embeddings", False)),
            attention_bias=bias or kind == "qwen2",
            output_bias=bias and kind == "llama",
        )

    @classmethod
    def from_gguf(
        cls,
        metadata: Mapping[str, Any],
        shapes: Mapping[str, tuple[int, ...]],
        rotary_factors: NDArray[np.float32] | None,
        where: str,
    ) -> LlamaArchitecture:
        """Reads the metadata and the tensors' shapes of a GGUF file.

        Llama 3.1 and later leave the stretch of each rotary frequency as a tensor: the numbers of
        its formula are recovered from that.
        """
        kind = metadata.get("general.architecture")
        if kind not in ("llama", "qwen2"):
            raise FormatError(f"{where}: architecture {kind!r}; expected 'llama' or 'qwen2'")
        get = _reader(metadata, where)
        heads, hidden = (
            int(get(f"{kind}.attention.head_count")),
            int(get(f"{kind}.embedding_length")),
        )
        dimension = int(metadata.get(f"{kind}.attention.key_length", hidden // heads))
        if metadata.get(f"{kind}.rope.dimension_count", dimension) != dimension:
            raise FormatError(f"{where}: rotary embedding of a part of a head is not computed")
        base = float(metadata.get(f"{kind}.rope.freq_base", 10000.0))
        scaling = RotaryScaling()
        if rotary_factors is not None:
            scaling = _recovered_scaling(rotary_factors, base, dimension, where)
        elif metadata.get(f"{kind}.rope.scaling.type", "none") == "linear":
            scaling = RotaryScaling("linear", float(get(f"{kind}.rope.scaling.factor")))
        elif metadata.get(f"{kind}.rope.scaling.type", "none") != "none":
            raise FormatError(f"{where}: rotary scaling other than linear and llama3")
        if "token_embd.weight" not in shapes:
            raise FormatError(f"{where}: missing tensors: token_embd.weight")
        return cls(
            vocabulary=shapes["token_embd.weight"][0],
            hidden=hidden,
            intermediate=int(get(f"{kind}.feed_forward_length")),
            layers=int(get(f"{kind}.block_count")),
            heads=heads,
            key_value_heads=int(metadata.get(f"{kind}.attention.head_count_kv", heads)),
            head_dimension=dimension,
            context=int(get(f"{kind}.context_length")),
            norm_epsilon=float(get(f"{kind}.attention.layer_norm_rms_epsilon")),
            rotary_base=base,
            rotary_scaling=scaling,
            tied_embeddings="output.weight" not in shapes,
            attention_bias="blk.0.attn_q.bias" in shapes,
            output_bias="blk.0.attn_output.bias" in shapes,
        )


def _reader(values: Mapping[str, Any], where: str) -> Callable[[str], Any]:
    def get(name: str) -> Any:
        if name not in values:
            raise FormatError(f"{where}: {name} is missing")
        return values[name]

    return get


def _scaling(rotary: Mapping[str, Any], context: int, where: str) -> RotaryScaling:
    kind = rotary.get("rope_type", rotary.get("type", "default"))
    get = _reader(rotary, f"{where}: rope_scaling")
    if kind == "default":
        return RotaryScaling()
    if kind == "linear":
        return RotaryScaling("linear", float(get("factor")))
    if kind == "llama3":
        return RotaryScaling(
            "llama3",
            float(get("factor")),
            float(get("low_freq_factor")),
            float(get("high_freq_factor")),
            int(rotary.get("original_max_position_embeddings", context)),
        )
    raise FormatError(f"{where}: rope_scaling {kind!r}; expected 'linear' or 'llama3'")


def llama3_factors(base: float, dimension: int, scaling: RotaryScaling) -> NDArray[np.float64]:
    """By what each rotary frequency of Llama 3.1 is divided (dimension / 2)."""
    wavelength = 2 * math.pi * base ** (np.arange(0, dimension, 2) / dimension)
    low = scaling.original_context / scaling.low_frequency_factor
    high = scaling.original_context / scaling.high_frequency_factor
    smooth = (scaling.original_context / wavelength - scaling.low_frequency_factor) / (
        scaling.high_frequency_factor - scaling.low_frequency_factor
    )
    between = 1 / ((1 - smooth) / scaling.factor + smooth)
    return np.where(wavelength < high, 1.0, np.where(wavelength > low, scaling.factor, between))


def _recovered_scaling(
    factors: NDArray[np.float32], base: float, dimension: int, where: str
) -> RotaryScaling:
    scaling = RotaryScaling("llama3", factor=float(factors.max()))
    expected = llama3_factors(base, dimension, scaling)
    if factors.shape != expected.shape or not np.allclose(factors, expected, rtol=1e-4):
        raise FormatError(f"{where}: rope_freqs.weight is not the scaling of Llama 3")
    return scaling


def check_tensors(
    found: Mapping[str, tuple[int, ...]],
    expected: Mapping[str, tuple[int, ...]],
    where: str,
    *,
    ignored: Iterable[str] = (),
) -> None:
    """Compares a checkpoint's tensors with what a model needs.

    Raises
    ------
    FormatError
        Tensors are missing, extra or mis-shaped; the message lists them.
    """
    skip = tuple(ignored)
    missing = [name for name in expected if name not in found]
    extra = [name for name in found if name not in expected and not name.endswith(skip)]
    wrong = [
        f"{name} is {list(found[name])}, expected {list(shape)}"
        for name, shape in expected.items()
        if name in found and tuple(found[name]) != shape
    ]
    faults = [
        f"{what}: {_some(names)}"
        for what, names in (("missing", missing), ("extra", extra), ("mis-shaped", wrong))
        if names
    ]
    if faults:
        raise FormatError(f"{where}: tensors {'; '.join(faults)}")


def _some(names: list[str], most: int = 12) -> str:
    shown = ", ".join(names[:most])
    return shown if len(names) <= most else f"{shown} and {len(names) - most} more"
