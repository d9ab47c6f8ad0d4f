"""Our models under lm-evaluation-harness, on a task that lies on this machine."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from evaluation_fakes import FakeModel
from fpo.errors import MissingDependencyError
from fpo.evaluation import choice, harness, tasks


def by_letter(context: str, text: str) -> float:
    """The more often the letter a, the likelier; but never equal."""
    return -float(len(text)) + 2.5 * text.count("a") - 0.001 * sum(map(ord, text)) / len(text)


def requests(*arguments: Any) -> list[Any]:
    return [SimpleNamespace(args=one) for one in arguments]


def test_the_harness_is_optional(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "lm_eval.api.model", None)
    with pytest.raises(MissingDependencyError, match=r"pip install fpo\[harness\]"):
        harness.harness_model(FakeModel())


def test_requests() -> None:
    pytest.importorskip("lm_eval")
    model = FakeModel(context=40, answer=lambda prompt: "one\n\ntwo")
    lm = harness.harness_model(model)
    found = lm.loglikelihood(requests(("Q:", " a"), ("Q:", " bc"), ("", "x")))
    assert found == [(-2, True), (-3, False), (-1, True)]
    assert [len(tails) for _, tails in model.calls] == [2, 1]
    assert model.calls[1][0] == [0]  # an empty context begins with a special token
    model.calls.clear()
    assert lm.loglikelihood_rolling(requests(("y" * 100,))) == [pytest.approx(-100)]
    assert [(len(head), len(tails[0])) for head, tails in model.calls] == [
        (1, 39),
        (1, 39),
        (18, 22),
    ]
    assert lm.generate_until(requests(("Q:", {"until": ["\n\n"], "max_gen_toks": 8}))) == ["one"]
    chat = lm.apply_chat_template([{"role": "user", "content": "Hi"}])
    assert chat == "<user>Hi\n<assistant>"


def test_a_local_task_equals_ours(tmp_path: Path) -> None:
    lm_eval = pytest.importorskip("lm_eval")
    path = tmp_path / "toy.jsonl"
    rows = [
        {"question": f"Which {k}?", "choices": ["a" * (k % 4), "bb", "ca" * k], "answer": k % 3}
        for k in range(1, 20)
    ]
    rows = [row for row in rows if all(row["choices"])]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    config = {
        "task": "toy",
        "dataset_path": "json",
        "dataset_kwargs": {"data_files": {"test": str(path)}, "cache_dir": str(tmp_path)},
        "test_split": "test",
        "output_type": "multiple_choice",
        "doc_to_text": "Question: {{question}}\nAnswer:",
        "doc_to_choice": "{{choices}}",
        "doc_to_target": "{{answer}}",
        "metric_list": [{"metric": "acc"}, {"metric": "acc_norm"}],
    }
    model = FakeModel(by_letter)
    found = lm_eval.simple_evaluate(
        model=harness.harness_model(model), tasks=[config], bootstrap_iters=0
    )["results"]["toy"]
    questions = tasks.from_file(path, "Question: {question}\nAnswer:")
    ours = choice.summary(choice.evaluate(model, questions, task="toy"))
    assert 0 < ours["acc"]["estimate"] < 1
    for measure in ("acc", "acc_norm"):
        assert found[f"{measure},none"] == pytest.approx(ours[measure]["estimate"])
