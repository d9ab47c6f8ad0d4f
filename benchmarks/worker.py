"""One contestant in a process of its own: `python -m benchmarks.worker '{"contestant": ...}'`.

Pins itself to `cores`, prepares, and then answers each line of its input by one timed call. Answers
are lines of JSON on the standard output.
"""

import importlib
import json
import os
import sys
import time


def peak_memory() -> float:
    """The largest resident memory of this process so far, in MB."""
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("VmHWM")) / 1024


def main() -> None:
    """Serves until the input ends."""
    job = json.loads(sys.argv[1])
    os.sched_setaffinity(0, job["cores"])
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # what libraries print must not meet the answers

    start = time.perf_counter()
    module, _, name = job["contestant"].rpartition(".")
    contestants = importlib.import_module(f".{module or 'contestants'}", __package__)
    call = getattr(contestants, name)(**job["arguments"])
    answers.write(json.dumps({"prepared": time.perf_counter() - start}) + "\n")
    for _ in sys.stdin:
        wall, cpu = time.perf_counter(), time.process_time()
        result = call()
        answer = {"wall": time.perf_counter() - wall, "cpu": time.process_time() - cpu}
        answer["peak_mb"] = peak_memory()
        if job.get("report"):
            answer["result"] = result
        answers.write(json.dumps(answer) + "\n")


if __name__ == "__main__":
    main()
