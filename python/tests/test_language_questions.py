import json

import pytest
from fpo.errors import ArgumentError, FormatError
from fpo.language.questions import read_prompts, shipped_prompts


def test_the_shipped_prompts():
    prompts = shipped_prompts()
    assert len(prompts) >= 600
    assert len({prompt.lower() for prompt in prompts}) == len(prompts)
    assert all(prompt == prompt.strip() and prompt.isascii() for prompt in prompts)
    assert max(map(len, prompts)) < 200


def test_a_jsonl_file(tmp_path):
    path = tmp_path / "prompts.jsonl"
    path.write_text('{"prompt": "a?", "x": 1}\n\n{"prompt": "b?"}\n')
    assert read_prompts(path) == ["a?", "b?"]


def test_bad_rows_are_named_by_line(tmp_path):
    rows = ['{"prompt": "a?"}', "", "{", '{"prompt": 3}', '{"question": "?"}', '{"prompt": " "}']
    path = tmp_path / "prompts.jsonl"
    path.write_text("\n".join(rows))
    with pytest.raises(FormatError) as caught:
        read_prompts(path)
    assert [line.split(":")[1] for line in str(caught.value).splitlines()] == ["3", "4", "5", "6"]


def test_files_that_cannot_be_prompts(tmp_path):
    (tmp_path / "empty.jsonl").write_text("")
    with pytest.raises(FormatError, match="no prompts"):
        read_prompts(tmp_path / "empty.jsonl")
    (tmp_path / "latin.jsonl").write_bytes(b'{"prompt": "\xe9"}')
    with pytest.raises(FormatError, match="UTF-8"):
        read_prompts(tmp_path / "latin.jsonl")
    (tmp_path / "x.csv").write_text("prompt\n")
    with pytest.raises(ArgumentError, match="x.csv"):
        read_prompts(tmp_path / "x.csv")
    with pytest.raises(ArgumentError, match="shipped"):
        read_prompts(tmp_path / "nothing.jsonl")


def test_a_parquet_file(tmp_path):
    pandas = pytest.importorskip("pandas")
    pytest.importorskip("pyarrow")
    path = tmp_path / "prompts.parquet"
    pandas.DataFrame({"prompt": ["a?", "b?"], "x": [1, 2]}).to_parquet(path)
    assert read_prompts(path) == ["a?", "b?"]
    pandas.DataFrame({"prompt": ["a?", None]}).to_parquet(path)
    with pytest.raises(FormatError, match="row 2: expected an object with a text in prompt"):
        read_prompts(path)
    pandas.DataFrame({"text": ["a?"]}).to_parquet(path)
    with pytest.raises(FormatError, match="row 1: expected an object with a text in prompt"):
        read_prompts(path)


def test_shipped_prompts_are_not_truthfulqa():
    import gzip
    import os

    data = os.environ.get("FPO_DATA")
    if not data:
        pytest.skip("FPO_DATA is not set")
    with gzip.open(f"{data}/truthfulqa/questions_v1.jsonl.gz", "rt") as file:
        questions = {json.loads(line)["question"].lower() for line in file}
    assert not questions & {prompt.lower() for prompt in shipped_prompts()}
