"""``python -m fpo.studies NAME``: runs a study and writes what it found."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from .. import set_num_threads
from ..evaluation.statistics import Interval
from .running import NAMES, run


def intervals(found: dict[str, Any], prefix: str = "") -> list[str]:
    """A line for each interval in what a study has found."""
    lines = []
    for name, value in found.items():
        if not isinstance(value, dict):
            continue
        if "estimate" in value:
            lines.append(f"{prefix}{name}: {Interval(**value)}")
        else:
            lines += intervals(value, f"{prefix}{name}, ")
    return lines


def main(arguments: list[str] | None = None) -> None:
    """Runs one study."""
    parser = argparse.ArgumentParser(prog="python -m fpo.studies", description=__doc__)
    parser.add_argument("name", choices=NAMES)
    parser.add_argument("--output", type=Path, required=True, help="folder; NAME.json is written")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=0, help="default: all there are")
    parser.add_argument("--quick", action="store_true", help="small sizes that show nothing")
    parsed = parser.parse_args(arguments)
    if parsed.threads:
        set_num_threads(parsed.threads)
    found = run(parsed.name, parsed.output, seed=parsed.seed, quick=parsed.quick)
    print("\n".join(intervals(found)))
    print(parsed.output)


if __name__ == "__main__":
    main()
