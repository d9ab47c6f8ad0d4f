"""Results: instruments, summary, representation, files, figures."""

from __future__ import annotations

import builtins
import dataclasses
import json
import math
import xml.etree.ElementTree
from collections.abc import Iterator
from pathlib import Path

import fpo
import numpy as np
import pytest
from fpo.errors import ArgumentError, DomainError, DTypeError, FormatError, MissingDependencyError
from fpo.runs import QUANTITIES


@pytest.fixture(scope="module")
def runs() -> fpo.Runs:
    return fpo.simulate(
        fpo.LinearEnvironment(rounds=60), fpo.Relaxed(weight=0.05), range(4), record_every=7
    )


def with_utility(runs: fpo.Runs, utility: list[list[float]]) -> fpo.Runs:
    values = np.array(utility)
    seeds, records = values.shape
    zeros = {name: np.zeros((seeds, records)) for name in QUANTITIES}
    return dataclasses.replace(
        runs,
        seeds=np.arange(seeds, dtype=np.uint64),
        rounds=np.arange(records) * 10,
        action=np.zeros((seeds, records, 50)),
        **{**zeros, "utility": values},
    )


def test_shapes(runs: fpo.Runs) -> None:
    assert runs.rounds.tolist() == [0, 7, 14, 21, 28, 35, 42, 49, 56, 60]
    for name in QUANTITIES:
        assert getattr(runs, name).shape == (4, 10), name
    assert runs.action.shape == (4, 10, 50)
    assert (runs.penalty_name, runs.seeds.tolist()) == ("relaxed", [0, 1, 2, 3])
    assert not runs.interrupted


def test_drawdown_is_the_distance_to_the_running_best(runs: fpo.Runs) -> None:
    made = with_utility(runs, [[1, 3, 2, 5, 0], [5, 4, 3, 2, 6]])
    np.testing.assert_array_equal(made.utility_drawdown, [[0, 0, 1, 0, 5], [0, 1, 2, 3, 0]])
    np.testing.assert_array_equal(made.reward_gap, -made.utility)


def test_summary_by_hand(runs: fpo.Runs) -> None:
    row = with_utility(runs, [[0, 9, 9.5], [2, 8, 4], [4, 10, 6]]).summary()
    assert row["final_utility"] == pytest.approx(6.5)
    deviation = math.sqrt((3**2 + 2.5**2 + 0.5**2) / 2)
    assert row["final_utility_deviation"] == pytest.approx(deviation)
    assert row["final_utility_standard_error"] == pytest.approx(deviation / math.sqrt(3))
    assert (row["best_mean"], row["best_round"]) == (9, 10)
    assert row["share_above"] == pytest.approx(1 / 3)
    assert row["drawdown"] == pytest.approx((0 + 4 + 4) / 3)
    assert with_utility(runs, [[1, 2]]).summary(threshold=1.5)["share_above"] == 1
    assert math.isnan(with_utility(runs, [[1, 2]]).summary()["final_utility_standard_error"])


def test_representation(runs: fpo.Runs) -> None:
    assert repr(runs).startswith("Runs(relaxed, LinearEnvironment(rounds=60), 4 seeds, 60 rounds")
    page = runs._repr_html_()
    tree = xml.etree.ElementTree.fromstring(page)
    assert tree.find("svg/polyline") is not None
    assert len(page) < 20_000
    assert "Relaxed(weight=0.05)" in page
    evil = dataclasses.replace(runs, penalty_settings=_Evil())
    assert "<script" not in evil._repr_html_() and "&lt;script" in evil._repr_html_()


class _Evil(fpo.Myopic):
    def __repr__(self) -> str:
        return "<script>"


_Evil._defaults, _Evil._table = fpo.Myopic._defaults, fpo.Myopic._table


def test_no_records_at_all_is_still_a_result(runs: fpo.Runs) -> None:
    empty = fpo.Simulation(fpo.LinearEnvironment(rounds=5)).runs(interrupted=True)
    assert "interrupted" in repr(empty)
    assert empty.rounds.size == 0 and empty.summary() == {"seeds": 1, "rounds": 0}
    assert "svg" not in empty._repr_html_()
    with pytest.raises(ArgumentError, match="record"):
        fpo.plot.bands(empty)


def test_files(runs: fpo.Runs, tmp_path: Path) -> None:
    path = tmp_path / "runs.npz"
    runs.save(path)
    again = fpo.Runs.load(path)
    for field in dataclasses.fields(fpo.Runs):
        np.testing.assert_array_equal(getattr(again, field.name), getattr(runs, field.name))
    with np.load(path, allow_pickle=False) as file:  # nothing in it needs a pickle
        header = json.loads(str(file["header"]))
    assert header["fpo_runs"] == 1
    content = path.read_bytes()
    for name, broken in (("cut", content[: len(content) // 2]), ("junk", b"no"), ("none", b"")):
        (tmp_path / name).write_bytes(broken)
        with pytest.raises(FormatError, match=name):
            fpo.Runs.load(tmp_path / name)
    header["fpo_runs"] = 99
    np.savez(tmp_path / "later.npz", header=np.array(json.dumps(header)))
    with pytest.raises(FormatError, match="format 1, got 99"):
        fpo.Runs.load(tmp_path / "later.npz")
    with pytest.raises(FileNotFoundError):
        fpo.Runs.load(tmp_path / "absent.npz")


def test_dataframe(runs: fpo.Runs) -> None:
    pandas = pytest.importorskip("pandas")
    frame = runs.to_dataframe()
    assert isinstance(frame, pandas.DataFrame) and len(frame) == 40
    assert list(frame.columns) == ["penalty_name", "seed", "round", *QUANTITIES]
    one = frame[(frame.seed == 2) & (frame["round"] == 21)]
    assert one.utility.item() == runs.utility[2, 3]
    wide = runs.to_dataframe(actions=True)
    np.testing.assert_array_equal(wide["action_49"], runs.action[:, :, 49].ravel())


@pytest.mark.parametrize("package", ["pandas", "matplotlib"])
def test_a_missing_package_is_named(
    runs: fpo.Runs, package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    imported = builtins.__import__

    def refuse(name: str, *rest: object) -> object:
        if name.split(".")[0] == package:
            raise ImportError(name)
        return imported(name, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(builtins, "__import__", refuse)
    with pytest.raises(MissingDependencyError, match="pip install"):
        runs.to_dataframe() if package == "pandas" else fpo.plot.bands(runs)


# ------------------------------------------------------------------------------------ figures


@pytest.fixture
def pyplot() -> Iterator[object]:
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    before = dict(matplotlib.rcParams)
    yield plt
    assert dict(matplotlib.rcParams) == before  # no global style
    plt.close("all")


def test_bands_show_mean_and_interval(runs: fpo.Runs, pyplot: object) -> None:
    made = with_utility(runs, [[0, 2], [2, 6], [4, 4]])
    ax = fpo.plot.bands({"relaxed": made})
    line = ax.get_lines()[0]
    np.testing.assert_allclose(line.get_ydata(), [2, 4])
    np.testing.assert_allclose(line.get_xdata(), [0, 10])
    edges = ax.collections[0].get_paths()[0].vertices[:, 1]
    assert edges.max() == pytest.approx(4 + 1.96 * 2 / math.sqrt(3), rel=1e-3)
    assert line.get_color() == fpo.plot.COLOURS["relaxed"]
    with pytest.raises(DomainError, match="quantity"):
        fpo.plot.bands(runs, quantity="happiness")
    with pytest.raises(DomainError, match="level"):
        fpo.plot.bands(runs, level=0.5)
    with pytest.raises(DTypeError, match="runs"):
        fpo.plot.bands([3])  # type: ignore[list-item]


def test_every_figure_returns_its_axes(runs: fpo.Runs, pyplot: object) -> None:
    group = {"relaxed": runs, "leash 0.3": runs}
    ax = fpo.plot.phase(group)
    assert ax.get_xlabel() == "signal norm" and ax.get_legend() is not None
    np.testing.assert_allclose(ax.get_lines()[4].get_xdata(), runs.signal.mean(0))
    assert fpo.plot.phase(runs, contours=False, ax=ax) is ax
    share = fpo.plot.distribution(runs).get_lines()[0].get_ydata()
    np.testing.assert_allclose(share[-1], 1)
    assert len(fpo.plot.instruments(group)) == 4
    assert len({fpo.plot.colour(label, one) for label, one in group.items()}) == 2
    leashes = fpo.plot.bands({"leash 0.1": runs, "leash 0.2": runs}).get_lines()[:2]
    assert leashes[0].get_color() == leashes[1].get_color()
    assert leashes[0].get_linestyle() != leashes[1].get_linestyle()


def test_lambda_curve(pyplot: object) -> None:
    rows = [
        {"penalty": kind, "penalty_weight": x, "final_utility": 5 + x, "id": "0"}
        for kind in ("relaxed", "practical")
        for x in (0.1, 0.01)
    ]
    ax = fpo.plot.lambda_curve(rows)
    assert ax.get_xscale() == "log" and len(ax.containers) == 2
    np.testing.assert_allclose(ax.containers[0].lines[0].get_xdata(), [0.01, 0.1])
    with pytest.raises(ArgumentError, match="lambda"):
        fpo.plot.lambda_curve(rows, x="lambda")
    with pytest.raises(ArgumentError, match="rows"):
        fpo.plot.lambda_curve([])
