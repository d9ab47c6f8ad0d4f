"""Text rewards against Transformers and autograd: gradients, inner products, training."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from fpo import _lib, errors
from fpo.language.encoders import TextEncoder
from fpo.language.rewards import TextReward, bradley_terry

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

from encoder_pairs import CONFIGS, LENGTHS, POOLER, Pair, close  # noqa: E402


@pytest.fixture(scope="module", params=CONFIGS)
def pair(request: pytest.FixtureRequest) -> Pair:
    return Pair(request.param)


@pytest.mark.parametrize("trainable", ["all", "blocks", "head"])
@pytest.mark.parametrize("pooler", ["mean", "own"])
def test_gradients_are_those_of_autograd(pair: Pair, trainable: str, pooler: str) -> None:
    kind = POOLER[pair.kind] if pooler == "own" else pooler
    reward = TextReward(pair.encoder, trainable=trainable, pooler=kind, blocks=2, head_scale=1.0)
    scores = pair.scores(reward)
    close(reward.forward(pair.batch), scores.detach(), 2e-5)
    close(reward.scores(pair.batch), scores.detach(), 2e-5)
    coefficients = np.array([0.5, -1.0, 0.3, 2.0, -0.7])
    reward.forward(pair.batch)
    reward.backward(coefficients)
    (scores * torch.tensor(coefficients, dtype=torch.float32)).sum().backward()
    expected = pair.flat_gradient(reward)
    own, theirs = reward.unflatten(reward.gradient), reward.unflatten(expected)
    for name in reward.shapes:
        scale = np.abs(theirs[name]).max()
        # A key's bias moves no score but by rounding: softmax does not see it.
        floor = 1e-5 * np.abs(expected).max()
        assert np.abs(own[name] - theirs[name]).max() <= 2e-4 * scale + floor, name


@pytest.mark.parametrize("trainable", ["all", "blocks", "head"])
def test_inner_products_are_those_of_single_gradients(pair: Pair, trainable: str) -> None:
    reward = TextReward(
        pair.encoder, trainable=trainable, pooler=POOLER[pair.kind], blocks=1, head_scale=1.0
    )
    rows = []
    for i in range(len(LENGTHS)):
        pair.scores(reward)[i].backward()
        rows.append(pair.flat_gradient(reward))
    gradients = np.stack(rows)
    close(reward.gradients(pair.batch), gradients, 2e-4)
    gram = reward.gram(pair.batch)
    norms = np.sqrt(np.diag(gradients @ gradients.T))
    assert (np.abs(gram - gradients @ gradients.T) <= 1e-4 * np.outer(norms, norms)).all()
    assert np.array_equal(gram, gram.T)


@pytest.mark.parametrize("name", ["bert", "deberta-v3", "deberta-own-projections"])
def test_adapters_are_low_rank_changes_of_the_weights(name: str) -> None:
    pair = Pair(name)
    reward = TextReward(
        pair.encoder, trainable="lora", rank=3, alpha=6.0, pooler="mean", head_scale=1.0
    )
    rng = np.random.default_rng(2)
    own = reward.parameters
    assert not any(own[name].any() for name in own if "lora_B" in name)
    reward.parameters = {
        name: 0.3 * rng.normal(size=own[name].shape) for name in own if "lora_B" in name
    }
    own = reward.parameters
    factors: dict[str, Any] = {
        name: torch.tensor(own[name], requires_grad=True) for name in own if "lora" in name
    }
    modules = {name.rpartition(".lora_")[0] for name in factors}
    assert len(modules) == 4 * pair.encoder.layers
    for module in modules:
        linear = pair.model.get_submodule(module)
        weight = linear.weight.detach()
        del linear.weight  # a parameter; what comes in its place depends on the factors
        b, a = factors[f"{module}.lora_B.weight"], factors[f"{module}.lora_A.weight"]
        linear.weight = weight + 6.0 / 3 * b @ a
    scores = pair.scores(reward)
    close(reward.scores(pair.batch), scores.detach(), 5e-5)
    rows = []
    for i in range(len(LENGTHS)):
        tensors = [*factors.values(), *pair.head]
        gradients = torch.autograd.grad(scores[i], tensors, retain_graph=True)
        by_factor = dict(zip([*factors, "head.weight", "head.bias"], gradients, strict=True))
        rows.append(np.concatenate([by_factor[n].numpy().reshape(-1) for n in reward.shapes]))
    gradients = np.stack(rows).astype(float)
    close(reward.gradients(pair.batch), gradients, 5e-4)
    close(reward.gram(pair.batch), gradients @ gradients.T, 1e-4)
    reward.forward(pair.batch)
    reward.backward([1.0, -1.0, 2.0, 0.5, 0.0])
    close(reward.gradient, np.array([1.0, -1.0, 2.0, 0.5, 0.0]) @ gradients, 5e-4)


def test_results_have_the_same_bits_for_any_number_of_threads() -> None:
    pair = Pair("deberta-v3")
    reward = TextReward(pair.encoder, trainable="all", pooler="mean")

    def everything() -> list[bytes]:
        scores = reward.forward(pair.batch, dropout=0.2, dropout_key=7)
        reward.gradient = None
        reward.backward(np.linspace(-1, 1, len(LENGTHS)))
        return [scores.tobytes(), reward.gradient.tobytes(), reward.gram(pair.batch).tobytes()]

    results = []
    for count in (1, 2, 3):
        _lib.lib.fpo_set_num_threads(count)
        results.append(everything())
    _lib.lib.fpo_set_num_threads(0)
    assert results[0] == results[1] == results[2]


def test_a_hidden_layer_in_the_head() -> None:
    pair = Pair("bert")
    reward = TextReward(pair.encoder, head_hidden=5, head_activation="gelu", head_scale=0.5)
    own = {name: torch.tensor(one) for name, one in reward.parameters.items()}
    for one in own.values():
        one.requires_grad_()
    features = torch.tensor(reward.features(pair.batch))
    hidden = torch.nn.functional.gelu(features @ own["head.0.weight"].T + own["head.0.bias"])
    scores = (hidden @ own["head.2.weight"].T)[:, 0] + own["head.2.bias"]
    close(reward.scores(pair.batch), scores.detach(), 1e-5)
    rows = []
    for score in scores:
        gradients = torch.autograd.grad(score, list(own.values()), retain_graph=True)
        rows.append(np.concatenate([one.numpy().reshape(-1) for one in gradients]))
    gradients = np.stack(rows).astype(float)
    close(reward.gradients(pair.batch), gradients, 1e-5)
    close(reward.gram(pair.batch), gradients @ gradients.T, 1e-5)


def test_inner_products_of_a_linear_head_are_those_of_its_features() -> None:
    pair = Pair("bert")
    reward = TextReward(pair.encoder)
    features = reward.features(pair.batch).astype(float)
    close(reward.gram(pair.batch), features @ features.T + 1, 1e-12)
    rows = reward.ghost_rows(pair.batch)
    close(rows @ rows.T, reward.gram(pair.batch), 1e-12)


def test_dropout_is_drawn_from_its_key_and_keeps_the_mean() -> None:
    pair = Pair("bert")
    reward = TextReward(pair.encoder, trainable="all", pooler="mean", head_scale=1.0)
    plain = reward.forward(pair.batch)
    assert np.array_equal(plain, reward.forward(pair.batch, dropout=0.0, dropout_key=3))
    first = reward.forward(pair.batch, dropout=0.1, dropout_key=3)
    assert np.array_equal(first, reward.forward(pair.batch, dropout=0.1, dropout_key=3))
    assert not np.array_equal(first, reward.forward(pair.batch, dropout=0.1, dropout_key=4))
    # The gradient is that of the score under the same masks: finite differences along it.
    reward.gradient = None
    reward.forward(pair.batch, dropout=0.1, dropout_key=3)
    reward.backward([1.0, 0.0, -1.0, 0.0, 0.5])
    start, direction = reward.flat, reward.gradient
    direction = direction / np.linalg.norm(direction)
    values = []
    for step in (-1e-3, 1e-3):
        reward.flat = start + np.float32(step) * direction
        values.append(
            reward.forward(pair.batch, dropout=0.1, dropout_key=3) @ [1.0, 0.0, -1.0, 0.0, 0.5]
        )
    reward.flat = start
    slope = (values[1] - values[0]) / 2e-3
    assert abs(slope - np.linalg.norm(reward.gradient)) < 0.02 * abs(slope)


def test_a_step_is_adamws() -> None:
    pair = Pair("bert")
    reward = TextReward(pair.encoder, trainable="blocks", pooler="mean", head_scale=1.0)
    parameter = torch.nn.Parameter(torch.tensor(reward.flat))
    adamw = torch.optim.AdamW([parameter], lr=1e-2, weight_decay=0.1)
    losses = []
    for _ in range(5):
        loss, slopes = bradley_terry(reward.forward(pair.batch)[:4], [1.0, 0.25])
        reward.backward([*slopes, 0.0])
        parameter.grad = torch.tensor(reward.gradient)
        adamw.step()
        reward.step(1e-2, weight_decay=0.1)
        assert not reward.gradient.any()
        close(reward.flat, parameter.detach(), 1e-5)
        losses.append(loss)
    assert losses[-1] < losses[0]


def test_the_loss_is_soft_label_bradley_terry() -> None:
    scores = torch.tensor([1.0, -2.0, 0.5, 0.3], dtype=torch.float64, requires_grad=True)
    labels = torch.tensor([1.0, 0.3], dtype=torch.float64)
    expected = torch.nn.functional.binary_cross_entropy_with_logits(scores[:2] - scores[2:], labels)
    expected.backward()
    loss, slopes = bradley_terry(scores.detach().numpy(), labels.numpy())
    assert loss == pytest.approx(expected.item(), rel=1e-12)
    close(slopes, scores.grad, 1e-12)
    with pytest.raises(errors.DomainError, match="labels"):
        bradley_terry([0.0, 1.0], [1.5])


def test_calls_out_of_order_and_changes_in_between_are_refused() -> None:
    pair = Pair("bert")
    reward = TextReward(pair.encoder)
    with pytest.raises(errors.FpoError, match="no forward pass"):
        reward.backward([1.0] * 5)
    reward.forward(pair.batch)
    reward.flat = reward.flat
    with pytest.raises(errors.FpoError, match="no forward pass"):
        reward.backward([1.0] * 5)
    reward.forward(pair.batch)
    with pytest.raises(errors.ShapeError, match="coefficients"):
        reward.backward([1.0] * 4)
    with pytest.raises(errors.DomainError, match="trainable"):
        TextReward(pair.encoder, trainable="some")
    with pytest.raises(errors.DomainError, match="blocks"):
        TextReward(pair.encoder, trainable="blocks", blocks=9)


def test_checkpoints_of_classifiers_bring_their_head() -> None:
    pair = Pair("bert")
    tensors = {f"bert.{k}": (v.numpy(), "F32") for k, v in pair.model.state_dict().items()}
    weight = np.linspace(-1, 1, 24, dtype=np.float32)[None]
    tensors["classifier.weight"] = (weight, "F32")
    tensors["classifier.bias"] = (np.array([0.25], np.float32), "F32")
    tensors["cls.predictions.bias"] = (np.zeros(50, np.float32), "F32")
    reward = TextReward(TextEncoder(pair.config.to_dict(), tensors))
    assert reward.pooler == "tanh"
    with torch.no_grad():
        expected = pair.pooled("tanh").numpy() @ weight[0] + 0.25
    close(reward.scores(pair.batch), expected, 1e-5)
