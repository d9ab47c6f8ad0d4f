"""The neural environment of arXiv:2605.04266 as published, and draws that all peers share."""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

PENALTIES = ("myopic", "relaxed", "practical")


@dataclass(frozen=True)
class Setting:
    """Published constants; every peer reads them from here and shares nothing else.

    utility    U(y) = utility_peak exp(-utility_decay |y - ideal|^2)
    objective  f(y) = r(y) - action_cost |y|^2 - penalty_weight e(y) |grad_phi r(y)|^2,
               e = 0 (myopic), r(y) - U(y) with U held constant (relaxed), 1 (practical)
    policy     theta += rate * clip(grad f(theta + sigma z)), inner_steps times a round
    labels     labels_per_round actions theta + sigma z with U, the last label_buffer are kept
    reward     one Adam step a round on the mean squared error over the buffer
    """

    dimension: int = 10
    signal_dimension: int = 2
    hidden: tuple[int, int] = (32, 32)
    rounds: int = 4000
    inner_steps: int = 15
    labels_per_round: int = 5
    label_buffer: int = 50
    utility_peak: float = 10.0
    utility_target: float = 2.5
    utility_decay: float = 0.2
    action_cost: float = 0.01
    penalty_weight: float = 0.005
    gradient_clip: float = 1.0
    policy_learning_rate: float = 0.05
    policy_learning_rate_final: float = 0.001
    exploration: float = 0.1
    exploration_final: float = 0.001
    annealing_power: float = 4.0
    reward_learning_rate: float = 1e-3
    weight_decay: float = 1e-3
    initial_weight_scale: float = 0.1

    def ideal(self) -> np.ndarray:
        """The maximiser of the utility, (dimension,)."""
        target = np.zeros(self.dimension)
        target[: self.signal_dimension] = self.utility_target
        return target

    def schedule(self) -> tuple[np.ndarray, np.ndarray]:
        """Policy learning rate and exploration of every round, each (rounds,)."""
        decay = 1 - (np.arange(self.rounds) / self.rounds) ** self.annealing_power

        def anneal(initial: float, final: float) -> np.ndarray:
            return final + (initial - final) * decay

        return (
            anneal(self.policy_learning_rate, self.policy_learning_rate_final),
            anneal(self.exploration, self.exploration_final),
        )


def initial_weights(setting: Setting, seeds) -> dict[str, np.ndarray]:
    """Normal(0, initial_weight_scale^2) weights and zero biases of a game per seed.

    Names and (out, in) shapes are torch's, with a leading seed axis.
    """
    widths = (setting.dimension, *setting.hidden, 1)
    generators = [np.random.default_rng([seed, 0]) for seed in seeds]
    weights = {}
    for layer, (inputs, outputs) in enumerate(pairwise(widths)):
        draws = [g.normal(0, setting.initial_weight_scale, (outputs, inputs)) for g in generators]
        weights[f"net.{2 * layer}.weight"] = np.stack(draws)
        weights[f"net.{2 * layer}.bias"] = np.zeros((len(draws), outputs))
    return weights


def noise(setting: Setting, seeds, rounds: int) -> dict[str, np.ndarray]:
    """Unit normals of the first `rounds` rounds.

    Keys inner (seeds, rounds, inner_steps, dimension), label (seeds, rounds, labels, dimension).
    """
    shapes = {"inner": setting.inner_steps, "label": setting.labels_per_round}
    draws = {name: [] for name in shapes}
    for seed in seeds:
        generator = np.random.default_rng([seed, 1])
        for name, steps in shapes.items():
            draws[name].append(generator.standard_normal((rounds, steps, setting.dimension)))
    return {name: np.stack(arrays) for name, arrays in draws.items()}
