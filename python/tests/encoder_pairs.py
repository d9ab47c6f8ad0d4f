"""Small random encoders of Transformers, and the same in fpo."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from fpo.language.encoders import TextEncoder
from fpo.language.rewards import TextReward

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

SIZES: dict[str, Any] = {
    "vocab_size": 50,
    "hidden_size": 24,
    "num_hidden_layers": 3,
    "num_attention_heads": 3,
    "intermediate_size": 40,
    "max_position_embeddings": 40,
    "initializer_range": 0.3,
}
DEBERTA: dict[str, Any] = {
    **SIZES,
    "relative_attention": True,
    "pos_att_type": ["c2p", "p2c"],
    "position_biased_input": False,
    "type_vocab_size": 0,
    "layer_norm_eps": 1e-7,
}
CONFIGS: dict[str, tuple[str, dict[str, Any]]] = {
    "bert": ("Bert", SIZES),
    "bert-tanh-approximation": ("Bert", {**SIZES, "hidden_act": "gelu_new"}),
    "roberta": ("Roberta", {**SIZES, "pad_token_id": 1, "type_vocab_size": 1}),
    "deberta-v3": (
        "DebertaV2",
        {**DEBERTA, "share_att_key": True, "norm_rel_ebd": "layer_norm", "position_buckets": 8},
    ),
    "deberta-own-projections": ("DebertaV2", {**DEBERTA, "position_buckets": 6}),
    "deberta-no-buckets": (
        "DebertaV2",
        {**DEBERTA, "share_att_key": True, "max_relative_positions": 7},
    ),
    "deberta-c2p": ("DebertaV2", {**DEBERTA, "pos_att_type": ["c2p"], "position_buckets": 8}),
    "deberta-p2c-types": (
        "DebertaV2",
        {**DEBERTA, "pos_att_type": "p2c", "share_att_key": True, "type_vocab_size": 2},
    ),
    "deberta-convolution": (
        "DebertaV2",
        {
            **DEBERTA,
            "share_att_key": True,
            "norm_rel_ebd": "layer_norm",
            "position_buckets": 8,
            "conv_kernel_size": 3,
            "conv_act": "gelu",
            "embedding_size": 16,
            "position_biased_input": True,
        },
    ),
    "deberta-absolute": (
        "DebertaV2",
        {**DEBERTA, "relative_attention": False, "pos_att_type": [], "position_biased_input": True},
    ),
}
POOLER = {"Bert": "tanh", "Roberta": "tanh", "DebertaV2": "context"}
LENGTHS = [5, 1, 17, 9, 33]


class Pair:
    """A random model of Transformers, the same in fpo, and a ragged batch."""

    def __init__(self, name: str, **own: Any):
        kind, settings = CONFIGS[name]
        torch.manual_seed(sum(name.encode()))
        config = getattr(transformers, f"{kind}Config")(**settings)
        config._attn_implementation = "eager"
        if kind == "DebertaV2":
            self.model = transformers.DebertaV2Model(config)
            self.pooler = torch.nn.Linear(config.hidden_size, config.hidden_size)
        else:
            self.model = getattr(transformers, f"{kind}Model")(config)
            self.pooler = self.model.pooler.dense
        self.model.eval()
        for name_, parameter in self.model.named_parameters():
            if "LayerNorm" in name_ or name_.endswith("bias"):
                parameter.data.add_(0.2 * torch.randn_like(parameter))
        tensors = {name: (one.numpy(), "F32") for name, one in self.model.state_dict().items()}
        if kind == "DebertaV2":
            tensors["pooler.dense.weight"] = (self.pooler.weight.detach().numpy(), "F32")
            tensors["pooler.dense.bias"] = (self.pooler.bias.detach().numpy(), "F32")
        self.kind, self.config = kind, config
        self.encoder = TextEncoder(config.to_dict(), tensors, **own)
        rng = np.random.default_rng(1)
        self.tokens = [rng.integers(2, settings["vocab_size"], n).tolist() for n in LENGTHS]
        self.types = None
        if settings.get("type_vocab_size", 2) == 2:
            self.types = [rng.integers(0, 2, n).tolist() for n in LENGTHS]
        self.batch = self.encoder.batch(self.tokens, self.types)

    def states(self) -> list[Any]:
        """All hidden states of Transformers, padding cut off: layer -> list of (tokens, hidden)."""
        longest = max(LENGTHS)
        ids = torch.full((len(LENGTHS), longest), self.config.pad_token_id or 0)
        types, mask = torch.zeros_like(ids), torch.zeros_like(ids)
        for i, row in enumerate(self.tokens):
            ids[i, : len(row)] = torch.tensor(row)
            mask[i, : len(row)] = 1
            if self.types is not None:
                types[i, : len(row)] = torch.tensor(self.types[i])
        out = self.model(
            ids, attention_mask=mask, token_type_ids=types, output_hidden_states=True
        ).hidden_states
        return [[layer[i, :n] for i, n in enumerate(LENGTHS)] for layer in out]

    def pooled(self, kind: str) -> Any:
        """(n, hidden)."""
        last = self.states()[-1]
        if kind == "mean":
            return torch.stack([one.mean(dim=0) for one in last])
        first = torch.stack([one[0] for one in last])
        if kind == "cls":
            return first
        dense = self.pooler(first)
        return torch.tanh(dense) if kind == "tanh" else torch.nn.functional.gelu(dense)

    def scores(self, reward: TextReward) -> Any:
        """The reward's scores, by Transformers."""
        own = reward.parameters
        self.head = [
            torch.tensor(own[name], requires_grad=True) for name in ("head.weight", "head.bias")
        ]
        return (self.pooled(reward.pooler) @ self.head[0].T)[:, 0] + self.head[1]

    def flat_gradient(self, reward: TextReward) -> Any:
        """What autograd has put into the parameters, in the reward's order."""
        by_name = dict(self.model.named_parameters())
        by_name["head.weight"], by_name["head.bias"] = self.head
        if self.kind == "DebertaV2":
            by_name["pooler.dense.weight"] = self.pooler.weight
            by_name["pooler.dense.bias"] = self.pooler.bias
        rows = []
        for name, shape in reward.shapes.items():
            gradient = by_name[name].grad
            rows.append(
                np.zeros(int(np.prod(shape)))
                if gradient is None
                else gradient.numpy().reshape(-1).astype(float)
            )
        for parameter in by_name.values():
            parameter.grad = None
        return np.concatenate(rows)


def close(actual: Any, expected: Any, tolerance: float) -> None:
    actual, expected = np.asarray(actual, float), np.asarray(expected, float)
    assert np.isfinite(actual).all()
    assert np.abs(actual - expected).max() <= tolerance * np.abs(expected).max()
