#!/usr/bin/env python3
"""The export list of libfpo follows from include/fpo.h: this writes it, or checks it.

symbols.txt (one name a line) and fpo.map (the linker's version script) lie in Sources/FPOABI.
"""

import argparse
import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
HEADER = ROOT / "include" / "fpo.h"
SYMBOLS = ROOT / "Sources" / "FPOABI" / "symbols.txt"
MAP = ROOT / "Sources" / "FPOABI" / "fpo.map"


def declared() -> list[str]:
    """The functions that the header declares, sorted."""
    text = re.sub(r"/\*.*?\*/", " ", HEADER.read_text(), flags=re.S)
    return sorted(re.findall(r"\bFPO_API\b[^;(]*?\b(fpo_\w+)\s*\(", text))


def abi_major() -> str:
    """The number in the soname: FPO_ABI_MAJOR of the header."""
    found = re.search(r"#define FPO_ABI_MAJOR (\d+)u", HEADER.read_text())
    if found is None:
        sys.exit("FPO_ABI_MAJOR is missing from include/fpo.h")
    return found.group(1)


def version_script(names: list[str]) -> str:
    """Exactly these names are exported; the Swift runtime inside the library stays hidden."""
    lines = [f"FPO_{abi_major()} {{", "    global:", *(f"        {name};" for name in names)]
    return "\n".join([*lines, "    local:", "        *;", "};", ""])


def main() -> None:
    """Write the two files, or fail if they are not what would be written."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="write nothing; fail on a difference")
    check = parser.parse_args().check
    names = declared()
    for path, text in ((SYMBOLS, "\n".join(names) + "\n"), (MAP, version_script(names))):
        if not check:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        elif not path.exists() or path.read_text() != text:
            sys.exit(
                f"{path.relative_to(ROOT)} is not what the header asks for: run `make symbols`"
            )
    print(f"{len(names)} exported functions")


if __name__ == "__main__":
    main()
