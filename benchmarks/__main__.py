"""`make bench`: every row in one run, a table on the screen, JSON in a file."""

import argparse
import json
import os
from pathlib import Path

from . import machine
from .contest import Contestant, contest
from .language_rows import language_rows
from .peers.setting import Setting
from .row import Row, row

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


def neural_rows(repeats: int) -> list[Row]:
    """The neural environment, relaxed penalty, 4000 rounds, per run."""
    rounds, cores = Setting().rounds, machine.cores()
    ours_arguments = {"games": GAMES, "rounds": rounds}
    jax_arguments = {"games": GAMES, "rounds": PEER_ROUNDS}
    jax_scale = rounds / PEER_ROUNDS / GAMES
    horizon = f"peer: {PEER_ROUNDS} of {rounds} rounds, scaled"

    ours = Contestant("fpo_neural", ours_arguments, cores[:1], 1 / GAMES)
    torch = Contestant("torch_neural", {"rounds": PEER_ROUNDS}, cores[:1], rounds / PEER_ROUNDS)
    jax = Contestant("jax_neural", jax_arguments, cores[:1], jax_scale)
    contest([ours, torch, jax], repeats)

    allocations = count_allocations()
    memory = ", ".join(
        f"{name} {c.peak_mb:.0f} MB"
        for name, c in (("ours", ours), ("PyTorch", torch), ("JAX", jax))
    )
    setup = f"one core, per run: ours and JAX in a batch of {GAMES}, PyTorch alone; {horizon}"
    rows = [
        row(
            "neural-environment",
            ours,
            torch,
            "PyTorch",
            f"{setup}; peak memory {memory}; {allocations}",
        ),
        row(
            "neural-environment-jax",
            ours,
            jax,
            "JAX",
            f"{setup}; compiled beforehand in {jax.prepared:.1f} s, not counted",
        ),
    ]
    if len(cores) > 1:
        ours = Contestant("fpo_neural", ours_arguments, cores, 1 / GAMES)
        devices = f"--xla_force_host_platform_device_count={len(cores)}"
        jax = Contestant(
            "jax_neural", jax_arguments, cores, jax_scale, environment={"XLA_FLAGS": devices}
        )
        contest([ours, jax], repeats)
        note = (
            f"{len(cores)} cores, wall clock, per run in a batch of {GAMES}, one JAX device a core"
        )
        rows.append(row("neural-environment-all-cores", ours, jax, "JAX", f"{note}; {horizon}"))

    peak, method = machine.peak_gflops()
    for entry, threads in zip(rows, (1, 1, len(cores)), strict=False):
        rate = reward_model_flops(Setting()) / entry["ours"] * 1e-9
        entry["limit"] = rate / (peak * threads)
        entry["note"] += f"; limit {peak:.0f} GFLOP/s a core ({method}), matrix products counted"
    return rows


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


def kernel_rows(repeats: int) -> list[Row]:
    """Elementary functions on 65536 floats, and the exact penalty, one core."""
    core, count, repeat = machine.cores()[:1], 1 << 16, 50
    rows = []
    for function in ("exp", "softplus"):
        arguments = {"function": function, "count": count, "repeat": repeat}
        ours, numpy, torch = (
            Contestant(f"{library}_elementwise", arguments, core, 1 / repeat)
            for library in ("fpo", "numpy", "torch")
        )
        contest([ours, numpy, torch], repeats)
        for peer, peer_name in ((numpy, "NumPy"), (torch, "PyTorch")):
            name = f"{function}-f32-{peer_name.lower()}"
            rows.append(row(name, ours, peer, peer_name, f"one core, {count} floats"))

    samples, parameters = 256, 1441
    arguments = {"count": samples, "parameters": parameters}
    ours, numpy = (Contestant(f"{library}_exact", arguments, core) for library in ("fpo", "numpy"))
    contest([ours, numpy], 2 * repeats)
    note = f"one core, {samples} samples of {parameters} parameters, Gram form, double"
    rows.append(row("exact-penalty", ours, numpy, "NumPy", note))
    return rows


def table(rows: list[Row]) -> str:
    """The rows as text."""

    def seconds(value: float) -> str:
        return f"{value:.3g} s" if value >= 1 else f"{value * 1e3:.3g} ms"

    lines = [f"{'':30}{'ours':>12}{'peer':>12}  {'':10}{'ratio':>9}{'limit':>8}"]
    for entry in rows:
        limit = "" if entry["limit"] is None else f"{entry['limit']:.0%}"
        lines.append(
            f"{entry['name']:30}{seconds(entry['ours']):>12}{seconds(entry['peer']):>12}"
            f"  {entry['peer_name']:10}{entry['ratio']:>8.3g}x{limit:>8}"
        )
    return "\n".join(lines + [""] + [f"{entry['name']}: {entry['note']}" for entry in rows])


def main() -> None:
    """Measures, prints and writes."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--output", type=Path, default=Path("build/bench.json"))
    parser.add_argument("--repeats", type=int, default=5, help="turns of each contestant (5)")
    parser.add_argument(
        "--only", choices=("neural", "kernels", "language"), help="measure one group"
    )
    arguments = parser.parse_args()

    print(
        f"{machine.name()}; load {os.getloadavg()[0]:.1f}; minimum of {arguments.repeats} turns\n"
    )
    measures = {"neural": neural_rows, "kernels": kernel_rows, "language": language_rows}
    rows: list[Row] = []
    for name, measure in measures.items():
        if arguments.only in (None, name):
            rows += measure(arguments.repeats)
    print(table(rows))
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    arguments.output.write_text(json.dumps(rows, indent=2, allow_nan=False) + "\n")


if __name__ == "__main__":
    main()
