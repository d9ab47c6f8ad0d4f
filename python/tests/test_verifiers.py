"""Verifiers: golden answers, hostile completions, compositions, simulated errors."""

from __future__ import annotations

import os
import time
from fractions import Fraction
from typing import Any

import fpo
import numpy as np
import pytest
from fpo.errors import ArgumentError, DomainError, DTypeError, ShapeError
from fpo.verifiers import (
    ExactMatch,
    FormatMatch,
    Gated,
    Lexicographic,
    MultipleChoice,
    Noisy,
    Normalised,
    NumericMatch,
    ThinkFormat,
    Verdict,
    Verifier,
    Weighted,
    debiased,
    find_numbers,
    group_statistics,
    parse_number,
)
from hypothesis import given, settings
from hypothesis import strategies as st

needs_data = pytest.mark.skipif("FPO_DATA" not in os.environ, reason="FPO_DATA is not set")

NUMBERS: list[tuple[str, list[Any]]] = [
    ("42", [42]),
    ("-1,234.50", [Fraction(-2469, 2)]),
    ("$3.00 and -$5 and $-6", [3, -5, -6]),
    ("5 km, 50%, 42km/h", [5, 50, 42]),
    ("1e3 1e-3", [1000, Fraction(1, 1000)]),
    ("1/2", [Fraction(1, 2)]),
    ("3 1/2 apples", [Fraction(7, 2)]),
    (r"\frac{3}{4} \$1{,}234", [Fraction(3, 4), 1234]),
    (".5, 5. The end is **7**.", [Fraction(1, 2), 5, 7]),
    ("10-5, x=-5, (5), \u22127", [10, 5, -5, 5, -7]),
    ("1e309", [Fraction(10**309)]),
    ("1,23", [None]),
    ("1/0", [None]),
    ("1e999999999", [None]),
    ("9" * 500, [None]),
    ("nan inf Infinity x2 v1.2 1.2.3 1/2/2024 1_000", []),
    ("\u0663 \uff11\uff12 \u00b2 \u2460", []),
]


@pytest.mark.parametrize(("text", "values"), NUMBERS)
def test_numbers(text: str, values: list[Any]) -> None:
    assert find_numbers(text) == values
    assert parse_number(text) == (values[0] if len(values) == 1 else None)


@settings(deadline=None)
@given(st.fractions(max_denominator=10**6).filter(lambda value: abs(value) < 10**30))
def test_numbers_there_and_back(value: Fraction) -> None:
    text = f"{value.numerator}/{value.denominator}"
    assert parse_number(text) == value
    assert parse_number(f"{value.numerator:,}") == value.numerator
    assert NumericMatch()([f"so #### {text}."], answer=[str(value)]) == [1.0]


@settings(deadline=None)
@given(st.text(alphabet="01,./ -$e\\{}%\u22121", max_size=40))
def test_numbers_of_any_text(text: str) -> None:
    for value in find_numbers(text):
        assert value is None or isinstance(value, Fraction)


@pytest.mark.parametrize(
    "piece", ["1,", "1/", "9", "1.", " ", "1 ", "$", "-", "1e", "\\frac{", "{,}", "1 1/", "####"]
)
def test_hostile_lengths_take_linear_time(piece: str) -> None:
    started = time.process_time()
    NumericMatch("last")([piece * (100_000 // len(piece))], answer=[1])
    assert time.process_time() - started < 1


GSM8K: list[tuple[str, str, float | None]] = [
    ("She has 3 + 4 = <<3+4=7>>7.\n#### 7", "#### 7", 1.0),
    ("#### 1,000", "1000", 1.0),
    ("#### $18.00 a day", "18", 1.0),
    ("#### 7\nQuestion: next\n#### 8", "7", 1.0),
    ("#### 8\n#### 7", "7", 0.0),
    ("#### seven, so 7\n7", "7", 1.0),
    ("####\n7", "7", 0.0),
    ("#### ", "7", 0.0),
    ("It is 6, no, 7 apples.", "7", 1.0),
    (r"so \boxed{\frac{1}{2}} of 9", "0.5", 1.0),
    (r"\boxed{1 or 2}", "1", 0.0),
    (r"\boxed{7", "7", 0.0),
    ("nan", "7", 0.0),
    ("", "7", 0.0),
    ("7", "seven", None),
    ("7", "7 or 8", None),
    ("1e309", "inf", None),
]


@pytest.mark.parametrize(("completion", "answer", "reward"), GSM8K)
def test_gsm8k_rules(completion: str, answer: str, reward: float | None) -> None:
    assert NumericMatch()([completion], answer=[answer]) == [reward]


def test_numeric_options() -> None:
    near = NumericMatch(tolerance=0.01)
    assert near(["0.34", "0.35"], answer=["1/3", "1/3"]) == [1, 0]
    assert NumericMatch(relative=0.01)(["101", "102"], answer=[100, 100.0]) == [1, 0]
    assert NumericMatch("last")(["#### 1 2"], answer=[2]) == [1]
    assert NumericMatch("marker")(["2", "#### 2"], answer=[2, 2]) == [0, 1]
    assert NumericMatch()(["2"] * 3, answer=[None, float("nan"), [2]]) == [None] * 3
    assert NumericMatch().verdicts(["7 " * 60_000], answer=["7"])[0].status == "too long"
    talk = [[{"role": "assistant", "content": "7"}, {"role": "user", "content": "8"}], []]
    assert NumericMatch()(talk, answer=["7", "7"]) == [1, 0]
    for arguments in ({"rule": "first"}, {"tolerance": -1}, {"relative": -1}):
        with pytest.raises(DomainError):
            NumericMatch(**arguments)  # type: ignore[arg-type]
    with pytest.raises(ArgumentError, match="answer: missing; this verifier reads the column"):
        near(["1"])
    with pytest.raises(ShapeError, match="answer: expected 1 values"):
        near(["1"], answer=["1", "2"])
    with pytest.raises(DTypeError, match="answer: expected a list"):
        near(["1"], answer="1")
    with pytest.raises(DTypeError, match="completions: expected texts or lists of messages"):
        near([3], answer=["1"])  # type: ignore[list-item]


def test_exact_match() -> None:
    exact = ExactMatch()
    answers = ["Paris", "caf\u00e9", "a b", "", None, ["x", "y"]]
    completions = [" Paris\n", "cafe\u0301", "a \t b", "", "p", "y"]
    assert exact(completions, answer=answers) == [1, 1, 1, None, None, 1]
    assert exact(["paris"], answer=["Paris"]) == [0]
    assert ExactMatch(ignore_case=True)(["STRASSE"], answer=["stra\u00dfe"]) == [1]
    marked = ExactMatch(marker="Answer:")
    assert marked(["Answer: no\nAnswer: yes\nbye", "yes"], answer=["yes", "yes"]) == [1, 0]


@pytest.mark.parametrize(
    ("completion", "picked"),
    [
        ("B", "B"),
        ("(b).", "B"),
        ("b.", "B"),
        ("The answer is (C).", "C"),
        ("Answer: **D**", "D"),
        ("The answer is A. No, the answer is B", "B"),
        ("I like (A), but (C)", "C"),
        ("The answer is a dog", None),
        ("The answer is Dog", None),
        ("E", None),
        ("\u0410", None),
        ("A lot", None),
        ("", None),
    ],
)
def test_multiple_choice(completion: str, picked: str | None) -> None:
    for index, letter in enumerate("ABCD"):
        expected = [float(picked == letter)] * 3
        golds = [letter, f"({letter.lower()})", index]
        assert MultipleChoice()([completion] * 3, answer=golds) == expected
    assert MultipleChoice()([completion] * 3, answer=["E", 4, None]) == [None] * 3


def test_forms() -> None:
    assert FormatMatch(r"\d++ (yes|no)")(["12 yes", "12 yes!", "x"]) == [1, 0, 0]
    assert FormatMatch("yes", anywhere=True, max_characters=5)(["a yes", "a yes."]) == [1, 0]
    texts = ["<think>a\nb</think> c", "<think></think>", "x<think>a</think>b"]
    assert ThinkFormat()(texts) == [1, 0, 0]
    assert ThinkFormat()(["<think>a</think>b<think>c</think>d"]) == [0]
    with pytest.raises(ArgumentError, match="pattern: expected a regular expression"):
        FormatMatch("(")


class Given(Verifier):
    """The reward that a column holds."""

    def __init__(self, column: str) -> None:
        self.column = column

    def verify(self, completion: str, **fields: Any) -> Verdict:
        return Verdict(fields[self.column], self.column)


A, B = Given("a"), Given("b")
ROWS = {"a": [0.0, 1.0, 1.0, None, 1.0], "b": [9.0, 2.0, 3.0, 4.0, 3.0]}
TEXTS = ["", "", "", "", ""]
PROMPTS = ["p"] * 4 + ["q"]


def test_composition() -> None:
    assert Weighted([A, B], [10, 1])(TEXTS, **ROWS) == [9, 12, 13, None, 13]
    assert Gated(A, B, otherwise=-1)(TEXTS, **ROWS) == [-1, 2, 3, None, 3]
    assert Lexicographic([A, B])(TEXTS, PROMPTS, **ROWS) == [0, 0.5, 1, None, 0]
    got = Normalised([A, B], [1, 2])(TEXTS, PROMPTS, **ROWS)
    a, b = np.array([0, 1, 1]), np.array([9, 2, 3])
    expected = (a - a.mean()) / a.std() + 2 * (b - b.mean()) / b.std()
    np.testing.assert_allclose(np.array(got[:3], float), expected, rtol=1e-14)
    assert got[3:] == [None, 0]
    both = Weighted([A, B]).verdicts(TEXTS, **ROWS)
    assert both[0].status == "a, b"
    with pytest.raises(ShapeError, match="weights: expected 2"):
        Weighted([A, B], [1])
    with pytest.raises(ArgumentError, match="parts: expected at least one"):
        Weighted([])
    with pytest.raises(ArgumentError, match="prompt: missing"):
        Lexicographic([A])(TEXTS, **ROWS)


def test_group_statistics_leave_none_out() -> None:
    rewards = [1.0, None, 0.1, 0.0, 0.1, None, 0.1]
    groups = ["a", "a", "b", "a", "b", "c", "b"]
    mean, deviation, size = group_statistics(rewards, groups)
    np.testing.assert_array_equal(mean, [0.5, 0.5, 0.1, 0.5, 0.1, np.nan, 0.1])
    np.testing.assert_array_equal(deviation, [0.5, 0.5, 0, 0.5, 0, np.nan, 0])
    np.testing.assert_array_equal(size, [2, 2, 3, 2, 3, 0, 3])
    with pytest.raises(ShapeError, match="groups: expected 2"):
        group_statistics([1, 2], ["a"])


def test_simulated_errors() -> None:
    key = fpo.random.key(7)
    texts = [f"{i}" for i in range(4000)]
    truth = [float(i % 4 == 0) for i in range(4000)]
    noisy = Noisy(A, key, false_positive=0.1, false_negative=0.3)
    rewards = noisy(texts, a=truth)
    assert noisy(texts[::-1], a=truth[::-1]) == rewards[::-1]
    assert Noisy(A, 8, false_positive=0.1, false_negative=0.3)(texts, a=truth) != rewards
    got, true = np.array(rewards, float), np.array(truth)
    assert abs(got[true == 0].mean() - 0.1) < 4 * np.sqrt(0.09 / 3000)
    assert abs(got[true == 1].mean() - 0.7) < 4 * np.sqrt(0.21 / 1000)
    assert abs(got.mean() - (0.1 + 0.6 * 0.25)) < 0.02
    assert abs(debiased(rewards, 0.1, 0.3).mean() - 0.25) < 0.035
    fresh = Noisy(A, key, false_positive=0.5, independent=True)
    draws = fresh(["same"] * 400, a=[0.0] * 400)
    assert 150 < sum(map(bool, draws)) < 250
    same = Noisy(A, key, false_positive=0.5)(["same"] * 9, a=[0.0] * 9)
    assert len(set(same)) == 1
    assert noisy([""], a=[None]) == [None]
    with pytest.raises(DomainError, match="verifier: expected rewards 0 and 1, got 0.5"):
        noisy([""], a=[0.5])
    with pytest.raises(DomainError, match="false_positive: expected 0 to 1"):
        Noisy(A, key, false_positive=1.5)
    with pytest.raises(DomainError, match="expected less than 1"):
        debiased([1.0], 0.5, 0.5)


@needs_data
def test_gsm8k_end_to_end() -> None:
    problems = fpo.data.gsm8k("test")
    verifier = NumericMatch()
    solutions, answers = problems.column("completion"), problems.column("answer")
    assert set(verifier(solutions, answer=answers)) == {1.0}
    assert set(verifier(solutions, answer=solutions)) == {1.0}
    wrong = [f"#### {int(str(answer).replace(',', '')) + 1}" for answer in answers]
    assert set(verifier(wrong, answer=answers)) == {0.0}
