import json

import numpy as np
import pytest
from fpo.errors import ArgumentError, FormatError
from fpo.language.adapters import AdapterSettings, read_adapter, write_adapter
from fpo.language.architecture import RotaryScaling, llama3_factors
from fpo.language.checkpoint import FolderCheckpoint, GGUFCheckpoint, open_checkpoint
from fpo.language.safetensors import SafetensorsFile, float32_of_bfloat16, write_safetensors

CONFIG = {
    "model_type": "llama",
    "vocab_size": 40,
    "hidden_size": 16,
    "intermediate_size": 24,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 64,
    "rms_norm_eps": 1e-5,
    "rope_theta": 10000.0,
    "tie_word_embeddings": False,
}


def tensors(config=CONFIG):
    from fpo.language.architecture import LlamaArchitecture

    shapes = LlamaArchitecture.from_config(config, "test").shapes()
    draw = np.random.default_rng(0)
    return {name: draw.standard_normal(shape).astype(np.float32) for name, shape in shapes.items()}


def folder(path, config=CONFIG, arrays=None):
    path.mkdir(exist_ok=True)
    (path / "config.json").write_text(json.dumps(config))
    write_safetensors(path / "model.safetensors", tensors(config) if arrays is None else arrays)
    return path


# ------------------------------------------------------------------------------ safetensors


def test_safetensors_are_those_of_the_reference_library(tmp_path):
    reference = pytest.importorskip("safetensors.numpy")
    arrays = {
        "a": np.arange(12, dtype=np.float32).reshape(3, 4),
        "half": np.array([1.5, -2.25], dtype=np.float16),
        "whole": np.array([[1, 2]], dtype=np.int64),
        "scalar": np.array(3.0),
    }
    write_safetensors(tmp_path / "ours", arrays, {"format": "pt"})
    reference.save_file(arrays, tmp_path / "theirs")
    for name, array in reference.load_file(tmp_path / "ours").items():
        np.testing.assert_array_equal(array, arrays[name])
    theirs = SafetensorsFile(tmp_path / "theirs")
    assert set(theirs.names) == set(arrays)
    for name, array in arrays.items():
        np.testing.assert_array_equal(theirs.tensor(name), array)


def test_bfloat16_is_read(tmp_path):
    torch = pytest.importorskip("torch")
    save = pytest.importorskip("safetensors.torch").save_file
    values = torch.randn(5, 3).to(torch.bfloat16)
    save({"x": values}, tmp_path / "file")
    file = SafetensorsFile(tmp_path / "file")
    assert file.kind("x") == "BF16"
    np.testing.assert_array_equal(file.float32("x"), values.float().numpy())
    np.testing.assert_array_equal(float32_of_bfloat16(file.tensor("x")), values.float().numpy())


@pytest.mark.parametrize("keep", [0, 5, 20, 400, -1])
def test_a_safetensors_file_that_is_cut_short(tmp_path, keep):
    write_safetensors(tmp_path / "whole", tensors())
    data = (tmp_path / "whole").read_bytes()
    (tmp_path / "cut").write_bytes(data[:keep])
    with pytest.raises(FormatError, match="cut"):
        SafetensorsFile(tmp_path / "cut")


def test_a_safetensors_file_whose_header_lies(tmp_path):
    text = b'{"a":{"dtype":"F32","shape":[3],"data_offsets":[0,8]}}'
    (tmp_path / "bad").write_bytes(len(text).to_bytes(8, "little") + text + bytes(8))
    with pytest.raises(FormatError, match="'a'"):
        SafetensorsFile(tmp_path / "bad")


# ------------------------------------------------------------------------------ HF folders


def test_a_folder(tmp_path):
    checkpoint = open_checkpoint(folder(tmp_path / "model"))
    assert checkpoint.architecture.layers == 2
    for name, array in tensors().items():
        found, kind = checkpoint.tensor(name)
        assert kind == "F32"
        np.testing.assert_array_equal(found, array)


def test_a_folder_of_shards(tmp_path):
    arrays = tensors()
    path = folder(tmp_path / "model")
    (path / "model.safetensors").unlink()
    names = list(arrays)
    shards = {"one.safetensors": names[:7], "two.safetensors": names[7:]}
    for shard, some in shards.items():
        write_safetensors(path / shard, {name: arrays[name] for name in some})
    index = {"weight_map": {name: shard for shard, some in shards.items() for name in some}}
    (path / "model.safetensors.index.json").write_text(json.dumps(index))
    checkpoint = FolderCheckpoint(path)
    for name, array in arrays.items():
        np.testing.assert_array_equal(checkpoint.tensor(name)[0], array)
    (path / "two.safetensors").unlink()
    with pytest.raises(FormatError, match="'two.safetensors' is missing"):
        FolderCheckpoint(path)


def test_missing_extra_and_misshaped_tensors_are_listed(tmp_path):
    arrays = tensors()
    del arrays["model.norm.weight"]
    arrays["model.layers.1.mlp.up_proj.weight"] = np.zeros((3, 3), np.float32)
    arrays["surprise"] = np.zeros(1, np.float32)
    with pytest.raises(FormatError) as caught:
        FolderCheckpoint(folder(tmp_path / "model", arrays=arrays))
    text = str(caught.value)
    assert "missing: model.norm.weight" in text
    assert "extra: surprise" in text
    assert "model.layers.1.mlp.up_proj.weight is [3, 3], expected [24, 16]" in text


@pytest.mark.parametrize(
    "change, message",
    [
        ({"model_type": "gpt2"}, "model_type 'gpt2'"),
        ({"hidden_act": "gelu"}, "hidden_act"),
        ({"quantization_config": {"bits": 4}}, "quantised"),
        ({"rope_scaling": {"rope_type": "yarn"}}, "rope_scaling 'yarn'"),
        ({"mlp_bias": True}, "mlp_bias"),
    ],
)
def test_what_is_not_computed_is_refused(tmp_path, change, message):
    path = folder(tmp_path / "model")
    (path / "config.json").write_text(json.dumps({**CONFIG, **change}))
    with pytest.raises(FormatError, match=message):
        FolderCheckpoint(path)


def test_a_config_that_is_not_json(tmp_path):
    path = folder(tmp_path / "model")
    (path / "config.json").write_text("{")
    with pytest.raises(FormatError, match="config.json"):
        FolderCheckpoint(path)


def test_an_unknown_model():
    with pytest.raises(ArgumentError, match="smollm2"):
        open_checkpoint("no-such-model")


# ------------------------------------------------------------------------------------ GGUF


def interleaved(rows, heads):
    """As llama.cpp's converter stores the rows of a query or key projection."""
    parts = rows.reshape(heads, 2, rows.shape[0] // heads // 2, *rows.shape[1:])
    return parts.swapaxes(1, 2).reshape(rows.shape)


GGUF_NAMES = {
    "model.embed_tokens.weight": "token_embd.weight",
    "model.norm.weight": "output_norm.weight",
    "lm_head.weight": "output.weight",
    "input_layernorm": "attn_norm",
    "post_attention_layernorm": "ffn_norm",
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
    "model.layers.": "blk.",
}


def gguf_file(path, kind="llama", rope=None):
    gguf = pytest.importorskip("gguf")
    writer = gguf.GGUFWriter(path, kind)
    writer.add_context_length(64)
    writer.add_embedding_length(16)
    writer.add_block_count(2)
    writer.add_feed_forward_length(24)
    writer.add_head_count(4)
    writer.add_head_count_kv(2)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_freq_base(10000.0)
    arrays = tensors({**CONFIG, "model_type": kind})
    for name, array in arrays.items():
        if kind == "llama" and "q_proj" in name:
            array = interleaved(array, 4)
        if kind == "llama" and "k_proj" in name:
            array = interleaved(array, 2)
        for ours, theirs in GGUF_NAMES.items():
            name = name.replace(ours, theirs)
        writer.add_tensor(name, array)
    if rope is not None:
        writer.add_tensor("rope_freqs.weight", rope)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return arrays


@pytest.mark.parametrize("kind", ["llama", "qwen2"])
def test_a_gguf_file_holds_the_hugging_face_tensors(tmp_path, kind):
    arrays = gguf_file(tmp_path / "model.gguf", kind)
    checkpoint = GGUFCheckpoint(tmp_path / "model.gguf")
    assert checkpoint.architecture.attention_bias == (kind == "qwen2")
    for name, array in arrays.items():
        np.testing.assert_array_equal(checkpoint.tensor(name)[0], array)


def test_the_rotary_scaling_of_a_gguf_file(tmp_path):
    scaling = RotaryScaling("llama3", factor=32.0)
    gguf_file(tmp_path / "model.gguf", rope=llama3_factors(10000.0, 4, scaling).astype(np.float32))
    found = GGUFCheckpoint(tmp_path / "model.gguf").architecture.rotary_scaling
    assert found.kind == "llama3"
    with pytest.raises(FormatError, match="rope_freqs"):
        gguf_file(tmp_path / "odd.gguf", rope=np.array([1.0, 2.5], np.float32))
        GGUFCheckpoint(tmp_path / "odd.gguf")


@pytest.mark.parametrize("keep", [3, 10, 200, 1000, -8])
def test_a_gguf_file_that_is_cut_short(tmp_path, keep):
    gguf_file(tmp_path / "model.gguf")
    data = (tmp_path / "model.gguf").read_bytes()
    (tmp_path / "cut.gguf").write_bytes(data[:keep])
    with pytest.raises(FormatError, match="cut short|not a GGUF"):
        GGUFCheckpoint(tmp_path / "cut.gguf")


def test_a_gguf_file_that_is_something_else(tmp_path):
    (tmp_path / "x.gguf").write_bytes(b"PK\x03\x04" + bytes(100))
    with pytest.raises(FormatError, match="not a GGUF file"):
        GGUFCheckpoint(tmp_path / "x.gguf")


# ---------------------------------------------------------------------------------- adapters


def adapter_tensors(settings, layers=2):
    sizes = {"q": (16, 16), "k": (16, 8), "v": (16, 8), "o": (16, 16)}
    from fpo.language.adapters import MODULES

    draw = np.random.default_rng(1)
    out = {}
    for layer in range(layers):
        for target in settings.targets:
            inputs, outputs = sizes[target]
            name = f"layers.{layer}.{MODULES[target]}"
            for side, shape in (("A", (settings.rank, inputs)), ("B", (outputs, settings.rank))):
                out[f"{name}.lora_{side}.weight"] = draw.standard_normal(shape).astype(np.float32)
    return out


def test_an_adapter_is_read_back(tmp_path):
    settings = AdapterSettings(rank=3, alpha=6.0, dropout=0.1)
    arrays = adapter_tensors(settings)
    write_adapter(tmp_path / "adapter", settings, arrays, "base")
    found, read = read_adapter(tmp_path / "adapter", 2)
    assert found == settings
    assert list(read) == list(arrays)
    for name, array in arrays.items():
        np.testing.assert_array_equal(read[name], array)
    with pytest.raises(FormatError, match="missing: layers.2"):
        read_adapter(tmp_path / "adapter", 3)


@pytest.mark.parametrize(
    "change, message",
    [
        ({"peft_type": "IA3"}, "peft_type"),
        ({"use_dora": True}, "use_dora"),
        ({"target_modules": ["lm_head"]}, "lm_head"),
        ({"modules_to_save": ["norm"]}, "modules_to_save"),
    ],
)
def test_an_adapter_of_another_kind_is_refused(tmp_path, change, message):
    settings = AdapterSettings(rank=3)
    write_adapter(tmp_path, settings, adapter_tensors(settings), "base")
    config = json.loads((tmp_path / "adapter_config.json").read_text())
    (tmp_path / "adapter_config.json").write_text(json.dumps({**config, **change}))
    with pytest.raises(FormatError, match=message):
        read_adapter(tmp_path, 2)


def test_peft_loads_ours_and_we_load_theirs(tmp_path):
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    peft = pytest.importorskip("peft")
    base = transformers.LlamaForCausalLM(transformers.LlamaConfig(**CONFIG))
    settings = AdapterSettings(rank=3, alpha=6.0, dropout=0.0)
    arrays = adapter_tensors(settings)
    write_adapter(tmp_path / "ours", settings, arrays, "base")
    loaded = peft.PeftModel.from_pretrained(base, str(tmp_path / "ours"))
    state = {name: value for name, value in loaded.state_dict().items() if "lora_" in name}
    assert len(state) == len(arrays)
    for name, array in arrays.items():
        theirs = "base_model.model.model." + name.replace(".weight", ".default.weight")
        np.testing.assert_array_equal(state[theirs].numpy(), array)
    assert loaded.peft_config["default"].lora_alpha == 6.0

    fresh = transformers.LlamaForCausalLM(transformers.LlamaConfig(**CONFIG))
    config = peft.LoraConfig(
        r=3, lora_alpha=6, target_modules=["q_proj", "o_proj"], task_type="CAUSAL_LM"
    )
    theirs = peft.get_peft_model(fresh, config)
    with torch.no_grad():
        for name, value in theirs.named_parameters():
            if "lora_B" in name:
                value.normal_()
    theirs.save_pretrained(str(tmp_path / "theirs"))
    found, read = read_adapter(tmp_path / "theirs", 2)
    assert found.targets == ("q", "o") and found.rank == 3
    for name, value in theirs.state_dict().items():
        if "lora_" in name:
            ours = name.removeprefix("base_model.model.model.").replace(".default", "")
            np.testing.assert_array_equal(read[ours], value.numpy())
