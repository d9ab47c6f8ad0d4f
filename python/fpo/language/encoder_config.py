"""What a checkpoint says of an encoder: its config, and the names of its tensors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from numpy.typing import NDArray

from .. import _lib
from .._configuration import one_of
from ..errors import FormatError

__all__ = ["activation_code", "encoder_config", "own_tensors"]

_FAMILIES = {"bert": 0, "roberta": 1, "xlm-roberta": 1, "camembert": 1, "deberta-v2": 2}
_ACTIVATIONS = {
    "gelu": 0,
    "gelu_new": 1,
    "gelu_pytorch_tanh": 1,
    "gelu_fast": 1,
    "tanh": 2,
    "relu": 3,
}
_PREFIXES = ("bert.", "roberta.", "deberta.", "camembert.")
#: Parts of checkpoints for other purposes.
_HEADS = ("cls.", "lm_head.", "lm_predictions.", "mask_predictions.", "qa_outputs.", "classifier.")


def activation_code(name: Any, where: str) -> int:
    """The library's number of an activation."""
    if name not in _ACTIVATIONS:
        raise FormatError(f"{where}: the activation {name!r} is not computed here")
    return _ACTIVATIONS[name]


def own_tensors(
    tensors: Mapping[str, tuple[NDArray[Any], str]],
) -> tuple[dict[str, tuple[NDArray[Any], str]], dict[str, NDArray[Any]]]:
    """The encoder's tensors under the library's names, and a classifier with one output."""
    own: dict[str, tuple[NDArray[Any], str]] = {}
    classifier: dict[str, NDArray[Any]] = {}
    for name, (array, kind) in tensors.items():
        for prefix in _PREFIXES:
            name = name.removeprefix(prefix)
        if name.startswith("classifier.dense."):  # RoBERTa's pooler
            own["pooler.dense." + name.removeprefix("classifier.dense.")] = (array, kind)
        elif name.startswith("classifier.") and array.shape[0] == 1:
            classifier[name.rpartition(".")[2]] = array
        elif not name.startswith(_HEADS) and not name.endswith("position_ids"):
            name = name.replace("LayerNorm.gamma", "LayerNorm.weight")
            own[name.replace("LayerNorm.beta", "LayerNorm.bias")] = (array, kind)
    return own, classifier


def encoder_config(config: Mapping[str, Any], pooler: bool, where: str) -> Any:
    """The library's config of a ``config.json``."""
    family = config.get("model_type")
    if family not in _FAMILIES:
        raise FormatError(f"{where}: model_type {family!r}; expected {one_of(tuple(_FAMILIES))}")
    if config.get("position_embedding_type", "absolute") != "absolute":
        raise FormatError(f"{where}: only absolute position embeddings are computed")
    settings = _lib.initialized(_lib.TextEncoderConfig)
    settings.family = _FAMILIES[family]
    settings.pooler = int(pooler)
    try:
        for key in ("vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers"):
            setattr(settings, key, int(config[key]))
        settings.num_attention_heads = int(config["num_attention_heads"])
    except (KeyError, TypeError, ValueError) as error:
        raise FormatError(f"{where}: config.json: {error}") from error
    settings.max_position_embeddings = int(config.get("max_position_embeddings", 512))
    settings.hidden_act = activation_code(config.get("hidden_act", "gelu"), where)
    settings.layer_norm_eps = float(config.get("layer_norm_eps", 1e-12))
    if family != "deberta-v2":
        settings.type_vocab_size = int(config.get("type_vocab_size", 2))
        settings.pad_token_id = int(config.get("pad_token_id", 1) or 0)
        return settings
    settings.type_vocab_size = int(config.get("type_vocab_size", 0))
    kinds = config.get("pos_att_type") or []
    kinds = kinds.split("|") if isinstance(kinds, str) else kinds
    if set(kinds) - {"c2p", "p2c"}:
        raise FormatError(f"{where}: pos_att_type {kinds!r}; only c2p and p2c are computed")
    if int(config.get("conv_groups", 1)) != 1 or config.get("attention_head_size"):
        raise FormatError(f"{where}: conv_groups and attention_head_size are not computed")
    settings.relative_attention = int(bool(config.get("relative_attention", False)))
    settings.content_to_position = int("c2p" in kinds)
    settings.position_to_content = int("p2c" in kinds)
    settings.embedding_size = int(config.get("embedding_size", 0) or 0)
    settings.position_biased_input = int(bool(config.get("position_biased_input", True)))
    settings.share_att_key = int(bool(config.get("share_att_key", False)))
    settings.position_buckets = int(config.get("position_buckets", -1))
    settings.max_relative_positions = int(config.get("max_relative_positions", -1))
    settings.norm_rel_ebd = int("layer_norm" in str(config.get("norm_rel_ebd", "none")))
    settings.conv_kernel_size = int(config.get("conv_kernel_size", 0) or 0)
    settings.conv_act = activation_code(config.get("conv_act", "tanh"), where)
    if config.get("pooler_hidden_act", "gelu") not in ("gelu",) and pooler:
        raise FormatError(f"{where}: pooler_hidden_act other than gelu is not computed")
    return settings
