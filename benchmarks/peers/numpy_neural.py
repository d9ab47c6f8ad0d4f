"""The neural environment in NumPy and float64, all seeds at once, every derivative by hand.

The referee of the other two peers and of the library.
"""

import numpy as np

from .setting import PENALTIES, Setting


def softplus(x):
    """log(1 + e^x)."""
    return np.logaddexp(0.0, x)


def sigmoid(x):
    """1 / (1 + e^-x)."""
    return 0.5 + 0.5 * np.tanh(0.5 * x)


def apply(matrix, vector):
    """(S, O, I) and (S, I) to (S, O), seed by seed."""
    return np.matmul(matrix, vector[..., None])[..., 0]


def apply_transposed(matrix, vector):
    """(S, O, I) and (S, O) to (S, I), seed by seed."""
    return np.matmul(vector[:, None, :], matrix)[:, 0]


def squared_norm(vector):
    """(S, n) to (S, 1)."""
    return (vector**2).sum(-1, keepdims=True)


def reward(weights, action):
    """Rewards (S, B) of actions (S, B, d)."""
    w1, b1, w2, b2, w3, b3 = weights
    a1 = softplus(action @ w1.swapaxes(1, 2) + b1[:, None])
    a2 = softplus(a1 @ w2.swapaxes(1, 2) + b2[:, None])
    return (a2 @ w3.swapaxes(1, 2) + b3[:, None])[..., 0]


def reward_and_sensitivity(weights, y):
    """Reward r, its slope in the action, N = |grad_phi r|^2 and its slope, for actions y (S, d).

    With a0 = y, z_l = W_l a_(l-1) + b_l, a_l = softplus(z_l), s_l = sigmoid(z_l) and
    d_l = dr/dz_l, the gradient of layer l is the outer product of d_l and (a_(l-1), 1), so
    N = sum_l |d_l|^2 (|a_(l-1)|^2 + 1), with d_3 = 1. Below, `bar` marks dN/d(.).
    """
    w1, b1, w2, b2, w3, b3 = weights
    z1 = apply(w1, y) + b1
    a1, s1 = softplus(z1), sigmoid(z1)
    z2 = apply(w2, a1) + b2
    a2, s2 = softplus(z2), sigmoid(z2)
    v = w3[:, 0]
    r = (v * a2).sum(-1, keepdims=True) + b3
    d2 = v * s2
    u1 = apply_transposed(w2, d2)
    d1 = u1 * s1
    slope = apply_transposed(w1, d1)

    n0, n1, n2 = (squared_norm(a) + 1 for a in (y, a1, a2))
    sensitivity = squared_norm(d1) * n0 + squared_norm(d2) * n1 + n2
    d1_bar = 2 * n0 * d1
    d2_bar = 2 * n1 * d2 + apply(w2, d1_bar * s1)
    z2_bar = d2_bar * v * s2 * (1 - s2) + 2 * a2 * s2
    a1_bar = apply_transposed(w2, z2_bar) + 2 * squared_norm(d2) * a1
    z1_bar = a1_bar * s1 + d1_bar * u1 * s1 * (1 - s1)
    sensitivity_slope = apply_transposed(w1, z1_bar) + 2 * squared_norm(d1) * y
    return r, slope, sensitivity, sensitivity_slope


def loss_gradient(weights, action, label):
    """Gradient of the mean squared error over actions (S, B, d) and labels (S, B)."""
    w1, b1, w2, b2, w3, b3 = weights
    z1 = action @ w1.swapaxes(1, 2) + b1[:, None]
    a1 = softplus(z1)
    z2 = a1 @ w2.swapaxes(1, 2) + b2[:, None]
    a2 = softplus(z2)
    r = a2 @ w3.swapaxes(1, 2) + b3[:, None]
    d3 = 2 * (r - label[..., None]) / label.shape[1]
    d2 = (d3 @ w3) * sigmoid(z2)
    d1 = (d2 @ w2) * sigmoid(z1)
    gradient = []
    for delta, activation in ((d1, action), (d2, a1), (d3, a2)):
        gradient += [delta.swapaxes(1, 2) @ activation, delta.sum(1)]
    return gradient


def simulate(setting: Setting, penalty: str, *, weights, noise, stop_after=None):
    """Plays the first `stop_after` rounds of a game per seed.

    weights  "net.0.weight" (S, 32, 10) ...;  noise  "inner" (S, rounds, inner_steps, d), "label"
    Returns utility (S, rounds), proxy_reward (S, rounds) and action (S, rounds, d).
    """
    if penalty not in PENALTIES:
        raise ValueError(f"penalty is one of {PENALTIES}, not {penalty!r}")
    weights = [np.array(w, dtype=np.float64) for w in weights.values()]
    first, second = ([np.zeros_like(w) for w in weights] for _ in range(2))
    seeds, ideal = len(weights[0]), setting.ideal()
    clip = setting.gradient_clip

    def utility(action):
        distance = ((action - ideal) ** 2).sum(-1)
        return setting.utility_peak * np.exp(-setting.utility_decay * distance)

    def objective_slope(y):
        r, reward_slope, sensitivity, sensitivity_slope = reward_and_sensitivity(weights, y)
        penalty_slope = {
            "myopic": 0.0,
            "practical": sensitivity_slope,
            "relaxed": (r - utility(y)[:, None]) * sensitivity_slope + reward_slope * sensitivity,
        }[penalty]
        return reward_slope - 2 * setting.action_cost * y - setting.penalty_weight * penalty_slope

    theta = np.zeros((seeds, setting.dimension))
    actions = np.empty((seeds, 0, setting.dimension))
    labels = np.empty((seeds, 0))
    trace = {"utility": [], "proxy_reward": [], "action": []}
    rates, sigmas = setting.schedule()
    for k in range(setting.rounds if stop_after is None else stop_after):
        for step in range(setting.inner_steps):
            y = theta + sigmas[k] * noise["inner"][:, k, step]
            theta = theta + rates[k] * np.clip(objective_slope(y), -clip, clip)

        trace["utility"].append(utility(theta))
        trace["proxy_reward"].append(reward(weights, theta[:, None])[:, 0])
        trace["action"].append(theta)

        fresh = theta[:, None] + sigmas[k] * noise["label"][:, k]
        actions = np.concatenate([actions, fresh], 1)[:, -setting.label_buffer :]
        labels = np.concatenate([labels, utility(fresh)], 1)[:, -setting.label_buffer :]
        gradient = loss_gradient(weights, actions, labels)
        for w, m, v, g in zip(weights, first, second, gradient, strict=True):
            g = g + setting.weight_decay * w
            m += 0.1 * (g - m)
            v += 0.001 * (g**2 - v)
            m_hat, v_hat = m / (1 - 0.9 ** (k + 1)), v / (1 - 0.999 ** (k + 1))
            w -= setting.reward_learning_rate * m_hat / (np.sqrt(v_hat) + 1e-8)

    return {name: np.stack(values, 1) for name, values in trace.items()}
