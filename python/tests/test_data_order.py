"""Splits, batches and truncation: deterministic, without leaks, and the same for both members."""

from __future__ import annotations

import os

import fpo
import numpy as np
import pytest
from fpo.data import (
    Dataset,
    first_user_turn,
    length_sorted_batches,
    permutation,
    truncate,
    truncate_pair,
)
from fpo.errors import DomainError, DTypeError
from hypothesis import given, settings
from hypothesis import strategies as st

PLACES = {"a": 0.7578, "b": 0.5992}  # b2sum -l 64 of the turn after a zero byte
needs_data = pytest.mark.skipif("FPO_DATA" not in os.environ, reason="FPO_DATA is not set")


def test_first_user_turn() -> None:
    turns = [
        {"role": "system", "content": "s"},
        {"role": "user", "content": " u "},
        {"role": "assistant", "content": "a"},
        {"role": "user", "content": "v"},
    ]
    assert first_user_turn(turns) == "u"
    assert first_user_turn(turns[:1]) == "s"
    assert first_user_turn("\n\nHuman: u\n\nAssistant: a\n\nHuman: v\n\nAssistant:") == "u"
    assert first_user_turn("Is a Human: being?\n") == "Is a Human: being?"


def test_a_split_depends_on_the_turn_alone() -> None:
    dataset = Dataset([{"prompt": f"question {i % 700}", "n": i} for i in range(1400)])
    parts = dataset.split(train=0.7, validation=0.1, test=0.2)
    assert list(parts) == ["train", "validation", "test"]
    assert sum(map(len, parts.values())) == 1400
    seen = [set(part.column("prompt")) for part in parts.values()]
    assert not (seen[0] & seen[1] or seen[0] & seen[2] or seen[1] & seen[2])
    for part, share in zip(parts.values(), (0.7, 0.1, 0.2), strict=True):
        assert abs(len(part) / 1400 - share) < 4 * np.sqrt(share * (1 - share) / 700)
    shuffled = dataset[permutation(1, 1400)[:900]].split(train=0.7, validation=0.1, test=0.2)
    assert set(shuffled["test"].column("n")) <= set(parts["test"].column("n"))
    other = dataset.split("other", train=0.7, validation=0.1, test=0.2)
    assert set(other["test"].column("n")) != set(parts["test"].column("n"))
    # A place computed by hand: the rule is part of the interface.
    for turn, place in PLACES.items():
        below = Dataset([{"prompt": turn}]).split(low=place - 1e-4, high=1 - place + 1e-4)
        above = Dataset([{"prompt": turn}]).split(low=place + 1e-4, high=1 - place - 1e-4)
        assert (len(below["low"]), len(above["low"])) == (0, 1)
    for shares in ({}, {"train": 0.5}, {"train": 1.5, "test": -0.5}):
        with pytest.raises(DomainError, match="shares: expected numbers"):
            dataset.split(**shares)
    assert len(dataset.split(train=1.0, test=0.0)["test"]) == 0


def test_permutation() -> None:
    order = permutation(fpo.random.key(0), 1000)
    assert sorted(order) == list(range(1000))
    assert (order == permutation(fpo.random.key(0), 1000)).all()
    assert (order != permutation(fpo.random.key(1), 1000)).any()
    firsts = [permutation(fpo.random.key(seed), 5)[0] for seed in range(2000)]
    assert abs(np.bincount(firsts, minlength=5) - 400).max() < 80  # 4.5 standard deviations


@settings(deadline=None)
@given(
    st.lists(st.integers(0, 50), max_size=60),
    st.integers(1, 9),
    st.one_of(st.none(), st.integers(0, 2**64 - 1)),
    st.integers(1, 4),
)
def test_each_row_is_in_one_batch(
    lengths: list[int], size: int, key: int | None, window: int
) -> None:
    batches = length_sorted_batches(lengths, size, key, window=window)
    rows = np.concatenate([np.empty(0, int), *batches])
    assert sorted(rows) == list(range(len(lengths)))
    assert sum(len(batch) < size for batch in batches) <= 1
    again = length_sorted_batches(lengths, size, key, window=window)
    assert all((a == b).all() for a, b in zip(batches, again, strict=True))
    full = length_sorted_batches(lengths, size, key, window=window, drop_last=True)
    assert len(full) == len(lengths) // size
    if key is None:
        assert [lengths[i] for i in rows] == sorted(lengths, reverse=True)


def test_sorting_saves_padding() -> None:
    lengths = (np.exp(fpo.random.normal(0, 2000)) * 50).astype(int)

    def padded(window: int) -> int:
        batches = length_sorted_batches(lengths, 8, 3, window=window)
        return sum(int(lengths[batch].max()) * len(batch) for batch in batches)

    assert padded(32) < 1.3 * lengths.sum() < 2 * lengths.sum() < padded(1)
    first = [length_sorted_batches(lengths, 8, key)[0].tolist() for key in range(5)]
    assert len(set(map(tuple, first))) == 5
    for wrong in ([0.5], [[1]]):
        with pytest.raises(DTypeError, match="lengths: expected a vector of whole"):
            length_sorted_batches(wrong, 8, 0)
    with pytest.raises(DomainError, match="lengths: expected at least 0"):
        length_sorted_batches([-1], 8, 0)


TOKENS = st.lists(st.integers(0, 9), max_size=12)


@settings(deadline=None)
@given(TOKENS, TOKENS, TOKENS, st.integers(2, 20), st.data())
def test_truncation_is_the_same_for_both(
    prompt: list[int], chosen: list[int], rejected: list[int], limit: int, data: st.DataObject
) -> None:
    share = data.draw(st.one_of(st.none(), st.integers(0, limit - 1)))
    pair = truncate_pair(prompt, chosen, rejected, limit, share)
    longest = max(len(chosen), len(rejected))
    assert pair.prompt == prompt[len(prompt) - len(pair.prompt) :]
    assert pair.chosen == chosen[: len(pair.chosen)]
    assert pair.rejected == rejected[: len(pair.rejected)]
    assert len(pair.prompt) + max(len(pair.chosen), len(pair.rejected)) <= limit
    if len(prompt) + longest <= limit:
        assert pair[:3] == (prompt, chosen, rejected) and not any(pair.truncated)
    else:  # no room is wasted
        assert len(pair.prompt) + max(len(pair.chosen), len(pair.rejected)) == limit
    swapped = truncate_pair(prompt, rejected, chosen, limit, share)
    assert swapped[:3] == (pair.prompt, pair.rejected, pair.chosen)
    assert pair.identical == (pair.chosen == pair.rejected)


def test_truncation_by_hand() -> None:
    pair = truncate_pair([1, 2, 3, 4], [5, 6, 7, 8], [5, 6, 9], 6, 3)
    assert pair == ([2, 3, 4], [5, 6, 7], [5, 6, 9], (True, True, False), False)
    assert truncate_pair([1], [5, 6, 7], [5, 6, 8], 3).identical
    assert truncate([1, 2, 3, 4], [5], 3) == ([3, 4], [5])
    with pytest.raises(DomainError, match="max_prompt_length: expected less than max_length"):
        truncate([1], [1], 4, 4)


@needs_data
def test_public_sets() -> None:
    pairs = fpo.data.hh_rlhf()
    assert (pairs.kind, len(pairs), pairs.conversational) == ("preference", 8497, True)
    assert not pairs.identical_pairs().any()
    assert all(row[-1]["role"] == "user" for row in pairs.column("prompt"))
    parts = pairs.split(train=0.8, test=0.2)
    turns = [set(map(first_user_turn, part.column("prompt"))) for part in parts.values()]
    assert not turns[0] & turns[1] and 0.77 < len(parts["train"]) / 8497 < 0.83
    labels = fpo.data.truthfulqa_labels()
    assert (labels.kind, len(labels)) == ("unpaired-preference", 22434)
    problems = fpo.data.gsm8k("test")
    assert len(problems) == 1319 and problems[0]["completion"].endswith("\n#### 18")
    ratings = fpo.data.popquorn()
    assert (len(ratings.texts), len(ratings.rating)) == (1500, 13036)
    with pytest.raises(DomainError, match="subsets: expected some of"):
        fpo.data.hh_rlhf(["helpful"])


def test_a_missing_folder_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FPO_DATA", raising=False)
    with pytest.raises(ValueError, match="root: expected a folder, or one named by the variable"):
        fpo.data.gsm8k()
