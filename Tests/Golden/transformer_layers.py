"""Writes transformer_layers.json: transformer layers and their gradients by torch in float64.

Made with torch 2.13.0 (CPU) and transformers 5.24. Every input is `wave(salt, shape)`, which
LayerGolden.swift repeats, so that the file holds results alone. Gradients are autograd's, of the sum
of the output times `wave(99, ...)`.
"""

import json
from pathlib import Path

import torch
import torch.nn.functional as F
from transformers import LlamaConfig
from transformers.models.llama.modeling_llama import LlamaRotaryEmbedding, apply_rotary_pos_emb

torch.set_default_dtype(torch.float64)


def wave(salt, *shape):
    n = 1
    for size in shape:
        n *= size
    i = torch.arange(n, dtype=torch.float64)
    return torch.sin(0.7 * i + 0.013 * i * i + salt).reshape(shape).requires_grad_()


def digits(x):
    """Twelve significant ones."""
    return [float(f"{v:.12g}") for v in x.detach().flatten().tolist()]


def results(y, *inputs):
    """The output and the gradients of every input, flat."""
    (y * wave(99, *y.shape).detach()).sum().backward()
    return [digits(t) for t in (y, *(x.grad for x in inputs))]


def attention(sizes, heads, groups, d, causal, bias):
    total = sum(sizes)
    q, k, v = wave(1, total, heads * d), wave(2, total, groups * d), wave(3, total, groups * d)
    b = wave(4, sum(heads * n * n for n in sizes)) if bias else None
    outs, start, at = [], 0, 0
    for n in sizes:
        rows = slice(start, start + n)
        qs = q[rows].reshape(n, heads, d).transpose(0, 1)
        ks = k[rows].reshape(n, groups, d).transpose(0, 1).repeat_interleave(heads // groups, 0)
        vs = v[rows].reshape(n, groups, d).transpose(0, 1).repeat_interleave(heads // groups, 0)
        s = qs @ ks.transpose(1, 2) / d**0.5
        if bias:
            s = s + b[at : at + heads * n * n].reshape(heads, n, n)
            at += heads * n * n
        if causal:
            s = s.masked_fill(torch.ones(n, n, dtype=torch.bool).triu(1), float("-inf"))
        outs.append((s.softmax(-1) @ vs).transpose(0, 1).reshape(n, heads * d))
        start += n
    inputs = (q, k, v, b) if bias else (q, k, v)
    return results(torch.cat(outs), *inputs)


def rotary(**scaling):
    config = LlamaConfig(
        hidden_size=32,
        num_attention_heads=2,
        rope_theta=10000.0,
        max_position_embeddings=128,
        rope_scaling=scaling or None,
    )
    embedding = LlamaRotaryEmbedding(config)
    x = wave(1, 5, 32)
    positions = torch.tensor([[0, 1, 2, 50, 100]])
    turns = (positions[0][:, None] * embedding.inv_freq.double()[None]).repeat(1, 2)
    heads = x.reshape(1, 5, 2, 16).transpose(1, 2)
    y, _ = apply_rotary_pos_emb(heads, heads, turns.cos()[None], turns.sin()[None])
    return results(y.transpose(1, 2).reshape(5, 32), x)


def main():
    x, w, b = wave(1, 3, 37), wave(2, 37), wave(3, 37)
    layer = {"rms": results(F.rms_norm(x, (37,), w, 1e-5), x, w)}
    x, w, b = wave(1, 3, 37), wave(2, 37), wave(3, 37)
    layer["layerNorm"] = results(F.layer_norm(x, (37,), w, b, 1e-5), x, w, b)
    g, u = wave(1, 3, 21), wave(2, 3, 21)
    layer["swiglu"] = results(F.silu(4 * g) * u, g, u)
    for name, kind in (("gelu", "none"), ("geluTanh", "tanh")):
        x = wave(1, 3, 21)
        layer[name] = results(F.gelu(5 * x, approximate=kind), x)
    layer["rotary"] = rotary()
    layer["rotaryLinear"] = rotary(rope_type="linear", factor=4.0)
    layer["rotaryLlama3"] = rotary(
        rope_type="llama3",
        factor=8.0,
        low_freq_factor=1.0,
        high_freq_factor=4.0,
        original_max_position_embeddings=64,
    )
    layer["causal"] = attention([7, 1, 18], 6, 2, 12, True, False)
    layer["biased"] = attention([5, 9], 4, 4, 10, False, True)
    logits = wave(1, 4, 50)
    target = torch.tensor([3, 49, 0, 17])
    loss = F.cross_entropy(6 * logits, target, reduction="none")
    p = F.log_softmax(6 * logits, -1)
    layer["crossEntropy"] = [
        digits(-loss),
        digits(-(p.exp() * p).sum(-1)),
        results(loss, logits)[1],
    ]
    path = Path(__file__).with_suffix(".json")
    path.write_text(json.dumps(layer, indent=None, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main()
