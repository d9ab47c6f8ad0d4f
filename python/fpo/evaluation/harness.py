"""Our language models under lm-evaluation-harness (``pip install fpo[harness]``).

>>> import lm_eval
>>> lm_eval.simple_evaluate(model=harness_model(model), tasks=["arc_easy"])
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any

from ..errors import ArgumentError, MissingDependencyError
from .likelihood import LanguageModel, context_length, encode

__all__ = ["harness_model"]

MAX_NEW_TOKENS = 256


def harness_model(model: LanguageModel, *, special: bool = False) -> Any:
    """The model as an ``lm_eval.api.model.LM``.

    Requests that share a context are scored together. Texts longer than the model's context lose
    their beginning; for perplexities they are cut into windows that do not overlap, each with as
    much context before it as fits. Generation is greedy, whatever a task asks of sampling.

    Parameters
    ----------
    special
        Whether the tokenizer's special tokens precede a context.

    Raises
    ------
    MissingDependencyError
        ``lm_eval`` is not installed.
    """
    try:
        from lm_eval.api.model import LM
    except ImportError as error:
        raise MissingDependencyError(
            "harness_model needs lm-eval: pip install fpo[harness]"
        ) from error

    class Harness(LM):  # type: ignore[misc]
        """The requests of the harness, answered by one model."""

        def loglikelihood(self, requests: Sequence[Any]) -> list[tuple[float, bool]]:
            pairs = [request.args for request in requests]
            results: list[tuple[float, bool]] = []
            for context, group in groupby(pairs, key=lambda pair: pair[0]):
                results += _scored(model, context, [pair[1] for pair in group], special)
            return results

        def loglikelihood_rolling(self, requests: Sequence[Any]) -> list[float]:
            return [_rolling(model, request.args[0], special) for request in requests]

        def generate_until(self, requests: Sequence[Any]) -> list[str]:
            pairs = [request.args for request in requests]
            return [_generated(model, context, options, special) for context, options in pairs]

        @property
        def tokenizer_name(self) -> str:
            return str(getattr(model, "name", type(model).__name__))

        def chat_template(self, chat_template: bool | str = False) -> str | None:
            if not chat_template:
                return None
            return getattr(model.tokenizer, "chat_template", None)

        def apply_chat_template(
            self, chat_history: Sequence[Mapping[str, str]], add_generation_prompt: bool = True
        ) -> str:
            return str(
                model.tokenizer.apply_chat_template(
                    chat_history, add_generation_prompt=add_generation_prompt, tokenize=False
                )
            )

    return Harness()


def _prefix(model: LanguageModel) -> list[int]:
    """The token before a text without context: beginning, else end of sequence."""
    for name in ("bos_token", "eos_token"):
        token = getattr(model.tokenizer, name, None)
        if token is not None:
            return [int(token)]
    raise ArgumentError("context: empty, and the tokenizer has no token for the beginning")


def _scored(
    model: LanguageModel, context: str, continuations: Sequence[str], special: bool
) -> list[tuple[float, bool]]:
    if context:
        head, tails = encode(model.tokenizer, context, continuations, special=special)
    else:
        head = _prefix(model)
        tails = [list(model.tokenizer.encode(text, special=False)) for text in continuations]
    room = context_length(model)
    # All but the last token of a continuation are read, too: it is cut to leave one for context.
    tails = [tail[-(room - 1) :] for tail in tails]
    head = head[-(room - max(map(len, tails))) :]
    found = model.continuations(head, tails)
    return [
        (float(sum(values)), bool(greedy))
        for values, greedy in zip(found.log_probabilities, found.greedy, strict=True)
    ]


def _rolling(model: LanguageModel, text: str, special: bool) -> float:
    """The log-probability of a whole text, each token once."""
    tokens = list(model.tokenizer.encode(text, special=False))
    before, room, total = _prefix(model), context_length(model), 0.0
    window = room - 1
    for first in range(0, len(tokens), window):
        part = tokens[first : first + window]
        head = (before + tokens[:first])[-(room - len(part)) :]
        total += float(sum(model.continuations(head, [part]).log_probabilities[0]))
    return total


def _generated(
    model: LanguageModel, context: str, options: Mapping[str, Any], special: bool
) -> str:
    until = options.get("until") or []
    stops = [until] if isinstance(until, str) else list(until)
    unknown = [stop for stop in stops if not isinstance(stop, str)]
    if unknown:
        raise ArgumentError(f"until: expected texts, got {json.dumps(unknown)}")
    asked = int(options.get("max_gen_toks", MAX_NEW_TOKENS))
    tokens = list(model.tokenizer.encode(context, special=special)) or _prefix(model)
    room = context_length(model)
    count = max(1, min(asked, room - 1))
    [[answer]] = model.generate([tokens[-(room - count) :]], max_new_tokens=count, greedy=True)
    text = model.tokenizer.decode(answer.tokens)
    for stop in stops:
        if stop:
            text = text.split(stop)[0]
    return text
