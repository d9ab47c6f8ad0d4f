"""What AI feedback needs of a language model; `fpo.language.LanguageModel` has it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol, TypeAlias

from .._arrays import Array
from ..errors import DTypeError, ShapeError

__all__ = ["ChatModel", "Prompt"]

Prompt: TypeAlias = str | Sequence[Mapping[str, str]]


class _Tokenizer(Protocol):
    def encode(self, text: str) -> list[int]: ...

    def decode(self, tokens: Sequence[int]) -> str: ...

    def apply_chat_template(self, messages: Sequence[Mapping[str, str]]) -> Any: ...


class _Completion(Protocol):
    @property
    def tokens(self) -> Sequence[int]: ...


class _Continuations(Protocol):
    @property
    def sums(self) -> Array: ...


class ChatModel(Protocol):
    """A model with a chat template."""

    @property
    def tokenizer(self) -> _Tokenizer:
        """Turns conversations into tokens and tokens into text."""

    def continuations(
        self, context: Sequence[int], continuations: Sequence[Sequence[int]]
    ) -> _Continuations:
        """The log-probabilities of continuations of one context."""

    def generate(
        self,
        prompts: Sequence[Sequence[int]],
        *,
        max_new_tokens: int,
        temperature: float,
        key: int,
    ) -> Sequence[Sequence[_Completion]]:
        """One completion of each prompt, in a list of its own."""


def conversation_of(prompt: Prompt) -> list[dict[str, str]]:
    """A plain prompt as the user's turn; a conversation as it is."""
    if isinstance(prompt, str):
        return [{"role": "user", "content": prompt}]
    return [dict(turn) for turn in prompt]


def texts(name: str, values: Sequence[Any], count: int) -> list[str]:
    """`count` texts, of which each may also be a list of messages with the text in the last."""
    if isinstance(values, str) or len(values) != count:
        size = "a text" if isinstance(values, str) else str(len(values))
        raise ShapeError(f"{name}: expected {count} texts, one for each prompt, got {size}")
    return [_text(f"{name}[{index}]", value) for index, value in enumerate(values)]


def _text(name: str, value: Any) -> str:
    if isinstance(value, (list, tuple)) and value and isinstance(value[-1], Mapping):
        value = value[-1].get("content")
    if not isinstance(value, str):
        raise DTypeError(f"{name}: expected a text or a conversation, got {value!r:.60}")
    return value
