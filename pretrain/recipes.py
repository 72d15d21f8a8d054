"""Named sets of hparams: the recipes of the papers, and a run to try things with. Imports no TensorFlow."""

from typing import Any

# The recipes of Clark et al. 2020, table 6. What a recipe leaves out is the class default in all three.
PRESETS: dict[str, dict[str, Any]] = {
    "electra-small": {
        "model_size": "small", "generator_hidden_size": 1 / 4, "mask_prob": 0.15, "max_seq_length": 128,
        "learning_rate": 5e-4, "num_warmup_steps": 10_000, "num_train_steps": 1_000_000, "train_batch_size": 128,
    },
    "electra-base": {
        "model_size": "base", "generator_hidden_size": 1 / 3, "mask_prob": 0.15, "max_seq_length": 512,
        "learning_rate": 2e-4, "num_warmup_steps": 10_000, "num_train_steps": 766_000, "train_batch_size": 256,
    },
    "electra-large": {
        "model_size": "large", "generator_hidden_size": 1 / 4, "mask_prob": 0.25, "max_seq_length": 512,
        "learning_rate": 2e-4, "num_warmup_steps": 10_000, "num_train_steps": 400_000, "train_batch_size": 2048,
    },
}  # fmt: skip

# What `debug` sets: a model and a run small enough to try anything in seconds, as in the original.
DEBUG: dict[str, Any] = {
    "model_hparam_overrides": {"num_hidden_layers": 3, "hidden_size": 144, "num_attention_heads": 4},
    "train_batch_size": 8, "eval_batch_size": 4, "num_train_steps": 20, "num_eval_steps": 2, "iterations_per_loop": 1,
}  # fmt: skip
