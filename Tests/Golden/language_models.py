"""Writes language_models.json: log-probabilities and LoRA gradients of two tiny decoders.

The oracle is Transformers' models and PEFT's adapters in double precision (the norms' inner float32
leaves about seven digits). Weights follow from a
formula that is exact in every precision: element (i, j) of tensor k, in the order of
`fpo_language_model_tensor`, is ((7 i + 3 j + 5 k + i j) % 23 - 11) / 32, and 1 more in a norm;
parameter i of the adapter is ((13 i) % 17 - 8) / 32.

Run it with the Python packages torch, transformers and peft: python Tests/Golden/language_models.py
"""

import json
from pathlib import Path

import peft
import torch
import transformers

TARGETS = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
SEQUENCES = [[3, 1, 4, 1, 5, 9, 2, 6], [27, 18, 28], [5]]
SIZES = {
    "vocab_size": 29,
    "hidden_size": 16,
    "intermediate_size": 20,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 32,
    "rms_norm_eps": 1e-5,
}
LLAMA3 = {
    "rope_type": "llama3",
    "rope_theta": 100.0,
    "factor": 4.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 3.0,
    "original_max_position_embeddings": 16,
}


def checkpoint_order(name: str) -> tuple[int, ...]:
    """Sorts as the library lists tensors."""
    parts = [
        "embed_tokens", "input_layernorm", "q_proj", "k_proj", "v_proj", "o_proj",
        "post_attention_layernorm", "gate_proj", "up_proj", "down_proj", "model.norm", "lm_head",
    ]  # fmt: skip
    place = next(i for i, part in enumerate(parts) if part in name)
    layer = int(name.split(".")[2]) if ".layers." in name else 0
    late = place >= parts.index("model.norm")
    early = place == 0
    return (0 if early else 2 if late else 1, layer, place, int(name.endswith("bias")))


def fill(model: torch.nn.Module, tied: bool) -> None:
    """Gives the model the weights of the formula."""
    names = [name for name in model.state_dict() if not (tied and name == "lm_head.weight")]
    for k, name in enumerate(sorted(names, key=checkpoint_order)):
        tensor = model.state_dict()[name]
        rows = tensor.reshape(tensor.shape[0], -1)
        i = torch.arange(rows.shape[0])[:, None]
        j = torch.arange(rows.shape[1])[None, :]
        values = ((7 * i + 3 * j + 5 * k + i * j) % 23 - 11).double() / 32
        rows.copy_(values + (1 if "norm" in name else 0))


def adapter_order(name: str) -> tuple[int, ...]:
    """Sorts as the adapter lists tensors: for projections that share an input, A before B."""
    groups = [0, 0, 0, 1, 2, 2, 3]
    target = next(i for i, part in enumerate(TARGETS) if part in name)
    return (int(name.split(".layers.")[1].split(".")[0]), groups[target], "lora_B" in name, target)


def case(name: str, model: torch.nn.Module, tied: bool) -> dict[str, object]:
    """Log-probabilities of the adapted model, and the gradient of their weighted sum."""
    model = model.double().eval()
    with torch.no_grad():
        fill(model, tied)
    config = peft.LoraConfig(r=2, lora_alpha=3, target_modules=list(TARGETS))
    adapted = peft.get_peft_model(model, config).double().eval()
    factors = sorted(
        ((n, p) for n, p in adapted.named_parameters() if "lora_" in n),
        key=lambda item: adapter_order(item[0]),
    )
    first = 0
    for _, parameter in factors:
        with torch.no_grad():
            i = torch.arange(first, first + parameter.numel())
            parameter.copy_((((13 * i) % 17 - 8).double() / 32).reshape(parameter.shape))
        first += parameter.numel()

    log_p, objective, place = [], torch.zeros(()).double(), 0
    for tokens in SEQUENCES:
        logits = adapted(torch.tensor([tokens])).logits[0].double()
        next_tokens = torch.tensor(tokens[1:], dtype=torch.long)
        own = torch.log_softmax(logits, -1)[torch.arange(len(next_tokens)), next_tokens]
        log_p += [0.0, *own.tolist()]
        # Coefficient of token t of the batch: (t % 5 - 2) / 4.
        c = torch.tensor([(t % 5 - 2) / 4 for t in range(place + 1, place + len(tokens))]).double()
        objective = objective + (c * own).sum()
        place += len(tokens)
    objective.backward()
    gradient = torch.cat([parameter.grad.reshape(-1) for _, parameter in factors])
    return {"name": name, "logP": log_p, "gradient": gradient.tolist()}


llama = transformers.LlamaConfig(
    **SIZES, head_dim=6, tie_word_embeddings=False, rope_parameters=LLAMA3
)
qwen = transformers.Qwen2Config(
    **SIZES,
    tie_word_embeddings=True,
    rope_parameters={"rope_type": "linear", "rope_theta": 100.0, "factor": 2.0},
)
cases = [
    case("llama3", transformers.LlamaForCausalLM(llama), tied=False),
    case("qwen2", transformers.Qwen2ForCausalLM(qwen), tied=True),
]
Path(__file__).with_suffix(".json").write_text(json.dumps(cases) + "\n")
