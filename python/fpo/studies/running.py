"""Studies by name: run at the sizes of the lab log or, for a first look, at small ones."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

from .._configuration import unknown_name
from ..data import Dataset
from .gold import gold_reward, overoptimization
from .preferences import OBJECTIVES, preferences
from .rewards import reward_model
from .verifiable import grade_school, retrained, verifiable

__all__ = ["NAMES", "needs_data", "result", "run", "toy_pairs"]

_REWARDS = tuple(f"reward-{part}" for part in ("head", "blocks", "all"))
_POLICY = ("grpo", "rloo", "ppo")
_RETRAINED = ("retrained-myopic", "retrained-residual")

#: All studies. "overoptimization" reads the models that "reward-blocks" and "gold" have saved.
NAMES = (
    *_REWARDS,
    "gold",
    "overoptimization",
    *OBJECTIVES,
    *_POLICY,
    *_RETRAINED,
    "grade-school",
)

_QUICK: dict[str, dict[str, Any]] = {
    "reward": {"longest": 48, "held_out": 32, "steps": 2, "batch": 8},
    "gold": {"rows": 32, "held_out": 4},
    "overoptimization": {"questions": 1, "samples": 4, "tokens": 8, "held_out": 4},
    "preferences": {"longest": 48, "steps": 2, "batch": 2, "held_out": 4},
    "verifiable": {"steps": 2, "prompts": 2, "samples": 2},
    "grade_school": {"problems": 2, "steps": 1, "tokens": 12},
}


def needs_data(name: str, *, quick: bool = False) -> bool:
    """Whether a study cannot do without the folder that ``FPO_DATA`` names."""
    pairs = name in (*_REWARDS, *OBJECTIVES)
    return not quick if pairs else name not in (*_POLICY, *_RETRAINED)


def toy_pairs() -> Dataset:
    """Preferences that need no data: of two answers to a sum the right one is chosen."""
    rows = []
    for a in range(10):
        for b in range(10):
            question = {"role": "user", "content": f"What is {a} + {b}?"}
            right, wrong = (
                [{"role": "assistant", "content": f"{a} + {b} is {one}."}]
                for one in (a + b, a + b + 1 + (a * b) % 5)
            )
            rows.append({"prompt": [question], "chosen": right, "rejected": wrong})
    return Dataset(rows, "preference")


def result(name: str, folder: Path, seed: int = 0) -> dict[str, Any] | None:
    """What a study has written into a folder; None where it has not."""
    path = folder / f"{_named(name, seed)}.json"
    found: dict[str, Any] | None = json.loads(path.read_text()) if path.exists() else None
    return found


def run(name: str, folder: Path, *, seed: int = 0, quick: bool = False) -> dict[str, Any]:
    """Runs a study and writes ``NAME.json`` into a folder, and its model if it trains a reward.

    Parameters
    ----------
    name
        One of `NAMES`.
    quick
        Sizes that show that it runs, and nothing else; without ``FPO_DATA`` on `toy_pairs`.
    """
    if name not in NAMES:
        raise unknown_name("name", name, list(NAMES))
    folder.mkdir(parents=True, exist_ok=True)
    label = _named(name, seed)
    wall, processor = time.time(), time.process_time()
    found = _study(name, folder, folder / f"{label}.safetensors", seed, quick)
    found["seconds"] = {
        "wall": time.time() - wall,
        "processor": time.process_time() - processor,
    }
    (folder / f"{label}.json").write_text(json.dumps(found, indent=1) + "\n")
    return found


def _named(name: str, seed: int) -> str:
    return name if seed == 0 else f"{name}-{seed}"


def _study(name: str, folder: Path, saved: Path, seed: int, quick: bool) -> dict[str, Any]:
    def sizes(kind: str) -> dict[str, Any]:
        return _QUICK[kind] if quick else {}

    toys: dict[str, Any] = {"rows": toy_pairs()} if quick and "FPO_DATA" not in os.environ else {}
    if name in _REWARDS:
        part = name.removeprefix("reward-")
        return reward_model(part, seed=seed, save=saved, **sizes("reward"), **toys)
    if name == "gold":
        return gold_reward(seed=seed, save=saved, **sizes("gold"))
    if name == "overoptimization":
        models = (folder / f"{one}.safetensors" for one in ("reward-blocks", "gold"))
        return overoptimization(*models, seed=seed, **sizes("overoptimization"))
    if name in OBJECTIVES:
        return preferences(name, seed=seed, **sizes("preferences"), **toys)
    if name in _POLICY:
        return verifiable(name, seed=seed, **sizes("verifiable"))
    if name in _RETRAINED:
        penalty = name.removeprefix("retrained-")
        return retrained(penalty, seed=seed, **sizes("verifiable"))
    return grade_school(seed=seed, **sizes("grade_school"))
