"""What this machine can do at most, measured, and the small C programs that measure it."""

import os
import shutil
import subprocess
import time
from functools import cache
from pathlib import Path

import numpy as np

NATIVE = Path(__file__).parent / "native"
BUILD = Path(__file__).parents[1] / "build" / "benchmarks"


def compile_c(source: str, output: str, *flags: str) -> Path | None:
    """The compiled file of ``native/source``, or None without a C compiler."""
    compiler = shutil.which("gcc") or shutil.which("clang")
    if compiler is None:
        return None
    BUILD.mkdir(parents=True, exist_ok=True)
    path = BUILD / output
    subprocess.run([compiler, "-O3", *flags, "-o", path, NATIVE / source], check=True)
    return path


@cache
def peak_gflops() -> tuple[float, str]:
    """Float GFLOP/s of one core, and how it was measured."""
    program = compile_c("fma_peak.c", "fma_peak", "-march=native", "-ffp-contract=fast")
    if program is not None:
        result = subprocess.run([program], check=True, capture_output=True, text=True)
        return float(result.stdout), "fused multiply-adds in registers"
    return sgemm_gflops(), "sgemm of NumPy, for want of a C compiler"


def sgemm_gflops(size: int = 768, trials: int = 12) -> float:
    """The best rate of NumPy's single-precision matrix product, in whatever threads it uses."""
    a = np.random.default_rng(0).standard_normal((size, size)).astype(np.float32)
    best = 0.0
    for _ in range(trials):
        start = time.perf_counter()
        a @ a
        best = max(best, 2e-9 * size**3 / (time.perf_counter() - start))
    return best


def cores() -> list[int]:
    """The processors this process may run on."""
    return sorted(os.sched_getaffinity(0))


def name() -> str:
    """The processor's name and the number of cores in use."""
    with open("/proc/cpuinfo") as file:
        models = [line.split(":", 1)[1].strip() for line in file if line.startswith("model name")]
    return f"{models[0] if models else 'unknown processor'}, {len(cores())} cores"
