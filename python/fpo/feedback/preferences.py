"""AI preferences: soft labels from a model's own probabilities of two options."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .. import _arrays, random
from .._arrays import Array
from ..data import Dataset, permutation
from ..errors import ArgumentError
from .principles import Principle, read_principles
from .protocol import ChatModel, Prompt, conversation_of, texts

__all__ = ["AIPreferences", "ai_preferences"]

_QUESTION = """Below are a conversation and two possible responses to its last message.

{conversation}

(A) {first}

(B) {second}

{comparison} Reply with the letter of that response."""
_REPLY = "The answer is ("


@dataclass(frozen=True)
class AIPreferences:
    """Labels of n pairs, and what they were averaged from."""

    prompts: tuple[Prompt, ...]
    first: tuple[str, ...]
    second: tuple[str, ...]
    soft_label: Array
    """(n,) The probability that the first response is better."""
    by_order: Array
    """(n, k, 2) The same for each of k principles, with the first response shown first (0) and
    second (1)."""
    principles: tuple[tuple[str, ...], ...]
    """Of each pair, the names of its k principles."""

    @property
    def position_bias(self) -> Array:
        """(n,) How much more probable the option (A) was than it deserved; 0 without a bias."""
        in_front, behind = self.by_order[:, :, 0], self.by_order[:, :, 1]
        return np.asarray(((in_front - behind) / 2).mean(axis=1))

    @property
    def consistent(self) -> Array:
        """(n,) The share of its principles by which a pair has the same winner in both orders."""
        return np.asarray(((self.by_order > 0.5).sum(axis=2) != 1).mean(axis=1))

    def dataset(self) -> Dataset:
        """Preference rows with the better response as ``chosen`` and ``soft_label`` >= 1/2."""
        return Dataset(
            (
                _row(prompt, first, second, float(label), names)
                for prompt, first, second, label, names in zip(
                    self.prompts,
                    self.first,
                    self.second,
                    self.soft_label,
                    self.principles,
                    strict=True,
                )
            ),
            "preference",
        )


def _row(
    prompt: Prompt, first: str, second: str, label: float, names: tuple[str, ...]
) -> dict[str, Any]:
    chosen, rejected = (first, second) if label >= 0.5 else (second, first)

    def form(text: str) -> Any:
        return text if isinstance(prompt, str) else [{"role": "assistant", "content": text}]

    return {
        "prompt": prompt,
        "chosen": form(chosen),
        "rejected": form(rejected),
        "soft_label": max(label, 1 - label),
        "principles": list(names),
    }


def ai_preferences(
    model: ChatModel,
    prompts: Sequence[Prompt],
    first: Sequence[Any],
    second: Sequence[Any],
    *,
    key: int,
    principles: Sequence[Principle] | None = None,
    per_pair: int = 1,
) -> AIPreferences:
    """Labels pairs of responses: Bai et al., arXiv:2212.08073, section 4.1, in both orders.

    The model reads the conversation, the responses as (A) and (B), and the principle's question;
    its own reply begins ``The answer is (``, and with a, b its log-probabilities of ``A`` and ``B``
    the label is softmax(a, b). It is asked again with the responses exchanged, and the label is
    the mean of the two: exchanging the responses then gives exactly the opposite label, whatever
    the model thinks of the letter A. Responses are shown as they are: one that speaks to the judge,
    or writes out the tokens of the chat template, can sway it.

    Parameters
    ----------
    model
        Such as `fpo.language.LanguageModel`, with a chat template.
    prompts
        (n,) Texts or conversations.
    first, second
        (n,) Texts, or conversations of which the last message counts.
    key
        Decides which principles judge which pair.
    principles
        None: those that ship with the package.
    per_pair
        How many different principles judge each pair; their labels are averaged.
    """
    if isinstance(prompts, str):
        raise ArgumentError("prompts: expected a list of prompts, got a text")
    rules = read_principles() if principles is None else tuple(principles)
    if not rules:
        raise ArgumentError("principles: expected at least one")
    per_pair = _arrays.integer("per_pair", per_pair, 1, len(rules))
    ones, others = texts("first", first, len(prompts)), texts("second", second, len(prompts))
    letters = [model.tokenizer.encode(letter) for letter in "AB"]
    by_order = np.empty((len(prompts), per_pair, 2))
    names: list[tuple[str, ...]] = []
    for index, (prompt, one, other) in enumerate(zip(prompts, ones, others, strict=True)):
        chosen = permutation(random.fold(key, index), len(rules))[:per_pair]
        names.append(tuple(rules[rule].name for rule in chosen))
        for column, rule in enumerate(chosen):
            question = rules[rule].comparison
            in_front = _probability_of_a(model, letters, prompt, one, other, question)
            behind = 1 - _probability_of_a(model, letters, prompt, other, one, question)
            by_order[index, column] = in_front, behind
    return AIPreferences(
        tuple(prompts),
        tuple(ones),
        tuple(others),
        by_order.mean(axis=(1, 2)),
        by_order,
        tuple(names),
    )


def _probability_of_a(
    model: ChatModel, letters: list[list[int]], prompt: Prompt, a: str, b: str, question: str
) -> float:
    said = "\n\n".join(
        f"{turn['role'].capitalize()}: {turn['content']}" for turn in conversation_of(prompt)
    )
    asked = _QUESTION.format(conversation=said, first=a, second=b, comparison=question)
    context = model.tokenizer.apply_chat_template([{"role": "user", "content": asked}])
    sums = model.continuations([*context, *model.tokenizer.encode(_REPLY)], letters).sums
    return float(0.5 * (1 + np.tanh((sums[0] - sums[1]) / 2)))
