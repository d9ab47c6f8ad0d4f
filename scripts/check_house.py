#!/usr/bin/env python3
"""The rules of the house that no formatter knows. Prints every breach; fails if there is one."""

import io
import re
import subprocess
import sys
import tokenize
from collections.abc import Iterator
from pathlib import Path

from symbols import HEADER, ROOT, declared

LINES = 400

# Files that may be longer, each with its reason.
LONGER = {
    "LICENSE": "the licence's own text",
    "include/fpo.h": "the header is the manual",
    "python/fpo/_lib.py": "one table of all C functions",
}
# Public Swift files whose tests stand under another name, and where.
TESTED_IN = {
    "Sources/FPOKernelTypes/AttentionKernels.swift": "Tests/FPOLayersTests/AttentionTests.swift",
    "Sources/FPOKernelTypes/TransformerKernels.swift": (
        "Tests/FPOKernelsTests/TransformerLevelsTests.swift"
    ),
    "Sources/FPOLayers/AttentionWorkspace.swift": "Tests/FPOLayersTests/AttentionTests.swift",
    "Sources/FPOTransformerKernels/Table.swift": (
        "Tests/FPOKernelsTests/TransformerLevelsTests.swift"
    ),
    "Sources/FPOKernelTypes/FilterKernels.swift": "Tests/FPOKernelsTests/LevelsTests.swift",
    "Sources/FPOKernelTypes/GamePlan.swift": "Tests/FPOTrainingTests/SimulationTests.swift",
    "Sources/FPOKernelTypes/KernelTable.swift": "Tests/FPOKernelsTests/LevelsTests.swift",
    "Sources/FPOKernels/Table.swift": "Tests/FPOKernelsTests/LevelsTests.swift",
    "Sources/FPOModels/Activation.swift": "Tests/FPOModelsTests/TextPoolingTests.swift",
    "Sources/FPOModels/TextBatch.swift": "Tests/FPOModelsTests/TextEncoderTests.swift",
    "Sources/FPOModels/LlamaConfiguration.swift": "Tests/FPOModelsTests/LlamaModelTests.swift",
    "Sources/FPOModels/LoRAConfiguration.swift": "Tests/FPOModelsTests/LoRAAdapterTests.swift",
    "Sources/FPONumerics/BLAS.swift": "python/tests/test_random_and_numerics.py",
    "Sources/FPONumerics/CPU.swift": "Tests/FPOKernelsTests/LevelsTests.swift",
    "Sources/FPONumerics/Cholesky.swift": "Tests/FPONumericsTests/LinearSolveTests.swift",
    "Sources/FPONumerics/ConjugateGradient.swift": "Tests/FPONumericsTests/LinearSolveTests.swift",
    "Sources/FPONumerics/NumericsError.swift": "Tests/FPONumericsTests/LinearSolveTests.swift",
    "Sources/FPONumerics/Scalar.swift": "Tests/FPOLayersTests/SoftplusTests.swift",
}

CODE = {".swift", ".py", ".c", ".h", ".sh"}
TEXT = CODE | {".md", ".toml", ".txt", ".cff", ".ipynb", ".cmake", ".in", ".json", ".map", ""}
# A folder that exists on one machine only. Written apart, so that this line is not a breach.
MACHINE = re.compile(r"(?<![\w.~$}*])/(?:" + "|".join(["work", "tmp", "root", "home"]) + r")/")
# FPOABI is tested through the built library: examples/c, Tests/ABITests and python/tests.
TESTED_FROM_OUTSIDE = ("FPOABI",)


def tracked() -> list[Path]:
    """Every file of the repository, symbolic links and deleted files left out."""
    names = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout.split("\0")
    paths = (ROOT / name for name in names if name)
    return [path for path in paths if path.is_file() and not path.is_symlink()]


def code_only(path: Path, text: str) -> str:
    """The text without comments (and, in Python, without strings), line numbers kept."""
    if path.suffix == ".py":
        lines = text.splitlines()
        for token in tokenize.generate_tokens(io.StringIO(text).readline):
            if token.type in (tokenize.COMMENT, tokenize.STRING):
                for row in range(token.start[0] - 1, token.end[0]):
                    lines[row] = lines[row] if lines[row].isascii() else ""
        return "\n".join(lines)
    if path.suffix == ".sh":
        return re.sub(r"#.*", "", text)
    text = re.sub(r"/\*.*?\*/", lambda found: "\n" * found[0].count("\n"), text, flags=re.S)
    return re.sub(r"//.*", "", text)


def check_files(paths: list[Path]) -> Iterator[str]:
    """Length, paths of one machine, and ASCII in code."""
    for path in paths:
        name = str(path.relative_to(ROOT))
        if path.suffix not in TEXT:
            continue
        text = path.read_text()
        lines = text.splitlines()
        if path.suffix in CODE | {""} and len(lines) > LINES and name not in LONGER:
            yield f"{name}: {len(lines)} lines; above {LINES} needs a reason in LONGER"
        for number, line in enumerate(lines, 1):
            if MACHINE.search(line):
                yield f"{name}:{number}: a path of one machine"
        if path.suffix in CODE:
            for number, line in enumerate(code_only(path, text).splitlines(), 1):
                if not line.isascii():
                    yield f"{name}:{number}: not ASCII outside comments"


def check_tests(paths: list[Path]) -> Iterator[str]:
    """X.swift with a public declaration has Tests/<Module>Tests/XTests.swift."""
    for path in paths:
        name = path.relative_to(ROOT)
        if path.suffix != ".swift" or name.parts[0] != "Sources" or str(name) in TESTED_IN:
            continue
        module = name.parts[1]
        if module in TESTED_FROM_OUTSIDE or not re.search(
            r"^\s*public ", path.read_text(), flags=re.M
        ):
            continue
        test = ROOT / "Tests" / f"{module}Tests" / f"{path.stem}Tests.swift"
        if not test.exists():
            yield f"{name}: no {test.relative_to(ROOT)}"


def check_documentation() -> Iterator[str]:
    """Each exported function stands in docs/abi.md, each penalty in docs/methods.md."""
    audit = (ROOT / "docs/abi.md").read_text()
    rows = re.findall(r"^\| `(fpo_\w+)` \|", audit, flags=re.M)
    for name in declared():
        if rows.count(name) != 1:
            yield f"docs/abi.md: {rows.count(name)} rows for {name}, expected 1"
    for name in sorted(set(rows) - set(declared())):
        yield f"docs/abi.md: {name} is not in the header"
    methods = (ROOT / "docs/methods.md").read_text().lower()
    for penalty in re.findall(r"^    FPO_PENALTY_(\w+) = ", HEADER.read_text(), flags=re.M):
        if not re.search(rf"^\|.*\b{penalty.lower()}\b", methods, flags=re.M):
            yield f"docs/methods.md: no row for the penalty {penalty.lower()}"


def check_losses() -> Iterator[str]:
    """Each loss of the header stands in every file that CONTRIBUTING.md lists."""
    boundary = (ROOT / "Sources/FPOABI/Losses.swift").read_text()
    types = dict(re.findall(r"case FPO_LOSS_(\w+): (\w+)\.self", boundary))
    tests = (ROOT / "Tests/FPOObjectivesTests/LossTests.swift").read_text()
    methods = (ROOT / "docs/methods.md").read_text()
    family = r"struct (\w+): (?:PreferenceLoss|PairRewardLoss|UnpairedLoss) "
    structs = {
        name: path.name
        for path in (ROOT / "Sources/FPOObjectives").glob("*.swift")
        for name in re.findall(family, path.read_text())
    }
    header = re.findall(r"^    FPO_LOSS_(\w+) = (\d+)", HEADER.read_text(), flags=re.M)
    for loss, number in header:
        if loss not in types:
            yield f"Sources/FPOABI/Losses.swift: FPO_LOSS_{loss} has no type"
        elif types[loss] not in structs:
            yield f"Sources/FPOObjectives: no struct {types[loss]}"
        elif f" {types[loss]}()" not in tests.replace("[", " "):
            yield f"Tests/FPOObjectivesTests/LossTests.swift: {types[loss]} is not in the lists"
        if not re.search(rf"^\|.*`FPO_LOSS_{loss}`", methods, flags=re.M):
            yield f"docs/methods.md: no row for FPO_LOSS_{loss}"
        yield from check_loss_in_python(loss.lower(), number)
    for loss in sorted(set(types) - {name for name, _ in header}):
        yield f"include/fpo.h: no FPO_LOSS_{loss}"
    for name, file in structs.items():
        if name not in types.values():
            yield f"Sources/FPOABI/Losses.swift: no FPO_LOSS_ for {name} of {file}"


def check_loss_in_python(kind: str, number: str) -> Iterator[str]:
    """The class of a kind, its export, its test, its line in the changelog."""
    classes = r"^class (\w+)\(\w+, number=(\d+)\):(?:(?!^class ).)*?^    kind = \"(\w+)\""
    for path in (ROOT / "python/fpo/objectives").glob("*.py"):
        text = path.read_text()
        for name, found, own in re.findall(classes, text, flags=re.M | re.S):
            if own != kind or found != number:
                continue
            if f'    "{name}",\n' not in text:
                yield f"{path.relative_to(ROOT)}: {name} is not in __all__"
            if f"`{name}`" not in (ROOT / "CHANGELOG.md").read_text():
                yield f"CHANGELOG.md: `{name}` is not named"
            test = (ROOT / "python/tests/test_objectives.py").read_text()
            if f'    "{kind}": (' not in test and f"objectives.{name}(" not in test:
                yield f"python/tests/test_objectives.py: no formula of {kind}"
            return
    yield f"python/fpo/objectives: no class of kind {kind} with the number {number}"


def check_allowances() -> Iterator[str]:
    """An exemption whose file is gone is removed."""
    for name in (*LONGER, *TESTED_IN, *TESTED_IN.values()):
        if not (ROOT / name).exists():
            yield f"scripts/check_house.py: {name} does not exist"


def main() -> None:
    """Run all checks."""
    paths = tracked()
    breaches = [
        *check_files(paths),
        *check_tests(paths),
        *check_documentation(),
        *check_losses(),
        *check_allowances(),
    ]
    if breaches:
        sys.exit("\n".join(breaches))
    print(f"{len(paths)} files keep the rules of the house")


if __name__ == "__main__":
    main()
