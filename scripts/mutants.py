#!/usr/bin/env python3
"""Plants the errors of mutants.toml, one at a time, in a copy: the test that each names must fail.

A test that cannot fail tests nothing, and a gradient check alone accepts a wrong value with the
matching slope. `--check` only makes sure that each error can still be planted.
"""

import argparse
import os
import re
import subprocess
import sys
import tomllib
from dataclasses import dataclass

from symbols import ROOT

COPY = ROOT / "build" / "mutants"
COPIED = ("Sources", "Tests", "include", "python", "scripts", "Makefile", "Package.swift")


@dataclass(frozen=True)
class Mutant:
    """One edit of one file, and the test that must notice it."""

    file: str
    old: str
    new: str
    test: str

    def planted(self, text: str) -> str:
        """The text with the error in it."""
        if text.count(self.old) != 1:
            sys.exit(f"mutants.toml: {self.file} holds {text.count(self.old)} times: {self.old}")
        return text.replace(self.old, self.new)

    def __str__(self) -> str:
        return f"{self.file}: {self.new.splitlines()[0]} [{self.test}]"


def call(*command: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """A command in the copy, its output kept."""
    return subprocess.run(
        command,
        cwd=COPY,
        env={**os.environ, "SWIFT_BACKTRACE": "enable=no", **environment},
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )


def build(test: str) -> None:
    """Build what the test runs; a mutant that does not compile is an error of the list."""
    python = test.startswith("python/")
    done = call("make", "build" if python else "build-tests")
    if done.returncode != 0:
        sys.exit(f"{done.stdout}\nmutants: the build failed")


def passes(test: str) -> bool:
    """Whether the named test passes; it is an error if there is none of that name."""
    if test.startswith("python/"):
        file, _, expression = test.partition(" ")
        only = ["-k", expression] if expression else []
        python = str(ROOT / ".venv/bin/python")
        library = str(COPY / "build/lib/libfpo.so")
        command = [python, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", file, *only]
        done = call(*command, FPO_LIBRARY=library, PYTHONPATH=str(COPY / "python"))
        found = done.returncode != 5
    else:
        done = call("swift", "test", "--skip-build", "--filter", test)
        found = re.search(r"Test run with 0 tests", done.stdout) is None
    if not found:
        sys.exit(f"mutants: no test is called {test}")
    return done.returncode == 0


def copy_sources() -> None:
    """Bring the copy up to date: its build products stay, and files keep their times."""
    COPY.mkdir(parents=True, exist_ok=True)
    for name in COPIED:
        subprocess.run(
            ["cp", "--archive", "--no-target-directory", ROOT / name, COPY / name],
            check=True,
        )


def main() -> None:
    """Judge every mutant; fail if one survives."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="only check that the list is valid")
    parser.add_argument("--only", default="", metavar="TEXT", help="mutants that mention this")
    arguments = parser.parse_args()
    listed = tomllib.loads((ROOT / "scripts/mutants.toml").read_text())["mutant"]
    mutants = [Mutant(**entry) for entry in listed]
    for mutant in mutants:
        mutant.planted((ROOT / mutant.file).read_text())
    if arguments.check:
        print(f"{len(mutants)} mutants can be planted")
        return

    mutants = [mutant for mutant in mutants if arguments.only in str(mutant)]
    copy_sources()
    for test in sorted({mutant.test for mutant in mutants}):
        build(test)
        if not passes(test):
            sys.exit(f"mutants: {test} fails without any error planted")
    survivors = []
    for mutant in mutants:
        path = COPY / mutant.file
        original = path.read_text()
        path.write_text(mutant.planted(original))
        build(mutant.test)
        survived = passes(mutant.test)
        path.write_text(original)
        print(f"{'SURVIVED' if survived else 'found   '} {mutant}", flush=True)
        survivors += [mutant] if survived else []
    print(f"{len(mutants) - len(survivors)} passed, {len(survivors)} failed")
    sys.exit(1 if survivors else 0)


if __name__ == "__main__":
    main()
