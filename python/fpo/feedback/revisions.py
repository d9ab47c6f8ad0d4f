"""Critique and revision: a model improves its own responses, which then are data for SFT."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from .. import _arrays, random
from ..data import Dataset, permutation
from ..errors import ArgumentError
from .principles import Principle, read_principles
from .protocol import ChatModel, Prompt, conversation_of, texts

__all__ = ["Revisions", "critique_and_revise", "sft_dataset"]


@dataclass(frozen=True)
class Revisions:
    """One prompt's way from the first response to the last."""

    prompt: Prompt
    responses: tuple[str, ...]
    """The first response, and one after each revision."""
    critiques: tuple[str, ...]
    principles: tuple[str, ...]
    """The name of the principle of each revision."""


def critique_and_revise(
    model: ChatModel,
    prompts: Sequence[Prompt],
    *,
    key: int,
    responses: Sequence[Any] | None = None,
    principles: Sequence[Principle] | None = None,
    revisions: int = 1,
    max_new_tokens: int = 256,
    temperature: float = 1.0,
) -> list[Revisions]:
    """Supervised stage of Constitutional AI: Bai et al., arXiv:2212.08073, section 3.

    For each prompt and each revision a principle is drawn; the model sees its response, is asked
    for a critique, and with the critique before it for a revision, which is the response of the
    next round. A revision that is blank leaves the response as it was.

    Parameters
    ----------
    model
        Such as `fpo.language.LanguageModel`, with a chat template.
    prompts
        Texts or conversations.
    key
        Decides the principles and the draws: the same key, the same texts.
    responses
        To begin with; None: the model's own.
    principles
        None: those that ship with the package.
    revisions
        Rounds, at least 1. The principles of one prompt differ until all have been used.
    max_new_tokens, temperature
        Of each generation.
    """
    if isinstance(prompts, str):
        raise ArgumentError("prompts: expected a list of prompts, got a text")
    rules = read_principles() if principles is None else tuple(principles)
    if not rules:
        raise ArgumentError("principles: expected at least one")
    revisions = _arrays.integer("revisions", revisions, 1, 1000)
    talks = [conversation_of(prompt) for prompt in prompts]

    def said(conversations: list[list[dict[str, str]]], stream: int) -> list[str]:
        if not conversations:
            return []
        tokens = [model.tokenizer.apply_chat_template(turns) for turns in conversations]
        made = model.generate(
            tokens,
            max_new_tokens=max_new_tokens,
            temperature=temperature,
            key=random.fold(key, stream),
        )
        return [model.tokenizer.decode(one[0].tokens).strip() for one in made]

    first = said(talks, 1) if responses is None else texts("responses", responses, len(prompts))
    history, critiques = [[one] for one in first], [list[str]() for _ in prompts]
    drawn = [
        permutation(random.fold(random.fold(key, 0), index), len(rules))
        for index in range(len(prompts))
    ]
    for number in range(revisions):
        chosen = [rules[order[number % len(rules)]] for order in drawn]
        asked = [
            [*talk, _turn("assistant", own[-1]), _turn("user", rule.critique)]
            for talk, own, rule in zip(talks, history, chosen, strict=True)
        ]
        found = said(asked, 2 + 2 * number)
        asked = [
            [*turns, _turn("assistant", critique), _turn("user", rule.revision)]
            for turns, critique, rule in zip(asked, found, chosen, strict=True)
        ]
        revised = said(asked, 3 + 2 * number)
        for own, notes, text, critique in zip(history, critiques, revised, found, strict=True):
            own.append(text or own[-1])
            notes.append(critique)
    return [
        Revisions(
            prompt,
            tuple(own),
            tuple(notes),
            tuple(rules[order[number % len(rules)]].name for number in range(revisions)),
        )
        for prompt, own, notes, order in zip(prompts, history, critiques, drawn, strict=True)
    ]


def sft_dataset(revised: Sequence[Revisions]) -> Dataset:
    """Rows of kind ``prompt-completion``, conversational: each prompt with its last response.

    Further columns: ``principles``, and ``revised``, whether the response is not the first one.
    """
    return Dataset(
        (
            {
                "prompt": conversation_of(one.prompt),
                "completion": [_turn("assistant", one.responses[-1])],
                "principles": list(one.principles),
                "revised": one.responses[-1] != one.responses[0],
            }
            for one in revised
        ),
        "prompt-completion",
    )


def _turn(role: str, content: str) -> dict[str, str]:
    return {"role": role, "content": content}
