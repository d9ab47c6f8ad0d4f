"""The neural environment in JAX: one jitted scan over rounds, vmapped over seeds.

Written for speed on a CPU. |grad_phi r|^2 uses its closed form, a sum of products of squared norms
(1.4x faster here than a nested jax.grad, which forms every parameter gradient), and softplus is
max(x, 0) + log1p(exp(-|x|)), whose derivative costs less than that of jax.nn.softplus.
"""

from functools import lru_cache

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from .setting import PENALTIES, Setting


def softplus(x):
    """log(1 + e^x)."""
    return jnp.maximum(x, 0) + jnp.log1p(jnp.exp(-jnp.abs(x)))


def squared_norm(x):
    """Sum of squares."""
    return (x * x).sum()


def reward_and_sensitivity(weights, action):
    """Reward r and |grad_phi r|^2 of one action (d,)."""
    w1, b1, w2, b2, w3, b3 = weights
    z1 = w1 @ action + b1
    a1 = softplus(z1)
    z2 = w2 @ a1 + b2
    a2 = softplus(z2)
    d2 = w3[0] * jax.nn.sigmoid(z2)
    d1 = (d2 @ w2) * jax.nn.sigmoid(z1)
    sensitivity = (
        squared_norm(d1) * (squared_norm(action) + 1)
        + squared_norm(d2) * (squared_norm(a1) + 1)
        + squared_norm(a2)
        + 1
    )
    return w3[0] @ a2 + b3[0], sensitivity


def reward(weights, action):
    """Reward of one action (d,)."""
    w1, b1, w2, b2, w3, b3 = weights
    return w3[0] @ softplus(w2 @ softplus(w1 @ action + b1) + b2) + b3[0]


def game(setting: Setting, penalty: str, stop_after: int):
    """The function (weights, noise or key) -> trace of one seed."""
    updates = np.arange(1, stop_after + 1)
    schedule = (
        np.arange(stop_after),
        *(np.float32(x[:stop_after]) for x in setting.schedule()),
        *(np.float32(1 - beta**updates) for beta in (0.9, 0.999)),
    )
    ideal = jnp.asarray(setting.ideal(), jnp.float32)

    def utility(action):
        distance = ((action - ideal) ** 2).sum(-1)
        return setting.utility_peak * jnp.exp(-setting.utility_decay * distance)

    def objective(action, weights):
        if penalty == "myopic":
            return reward(weights, action) - setting.action_cost * squared_norm(action)
        r, sensitivity = reward_and_sensitivity(weights, action)
        error = r - jax.lax.stop_gradient(utility(action)) if penalty == "relaxed" else 1.0
        cost = setting.action_cost * squared_norm(action)
        return r - cost - setting.penalty_weight * error * sensitivity

    def loss(weights, actions, labels, kept):
        """Mean squared error over the `kept` newest rows of the buffer."""
        residual = jax.vmap(reward, (None, 0))(weights, actions) - labels
        mask = jnp.arange(setting.label_buffer) >= setting.label_buffer - kept
        return (mask * residual**2).sum() / kept

    def adam(weights, gradient, first, second, corrections):
        tree = jax.tree.map
        first_correction, second_correction = corrections
        gradient = tree(lambda g, w: g + setting.weight_decay * w, gradient, weights)
        first = tree(lambda m, g: 0.9 * m + 0.1 * g, first, gradient)
        second = tree(lambda v, g: 0.999 * v + 0.001 * g * g, second, gradient)
        weights = tree(
            lambda w, m, v: (
                w
                - setting.reward_learning_rate
                * (m / first_correction)
                / (jnp.sqrt(v / second_correction) + 1e-8)
            ),
            weights,
            first,
            second,
        )
        return weights, first, second

    def draw(noise, k):
        if isinstance(noise, dict):
            return noise["inner"][k], noise["label"][k]
        steps = setting.inner_steps + setting.labels_per_round
        normals = jax.random.normal(jax.random.fold_in(noise, k), (steps, setting.dimension))
        return normals[: setting.inner_steps], normals[setting.inner_steps :]

    def play(weights, noise):
        def round_(state, schedule):
            theta, weights, first, second, actions, labels = state
            k, rate, sigma, *corrections = schedule
            inner, label = draw(noise, k)

            def inner_step(theta, z):
                slope = jax.grad(objective)(theta + sigma * z, weights)
                clipped = jnp.clip(slope, -setting.gradient_clip, setting.gradient_clip)
                return theta + rate * clipped, None

            theta, _ = jax.lax.scan(inner_step, theta, inner)
            record = {
                "utility": utility(theta),
                "proxy_reward": reward(weights, theta),
                "action": theta,
            }

            fresh = theta + sigma * label
            actions = jnp.concatenate([actions, fresh])[setting.labels_per_round :]
            labels = jnp.concatenate([labels, utility(fresh)])[setting.labels_per_round :]
            kept = jnp.minimum((k + 1) * setting.labels_per_round, setting.label_buffer)
            gradient = jax.grad(loss)(weights, actions, labels, kept)
            weights, first, second = adam(weights, gradient, first, second, corrections)
            return (theta, weights, first, second, actions, labels), record

        zeros = jax.tree.map(jnp.zeros_like, weights)
        state = (
            jnp.zeros(setting.dimension),
            weights,
            zeros,
            zeros,
            jnp.zeros((setting.label_buffer, setting.dimension)),
            jnp.zeros(setting.label_buffer),
        )
        return jax.lax.scan(round_, state, schedule)[1]

    return play


@lru_cache
def batch(setting: Setting, penalty: str, stop_after: int):
    """The jitted game of many seeds, one for all calls."""
    return jax.jit(jax.vmap(game(setting, penalty, stop_after)))


def prepare(setting: Setting, penalty: str, *, weights, noise=None, seeds=None, stop_after=None):
    """Compiles, and returns a function without arguments that plays and returns the trace.

    With several JAX devices the seeds are spread over them. Arguments as for `simulate`.
    """
    if penalty not in PENALTIES:
        raise ValueError(f"penalty is one of {PENALTIES}, not {penalty!r}")
    arguments = (
        tuple(jnp.asarray(w, jnp.float32) for w in weights.values()),
        jax.vmap(jax.random.key)(jnp.asarray(seeds))
        if noise is None
        else {name: jnp.asarray(z, jnp.float32) for name, z in noise.items()},
    )
    arguments = jax.device_put(
        arguments, NamedSharding(Mesh(np.array(jax.devices()), ("seed",)), PartitionSpec("seed"))
    )
    compiled = batch(setting, penalty, stop_after or setting.rounds).lower(*arguments).compile()
    return lambda: jax.tree.map(np.asarray, compiled(*arguments))


def simulate(setting: Setting, penalty: str, **arguments):
    """Plays the first `stop_after` rounds (default: all) of a game per seed.

    weights  "net.0.weight" (seeds, 32, 10) ...
    noise    "inner" (seeds, rounds, inner_steps, d), "label" (seeds, rounds, labels, d); None:
             drawn from `seeds`
    Returns utility (seeds, rounds), proxy_reward (seeds, rounds), action (seeds, rounds, d).
    """
    return prepare(setting, penalty, **arguments)()
