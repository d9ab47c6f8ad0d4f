"""What is cut from token sequences that are too long."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from .. import _arrays
from ..errors import DomainError

__all__ = ["TruncatedPair", "truncate", "truncate_pair"]


class TruncatedPair(NamedTuple):
    """A prompt and its completions after `truncate_pair`."""

    prompt: list[int]
    chosen: list[int]
    rejected: list[int]
    truncated: tuple[bool, bool, bool]
    """Whether each of the three lost tokens. A cut completion has lost its end-of-sequence."""
    identical: bool
    """Whether the completions are now the same: a pair without a gradient, better left out."""


def truncate(
    prompt: Sequence[int],
    completion: Sequence[int],
    max_length: int,
    max_prompt_length: int | None = None,
) -> tuple[list[int], list[int]]:
    """A prompt that keeps its end and a completion that keeps its start; see `truncate_pair`."""
    pair = truncate_pair(prompt, completion, completion, max_length, max_prompt_length)
    return pair.prompt, pair.chosen


def truncate_pair(
    prompt: Sequence[int],
    chosen: Sequence[int],
    rejected: Sequence[int],
    max_length: int,
    max_prompt_length: int | None = None,
) -> TruncatedPair:
    """Cuts a prompt and two completions to `max_length` tokens, for both members alike.

    Nothing is cut if the prompt and the longer completion fit. Else the prompt keeps its last
    tokens, as many as the longer completion leaves it, but at least `max_prompt_length` (all, if
    it is shorter than that); then each completion keeps its first ``max_length`` - prompt tokens.
    So both members have the same prompt and the same room, and a completion is always judged from
    its first token.

    Parameters
    ----------
    max_length
        Of prompt and completion together, at least 2.
    max_prompt_length
        Below `max_length`; None: half of it.
    """
    max_length = _arrays.integer("max_length", max_length, 2, 2**31)
    if max_prompt_length is None:
        max_prompt_length = max_length // 2
    max_prompt_length = _arrays.integer("max_prompt_length", max_prompt_length, 0, 2**31)
    if max_prompt_length >= max_length:
        raise DomainError(
            f"max_prompt_length: expected less than max_length = {max_length}, "
            f"got {max_prompt_length}"
        )
    longest = max(len(chosen), len(rejected))
    kept = min(len(prompt), max(max_prompt_length, max_length - longest))
    room = max_length - kept
    sequences = (
        list(prompt[len(prompt) - kept :]),
        list(chosen[:room]),
        list(rejected[:room]),
    )
    cut = tuple(
        len(now) < len(before)
        for now, before in zip(sequences, (prompt, chosen, rejected), strict=True)
    )
    return TruncatedPair(
        *sequences, truncated=(cut[0], cut[1], cut[2]), identical=sequences[1] == sequences[2]
    )
