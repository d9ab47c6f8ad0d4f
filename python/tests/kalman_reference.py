"""The filter of docs/math/utility-filter.md in NumPy, with its matrices written out."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


class KalmanReference:
    """Spelled and used as `fpo.UtilityFilter`; one label and one action at a time within."""

    def __init__(
        self,
        reference: Array,
        level: float = 0.0,
        slope: Array | None = None,
        *,
        estimates_curvature: bool = True,
        utility_scale: float = 10.0,
        length_scale: float = 2.0,
        noise_scale: float = 1.0,
        noise_memory: float = 0.2,
    ):
        d = reference.size
        self.h, self.length = utility_scale / length_scale**2, length_scale
        self.curved, self.memory = estimates_curvature, noise_memory
        self.reference = reference
        self.mean = np.array([level, *(np.zeros(d) if slope is None else slope), 0])
        slopes = [(utility_scale / length_scale) ** 2] * d
        self.covariance = np.diag([utility_scale**2, *slopes, estimates_curvature * self.h**2])
        self.variance = noise_scale**2

    def move(self, reference: Array) -> None:
        way = reference - self.reference
        d, v = way.size, way / 2
        half = np.eye(d + 2)
        half[0, 1:-1], half[0, -1], half[1:-1, -1] = v, v @ v / 2, v
        grown = np.array([0, *[1] * d, self.curved / self.length**2])
        added = np.diag(self.h**2 * (way @ way) * grown)
        self.mean = half @ half @ self.mean
        self.covariance = half @ (half @ self.covariance @ half.T + added) @ half.T
        self.reference = reference

    def observe(self, x: Array, label: Array) -> None:
        for y, u in zip(x, label, strict=True):
            delta = y - self.reference
            c = np.array([1, *delta, delta @ delta / 2])
            beyond = (self.h * (delta @ delta) / 2) ** 2
            variance = self.variance + beyond
            gain = self.covariance @ c / (c @ self.covariance @ c + variance)
            self.mean = self.mean + gain * (u - c @ self.mean)
            keep = np.eye(c.size) - np.outer(gain, c)  # Joseph's form
            self.covariance = keep @ self.covariance @ keep.T + variance * np.outer(gain, gain)
            rest, spread = u - c @ self.mean, c @ self.covariance @ c
            share = self.variance / variance
            expected = share**2 * (rest**2 + spread) + share * beyond
            self.variance += self.memory * (expected - self.variance)

    def estimate(self, x: Array) -> tuple[Array, Array]:
        delta, q = x - self.reference, min(self.mean[-1], 0)
        level, slope = self.mean[0], self.mean[1:-1]
        utility = [level + slope @ row + q / 2 * (row @ row) for row in delta]
        return np.array(utility), slope + q * delta
