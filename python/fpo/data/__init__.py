"""Preference and prompt data in TRL's schema, checked row by row.

>>> pairs = fpo.data.read("pairs.jsonl").deduplicated()
>>> parts = pairs.split(train=0.9, test=0.1)
>>> lengths = [len(tokenizer.encode(text)) for text in parts["train"].column("chosen")]
>>> for rows in fpo.data.length_sorted_batches(lengths, 8, fpo.random.key(0)):
...     batch = parts["train"][rows]
"""

from __future__ import annotations

from .batches import length_sorted_batches, permutation
from .dataset import Dataset, first_user_turn, read
from .sets import gsm8k, hh_rlhf, popquorn, truthfulqa_labels
from .truncation import TruncatedPair, truncate, truncate_pair

__all__ = [
    "Dataset",
    "TruncatedPair",
    "first_user_turn",
    "gsm8k",
    "hh_rlhf",
    "length_sorted_batches",
    "permutation",
    "popquorn",
    "read",
    "truncate",
    "truncate_pair",
    "truthfulqa_labels",
]
