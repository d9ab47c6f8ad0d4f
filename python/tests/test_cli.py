"""The command line: output, files and exit codes."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import fpo
import numpy as np
import pytest
from fpo import cli, demo


def test_simulate(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "runs.npz"
    arguments = ["simulate", "linear", "--penalty", "relaxed", "--set", "rounds=12", "--quiet"]
    arguments += ["--penalty-set", "weight=0.2", "--seeds", "5:8", "--output", str(path)]
    assert cli.main(arguments) == 0
    assert "final_utility = " in capsys.readouterr().out
    runs = fpo.Runs.load(path)
    expected = fpo.simulate(fpo.LinearEnvironment(rounds=12), fpo.Relaxed(weight=0.2), range(5, 8))
    np.testing.assert_array_equal(runs.utility, expected.utility)
    assert runs.seeds.tolist() == [5, 6, 7]


def test_simulate_reads_lists_and_names(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["simulate", "displaced", "--set", "hidden=[4, 3]", "--set", "rounds=3", "--quiet"]
    assert cli.main([*arguments, "--set", "precision=float64"]) == 0
    assert "hidden=(4, 3)" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "code", "text"),
    [
        (["simulate", "--penalty", "relax"], 2, "did you mean 'relaxed'"),
        (["simulate", "liner"], 2, "did you mean 'linear'"),
        (["simulate", "--set", "rounds"], 2, "NAME=VALUE"),
        (["simulate", "--set", "rounds=x"], 2, "rounds"),
        (["simulate", "--seeds", "many"], 2, "--seeds"),
        (["simulate", "--seeds", "0"], 2, "seeds"),
        (["simulate", "--threads", "-3"], 2, "threads"),
        (["sweep", "--config", "absent.toml"], 1, "absent.toml"),
    ],
)
def test_failures(
    arguments: list[str], code: int, text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(arguments) == code
    error = capsys.readouterr().err
    assert text in error and error.startswith("fpo: ")


def test_usage_is_an_error_and_help_is_not(capsys: pytest.CaptureFixture[str]) -> None:
    for arguments, code in ((["simulate", "--nonsense"], 2), ([], 2), (["--help"], 0)):
        with pytest.raises(SystemExit) as ended:
            cli.main(arguments)
        assert ended.value.code == code


def test_env(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["env", "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["library"] == str(fpo.library_path)
    assert {"version", "abi", "cpu_level", "threads", "blas_core", "python"} <= facts.keys()
    assert cli.main(["env"]) == 0
    assert "version = " + fpo.__version__ in capsys.readouterr().out


def test_module_and_version() -> None:
    result = subprocess.run(
        [sys.executable, "-m", "fpo", "--version"], capture_output=True, text=True, check=True
    )
    assert result.stdout.strip() == f"fpo {fpo.__version__}"


@pytest.mark.parametrize("workers", ["0", "2"])
def test_sweep(workers: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = tmp_path / "grid.json"
    config.write_text(
        json.dumps(
            {
                "environment": {"environment": "linear", "rounds": 10},
                "penalties": ["myopic", "practical"],
                "grid": {"action_cost": [0.1, 0.3]},
            }
        )
    )
    output = tmp_path / "rows.jsonl"
    arguments = ["sweep", "--config", str(config), "--quiet", "--workers", workers]
    assert cli.main([*arguments, "--output", str(output)]) == 0
    assert "4 rows, 0 failed" in capsys.readouterr().out
    rows = [json.loads(line) for line in output.read_text().splitlines()]
    assert {(row["penalty"], row["action_cost"]) for row in rows} == {
        (kind, cost) for kind in ("myopic", "practical") for cost in (0.1, 0.3)
    }
    assert cli.main(["sweep", "--config", str(config), "--quiet"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 4


def test_demo(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The whole command, on worlds that are cut short."""
    short = [
        demo.World(w.name, w.environment.replace(rounds=20), w.leashes, 4)
        for w in demo.worlds(quick=True)
    ]
    monkeypatch.setattr(demo, "worlds", lambda quick, seeds: short)
    assert cli.main(["demo", "--quick", "--quiet", "--no-language", "--output", str(tmp_path)]) == 0
    out = capsys.readouterr().out
    for word in (*demo.PENALTIES, "leash 0.3", "leash 0.2", "leash 0.03", "displaced"):
        assert word in out
    results = json.loads((tmp_path / "results.json").read_text())
    assert set(results) == {"linear", "neural", "displaced"}
    assert set(demo.PENALTIES) < set(results["neural"])
    pytest.importorskip("matplotlib")
    pictures = sorted(path.name for path in tmp_path.glob("*.png"))
    assert pictures == [
        "collapse-instruments.png",
        "linear-phase.png",
        "neural-bands.png",
        "neural-distribution.png",
    ]
    assert all((tmp_path / name).stat().st_size > 5000 for name in pictures)


def test_the_worlds_of_the_demo() -> None:
    linear, neural, displaced = demo.worlds()
    assert (linear.seeds, neural.seeds, displaced.seeds) == (1000, 128, 128)
    assert {w.seeds for w in demo.worlds(seeds=7)} == {7}
    assert displaced.environment == fpo.NeuralEnvironment.displaced()
    assert linear.environment == fpo.LinearEnvironment()
    assert {w.seeds for w in demo.worlds(quick=True)} == {16}
