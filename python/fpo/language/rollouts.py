"""What the models say in a round: candidates of the policy, and the base's reference answer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .. import random
from .._arrays import Array
from ..errors import NonFiniteError
from .config import IterativeRLHFConfig
from .model import Completion
from .oracles import Answers, Oracle
from .policy import LlamaPolicy
from .prompting import chat_prompt

__all__ = ["Rollouts", "Said"]

_CANDIDATES, _REFERENCE = 0, 1  # children of a round's key
_AHEAD = 8  # references drawn at once: the base does not wait for the policy


class Rollouts:
    """Generation for the rounds of a run.

    Parameters
    ----------
    questions
        One for each round.
    key
        Its children are the rounds' keys.
    """

    def __init__(
        self, config: IterativeRLHFConfig, policy: LlamaPolicy, questions: list[str], key: int
    ):
        self.config, self.policy, self.questions, self.key = config, policy, questions, key
        self._references: dict[int, Completion] = {}

    def round_key(self, round_: int) -> int:
        """The key of all that is drawn in a round."""
        return random.fold(self.key, round_)

    def prompt(self, question: str) -> list[int]:
        """A question's tokens, in a conversation."""
        of = self.config
        return chat_prompt(
            self.policy.tokenizer, question, max_tokens=of.max_prompt_tokens, system=of.system
        )

    def text(self, completion: Completion) -> str:
        """A completion without special tokens."""
        return self.policy.tokenizer.decode(completion.tokens)

    def candidates(self, round_: int) -> list[Completion]:
        """The policy's answers."""
        prompt = self.prompt(self.questions[round_])
        key = random.fold(self.round_key(round_), _CANDIDATES)
        return self.draw(self.policy, [prompt], self.config.candidates, [key])[0]

    def reference(self, round_: int) -> Completion:
        """The base's answer; those of the next rounds are drawn with it."""
        if round_ not in self._references:
            rounds = range(round_, min(round_ + _AHEAD, len(self.questions)))
            drawn = self.draw(
                self.policy.base,
                [self.prompt(self.questions[i]) for i in rounds],
                1,
                [random.fold(self.round_key(i), _REFERENCE) for i in rounds],
            )
            self._references = {i: one for i, [one] in zip(rounds, drawn, strict=True)}
        return self._references[round_]

    def draw(
        self, model: Any, prompts: list[list[int]], count: int, keys: list[int]
    ) -> list[list[Completion]]:
        """`count` answers of a model to each prompt."""
        of = self.config
        answers: list[list[Completion]] = model.generate(
            prompts,
            candidates=count,
            max_new_tokens=of.max_new_tokens,
            min_new_tokens=of.min_new_tokens,
            temperature=of.temperature,
            top_p=of.top_p,
            top_k=of.top_k,
            key=keys,
        )
        return answers

    def said(self, question: str, completions: Sequence[Completion]) -> Said:
        """Completions of a question; the last is the base's own."""
        return Said(self, question, list(completions))


class Said:
    """The answers of a round; the last is the base's own.

    What the base makes of the others is computed where it is asked for, and once: it costs as much
    as generating them.
    """

    def __init__(self, rollouts: Rollouts, question: str, completions: list[Completion]):
        self.question, self.completions = question, completions
        self.texts = tuple(rollouts.text(one) for one in completions)
        self._base = rollouts.policy.base
        self._prompt = rollouts.prompt(question)
        self._prompt_log_p: Array | None = None
        last = len(completions) - 1
        self._log_p: dict[int, Array] = {last: completions[last].log_probabilities}

    def log_p(self, rows: Sequence[int]) -> list[Array]:
        """The base's log-probabilities of some answers' tokens."""
        new = [i for i in dict.fromkeys(rows) if i not in self._log_p]
        if new:
            tokens = [self.completions[i].tokens for i in new]
            found = self._base.continuations(self._prompt, tokens).log_probabilities
            self._log_p.update(zip(new, found, strict=True))
        return [self._log_p[i] for i in rows]

    def log_ratio(self, rows: Sequence[int]) -> Array:
        """Log-probability of some answers under the model that gave them, less the base's."""
        ours = [float(self.completions[i].log_probabilities.sum()) for i in rows]
        return np.array(ours) - [float(one.sum()) for one in self.log_p(rows)]

    def utilities(self, oracle: Oracle, rows: Sequence[int]) -> Array:
        """What an oracle makes of some answers.

        Raises
        ------
        NonFiniteError
            Not a finite number for each.
        """
        texts = tuple(self.texts[i] for i in rows)
        if getattr(oracle, "reads_log_p", False):
            if self._prompt_log_p is None:
                self._prompt_log_p = self._base.log_probabilities([self._prompt])[0]
            answers = Answers(self.question, texts, self._prompt_log_p, tuple(self.log_p(rows)))
        else:
            answers = Answers(self.question, texts)
        utilities = np.asarray(oracle(answers), dtype=np.float64)
        if utilities.shape != (len(texts),) or not np.isfinite(utilities).all():
            raise NonFiniteError(
                f"oracle {oracle.name!r}: expected {len(texts)} finite utilities, got {utilities}"
            )
        return utilities
