"""A language model of bytes with known probabilities, for tests of evaluations."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np


class ByteTokenizer:
    eos_token = 0

    def encode(self, text: str, *, special: bool = False) -> list[int]:
        return [1] * special + list(text.encode())

    def decode(self, tokens: Sequence[int], *, special: bool = False) -> str:
        return bytes(token for token in tokens if token > 1).decode(errors="replace")

    def apply_chat_template(
        self,
        messages: Sequence[Mapping[str, str]],
        *,
        add_generation_prompt: bool = True,
        tokenize: bool = True,
    ) -> Any:
        text = "".join(f"<{turn['role']}>{turn['content']}\n" for turn in messages)
        text += "<assistant>" if add_generation_prompt else ""
        return self.encode(text) if tokenize else text


class FakeModel:
    """``value(context, continuation)`` is a continuation's log-probability, spread over its bytes.

    ``answer(prompt)`` is what it generates.
    """

    def __init__(
        self,
        value: Callable[[str, str], float] = lambda context, text: -float(len(text)),
        answer: Callable[[str], str] = lambda prompt: "I do not know.",
        context: int = 100_000,
    ):
        self.tokenizer = ByteTokenizer()
        self.architecture = SimpleNamespace(context=context)
        self.value, self.answer = value, answer
        self.calls: list[tuple[list[int], list[list[int]]]] = []

    def continuations(self, context: Sequence[int], continuations: Sequence[Sequence[int]]) -> Any:
        self.calls.append((list(context), [list(tail) for tail in continuations]))
        before = self.tokenizer.decode(context)
        values = [self.value(before, self.tokenizer.decode(tail)) for tail in continuations]
        return SimpleNamespace(
            log_probabilities=[
                np.full(len(tail), value / len(tail))
                for tail, value in zip(continuations, values, strict=True)
            ],
            greedy=[value == max(values) for value in values],
        )

    def generate(self, prompts: Sequence[Sequence[int]], **options: Any) -> Any:
        texts = [self.answer(self.tokenizer.decode(prompt)) for prompt in prompts]
        return [[SimpleNamespace(tokens=self.tokenizer.encode(text))] for text in texts]
