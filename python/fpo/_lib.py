"""The door to ``libfpo.so``: the only file that knows ctypes.

Everything above it calls ``lib.fpo_...`` with Python numbers, array addresses (`address`) and the
structs below; a status other than `OK` arrives as an exception of `fpo.errors`.
"""

from __future__ import annotations

import ctypes
import os
import sys
import weakref
from collections.abc import Callable
from ctypes import (
    POINTER,
    Structure,
    c_char,
    c_char_p,
    c_double,
    c_size_t,
    c_uint32,
    c_uint64,
    c_void_p,
)
from ctypes import byref as byref  # re-exported: no other file imports ctypes
from ctypes import c_int32 as c_int32
from ctypes import c_int64 as c_int64
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .errors import AbiError, LibraryNotFoundError, error_of_status

ABI_MAJOR, ABI_MINOR = 0, 1  # what this file was written against

CONFIG_LINEAR, CONFIG_NEURAL, CONFIG_PENALTY, CONFIG_UTILITY_FILTER = 0, 1, 2, 3
CONFIG_LOSS, CONFIG_POLICY_LOSS = 256, 512  # + the number of a loss or preset
TYPE_INT32, TYPE_FLOAT64 = 0, 1
OPTIMIZER_SGD, OPTIMIZER_ADAM, OPTIMIZER_ADAMW = 0, 1, 2
SOLVERS = {"gram": 0, "conjugate-gradient": 1}
MAX_HIDDEN = 8


class Parameter(Structure):
    _fields_ = [
        ("name", c_char_p),
        ("doc", c_char_p),
        ("choices", c_char_p),
        ("default_value", c_double),
        ("minimum", c_double),
        ("maximum", c_double),
        ("offset", c_uint32),
        ("type", c_int32),
        ("count", c_int32),
    ]


class UtilityFilterConfig(Structure):
    _fields_ = [
        ("struct_size", c_uint32),
        ("estimates_curvature", c_int32),
        ("utility_scale", c_double),
        ("length_scale", c_double),
        ("noise_scale", c_double),
        ("noise_memory", c_double),
    ]


class Loss(Structure):
    _fields_ = [
        ("struct_size", c_uint32),
        ("kind", c_int32),
        ("beta", c_double),
        ("label_smoothing", c_double),
        ("gamma", c_double),
        ("alpha", c_double),
        ("weight", c_double),
        ("temperature", c_double),
        ("centring", c_double),
        ("tie", c_double),
        ("desirable_weight", c_double),
        ("undesirable_weight", c_double),
    ]


class PolicyLoss(Structure):
    _fields_ = [
        ("struct_size", c_uint32),
        ("surrogate", c_int32),
        ("ratio", c_int32),
        ("aggregation", c_int32),
        ("kl_estimator", c_int32),
        ("kl_weighted", c_int32),
        ("clip_low", c_double),
        ("clip_high", c_double),
        ("dual_clip", c_double),
        ("max_length", c_double),
        ("kl_coefficient", c_double),
        ("kl_limit", c_double),
    ]


class OptimizerConfig(Structure):
    _fields_ = [
        ("struct_size", c_uint32),
        ("kind", c_int32),
        ("learning_rate", c_double),
        ("beta1", c_double),
        ("beta2", c_double),
        ("epsilon", c_double),
        ("momentum", c_double),
        ("weight_decay", c_double),
    ]


class Tensor(Structure):
    _fields_ = [
        ("name", c_char * 64),
        ("rows", c_int64),
        ("columns", c_int64),
        ("offset", c_int64),
    ]


class LanguageModelConfig(Structure):
    _fields_ = [
        ("struct_size", c_uint32),
        ("storage", c_int32),
        ("vocab_size", c_int32),
        ("hidden_size", c_int32),
        ("intermediate_size", c_int32),
        ("num_hidden_layers", c_int32),
        ("num_attention_heads", c_int32),
        ("num_key_value_heads", c_int32),
        ("head_dim", c_int32),
        ("max_position_embeddings", c_int32),
        ("tie_word_embeddings", c_int32),
        ("qkv_bias", c_int32),
        ("rope_type", c_int32),
        ("rope_original_max_position_embeddings", c_int32),
        ("rms_norm_eps", c_double),
        ("rope_theta", c_double),
        ("rope_factor", c_double),
        ("rope_low_freq_factor", c_double),
        ("rope_high_freq_factor", c_double),
    ]


class LoraConfig(Structure):
    _fields_ = [
        ("struct_size", c_uint32),
        ("rank", c_int32),
        ("targets", c_int32),
        ("rslora", c_int32),
        ("recompute", c_int32),
        ("reserved", c_int32),
        ("alpha", c_double),
        ("dropout", c_double),
    ]


class GenerationConfig(Structure):
    _fields_ = [
        ("struct_size", c_uint32),
        ("candidates", c_int32),
        ("max_new_tokens", c_int32),
        ("min_new_tokens", c_int32),
        ("greedy", c_int32),
        ("top_k", c_int32),
        ("max_batch", c_int32),
        ("reserved", c_int32),
        ("temperature", c_double),
        ("top_p", c_double),
    ]


class TextEncoderConfig(Structure):
    _fields_ = [
        ("struct_size", c_uint32),
        ("family", c_int32),
        ("storage", c_int32),
        ("vocab_size", c_int32),
        ("hidden_size", c_int32),
        ("intermediate_size", c_int32),
        ("num_hidden_layers", c_int32),
        ("num_attention_heads", c_int32),
        ("max_position_embeddings", c_int32),
        ("type_vocab_size", c_int32),
        ("hidden_act", c_int32),
        ("pad_token_id", c_int32),
        ("pooler", c_int32),
        ("embedding_size", c_int32),
        ("position_biased_input", c_int32),
        ("relative_attention", c_int32),
        ("content_to_position", c_int32),
        ("position_to_content", c_int32),
        ("share_att_key", c_int32),
        ("position_buckets", c_int32),
        ("max_relative_positions", c_int32),
        ("norm_rel_ebd", c_int32),
        ("conv_kernel_size", c_int32),
        ("conv_act", c_int32),
        ("layer_norm_eps", c_double),
    ]


class TextRewardConfig(Structure):
    _fields_ = [
        ("struct_size", c_uint32),
        ("pooler", c_int32),
        ("trainable", c_int32),
        ("blocks", c_int32),
        ("rank", c_int32),
        ("head_bias", c_int32),
        ("head_hidden", c_int32),
        ("head_act", c_int32),
        ("alpha", c_double),
        ("head_scale", c_double),
    ]


class Environment(Structure):
    _fields_ = [
        ("struct_size", c_uint32),
        ("reward_model", c_int32),
        ("hidden_count", c_int32),
        ("hidden", c_int32 * MAX_HIDDEN),
        ("reward_bias", c_int32),
        ("precision", c_int32),
        ("gradient", c_int32),
        ("dimension", c_int32),
        ("signal_dimension", c_int32),
        ("rounds", c_int32),
        ("inner_steps", c_int32),
        ("labels_per_round", c_int32),
        ("label_buffer", c_int32),
        ("reward_steps", c_int32),
        ("reward_optimizer", c_int32),
        ("reserved", c_int32),
        ("difference_step", c_double),
        ("utility_peak", c_double),
        ("utility_target", c_double),
        ("utility_decay", c_double),
        ("action_cost", c_double),
        ("penalty_weight", c_double),
        ("policy_learning_rate", c_double),
        ("policy_learning_rate_final", c_double),
        ("gradient_clip", c_double),
        ("exploration", c_double),
        ("exploration_final", c_double),
        ("annealing_power", c_double),
        ("label_exploration", c_double),
        ("label_noise", c_double),
        ("label_bias", c_double),
        ("reward_learning_rate", c_double),
        ("weight_decay", c_double),
        ("initial_weight_scale", c_double),
        ("initial_signal_weight", c_double),
    ]


class Penalty(Structure):
    _fields_ = [
        ("struct_size", c_uint32),
        ("kind", c_int32),
        ("weight", c_double),
        ("oracle_gradient", c_int32),
        ("curvature", c_int32),
        ("alignment", c_int32),
        ("estimator", c_int32),
        ("estimator_gradient", c_int32),
        ("estimator_buffer", c_int32),
        ("estimator_curvature", c_int32),
        ("reserved", c_int32),
        ("damping", c_double),
        ("kappa", c_double),
        ("utility_scale", c_double),
        ("length_scale", c_double),
        ("noise_scale", c_double),
        ("noise_memory", c_double),
    ]


class SimulationInputs(Structure):
    _fields_ = [
        ("struct_size", c_uint32),
        ("reserved", c_uint32),
        ("count", c_size_t),
        ("seeds", c_void_p),
        ("start", c_void_p),
        ("centre", c_void_p),
        ("initial_weights", c_void_p),
        ("inner_noise", c_void_p),
        ("label_noise", c_void_p),
    ]


class Trace(Structure):
    _fields_ = [
        ("struct_size", c_uint32),
        ("reserved", c_uint32),
        ("utility", c_void_p),
        ("proxy_reward", c_void_p),
        ("signal", c_void_p),
        ("noise", c_void_p),
        ("overconfidence", c_void_p),
        ("slope_cosine", c_void_p),
        ("off_policy_error", c_void_p),
        ("sensitivity", c_void_p),
        ("penalty", c_void_p),
        ("action", c_void_p),
    ]


# Abbreviations of the table. An array or an opaque handle is an address.
STATUS = "status"  # int32_t that `check` turns into an exception
TEXT, I32, I64, U32, U64 = c_char_p, c_int32, c_int64, c_uint32, c_uint64
SIZE, REAL, ADDRESS, COUNT = c_size_t, c_double, c_void_p, POINTER(c_int64)

#: Every function of ``fpo.h``: (result, *arguments). ``test_abi`` holds it to the header.
SIGNATURES: dict[str, tuple[Any, ...]] = {
    # Library
    "fpo_abi_version": (U32,),
    "fpo_version": (TEXT,),
    "fpo_status_name": (TEXT, I32),
    "fpo_last_error": (TEXT,),
    "fpo_build_info": (STATUS, ADDRESS, SIZE, POINTER(c_size_t)),
    "fpo_set_num_threads": (STATUS, I32),
    "fpo_get_num_threads": (I32,),
    "fpo_parameter_info": (STATUS, I32, I32, POINTER(Parameter)),
    # Random
    "fpo_random_key": (U64, U64),
    "fpo_random_fold": (U64, U64, U64),
    "fpo_random_uniform_f64": (STATUS, U64, SIZE, ADDRESS),
    "fpo_random_uniform_f32": (STATUS, U64, SIZE, ADDRESS),
    "fpo_random_normal_f64": (STATUS, U64, SIZE, ADDRESS),
    "fpo_random_normal_f32": (STATUS, U64, SIZE, ADDRESS),
    # Numerics
    **{
        f"fpo_{function}_{scalar}": (STATUS, SIZE, ADDRESS, ADDRESS)
        for function in ("exp", "log", "tanh", "sigmoid", "softplus")
        for scalar in ("f32", "f64")
    },
    "fpo_cholesky_solve_f64": (STATUS, SIZE, SIZE) + (ADDRESS, SIZE) * 3,
    "fpo_conjugate_gradient_f64": (
        (STATUS, SIZE, ADDRESS, SIZE, ADDRESS, REAL, I64, ADDRESS, COUNT)
    ),
    "fpo_ridge_f64": (
        (STATUS, SIZE, SIZE, ADDRESS, SIZE, ADDRESS, REAL, ADDRESS, ADDRESS, ADDRESS)
    ),
    # Penalties
    "fpo_overconfidence_f64": (STATUS, SIZE, ADDRESS, ADDRESS, ADDRESS, ADDRESS),
    "fpo_practical_penalty_f64": (STATUS, SIZE, SIZE) + (ADDRESS, SIZE) * 2 + (I32, ADDRESS),
    "fpo_practical_penalty_f32": (STATUS, SIZE, SIZE) + (ADDRESS, SIZE) * 2 + (I32, ADDRESS),
    "fpo_relaxed_penalty_f64": (STATUS, SIZE, SIZE) + (ADDRESS, SIZE) * 2 + (ADDRESS, ADDRESS),
    "fpo_relaxed_penalty_f32": (STATUS, SIZE, SIZE) + (ADDRESS, SIZE) * 2 + (ADDRESS, ADDRESS),
    "fpo_exact_penalty_f64": (
        (STATUS, SIZE, SIZE)
        + (ADDRESS, SIZE) * 2
        + (ADDRESS, ADDRESS, ADDRESS, REAL, I32, REAL, I64, ADDRESS)
    ),
    "fpo_self_influence_f64": (STATUS, SIZE, SIZE, ADDRESS, SIZE, REAL, ADDRESS),
    "fpo_self_influence_f32": (STATUS, SIZE, SIZE, ADDRESS, SIZE, REAL, ADDRESS),
    "fpo_influence_f64": (STATUS, SIZE, SIZE, SIZE) + (ADDRESS, SIZE) * 2 + (REAL, ADDRESS, SIZE),
    "fpo_influence_f32": (STATUS, SIZE, SIZE, SIZE) + (ADDRESS, SIZE) * 2 + (REAL, ADDRESS, SIZE),
    # Utility filter
    "fpo_utility_filter_config_init": (STATUS, POINTER(UtilityFilterConfig), U32),
    "fpo_utility_filter_create": (
        (STATUS, POINTER(UtilityFilterConfig), SIZE, ADDRESS, REAL, ADDRESS, POINTER(c_void_p))
    ),
    "fpo_utility_filter_move": (STATUS, ADDRESS, ADDRESS),
    "fpo_utility_filter_observe": (STATUS, ADDRESS, SIZE, ADDRESS, SIZE, ADDRESS),
    "fpo_utility_filter_estimate": (STATUS, ADDRESS, SIZE, ADDRESS, SIZE, ADDRESS, ADDRESS, SIZE),
    "fpo_utility_filter_state": (STATUS, ADDRESS, ADDRESS, ADDRESS, ADDRESS, ADDRESS),
    "fpo_utility_filter_destroy": (None, ADDRESS),
    # Objectives
    "fpo_loss_init": (STATUS, POINTER(Loss), U32, I32),
    "fpo_loss_needs": (STATUS, I32, POINTER(c_int32), POINTER(c_int32)),
    "fpo_reward_loss_f64": (STATUS, POINTER(Loss), SIZE) + (ADDRESS,) * 7,
    "fpo_preference_loss_f64": (STATUS, POINTER(Loss), SIZE) + (ADDRESS,) * 9,
    "fpo_unpaired_loss_f64": (
        (STATUS, POINTER(Loss), SIZE, ADDRESS, ADDRESS, ADDRESS, REAL, ADDRESS, ADDRESS)
    ),
    "fpo_kto_baseline_f64": (STATUS, SIZE, ADDRESS, ADDRESS, ADDRESS),
    "fpo_sft_loss_f64": (STATUS, SIZE, ADDRESS, ADDRESS, ADDRESS, ADDRESS),
    "fpo_score_loss_f64": (STATUS, I32, SIZE) + (ADDRESS,) * 4,
    "fpo_process_reward_f64": (STATUS, I32, SIZE) + (ADDRESS,) * 4,
    "fpo_general_preference_f64": (
        (STATUS, SIZE, SIZE) + (ADDRESS,) * 4 + (REAL,) + (ADDRESS,) * 5
    ),
    "fpo_kl_estimate_f64": (STATUS, I32, SIZE, ADDRESS, ADDRESS, REAL, ADDRESS, ADDRESS),
    "fpo_adaptive_kl": (STATUS, REAL, REAL, REAL, REAL, REAL, ADDRESS),
    "fpo_group_advantage_f64": (STATUS, I32, I32, REAL, SIZE) + (ADDRESS,) * 5,
    "fpo_overlong_penalty_f64": (STATUS, SIZE, ADDRESS, I64, I64, ADDRESS),
    "fpo_token_rewards_f64": (STATUS, SIZE) + (ADDRESS,) * 4 + (I32, REAL, ADDRESS),
    "fpo_gae_f64": (STATUS, SIZE) + (ADDRESS,) * 4 + (REAL, REAL, ADDRESS, ADDRESS),
    "fpo_whiten_f64": (STATUS, SIZE, ADDRESS, I32, ADDRESS),
    "fpo_value_loss_f64": (STATUS, SIZE, ADDRESS, ADDRESS, ADDRESS, REAL, ADDRESS, ADDRESS),
    "fpo_entropy_f64": (STATUS, SIZE, SIZE, ADDRESS, SIZE, ADDRESS, ADDRESS),
    "fpo_exact_kl_f64": (STATUS, SIZE, SIZE) + (ADDRESS, SIZE) * 2 + (ADDRESS, ADDRESS),
    "fpo_policy_loss_init": (STATUS, POINTER(PolicyLoss), U32, I32),
    "fpo_policy_loss_f64": (STATUS, POINTER(PolicyLoss), SIZE) + (ADDRESS,) * 8,
    "fpo_matrix_game_f64": (STATUS, SIZE, SIZE, ADDRESS, SIZE, ADDRESS, ADDRESS, ADDRESS),
    "fpo_regularized_nash_f64": (
        (STATUS, SIZE, ADDRESS, SIZE, ADDRESS, REAL, REAL, I64, ADDRESS, COUNT)
    ),
    "fpo_nash_md_advantage_f64": (STATUS, SIZE, ADDRESS, ADDRESS, ADDRESS, REAL, ADDRESS),
    "fpo_geometric_mixture_f64": (STATUS, SIZE, SIZE) + (ADDRESS, SIZE) * 2 + (REAL, ADDRESS),
    "fpo_win_rate_f64": (STATUS, SIZE, ADDRESS, SIZE, ADDRESS, ADDRESS),
    "fpo_xpo_loss_f64": (STATUS, REAL, REAL, SIZE) + (ADDRESS,) * 8,
    "fpo_best_of_n_f64": (STATUS, SIZE, ADDRESS, ADDRESS, I64, ADDRESS, ADDRESS),
    "fpo_best_of_n_estimate_f64": (STATUS, SIZE, ADDRESS, ADDRESS, I64, ADDRESS),
    "fpo_overoptimization_fit_f64": (STATUS, I32, SIZE, ADDRESS, ADDRESS, ADDRESS),
    "fpo_ches_f64": (STATUS, SIZE, SIZE, SIZE) + (ADDRESS, SIZE) * 2 + (ADDRESS,),
    # Optimisers
    "fpo_optimizer_config_init": (STATUS, POINTER(OptimizerConfig), U32),
    "fpo_optimizer_create": (STATUS, POINTER(OptimizerConfig), SIZE, POINTER(c_void_p)),
    "fpo_optimizer_step": (STATUS, ADDRESS, ADDRESS, ADDRESS),
    "fpo_optimizer_set_learning_rate": (STATUS, ADDRESS, REAL),
    "fpo_optimizer_save": (STATUS, ADDRESS, ADDRESS, SIZE, POINTER(c_size_t)),
    "fpo_optimizer_load": (STATUS, ADDRESS, ADDRESS, SIZE),
    "fpo_optimizer_destroy": (None, ADDRESS),
    # Reward models
    "fpo_reward_model_create_linear": (STATUS, I64, I32, POINTER(c_void_p)),
    "fpo_reward_model_create_mlp": (STATUS, I64, I32, COUNT, POINTER(c_void_p)),
    "fpo_reward_model_destroy": (None, ADDRESS),
    "fpo_reward_model_dimension": (STATUS, ADDRESS, COUNT),
    "fpo_reward_model_parameter_count": (STATUS, ADDRESS, COUNT),
    "fpo_reward_model_tensor": (STATUS, ADDRESS, I32, POINTER(Tensor)),
    "fpo_reward_model_get_parameters": (STATUS, ADDRESS, ADDRESS),
    "fpo_reward_model_set_parameters": (STATUS, ADDRESS, ADDRESS),
    "fpo_reward_model_initialize": (STATUS, ADDRESS, U64, REAL),
    "fpo_reward_model_reward_f64": (STATUS, ADDRESS, SIZE, ADDRESS, SIZE, ADDRESS),
    "fpo_reward_model_slope_f64": (STATUS, ADDRESS, SIZE) + (ADDRESS, SIZE) * 2,
    "fpo_reward_model_gradients_f64": (STATUS, ADDRESS, SIZE) + (ADDRESS, SIZE) * 2,
    "fpo_reward_model_gram_f64": (
        (STATUS, ADDRESS, SIZE, ADDRESS, SIZE) + (SIZE, ADDRESS, SIZE) + (ADDRESS, SIZE)
    ),
    "fpo_reward_model_loss_f64": (
        (STATUS, ADDRESS, SIZE) + (ADDRESS, SIZE) * 2 + (ADDRESS, ADDRESS, ADDRESS)
    ),
    "fpo_reward_model_steering_direction_f64": (
        (STATUS, ADDRESS, SIZE)
        + (ADDRESS, SIZE) * 2
        + (SIZE, ADDRESS, SIZE)
        + (REAL, I32, REAL, I64, ADDRESS)
    ),
    "fpo_reward_model_penalty_f64": (
        (STATUS, ADDRESS, SIZE)
        + (ADDRESS, SIZE) * 2
        + (ADDRESS, ADDRESS, SIZE, ADDRESS, I32)
        + (ADDRESS, ADDRESS, SIZE)
    ),
    # Language models
    "fpo_language_model_config_init": (STATUS, POINTER(LanguageModelConfig), U32),
    "fpo_language_model_create": (STATUS, POINTER(LanguageModelConfig), POINTER(c_void_p)),
    "fpo_language_model_destroy": (None, ADDRESS),
    "fpo_language_model_tensor": (STATUS, ADDRESS, I32, POINTER(Tensor)),
    "fpo_language_model_load": ((STATUS, ADDRESS, TEXT, I64, I64) + (I64, I64, I32, ADDRESS, SIZE)),
    "fpo_language_model_missing": (STATUS, ADDRESS, ADDRESS, SIZE, POINTER(c_size_t)),
    "fpo_language_model_finish": (STATUS, ADDRESS),
    "fpo_language_model_bytes": (STATUS, ADDRESS, COUNT),
    "fpo_lora_config_init": (STATUS, POINTER(LoraConfig), U32),
    "fpo_lora_create": (STATUS, ADDRESS, POINTER(LoraConfig), POINTER(c_void_p)),
    "fpo_lora_destroy": (None, ADDRESS),
    "fpo_lora_parameter_count": (STATUS, ADDRESS, COUNT),
    "fpo_lora_tensor": (STATUS, ADDRESS, I32, POINTER(Tensor)),
    "fpo_lora_initialize": (STATUS, ADDRESS, U64),
    "fpo_lora_get_parameters": (STATUS, ADDRESS, ADDRESS),
    "fpo_lora_set_parameters": (STATUS, ADDRESS, ADDRESS),
    "fpo_lora_get_gradient": (STATUS, ADDRESS, ADDRESS),
    "fpo_lora_set_gradient": (STATUS, ADDRESS, ADDRESS),
    "fpo_lora_scale_gradient": (STATUS, ADDRESS, REAL),
    "fpo_lora_gradient_norm": (STATUS, ADDRESS, ADDRESS),
    "fpo_lora_step": (STATUS, ADDRESS, POINTER(OptimizerConfig)),
    "fpo_lora_save": (STATUS, ADDRESS, ADDRESS, SIZE, POINTER(c_size_t)),
    "fpo_lora_load": (STATUS, ADDRESS, ADDRESS, SIZE),
    "fpo_language_model_log_probabilities": (
        (STATUS, ADDRESS, ADDRESS, SIZE) + (ADDRESS, ADDRESS) + (ADDRESS, ADDRESS, ADDRESS)
    ),
    "fpo_language_model_continuations": (
        (STATUS, ADDRESS, ADDRESS, SIZE, ADDRESS, SIZE)
        + (ADDRESS, ADDRESS)
        + (ADDRESS, ADDRESS, ADDRESS)
    ),
    "fpo_language_model_hidden_states": (
        (STATUS, ADDRESS, ADDRESS, I32, I32, SIZE) + (ADDRESS, ADDRESS) + (ADDRESS, SIZE)
    ),
    "fpo_language_model_logits": (STATUS, ADDRESS, ADDRESS, SIZE, ADDRESS, ADDRESS, SIZE),
    "fpo_lora_loss": ((STATUS, ADDRESS, SIZE, ADDRESS, ADDRESS) + (ADDRESS, U64, ADDRESS, ADDRESS)),
    "fpo_lora_forward": (
        (STATUS, ADDRESS, SIZE, ADDRESS, ADDRESS) + (ADDRESS, U64, ADDRESS, ADDRESS)
    ),
    "fpo_lora_backward": (STATUS, ADDRESS, ADDRESS),
    "fpo_generation_config_init": (STATUS, POINTER(GenerationConfig), U32),
    "fpo_generation_create": (
        (STATUS, ADDRESS, ADDRESS, POINTER(GenerationConfig), SIZE, ADDRESS, ADDRESS)
        + (SIZE, ADDRESS, ADDRESS, POINTER(c_void_p))
    ),
    "fpo_generation_destroy": (None, ADDRESS),
    "fpo_generation_step": (STATUS, ADDRESS, I64, COUNT),
    "fpo_generation_results": (STATUS, ADDRESS, ADDRESS, ADDRESS, ADDRESS, ADDRESS),
    # Text encoders
    "fpo_text_encoder_config_init": (STATUS, POINTER(TextEncoderConfig), U32),
    "fpo_text_encoder_create": (STATUS, POINTER(TextEncoderConfig), POINTER(c_void_p)),
    "fpo_text_encoder_destroy": (None, ADDRESS),
    "fpo_text_encoder_tensor": (STATUS, ADDRESS, I32, POINTER(Tensor)),
    "fpo_text_encoder_load": ((STATUS, ADDRESS, TEXT, I64, I64, I64, I64, I32, ADDRESS, SIZE)),
    "fpo_text_encoder_missing": (STATUS, ADDRESS, ADDRESS, SIZE, POINTER(c_size_t)),
    "fpo_text_encoder_finish": (STATUS, ADDRESS),
    "fpo_text_encoder_bytes": (STATUS, ADDRESS, COUNT),
    "fpo_text_encoder_max_length": (STATUS, ADDRESS, COUNT),
    "fpo_text_encoder_features": (
        (STATUS, ADDRESS, I32, SIZE, ADDRESS, ADDRESS, ADDRESS) + (ADDRESS, SIZE)
    ),
    "fpo_text_encoder_hidden_states": (
        (STATUS, ADDRESS, I32, SIZE, ADDRESS, ADDRESS, ADDRESS) + (ADDRESS, SIZE)
    ),
    # Text rewards
    "fpo_text_reward_config_init": (STATUS, POINTER(TextRewardConfig), U32),
    "fpo_text_reward_create": (
        (STATUS, ADDRESS, POINTER(TextRewardConfig), U64, POINTER(c_void_p))
    ),
    "fpo_text_reward_destroy": (None, ADDRESS),
    "fpo_text_reward_parameter_count": (STATUS, ADDRESS, COUNT),
    "fpo_text_reward_tensor": (STATUS, ADDRESS, I32, POINTER(Tensor)),
    "fpo_text_reward_get_parameters": (STATUS, ADDRESS, ADDRESS),
    "fpo_text_reward_set_parameters": (STATUS, ADDRESS, ADDRESS),
    "fpo_text_reward_scores": (STATUS, ADDRESS, SIZE, ADDRESS, ADDRESS, ADDRESS, ADDRESS),
    "fpo_text_reward_features": (
        (STATUS, ADDRESS, SIZE, ADDRESS, ADDRESS, ADDRESS) + (ADDRESS, SIZE)
    ),
    "fpo_text_reward_forward": (
        (STATUS, ADDRESS, SIZE, ADDRESS, ADDRESS, ADDRESS) + (REAL, U64, ADDRESS)
    ),
    "fpo_text_reward_backward": (STATUS, ADDRESS, ADDRESS),
    "fpo_text_reward_get_gradient": (STATUS, ADDRESS, ADDRESS),
    "fpo_text_reward_set_gradient": (STATUS, ADDRESS, ADDRESS),
    "fpo_text_reward_scale_gradient": (STATUS, ADDRESS, REAL),
    "fpo_text_reward_gradient_norm": (STATUS, ADDRESS, ADDRESS),
    "fpo_text_reward_step": (STATUS, ADDRESS, POINTER(OptimizerConfig)),
    "fpo_text_reward_save": (STATUS, ADDRESS, ADDRESS, SIZE, POINTER(c_size_t)),
    "fpo_text_reward_load": (STATUS, ADDRESS, ADDRESS, SIZE),
    "fpo_text_reward_gram": ((STATUS, ADDRESS, SIZE, ADDRESS, ADDRESS, ADDRESS) + (ADDRESS, SIZE)),
    "fpo_text_reward_gradients": (
        (STATUS, ADDRESS, SIZE, ADDRESS, ADDRESS, ADDRESS) + (ADDRESS, SIZE)
    ),
    # Environments
    "fpo_environment_init": (STATUS, POINTER(Environment), U32, I32),
    "fpo_penalty_init": (STATUS, POINTER(Penalty), U32, I32),
    "fpo_simulation_inputs_init": (STATUS, POINTER(SimulationInputs), U32),
    "fpo_simulation_create": (
        (STATUS, POINTER(Environment), POINTER(Penalty), POINTER(SimulationInputs))
        + (POINTER(c_void_p),)
    ),
    "fpo_simulation_destroy": (None, ADDRESS),
    "fpo_trace_init": (STATUS, POINTER(Trace), U32),
    "fpo_simulation_records": (STATUS, ADDRESS, I64, COUNT),
    "fpo_simulation_step": (STATUS, ADDRESS, I64, I64, POINTER(Trace), COUNT),
    "fpo_simulation_cancel": (None, ADDRESS),
    "fpo_simulation_round": (STATUS, ADDRESS, COUNT),
    "fpo_simulation_parameter_count": (STATUS, ADDRESS, COUNT),
    "fpo_simulation_actions": (STATUS, ADDRESS, ADDRESS),
    "fpo_simulation_weights": (STATUS, ADDRESS, ADDRESS),
    "fpo_simulation_save": (STATUS, ADDRESS, ADDRESS, SIZE, POINTER(c_size_t)),
    "fpo_simulation_load": (STATUS, ADDRESS, ADDRESS, SIZE),
}


def candidates() -> list[Path]:
    """Where ``libfpo.so`` is looked for, best first; `FPO_LIBRARY` names it alone."""
    explicit = os.environ.get("FPO_LIBRARY")
    if explicit:
        return [Path(explicit).expanduser()]
    package = Path(__file__).resolve().parent
    places = [package / "lib"]
    repository = package.parents[1]
    if (repository / "Package.swift").exists():
        places += [repository / "build" / "lib", repository / ".build" / "release"]
    places.append(Path(sys.prefix) / "lib")
    return [place / "libfpo.so" for place in places]


def check(status: int, function: Any, _arguments: tuple[Any, ...]) -> int:
    """The errcheck of every status: raises the class of `fpo.errors` with the library's text."""
    if status:
        text = lib.fpo_last_error().decode("utf-8", "replace")
        error = error_of_status(status)(f"{text} ({function.__name__})")
        error.status = status
        raise error
    return status


def bind(library: ctypes.CDLL) -> ctypes.CDLL:
    """Types every function of `SIGNATURES` on `library`."""
    for name, (result, *arguments) in SIGNATURES.items():
        function = getattr(library, name)
        function.argtypes = arguments
        function.restype = c_int32 if result is STATUS else result
        if result is STATUS:
            function.errcheck = check
    return library


def load() -> tuple[ctypes.CDLL, Path]:
    """Loads the first candidate that exists, and shakes hands with it.

    Raises
    ------
    LibraryNotFoundError
        There is none, or it does not load.
    AbiError
        It speaks another version of ``fpo.h`` than this package.
    """
    paths = candidates()
    path = next((path for path in paths if path.is_file()), None)
    if path is None:
        tried = "\n  ".join(str(path) for path in paths)
        raise LibraryNotFoundError(
            f"libfpo.so not found; looked for\n  {tried}\n"
            "Build it with `make build`, or set FPO_LIBRARY to its path."
        )
    try:
        library = ctypes.CDLL(str(path), mode=os.RTLD_NOW | os.RTLD_LOCAL)
        library.fpo_abi_version.restype = c_uint32
        version = int(library.fpo_abi_version())
    except (OSError, AttributeError) as error:
        raise LibraryNotFoundError(f"{path} does not load as libfpo: {error}") from error
    major, minor = version >> 16, version & 0xFFFF
    if major != ABI_MAJOR or minor < ABI_MINOR:
        raise AbiError(
            f"{path} has ABI {major}.{minor}, this package needs {ABI_MAJOR}.{ABI_MINOR}; "
            "an older build is in the way: rebuild it, or reinstall the package"
        )
    try:
        return bind(library), path
    except AttributeError as error:
        raise AbiError(f"{path} lacks a function of ABI {major}.{minor}: {error}") from error


lib, library_path = load()


def address(array: NDArray[Any] | None) -> int | None:
    """The address of an array's first element; None for None."""
    return None if array is None else array.ctypes.data


def leading_dimension(array: NDArray[Any] | None) -> int:
    """Elements between two rows of a matrix (as `fpo._arrays.matrix` makes it); 0 for None."""
    if array is None:
        return 0
    rows, columns = array.shape
    return array.strides[0] // array.itemsize if rows > 1 else columns


def initialized(struct: type[Any], *arguments: int) -> Any:
    """A struct with the library's defaults, by its ``_init`` function."""
    names = {
        UtilityFilterConfig: "fpo_utility_filter_config_init",
        Loss: "fpo_loss_init",
        PolicyLoss: "fpo_policy_loss_init",
        OptimizerConfig: "fpo_optimizer_config_init",
        LanguageModelConfig: "fpo_language_model_config_init",
        LoraConfig: "fpo_lora_config_init",
        GenerationConfig: "fpo_generation_config_init",
        TextEncoderConfig: "fpo_text_encoder_config_init",
        TextRewardConfig: "fpo_text_reward_config_init",
        Environment: "fpo_environment_init",
        Penalty: "fpo_penalty_init",
        SimulationInputs: "fpo_simulation_inputs_init",
        Trace: "fpo_trace_init",
    }
    value = struct()
    getattr(lib, names[struct])(byref(value), ctypes.sizeof(struct), *arguments)
    return value


def integer(function: Callable[..., Any], *arguments: Any) -> int:
    """Calls a function whose last argument is an ``int64_t *`` output."""
    out = c_int64()
    function(*arguments, byref(out))
    return out.value


def sized_bytes(function: Callable[..., Any], *arguments: Any) -> bytes:
    """The two calls of a function that ends in (buffer, capacity, needed)."""
    needed = c_size_t()
    function(*arguments, None, 0, byref(needed))
    buffer = ctypes.create_string_buffer(max(needed.value, 1))
    function(*arguments, buffer, needed.value, byref(needed))
    return buffer.raw[: needed.value]


def build_info() -> dict[str, str]:
    """What `fpo_build_info` says, as a dictionary."""
    text = sized_bytes(lib.fpo_build_info).rstrip(b"\0").decode()
    return dict(line.split("=", 1) for line in text.splitlines() if "=" in line)


class Handle:
    """An object of the library, destroyed with its Python owner. Never pickled, never copied."""

    def __init__(self, create: Callable[..., Any], destroy: Callable[..., Any], *arguments: Any):
        pointer = c_void_p()
        create(*arguments, byref(pointer))
        self.pointer: int | None = pointer.value
        self._finalizer = weakref.finalize(self, destroy, pointer.value)

    def __reduce__(self) -> Any:
        raise TypeError("a handle of libfpo cannot be pickled or copied")


def new_array(*shape: int) -> NDArray[np.float64]:
    """A float64 array for the library to fill."""
    return np.empty(shape)
