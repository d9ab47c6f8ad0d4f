"""The judge protocol offline, and against a server that speaks OpenAI's protocol over HTTP."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Lock, Thread
from typing import Any

import pytest
from evaluation_fakes import FakeModel
from fpo.errors import ArgumentError, DomainError, FormatError, MissingDependencyError
from fpo.evaluation import generation, judge, judges, verdicts
from fpo.evaluation.data import Row


def answers(texts: list[str]) -> list[Row]:
    return [
        {"id": f"q:{k}", "question": f"Q{k}?", "category": "ab"[k % 2], "answer": text}
        for k, text in enumerate(texts)
    ]


class Always:
    """A judge with one opinion; counts its calls."""

    name = "always"

    def __init__(self, opinion: str):
        self.opinion, self.calls = opinion, 0

    def __call__(self, question: str, first: str, second: str) -> str:
        self.calls += 1
        return self.opinion


LONGER = judges.ScoreJudge(lambda question, answer: len(answer), name="longer")


def test_verdicts_need_both_orders() -> None:
    table = {
        ("first", "second"): "win",
        ("second", "first"): "loss",
        ("first", "first"): "tie",
        ("second", "second"): "tie",
        ("first", "tie"): "tie",
        ("tie", "tie"): "tie",
        ("malformed", "second"): "invalid",
        ("first", "failed"): "invalid",
    }
    assert {pair: judge.verdict(*pair) for pair in table} == table


def test_an_offline_judge(tmp_path: Path) -> None:
    path = tmp_path / "v.jsonl"
    first, second = answers(["long one", "b", "same"]), answers(["short", "longer", "same"])
    judge.compare_answers(LONGER, first, second, names=("a", "b"), path=path)
    found = verdicts.read_verdicts(path)
    assert [row["verdict"] for row in found["a", "b"]] == ["win", "loss", "tie"]
    result = verdicts.compare(found["a", "b"])
    assert (result["identical"], result["identical_ties"]) == (1, 1)
    assert result["length"]["words"] == [4 / 3, 1]
    assert "a against b: 1-1, 1 ties, p = 1 " in verdicts.table(found)


def test_equal_answers_are_not_judged_and_order_is_seen() -> None:
    primacy = Always("first")
    rows = judge.compare_answers(
        primacy, answers(list("abcdefgh")), answers(list("aBCDEFGH")), names=("a", "b")
    )
    assert primacy.calls == 14
    assert {row["verdict"] for row in rows} == {"tie"}
    bias = judge.position_bias(rows)
    assert (bias["pairs"], bias["primacy"], bias["recency"]) == (7, 7, 0)
    assert bias["consistent"]["estimate"] == 0
    assert bias["p_value"] == pytest.approx(2**-6)


def test_what_failed_is_judged_again(tmp_path: Path) -> None:
    path, first, second = tmp_path / "v.jsonl", answers(["a", "b"]), answers(["c", "d"])

    def run(opinion: str, other: list[Row] = second) -> tuple[int, list[Row]]:
        one = Always(opinion)
        rows = judge.compare_answers(one, first, other, names=("x", "y"), path=path)
        return one.calls, rows

    calls, rows = run("failed")
    assert calls == 4 and [row["verdict"] for row in rows] == ["invalid"] * 2
    assert judge.position_bias(rows)["failed"] == 4
    assert run("malformed")[0] == 4
    calls, rows = run("first")  # malformed replies are results
    assert calls == 0 and judge.position_bias(rows)["malformed"] == 4
    assert len(verdicts.read_verdicts(path)["x", "y"]) == 2
    with pytest.raises(ArgumentError, match="q:1 was judged with other answers"):
        run("first", answers(["c", "e"]))


def test_bad_pairs_and_opinions() -> None:
    one, two = answers(["a"]), answers(["b", "c"])
    with pytest.raises(ArgumentError, match="second"):
        judge.compare_answers(LONGER, one, two, names=("a", "b"))
    with pytest.raises(ArgumentError, match="names"):
        judge.compare_answers(LONGER, one, two[:1], names=("a", "a"))
    with pytest.raises(ArgumentError, match="got {'better'}"):
        judge.compare_answers(Always("better"), one, two[:1], names=("a", "b"))
    with pytest.raises(DomainError, match="margin"):
        judges.ScoreJudge(lambda q, a: 0, margin=float("nan"))


def test_likelihood_judge() -> None:
    opinion = judges.likelihood_judge(FakeModel(lambda c, t: -1.0 if t == "cc" else -3.0))
    assert opinion("Q?", "cc", "dd") == "first"
    assert opinion("Q?", "", "dd") == "second"
    assert judges.likelihood_judge(FakeModel(), margin=0.1)("Q?", "cc", "dd") == "tie"


@pytest.mark.parametrize(
    ("reply", "opinion"),
    [
        ("A says less.\nVERDICT: B", "second"),
        ("**Verdict:** *TIE*", "tie"),
        ("VERDICT: A, or no: VERDICT: B", "second"),
        ("b.", "second"),
        ("[[A]]", "first"),
        ("VERDICT: Apples", "malformed"),
        ("Both are fine", "malformed"),
        ("", "malformed"),
        (None, "malformed"),
    ],
)
def test_parse(reply: str | None, opinion: str) -> None:
    assert judges.parse(reply) == opinion


# ------------------------------------------------------------------------------ over HTTP


@contextmanager
def server(
    reply: Callable[[int, dict[str, Any]], tuple[int, Any]],
) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """An endpoint on this machine: ``reply(number, request)`` is status and body."""
    seen: list[dict[str, Any]] = []
    lock = Lock()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            with lock:
                seen.append({"path": self.path, "key": self.headers["Authorization"], **body})
                number = len(seen)
            status, content = reply(number, body)
            data = json.dumps(content).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.send_header("retry-after-ms", "1")
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: Any) -> None:
            pass

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=http.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{http.server_port}/v1", seen
    finally:
        http.shutdown()
        http.server_close()
        thread.join()


def completion(text: str | None) -> dict[str, Any]:
    message = {"role": "assistant", "content": text}
    return {
        "id": "c",
        "object": "chat.completion",
        "created": 0,
        "model": "m",
        "choices": [{"index": 0, "finish_reason": "stop", "message": message}],
    }


def by_length(request: dict[str, Any]) -> str:
    text = request["messages"][-1]["content"]
    first, second = text.split("\n\nAnswer A: ")[1].split("\n\nAnswer B: ")
    return "VERDICT: A" if len(first) > len(second) else "VERDICT: B"


def test_an_endpoint(tmp_path: Path) -> None:
    pytest.importorskip("openai")
    first, second = answers(["long one"] * 6), answers(["short"] * 5 + ["longest of all"])
    with server(lambda n, request: (200, completion(by_length(request)))) as (url, seen):
        one = judges.OpenAIJudge("m", url, api_key="secret")
        rows = judge.compare_answers(
            one, first, second, names=("a", "b"), path=tmp_path / "v.jsonl", workers=4
        )
    assert [row["verdict"] for row in rows] == ["win"] * 5 + ["loss"]
    assert judge.position_bias(rows)["consistent"]["estimate"] == 1
    assert len(seen) == 12
    assert {(r["path"], r["key"], r["model"]) for r in seen} == {
        ("/v1/chat/completions", "Bearer secret", "m")
    }
    assert all(r["temperature"] == 0 and "VERDICT" in r["messages"][0]["content"] for r in seen)
    assert "secret" not in (tmp_path / "v.jsonl").read_text()


def test_faults_of_an_endpoint() -> None:
    pytest.importorskip("openai")
    busy = {"error": {"message": "busy"}}

    def ask(reply: Callable[[int, Any], tuple[int, Any]], **options: Any) -> tuple[str, int]:
        with server(reply) as (url, seen):
            one = judges.OpenAIJudge("m", url, **options)
            return one("Q?", "a", "b"), len(seen)

    fine = completion("VERDICT: A")
    assert ask(lambda n, _: (200, fine) if n > 2 else (503, busy)) == ("first", 3)
    assert ask(lambda n, _: (429, busy), retries=1) == ("failed", 2)
    assert ask(lambda n, _: (200, completion("Hm.") if n == 1 else fine)) == ("first", 2)
    assert ask(lambda n, _: (200, completion(None))) == ("malformed", 2)
    assert ask(lambda n, _: (200, {"choices": []}), attempts=1) == ("malformed", 1)
    assert ask(lambda n, _: (200, {}), attempts=1) == ("malformed", 1)
    for status in (401, 403, 404):
        with pytest.raises(ArgumentError, match="judge: .*busy"):
            ask(lambda n, _, status=status: (status, busy))  # type: ignore[misc]


def test_nobody_listens() -> None:
    pytest.importorskip("openai")
    with server(lambda n, _: (200, {})) as (url, _):
        pass
    assert judges.OpenAIJudge("m", url, retries=0)("Q?", "a", "b") == "failed"


def test_openai_is_optional(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "openai", None)
    with pytest.raises(MissingDependencyError, match=r"pip install fpo\[judge\]"):
        judges.OpenAIJudge("m", "http://127.0.0.1:1/v1")


# ----------------------------------------------------------------------------- generation


def test_answers_are_kept(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    questions = [{"id": f"q:{k}", "question": f"Q{k}?", "category": "c"} for k in range(20)]
    model = FakeModel(answer=lambda prompt: " To " + prompt.split("Q")[1].split("?")[0])
    rows = generation.generate_answers(model, questions[:9], path=path)
    assert [row["answer"] for row in rows] == [f"To {k}" for k in range(9)]
    model.answer = lambda prompt: "later"
    rows = generation.generate_answers(model, questions, path=path)
    assert [row["answer"] for row in rows] == [f"To {k}" for k in range(9)] + ["later"] * 11
    assert generation.read_answers(path) == rows
    with pytest.raises(FormatError, match="not a row"):
        (tmp_path / "b.jsonl").write_text("[]\n")
        generation.read_answers(tmp_path / "b.jsonl")


@pytest.mark.skipif("FPO_DATA" not in os.environ, reason="FPO_DATA is not set")
def test_questions() -> None:
    rows = generation.load_questions()
    assert len(rows) == 817 == len({row["id"] for row in rows})
