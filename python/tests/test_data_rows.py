"""Rows in TRL's schema: what is accepted, what is refused and how, files there and back."""

from __future__ import annotations

import gzip
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fpo.data import Dataset, read
from fpo.errors import ArgumentError, DomainError, DTypeError, FormatError, ShapeError
from hypothesis import given, settings
from hypothesis import strategies as st

USER = {"role": "user", "content": "Why?"}
GOOD = {"role": "assistant", "content": "Because."}
BAD = {"role": "assistant", "content": "No."}
PAIR = {"prompt": "Why?", "chosen": "Because.", "rejected": "No."}
TALK = {"prompt": [USER], "chosen": [GOOD], "rejected": [BAD]}

GOOD_ROWS: list[tuple[str, dict[str, Any]]] = [
    ("preference", PAIR),
    ("preference", TALK),
    ("preference", PAIR | {"margin": 0.5, "soft_label": 0.5, "tie": True, "weight": 2}),
    ("unpaired-preference", {"prompt": "p", "completion": "c", "label": True}),
    ("unpaired-preference", {"prompt": "p", "completion": "", "label": 0}),
    ("stepwise", {"prompt": "p", "completions": ["a", "b"], "labels": [True, None]}),
    ("prompt-completion", {"prompt": "p", "completion": "c", "answer": "42"}),
    ("prompt", {"prompt": [USER]}),
    ("messages", {"messages": [USER, GOOD]}),
    ("text", {"text": "t"}),
]


@pytest.mark.parametrize(("kind", "row"), GOOD_ROWS)
def test_the_fields_tell_the_kind(kind: str, row: dict[str, Any]) -> None:
    dataset = Dataset([row])
    assert dataset.kind == kind
    assert dataset.conversational == any(isinstance(row.get(k), list) for k in ("prompt", kind))
    read_back = dataset[0]
    for name, value in row.items():
        if name != "labels":
            assert read_back[name] == value


BAD_ROWS: list[tuple[Any, str]] = [
    (3, "expected an object with named fields, got 3"),
    ({}, "expected the fields of one kind"),
    ({"chosen": "a", "rejected": "b"}, "chosen: expected a list of messages, got 'a'"),
    ({"prompt": "p", "chosen": "a"}, "rejected: missing; a row of kind preference has prompt, cho"),
    (PAIR | {"chosen": None}, "chosen: expected a text or a list of messages, got null"),
    (PAIR | {"chosen": 3}, "chosen: expected a text or a list of messages, got 3"),
    (PAIR | {"chosen": []}, r"chosen: expected a list of messages, got \[\]"),
    (PAIR | {"chosen": "\ud800"}, "chosen: expected Unicode text, got a lone surrogate at 0"),
    (PAIR | {"prompt": [USER]}, "expected all plain texts or all conversations"),
    (TALK | {"chosen": [USER]}, "chosen: expected the last message to be the assistant's"),
    (TALK | {"prompt": [GOOD]}, "prompt message 0: role: expected system or user, got 'assist"),
    (TALK | {"prompt": [{"role": "human", "content": ""}]}, "role: expected one of system, user"),
    (TALK | {"prompt": [USER | {"x": 1}]}, "message 0: expected exactly 'role' and 'content'"),
    (TALK | {"prompt": [USER | {"content": 1}]}, "prompt message 0: content: expected a text"),
    (PAIR | {"margin": -1}, r"margin: expected a finite number of at least 0, got -1"),
    (PAIR | {"margin": math.inf}, "margin: expected a finite number"),
    (PAIR | {"margin": True}, "margin: expected a finite number"),
    (PAIR | {"soft_label": 1.5}, r"soft_label: expected a finite number in \[0, 1\], got 1.5"),
    (PAIR | {"soft_label": math.nan}, r"soft_label: expected a finite number in \[0, 1\]"),
    (PAIR | {"tie": True, "soft_label": 0.7}, "soft_label: expected 0.5 for a tie, got 0.7"),
    ({"prompt": "p", "completion": "c", "label": "yes"}, "label: expected true or false"),
    ({"prompt": "p", "completions": ["a"], "labels": [1, 0]}, "labels: expected 1, one for each"),
    ({"prompt": "p", "completions": [], "labels": []}, "completions: expected a list of texts"),
    ({"prompt": "p", "completions": ["a"], "labels": [-1]}, "labels item 0: expected a finite"),
]


@pytest.mark.parametrize(("row", "message"), BAD_ROWS)
def test_a_wrong_row_is_named(row: Any, message: str) -> None:
    with pytest.raises(FormatError, match=f"row 0: .*{message}"):
        Dataset([row])


def test_all_bad_lines_are_named_with_their_numbers(tmp_path: Path) -> None:
    path = tmp_path / "pairs.jsonl"
    good = json.dumps(PAIR)
    path.write_bytes(
        f'{good}\n\n{good}\n{{"prompt": "p"\n[1]\n'.encode()
        + b'{"prompt": "\xff"}\n'
        + json.dumps(PAIR | {"chosen": 1}).encode()
        + b'\n{"prompt": "p", "chosen": "a", "rejected": "b", "margin": NaN}'
    )
    with pytest.raises(FormatError) as caught:
        read(path)
    lines = str(caught.value).splitlines()
    assert [line.split(":")[1] for line in lines] == ["4", "5", "6", "7", "8"]
    assert "expected one JSON object" in lines[0] and "got [1]" in lines[1]
    assert "expected UTF-8, got byte 0xff" in lines[2] and "NaN is not JSON" in lines[4]
    path.write_text("1\n" * 30)
    with pytest.raises(FormatError, match="and 20 more"):
        read(path)
    path.write_text("[" * 200_000)
    with pytest.raises(FormatError, match="pairs.jsonl:1: expected one JSON object"):
        read(path)


def test_a_first_row_decides_and_others_must_agree(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match="row 1: chosen: missing"):
        Dataset([PAIR, {"prompt": "p"}])
    with pytest.raises(FormatError, match="row 0: label: missing"):
        Dataset([{"prompt": "p", "completion": "c"}], "unpaired-preference")
    with pytest.raises(DomainError, match="kind: expected one of"):
        Dataset([PAIR], "pairs")
    with pytest.raises(ArgumentError, match="kind: expected the kind of an empty set"):
        Dataset([])
    assert len(Dataset([], "preference")) == 0
    with pytest.raises(ArgumentError, match=r"ends in \.jsonl"):
        read(tmp_path / "pairs.csv")


def test_the_prompt_of_whole_conversations_is_what_they_share() -> None:
    before = [USER, BAD, USER]
    rows = [
        {"chosen": [*before, GOOD], "rejected": [*before, BAD]},
        {"chosen": [*before, GOOD], "rejected": [*before, GOOD]},
    ]
    dataset = Dataset(rows)
    assert dataset.column("prompt") == [before, before]
    assert dataset[0]["chosen"] == [GOOD] and dataset[0]["rejected"] == [BAD]
    assert dataset.identical_pairs().tolist() == [False, True]
    with pytest.raises(FormatError, match="do not begin with the same turn"):
        Dataset([{"chosen": [USER, GOOD], "rejected": [USER | {"content": "?"}, GOOD]}])


def test_columns_and_selection() -> None:
    rows = [PAIR | {"id": i, "margin": i / 2, "note": "n" * i} for i in range(5)]
    rows[2] = PAIR | {"id": 2}
    dataset = Dataset(rows)
    assert dataset.columns == ("prompt", "chosen", "rejected", "id", "margin", "note")
    assert dataset.column("id").dtype == np.int64
    np.testing.assert_array_equal(dataset.column("margin"), [0, 0.5, 0, 1.5, 2])
    assert dataset.column("note") == ["", "n", None, "nnn", "nnnn"]
    assert [row["id"] for row in dataset] == [0, 1, 2, 3, 4]
    assert dataset[-1]["id"] == 4 and isinstance(dataset[-1]["id"], int)
    assert dataset[1:3].column("id").tolist() == [1, 2]
    assert dataset[[3, -1, 3]].column("id").tolist() == [3, 4, 3]
    assert dataset[dataset.column("margin") > 1].column("id").tolist() == [3, 4]
    assert len(dataset[[]]) == 0 and dataset.filter(lambda row: row["id"] % 2)[0]["id"] == 1
    for index, kind in ((9, IndexError), ([5], DomainError), ([0.5], DTypeError)):
        with pytest.raises(kind):
            dataset[index]
    with pytest.raises(ShapeError):
        dataset[np.ones(3, bool)]
    with pytest.raises(DomainError, match="name: expected one of prompt"):
        dataset.column("reward")


def test_soft_labels_and_kto_rows() -> None:
    dataset = Dataset([PAIR, PAIR | {"tie": True}, PAIR | {"soft_label": 0.2}])
    np.testing.assert_array_equal(dataset.soft_labels(), [1, 0.5, 0.2])
    unpaired = dataset.to_unpaired()
    assert unpaired.column("completion") == ["Because.", "No."] * 2
    assert unpaired.column("label").tolist() == [True, False, False, True]
    with pytest.raises(ArgumentError, match="expected kind preference, got unpaired"):
        unpaired.soft_labels()


def test_rows_of_arrays() -> None:
    row = {"prompt": np.str_("p"), "completions": np.array(["a"]), "labels": np.array([1.0])}
    assert Dataset([row])[0] == {"prompt": "p", "completions": ["a"], "labels": [1.0]}


def test_duplicates() -> None:
    dataset = Dataset([PAIR, PAIR | {"id": 1}, PAIR | {"chosen": "no"}, PAIR])
    assert dataset.duplicates().tolist() == [False, True, False, True]
    assert dataset.deduplicated().column("chosen") == ["Because.", "no"]


TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)


@settings(deadline=None)
@given(st.lists(st.tuples(TEXTS, TEXTS, TEXTS, st.floats(0, 1)), min_size=1, max_size=5))
def test_files_there_and_back(tmp_path_factory: pytest.TempPathFactory, rows: list[Any]) -> None:
    folder = tmp_path_factory.mktemp("rows")
    names = ("prompt", "chosen", "rejected", "soft_label")
    dataset = Dataset([dict(zip(names, row, strict=True)) for row in rows])
    for suffix in ("jsonl", "jsonl.gz"):
        dataset.write(folder / f"x.{suffix}")
        assert list(read(folder / f"x.{suffix}")) == list(dataset)


def test_gzip_and_parquet(tmp_path: Path) -> None:
    dataset = Dataset([{"prompt": "p", "completions": ["a", "b"], "labels": [True, None]}] * 3)
    first, second = tmp_path / "1.jsonl.gz", tmp_path / "2.jsonl.gz"
    dataset.write(first)
    dataset.write(second)
    assert first.read_bytes() == second.read_bytes()
    assert len(read(first, second)) == 6
    first.write_bytes(first.read_bytes()[:-12])
    with pytest.raises(FormatError, match="cannot be read as gzip"):
        read(first)
    first.write_bytes(b"plain")
    with pytest.raises(FormatError, match="cannot be read as gzip"):
        read(first)
    with gzip.open(first, "wb") as file:
        file.write(b'{"prompt": 1}')
    with pytest.raises(FormatError, match=r"1\.jsonl\.gz:1: prompt: expected a text"):
        read(first)


def test_parquet(tmp_path: Path) -> None:
    arrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    path = tmp_path / "x.parquet"
    for rows in ([PAIR | {"margin": 0.5}, PAIR], [TALK, TALK]):
        dataset = Dataset(rows)
        dataset.write(path)
        assert list(read(path)) == list(dataset)
    parquet.write_table(arrow.Table.from_pylist([PAIR, PAIR | {"chosen": None}]), path)
    with pytest.raises(FormatError, match=r"x\.parquet: row 2: chosen: expected a text"):
        read(path)
    path.write_bytes(b"PAR1")
    with pytest.raises(FormatError, match="cannot be read as Parquet"):
        read(path)
