"""Writes reward_models.json: reward models and their penalties by torch.autograd in float64.

Made with torch 2.13.0 (CPU). Every input is a formula of its index, which RewardModelGolden.swift
repeats, so that the file holds results alone. All derivatives are autograd's, the mixed ones by
differentiating twice; the steering direction solves the dense (p, p) system.
"""

import json
from pathlib import Path

import torch

torch.set_default_dtype(torch.float64)
N = 3
DAMPING = 0.1
MODELS = {
    "linear": {"dimension": 5, "hidden": None, "bias": True},
    "linear without bias": {"dimension": 4, "hidden": None, "bias": False},
    "one hidden layer": {"dimension": 3, "hidden": [6], "bias": True},
    "two hidden layers": {"dimension": 4, "hidden": [5, 3], "bias": True},
    "three hidden layers": {"dimension": 3, "hidden": [4, 3, 2], "bias": True},
    "published": {"dimension": 10, "hidden": [32, 32], "bias": True},
}


def series(n, f):
    return f(torch.arange(n, dtype=torch.float64))


def reward(phi, y, dimension, hidden, bias):
    """The reward of one action from the flat vector of torch's tensors, in module order."""
    widths = [dimension, *(hidden or []), 1]
    at = 0
    for k, (i, o) in enumerate(zip(widths, widths[1:])):
        w = phi[at : at + i * o].reshape(o, i)
        at += i * o
        y = w @ y
        if bias:
            y = y + phi[at : at + o]
            at += o
        if k + 2 < len(widths):
            y = torch.nn.functional.softplus(y, threshold=1e9)
    assert at == phi.numel()
    return y[0]


def count(dimension, hidden, bias):
    widths = [dimension, *(hidden or []), 1]
    return sum(o * (i + bias) for i, o in zip(widths, widths[1:]))


def case(name, shape):
    d, p = shape["dimension"], count(**shape)
    phi = series(p, lambda i: 0.6 * torch.sin(1.3 * i + 0.4)).requires_grad_()
    y = series(N * d, lambda k: 1.5 * torch.sin(0.9 * k + 0.2)).reshape(N, d)
    y0 = series(N * d, lambda k: 1.2 * torch.cos(1.7 * k + 0.5)).reshape(N, d)
    label = series(N, lambda i: 0.5 + 0.4 * torch.sin(2 * i + 1))
    label_slope = series(N * d, lambda k: 0.3 * torch.cos(0.8 * k)).reshape(N, d)
    v = series(p, lambda i: 0.5 * torch.cos(0.7 * i + 0.1))

    def r(a):
        return reward(phi, a, **shape)

    def g(a, create_graph=False):
        return torch.autograd.grad(r(a), phi, create_graph=create_graph)[0]

    gradients = torch.stack([g(a) for a in y])
    references = torch.stack([g(a) for a in y0])
    result = {"name": name, **shape, "parameterCount": p}
    result["rewards"] = torch.stack([r(a) for a in y])
    slopes, mixed = [], []
    for a in y:
        a = a.clone().requires_grad_()
        slopes.append(torch.autograd.grad(r(a), a)[0])
        mixed.append(torch.autograd.grad(g(a, True) @ v, a)[0])
    result["slopes"], result["mixed"] = torch.stack(slopes), torch.stack(mixed)
    result["gram"] = gradients @ references.T
    if p < 100:
        result["gradients"] = gradients

    def record(key, loss):
        result[key] = loss.reshape(1)
        result[key + "Gradient"] = torch.autograd.grad(loss, phi)[0]

    rewards, rewards0 = torch.stack([r(a) for a in y]), torch.stack([r(a) for a in y0])
    record("squaredError", ((rewards - label) ** 2).mean())
    rewards, rewards0 = torch.stack([r(a) for a in y]), torch.stack([r(a) for a in y0])
    cross_entropy = torch.nn.functional.binary_cross_entropy_with_logits
    record("bradleyTerry", cross_entropy(rewards - rewards0, label))

    policy_mean = references.mean(0)
    s = torch.sigmoid(rewards - rewards0).detach()
    for key, rows, c in (
        ("squaredErrorDirection", gradients, torch.ones(N)),
        ("bradleyTerryDirection", gradients - references, s * (1 - s)),
    ):
        hessian = (rows * c[:, None]).T @ rows / N + DAMPING * torch.eye(p)
        result[key] = torch.linalg.solve(hessian, policy_mean)

    result["penalties"] = []
    for with_reference in (False, True):
        for alignment in ("own", "shift-invariant", "direction"):
            for overconfidence in ("none", "value", "slope"):
                values, value_slopes = [], []
                for i in range(N):
                    a = y[i].clone().requires_grad_()
                    grad = g(a, True)
                    vector = grad - references[i] if with_reference else grad
                    other = {"own": grad, "shift-invariant": vector, "direction": v}[alignment]
                    margin = r(a) - r(y0[i]).detach() if with_reference else r(a)
                    u = label[i]
                    if overconfidence == "slope":
                        u = u + label_slope[i] @ (a - y[i])
                    e = (torch.sigmoid(margin) if with_reference else margin) - u
                    penalty = vector @ other * (1 if overconfidence == "none" else e)
                    values.append(penalty.detach())
                    value_slopes.append(torch.autograd.grad(penalty, a)[0])
                result["penalties"].append({
                    "reference": with_reference,
                    "alignment": alignment,
                    "overconfidence": overconfidence,
                    "values": torch.stack(values),
                    "slopes": torch.stack(value_slopes),
                })
    return result


def plain(value):
    if isinstance(value, torch.Tensor):
        return value.detach().flatten().tolist()
    if isinstance(value, dict):
        return {k: plain(v) for k, v in value.items()}
    return [plain(v) for v in value] if isinstance(value, list) else value


if __name__ == "__main__":
    cases = [plain(case(name, shape)) for name, shape in MODELS.items()]
    for item in cases:
        if item["parameterCount"] >= 100:  # every 60th element is kept
            for key in [k for k in item if k.endswith(("Gradient", "Direction"))]:
                item[key] = item[key][::60]
    text = json.dumps({"tool": f"torch {torch.__version__}", "cases": cases}, indent=None)
    text = text.replace('{"name"', '\n{"name"').replace('{"reference"', '\n  {"reference"')
    Path(__file__).with_suffix(".json").write_text(text + "\n")
