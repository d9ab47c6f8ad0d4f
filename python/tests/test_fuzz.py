"""Nothing that a caller can pass ends the process: every exported function, in a child process.

The child calls each function of the table with seeded random mixtures of good and bad arguments:
NULL, NaN, infinities, zero, negative and huge numbers, unknown enumerated values, wrong struct
sizes. A pointer that is not NULL is always to real memory of the size that goes with small sizes,
since no library can check more; sizes that no machine has must be refused before anything is read.
"""

from __future__ import annotations

import ctypes
import subprocess
import sys
from pathlib import Path

import encoder_fuzz
import language_fuzz
import numpy as np
import pytest
from fpo import _lib

CALLS = 400
HUGE = [2**31 - 1, 2**31, 2**40, 2**62, 2**63 - 1]
#: No machine has this many elements, so a library can know that they are not there.
IMPOSSIBLE = [2**61, 2**62, 2**63 - 1, 2**63, 2**64 - 1]
REALS = [0.0, -0.0, 1.0, 1e-3, 5e-324, 1e308, -1.0, float("nan"), float("inf"), float("-inf")]


class Fuzzer:
    """Calls one function with random arguments, and keeps what it passes alive."""

    def __init__(self, name: str, seed: int):
        self.name, self.rng = name, np.random.default_rng([seed, *name.encode()])
        self.result, *self.kinds = _lib.SIGNATURES[name]
        self.function = getattr(_lib.lib, name)
        if self.result is _lib.STATUS:
            self.function = ctypes.CFUNCTYPE(ctypes.c_int32, *self.kinds)(
                ctypes.cast(self.function, ctypes.c_void_p).value
            )
        self.handle = handle_of(name)
        self.kept: list[object] = []

    def pick(self, options: list[object]) -> object:
        return options[int(self.rng.integers(len(options)))]

    def rising(self) -> int:
        """64 KiB of 0, 2, 4, ...: as int64 the offsets of pairs, as int32 small tokens."""
        values = np.arange(0, 16384, 2)
        self.kept.append(values)
        return values.ctypes.data

    def buffer(self) -> int:
        """64 KiB of doubles that are mostly finite."""
        values = self.rng.normal(size=8192)
        if self.rng.random() < 0.2:
            values[int(self.rng.integers(4))] = self.pick(REALS)
        self.kept.append(values)
        return values.ctypes.data

    def struct(self, kind: type[ctypes.Structure]) -> object:
        """Published values with a few fields spoilt, or noise; pointers stay NULL or real."""
        value = kind()
        if kind in INITIALIZED:
            value = _lib.initialized(kind, *INITIALIZED[kind])
        if kind is _lib.TextEncoderConfig:
            encoder_fuzz.set_sizes(value)
        if kind is _lib.LanguageModelConfig:
            language_fuzz.set_sizes(value)
        if kind is _lib.GenerationConfig:
            value.max_new_tokens = 3
        for field, c_type in kind._fields_:
            if self.rng.random() > 0.1:
                continue
            if c_type is ctypes.c_void_p:
                setattr(value, field, self.pick([None, self.buffer()]))
            elif c_type is ctypes.c_double:
                setattr(value, field, self.pick(REALS))
            elif issubclass(c_type, ctypes._SimpleCData) and field != "count":
                setattr(value, field, self.pick([0, 1, 2, -1, 7, 8, 100, -(2**31), 2**31 - 1]))
        if kind is _lib.SimulationInputs:
            value.seeds = value.seeds or self.buffer()
            value.count = self.pick([0, 1, 2, 3, 2**32, *IMPOSSIBLE])
            # These are as long as the environment says, which may be longer than the buffer.
            value.initial_weights = value.inner_noise = value.label_noise = None
            value.start = value.centre = None
        if kind is _lib.Environment:
            # Small enough to be played at once where everything is legal.
            value.rounds = self.pick([0, -1, 1, 3, 2**31 - 1])
        if kind is _lib.Trace:
            for field, _ in kind._fields_[2:]:
                setattr(value, field, self.pick([None, self.buffer()]))
        self.kept.append(value)
        return ctypes.byref(value)

    def argument(self, position: int, kind: type, sizes: bool) -> object:
        if self.name.endswith("_destroy"):  # anything else is a double free, the caller's own
            return None
        if position == 0 and self.handle is not None and kind is ctypes.c_void_p:
            return self.handle if self.rng.random() < 0.8 else None
        if position == 1 and self.name in language_fuzz.TAKES_ADAPTER:
            return self.pick([None, language_fuzz.handle("fpo_lora")])
        if kind is ctypes.c_char_p:
            return self.pick([None, b"", b"?", *encoder_fuzz.TENSORS, *language_fuzz.TENSORS])
        if kind is ctypes.c_double:
            return self.pick(REALS)
        if kind is ctypes.c_int32:
            return self.pick([0, 1, 2, 3, 5, -1, 99, -(2**31), 2**31 - 1])
        if kind is ctypes.c_uint32:
            return self.pick([0, 1, 8, 4096, 2**32 - 1])
        if kind is ctypes.c_int64:
            return self.pick([0, 1, 2, 5, -1, -(2**63), *HUGE] if sizes else [1, 2, 5])
        if kind is ctypes.c_size_t:
            return self.pick(IMPOSSIBLE if sizes else [0, 1, 2, 3, 4, 5])
        if self.rng.random() < 0.15:
            return None
        if kind is ctypes.c_void_p:
            return self.rising() if self.rng.random() < 0.3 else self.buffer()
        target = kind._type_
        if issubclass(target, ctypes.Structure):
            return self.struct(target)
        out = (target * 128)(*([] if target is ctypes.c_void_p else [3] * 128))
        self.kept.append(out)
        return out

    def call(self) -> tuple[int | None, list[object]]:
        self.kept.clear()
        huge = {i for i in range(len(self.kinds)) if self.rng.random() < 0.15}
        arguments = [self.argument(i, kind, i in huge) for i, kind in enumerate(self.kinds)]
        if self.name.endswith("_init"):  # the size of the memory behind the pointer
            arguments[1] = self.pick([0, 1, 7, ctypes.sizeof(self.kinds[0]._type_)])
        return self.function(*arguments), arguments


INITIALIZED: dict[type[ctypes.Structure], tuple[int, ...]] = {
    _lib.UtilityFilterConfig: (),
    _lib.Loss: (3,),
    _lib.PolicyLoss: (2,),
    _lib.OptimizerConfig: (),
    _lib.TextEncoderConfig: (),
    _lib.TextRewardConfig: (),
    _lib.LanguageModelConfig: (),
    _lib.LoraConfig: (),
    _lib.GenerationConfig: (),
    _lib.Environment: (0,),
    _lib.Penalty: (2,),
    _lib.SimulationInputs: (),
    _lib.Trace: (),
}


def handle_of(name: str) -> int | None:
    """A live handle for the functions that take one, made of small numbers."""
    import fpo

    if name.startswith(encoder_fuzz.PREFIXES) and not name.endswith("_init"):
        return encoder_fuzz.handle(name)
    if name.startswith(language_fuzz.PREFIXES) and not name.endswith("_init"):
        return language_fuzz.handle(name)
    if "_create" in name or name.endswith("_init"):
        return None
    made: _lib.Handle
    if name.startswith("fpo_simulation"):
        made = fpo.Simulation(fpo.LinearEnvironment(dimension=3, signal_dimension=1, rounds=4))
    elif name.startswith("fpo_reward_model"):
        made = fpo.MLPReward(3, [4])
    elif name.startswith("fpo_utility_filter"):
        made = fpo.UtilityFilter(np.zeros(3))
    elif name.startswith("fpo_optimizer"):
        made = fpo.Adam(5)
    else:
        return None
    KEPT.append(made)
    return made.pointer


KEPT: list[object] = []


def fuzz(name: str, seed: int) -> str:
    """In the child: "calls failures"; raises where a failure has no text."""
    fuzzer = Fuzzer(name, seed)
    calls = CALLS // 10 if "create" in name or "step" in name else CALLS
    failures = 0
    # The Gram form ignores the tolerance of the conjugate gradient, even a NaN.
    has_solver = ctypes.c_int64 in fuzzer.kinds and ctypes.c_int32 in fuzzer.kinds
    for _ in range(calls):
        status, arguments = fuzzer.call()
        if fuzzer.result is not _lib.STATUS:
            continue
        if status:
            failures += 1
            message = _lib.lib.fpo_last_error().decode()
            if len(message) < 5 or _lib.lib.fpo_status_name(status) in (b"", b"unknown"):
                raise AssertionError(f"status {status} with message {message!r}: {arguments}")
        elif any(a != a for a in arguments) and not has_solver:
            raise AssertionError(f"accepts NaN: {arguments}")
        elif "_create" in name:
            pointer = arguments[-1][0]  # type: ignore[index]
            destroy = name[: name.index("_create")] + "_destroy"
            getattr(_lib.lib, destroy)(pointer)
    if name.endswith("_set_num_threads"):
        _lib.lib.fpo_set_num_threads(0)
    return f"{calls} {failures}"


def in_a_child(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-X", "faulthandler", "-c", code],
        cwd=Path(__file__).parent,
        capture_output=True,
        text=True,
        timeout=600,
    )


@pytest.fixture(scope="module")
def outcomes() -> dict[str, str]:
    """Function -> what its fuzzing said. One child for all, and another after each that dies."""
    names, said = sorted(_lib.SIGNATURES), {}
    while names:
        child = in_a_child(
            "import test_fuzz\n"
            f"for name in {names!r}: print(name, test_fuzz.fuzz(name, 1), flush=True)"
        )
        for line in child.stdout.splitlines():
            name, _, text = line.partition(" ")
            said[names.pop(names.index(name))] = text
        if names:
            said[names.pop(0)] = f"exit {child.returncode}: {child.stderr[-3000:]}"
    return said


@pytest.mark.parametrize("name", sorted(_lib.SIGNATURES))
def test_nothing_that_can_be_passed_ends_the_process(name: str, outcomes: dict[str, str]) -> None:
    assert not outcomes[name].startswith("exit"), outcomes[name]
    calls, failures = map(int, outcomes[name].split())
    assert calls > 0
    if _lib.SIGNATURES[name][0] is _lib.STATUS:
        assert failures > 0, f"no call of {calls} was refused"


def test_every_null_is_refused_by_name() -> None:
    """One call each with all pointers NULL and all numbers 1: a status, a text, no crash."""
    code = (
        "import ctypes, fpo, test_fuzz\n"
        "from fpo import _lib\n"
        "optional = {'fpo_build_info'}\n"
        "for name, (result, *kinds) in _lib.SIGNATURES.items():\n"
        "    pointer = lambda k: k is ctypes.c_void_p or hasattr(k, 'contents')\n"
        "    if result is not _lib.STATUS or not any(map(pointer, kinds)) or name in optional:\n"
        "        continue\n"
        "    raw = ctypes.CFUNCTYPE(ctypes.c_int32, *kinds)(\n"
        "        ctypes.cast(getattr(_lib.lib, name), ctypes.c_void_p).value)\n"
        "    status = raw(*[None if pointer(k) else k(1) for k in kinds])\n"
        "    text = _lib.lib.fpo_last_error().decode()\n"
        "    assert status == 1 and 'NULL' in text, (name, status, text)\n"
    )
    child = in_a_child(code)
    assert child.returncode == 0, child.stderr


@pytest.mark.parametrize("seed", range(3))
def test_the_python_surface_raises_fpo_errors_only(seed: int) -> None:
    """Random nonsense at the package's functions: an FpoError or a result, nothing else."""
    import fpo
    from fpo import objectives as losses

    rng = np.random.default_rng(seed)
    world = fpo.LinearEnvironment(rounds=2)
    model = fpo.MLPReward(3, [2])
    utility = fpo.UtilityFilter(np.zeros(3))
    nonsense: list[object] = [
        None, 0, -1, 2**70, 1.5, float("nan"), "x", b"x", [], [[]], [[1.0]], {}, object(), True,
        np.ones(3), np.ones((2, 3)), np.full((2, 3), np.nan), np.ones((2, 3), complex),
        np.array(["a"]), np.ones((2, 2, 2)), [[1], [1, 2]], range(3), (1, 2, 3), 1j,
    ]  # fmt: skip

    def pick() -> object:
        return nonsense[int(rng.integers(len(nonsense)))]

    targets = [
        lambda: fpo.simulate(world, pick()),  # type: ignore[arg-type]
        lambda: fpo.simulate(world, "myopic", pick()),  # type: ignore[arg-type]
        lambda: fpo.simulate(world, initial_weights=pick()),  # type: ignore[arg-type]
        lambda: fpo.simulate(world, noise=pick()),  # type: ignore[arg-type]
        lambda: fpo.simulate(world, record_every=pick(), threads=pick()),  # type: ignore[arg-type]
        lambda: fpo.NeuralEnvironment(hidden=pick(), start=pick()),
        lambda: fpo.LinearEnvironment(rounds=pick(), action_cost=pick(), gradient=pick()),
        lambda: fpo.Residual(kappa=pick(), estimator=pick()),
        lambda: fpo.penalties.practical(pick(), pick()),  # type: ignore[arg-type]
        lambda: fpo.penalties.relaxed(pick(), pick(), pick()),  # type: ignore[arg-type]
        lambda: fpo.penalties.exact(pick(), pick(), damping=pick()),  # type: ignore[arg-type]
        lambda: fpo.penalties.influence(pick(), pick()),  # type: ignore[arg-type]
        lambda: fpo.numerics.ridge(pick(), pick(), kappa=pick()),  # type: ignore[arg-type]
        lambda: fpo.numerics.cholesky_solve(pick(), pick()),  # type: ignore[arg-type]
        lambda: fpo.numerics.exp(pick()),  # type: ignore[arg-type]
        lambda: fpo.random.normal(pick(), pick()),  # type: ignore[arg-type]
        lambda: model.reward(pick()),  # type: ignore[arg-type]
        lambda: model.loss(pick(), pick(), pick()),  # type: ignore[arg-type]
        lambda: model.penalty(pick(), pick(), pick(), direction=pick()),  # type: ignore[arg-type]
        lambda: setattr(model, "flat", pick()),
        lambda: setattr(model, "parameters", pick()),
        lambda: fpo.MLPReward(pick(), pick()),  # type: ignore[arg-type]
        lambda: fpo.Adam(pick(), learning_rate=pick()),  # type: ignore[arg-type]
        lambda: fpo.UtilityFilter(pick(), pick(), pick(), noise_memory=pick()),  # type: ignore[arg-type]
        lambda: utility.observe(pick(), pick()),  # type: ignore[arg-type]
        lambda: utility.estimate(pick()),  # type: ignore[arg-type]
        lambda: utility.move(pick()),  # type: ignore[arg-type]
        lambda: fpo.sweep(world, pick()),  # type: ignore[arg-type]
        lambda: losses.DPO(beta=pick())(pick(), pick(), pick(), pick()),  # type: ignore[arg-type]
        lambda: losses.SimPO()(pick(), pick(), chosen_lengths=pick()),  # type: ignore[arg-type]
        lambda: losses.BradleyTerry()(pick(), pick(), pick(), pick()),  # type: ignore[arg-type]
        lambda: losses.KTO()(pick(), pick(), pick(), baseline=pick()),  # type: ignore[arg-type]
        lambda: losses.process_reward(pick(), pick(), pick()),  # type: ignore[arg-type]
        lambda: losses.general_preference(pick(), pick(), pick()),  # type: ignore[arg-type]
        lambda: losses.group_advantage(pick(), pick(), epsilon=pick()),  # type: ignore[arg-type]
        lambda: losses.gae(pick(), pick(), pick(), lam=pick()),  # type: ignore[arg-type]
        lambda: losses.GRPO(clip_low=pick())(pick(), pick(), pick()),
        lambda: losses.PPO()(pick(), pick(), pick(), used=pick()),  # type: ignore[arg-type]
        lambda: losses.PreferenceLoss.named(pick()),  # type: ignore[arg-type]
        lambda: losses.nash(pick()),  # type: ignore[arg-type]
        lambda: losses.win_rate(pick(), pick()),  # type: ignore[arg-type]
        lambda: losses.best_of_n(pick(), pick(), pick()),  # type: ignore[arg-type]
        lambda: losses.overoptimization(pick(), pick(), pick()),  # type: ignore[arg-type]
        lambda: losses.AdaptiveKL(pick()).update(pick(), pick()),  # type: ignore[arg-type]
        lambda: fpo.EnumerableWorld(pick(), 2).policy(pick()),  # type: ignore[arg-type]
    ]
    for target in targets:
        for _ in range(25):
            try:
                target()
            except fpo.FpoError as error:
                assert len(str(error)) > 5
