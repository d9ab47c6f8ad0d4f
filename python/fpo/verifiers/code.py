"""Verifiers that run what a completion contains."""

from __future__ import annotations

import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from .. import _arrays
from ..errors import DomainError
from .base import Verdict, Verifier, field
from .sandbox import Limits, Outcome, run

__all__ = ["InputOutput", "UnitTests", "code_of"]

_FENCE = re.compile(r"^```[ \t]*(?:python|py|python3)?[ \t]*\n(.*?)^```[ \t]*$", re.M | re.S)
_UNSCORABLE = Verdict(None, "unscorable")


def code_of(completion: str) -> str:
    """The last fenced block of Python in a completion; all of it, if there is none."""
    blocks = _FENCE.findall(completion)
    return str(blocks[-1]) if blocks else completion


class _Program(Verifier):
    """Runs the program of each completion in the sandbox."""

    def __init__(
        self,
        reward: str = "all",
        *,
        limits: Limits | None = None,
        isolation: str = "namespaces",
        workers: int = 1,
        column: str = "tests",
    ) -> None:
        if reward not in ("all", "fraction"):
            raise DomainError(f"reward: expected all or fraction, got {reward!r}")
        self.reward, self.column = reward, column
        self.workers = _arrays.integer("workers", workers, 1, 1024)
        self._run: Callable[..., Outcome] = lambda source, **given: run(
            source, limits=limits, isolation=isolation, **given
        )

    def _verify_all(self, texts: list[str], rows: list[dict[str, Any]]) -> list[Verdict]:
        with ThreadPoolExecutor(self.workers) as pool:
            return list(
                pool.map(
                    lambda pair: self.verify(pair[0], **pair[1]), zip(texts, rows, strict=True)
                )
            )

    def _verdict(self, passed: list[bool], status: str) -> Verdict:
        share = sum(passed) / len(passed)
        if all(passed):
            return Verdict(1.0, "correct")
        return Verdict(share if self.reward == "fraction" else 0.0, status)


class UnitTests(_Program):
    """Runs a completion's program, then each test after it in the same interpreter.

    A test is Python text that raises if it fails, such as ``assert add(1, 2) == 3``. A row whose
    tests are missing or not Python is unscorable. A program that knows how these tests run can
    forge them, and a policy that is rewarded for passing may learn to; `InputOutput` judges only
    what is printed.

    Parameters
    ----------
    reward
        "all": 1 if all tests pass, else 0. "fraction": the share that pass.
    limits, isolation
        Of `fpo.verifiers.sandbox.run`.
    workers
        Programs that run at a time.
    column
        Holds the tests.
    """

    def verify(self, completion: str, **fields: Any) -> Verdict:
        """The verdict on one completion."""
        tests = field(fields, self.column)
        tests = [tests] if isinstance(tests, str) else tests
        if not isinstance(tests, (list, tuple)) or not tests or not all(map(_compiles, tests)):
            return _UNSCORABLE
        outcome = self._run(code_of(completion), tests=tests)
        return self._verdict(list(outcome.passed), _status(outcome))


class InputOutput(_Program):
    """Runs a completion's program on inputs and compares what it prints.

    A test is a mapping with ``input`` and ``output``. Compared are lines without the white space at
    their ends and without blank lines at the end; the program must exit with code 0. Each input is
    a run of its own: the program never sees what it is compared with.
    Parameters as for `UnitTests`.
    """

    def verify(self, completion: str, **fields: Any) -> Verdict:
        """The verdict on one completion."""
        tests = field(fields, self.column)
        if not isinstance(tests, (list, tuple)) or not tests or not all(map(_is_case, tests)):
            return _UNSCORABLE
        source, passed, status = code_of(completion), [], "wrong"
        for test in tests:
            outcome = self._run(source, stdin=test["input"])
            right = outcome.code == 0 and _lines(outcome.stdout) == _lines(test["output"])
            passed.append(right)
            if not right:
                status = _status(outcome)
                if self.reward == "all":
                    break
        return self._verdict(passed, status)


def _status(outcome: Outcome) -> str:
    if outcome.status != "exited":
        return outcome.status
    return "error" if outcome.code else "wrong"


def _compiles(test: Any) -> bool:
    try:
        compile(test, "test", "exec")
    except (SyntaxError, TypeError, ValueError):
        return False
    return isinstance(test, str) and bool(test.strip())


def _is_case(test: Any) -> bool:
    return isinstance(test, dict) and all(
        isinstance(test.get(name), str) for name in ("input", "output")
    )


def _lines(text: str) -> list[str]:
    return [line.rstrip() for line in text.rstrip().split("\n")]
