"""Adding a preference loss touches what CONTRIBUTING.md lists: whatever is forgotten is found.

A copy of the files that matter loses one entry of one loss at a time; the checks that `make lint`
and `make test` run must then name what is missing.
"""

from __future__ import annotations

import re
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
if not (ROOT / "scripts" / "check_house.py").exists():
    pytest.skip("scripts/ is not part of this distribution", allow_module_level=True)
sys.path.insert(0, str(ROOT / "scripts"))

import check_house  # noqa: E402

#: What names DPO-Shift: the files of the list.
LISTED = {
    "Sources/FPOObjectives/DPOShift.swift",
    "Tests/FPOObjectivesTests/DPOShiftTests.swift",
    "Tests/FPOObjectivesTests/LossTests.swift",
    "include/fpo.h",
    "Sources/FPOABI/Losses.swift",
    "python/fpo/objectives/preference.py",
    "python/tests/test_objectives.py",
    "docs/methods.md",
    "CHANGELOG.md",
}
#: What may speak of any loss without being part of it.
PROSE = re.compile(
    r"docs/lab-log\.md|notebooks/.*|python/tests/test_(trl_parity|forgotten_loss)\.py"
)

Edit = Callable[[str], str]


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for folder in ("Sources/FPOObjectives", "Tests/FPOObjectivesTests", "python/fpo/objectives"):
        shutil.copytree(ROOT / folder, tmp_path / folder)
    for name in LISTED:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    monkeypatch.setattr(check_house, "ROOT", tmp_path)
    monkeypatch.setattr(check_house, "HEADER", tmp_path / "include" / "fpo.h")
    return tmp_path


def breaches(tree: Path) -> list[str]:
    sources = [path for path in (tree / "Sources").rglob("*.swift") if "FPOABI" not in path.parts]
    return [*check_house.check_losses(), *check_house.check_tests(sources)]


def without(pattern: str) -> Edit:
    def edit(text: str) -> str:
        changed = re.sub(pattern, "", text, count=1, flags=re.M | re.S)
        assert changed != text, f"{pattern} is not there"
        return changed

    return edit


#: A file, what is forgotten in it (None: the file), and what the check then says.
FORGOTTEN: dict[str, tuple[str, Edit | None, str]] = {
    "the struct": ("Sources/FPOObjectives/DPOShift.swift", None, "no struct DPOShift"),
    "the tests": ("Tests/FPOObjectivesTests/DPOShiftTests.swift", None, "DPOShiftTests.swift"),
    "the list of all losses": (
        "Tests/FPOObjectivesTests/LossTests.swift",
        without(r"DPOShift\(\), "),
        "DPOShift is not in the lists",
    ),
    "the number": (
        "include/fpo.h",
        without(r"^    FPO_LOSS_DPO_SHIFT = \d+,\n"),
        r"include/fpo\.h: no FPO_LOSS_DPO_SHIFT",
    ),
    "the line of the boundary": (
        "Sources/FPOABI/Losses.swift",
        without(r"^    case FPO_LOSS_DPO_SHIFT: DPOShift.self\n"),
        "FPO_LOSS_DPO_SHIFT has no type",
    ),
    "the Python class": (
        "python/fpo/objectives/preference.py",
        without(r"^class DPOShift.*?(?=^class )"),
        "no class of kind dpo_shift",
    ),
    "the number of the Python class": (
        "python/fpo/objectives/preference.py",
        lambda text: text.replace(
            "DPOShift(PreferenceLoss, number=13)", "DPOShift(Loss, number=3)"
        ),
        "no class of kind dpo_shift with the number 13",
    ),
    "the export": (
        "python/fpo/objectives/preference.py",
        without(r'^    "DPOShift",\n'),
        "DPOShift is not in __all__",
    ),
    "the formula in torch": (
        "python/tests/test_objectives.py",
        without(r'^    "dpo_shift": \(.*?\n(?=    ")'),
        "no formula of dpo_shift",
    ),
    "the row of the methods": (
        "docs/methods.md",
        without(r"^\| dpo_shift \|[^\n]*\n"),
        "docs/methods.md: no row for FPO_LOSS_DPO_SHIFT",
    ),
    "the changelog": ("CHANGELOG.md", without(r"`DPOShift`"), "CHANGELOG.md: `DPOShift`"),
}


@pytest.mark.parametrize("what", FORGOTTEN)
def test_what_is_forgotten_is_found(what: str, tree: Path) -> None:
    name, edit, message = FORGOTTEN[what]
    path = tree / name
    if edit is None:
        path.unlink()
    else:
        path.write_text(edit(path.read_text()))
    found = breaches(tree)
    assert any(re.search(message, one) for one in found), found


def test_a_struct_alone_is_found(tree: Path) -> None:
    path = tree / "Sources/FPOObjectives/Novel.swift"
    path.write_text("public struct Novel: PreferenceLoss {\n    public init() {}\n}\n")
    found = breaches(tree)
    assert any("no FPO_LOSS_ for Novel" in one for one in found), found
    assert any("NovelTests.swift" in one for one in found), found


def test_a_whole_loss_has_no_breach(tree: Path) -> None:
    assert breaches(tree) == []


def test_every_listed_file_is_tried() -> None:
    assert {name for name, *_ in FORGOTTEN.values()} == LISTED
    section = (ROOT / "CONTRIBUTING.md").read_text().split("## Add a preference")[1]
    section = section.split("\n## ")[0].replace("<Loss>", "DPOShift")
    for name in LISTED:
        assert Path(name).name in section, name


def test_no_other_file_knows_of_a_loss() -> None:
    """Nothing that is tracked names DPO-Shift but what the list has."""
    if not (ROOT / ".git").exists():
        pytest.skip("what is tracked is known in a clone alone")
    named = re.compile(r"\bDPOShift\b|\bdpo_shift\b|\bFPO_LOSS_DPO_SHIFT\b")
    found: set[str] = set()
    for path in check_house.tracked():
        name = str(path.relative_to(ROOT))
        if path.suffix in check_house.TEXT and not PROSE.fullmatch(name):
            if named.search(path.read_text()):
                found.add(name)
    assert found == LISTED


def test_a_loss_without_a_formula_fails_its_own_test(monkeypatch: Any) -> None:
    pytest.importorskip("torch")
    import test_objectives

    test_objectives.test_every_loss_of_the_header_has_a_class_and_a_formula()
    monkeypatch.delitem(test_objectives.FORMULAS, "dpo_shift")
    with pytest.raises(AssertionError):
        test_objectives.test_every_loss_of_the_header_has_a_class_and_a_formula()
