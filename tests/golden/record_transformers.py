"""Records outputs of random ELECTRA models of transformers into tests/golden/hf/tiny; needs the "peer" extra.

Example:
    python tests/golden/record_transformers.py
"""

import json
import pathlib

import numpy as np
import torch
import transformers

FOLDER = pathlib.Path(__file__).resolve().parent / "hf" / "tiny"
# All sizes differ, so that a swapped axis or field cannot go unnoticed.
SIZES = {
    "vocab_size": 61,
    "embedding_size": 10,
    "hidden_size": 12,
    "num_hidden_layers": 2,
    "num_attention_heads": 3,
    "intermediate_size": 20,
    "max_position_embeddings": 40,
    "attn_implementation": "eager",
}
# As wide as its embeddings, so this network has no embeddings_project.
GENERATOR_SIZES = {**SIZES, "hidden_size": 10, "num_attention_heads": 2, "intermediate_size": 16}
BATCH_SIZE, LENGTH = 4, 24


def main() -> None:
    """Records the pair of pretraining models, then one model per task head."""
    torch.use_deterministic_algorithms(True)
    inputs = make_inputs(np.random.default_rng(1), BATCH_SIZE, LENGTH)
    with torch.no_grad():
        record_pair(inputs)
        record_task("seqcls", "Sequence", inputs, num_labels=3, problem_type="single_label_classification")
        record_task("seqreg", "Sequence", inputs, num_labels=1, problem_type="regression")
        record_task("tokcls", "Token", inputs, num_labels=5)
        record_task("qa", "Question", inputs)


def make_inputs(rng: np.random.Generator, num_rows: int, length: int) -> dict[str, np.ndarray]:
    """Returns int32 [B, L] inputs: a full row, padded rows and, as the last, a row with holes in its mask."""
    mask = np.ones([num_rows, length], np.int32)
    for row in range(1, num_rows - 1):
        mask[row, length - 5 * row :] = 0
    mask[-1] = rng.random(length) < 0.7
    mask[-1, 0] = 1
    return {
        "input_ids": rng.integers(1, SIZES["vocab_size"], [num_rows, length], dtype=np.int32),
        "attention_mask": mask,
        "token_type_ids": np.broadcast_to(np.arange(length) >= length // 2, mask.shape).astype(np.int32),
    }


def record_pair(inputs: dict[str, np.ndarray]) -> None:
    """Records a discriminator and a generator with embeddings that differ, on one batch and one full-length batch."""
    rng = np.random.default_rng(2)
    long = make_inputs(rng, 2, SIZES["max_position_embeddings"])
    long["attention_mask"][:] = 1
    disc_labels = rng.integers(0, 2, [BATCH_SIZE, LENGTH], dtype=np.int32)
    is_predicted = (rng.random([BATCH_SIZE, LENGTH]) < 0.2) & (inputs["attention_mask"] == 1)
    mlm_labels = np.where(is_predicted, rng.integers(0, SIZES["vocab_size"], is_predicted.shape), -100).astype(np.int32)
    discriminator = make_model(transformers.ElectraForPreTraining, SIZES, seed=3)
    generator = make_model(transformers.ElectraForMaskedLM, GENERATOR_SIZES, seed=4)
    disc = run(discriminator, inputs, labels=disc_labels)
    gen = run(generator, inputs, labels=mlm_labels)
    longest = run(discriminator, long)
    arrays = {
        **inputs,
        **{f"long_{name}": value for name, value in long.items()},
        "disc_labels": disc_labels,
        "mlm_labels": mlm_labels,
        "disc_hidden_states": stack(disc.hidden_states),
        "disc_last_hidden_state": disc.hidden_states[-1],
        "disc_logits": disc.logits,
        "disc_loss": disc.loss,
        "disc_logits_defaults": run(discriminator, {"input_ids": inputs["input_ids"]}).logits,
        "long_disc_last_hidden_state": longest.hidden_states[-1],
        "long_disc_logits": longest.logits,
        "gen_hidden_states": stack(gen.hidden_states),
        "gen_last_hidden_state": gen.hidden_states[-1],
        "gen_logits": gen.logits,
        "gen_mlm_loss": gen.loss,
    }
    save(discriminator, FOLDER / "discriminator")
    save(generator, FOLDER / "generator")
    np.savez_compressed(FOLDER / "io.npz", **{name: np.asarray(value) for name, value in arrays.items()})


def record_task(name: str, kind: str, inputs: dict[str, np.ndarray], **settings: object) -> None:
    """Records the outputs of one task head; the losses are not needed, ours are means by other rules."""
    suffix = "Answering" if kind == "Question" else "Classification"
    model_class = getattr(transformers, f"ElectraFor{kind}{suffix}")
    model = make_model(model_class, {**SIZES, **settings}, seed=5)
    outputs = run(model, inputs)
    logits = ("start_logits", "end_logits") if kind == "Question" else ("logits",)
    arrays = {**inputs, "last_hidden_state": outputs.hidden_states[-1], **{key: outputs[key] for key in logits}}
    save(model, FOLDER / name)
    np.savez_compressed(FOLDER / name / "io.npz", **{key: np.asarray(value) for key, value in arrays.items()})


def make_model(model_class: type, settings: dict[str, object], seed: int) -> torch.nn.Module:
    """Returns a model in which every weight is random, biases, LayerNorms and the [PAD] row too."""
    model = model_class(transformers.ElectraConfig(**settings)).eval()
    rng = np.random.default_rng(seed)
    for name, parameter in model.named_parameters():
        centre = 1.0 if name.endswith("LayerNorm.weight") else 0.0
        values = centre + 0.3 * rng.standard_normal(tuple(parameter.shape))
        parameter.copy_(torch.tensor(values, dtype=torch.float32))
    return model


def run(model: torch.nn.Module, inputs: dict[str, np.ndarray], labels: np.ndarray | None = None) -> dict:
    """Returns the model's outputs with all hidden states."""
    tensors = {name: torch.tensor(value, dtype=torch.int64) for name, value in inputs.items()}
    if labels is not None:
        tensors["labels"] = torch.tensor(labels, dtype=torch.int64)
    return model(**tensors, output_hidden_states=True)


def stack(states: tuple[torch.Tensor, ...]) -> torch.Tensor:
    """Returns hidden states [layers + 1, B, L, H]."""
    return torch.stack(states)


def save(model: torch.nn.Module, folder: pathlib.Path) -> None:
    """Writes config.json and model.safetensors, without what transformers writes for generation."""
    model.save_pretrained(folder)
    (folder / "generation_config.json").unlink(missing_ok=True)
    assert json.loads((folder / "config.json").read_text())["model_type"] == "electra"


if __name__ == "__main__":
    main()
