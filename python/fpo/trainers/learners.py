"""What a trainer trains: parameters, a gradient that was added up, and an optimiser."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ..language.policy import LlamaPolicy
from ..language.rewards import TextReward
from ..language.safetensors import write_safetensors

__all__ = ["Learner", "PolicyLearner", "RewardLearner"]

Arrays = dict[str, NDArray[Any]]
_ZERO = 1e-300  # a learning rate above 0, as optimisers want it, that moves nothing


class Learner(Protocol):
    """Parameters and their optimiser."""

    @property
    def flat(self) -> NDArray[np.float32]:
        """All parameters."""

    @flat.setter
    def flat(self, value: NDArray[Any]) -> None: ...

    def step(self, learning_rate: float, weight_decay: float, max_grad_norm: float) -> float:
        """One step along the gradient, which is then zero; returns its norm before any cut."""

    def state(self) -> Arrays:
        """Everything that `restore` needs to go on bit for bit, at the end of a step."""

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Goes back to a `state`."""

    def save(self, folder: Path) -> None:
        """Writes what was learned, for use elsewhere."""


class PolicyLearner:
    """The adapter of a policy, with the library's AdamW."""

    def __init__(self, policy: LlamaPolicy):
        self.policy = policy

    @property
    def flat(self) -> NDArray[np.float32]:
        """The adapter's parameters."""
        return self.policy.flat

    @flat.setter
    def flat(self, value: NDArray[Any]) -> None:
        self.policy.flat = value

    def step(self, learning_rate: float, weight_decay: float, max_grad_norm: float) -> float:
        """One step of AdamW; at learning rate 0 its moments alone move."""
        return self.policy.step(
            max(learning_rate, _ZERO), weight_decay=weight_decay, max_grad_norm=max_grad_norm
        )

    def state(self) -> Arrays:
        """Parameters and moments."""
        return {"bytes": np.frombuffer(self.policy.state(), dtype=np.uint8)}

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Goes back to a `state`."""
        self.policy.restore(state["bytes"].tobytes())

    def save(self, folder: Path) -> None:
        """Writes ``adapter/`` in PEFT's format."""
        self.policy.save_adapter(folder / "adapter")


class RewardLearner:
    """A text reward, with the library's AdamW."""

    def __init__(self, reward: TextReward):
        self.reward = reward

    @property
    def flat(self) -> NDArray[np.float32]:
        """The reward's parameters."""
        return self.reward.flat

    @flat.setter
    def flat(self, value: NDArray[Any]) -> None:
        self.reward.flat = value

    def step(self, learning_rate: float, weight_decay: float, max_grad_norm: float) -> float:
        """One step of AdamW; at learning rate 0 its moments alone move."""
        return self.reward.step(
            max(learning_rate, _ZERO), weight_decay=weight_decay, max_grad_norm=max_grad_norm
        )

    def state(self) -> Arrays:
        """Parameters and moments."""
        return {"bytes": np.frombuffer(self.reward.state(), dtype=np.uint8)}

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Goes back to a `state`."""
        self.reward.restore(state["bytes"].tobytes())

    def save(self, folder: Path) -> None:
        """Writes ``reward.safetensors``: the trained parameters by name."""
        write_safetensors(folder / "reward.safetensors", self.reward.parameters)
