"""Named sets of hparams: the recipes of the papers, and a run to try things with. Imports no TensorFlow."""

from typing import Any

# What SpanElectra adds to ELECTRA, and runs where nothing is said: spans, and an objective of their boundaries on both
# sides. The weights: docs/experiments.md.
SPAN_OBJECTIVES: dict[str, Any] = {"masking": "span", "sbgo_weight": 1.0, "sbpo_weight": 50.0}

# The recipes of Clark et al. 2020, table 6 (electra-*, bert-small) and Joshi et al. 2020, section 4 (spanbert-base).
# What a recipe leaves out is the class default.
PRESETS: dict[str, dict[str, Any]] = {
    "electra-small": {
        "model_size": "small", "generator_hidden_size": 1 / 4, "mask_prob": 0.15, "max_seq_length": 128,
        "learning_rate": 5e-4, "num_warmup_steps": 10_000, "num_train_steps": 1_000_000, "train_batch_size": 128,
        "masking": "token",
    },
    "electra-base": {
        "model_size": "base", "generator_hidden_size": 1 / 3, "mask_prob": 0.15, "max_seq_length": 512,
        "learning_rate": 2e-4, "num_warmup_steps": 10_000, "num_train_steps": 766_000, "train_batch_size": 256,
        "masking": "token",
    },
    "electra-large": {
        "model_size": "large", "generator_hidden_size": 1 / 4, "mask_prob": 0.25, "max_seq_length": 512,
        "learning_rate": 2e-4, "num_warmup_steps": 10_000, "num_train_steps": 400_000, "train_batch_size": 2048,
        "masking": "token",
    },
    "bert-small": {
        "electra_objective": False, "model_size": "small", "masking": "token", "mask_prob": 0.15, "max_seq_length": 128,
        "learning_rate": 5e-4, "num_warmup_steps": 10_000, "num_train_steps": 1_450_000, "train_batch_size": 128,
    },
    "spanbert-base": {
        "electra_objective": False, "model_size": "base", "mask_prob": 0.15, "max_seq_length": 512,
        "masking": "span", "span_whole_words": True, "random_tokens": "frequency", "sbgo_weight": 1.0,
        "learning_rate": 1e-4, "num_warmup_steps": 10_000, "num_train_steps": 2_400_000, "train_batch_size": 256,
    },
}  # fmt: skip
PRESETS |= {f"span{name}": {**PRESETS[name], **SPAN_OBJECTIVES} for name in ("electra-small", "electra-base")}

# What `debug` sets: a model and a run small enough to try anything in seconds, as in the original.
DEBUG: dict[str, Any] = {
    "model_hparam_overrides": {"num_hidden_layers": 3, "hidden_size": 144, "num_attention_heads": 4},
    "train_batch_size": 8, "eval_batch_size": 4, "num_train_steps": 20, "num_eval_steps": 2, "iterations_per_loop": 1,
}  # fmt: skip
