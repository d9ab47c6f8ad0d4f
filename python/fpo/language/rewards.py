"""Reward models on text whose encoder is trained too, in part or as a whole."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import _arrays, _lib, numerics, random
from .._configuration import one_of
from .._lib import address, lib, new_array
from ..errors import DomainError, FormatError, ShapeError
from .encoder_config import activation_code
from .encoders import Text, TextEncoder, Texts, pooler_code

__all__ = ["TRAINABLE", "TextReward", "bradley_terry"]

Array = NDArray[np.float64]
Parameters = NDArray[np.float32]

TRAINABLE = {"head": 0, "blocks": 1, "lora": 2, "all": 3}
_DEFAULT_POOLER = {"bert": "tanh", "deberta-v2": "context"}


class TextReward(_lib.Handle):
    """``r(text) = head(pool(encoder(text)))``.

    >>> reward = TextReward(TextEncoder.from_pretrained("minilm"), trainable="lora")
    >>> scores = reward.forward(better + reference)
    >>> loss, slopes = bradley_terry(scores, labels)
    >>> reward.backward(slopes)
    >>> reward.step(1e-4)

    What is trained is one float32 vector (`flat`), the reward's own copy; the encoder is shared
    and never changes. Gradients of single texts are gradients of the score in that vector.

    Parameters
    ----------
    encoder
        The trunk.
    trainable
        "head"; "blocks": the last `blocks` blocks, the pooler and the head; "lora": adapters on
        query, key, value and attention output of all blocks, and the head; "all".
    pooler
        As in `TextEncoder.features`; None for "mean", or the family's own where the checkpoint
        has a classifier for one label, which then becomes the head.
    blocks, rank, alpha
        Of the choices "blocks" and "lora"; an adapter adds ``alpha / rank * B A``.
    head_hidden, head_activation, head_bias
        0 for a linear head, or the width of its hidden layer; whether the last layer has a bias.
    head_scale
        Standard deviation of the head's initial weights.
    key
        Of `fpo.random`; draws the head and the adapters' A. None for ``fpo.random.key(0)``.
    """

    def __init__(
        self,
        encoder: TextEncoder,
        *,
        trainable: str = "head",
        pooler: str | None = None,
        blocks: int = 1,
        rank: int = 16,
        alpha: float = 32.0,
        head_hidden: int = 0,
        head_activation: str = "tanh",
        head_bias: bool = True,
        head_scale: float = 0.02,
        key: int | None = None,
    ):
        if trainable not in TRAINABLE:
            raise DomainError(f"trainable: expected {one_of(tuple(TRAINABLE))}, got {trainable!r}")
        classifier = encoder.classifier if head_hidden == 0 and pooler is None else {}
        if pooler is None:
            pooler = _DEFAULT_POOLER.get(encoder.family, "tanh") if classifier else "mean"
        config = _lib.initialized(_lib.TextRewardConfig)
        config.pooler = pooler_code(pooler)
        config.trainable = TRAINABLE[trainable]
        config.blocks = _arrays.integer("blocks", blocks, 1, 2**31 - 1)
        config.rank = _arrays.integer("rank", rank, 1, 1024)
        config.alpha = _arrays.positive("alpha", alpha)
        config.head_hidden = _arrays.integer("head_hidden", head_hidden, 0, 1 << 16)
        config.head_act = activation_code(head_activation, "head_activation")
        config.head_bias = int(bool(head_bias))
        config.head_scale = _arrays.scalar("head_scale", head_scale)
        key = random.key(0) if key is None else _arrays.integer("key", key, 0, 2**64 - 1)
        super().__init__(
            lib.fpo_text_reward_create,
            lib.fpo_text_reward_destroy,
            encoder.pointer,
            _lib.byref(config),
            key,
        )
        self.encoder, self.trainable, self.pooler = encoder, trainable, pooler
        self._texts: int | str = "n"  # of the last forward pass
        self.parameter_count = _lib.integer(lib.fpo_text_reward_parameter_count, self.pointer)
        self.shapes, self._offsets = self._read_shapes()
        if classifier:
            self.parameters = {
                f"head.{name}": array
                for name, array in classifier.items()
                if f"head.{name}" in self.shapes
            }

    def _read_shapes(self) -> tuple[dict[str, tuple[int, ...]], dict[str, int]]:
        shapes: dict[str, tuple[int, ...]] = {}
        offsets: dict[str, int] = {}
        tensor = _lib.Tensor()
        while True:
            try:
                lib.fpo_text_reward_tensor(self.pointer, len(shapes), _lib.byref(tensor))
            except DomainError:
                return shapes, offsets
            name = tensor.name.decode()
            is_vector = tensor.columns == 1 and not name.endswith("lora_B.weight")
            shapes[name] = (tensor.rows,) if is_vector else (tensor.rows, tensor.columns)
            offsets[name] = tensor.offset

    # ------------------------------------------------------------------------ parameters

    @property
    def flat(self) -> Parameters:
        """All trainable parameters (p,), tensors in the order of `shapes`. A copy; assign."""
        out = np.empty(self.parameter_count, dtype=np.float32)
        lib.fpo_text_reward_get_parameters(self.pointer, address(out))
        return out

    @flat.setter
    def flat(self, value: Any) -> None:
        flat = _arrays.real("flat", value, (self.parameter_count,), dtype=np.float32)
        lib.fpo_text_reward_set_parameters(self.pointer, address(flat))

    @property
    def parameters(self) -> dict[str, Parameters]:
        """Name -> array. Copies; assign a dictionary to change some or all."""
        return self.unflatten(self.flat)

    @parameters.setter
    def parameters(self, value: Mapping[str, Any]) -> None:
        flat = self.flat
        for name, array in value.items():
            if name not in self.shapes:
                raise FormatError(f"parameters: {name!r} is not trained here")
            given = np.asarray(array, dtype=np.float32)
            if given.size != int(np.prod(self.shapes[name])):
                raise ShapeError(
                    f"parameters[{name!r}]: expected shape {self.shapes[name]}, got {given.shape}"
                )
            flat[self._offsets[name] :][: given.size] = given.reshape(-1)
        self.flat = flat

    def unflatten(self, flat: Parameters) -> dict[str, Parameters]:
        """A flat vector, such as a gradient, by the names of the parameters."""
        return {
            name: flat[self._offsets[name] :][: int(np.prod(shape))].reshape(shape)
            for name, shape in self.shapes.items()
        }

    # ------------------------------------------------------------------------ evaluation

    def scores(self, texts: Sequence[Text] | Texts) -> Array:
        """``r`` (n,)."""
        batch = self.encoder.read(texts)
        out = new_array(batch.batch.count)
        lib.fpo_text_reward_scores(self.pointer, *batch.arguments, address(out))
        return out

    def features(self, texts: Sequence[Text] | Texts) -> NDArray[np.float32]:
        """What the head sees (n, hidden): with a linear head, the gradient in its weight."""
        batch = self.encoder.read(texts)
        out = np.empty((batch.batch.count, self.encoder.hidden), dtype=np.float32)
        lib.fpo_text_reward_features(
            self.pointer, *batch.arguments, address(out), self.encoder.hidden
        )
        return out

    def gram(self, texts: Sequence[Text] | Texts) -> Array:
        """Inner products (n, n) of the texts' gradients, which are never formed as a whole."""
        batch = self.encoder.read(texts)
        n = batch.batch.count
        out = new_array(n, n)
        lib.fpo_text_reward_gram(self.pointer, *batch.arguments, address(out), n)
        return out

    def gradients(self, texts: Sequence[Text] | Texts) -> Parameters:
        """The texts' gradients (n, p). Large: for tests and few parameters."""
        batch = self.encoder.read(texts)
        out = np.empty((batch.batch.count, self.parameter_count), dtype=np.float32)
        lib.fpo_text_reward_gradients(
            self.pointer, *batch.arguments, address(out), self.parameter_count
        )
        return out

    def ghost_rows(self, texts: Sequence[Text] | Texts) -> Array:
        """Rows (n, n) with the same inner products as the texts' gradients.

        With these in place of gradients `fpo.penalties` gives the same penalties.
        """
        values, vectors = np.linalg.eigh(self.gram(texts))
        return np.asarray(vectors * np.sqrt(np.maximum(values, 0.0)), dtype=np.float64)

    # -------------------------------------------------------------------------- training

    def forward(
        self, texts: Sequence[Text] | Texts, *, dropout: float = 0.0, dropout_key: int = 0
    ) -> Array:
        """Scores (n,), with what `backward` needs.

        Parameters
        ----------
        dropout
            Rate in [0, 1) on the embeddings, on what attention and feed-forward layers add, and on
            the pooled output; not on attention probabilities. 0: none.
        dropout_key
            Of `fpo.random`.
        """
        batch = self.encoder.read(texts)
        out = new_array(batch.batch.count)
        self._texts = batch.batch.count
        lib.fpo_text_reward_forward(
            self.pointer,
            *batch.arguments,
            _arrays.scalar("dropout", dropout),
            _arrays.integer("dropout_key", dropout_key, 0, 2**64 - 1),
            address(out),
        )
        return out

    def backward(self, coefficients: Any) -> None:
        """Adds ``sum_i c_i grad r_i`` of the texts of the last `forward` to the gradient.

        Parameters
        ----------
        coefficients
            Derivatives (n,) of the objective in the scores.
        """
        given = _arrays.vector("coefficients", coefficients, self._texts)
        lib.fpo_text_reward_backward(self.pointer, address(given))

    @property
    def gradient(self) -> Parameters:
        """What `backward` has added up (p,). A copy; assign to change, None for zeros."""
        out = np.empty(self.parameter_count, dtype=np.float32)
        lib.fpo_text_reward_get_gradient(self.pointer, address(out))
        return out

    @gradient.setter
    def gradient(self, value: Any) -> None:
        flat = (
            None
            if value is None
            else _arrays.real("gradient", value, (self.parameter_count,), dtype=np.float32)
        )
        lib.fpo_text_reward_set_gradient(self.pointer, address(flat))

    def step(
        self,
        learning_rate: float,
        *,
        weight_decay: float = 0.0,
        max_grad_norm: float = 0.0,
        beta1: float = 0.9,
        beta2: float = 0.999,
        epsilon: float = 1e-8,
    ) -> float:
        """One step of AdamW along the gradient, which is zero after it.

        Parameters
        ----------
        max_grad_norm
            A longer gradient is cut to this norm; 0: none is.

        Returns
        -------
        float
            The gradient's norm before it was cut.
        """
        out = new_array(1)
        lib.fpo_text_reward_gradient_norm(self.pointer, address(out))
        norm = float(out[0])
        if 0 < max_grad_norm < norm < np.inf:
            lib.fpo_text_reward_scale_gradient(self.pointer, max_grad_norm / norm)
        config = _lib.initialized(_lib.OptimizerConfig)
        config.kind = _lib.OPTIMIZER_ADAMW
        config.learning_rate, config.weight_decay = learning_rate, weight_decay
        config.beta1, config.beta2, config.epsilon = beta1, beta2, epsilon
        lib.fpo_text_reward_step(self.pointer, _lib.byref(config))
        self.gradient = None
        return norm

    def state(self) -> bytes:
        """Parameters, moments and steps; the gradient apart. `restore` goes on bit for bit."""
        return _lib.sized_bytes(lib.fpo_text_reward_save, self.pointer)

    def restore(self, state: bytes) -> None:
        """Goes back to a `state` of a reward of the same encoder and settings."""
        data = np.frombuffer(bytes(state), dtype=np.uint8)
        lib.fpo_text_reward_load(self.pointer, address(data), data.size)

    def __repr__(self) -> str:
        return (
            f"TextReward({self.encoder.name!r}, trainable={self.trainable!r}, "
            f"pooler={self.pooler!r}, {self.parameter_count} parameters)"
        )


def bradley_terry(scores: Any, labels: Any) -> tuple[float, Array]:
    """Mean soft-label Bradley-Terry loss of n pairs, and its derivatives in the scores.

    ``-(1/n) sum_i [y_i log s(d_i) + (1 - y_i) log s(-d_i)]`` with ``d_i = r_i - r_(n + i)``: the
    first n scores are the better texts', the last n those that they are compared with.

    Parameters
    ----------
    scores
        (2 n,).
    labels
        (n,) in [0, 1]: the probability that the first text is the better one.

    Returns
    -------
    The loss, and (2 n,) for `TextReward.backward`.
    """
    y = _arrays.vector("labels", labels)
    r = _arrays.vector("scores", scores, 2 * y.size)
    if y.size == 0 or y.min() < 0 or y.max() > 1:
        raise DomainError("labels: expected at least one number in [0, 1]")
    margin = r[: y.size] - r[y.size :]
    loss = float(np.mean(numerics.softplus(margin) - y * margin))
    slope = (numerics.sigmoid(margin) - y) / y.size
    return loss, np.concatenate([slope, -slope])
