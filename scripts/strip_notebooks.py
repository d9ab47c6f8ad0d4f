#!/usr/bin/env python3
"""Strips the notebooks: no counters, no metadata, and of all outputs the one figure.

The figure's cell carries the tag "figure". With ``--check`` nothing is written, and a notebook that
is not stripped, or larger than 300 kB, is an error.
"""

import json
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
KERNEL = {"display_name": "Python 3", "language": "python", "name": "python3"}
BYTES = 300_000


def stripped(notebook: dict[str, Any]) -> dict[str, Any]:
    """A copy with what a reader needs and a version control can compare."""
    cells = []
    for number, cell in enumerate(notebook["cells"]):
        tags = cell["metadata"].get("tags", [])
        kept = {**cell, "id": f"cell-{number}", "metadata": {"tags": tags} if tags else {}}
        if cell["cell_type"] == "code":
            shown = [figure(output) for output in cell["outputs"] if "figure" in tags]
            kept |= {"execution_count": None, "outputs": [output for output in shown if output]}
        cells.append(kept)
    metadata = {"kernelspec": KERNEL, "language_info": {"name": "python"}}
    return {**notebook, "cells": cells, "metadata": metadata}


def figure(output: dict[str, Any]) -> dict[str, Any] | None:
    """The output with its picture alone; None if it has none."""
    picture = output.get("data", {}).get("image/png")
    if picture is None:
        return None
    return {"data": {"image/png": picture}, "metadata": {}, "output_type": "display_data"}


def main() -> int:
    """Strips, or checks, every notebook; returns the number of breaches."""
    check, breaches = "--check" in sys.argv[1:], 0
    for path in sorted((ROOT / "notebooks").glob("*.ipynb")):
        before = path.read_text()
        after = json.dumps(stripped(json.loads(before)), indent=1, ensure_ascii=False) + "\n"
        if not check:
            path.write_text(after)
        elif after != before:
            print(f"{path.relative_to(ROOT)}: not stripped; run scripts/strip_notebooks.py")
            breaches += 1
        if len(after) > BYTES:
            print(f"{path.relative_to(ROOT)}: {len(after)} bytes, at most {BYTES}")
            breaches += 1
    return breaches


if __name__ == "__main__":
    sys.exit(min(main(), 1))
