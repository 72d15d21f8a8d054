"""Speed of one ELECTRA pretraining step in the peer, Hugging Face transformers on PyTorch: prints one JSON line.

The objective is the original's: a generator of a quarter of the discriminator's width, embeddings (word, position,
type, LayerNorm) shared by both, logits at masked positions only, Gumbel sampling, loss = MLM + 50 RTD over real tokens
(Clark et al. 2020, section 3). The peer runs in its best simple settings, which the JSON line names.
Needs torch and transformers (the `peer` extra); imports no TensorFlow, so that it can run in an environment of its own.
"""

import argparse
import json
import os
import statistics
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers
from torch.nn import functional

SIZES = {"small": {"embedding_size": 128, "hidden_size": 256}, "base": {"embedding_size": 768, "hidden_size": 768}}
GENERATOR_HIDDEN_SIZE = 0.25
VOCAB_SIZE, CLS_ID, SEP_ID, MASK_ID, FIRST_WORD_ID = 30522, 101, 102, 103, 1000
MASK_PROB, FILL_RATE = 0.15, 0.81
LEARNING_RATES = {"small": 5e-4, "base": 2e-4}
# On CPU PyTorch has no fused attention with dropout: transformers' own form was seen to be no slower in float32 and a
# quarter faster in bfloat16. Compiling the step gained nothing there.
SETTINGS: dict[str, dict[str, Any]] = {
    "cpu": {"attention": "eager", "compiled": False},
    "cuda": {"attention": "sdpa", "compiled": True},
}


class ElectraPretraining(torch.nn.Module):
    """The generator and the discriminator of transformers, joined by ELECTRA's objective."""

    def __init__(self, model_size: str, *, attention: str) -> None:
        super().__init__()
        sizes = SIZES[model_size]
        generator_sizes = {**sizes, "hidden_size": int(sizes["hidden_size"] * GENERATOR_HIDDEN_SIZE)}
        self.generator = transformers.ElectraForMaskedLM(_encoder_config(attention, **generator_sizes))
        self.discriminator = transformers.ElectraForPreTraining(_encoder_config(attention, **sizes))
        embeddings = self.discriminator.electra.embeddings
        self.generator.electra.embeddings = embeddings
        self.generator.generator_lm_head.weight = embeddings.word_embeddings.weight

    def forward(self, batch: Mapping[str, torch.Tensor]) -> torch.Tensor:
        """Returns the joint loss, a float32 scalar, of one batch in the names and shapes of `synthetic_batches`."""
        encoder_inputs = {"attention_mask": batch["input_mask"], "token_type_ids": batch["segment_ids"]}
        positions, weights = batch["masked_lm_positions"], batch["masked_lm_weights"]
        hidden = self.generator.electra(batch["masked_input_ids"], **encoder_inputs).last_hidden_state
        hidden = hidden.gather(1, positions[..., None].expand(-1, -1, hidden.shape[-1]))  # [B, N, H/4]
        logits = self.generator.generator_lm_head(self.generator.generator_predictions(hidden)).float()  # [B, N, V]
        mlm_losses = functional.cross_entropy(logits.flatten(0, 1), batch["masked_lm_ids"].flatten(), reduction="none")

        originals = batch["input_ids"].gather(1, positions)  # [B, N]
        sampled_ids = torch.where(weights > 0, _sample(logits.detach()), originals)
        corrupted_ids = batch["input_ids"].scatter(1, positions, sampled_ids)  # [B, L]
        is_replaced = (corrupted_ids != batch["input_ids"]).float()
        rtd_logits = self.discriminator(corrupted_ids, **encoder_inputs).logits.float()  # [B, L]
        rtd_losses = functional.binary_cross_entropy_with_logits(rtd_logits, is_replaced, reduction="none")
        return _weighted_mean(mlm_losses, weights.flatten()) + 50 * _weighted_mean(rtd_losses, batch["input_mask"])


def _encoder_config(attention: str, **sizes: int) -> transformers.ElectraConfig:
    """Returns transformers' config of an encoder of heads of 64; 12 layers and dropout 0.1 are its defaults."""
    return transformers.ElectraConfig(
        vocab_size=VOCAB_SIZE,
        num_attention_heads=sizes["hidden_size"] // 64,
        intermediate_size=4 * sizes["hidden_size"],
        attn_implementation=attention,
        **sizes,
    )


def _sample(logits: torch.Tensor) -> torch.Tensor:
    """Returns ids [B, N] drawn from softmax(logits [B, N, V]) by the Gumbel trick, in place for speed."""
    negative_noise = torch.rand_like(logits).clamp_min_(1e-9).log_().neg_().log_()
    return torch.sub(logits, negative_noise, out=negative_noise).argmax(-1)


def _weighted_mean(values: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """Returns the mean of values under weights of the same shape."""
    return (values * weights).sum() / (weights.sum() + 1e-6)


def synthetic_batches(*, num_batches: int, batch_size: int, max_seq_length: int) -> dict[str, np.ndarray]:
    """Returns random batches whose rows are 81% full on average, masked as the original masks.

    Returns:
        masked_input_ids, input_ids, input_mask, segment_ids: int64 [num_batches, B, L]; masked_lm_positions,
        masked_lm_ids: int64 and masked_lm_weights: float32 [num_batches, B, N], unused slots 0.
    """
    rng = np.random.default_rng(0)
    num_rows, max_predictions = num_batches * batch_size, int((MASK_PROB + 0.005) * max_seq_length)
    shortest = round((2 * FILL_RATE - 1) * max_seq_length)
    lengths = rng.integers(shortest, max_seq_length, size=(num_rows, 1), endpoint=True)
    columns = np.arange(max_seq_length)[None]
    input_ids = rng.integers(FIRST_WORD_ID, VOCAB_SIZE, size=(num_rows, max_seq_length)) * (columns < lengths)
    input_ids[:, 0] = CLS_ID
    np.put_along_axis(input_ids, lengths - 1, SEP_ID, axis=1)

    draws = np.where(input_ids >= FIRST_WORD_ID, rng.random(input_ids.shape), 2.0)
    is_used = np.arange(max_predictions)[None] < np.round(MASK_PROB * lengths)
    positions = draws.argsort(axis=1)[:, :max_predictions] * is_used
    masked_lm_ids = np.take_along_axis(input_ids, positions, axis=1)  # [rows, N]
    is_hidden = is_used & (rng.random(is_used.shape) < 0.85)
    masked_input_ids = input_ids.copy()
    np.put_along_axis(masked_input_ids, positions, np.where(is_hidden, MASK_ID, masked_lm_ids), axis=1)
    rows: dict[str, np.ndarray] = {
        "masked_input_ids": masked_input_ids,
        "input_ids": input_ids,
        "input_mask": (columns < lengths).astype(np.int64),
        "segment_ids": np.zeros_like(input_ids),
        "masked_lm_positions": positions,
        "masked_lm_ids": masked_lm_ids * is_used,
        "masked_lm_weights": is_used.astype(np.float32),
    }
    return {name: values.reshape(num_batches, batch_size, -1) for name, values in rows.items()}


def read_batches(path: Path, *, batch_size: int, max_seq_length: int) -> dict[str, np.ndarray]:
    """Returns the arrays of an .npz file, in the names and shapes of `synthetic_batches`.

    Raises:
        ValueError: where an array is missing, the sizes are others, or an id is outside the vocabulary.
    """
    expected = synthetic_batches(num_batches=1, batch_size=batch_size, max_seq_length=max_seq_length)
    with np.load(path) as archive:
        if missing := sorted(set(expected) - set(archive)):
            raise ValueError(f"{path}: arrays {missing} are needed too. Received: {sorted(archive)}")
        batches = {name: archive[name] for name in expected}
    ids = batches["input_ids"]
    if ids.shape[1:] != (batch_size, max_seq_length):
        raise ValueError(f"{path}: ids must be [steps, {batch_size}, {max_seq_length}]. Received: {ids.shape}")
    if ids.max() >= VOCAB_SIZE:
        raise ValueError(f"{path}: ids must be below {VOCAB_SIZE}. Received: {ids.max()}")
    return batches


def measure(
    *,
    model_size: str,
    max_seq_length: int,
    batch_size: int,
    precision: str,
    num_steps: int,
    num_warmup_steps: int,
    batches: Mapping[str, np.ndarray],
) -> dict[str, Any]:
    """Returns what the JSON line says, after num_warmup_steps untimed and num_steps timed training steps.

    Args:
        model_size: "small" or "base".
        max_seq_length: L.
        batch_size: B.
        precision: "float32" or "mixed_bfloat16" (autocast; weights, moments, logits and losses stay float32).
        num_steps: steps timed, each with the device's work finished.
        num_warmup_steps: steps before them, which compile and fill caches.
        batches: arrays as `synthetic_batches` returns; step i takes batch i modulo their number.
    """
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    torch.set_num_threads(os.cpu_count() or 1)
    torch.manual_seed(0)
    if device.type == "cuda":
        torch.set_float32_matmul_precision("high")  # TF32, as TensorFlow has it by default.
    model = ElectraPretraining(model_size, attention=SETTINGS[device.type]["attention"]).to(device).train()
    step_seconds, losses = _train(
        model,
        _on_device(batches, device),
        learning_rate=LEARNING_RATES[model_size],
        precision=precision,
        num_steps=num_warmup_steps + num_steps,
    )
    median_seconds = statistics.median(step_seconds[num_warmup_steps:])
    timed = np.arange(num_warmup_steps, num_warmup_steps + num_steps) % len(batches["input_mask"])
    return {
        "name": "pretraining_step",
        "peer": "transformers",
        "tokens_per_second": batch_size * max_seq_length / median_seconds,
        "real_tokens_per_second": float(batches["input_mask"][timed].sum() / num_steps / median_seconds),
        "step_seconds": median_seconds,
        "precision": precision,
        "model_size": model_size,
        "max_seq_length": max_seq_length,
        "batch_size": batch_size,
        "num_steps": num_steps,
        "num_warmup_steps": num_warmup_steps,
        "num_parameters": sum(parameter.numel() for parameter in model.parameters()),
        "first_loss": losses[0],
        "last_loss": losses[-1],
        **_environment(device),
    }


def _environment(device: torch.device) -> dict[str, Any]:
    """Returns what a figure depends on beside its arguments: device, threads, settings, versions."""
    return {
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu",
        "threads": torch.get_num_threads(),
        **SETTINGS[device.type],
        "torch": torch.__version__,
        "transformers": transformers.__version__,
    }


def _on_device(batches: Mapping[str, np.ndarray], device: torch.device) -> list[dict[str, torch.Tensor]]:
    """Returns the batches as a list of dicts of tensors on the device: integers as int64, which torch gathers by."""
    tensors = {name: torch.from_numpy(values).to(device) for name, values in batches.items()}
    tensors = {name: values if values.is_floating_point() else values.long() for name, values in tensors.items()}
    return [dict(zip(tensors, rows, strict=True)) for rows in zip(*tensors.values(), strict=True)]


def _train(
    model: ElectraPretraining,
    batches: list[dict[str, torch.Tensor]],
    *,
    learning_rate: float,
    precision: str,
    num_steps: int,
) -> tuple[list[float], list[float]]:
    """Returns the seconds and the loss of each step: forward, backward, clipping to norm 1, AdamW's update."""
    device_type = batches[0]["input_ids"].device.type
    loss_function = torch.compile(model) if SETTINGS[device_type]["compiled"] else model
    optimizer = torch.optim.AdamW(model.parameters(), lr=learning_rate, eps=1e-6, weight_decay=0.01, fused=True)
    step_seconds, losses = [], []
    for step in range(num_steps):
        start = time.perf_counter()
        with torch.autocast(device_type, torch.bfloat16, enabled=precision == "mixed_bfloat16"):
            loss = loss_function(batches[step % len(batches)])
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        losses.append(loss.item())  # Waits until the device has finished the step.
        step_seconds.append(time.perf_counter() - start)
    return step_seconds, losses


def main() -> None:
    """Measures what the command line asks for and prints one JSON line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model-size", choices=sorted(SIZES), default="small")
    parser.add_argument("--max-seq-length", type=int, default=128)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--precision", choices=["float32", "mixed_bfloat16"], default="float32")
    parser.add_argument("--num-steps", type=int, default=10)
    parser.add_argument("--num-warmup-steps", type=int, default=3)
    parser.add_argument("--batches", type=Path, help="an .npz file of batches; synthetic ones without it")
    flags = vars(parser.parse_args())
    path = flags.pop("batches")
    shape = {"batch_size": flags["batch_size"], "max_seq_length": flags["max_seq_length"]}
    num_batches = flags["num_steps"] + flags["num_warmup_steps"]
    try:
        batches = read_batches(path, **shape) if path else synthetic_batches(num_batches=num_batches, **shape)
    except (OSError, ValueError) as error:
        parser.error(str(error))
    print(json.dumps({**measure(**flags, batches=batches), "batches": str(path or "synthetic")}))


if __name__ == "__main__":
    main()
