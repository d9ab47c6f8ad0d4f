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


class _VectorLearner:
    """A flat vector in the library with its gradient and the library's AdamW."""

    def __init__(self, model: LlamaPolicy | TextReward):
        self._model = model

    @property
    def flat(self) -> NDArray[np.float32]:
        """All parameters."""
        return self._model.flat

    @flat.setter
    def flat(self, value: NDArray[Any]) -> None:
        self._model.flat = value

    def step(self, learning_rate: float, weight_decay: float, max_grad_norm: float) -> float:
        """One step of AdamW; at learning rate 0 its moments alone move."""
        return self._model.step(
            max(learning_rate, _ZERO), weight_decay=weight_decay, max_grad_norm=max_grad_norm
        )

    def state(self) -> Arrays:
        """Parameters and moments."""
        return {"bytes": np.frombuffer(self._model.state(), dtype=np.uint8)}

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Goes back to a `state`."""
        self._model.restore(state["bytes"].tobytes())


class PolicyLearner(_VectorLearner):
    """The adapter of a policy."""

    def __init__(self, policy: LlamaPolicy):
        super().__init__(policy)
        self.policy = policy

    def save(self, folder: Path) -> None:
        """Writes ``adapter/`` in PEFT's format."""
        self.policy.save_adapter(folder / "adapter")


class RewardLearner(_VectorLearner):
    """What is trained of a text reward."""

    def __init__(self, reward: TextReward):
        super().__init__(reward)
        self.reward = reward

    def save(self, folder: Path) -> None:
        """Writes ``reward.safetensors``: the trained parameters by name."""
        write_safetensors(folder / "reward.safetensors", self.reward.parameters)
