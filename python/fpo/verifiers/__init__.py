"""Verifiable rewards (RLVR): reward functions with TRL's signature that check an answer.

>>> verifier = fpo.verifiers.NumericMatch()
>>> verifier(["6 times 7 is 42.", "#### 41", "no idea"], answer=["42", "#### 42", "?"])
[1.0, 0.0, None]

None means that a completion cannot be scored; `group_statistics` leaves it out.
"""

from __future__ import annotations

from .answers import ExactMatch, FormatMatch, MultipleChoice, NumericMatch, ThinkFormat
from .base import (
    GroupStatistics,
    Verdict,
    Verifier,
    as_array,
    completion_text,
    group_statistics,
)
from .code import InputOutput, UnitTests, code_of
from .composition import Gated, Lexicographic, Noisy, Normalised, Weighted, debiased
from .numbers import find_numbers, parse_number
from .sandbox import Limits

__all__ = [
    "ExactMatch",
    "FormatMatch",
    "Gated",
    "GroupStatistics",
    "InputOutput",
    "Lexicographic",
    "Limits",
    "MultipleChoice",
    "Noisy",
    "Normalised",
    "NumericMatch",
    "ThinkFormat",
    "UnitTests",
    "Verdict",
    "Verifier",
    "Weighted",
    "as_array",
    "code_of",
    "completion_text",
    "debiased",
    "find_numbers",
    "group_statistics",
    "parse_number",
]
