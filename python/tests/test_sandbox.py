"""Programs that try to get out of the sandbox, and verifiers that run them."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import pytest
from fpo.errors import DomainError, SandboxError
from fpo.verifiers import InputOutput, Limits, UnitTests, Verdict, sandbox


def _works(isolation: str) -> bool:
    try:
        return sandbox.run("", isolation=isolation).code == 0
    except SandboxError:
        return False


ISOLATIONS = [name for name in ("namespaces", "limits") if _works(name)]
FAST = Limits(cpu_seconds=1, wall_seconds=5)


@pytest.fixture(params=ISOLATIONS)
def isolation(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_a_program_runs(isolation: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FPO_TEST_SECRET", "x")
    outcome = sandbox.run(
        "import os, sys\n"
        "open('file', 'w').write('y')\n"
        "print(input(), open('file').read(), 'FPO_TEST_SECRET' in os.environ)\n"
        "sys.exit(3)",
        stdin="z\n",
        isolation=isolation,
    )
    assert (outcome.status, outcome.code, outcome.stdout) == ("exited", 3, "z y False\n")


# What each prints if it is not stopped: "out".
ESCAPES = {
    "fork bomb": "import os\nfor i in range(40):\n    os.fork()\nprint('out')",
    "thread": "import threading\nthreading.Thread(target=print).start()\nprint('out')",
    "shell": "import subprocess\nsubprocess.run(['true'])\nprint('out')",
    "exec": "import os\nos.execv('/bin/echo', ['echo', 'out'])",
    "network": "import socket\nsocket.socket()\nprint('out')",
    "kill": "import os\nos.kill(os.getppid(), 0)\nprint('out')",
    "session": "import os\nos.setsid()\nprint('out')",
    "memory": "x = bytearray(2 << 30)\nprint('out')",
    "file size": "open('x', 'wb').write(b'x' * (2 << 20))\nprint('out')",
    "raised limits": "import resource\nresource.setrlimit(resource.RLIMIT_CPU, (99, 99))\n"
    "print('out')",
    "open files": "x = [open('/dev/null') for _ in range(99)]\nprint('out')",
    "recursion": "def f(): f()\nf()\nprint('out')",
    "unshare": "import ctypes\nif ctypes.CDLL(None).unshare(0x10000000) == 0: print('out')",
}


@pytest.mark.parametrize("name", ESCAPES)
def test_a_program_stays_inside(name: str) -> None:
    outcome = sandbox.run(ESCAPES[name], limits=FAST, isolation=ISOLATIONS[-1])
    assert "out" not in outcome.stdout and outcome.status == "exited"


@pytest.mark.skipif("namespaces" not in ISOLATIONS, reason="no user namespaces here")
def test_namespaces_keep_files_and_processes_apart(tmp_path: Path) -> None:
    target = tmp_path / "file"
    target.write_text("mine")
    program = (
        f"import os\nfor act in (lambda: open({str(target)!r}, 'w'), "
        f"lambda: os.remove({str(target)!r}), lambda: open('/dev/shm/x', 'w')):\n"
        "    try: act()\n    except OSError: pass\n    else: print('out')\n"
        "print([p for p in os.listdir('/proc') if p.isdigit() and int(p) > 2])\n"
        "written = 0\n"
        "try:\n"
        "    while written < 60:\n"
        "        open(str(written), 'wb').write(b'x' * (1 << 20))\n"
        "        written += 1\n"
        "except OSError: print(written < 20)\n"
        "try:\n"
        "    for i in range(3000): os.mkdir(f'd{i}')\n"
        "except OSError: print(i < 1024)\n"
        "try: open('/dev/zero')\n"
        "except OSError: print('no device')"
    )
    outcome = sandbox.run(program, isolation="namespaces")
    assert outcome.stdout == "[]\nTrue\nTrue\nno device\n", outcome
    assert target.read_text() == "mine"


def test_endless_programs_and_output(isolation: str) -> None:
    outcome = sandbox.run("while True: pass", limits=FAST, isolation=isolation)
    assert (outcome.status, outcome.code) == ("time limit", -9)
    started = time.monotonic()
    limits = Limits(wall_seconds=0.5)
    outcome = sandbox.run("import time; time.sleep(60)", limits=limits, isolation=isolation)
    assert outcome.status == "time limit" and time.monotonic() - started < 10
    outcome = sandbox.run("while True: print('x' * 999)", limits=FAST, isolation=isolation)
    assert outcome.code == 1 and len(outcome.stdout) == FAST.file_bytes
    outcome = sandbox.run("import os; os.write(1, b'\\xff')", isolation=isolation)
    assert outcome.stdout == "\ufffd"
    outcome = sandbox.run("import ctypes; ctypes.string_at(0)", isolation=isolation)
    assert (outcome.status, outcome.code) == ("killed", -11)
    assert sandbox.run("x = '\ud800'", isolation=isolation).code == 0


def test_unit_tests() -> None:
    isolation = ISOLATIONS[-1]
    tests = ["assert add(1, 2) == 3", "assert add(-1, 1) == 0"]
    right = "Here:\n```python\ndef add(a, b):\n    return a + b\n```\nDone."
    half = "def add(a, b): return abs(a) + b"
    verifier = UnitTests(isolation=isolation, limits=FAST, workers=2)
    assert verifier([right, half], tests=[tests, tests]) == [1, 0]
    share = UnitTests("fraction", isolation=isolation, limits=FAST)
    assert share([half, "def add("], tests=[tests, tests]) == [0.5, 0]
    # Ending early, or printing, is not passing.
    cheats = ["import os; os._exit(0)", "raise SystemExit(0)", "print('passed')", ""]
    assert share(cheats, tests=[tests] * 4) == [0] * 4
    loop = [*tests, "while True: pass"]
    assert share.verdicts([right], tests=[loop]) == [Verdict(2 / 3, "time limit")]
    assert share([right] * 4, tests=[[], None, ["assert ("], [3]]) == [None] * 4


def test_input_and_output() -> None:
    cases = [{"input": "1 2\n", "output": "3"}, {"input": "5 5\n", "output": "10\n"}]
    verifier = InputOutput("fraction", isolation=ISOLATIONS[-1], limits=FAST)
    right = "print(sum(map(int, input().split())), '  ')"
    rewards = verifier([right, "print(3)", right + "\nexit(1)"], tests=[cases] * 3)
    assert rewards == [1, 0.5, 0]
    assert verifier([right], tests=[[{"input": "1"}]]) == [None]
    with pytest.raises(DomainError, match="reward: expected all or fraction"):
        InputOutput("some")


def test_a_sandbox_that_cannot_be_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(DomainError, match="isolation: expected namespaces or limits"):
        sandbox.run("", isolation="none")
    with pytest.raises(DomainError, match="cpu_seconds"):
        Limits(cpu_seconds=0)
    broken = sandbox._launcher().replace(
        "    code = ctypes", "    raise OSError('no filter')\n    code = ctypes"
    )
    monkeypatch.setattr(sandbox, "_launcher", lambda: broken)
    with pytest.raises(SandboxError, match="could not be set up: no filter"):
        sandbox.run("print()", isolation="limits")
    monkeypatch.setattr(sys, "platform", "darwin")
    with pytest.raises(SandboxError, match="needs Linux"):
        sandbox.run("")
