"""A policy: a frozen language model with a LoRA adapter that is trained."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import _arrays, _lib
from .._lib import address, lib
from ..errors import DomainError, ShapeError
from ._ragged import Tokens
from .adapters import AdapterSettings, read_adapter, write_adapter
from .model import Array, LanguageModel, TokenModel

__all__ = ["LlamaPolicy"]

_TARGET_BITS = {"q": 1, "k": 2, "v": 4, "o": 8, "gate": 16, "up": 32, "down": 64}


class LlamaPolicy(TokenModel, _lib.Handle):
    """A base model and an adapter: ``W x + (alpha / rank) B A x`` in each target.

    It evaluates and generates as its base does, with the adapter on. Training adds to a gradient
    (`loss`, or `forward` and `backward`), and `step` follows it with AdamW.

    Parameters
    ----------
    base
        Shared: it is never changed.
    settings
        Rank, alpha, dropout, targets.
    key
        Draws A; B starts at zero, so that a new policy is its base.
    recompute
        Computes each block twice while training, to keep less: the same bits.
    """

    def __init__(
        self,
        base: LanguageModel,
        settings: AdapterSettings | None = None,
        *,
        key: int | None = None,
        recompute: bool = False,
    ):
        self.base = base
        self.settings = settings or AdapterSettings()
        self.architecture = base.architecture
        self.tokenizer = base.tokenizer
        config = _lib.initialized(_lib.LoraConfig)
        config.rank = _arrays.integer("rank", self.settings.rank, 1, 1024)
        config.targets = sum(_TARGET_BITS[target] for target in self.settings.targets)
        config.rslora = int(self.settings.rank_stabilised)
        config.recompute = int(recompute)
        config.alpha = _arrays.positive("alpha", self.settings.alpha)
        config.dropout = _arrays.scalar("dropout", self.settings.dropout)
        super().__init__(
            lib.fpo_lora_create, lib.fpo_lora_destroy, base.pointer, _lib.byref(config)
        )
        self.parameter_count = _lib.integer(lib.fpo_lora_parameter_count, self.pointer)
        self.shapes = self._read_shapes()
        if key is not None:
            lib.fpo_lora_initialize(self.pointer, key)

    def _read_shapes(self) -> dict[str, tuple[int, int]]:
        shapes: dict[str, tuple[int, int]] = {}
        tensor = _lib.Tensor()
        while True:
            try:
                lib.fpo_lora_tensor(self.pointer, len(shapes), _lib.byref(tensor))
            except DomainError:
                return shapes
            shapes[tensor.name.decode()] = (tensor.rows, tensor.columns)

    def _handles(self) -> tuple[int | None, int | None]:
        return self.base.pointer, self.pointer

    def __repr__(self) -> str:
        return f"LlamaPolicy({self.base!r}, {self.settings!r})"

    # ------------------------------------------------------------------------ parameters

    @property
    def flat(self) -> NDArray[np.float32]:
        """All parameters (p,). A copy; assign to change."""
        out = np.empty(self.parameter_count, dtype=np.float32)
        lib.fpo_lora_get_parameters(self.pointer, address(out))
        return out

    @flat.setter
    def flat(self, value: NDArray[Any]) -> None:
        flat = _arrays.real("flat", value, (self.parameter_count,), dtype=np.float32)
        lib.fpo_lora_set_parameters(self.pointer, address(flat))

    @property
    def gradient(self) -> NDArray[np.float32]:
        """What training has added up (p,). A copy; assign to change."""
        out = np.empty(self.parameter_count, dtype=np.float32)
        lib.fpo_lora_get_gradient(self.pointer, address(out))
        return out

    @gradient.setter
    def gradient(self, value: NDArray[Any]) -> None:
        flat = _arrays.real("gradient", value, (self.parameter_count,), dtype=np.float32)
        lib.fpo_lora_set_gradient(self.pointer, address(flat))

    @property
    def tensors(self) -> dict[str, NDArray[np.float32]]:
        """The parameters by name, ``layers.0.self_attn.q_proj.lora_A.weight`` and so on."""
        ends = np.cumsum([rows * columns for rows, columns in self.shapes.values()])[:-1]
        parts = np.split(self.flat, ends)
        return {
            name: part.reshape(shape)
            for (name, shape), part in zip(self.shapes.items(), parts, strict=True)
        }

    @tensors.setter
    def tensors(self, value: dict[str, NDArray[Any]]) -> None:
        missing = [name for name in self.shapes if name not in value]
        if missing:
            raise ShapeError(f"tensors: expected also {', '.join(missing[:8])}")
        self.flat = np.concatenate(
            [
                _arrays.real(f"tensors[{name!r}]", value[name], shape, dtype=np.float32).ravel()
                for name, shape in self.shapes.items()
            ]
        )

    # -------------------------------------------------------------------------- training

    def loss(self, sequences: Sequence[Tokens], weights: Sequence[Array], *, key: int = 0) -> float:
        """``sum_t weight_t (-log p_t)``, whose gradient is added to `gradient`.

        Parameters
        ----------
        sequences
            Token lists.
        weights
            An array as tokens for each; the first token of a sequence has no probability.
        key
            Of dropout.
        """
        batch = self._ragged("sequences", sequences)
        flat = _arrays.vector("weights", np.concatenate([*map(np.ravel, weights), []]))
        if flat.size != batch.tokens.size:
            raise ShapeError(f"weights: expected {batch.tokens.size} numbers, got {flat.size}")
        value = np.zeros(1)
        lib.fpo_lora_loss(
            self.pointer,
            batch.count,
            address(batch.offsets),
            address(batch.tokens),
            address(flat),
            key,
            address(value),
            None,
        )
        return float(value[0])

    def forward(
        self, sequences: Sequence[Tokens], *, mask: Sequence[Array] | None = None, key: int = 0
    ) -> list[Array]:
        """Log-probabilities under dropout, with all that `backward` needs kept.

        Parameters
        ----------
        sequences
            Token lists.
        mask
            An array as tokens for each, not 0 where the log-probability is wanted: elsewhere it
            is 0, not computed, and without a gradient. None: everywhere.
        key
            Of dropout.
        """
        return self._forward(sequences, mask, key, None)

    def forward_with_entropy(
        self, sequences: Sequence[Tokens], *, mask: Sequence[Array] | None = None, key: int = 0
    ) -> tuple[list[Array], list[Array]]:
        """As `forward`, and the entropy of the distribution that each token was drawn from."""
        entropy = np.zeros(sum(len(one) for one in sequences))
        log_p = self._forward(sequences, mask, key, entropy)
        return log_p, np.split(entropy, np.cumsum([one.size for one in log_p])[:-1])

    def _forward(
        self,
        sequences: Sequence[Tokens],
        mask: Sequence[Array] | None,
        key: int,
        entropy: Array | None,
    ) -> list[Array]:
        batch = self._ragged("sequences", sequences)
        flags = None
        if mask is not None:
            flat = _arrays.vector("mask", np.concatenate([*map(np.ravel, mask), []]))
            if flat.size != batch.tokens.size:
                raise ShapeError(f"mask: expected {batch.tokens.size} numbers, got {flat.size}")
            flags = (flat != 0).astype(np.int32)
        out = np.zeros(batch.tokens.size)
        lib.fpo_lora_forward(
            self.pointer,
            batch.count,
            address(batch.offsets),
            address(batch.tokens),
            address(flags),
            key,
            address(out),
            address(entropy),
        )
        return batch.split(out)

    def backward(self, coefficients: Sequence[Array]) -> None:
        """Adds ``sum_t c_t d log p_t`` to `gradient`; `coefficients` as `forward` returned."""
        flat = _arrays.vector("coefficients", np.concatenate([*map(np.ravel, coefficients), []]))
        lib.fpo_lora_backward(self.pointer, address(flat))

    def step(
        self, learning_rate: float, *, weight_decay: float = 0.0, max_grad_norm: float = 0.0
    ) -> float:
        """One step of AdamW along the gradient, which is then zero; returns its norm before.

        Parameters
        ----------
        max_grad_norm
            Scales a longer gradient down to this norm; 0: never.

        Raises
        ------
        NonFiniteError
            The gradient is not finite; nothing has changed.
        """
        value = np.zeros(1)
        lib.fpo_lora_gradient_norm(self.pointer, address(value))
        norm = float(value[0])
        if 0 < max_grad_norm < norm < np.inf:
            lib.fpo_lora_scale_gradient(self.pointer, max_grad_norm / norm)
        config = _lib.initialized(_lib.OptimizerConfig)
        config.kind = _lib.OPTIMIZER_ADAMW
        config.learning_rate = _arrays.positive("learning_rate", learning_rate)
        config.weight_decay = _arrays.scalar("weight_decay", weight_decay)
        lib.fpo_lora_step(self.pointer, _lib.byref(config))
        lib.fpo_lora_set_gradient(self.pointer, None)
        return norm

    def state(self) -> bytes:
        """Parameters, moments and steps; the gradient apart. `restore` goes on bit for bit."""
        return _lib.sized_bytes(lib.fpo_lora_save, self.pointer)

    def restore(self, state: bytes) -> None:
        """Goes back to a `state` of a policy of the same model and settings."""
        data = np.frombuffer(bytes(state), dtype=np.uint8)
        lib.fpo_lora_load(self.pointer, address(data), data.size)

    # -------------------------------------------------------------------------- adapters

    def save_adapter(self, folder: str | os.PathLike[str]) -> None:
        """Writes the adapter in PEFT's format."""
        write_adapter(folder, self.settings, self.tensors, self.base.name)

    @classmethod
    def from_adapter(cls, base: LanguageModel, folder: str | os.PathLike[str]) -> LlamaPolicy:
        """Loads an adapter of PEFT's format, ours or not, over a base model."""
        settings, tensors = read_adapter(Path(folder), base.architecture.layers)
        policy = cls(base, settings)
        policy.tensors = tensors
        return policy
