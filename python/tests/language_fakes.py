"""A language model of a few letters, fast enough to play thousands of rounds."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
from fpo import random
from fpo.language.model import Completion, Continuations

LETTERS = "abcdefgh .?"
EOS = len(LETTERS)


class FakeTokenizer:
    eos_token = EOS

    def encode(self, text, *, special=False):
        return [max(LETTERS.find(one), 0) for one in text.lower()]

    def decode(self, tokens, *, special=False):
        return "".join(LETTERS[one] for one in tokens if one != EOS)

    def apply_chat_template(self, messages, **_):
        return [*self.encode(" ".join(one["content"] for one in messages)), 8]


class FakeModel:
    """Independent letters with logits; with `policy`, the logits are trained."""

    def __init__(self, logits=None):
        self.logits = np.zeros(EOS + 1) if logits is None else np.array(logits, dtype=np.float64)
        self.tokenizer = FakeTokenizer()
        self.architecture = SimpleNamespace(context=4096, hidden=4, layers=2)
        self.name = "fake"

    def log_p(self):
        return self.logits - np.log(np.exp(self.logits).sum())

    def log_probabilities(self, sequences):
        table = self.log_p()
        out = [table[np.asarray(one, dtype=int)] for one in sequences]
        for one in out:
            one[:1] = 0
        return out

    def continuations(self, context, continuations):
        table = self.log_p()
        found = [table[np.asarray(one, dtype=int)] for one in continuations]
        return Continuations(found, [False] * len(found))

    def generate(self, prompts, *, candidates=1, max_new_tokens=8, key, temperature=1.0, **_):
        p = np.exp(self.log_p() / temperature)
        bounds = np.cumsum(p / p.sum())
        out = []
        for i in range(len(prompts)):
            group = []
            for j in range(candidates):
                draws = random.uniform(random.fold(key[i], j), max_new_tokens)
                tokens = np.searchsorted(bounds, draws).clip(0, EOS).tolist()
                reason = "length"
                if EOS in tokens:
                    tokens, reason = tokens[: tokens.index(EOS) + 1], "stop"
                group.append(Completion(tokens, self.log_p()[tokens], reason))
            out.append(group)
        return out


class FakePolicy(FakeModel):
    def __init__(self, base=None):
        base = base or FakeModel()
        super().__init__(base.logits)
        self.base = base
        self.gradient = np.zeros(EOS + 1, dtype=np.float32)
        self.steps = 0
        self.saved_to = None

    def loss(self, sequences, weights, *, key=0):
        p = np.exp(self.log_p())
        total = 0.0
        gradient = self.gradient.copy()
        for tokens, weight in zip(sequences, weights, strict=True):
            for token, w in zip(tokens, weight, strict=True):
                total -= w * self.log_p()[token]
                gradient += w * (p - np.eye(EOS + 1)[token])
        # A little of the key, as dropout has it.
        self.gradient = (gradient * (1 + 1e-3 * (key % 7))).astype(np.float32)
        return total

    def step(self, learning_rate, *, weight_decay=0.0, max_grad_norm=0.0):
        norm = float(np.linalg.norm(self.gradient))
        self.logits = self.logits - 100 * learning_rate * self.gradient
        self.gradient = np.zeros_like(self.gradient)
        self.steps += 1
        return norm

    def state(self):
        return np.append(self.logits, self.steps).tobytes()

    def restore(self, state):
        values = np.frombuffer(state)
        self.logits, self.steps = values[:-1].copy(), int(values[-1])

    def save_adapter(self, folder):
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "adapter").write_bytes(self.state())


class FakeTrunk:
    """How often each letter occurs, and the length."""

    width = len(LETTERS) + 1

    def features(self, questions, answers):
        rows = [[*(text.count(letter) for letter in LETTERS), len(text)] for text in answers]
        return np.array(rows, dtype=np.float32) / 8


def utility(question, answers):
    """Likes the letter a, dislikes b."""
    return [0.5 * text.count("a") - 0.5 * text.count("b") for text in answers]


PROMPTS = ["abc?", "bad cab?", "feed a hedge?", "dead bee?", "a?"]
