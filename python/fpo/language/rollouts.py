"""What the models say in a round: candidates of the policy, and the base's reference answer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .. import random
from .config import IterativeRLHFConfig
from .model import Completion
from .oracles import Answers
from .policy import LlamaPolicy
from .prompting import chat_prompt

__all__ = ["Rollouts"]

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

    def answers(
        self, question: str, completions: Sequence[Completion], *, with_prompt: bool
    ) -> Answers:
        """Completions with their log-probabilities under the base.

        `with_prompt`: those of the prompt, too; zeros otherwise.
        """
        base, prompt = self.policy.base, self.prompt(question)
        before = base.log_probabilities([prompt])[0] if with_prompt else np.zeros(len(prompt))
        after = base.continuations(prompt, [one.tokens for one in completions])
        texts = tuple(self.text(one) for one in completions)
        return Answers(question, texts, before, tuple(after.log_probabilities))
