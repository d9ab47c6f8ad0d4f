"""From questions to the tokens of a prompt, in the model's own conversation format."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .. import random
from ..errors import ArgumentError
from .tokenizer import Message, Tokenizer

__all__ = ["chat_prompt", "order"]


def chat_prompt(
    tokenizer: Tokenizer, question: str, *, max_tokens: int, system: str = ""
) -> list[int]:
    """A question as a conversation that waits for the assistant's answer.

    Too long a question loses its end; the conversation's own tokens are never cut.

    Raises
    ------
    ArgumentError
        They alone are more than `max_tokens`.
    """

    def tokens_of(text: str) -> list[int]:
        turns: list[Message] = [{"role": "user", "content": text}]
        if system:
            turns.insert(0, {"role": "system", "content": system})
        tokens: list[int] = tokenizer.apply_chat_template(turns)
        return tokens

    tokens, words = tokens_of(question), tokenizer.encode(question)
    while len(tokens) > max_tokens:
        if not words:
            raise ArgumentError(
                f"max_prompt_tokens: the conversation alone takes {len(tokens)} tokens, "
                f"but at most {max_tokens} are allowed"
            )
        words = words[: max(len(words) - (len(tokens) - max_tokens), 0)]
        tokens = tokens_of(tokenizer.decode(words))
    return tokens


def order(prompts: Sequence[str], rounds: int, key: int | None) -> list[str]:
    """The question of each round: all prompts before one comes again; in order if no key."""
    chosen: list[str] = []
    epoch = 0
    while len(chosen) < rounds:
        numbers = list(range(len(prompts)))
        if key is not None:
            draws = random.uniform(random.fold(key, epoch), len(prompts))
            numbers = np.argsort(draws, kind="stable").tolist()
        chosen += [prompts[i] for i in numbers]
        epoch += 1
    return chosen[:rounds]
