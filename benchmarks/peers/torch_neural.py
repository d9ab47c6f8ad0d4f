"""The neural environment in plain PyTorch, as a practitioner would write it.

One seed at a time, a Python loop, double backward for the penalty, torch.optim.Adam for the reward
model.
"""

import torch
from torch import nn

from .setting import PENALTIES, Setting


class RewardModel(nn.Module):
    """Reward of actions (..., dimension): a softplus network with two hidden layers."""

    def __init__(self, setting: Setting):
        """Draws the initial weights from torch's global generator."""
        super().__init__()
        first, second = setting.hidden
        self.net = nn.Sequential(
            nn.Linear(setting.dimension, first),
            nn.Softplus(),
            nn.Linear(first, second),
            nn.Softplus(),
            nn.Linear(second, 1),
        )
        for name, parameter in self.named_parameters():
            if name.endswith("weight"):
                nn.init.normal_(parameter, std=setting.initial_weight_scale)
            else:
                nn.init.zeros_(parameter)

    def forward(self, action: torch.Tensor) -> torch.Tensor:
        """Rewards (...)."""
        return self.net(action).squeeze(-1)


def simulate(
    setting: Setting,
    penalty: str,
    *,
    seed=0,
    weights=None,
    noise=None,
    stop_after=None,
    dtype=torch.float32,
):
    """Plays the first `stop_after` rounds (default: all) of one game.

    weights  state dict of the reward model, "net.0.weight" ...; None: drawn
    noise    "inner" (rounds, inner_steps, dimension), "label" (rounds, labels, dimension); None:
             drawn
    Returns utility (rounds,), proxy_reward (rounds,) and action (rounds, dimension), each after the
    round's policy update and before the reward model retrains.
    """
    if penalty not in PENALTIES:
        raise ValueError(f"penalty is one of {PENALTIES}, not {penalty!r}")
    generator = torch.Generator().manual_seed(seed)
    torch.manual_seed(seed)
    model = RewardModel(setting).to(dtype)
    if weights is not None:
        model.load_state_dict({name: torch.as_tensor(w) for name, w in weights.items()})
    parameters = list(model.parameters())
    optimizer = torch.optim.Adam(
        parameters, lr=setting.reward_learning_rate, weight_decay=setting.weight_decay
    )

    ideal = torch.as_tensor(setting.ideal(), dtype=dtype)

    def utility(action):
        distance = ((action - ideal) ** 2).sum(-1)
        return setting.utility_peak * torch.exp(-setting.utility_decay * distance)

    def draw(name, k, count):
        if noise is not None:
            return torch.as_tensor(noise[name][k], dtype=dtype)
        return torch.randn(count, setting.dimension, generator=generator, dtype=dtype)

    def objective(action):
        reward = model(action)
        value = reward - setting.action_cost * (action**2).sum()
        if penalty == "myopic":
            return value
        gradient = torch.autograd.grad(reward, parameters, create_graph=True)
        sensitivity = sum((g**2).sum() for g in gradient)
        overconfidence = reward - utility(action).detach() if penalty == "relaxed" else 1.0
        return value - setting.penalty_weight * overconfidence * sensitivity

    theta = torch.zeros(setting.dimension, dtype=dtype)
    actions = torch.empty(0, setting.dimension, dtype=dtype)
    labels = torch.empty(0, dtype=dtype)
    rates, sigmas = setting.schedule()
    trace = {"utility": [], "proxy_reward": [], "action": []}
    for k in range(setting.rounds if stop_after is None else stop_after):
        rate, sigma = float(rates[k]), float(sigmas[k])
        for z in draw("inner", k, setting.inner_steps):
            action = (theta + sigma * z).requires_grad_()
            (slope,) = torch.autograd.grad(objective(action), action)
            theta = theta + rate * slope.clamp(-setting.gradient_clip, setting.gradient_clip)

        with torch.no_grad():
            trace["utility"].append(utility(theta).item())
            trace["proxy_reward"].append(model(theta).item())
            trace["action"].append(theta.clone())
            fresh = theta + sigma * draw("label", k, setting.labels_per_round)
            actions = torch.cat([actions, fresh])[-setting.label_buffer :]
            labels = torch.cat([labels, utility(fresh)])[-setting.label_buffer :]

        optimizer.zero_grad()
        nn.functional.mse_loss(model(actions), labels).backward()
        optimizer.step()

    return {
        "utility": torch.tensor(trace["utility"], dtype=dtype).numpy(),
        "proxy_reward": torch.tensor(trace["proxy_reward"], dtype=dtype).numpy(),
        "action": torch.stack(trace["action"]).numpy(),
    }
