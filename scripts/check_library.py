#!/usr/bin/env python3
"""Looks into a built libfpo.so: what it exports, what it needs, where its kernels may run.

Usage: check_library.py LIBRARY OBJECTS, where OBJECTS holds the kernel modules' object files.
"""

import re
import subprocess
import sys
from pathlib import Path

from symbols import abi_major, declared

# The newest symbol versions that a manylinux_2_34 system has.
CEILING = {"GLIBC": (2, 34), "GLIBCXX": (3, 4, 29), "CXXABI": (1, 3, 13), "GCC": (11, 0)}
# Beside these, libopenblas alone (libscipy_openblas in the wheel).
SYSTEM = {"libc.so.6", "libm.so.6", "libstdc++.so.6", "libgcc_s.so.1", "ld-linux-x86-64.so.2"}


def output(*command: str | Path) -> str:
    """Standard output of a command that must succeed."""
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def check_exports(library: Path) -> list[str]:
    """Exactly the functions of the header are exported, in the version node of the ABI."""
    exported = set()
    for line in output("nm", "--dynamic", "--defined-only", "--extern-only", library).splitlines():
        name = line.split()[-1]
        if not name.startswith(f"FPO_{abi_major()}"):  # the version node itself
            exported.add(name.split("@")[0])
    missing, extra = set(declared()) - exported, exported - set(declared())
    return [f"not exported: {name}" for name in sorted(missing)] + [
        f"exported, but not in the header: {name}" for name in sorted(extra)
    ]


def check_dynamic_section(library: Path) -> list[str]:
    """The soname carries the ABI, the library stays loaded, and it brings no Swift runtime."""
    section = output("readelf", "--dynamic", "--wide", library)
    problems = []
    if f"soname: [libfpo.so.{abi_major()}]" not in section:
        problems.append(f"the soname is not libfpo.so.{abi_major()}")
    if "NODELETE" not in section:
        problems.append("not linked with -z nodelete")
    for name in re.findall(r"\(NEEDED\).*\[(.*)\]", section):
        if name not in SYSTEM and not re.match(r"lib(scipy_)?openblas", name):
            problems.append(f"needs {name}")
    for path in re.findall(r"\((?:RUNPATH|RPATH)\).*\[(.*)\]", section):
        if path != "$ORIGIN":
            problems.append(f"searches {path} for libraries")
    return problems


def check_symbol_versions(library: Path) -> list[str]:
    """Nothing newer than manylinux_2_34 offers is referred to."""
    problems = []
    references = output("objdump", "--dynamic-syms", library)
    for family, text in sorted(set(re.findall(r"\((\w+?)_(\d[\d.]*)\)", references))):
        version = tuple(int(part) for part in text.split("."))
        if version > CEILING.get(family, version):
            problems.append(f"refers to {family}_{text}")
    return problems


def check_kernel_objects(objects: Path) -> list[str]:
    """A kernel module defines no weak function but its own.

    The linker keeps one of several weak functions with one name, such as a specialisation of a
    generic of the standard library. If that one were compiled for AVX-512, a processor without it
    would meet an illegal instruction in code that has nothing to do with kernels.
    """
    modules = sorted(objects.glob("FPOKernelsF*.build")) + sorted(
        objects.glob("FPOTransformerKernelsV*.build")
    )
    if len(modules) < 6:
        return [f"expected six kernel modules in {objects}, found {len(modules)}"]
    problems = []
    for module in modules:
        for line in output("nm", "--defined-only", *sorted(module.glob("*.o"))).splitlines():
            fields = line.split()
            if len(fields) == 3 and fields[1] == "W" and module.stem not in fields[2]:
                problems.append(f"{module.stem} defines the weak function {fields[2]}")
    return problems


def main() -> None:
    """Print every problem; fail if there is one."""
    library, objects = Path(sys.argv[1]), Path(sys.argv[2])
    problems = [
        *check_exports(library),
        *check_dynamic_section(library),
        *check_symbol_versions(library),
        *check_kernel_objects(objects),
    ]
    if problems:
        sys.exit("\n".join(f"{library.name}: {problem}" for problem in problems))
    print(f"{library.name}: {len(declared())} exports; dependencies and kernels in order")


if __name__ == "__main__":
    main()
