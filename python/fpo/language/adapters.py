"""LoRA adapters on disk, in PEFT's format."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import FormatError
from .architecture import check_tensors
from .checkpoint import read_json
from .safetensors import SafetensorsFile, write_safetensors

__all__ = ["AdapterSettings", "read_adapter", "write_adapter"]

#: Target -> the module that PEFT names.
MODULES = {
    "q": "self_attn.q_proj",
    "k": "self_attn.k_proj",
    "v": "self_attn.v_proj",
    "o": "self_attn.o_proj",
    "gate": "mlp.gate_proj",
    "up": "mlp.up_proj",
    "down": "mlp.down_proj",
}
_PREFIX = "base_model.model.model."

# Settings of PEFT that change what an adapter computes, and their values that change nothing.
_NEUTRAL: dict[str, tuple[Any, ...]] = {
    "bias": ("none", None),
    "use_dora": (False, None),
    "fan_in_fan_out": (False, None),
    "lora_bias": (False, None),
    "modules_to_save": (None, []),
    "layers_to_transform": (None, []),
    "rank_pattern": (None, {}),
    "alpha_pattern": (None, {}),
    "layer_replication": (None,),
    "trainable_token_indices": (None,),
    "target_parameters": (None, []),
    "exclude_modules": (None, []),
}


@dataclass(frozen=True)
class AdapterSettings:
    """A LoRA adapter: ``y = W x + (alpha / rank) B A x`` for each target."""

    rank: int = 16
    alpha: float = 32.0
    dropout: float = 0.05
    targets: tuple[str, ...] = ("q", "k", "v", "o")
    rank_stabilised: bool = False


def write_adapter(
    folder: str | os.PathLike[str],
    settings: AdapterSettings,
    tensors: Mapping[str, NDArray[np.float32]],
    base: str,
) -> None:
    """Writes an adapter that ``peft.PeftModel.from_pretrained`` loads.

    Parameters
    ----------
    folder
        Made if it is not there.
    tensors
        ``layers.0.self_attn.q_proj.lora_A.weight`` (rank, in), ``...lora_B.weight`` (out, rank).
    base
        Name of the base model, for the reader.
    """
    path = Path(folder)
    path.mkdir(parents=True, exist_ok=True)
    config = {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "base_model_name_or_path": base,
        "r": settings.rank,
        "lora_alpha": settings.alpha,
        "lora_dropout": settings.dropout,
        "use_rslora": settings.rank_stabilised,
        "target_modules": [MODULES[target].partition(".")[2] for target in settings.targets],
        "bias": "none",
        "fan_in_fan_out": False,
        "inference_mode": True,
    }
    write_safetensors(
        path / "adapter_model.safetensors",
        {_PREFIX + name: array for name, array in tensors.items()},
        {"format": "pt"},
    )
    partial = path / "adapter_config.json.partial"
    partial.write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
    os.replace(partial, path / "adapter_config.json")


def read_adapter(
    folder: str | os.PathLike[str], layers: int
) -> tuple[AdapterSettings, dict[str, NDArray[np.float32]]]:
    """Reads an adapter of PEFT for a base of so many layers.

    Raises
    ------
    FormatError
        It is no LoRA adapter, asks for what is not computed here, or tensors are missing or extra.
    """
    path = Path(folder)
    config = read_json(path / "adapter_config.json")
    if config.get("peft_type") != "LORA":
        raise FormatError(f"{path}: peft_type {config.get('peft_type')!r}; expected 'LORA'")
    for name, neutral in _NEUTRAL.items():
        if name in config and config[name] not in neutral:
            raise FormatError(f"{path}: {name} = {config[name]!r} is not computed here")
    settings = AdapterSettings(
        rank=int(config.get("r", 8)),
        alpha=float(config.get("lora_alpha", 8)),
        dropout=float(config.get("lora_dropout", 0.0)),
        targets=_targets(config.get("target_modules"), path),
        rank_stabilised=bool(config.get("use_rslora", False)),
    )
    source = path / "adapter_model.safetensors"
    if not source.is_file():
        raise FormatError(f"{path}: holds no adapter_model.safetensors")
    file = SafetensorsFile(source)
    found = {name.removeprefix(_PREFIX): name for name in file.names}
    wanted = [
        f"layers.{layer}.{MODULES[target]}.lora_{side}.weight"
        for layer in range(layers)
        for target in settings.targets
        for side in "AB"
    ]
    shapes = {name: file.shape(found[name]) for name in wanted if name in found}
    check_tensors(
        {name: file.shape(other) for name, other in found.items()},
        {name: shapes.get(name, ()) for name in wanted},
        str(source),
    )
    return settings, {name: file.float32(found[name]) for name in wanted}


def _targets(modules: Any, path: Path) -> tuple[str, ...]:
    names = {module.partition(".")[2]: target for target, module in MODULES.items()}
    if modules == "all-linear":
        return tuple(MODULES)
    if not isinstance(modules, list):
        raise FormatError(f"{path}: target_modules: expected a list, got {modules!r}")
    ends = {str(module).rpartition(".")[2] for module in modules}
    unknown = sorted(ends - set(names))
    if unknown:
        raise FormatError(f"{path}: target_modules: {', '.join(unknown)} cannot be adapted")
    return tuple(target for module, target in names.items() if module in ends)
