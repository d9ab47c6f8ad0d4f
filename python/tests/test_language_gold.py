"""Oracles fitted to labels."""

from __future__ import annotations

import gzip
import json
from types import SimpleNamespace

import numpy as np
import pytest
from fpo.errors import ArgumentError, FormatError
from fpo.language.gold import (
    GoldOracle,
    LabelledAnswer,
    _auc,
    _logistic,
    is_held_out,
    labelled_answers,
    truth_labels,
)
from fpo.language.oracles import Answers
from language_fakes import FakeTokenizer


class FakeStates:
    """Hidden states: how often each letter occurs in a text."""

    name, storage = "fake", "f32"
    tokenizer = FakeTokenizer()
    architecture = SimpleNamespace(layers=4, hidden=8)
    calls = 0

    def hidden_states(self, sequences, layer, *, pooling):
        assert (layer, pooling) == (4, "mean")
        self.calls += 1
        return np.array([np.bincount(one, minlength=12)[:8] for one in sequences], np.float32)


def rows(count=400):
    """Answers with the letter b are true, those with c are not."""
    draw = np.random.default_rng(0)
    found = []
    for i in range(count):
        answer = "".join(draw.choice(list("bcdefgh"), 8))
        odds = 1.5 * (answer.count("b") - answer.count("c"))
        label = float(draw.uniform() < 1 / (1 + np.exp(-odds)))
        found.append(LabelledAnswer(f"a{i}?", answer, label))
    return found


def test_it_learns_what_the_labels_say(tmp_path):
    model = FakeStates()
    oracle = GoldOracle(model, rows(), layer=20, ridge=1.0, cache=tmp_path, progress=False)
    assert oracle.accuracy > 0.7 and oracle.auc > 0.75
    answers = Answers("a?", ("bbbb", "dddd", "cccc"), np.zeros(1), ())
    good, middle, bad = oracle(answers)
    assert good > middle > bad
    calls = model.calls
    again = GoldOracle(model, rows(), layer=20, ridge=1.0, cache=tmp_path, progress=False)
    assert model.calls == calls  # the fit comes from the cache
    np.testing.assert_array_equal(again(answers), oracle(answers))
    GoldOracle(model, rows(399), layer=20, ridge=1.0, cache=tmp_path, progress=False)
    assert len(list(tmp_path.iterdir())) == 2


def test_a_fifth_of_the_questions_is_held_out():
    held = [is_held_out(f"question {i}?") for i in range(2000)]
    assert 0.16 < np.mean(held) < 0.24
    assert is_held_out(" question 1? ") == held[1]


def test_the_regression_is_at_its_optimum():
    draw = np.random.default_rng(1)
    x = np.column_stack([draw.normal(size=(60, 3)), np.ones(60)])
    labels = draw.uniform(size=60)
    weights = _logistic(x, labels, 2.0)
    slope = x.T @ (1 / (1 + np.exp(-x @ weights)) - labels) + [2.0, 2.0, 2.0, 1e-6] * weights
    assert np.abs(slope).max() < 1e-7


def test_auc():
    assert _auc(np.array([0.1, 0.4, 0.35, 0.8]), np.array([False, False, True, True])) == 0.75


def test_labels_of_a_file(tmp_path):
    path = tmp_path / "labels.jsonl"
    good = {"prompt": "a?", "response": "b", "label": 1}
    path.write_text("\n".join(json.dumps(one) for one in (good, {**good, "label": 0}, good)))
    [row] = labelled_answers(path)
    assert row.label == pytest.approx(2 / 3)
    path.write_text(json.dumps(good) + "\n" + json.dumps({**good, "label": 2}))
    with pytest.raises(FormatError, match="line 2"):
        labelled_answers(path)


def test_truth_labels(tmp_path, monkeypatch):
    monkeypatch.delenv("FPO_DATA", raising=False)
    with pytest.raises(ArgumentError, match="FPO_DATA"):
        truth_labels()
    folder = tmp_path / "truthfulqa"
    folder.mkdir()
    monkeypatch.setenv("FPO_DATA", str(tmp_path))
    with pytest.raises(ArgumentError, match="there is no"):
        truth_labels()
    lines = [{"question": "q?", "answer": " a", "label": 1}] * 2
    with gzip.open(folder / "human_truth_labels.jsonl.gz", "wt") as file:
        file.write("\n".join(json.dumps(one) for one in lines))
    assert truth_labels() == [LabelledAnswer("q?", "a", 1.0)]
