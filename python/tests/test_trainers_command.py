"""fpo train sft, reward, preference and policy-gradient."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest
from fpo import cli
from fpo.trainers import PolicyGradientConfig, PreferenceConfig, RewardConfig, SFTConfig
from test_trainers_offline import answers, pairs
from tiny_models import save

CONFIGS = {
    "sft": SFTConfig,
    "reward": RewardConfig,
    "preference": PreferenceConfig,
    "policy-gradient": PolicyGradientConfig,
}


@pytest.mark.parametrize("kind", CONFIGS)
def test_settings_are_documented_and_shown(kind: str, capsys: pytest.CaptureFixture[str]) -> None:
    for field in dataclasses.fields(CONFIGS[kind]):
        assert field.metadata["doc"], field.name
    assert cli.main(["train", kind, "--settings"]) == 0
    assert "learning_rate = " in capsys.readouterr().out
    assert cli.main(["train", kind, "--seed", "7", "--dry-run"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["seed"] == 7 and CONFIGS[kind].from_dict(shown).to_dict() == shown


@pytest.mark.parametrize("kind", ["sft", "preference", "policy-gradient"])
def test_a_run(kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "model").mkdir()
    data = tmp_path / "rows.jsonl"
    rows = pairs(8) if kind == "preference" else answers(8)
    data.write_text("".join(json.dumps({**row, "answer": "3"}) + "\n" for row in rows))
    arguments = ["train", kind, "--model", str(save(tmp_path / "model")), "--max-steps", "2"]
    arguments += ["--train-dataset", str(data), "--max-length", "32", "--quiet"]
    arguments += ["--output-dir", str(tmp_path / "run")]
    if kind == "policy-gradient":
        arguments += ["--max-completion-length", "4", "--verifier", "exact"]
    assert cli.main(arguments) == 0
    assert "2 rounds" in capsys.readouterr().out
    log = (tmp_path / "run" / "log.jsonl").read_text().splitlines()
    assert [json.loads(line)["step"] for line in log] == [1, 2]
    assert (tmp_path / "run" / "adapter" / "adapter_config.json").exists()


def test_bad_data_and_settings(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["train", "sft", "--lora-targets", "q,x"]) == 2
    assert "lora_targets" in capsys.readouterr().err
    (tmp_path / "model").mkdir()
    arguments = ["train", "sft", "--model", str(save(tmp_path / "model")), "--max-length", "32"]
    data = tmp_path / "rows.jsonl"
    data.write_text('{"text": "w5"}\n{"text": 5}\n')
    assert cli.main([*arguments, "--train-dataset", str(data), "--quiet"]) != 0
    assert "rows.jsonl:2: text" in capsys.readouterr().err
