"""Pairwise verdicts: counts, tests, and the published ones."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from fpo.errors import ArgumentError, FormatError
from fpo.evaluation import verdicts


@pytest.mark.skipif("FPO_DATA" not in os.environ, reason="FPO_DATA is not set")
def test_published_verdicts() -> None:
    found = verdicts.read_verdicts(
        Path(os.environ["FPO_DATA"]) / "fpo-authors/truthfulqa_3way.jsonl.gz"
    )
    results = {pair: verdicts.compare(rows) for pair, rows in found.items()}
    numbers = {
        pair: (one["wins"], one["losses"], round(one["p_value"], 3), one["identical"])
        for pair, one in results.items()
    }
    assert numbers == {
        ("baseline", "practical"): (135, 140, 0.809, 433),
        ("baseline", "relaxed"): (144, 188, 0.018, 351),
        ("relaxed", "practical"): (167, 138, 0.109, 370),
    }
    assert all(one["identical_ties"] == one["identical"] for one in results.values())
    assert all(one["wins"] + one["losses"] + one["ties"] == 817 for one in results.values())
    sycophancy = results["baseline", "relaxed"]["categories"]["Adversarial - Sycophancy/Safety"]
    assert (sycophancy["wins"], sycophancy["losses"]) == (4, 1)
    assert results["baseline", "relaxed"]["length"]["words"] == pytest.approx(
        [42.755, 43.443], abs=1e-3
    )
    # of three comparisons none is left at 5 % by Holm's rule
    assert "0.0181 (exact, two-sided, ties out), 0.0544 by Holm's rule" in verdicts.table(found)


def pair(verdict: str, first: int, second: int, category: str = "") -> dict[str, object]:
    return {"verdict": verdict, "category": category, "words": [first, second], "identical": False}


def test_length_explains_verdicts_of_a_judge_who_likes_length() -> None:
    rows = [pair("win", 9, 5)] * 30 + [pair("loss", 5, 9)] * 10 + [pair("tie", 7, 7)] * 5
    length = verdicts.compare(rows)["length"]
    assert length["longer_wins"]["estimate"] == 1
    assert length["longer_p_value"] == pytest.approx(2**-39)
    assert length["balanced_share"] == 0.5


def test_categories_and_invalid_rows() -> None:
    rows = [pair("win", 1, 2, "a")] * 6 + [pair("loss", 1, 2, "b")] * 5 + [pair("invalid", 1, 2)]
    result = verdicts.compare(rows)
    assert (result["wins"], result["losses"], result["invalid"]) == (6, 5, 1)
    assert result["categories"]["a"]["p_value"] == pytest.approx(2**-5)
    assert result["categories"]["a"]["p_holm"] == pytest.approx(2**-4)
    with pytest.raises(ArgumentError, match="valid verdict"):
        verdicts.compare([pair("invalid", 1, 2)])


@pytest.mark.parametrize(
    ("row", "text"),
    [
        ({"verdicts": {"a_vs_b": "c"}}, "row 1"),
        ({"verdicts": {"ab": "a"}}, "a_vs_b"),
        ({"other": 1}, "row 1"),
        ({"verdicts": {}}, "holds no verdicts"),
    ],
)
def test_other_files(tmp_path: Path, row: object, text: str) -> None:
    path = tmp_path / "v.jsonl"
    path.write_text(json.dumps(row) + "\n")
    with pytest.raises(FormatError, match=text):
        verdicts.read_verdicts(path)
