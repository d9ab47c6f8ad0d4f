"""The bookkeeping of the benchmarks: what is chosen, who takes turns, what is kept."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
if not (ROOT / "benchmarks").is_dir():
    pytest.skip("benchmarks/ is not part of this distribution", allow_module_level=True)
sys.path.insert(0, str(ROOT))

from benchmarks import __main__ as bench  # noqa: E402
from benchmarks.contest import Contestant, contest  # noqa: E402
from benchmarks.row import row  # noqa: E402
from benchmarks.texts import pairs  # noqa: E402


class Paced(Contestant):
    """A contestant whose calls take as long as it says."""

    def start(self) -> None:
        self.calls = 0

    def call(self, *, count: bool = True) -> None:
        self.calls += 1
        if count:
            seconds = self.arguments["seconds"] * self.scale
            self.walls.append(seconds)
            self.processor.append(seconds)

    def stop(self) -> None:
        pass


def test_groups_and_rows_can_be_chosen() -> None:
    everything = bench.chosen([])
    names = [name for one in everything for name in one.names]
    assert len(names) == len(set(names)) and not set(names) & set(bench.GROUPS)
    assert {"lora-step", "lora-step-bf16"} == {*bench.chosen(["lora-step"])[0].names}
    assert bench.chosen(["training"]) == bench.GROUPS["training"]
    assert bench.chosen(["kernels", "prefill", "exact-penalty"]) == [
        *bench.GROUPS["kernels"],
        next(one for one in everything if "prefill" in one.names),
    ]
    with pytest.raises(SystemExit, match="'decode'"):
        bench.chosen(["decode"])


def test_whoever_is_slow_takes_fewer_turns() -> None:
    quick, slow = (Paced(name, {"seconds": s}, [0], 0.5) for name, s in (("a", 1), ("b", 30)))
    contest([quick, slow], 4, allowance=10)
    assert quick.calls == 5 and len(quick.walls) == 4
    assert slow.calls == 2 and slow.best == 15
    found = row("name", quick, slow, "peer", "note")
    assert found["ratio"] == 30 and "median 0.5 s of 4" in found["note"]


def test_rows_are_kept_as_they_come(tmp_path: Path, monkeypatch: Any, capsys: Any) -> None:
    def measure(repeats: int) -> list[dict[str, Any]]:
        ours, peer = (Paced(name, {"seconds": s}, [0]) for name, s in (("a", 1), ("b", 3)))
        contest([ours, peer], repeats)
        return [row("first", ours, peer, "peer", "a note")]

    def fail(repeats: int) -> list[dict[str, Any]]:
        raise KeyboardInterrupt

    groups = {"one": [bench.Measurement(("first",), measure), bench.Measurement(("second",), fail)]}
    monkeypatch.setattr(bench, "GROUPS", groups)
    output = tmp_path / "build" / "bench.json"
    monkeypatch.setattr(sys, "argv", ["benchmarks", "--output", str(output), "--repeats", "2"])
    with pytest.raises(KeyboardInterrupt):
        bench.main()
    assert [one["ratio"] for one in json.loads(output.read_text())] == [3.0]
    assert "first" in capsys.readouterr().out
    assert list(output.parent.iterdir()) == [output]


def test_pairs_are_the_same_every_time_and_uneven() -> None:
    rows = pairs(16)
    assert rows == pairs(16) and rows[:4] == pairs(4)
    assert len({len(row["chosen"]) for row in rows}) > 8
    assert all(row["chosen"] != row["rejected"] for row in rows)
