"""Rows of a data set as tokens: a prompt, and the completion that is judged."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..errors import FormatError
from ..language.tokenizer import Tokenizer

__all__ = ["completion_tokens", "prompt_tokens", "text_tokens"]

Turns = str | Sequence[Mapping[str, str]]


def prompt_tokens(tokenizer: Tokenizer, prompt: Turns) -> list[int]:
    """A plain text with the token of the beginning, or a conversation that waits for an answer."""
    if isinstance(prompt, str):
        return tokenizer.encode(prompt, special=True)
    tokens: list[int] = tokenizer.apply_chat_template(prompt)
    return tokens


def completion_tokens(tokenizer: Tokenizer, prompt: Turns, completion: Turns) -> list[int]:
    """A plain text with the token of the end, or what the chat template adds to a conversation.

    Prompt and completion are tokenized apart: no token spans both.

    Raises
    ------
    FormatError
        The chat template changes the prompt when the answer follows.
    """
    if isinstance(prompt, str) or isinstance(completion, str):
        return _ended(tokenizer, tokenizer.encode(str(completion)))
    before = tokenizer.apply_chat_template(prompt, tokenize=False)
    whole = tokenizer.apply_chat_template(
        [*prompt, *completion], add_generation_prompt=False, tokenize=False
    )
    if not whole.startswith(before):
        raise FormatError(
            f"{tokenizer.name}: its chat template does not keep the prompt as it is when the "
            "assistant's turn follows"
        )
    return tokenizer.encode(whole[len(before) :])


def text_tokens(tokenizer: Tokenizer, row: Mapping[str, Any]) -> list[int]:
    """A row of ``text`` or ``messages`` as a whole."""
    if "text" in row:
        return _ended(tokenizer, tokenizer.encode(row["text"], special=True))
    tokens: list[int] = tokenizer.apply_chat_template(row["messages"], add_generation_prompt=False)
    return tokens


def _ended(tokenizer: Tokenizer, tokens: list[int]) -> list[int]:
    end = tokenizer.eos_token
    return tokens if end is None or tokens[-1:] == [end] else [*tokens, end]
