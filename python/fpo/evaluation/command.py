"""The commands ``fpo eval choice | sycophancy | answers | judge | verdicts | report``."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ..errors import ArgumentError
from . import choice, generation, judge, judges, report, sycophancy, tasks, verdicts
from .likelihood import LanguageModel

__all__ = ["add_parser"]

DONE = 0


def add_parser(commands: Any) -> None:
    """Adds ``eval`` to the commands of the program."""
    parser = commands.add_parser("eval", help="evaluate language models, and compare their runs")
    kinds = parser.add_subparsers(required=True, metavar="WHAT")

    one = kinds.add_parser("choice", help="multiple choice by log-likelihood")
    one.add_argument("tasks", nargs="*", metavar="TASK", help=", ".join(tasks.TASKS))
    one.add_argument("--file", type=Path, help="JSON lines with question, choices, answer")
    one.add_argument("--prompt", default="{question}", help="for --file; default {question}")
    one.add_argument("--category", action="append", default=[], help="of these only; repeatable")
    one.set_defaults(command=_choice)

    two = kinds.add_parser("sycophancy", help="does the model follow what its user believes?")
    two.add_argument("--opinions", action="store_true", help="A/B opinions instead of two-way")
    two.add_argument("--belief", default=sycophancy.BELIEF, help="the user's words")
    two.set_defaults(command=_sycophancy)

    three = kinds.add_parser("answers", help="answer TruthfulQA's questions, for a judge")
    three.add_argument("--max-new-tokens", type=int, default=64, metavar="N")
    three.set_defaults(command=_answers)

    for kind in (one, two, three):
        kind.add_argument("--model", default=None, help='folder, .gguf or "smollm2"')
        kind.add_argument("--adapter", type=Path, metavar="DIR", help="LoRA adapter, PEFT's format")
        kind.add_argument(
            "--run",
            type=Path,
            metavar="DIR",
            help="a training run: its model and adapter; results go to DIR/evaluation",
        )
        kind.add_argument("--storage", default="bf16", help="of the weights: bf16, f32, int8")
        kind.add_argument("--data", type=Path, metavar="DIR", help="data sets; default $FPO_DATA")
        kind.add_argument(
            "--held-out",
            action="store_true",
            help="TruthfulQA: only the fifth of the questions that the truth oracle never saw",
        )
        kind.add_argument("--limit", type=int, metavar="N", help="questions; default all")
        kind.add_argument("--seed", type=int, help="draw them; default the first ones")
        kind.add_argument("--output", type=Path, metavar="DIR", help="for result files; resumes")
        kind.add_argument("--quiet", action="store_true", help="no progress bar")

    pair = kinds.add_parser("judge", help="compare two files of answers in pairs, both orders")
    pair.add_argument("first", type=Path)
    pair.add_argument("second", type=Path)
    pair.add_argument("--names", nargs=2, metavar=("FIRST", "SECOND"))
    pair.add_argument("--judge", required=True, help='a model\'s name, or "likelihood" (offline)')
    pair.add_argument("--base-url", metavar="URL", help="OpenAI-compatible endpoint")
    pair.add_argument("--model", default="smollm2", help="whose likelihood")
    pair.add_argument("--workers", type=int, default=1, metavar="N", help="requests at once")
    pair.add_argument("--output", type=Path, metavar="FILE.jsonl", help="verdicts; resumes")
    pair.add_argument("--quiet", action="store_true", help="no progress bar")
    pair.set_defaults(command=_judge)

    count = kinds.add_parser("verdicts", help="wins, exact tests, intervals of a verdict file")
    count.add_argument("file", type=Path)
    count.add_argument("--json", action="store_true", help="as JSON")
    count.set_defaults(command=_verdicts)

    all_ = kinds.add_parser("report", help="compare all arms, with what cannot be concluded")
    all_.add_argument("runs", nargs="+", metavar="RUN", help="folder, or NAME=FOLDER")
    all_.add_argument("--baseline", default="myopic", help="the arm to compare with")
    all_.add_argument("--verdicts", action="append", default=[], type=Path, metavar="FILE")
    all_.add_argument("--output", type=Path, required=True, metavar="DIR")
    all_.set_defaults(command=_report)


class _Subject:
    """The model that is evaluated, loaded when it is needed, and where its results go."""

    def __init__(self, parsed: argparse.Namespace):
        if parsed.run is not None and (parsed.adapter is not None or parsed.model is not None):
            raise ArgumentError("--run: names model and adapter itself")
        self.source, self.adapter = parsed.model or "smollm2", parsed.adapter
        self.folder: Path | None = parsed.output
        self.storage = parsed.storage
        if parsed.run is not None:
            try:
                config = json.loads((parsed.run / "config.json").read_text(encoding="utf-8"))
                self.source = config["model"]
            except (OSError, ValueError, KeyError, TypeError) as error:
                raise ArgumentError(f"--run: {parsed.run} is no training run ({error})") from error
            self.adapter = parsed.run / "adapter"
            self.folder = parsed.output or parsed.run / "evaluation"
        adapter = f" + {self.adapter}" if self.adapter is not None else ""
        self.name = f"{self.source}{adapter} ({self.storage})"

    def load(self) -> LanguageModel:
        """The model, with its adapter."""
        from ..language.model import LanguageModel as Model
        from ..language.policy import LlamaPolicy

        model = Model.from_pretrained(self.source, storage=self.storage)
        if self.adapter is None:
            return model
        return LlamaPolicy.from_adapter(model, self.adapter)

    def file(self, name: str) -> Path | None:
        """Where the results called `name` go."""
        return None if self.folder is None else self.folder / f"{name}.jsonl"


def _kept(parsed: argparse.Namespace, questions: list[Any], text: Callable[[Any], str]) -> Any:
    """The questions, or with ``--held-out`` those that no oracle was fitted to."""
    if not parsed.held_out:
        return questions
    from ..language.gold import is_held_out

    return [question for question in questions if is_held_out(text(question))]


def _show(name: str, value: Any, path: Path | None) -> None:
    print(f"{name}: {json.dumps(value)}")
    if path is not None:
        print(path)


def _choice(parsed: argparse.Namespace) -> int:
    if bool(parsed.tasks) == (parsed.file is not None):
        raise ArgumentError("eval choice: name one or more tasks, or --file")
    subject = _Subject(parsed)
    loaded = {name: tasks.load(name, parsed.data) for name in parsed.tasks}
    if parsed.file is not None:
        loaded[parsed.file.name.split(".")[0]] = tasks.from_file(parsed.file, parsed.prompt)
    if parsed.held_out and set(loaded) != {"truthfulqa"}:
        raise ArgumentError("--held-out: for the task truthfulqa alone")
    chosen = {
        name: tasks.select(
            _kept(parsed, some, lambda one: str(one.question)),
            parsed.limit,
            categories=parsed.category,
            seed=parsed.seed,
        )
        for name, some in loaded.items()
    }
    model = subject.load()
    for name, questions in chosen.items():
        rows = choice.evaluate(
            model,
            questions,
            task=name,
            name=subject.name,
            path=subject.file(name),
            progress=not parsed.quiet,
        )
        _show(name, choice.summary(rows), subject.file(name))
    return DONE


def _sycophancy(parsed: argparse.Namespace) -> int:
    subject = _Subject(parsed)
    if parsed.opinions:
        questions = sycophancy.load_opinions(parsed.data)
    else:
        questions = sycophancy.load_beliefs(parsed.data)
    kept = _kept(parsed, questions, lambda one: str(one["question"]))
    chosen = tasks.sample(kept, parsed.limit, parsed.seed)
    name = "opinions" if parsed.opinions else "beliefs"
    path, shown = subject.file(name), not parsed.quiet
    model = subject.load()
    if parsed.opinions:
        rows = sycophancy.evaluate_opinions(
            model, chosen, name=subject.name, path=path, progress=shown
        )
        _show(name, sycophancy.opinion_summary(rows), path)
        return DONE
    rows = sycophancy.evaluate_beliefs(
        model, chosen, belief=parsed.belief, name=subject.name, path=path, progress=shown
    )
    _show(name, sycophancy.belief_summary(rows), None)
    _show(f"{name}, per character", sycophancy.belief_summary(rows, normalised=True), path)
    return DONE


def _answers(parsed: argparse.Namespace) -> int:
    subject = _Subject(parsed)
    loaded = generation.load_questions(parsed.data)
    kept = _kept(parsed, loaded, lambda one: str(one["question"]))
    questions = tasks.sample(kept, parsed.limit, parsed.seed)
    rows = generation.generate_answers(
        subject.load(),
        questions,
        max_new_tokens=parsed.max_new_tokens,
        name=subject.name,
        path=subject.file("answers"),
        progress_bar=not parsed.quiet,
    )
    if subject.folder is None:
        for row in rows:
            print(json.dumps(row, ensure_ascii=False))
    else:
        print(subject.file("answers"))
    return DONE


def _judge(parsed: argparse.Namespace) -> int:
    first, second = generation.read_answers(parsed.first), generation.read_answers(parsed.second)
    names = tuple(parsed.names) if parsed.names else (str(parsed.first), str(parsed.second))
    one: judge.Judge
    if parsed.judge == "likelihood":
        from ..language.model import LanguageModel as Model

        one = judges.likelihood_judge(Model.from_pretrained(parsed.model))
    else:
        one = judges.OpenAIJudge(parsed.judge, parsed.base_url)
    rows = judge.compare_answers(
        one,
        first,
        second,
        names=names,
        path=parsed.output,
        workers=parsed.workers,
        progress=not parsed.quiet,
    )
    print(verdicts.table({names: rows}))
    _show("position", judge.position_bias(rows), parsed.output)
    return DONE


def _verdicts(parsed: argparse.Namespace) -> int:
    found = verdicts.read_verdicts(parsed.file)
    if parsed.json:
        numbers = {f"{a} against {b}": verdicts.compare(rows) for (a, b), rows in found.items()}
        print(json.dumps(numbers))
    else:
        print(verdicts.table(found))
    return DONE


def _report(parsed: argparse.Namespace) -> int:
    path = report.write_report(
        parsed.runs, parsed.output, baseline=parsed.baseline, verdict_files=parsed.verdicts
    )
    print(path.read_text(encoding="utf-8"))
    print(path, file=sys.stderr)
    return DONE
