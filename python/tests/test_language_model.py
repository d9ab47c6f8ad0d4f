"""Small random models against Transformers and PEFT in float32."""

from __future__ import annotations

from pathlib import Path

import fpo
import numpy as np
import pytest
from fpo.errors import ArgumentError, DomainError, FormatError, NonFiniteError, ShapeError
from fpo.language import AdapterSettings, LanguageModel, LlamaPolicy
from fpo.language.safetensors import SafetensorsFile, write_safetensors

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")
tokenizers = pytest.importorskip("tokenizers")

VOCABULARY = 97
SIZES = {
    "vocab_size": VOCABULARY,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 128,
    "eos_token_id": 1,
    "bos_token_id": 0,
}
SCALED = {
    "rope_type": "llama3",
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 32,
    "rope_theta": 10000.0,
}
KINDS = {
    "llama": (transformers.LlamaConfig, {}),
    "tied": (transformers.LlamaConfig, {"tie_word_embeddings": True}),
    "llama3": (transformers.LlamaConfig, {"rope_parameters": SCALED}),
    "wide-heads": (transformers.LlamaConfig, {"head_dim": 16}),
    "qwen2": (transformers.Qwen2Config, {}),
}


def save_tokenizer(folder: Path, size: int = VOCABULARY) -> None:
    words = {"<s>": 0, "</s>": 1, **{f"w{i}": i for i in range(2, size)}}
    backend = tokenizers.Tokenizer(tokenizers.models.WordLevel(words, unk_token="w2"))
    backend.pre_tokenizer = tokenizers.pre_tokenizers.WhitespaceSplit()
    backend.save(str(folder / "tokenizer.json"))
    (folder / "tokenizer_config.json").write_text('{"bos_token": "<s>", "eos_token": "</s>"}')


def make(folder: Path, kind: str = "llama"):
    config_class, changes = KINDS[kind]
    torch.manual_seed(0)
    config = config_class(**{**SIZES, **changes})
    model = transformers.AutoModelForCausalLM.from_config(config).float().eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "bias" in name:
                parameter.normal_(0, 0.2)
            elif "norm" in name:
                parameter.uniform_(0.5, 1.5)
            else:
                parameter.normal_(0, 0.15)
    model.save_pretrained(str(folder))
    save_tokenizer(folder)
    return model


@pytest.fixture(scope="module", params=list(KINDS))
def pair(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp(request.param)
    theirs = make(folder, request.param)
    return LanguageModel.from_pretrained(folder, storage="f32"), theirs


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    folder = tmp_path_factory.mktemp("plain")
    theirs = make(folder)
    return LanguageModel.from_pretrained(folder, storage="f32"), theirs, folder


def sequences(seed=0, lengths=(1, 7, 40, 23)):
    draw = np.random.default_rng(seed)
    return [draw.integers(0, VOCABULARY, n).tolist() for n in lengths]


def their_logits(model, tokens):
    with torch.no_grad():
        return model(torch.tensor([tokens])).logits[0].float().numpy()


def log_softmax(x):
    x = x.astype(np.float64)
    x = x - x.max(axis=-1, keepdims=True)
    return x - np.log(np.exp(x).sum(axis=-1, keepdims=True))


def test_logits(pair):
    ours, theirs = pair
    for tokens in sequences():
        np.testing.assert_allclose(
            ours.logits(tokens), their_logits(theirs, tokens), rtol=1e-3, atol=2e-4
        )


def test_log_probabilities_and_continuations(pair):
    ours, theirs = pair
    batch = sequences()
    for tokens, found in zip(batch, ours.log_probabilities(batch), strict=True):
        table = log_softmax(their_logits(theirs, tokens))
        expected = table[np.arange(len(tokens) - 1), tokens[1:]]
        np.testing.assert_allclose(found[1:], expected, atol=2e-4)
        assert found[0] == 0
    context = batch[1]
    given = [*sequences(5, (3, 1, 9)), []]
    greedy = int(np.argmax(their_logits(theirs, context)[-1]))
    found = ours.continuations(context, [*given, [greedy]])
    for tokens, log_p in zip(given, found.log_probabilities, strict=False):
        table = log_softmax(their_logits(theirs, context + tokens))
        at = np.arange(len(context) - 1, len(context) + len(tokens) - 1)
        np.testing.assert_allclose(log_p, table[at, tokens], atol=2e-4)
    assert found.greedy[-1] is True
    assert found.sums.shape == (5,)


def test_hidden_states(pair):
    ours, theirs = pair
    tokens = sequences()[2]
    with torch.no_grad():
        states = theirs(torch.tensor([tokens]), output_hidden_states=True).hidden_states
    for layer, expected in enumerate(states):
        rows = expected[0].numpy()
        np.testing.assert_allclose(ours.hidden_states([tokens], layer), rows, rtol=1e-3, atol=2e-4)
        mean = ours.hidden_states([tokens, [3]], layer, pooling="mean")[0]
        np.testing.assert_allclose(mean, rows.mean(axis=0), rtol=1e-3, atol=2e-4)
        last = ours.hidden_states([[3], tokens], layer, pooling="last")[1]
        np.testing.assert_allclose(last, rows[-1], rtol=1e-3, atol=2e-4)


def test_greedy_generation(pair):
    ours, theirs = pair
    prompt = sequences()[1]
    [[answer]] = ours.generate([prompt], greedy=True, max_new_tokens=30, stop=[])
    logits = their_logits(theirs, prompt + answer.tokens)
    predicted = logits.argmax(axis=-1)[len(prompt) - 1 : -1]
    assert predicted.tolist() == answer.tokens


def test_sampled_log_probabilities_are_those_of_evaluation(pair):
    ours, _ = pair
    prompts = sequences(1, (5, 11))
    groups = ours.generate(
        prompts,
        candidates=4,
        max_new_tokens=12,
        temperature=0.8,
        top_p=0.9,
        top_k=20,
        key=fpo.random.key(3),
    )
    for prompt, group in zip(prompts, groups, strict=True):
        assert len({tuple(one.tokens) for one in group}) > 1
        found = ours.continuations(prompt, [one.tokens for one in group])
        for one, log_p in zip(group, found.log_probabilities, strict=True):
            np.testing.assert_allclose(one.log_probabilities, log_p, atol=1e-4)


def test_generation_stops_and_depends_on_its_key_alone(plain):
    ours, _, _ = plain
    prompt, key = sequences()[1], fpo.random.key(9)
    stops = list(range(VOCABULARY // 2))
    options = {"candidates": 3, "max_new_tokens": 9, "stop": stops, "key": key}
    [first] = ours.generate([prompt], **options)
    [second, _] = ours.generate([prompt, [5, 6]], **options)
    for one, other in zip(first, second, strict=True):
        assert one.tokens == other.tokens
        assert one.reason == ("stop" if one.tokens[-1] in stops else "length")
        assert not set(one.tokens[:-1]) & set(stops)
    [[later]] = ours.generate([prompt], min_new_tokens=6, **{**options, "candidates": 1})
    assert not set(later.tokens[:5]) & set(stops)


# ----------------------------------------------------------------------------------- LoRA


def with_adapter(theirs, settings, folder, base):
    """A policy of ours with drawn parameters, and PEFT's of the same."""
    peft = pytest.importorskip("peft")
    policy = LlamaPolicy(base, settings, key=fpo.random.key(4))
    policy.flat = np.random.default_rng(2).normal(0, 0.1, policy.parameter_count)
    policy.save_adapter(folder)
    return policy, peft.PeftModel.from_pretrained(theirs, str(folder), is_trainable=True)


@pytest.mark.parametrize("targets", [("q", "k", "v", "o"), ("q", "gate", "up", "down")])
def test_adapters_and_their_gradients_are_those_of_peft(tmp_path, targets):
    (tmp_path / "base").mkdir()
    theirs = make(tmp_path / "base")
    base = LanguageModel.from_pretrained(tmp_path / "base", storage="f32")
    settings = AdapterSettings(rank=3, alpha=7.0, dropout=0.0, targets=targets)
    policy, peft_model = with_adapter(theirs, settings, tmp_path / "adapter", base)
    tokens = sequences()[3]
    np.testing.assert_allclose(
        policy.logits(tokens), their_logits(peft_model, tokens), rtol=1e-3, atol=3e-4
    )
    draw = np.random.default_rng(3)
    weights = draw.uniform(size=len(tokens))
    value = policy.loss([tokens], [weights])
    peft_model.zero_grad()
    log_p = torch.log_softmax(peft_model(torch.tensor([tokens])).logits[0].double(), dim=-1)
    chosen = log_p[torch.arange(len(tokens) - 1), torch.tensor(tokens[1:])]
    loss = -(torch.tensor(weights[1:]) * chosen).sum()
    loss.backward()
    assert value == pytest.approx(float(loss), rel=1e-4)
    found = policy.gradient
    expected = {
        name.removeprefix("base_model.model.model.").replace(".default", ""): one.grad.numpy()
        for name, one in peft_model.named_parameters()
        if "lora_" in name
    }
    flat = np.concatenate([expected[name].ravel() for name in policy.shapes])
    assert np.linalg.norm(found - flat) <= 1e-3 * np.linalg.norm(flat)
    # The same in two calls, with coefficients.
    policy.gradient = np.zeros_like(found)
    policy.forward([tokens])
    policy.backward([-weights])
    np.testing.assert_allclose(policy.gradient, found, rtol=1e-3, atol=1e-5)


def test_a_new_policy_is_its_base_and_training_changes_it(plain):
    base, _, _ = plain
    policy = LlamaPolicy(base, AdapterSettings(rank=4, dropout=0.1), key=fpo.random.key(1))
    tokens = sequences()[2]
    np.testing.assert_array_equal(policy.logits(tokens), base.logits(tokens))
    weights = np.full(len(tokens), 1 / len(tokens))
    losses = []
    for i in range(30):
        losses.append(policy.loss([tokens], [weights], key=fpo.random.key(i)))
        assert policy.step(1e-2, max_grad_norm=1.0) > 0
        assert not policy.gradient.any()
    assert losses[-1] < losses[0] - 1
    assert not np.array_equal(policy.logits(tokens), base.logits(tokens))


def test_a_restored_policy_goes_on_bit_for_bit(plain):
    base, _, _ = plain
    tokens, settings = sequences()[2], AdapterSettings(rank=4, dropout=0.1)
    weights = np.full(len(tokens), 1 / len(tokens))

    def train(policy, rounds):
        for i in rounds:
            policy.loss([tokens], [weights], key=i)
            if i % 2:
                policy.step(1e-2, weight_decay=0.01)

    whole = LlamaPolicy(base, settings, key=5)
    train(whole, range(7))
    first = LlamaPolicy(base, settings, key=5)
    train(first, range(3))
    second = LlamaPolicy(base, settings)
    second.restore(first.state())
    second.gradient = first.gradient
    train(second, range(3, 7))
    np.testing.assert_array_equal(second.flat, whole.flat)
    np.testing.assert_array_equal(second.gradient, whole.gradient)
    with pytest.raises(FormatError):
        LlamaPolicy(base, AdapterSettings(rank=2)).restore(first.state())


def test_an_adapter_is_loaded_again(plain, tmp_path):
    base, _, _ = plain
    policy = LlamaPolicy(base, AdapterSettings(rank=2, targets=("v", "down")), key=1)
    policy.flat = np.random.default_rng(0).normal(size=policy.parameter_count)
    policy.save_adapter(tmp_path)
    again = LlamaPolicy.from_adapter(base, tmp_path)
    assert again.settings == policy.settings
    np.testing.assert_array_equal(again.flat, policy.flat)


# --------------------------------------------------------------------------------- faults


def test_bad_tokens_are_named(plain):
    base, _, _ = plain
    with pytest.raises(DomainError, match=r"sequences\[1\].*got 97"):
        base.log_probabilities([[1], [2, VOCABULARY]])
    with pytest.raises(DomainError, match="got -1"):
        base.log_probabilities([[-1]])
    with pytest.raises(ShapeError, match="128 tokens, got 129"):
        base.log_probabilities([[1] * 129])
    with pytest.raises(ShapeError, match=r"prompts\[0\]"):
        base.generate([[]], greedy=True)
    with pytest.raises(ArgumentError, match="context of 128"):
        base.generate([[1] * 128], greedy=True)
    with pytest.raises(ArgumentError, match="key"):
        base.generate([[1]])
    with pytest.raises(DomainError, match="max_new_tokens"):
        base.generate([[1] * 100], greedy=True, max_new_tokens=29)
    with pytest.raises(DomainError, match="layer"):
        base.hidden_states([[1]], 4)


def test_weights_that_are_not_finite(plain, tmp_path):
    _, _, folder = plain
    for file in folder.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    file = SafetensorsFile(tmp_path / "model.safetensors")
    arrays = {name: file.tensor(name).copy() for name in file.names}
    arrays["model.layers.1.mlp.up_proj.weight"][3, 4] = np.nan
    write_safetensors(tmp_path / "model.safetensors", arrays)
    with pytest.raises(NonFiniteError, match="model.layers.1.mlp.up_proj.weight"):
        LanguageModel.from_pretrained(tmp_path)


def test_the_tokenizer_of_another_model(plain, tmp_path):
    _, _, folder = plain
    for file in folder.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    save_tokenizer(tmp_path, VOCABULARY + 5)
    with pytest.raises(FormatError, match="do not belong together"):
        LanguageModel.from_pretrained(tmp_path)


@pytest.mark.parametrize("storage", ["bf16", "int8"])
def test_narrow_storage(plain, storage):
    wide, _, folder = plain
    narrow = LanguageModel.from_pretrained(folder, storage=storage)
    assert narrow.bytes < wide.bytes
    a, b = (np.concatenate(one.log_probabilities(sequences())) for one in (wide, narrow))
    assert 0 < np.abs(a - b).mean() < 0.03
