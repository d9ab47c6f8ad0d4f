"""Sweeps: the same rows on every executor, resumed from a file, cancelled by Ctrl-C."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import fpo
import pytest
from fpo import sweep_file
from fpo.errors import ArgumentError, DTypeError, FormatError
from fpo.sweep import cells

WORLD = fpo.LinearEnvironment(rounds=20)
GRID = {"penalty_weight": [0.05, 0.1], "penalty.damping": [0.1, 1.0]}
KINDS = ["myopic", "relaxed", fpo.Exact(weight=0.3)]


def plain(rows: list[dict[str, object]]) -> list[dict[str, object]]:
    return json.loads(json.dumps(rows))  # type: ignore[no-any-return]


@pytest.fixture(scope="module")
def expected() -> list[dict[str, object]]:
    return fpo.sweep(WORLD, KINDS, range(3), GRID)


def test_cells_are_the_grid_without_duplicates() -> None:
    # myopic and relaxed have no damping: 2 weights each; exact: 2 x 2.
    made = cells(WORLD, KINDS, range(3), GRID)
    assert [cell["penalty"]["penalty"] for cell in made] == ["myopic"] * 2 + ["relaxed"] * 2 + [
        "exact"
    ] * 4
    assert len({cell["id"] for cell in made}) == 8
    assert made == json.loads(json.dumps(made))
    assert cells(WORLD, KINDS, [0, 1, 2], GRID) == made
    assert cells(WORLD, "myopic", [0])[0]["id"] != cells(WORLD, "myopic", [1])[0]["id"]


def test_a_row_is_what_simulate_says(expected: list[dict[str, object]]) -> None:
    row = expected[3]
    runs = fpo.simulate(WORLD.replace(penalty_weight=0.1), "relaxed", range(3))
    assert row["final_utility"] == runs.summary()["final_utility"]
    assert (row["penalty"], row["penalty_weight"], row["rounds"]) == ("relaxed", 0.1, 20)
    assert expected[-1]["penalty_weight"] == 0.3 and expected[-1]["penalty.damping"] == 1.0
    assert fpo.sweep(WORLD)[0]["final_utility_standard_error"] is None  # one seed has none


def test_threads_and_processes(expected: list[dict[str, object]]) -> None:
    with ThreadPoolExecutor(2) as pool:
        assert fpo.sweep(WORLD, KINDS, range(3), GRID, executor=pool) == expected
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as processes:
        assert fpo.sweep(WORLD, KINDS, range(3), GRID, executor=processes) == expected


def test_dask(expected: list[dict[str, object]]) -> None:
    distributed = pytest.importorskip("distributed")
    with (
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, dashboard_address=None
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        assert fpo.sweep(WORLD, KINDS, range(3), GRID, executor=client.get_executor()) == expected


def test_a_sweep_resumes(expected: list[dict[str, object]], tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    lines = [json.dumps(row) + "\n" for row in expected]
    path.write_text("".join(lines[:5]) + lines[5][:40])  # a crash cut the last line short

    class Counting(ThreadPoolExecutor):
        count = 0

        def submit(self, *args: object, **options: object) -> Future[object]:  # type: ignore[override]
            self.count += 1
            return super().submit(*args, **options)  # type: ignore[arg-type]

    with Counting(1) as pool:
        rows = fpo.sweep(WORLD, KINDS, range(3), GRID, executor=pool, path=path)
        assert pool.count == 3
        assert plain(rows) == plain(expected)
        again = fpo.sweep(WORLD, KINDS, range(3), GRID, executor=pool, path=path)
        assert pool.count == 3 and plain(again) == plain(expected)
    assert len(path.read_text().splitlines()) == 8
    path.write_text("{}\n")
    with pytest.raises(FormatError, match="line 1"):
        fpo.sweep(WORLD, path=path)


def test_a_cell_that_fails_costs_its_own_row_only(tmp_path: Path) -> None:
    class Losing(Executor):
        def submit(self, function, /, *args, **options):  # type: ignore[no-untyped-def]
            future: Future[object] = Future()
            if args[0]["penalty"]["penalty"] == "relaxed":
                future.set_exception(RuntimeError("worker lost"))
            else:
                future.set_result(function(*args, **options))
            return future

    path = tmp_path / "rows.jsonl"
    rows = fpo.sweep(WORLD, ["myopic", "relaxed"], executor=Losing(), path=path)
    assert "final_utility" in rows[0] and "error" not in rows[0]
    assert rows[1]["error"] == "RuntimeError: worker lost" and rows[1]["penalty"] == "relaxed"
    assert "final_utility" in fpo.sweep(WORLD, ["myopic", "relaxed"], path=path)[1]


def test_arguments_are_named() -> None:
    with pytest.raises(ArgumentError, match="did you mean 'penalty.kappa'"):
        fpo.sweep(WORLD, "residual", grid={"penalty.kapa": [1]})
    with pytest.raises(ArgumentError, match="did you mean 'rounds'"):
        fpo.sweep(WORLD, grid={"round": [1]})
    with pytest.raises(DTypeError, match="environments"):
        fpo.sweep(["linear"])  # type: ignore[list-item]


def test_ctrl_c_keeps_the_finished_rows(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    program = (
        "import fpo\n"
        "fpo.sweep(fpo.NeuralEnvironment(), 'relaxed', range(64), "
        f"{{'action_cost': [k / 1000 for k in range(500)]}}, path={str(path)!r})\n"
    )
    with subprocess.Popen([sys.executable, "-c", program], stderr=subprocess.PIPE) as process:
        deadline = time.time() + 60
        while time.time() < deadline and not (path.exists() and path.read_text().count("\n")):
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=30)
    assert process.returncode != 0
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    assert 1 <= len(rows) < 500
    assert all("final_utility" in row for row in rows)


# -------------------------------------------------------------------------------------- files

TOML = """
seeds = 3
penalties = ["myopic", { penalty = "residual", kappa = 0.1 }]
environment = [{ environment = "linear", rounds = 20 }, { environment = "displaced", rounds = 9 }]
[grid]
penalty_weight = [0.001, 0.01]
"""


def test_files_of_three_kinds_say_the_same(tmp_path: Path) -> None:
    import tomllib

    content = tomllib.loads(TOML)
    (tmp_path / "a.toml").write_text(TOML)
    (tmp_path / "a.json").write_text(json.dumps(content))
    read = sweep_file.read(tmp_path / "a.toml")
    assert read == sweep_file.read(tmp_path / "a.json")
    assert read["environments"][1] == fpo.NeuralEnvironment.displaced(rounds=9)
    assert read["penalties"] == [fpo.Myopic(), fpo.Residual(kappa=0.1)]
    assert list(read["seeds"]) == [0, 1, 2]
    assert len(cells(**read)) == 8
    yaml = pytest.importorskip("yaml")
    (tmp_path / "a.yaml").write_text(yaml.safe_dump(content))
    assert sweep_file.read(tmp_path / "a.yaml") == read


@pytest.mark.parametrize(
    ("name", "text", "match"),
    [
        ("a.toml", "penaltys = []", "did you mean 'penalties'"),
        ("a.toml", "environment = {environment = 'linear', dimensoin = 3}", "'dimension'"),
        ("a.toml", "environment = 3", "environment"),
        ("a.toml", "[grid]\nrounds = 3", "grid"),
        ("a.json", "[1]", "table"),
        ("a.json", "{", "a.json"),
        ("a.txt", "", "toml"),
    ],
)
def test_wrong_files_are_explained(tmp_path: Path, name: str, text: str, match: str) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises((ArgumentError, FormatError), match=match):
        sweep_file.read(tmp_path / name)
