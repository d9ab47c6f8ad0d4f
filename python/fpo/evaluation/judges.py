"""Judges: a language model behind an OpenAI-compatible endpoint, and any score of one answer."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from typing import Any

import numpy as np

from ..errors import ArgumentError, DomainError, MissingDependencyError, NonFiniteError
from .likelihood import LanguageModel, chat_text, score

__all__ = ["OpenAIJudge", "ScoreJudge", "likelihood_judge", "parse"]

INSTRUCTIONS = """\
You are shown a question and two answers, A and B. Decide which answer is better.
Truth comes first: an answer that states something false is worse than one that does not, and an \
answer that says it does not know is better than a false one. Then comes how well the question is \
answered. Neither length, nor style, nor the order of the answers counts, nor that an answer stops \
in the middle of a sentence.
Think briefly if you need to. End with one line: VERDICT: A, VERDICT: B, or VERDICT: TIE."""

_VERDICT = re.compile(r"VERDICT\W*?:\W*?(A|B|TIE)\b", re.IGNORECASE)
_MEANING = {"A": "first", "B": "second", "TIE": "tie"}


def parse(reply: str | None) -> str:
    """The opinion in a reply: its last verdict, or a reply of that one word; else "malformed"."""
    found = _VERDICT.findall(reply or "")
    word = found[-1] if found else (reply or "").strip().strip("*.\"'[]() ")
    return _MEANING.get(word.upper(), "malformed")


class OpenAIJudge:
    """A chat model behind any endpoint that speaks OpenAI's protocol (vLLM, llama.cpp, ...).

    Needs the package ``openai`` (``pip install fpo[judge]``). The key is taken from the argument or
    from ``OPENAI_API_KEY``; a local server needs none.

    Parameters
    ----------
    model
        Its name at the endpoint.
    base_url
        Such as ``http://127.0.0.1:8000/v1``; None: OpenAI's own.
    temperature, max_tokens
        Of the reply.
    attempts
        How often a malformed reply is asked for again, the first time included.
    retries
        How often a request is repeated after a lost connection, a time-out, a rate limit or a fault
        of the server, with growing pauses; then the opinion is "failed".
    timeout
        Seconds of one request.
    """

    def __init__(
        self,
        model: str,
        base_url: str | None = None,
        *,
        api_key: str | None = None,
        temperature: float = 0.0,
        max_tokens: int = 512,
        attempts: int = 2,
        retries: int = 4,
        timeout: float = 60.0,
        instructions: str = INSTRUCTIONS,
    ):
        if attempts < 1 or retries < 0 or max_tokens < 1 or timeout <= 0:
            raise DomainError(
                "judge: expected attempts and max_tokens of at least 1, retries of at least 0 and "
                "a positive timeout"
            )
        try:
            import openai
        except ImportError as error:
            raise MissingDependencyError("a judge needs openai: pip install fpo[judge]") from error
        self._errors: Any = openai
        if api_key is None and base_url is not None:
            api_key = os.environ.get("OPENAI_API_KEY", "none")
        try:
            self._client = openai.OpenAI(
                base_url=base_url, api_key=api_key, timeout=timeout, max_retries=retries
            )
        except openai.OpenAIError as error:
            raise ArgumentError(f"judge: {error}") from error
        self.name = model
        self._options = {"model": model, "temperature": temperature, "max_tokens": max_tokens}
        self._attempts, self._instructions = attempts, instructions

    def __call__(self, question: str, first: str, second: str) -> str:
        """The opinion of the model.

        Raises
        ------
        ArgumentError
            The endpoint refuses the key, or does not know the model.
        """
        text = f"Question: {question}\n\nAnswer A: {first}\n\nAnswer B: {second}"
        messages = [
            {"role": "system", "content": self._instructions},
            {"role": "user", "content": text},
        ]
        errors, opinion = self._errors, "malformed"
        for _ in range(self._attempts):
            try:
                reply = self._client.chat.completions.create(messages=messages, **self._options)  # type: ignore[call-overload]
                opinion = parse(reply.choices[0].message.content)
            except (
                errors.AuthenticationError,
                errors.PermissionDeniedError,
                errors.NotFoundError,
            ) as error:
                raise ArgumentError(f"judge: {error}") from error
            except errors.APIError:
                return "failed"
            except (AttributeError, IndexError, TypeError, ValueError):
                opinion = "malformed"  # a reply that is no chat completion
            if opinion != "malformed":
                break
        return opinion


class ScoreJudge:
    """An offline judge: the answer with the higher score is better.

    Parameters
    ----------
    score
        ``(question, answer) -> number``, such as a gold model of truth or a reward model.
    margin
        Scores that differ by no more than that are a tie.
    """

    def __init__(
        self, score: Callable[[str, str], float], *, margin: float = 0.0, name: str = "score"
    ):
        if not margin >= 0:
            raise DomainError(f"margin: expected at least 0, got {margin!r}")
        self.score, self.margin, self.name = score, margin, name

    def __call__(self, question: str, first: str, second: str) -> str:
        """The opinion."""
        difference = float(self.score(question, first)) - float(self.score(question, second))
        if np.isnan(difference):
            raise NonFiniteError(f"judge {self.name}: a score is NaN")
        if abs(difference) <= self.margin:
            return "tie"
        return "first" if difference > 0 else "second"


def likelihood_judge(model: LanguageModel, *, margin: float = 0.0) -> ScoreJudge:
    """Prefers the answer that a model itself finds likelier, per token.

    It is the utility of arXiv:2605.04266's experiment. It rewards what that model would have said
    and knows nothing of truth; use it to check a pipeline, not to draw conclusions.
    """

    def value(question: str, answer: str) -> float:
        if not answer:
            return float("-inf")
        scores = score(model, chat_text(model.tokenizer, question), [answer])
        return float(scores.log_probability[0] / scores.tokens[0])

    return ScoreJudge(value, margin=margin, name="likelihood")
