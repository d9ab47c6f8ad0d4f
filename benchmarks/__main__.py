"""`make bench`: every row in one run, printed and written as soon as it is measured."""

import argparse
import json
import os
import textwrap
from functools import partial
from pathlib import Path

from . import language_rows, machine, training_rows
from .contest import Contestant, contest
from .peers.setting import Setting
from .row import Measurement, Row, row

GAMES = 64
PEER_ROUNDS = 400  # of 4000: a round costs the same from the tenth on, when the buffer is full


def reward_model_flops(setting: Setting) -> float:
    """Floating-point operations of one relaxed run in matrix products alone.

    With m1 = d h1 and m2 = h1 h2: an inner step needs W1 y, W1^T . twice and W2 . twice, W2^T .
    twice (value, slope and the penalty's slope); a sample of the training step the forward pass,
    W2^T . and the two outer products. Elementary functions and Adam are not counted.
    """
    m1, m2 = setting.dimension * setting.hidden[0], setting.hidden[0] * setting.hidden[1]
    inner = setting.inner_steps * (3 * m1 + 4 * m2)
    train = setting.label_buffer * (2 * m1 + 3 * m2)
    return 2.0 * setting.rounds * (inner + train)


def _neural(function: str, cores: list[int], **environment: str) -> Contestant:
    """A contestant of the neural environment, per run of all rounds."""
    games = 1 if function == "torch_neural" else GAMES
    rounds = Setting().rounds if function == "fpo_neural" else PEER_ROUNDS
    arguments = {"rounds": rounds} | ({"games": games} if games > 1 else {})
    scale = Setting().rounds / rounds / games
    return Contestant(function, arguments, cores, scale, environment=environment)


def _with_limit(entry: Row, threads: int) -> Row:
    """The row with its fraction of the measured peak of so many cores."""
    peak, method = machine.peak_gflops()
    entry["limit"] = reward_model_flops(Setting()) / entry["ours"] * 1e-9 / (peak * threads)
    entry["note"] += f"; limit {peak:.0f} GFLOP/s a core ({method}), matrix products counted"
    return entry


HORIZON = f"peer: {PEER_ROUNDS} of {Setting().rounds} rounds, scaled"


def neural_rows(repeats: int) -> list[Row]:
    """The neural environment, relaxed penalty, 4000 rounds, per run, on one core."""
    core = machine.cores()[:1]
    ours, torch, jax = (_neural(f"{name}_neural", core) for name in ("fpo", "torch", "jax"))
    contest([ours, torch, jax], repeats)
    memory = ", ".join(
        f"{name} {c.peak_mb:.0f} MB"
        for name, c in (("ours", ours), ("PyTorch", torch), ("JAX", jax))
    )
    setup = f"one core, per run: ours and JAX in a batch of {GAMES}, PyTorch alone; {HORIZON}"
    note = f"{setup}; peak memory {memory}; {count_allocations()}"
    compiled = f"{setup}; compiled beforehand in {jax.prepared:.1f} s, not counted"
    return [
        _with_limit(row("neural-environment", ours, torch, "PyTorch", note), 1),
        _with_limit(row("neural-environment-jax", ours, jax, "JAX", compiled), 1),
    ]


def neural_rows_all_cores(repeats: int) -> list[Row]:
    """The same on all cores, if there are several."""
    cores = machine.cores()
    if len(cores) == 1:
        print("not measured on a single core", end="; ")
        return []
    ours = _neural("fpo_neural", cores)
    devices = f"--xla_force_host_platform_device_count={len(cores)}"
    jax = _neural("jax_neural", cores, XLA_FLAGS=devices)
    contest([ours, jax], repeats)
    note = f"{len(cores)} cores, wall clock, per run in a batch of {GAMES}, one JAX device a core"
    entry = row("neural-environment-all-cores", ours, jax, "JAX", f"{note}; {HORIZON}")
    return [_with_limit(entry, len(cores))]


def count_allocations() -> str:
    """What the steps of our own game allocate, in words."""
    shim = machine.compile_c("count_allocations.c", "count_allocations.so", "-shared", "-fPIC")
    if shim is None:
        return "allocations not counted, for want of a C compiler"
    lengths = [1, 101]
    contestant = Contestant(
        "fpo_allocations",
        {"games": GAMES, "lengths": lengths, "repeats": 5},
        machine.cores(),
        environment={"LD_PRELOAD": str(shim)},
        report=True,
    )
    contest([contestant], 1)
    few, many = contestant.result
    steps = (lengths[1] - lengths[0]) * Setting().inner_steps
    return f"ours {(many - few) / steps:g} allocations per step"


def elementwise_rows(repeats: int, *, function: str) -> list[Row]:
    """An elementary function on 65536 floats, one core."""
    core, count, repeat = machine.cores()[:1], 1 << 16, 50
    arguments = {"function": function, "count": count, "repeat": repeat}
    ours, numpy, torch = (
        Contestant(f"{library}_elementwise", arguments, core, 1 / repeat)
        for library in ("fpo", "numpy", "torch")
    )
    contest([ours, numpy, torch], repeats)
    note = f"one core, {count} floats"
    return [
        row(f"{function}-f32-numpy", ours, numpy, "NumPy", note),
        row(f"{function}-f32-pytorch", ours, torch, "PyTorch", note),
    ]


def exact_rows(repeats: int) -> list[Row]:
    """The exact penalty, one core."""
    core, samples, parameters = machine.cores()[:1], 256, 1441
    arguments = {"count": samples, "parameters": parameters}
    ours, numpy = (Contestant(f"{library}_exact", arguments, core) for library in ("fpo", "numpy"))
    contest([ours, numpy], 2 * repeats)
    note = f"one core, {samples} samples of {parameters} parameters, Gram form, double"
    return [row("exact-penalty", ours, numpy, "NumPy", note)]


GROUPS = {
    "neural": [
        Measurement(("neural-environment", "neural-environment-jax"), neural_rows),
        Measurement(("neural-environment-all-cores",), neural_rows_all_cores),
    ],
    "kernels": [
        *(
            Measurement(
                (f"{function}-f32-numpy", f"{function}-f32-pytorch"),
                partial(elementwise_rows, function=function),
            )
            for function in ("exp", "softplus")
        ),
        Measurement(("exact-penalty",), exact_rows),
    ],
    "language": language_rows.MEASUREMENTS,
    "training": training_rows.MEASUREMENTS,
}


def chosen(names: list[str]) -> list[Measurement]:
    """The measurements of some groups and rows; of none: all."""
    known = {*GROUPS, *(name for group in GROUPS.values() for one in group for name in one.names)}
    for name in names:
        if name not in known:
            raise SystemExit(f"--only: expected some of {', '.join(sorted(known))}, got {name!r}")
    return [
        one
        for group, measurements in GROUPS.items()
        for one in measurements
        if not names or {group, *one.names} & set(names)
    ]


def line(entry: Row) -> str:
    """A row as text, with its note below."""

    def seconds(value: float) -> str:
        return f"{value:.3g} s" if value >= 1 else f"{value * 1e3:.3g} ms"

    limit = "" if entry["limit"] is None else f"{entry['limit']:.0%}"
    note = textwrap.fill(entry["note"], 100, initial_indent="    ", subsequent_indent="    ")
    return (
        f"{entry['name']:30}{seconds(entry['ours']):>12}{seconds(entry['peer']):>12}"
        f"  {entry['peer_name']:10}{entry['ratio']:>8.3g}x{limit:>8}\n{note}"
    )


def write(path: Path, rows: list[Row]) -> None:
    """All rows so far; a run that is cut off leaves a whole file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_suffix(".unfinished")
    unfinished.write_text(json.dumps(rows, indent=2, allow_nan=False) + "\n")
    unfinished.replace(path)


def main() -> None:
    """Measures, prints and writes."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--output", type=Path, default=Path("build/bench.json"))
    parser.add_argument("--repeats", type=int, default=5, help="turns of each contestant (5)")
    parser.add_argument(
        "--only",
        action="extend",
        nargs="+",
        default=[],
        metavar="NAME",
        help=f"measure some groups ({', '.join(GROUPS)}) or rows, with what shares their contest",
    )
    arguments = parser.parse_args()
    measurements = chosen(arguments.only)

    print(f"{machine.name()}; load {os.getloadavg()[0]:.1f}; at most {arguments.repeats} turns\n")
    print(f"{'':30}{'ours':>12}{'peer':>12}  {'':10}{'ratio':>9}{'limit':>8}", flush=True)
    rows: list[Row] = []
    for measurement in measurements:
        found = measurement.measure(arguments.repeats)
        rows += found
        write(arguments.output, rows)
        print(*(map(line, found) if found else measurement.names), sep="\n", flush=True)


if __name__ == "__main__":
    main()
