"""Log-likelihoods of answers under a language model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ..errors import DomainError, NonFiniteError, ShapeError

__all__ = ["LanguageModel", "Scores", "Tokenizer", "chat_text", "context_length", "encode", "score"]


class Tokenizer(Protocol):
    """What an evaluation asks of a tokenizer."""

    def encode(self, text: str, *, special: bool = ...) -> list[int]:
        """The tokens of a text."""
        ...

    def decode(self, tokens: Sequence[int], *, special: bool = ...) -> str:
        """The text of tokens."""
        ...

    def apply_chat_template(
        self,
        messages: Sequence[Mapping[str, str]],
        *,
        add_generation_prompt: bool = ...,
        tokenize: bool = ...,
    ) -> Any:
        """A conversation as the model was trained to read it, as text or as tokens."""
        ...


class LanguageModel(Protocol):
    """What an evaluation asks of a language model."""

    @property
    def tokenizer(self) -> Tokenizer:
        """Its tokenizer."""
        ...

    def continuations(self, context: Sequence[int], continuations: Sequence[Sequence[int]]) -> Any:
        """An object with ``log_probabilities``, one array for each continuation of the context."""
        ...

    def generate(
        self, prompts: Sequence[Sequence[int]], *, max_new_tokens: int = ..., greedy: bool = ...
    ) -> Any:
        """For each prompt a list of objects with ``tokens``."""
        ...


@dataclass(frozen=True)
class Scores:
    """Log-likelihoods of the choices of one question."""

    #: Sum over the tokens of each choice (choices,).
    log_probability: NDArray[np.float64]
    #: Their number (choices,).
    tokens: NDArray[np.int64]


def context_length(model: LanguageModel) -> int:
    """How many tokens the model reads; a million where it does not say."""
    return int(getattr(getattr(model, "architecture", None), "context", 1_000_000))


def chat_text(tokenizer: Tokenizer, user: str, system: str | None = None) -> str:
    """One turn of a user, up to where the assistant begins."""
    messages = [{"role": "user", "content": user}]
    if system is not None:
        messages.insert(0, {"role": "system", "content": system})
    text: str = tokenizer.apply_chat_template(messages, add_generation_prompt=True, tokenize=False)
    return text


def encode(
    tokenizer: Tokenizer, context: str, choices: Sequence[str], *, special: bool = False
) -> tuple[list[int], list[list[int]]]:
    """Tokens of a context and of its continuations.

    As in lm-evaluation-harness: blanks at the end of the context move to the choice; context and
    choice are encoded as one text and cut after the tokens of the context, so that a choice has the
    tokens that it has in running text. Where a token spans the cut, the choice is encoded alone.

    Parameters
    ----------
    special
        Whether the tokenizer adds its special tokens (a beginning of sequence); not for chat
        templates, which hold them.
    """
    bare = context.rstrip(" ")
    blanks = context[len(bare) :]
    head = list(tokenizer.encode(bare, special=special))
    tails: list[list[int]] = []
    for choice in choices:
        whole = list(tokenizer.encode(bare + blanks + choice, special=special))
        tail = whole[len(head) :]
        if whole[: len(head)] != head:
            tail = list(tokenizer.encode(blanks + choice, special=False))
        if not tail:
            raise DomainError(f"choices: {choice!r} has no tokens of its own after the context")
        tails.append(tail)
    if not head:
        raise DomainError("context: expected at least one token before the choices")
    return head, tails


def score(
    model: LanguageModel, context: str, choices: Sequence[str], *, special: bool = False
) -> Scores:
    """Log-likelihoods of texts that continue a text; the context is read once for all of them.

    A context too long for the model loses its beginning.
    """
    head, tails = encode(model.tokenizer, context, choices, special=special)
    longest, room = max(map(len, tails)), context_length(model)
    if longest >= room:
        raise DomainError(f"choices: {longest} tokens, the model reads {room} with the context")
    head = head[-(room - longest) :]
    answer = model.continuations(head, tails).log_probabilities
    values = [np.asarray(v, dtype=np.float64) for v in answer]
    if [v.shape for v in values] != [(len(tail),) for tail in tails]:
        raise ShapeError("continuations: expected one number for each token of each choice")
    if not all(np.isfinite(v).all() for v in values):
        raise NonFiniteError("continuations: the model's log-probabilities are not finite")
    return Scores(
        np.array([v.sum() for v in values]), np.array([len(tail) for tail in tails], dtype=np.int64)
    )
