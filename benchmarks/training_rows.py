"""The training rows: an optimiser step on MiniLM and on SmolLM2, all cores, wall clock."""

from . import machine
from .contest import Contestant, contest
from .language_rows import ALLOWANCE, PEERS, cores_in_words, describe, unless_missing
from .row import Measurement, Row, row

REWARD_PAIRS, DPO_PAIRS = 16, 4


def reward_rows(repeats: int) -> list[Row]:
    """Reward-model training on all parameters."""
    cores, arguments = machine.cores(), {"count": REWARD_PAIRS}
    ours = Contestant("training.fpo_reward", arguments, cores)
    peer = Contestant("training.torch_reward", arguments, cores)
    contest([ours, peer], repeats)
    note = (
        f"{cores_in_words()}, MiniLM, all parameters, f32, {REWARD_PAIRS} pairs; "
        f"{describe({'ours': ours, 'torch': peer})}"
    )
    return [row("reward-training-step", ours, peer, "torch f32", note)]


def dpo_rows(repeats: int) -> list[Row]:
    """DPO on an adapter: ours in f32 and bf16 against the faster of the peer's two."""
    cores = machine.cores()
    ours, peers = (
        {
            kind: Contestant(f"training.{side}", {name: kind, "count": DPO_PAIRS}, cores)
            for kind in PEERS
        }
        for side, name in (("fpo_dpo", "storage"), ("torch_dpo", "dtype"))
    )
    contest([*ours.values(), *peers.values()], repeats, allowance=ALLOWANCE)
    faster = min(peers, key=lambda one: peers[one].best)
    text = (
        f"{cores_in_words()}, SmolLM2 with LoRA of rank 16, {DPO_PAIRS} pairs; "
        f"ours {describe(ours)}; torch {describe(peers)}"
    )
    return [
        row(name, ours[storage], peers[faster], f"torch {faster}", f"{storage}, {text}")
        for storage, name in (("f32", "dpo-step"), ("bf16", "dpo-step-bf16"))
    ]


MEASUREMENTS = [
    Measurement(("reward-training-step",), unless_missing(reward_rows)),
    Measurement(("dpo-step", "dpo-step-bf16"), unless_missing(dpo_rows)),
]
