"""Runs a Python program that nobody has read, with as few rights as Linux lets us take away.

The program runs in a process of its own, with hard limits of CPU time, memory, file size and open
files, a wall-clock limit after which its process group is killed, and a filter of system calls
(seccomp) that lets it start no process, thread or program, open no socket, send no signal and touch
no other process. It sees no environment variables of the caller. With `isolation` "namespaces" it
can also write nothing but a small folder in memory, open no device (not even ``/dev/null``), has no
network interface and sees no other process.

What this does not do:

- It can read all files that the user can read. Without a network it can tell nobody, but what it
  prints goes into your logs.
- A flaw in the kernel, or in Python, is not guarded against. For code from strangers use a virtual
  machine.
- With `isolation` "limits" the program may overwrite and delete the user's files, and fill the disk
  with many small ones; run by root, it may write to devices. Use it in a container that holds
  nothing of value.
- Memory is limited per process, of which there is one; files in memory come on top
  (`scratch_bytes`). Caches, memory bandwidth and the clock are shared: a program can slow others.
- Threads are processes to the kernel: a program that needs them fails, and BLAS runs on one.
- x86-64 Linux only.
"""

from __future__ import annotations

import json
import os
import platform
import secrets
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from functools import cache
from importlib import resources
from typing import IO

from .. import _arrays
from ..errors import DomainError, SandboxError

__all__ = ["Limits", "Outcome", "run"]


@dataclass(frozen=True)
class Limits:
    """What a program may use."""

    cpu_seconds: int = 2
    """Of processor time."""
    wall_seconds: float = 10.0
    """Of real time, start included; above `cpu_seconds`, since a machine may be busy."""
    memory_bytes: int = 512 << 20
    """Of address space, the interpreter's own (about 30 MB) included."""
    file_bytes: int = 1 << 20
    """Of each file, and of standard output and error."""
    scratch_bytes: int = 16 << 20
    """Of all files together, with `isolation` "namespaces"."""
    open_files: int = 64

    def __post_init__(self) -> None:
        _arrays.positive("wall_seconds", self.wall_seconds)
        for one in fields(self):
            if one.name != "wall_seconds":
                _arrays.integer(one.name, getattr(self, one.name), 1, 2**62)


@dataclass(frozen=True)
class Outcome:
    """How a program ended."""

    status: str
    """"exited"; "time limit" (CPU or wall clock; or the kernel ran out of memory, which looks the
    same); or "killed" by another signal."""
    code: int
    """The exit code, or minus the signal."""
    stdout: str
    stderr: str
    passed: tuple[bool, ...] = ()
    """Of each test, whether it ran to its end."""


def run(
    source: str,
    *,
    stdin: str = "",
    tests: Sequence[str] = (),
    limits: Limits | None = None,
    isolation: str = "namespaces",
) -> Outcome:
    """Runs a Python program; see the module for what it is kept from, and what not.

    Parameters
    ----------
    source
        The program.
    stdin
        Its standard input.
    tests
        Python statements that run after it, each with a copy of its names; one passes if it
        raises nothing. They share an interpreter with the program, so one that sets out to forge
        its tests can. One that only ends the process early, or prints, cannot.
    limits
        None: `Limits()`.
    isolation
        "namespaces", or "limits" where the system allows no user namespaces.

    Raises
    ------
    SandboxError
        The sandbox could not be set up; the program did not run.
    """
    if isolation not in ("namespaces", "limits"):
        raise DomainError(f"isolation: expected namespaces or limits, got {isolation!r}")
    if sys.platform != "linux" or platform.machine() != "x86_64":
        raise SandboxError("the sandbox needs Linux on x86-64")
    limits = limits or Limits()
    token = secrets.token_hex(16)
    with (
        tempfile.TemporaryDirectory(prefix="fpo-") as folder,
        tempfile.TemporaryFile() as out,
        tempfile.TemporaryFile() as error,
        tempfile.TemporaryFile() as control,
        tempfile.TemporaryFile() as report,
    ):
        description = {
            "source": _encodable(source),
            "stdin": _encodable(stdin),
            "tests": list(tests),
            "limits": asdict(limits),
            "namespaces": isolation == "namespaces",
            "folder": folder,
            "control": control.fileno(),
            "report": [report.fileno(), token],
        }
        process = subprocess.Popen(
            [sys.executable, "-I", "-X", "utf8", "-c", _launcher()],
            stdin=subprocess.PIPE,
            stdout=out,
            stderr=error,
            cwd=folder,
            env=_environment(folder),
            pass_fds=(control.fileno(), report.fileno()),
            start_new_session=True,
        )
        timed_out = _wait(process, json.dumps(description).encode(), limits.wall_seconds)
        setup = _text(control, limits)
        if setup != "ready" and not timed_out:
            reason = setup or _text(error, limits).strip().rpartition("\n")[2]
            hint = "; isolation='limits' needs no namespaces" if isolation == "namespaces" else ""
            raise SandboxError(f"the sandbox could not be set up: {reason}{hint}")
        reported = set(_text(report, limits).splitlines())
        code = process.returncode
        status = "exited" if code >= 0 else "killed"
        if timed_out or code in (-signal.SIGKILL, -signal.SIGXCPU):
            status = "time limit"
        return Outcome(
            status,
            code,
            _text(out, limits),
            _text(error, limits),
            tuple(f"{token} {index}" in reported for index in range(len(tests))),
        )


def _wait(process: subprocess.Popen[bytes], description: bytes, seconds: float) -> bool:
    """Waits for the end; whether it had to be brought about."""
    try:
        process.communicate(description, timeout=seconds)
        return False
    except subprocess.TimeoutExpired:
        return True
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        if process.stdin is not None:
            process.stdin.close()


def _text(file: IO[bytes], limits: Limits) -> str:
    file.seek(0)
    return file.read(limits.file_bytes).decode(errors="replace")


def _encodable(text: str) -> str:
    return text.encode(errors="replace").decode()


@cache
def _launcher() -> str:
    return (resources.files(__package__) / "_launcher.py").read_text()


def _environment(folder: str) -> dict[str, str]:
    one_thread = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
    return {
        "PATH": "/usr/bin:/bin",
        "HOME": folder,
        "TMPDIR": folder,
        "LANG": "C.UTF-8",
        "PYTHONDONTWRITEBYTECODE": "1",
        **dict.fromkeys(one_thread, "1"),
    }
