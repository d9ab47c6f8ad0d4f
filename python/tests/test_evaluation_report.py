"""Reports of runs whose differences are known, and the command line of evaluations."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from evaluation_fakes import FakeModel
from fpo import cli
from fpo.errors import ArgumentError, FormatError
from fpo.evaluation import arms, command, comparison, judges, report, statistics
from fpo.language.gold import is_held_out


def write_run(
    folder: Path,
    penalty: str,
    *,
    seed: int = 0,
    gain: float = 0.0,
    accuracy: float = 0.0,
    **log: Any,
) -> Path:
    """A run of 200 rounds and 300 questions; `gain` and `accuracy` are added to common noise."""
    folder.mkdir(parents=True)
    config = {"penalty": penalty, "seed": seed, "model": "smollm2", "output": str(folder)}
    (folder / "config.json").write_text(json.dumps(config))
    common, own = np.random.default_rng(seed), np.random.default_rng([seed, len(penalty)])
    rows = []
    for step in range(1, 201):
        reference = common.normal()
        rows.append(
            {
                "step": step,
                "utility/winner": reference + 0.1 * own.normal() + gain,
                "utility/reference": reference,
                "fpo/overconfidence": 0.01 * own.normal(),
                **log,
            }
        )
    (folder / "log.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    header = {"fpo_evaluation": 1, "kind": "choice", "task": "toy", "model": penalty}
    answers: list[dict[str, Any]] = [header]
    hard = np.random.default_rng(5).uniform(size=300)
    for k in range(300):
        acc = float(hard[k] < 0.5 + accuracy)
        answers.append({"id": f"toy:{k}", "acc": acc, "acc_norm": 0.0})
    (folder / "evaluation").mkdir()
    lines = "".join(json.dumps(row) + "\n" for row in answers)
    (folder / "evaluation/toy.jsonl").write_text(lines)
    return folder


def test_block_bootstrap_sees_that_rounds_depend_on_each_other() -> None:
    noise = np.random.default_rng(0).normal(size=4000)
    walk = np.convolve(noise, np.ones(20) / 20, mode="valid")
    whole, _ = statistics.block_bootstrap([walk], block=100)
    alone = statistics.bootstrap(walk)
    assert whole.high - whole.low > 3 * (alone.high - alone.low)
    # the standard error of a moving mean of width 20 is that of the noise itself
    assert (whole.high - whole.low) / 3.92 == pytest.approx(1 / np.sqrt(4000), rel=0.2)
    runs = [walk + shift for shift in (-1, 0, 1)]
    between, p = statistics.block_bootstrap(runs, block=100)
    assert between.high - between.low > 1 and p > 0.5


def test_noise_is_seldom_called_a_difference() -> None:
    random = np.random.default_rng(0)
    for rounds, memory, allowed in ((50, 0.0, 0.10), (125, 0.5, 0.14)):
        found = 0
        for _ in range(200):
            noise = random.normal(size=rounds + 50)
            for k in range(1, noise.size):
                noise[k] += memory * noise[k - 1]
            interval, p = statistics.block_bootstrap([noise[50:]], resamples=400)
            found += not interval.covers_zero
            assert (p <= 0.05) == (not interval.covers_zero) or 0.03 < p < 0.07
        assert found / 200 <= allowed


def test_a_report_concludes_what_it_can(tmp_path: Path) -> None:
    runs = [
        write_run(tmp_path / "a", "myopic"),
        write_run(tmp_path / "b", "relaxed", gain=0.5, accuracy=0.2),
        write_run(tmp_path / "c", "practical"),
    ]
    path = report.write_report(runs, tmp_path / "out", figures=False)
    found = json.loads((path.parent / "report.json").read_text())
    said = {(c["arm"], c["measure"]): c["conclusion"] for c in found["comparisons"]}
    assert said["relaxed", "utility gained over the reference"] == "higher, in this one run"
    assert said["relaxed", "toy acc"] == "higher, in this one run"
    assert said["practical", "toy acc"] == "identical"
    assert said["practical", "utility gained over the reference"].startswith("cannot")
    assert found["levels"]["myopic"]["toy acc"]["questions"] == 300
    text = path.read_text()
    assert "- practical against myopic in utility gained over the reference" in text
    assert "The control leash" in text and "The control best-of-n" in text
    assert "One run each of myopic, relaxed, practical" in text
    assert "rank" not in text.lower() and "best arm" not in text.lower()


def test_many_comparisons_cost(tmp_path: Path) -> None:
    weak = comparison.Comparison(
        "a", "b", "m", "evaluation", statistics.Interval(0.1, 0.01, 0.2), 9, 0.03, 0.4, 9
    )
    assert weak.conclusion() == (
        "cannot be concluded: not significant among all comparisons (Holm)"
    )
    found = comparison.compare_arms(
        arms.read_arms([write_run(tmp_path / n, n) for n in ("myopic", "exact")]), "myopic"
    )
    ordered = sorted(found, key=lambda one: one.p_value)
    assert ordered[0].p_holm == pytest.approx(min(1, len(found) * ordered[0].p_value))


def test_seeds_make_an_arm(tmp_path: Path) -> None:
    runs = [
        write_run(tmp_path / f"{name}{seed}", name, seed=seed, gain=gain)
        for name, gain in (("myopic", 0.0), ("relaxed", 0.5))
        for seed in (0, 1)
    ]
    one, two = arms.read_arms(runs)
    assert (one.name, len(one.runs), two.name) == ("myopic", 2, "relaxed")
    rounds, values = one.curves("utility/winner")
    assert values.shape == (2, 200) == (2, rounds.size)
    [gained] = [
        c for c in comparison.compare_arms([one, two], "myopic") if c.measure.startswith("utility")
    ]
    assert (gained.pairs, gained.runs) == (100, 2)
    assert gained.conclusion() == "higher, in these 2 runs"
    assert replace(gained, runs=5).conclusion() == "higher"
    with pytest.raises(ArgumentError, match="not even the seed"):
        arms.read_arms([runs[0], runs[0]])
    with pytest.raises(ArgumentError, match="differ in penalty"):
        arms.read_arms([f"x={runs[0]}", f"x={runs[2]}"])


def test_bad_runs(tmp_path: Path) -> None:
    with pytest.raises(ArgumentError, match="not a folder"):
        arms.read_run(tmp_path / "none")
    with pytest.raises(ArgumentError, match="neither"):
        arms.read_run(tmp_path)
    run = write_run(tmp_path / "run", "myopic")
    with pytest.raises(ArgumentError, match="baseline: expected one of myopic"):
        report.write_report([run], tmp_path / "o", baseline="relaxed")
    (run / "log.jsonl").write_text('{"loss": 1}\n')
    with pytest.raises(FormatError, match="line 1 has no 'step'"):
        arms.read_run(run)


def test_figures(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("matplotlib").use("Agg")
    runs = [
        str(write_run(tmp_path / "a", "myopic")),
        f"leash 0.1={write_run(tmp_path / 'b', 'leash', accuracy=0.1)}",
        f"best-of-n={write_run(tmp_path / 'c', 'best-of-n')}",
    ]
    assert cli.main(["eval", "report", *runs, "--output", str(tmp_path / "out")]) == 0
    text = capsys.readouterr().out
    assert "![training.png](training.png)" in text and "control" not in text
    for name in ("training.png", "evaluation.png"):
        assert (tmp_path / "out" / name).stat().st_size > 5000


# --------------------------------------------------------------------------- command line


@pytest.mark.skipif("FPO_DATA" not in os.environ, reason="FPO_DATA is not set")
def test_verdicts_command(capsys: pytest.CaptureFixture[str]) -> None:
    path = Path(os.environ["FPO_DATA"]) / "fpo-authors/truthfulqa_3way.jsonl.gz"
    assert cli.main(["eval", "verdicts", str(path)]) == 0
    text = capsys.readouterr().out
    for words in ("135-140", "144-188", "167-138", "p = 0.0181", "433 identical pairs"):
        assert words in text
    assert cli.main(["eval", "verdicts", str(path), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["baseline against relaxed"]["ties"] == 485


def write_data(root: Path) -> None:
    """Two sets of the data folder, with twelve questions each."""
    old, new, mc = [], [], []
    for k in range(12):
        question, right, wrong = f"What is {k}?", f"It is {k}.", f"It is {k + 1}."
        old.append({"question": question, "category": "Number"})
        new.append({**old[-1], "best_answer": right, "best_incorrect": wrong})
        choices = [[right, 1], [wrong, 0]]
        mc.append({"question": question, "mc1": choices, "mc2": [*choices, ["A number.", 1]]})
    (root / "truthfulqa").mkdir()
    for name, rows in (("questions_v1", old), ("questions", new), ("mc_v1", mc)):
        text = "".join(json.dumps(row) + "\n" for row in rows)
        (root / f"truthfulqa/{name}.jsonl").write_text(text)


def test_commands_from_questions_to_a_report(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write_data(tmp_path)
    answers = {"one": "It is so.", "two": "It may be so, or not."}
    for name, answer in answers.items():
        model = FakeModel(answer=lambda prompt, text=answer: text)  # type: ignore[misc]
        monkeypatch.setattr(command._Subject, "load", lambda self, model=model: model)
        run = tmp_path / name
        run.mkdir()
        (run / "config.json").write_text(json.dumps({"penalty": name, "model": "none"}))
        common = ["--run", str(run), "--data", str(tmp_path), "--quiet"]
        for arguments in (["choice", "truthfulqa"], ["sycophancy"], ["answers"]):
            assert cli.main(["eval", *arguments, *common]) == 0
    files = sorted(path.name for path in (tmp_path / "one/evaluation").iterdir())
    assert files == ["answers.jsonl", "beliefs.jsonl", "truthfulqa.jsonl"]
    said = capsys.readouterr().out
    assert '"questions": 12, "acc": {"estimate": 1.0' in said and "beliefs, per character" in said

    monkeypatch.setattr(judges, "OpenAIJudge", lambda *_: judges.ScoreJudge(lambda q, a: len(a)))
    pair = [str(tmp_path / name / "evaluation/answers.jsonl") for name in answers]
    verdict_file = str(tmp_path / "verdicts.jsonl")
    judged = ["eval", "judge", *pair, "--judge", "m", "--output", verdict_file, "--quiet"]
    assert cli.main([*judged, "--names", "one", "two"]) == 0
    assert "one against two: 0-12, 0 ties" in capsys.readouterr().out
    runs = [str(tmp_path / name) for name in answers]
    output = ["--output", str(tmp_path / "out"), "--verdicts", verdict_file, "--baseline", "one"]
    assert cli.main(["eval", "report", *runs, *output]) == 0
    text = capsys.readouterr().out
    assert "| answer words | two | 3.000 [3.000, 3.000] | 12 | " in text
    assert "## Verdicts of verdicts.jsonl" in text


def test_held_out_questions(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write_data(tmp_path)
    monkeypatch.setattr(command._Subject, "load", lambda self: FakeModel())
    data = ["--data", str(tmp_path), "--held-out", "--quiet"]
    assert cli.main(["eval", "choice", "truthfulqa", *data]) == 0
    kept = sum(is_held_out(f"What is {k}?") for k in range(12))
    assert 0 < kept < 12
    assert f'"questions": {kept}' in capsys.readouterr().out
    assert cli.main(["eval", "choice", "arc_easy", "truthfulqa", *data]) == 2


@pytest.mark.parametrize(
    ("arguments", "code", "text"),
    [
        (["choice"], 2, "name one or more tasks, or --file"),
        (["choice", "arc", "--data", "."], 2, "task: expected one of truthfulqa, arc_easy"),
        (["choice", "arc_easy", "--run", "absent"], 2, "absent is no training run"),
        (["choice", "arc_easy", "--run", "a", "--model", "b"], 2, "--run: names model"),
        (["choice", "arc_easy", "--data", "absent"], 2, "absent is not a folder"),
        (["verdicts", "absent.jsonl"], 1, "absent.jsonl"),
        (["report", "absent", "--output", "o"], 2, "absent is not a folder"),
        (["judge", "a", "b", "--judge", "x"], 1, "a"),
    ],
)
def test_command_failures(
    arguments: list[str], code: int, text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["eval", *arguments]) == code
    assert text in capsys.readouterr().err
