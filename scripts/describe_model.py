"""Prints the parts of a model with their numbers of parameters, and the operations its training takes."""

import argparse
import pathlib
from collections.abc import Mapping
from typing import Any

from absl.flags import argparse_flags

from configure_pretraining import PretrainingConfig
from electra_span import command_line, model_cost
from electra_span.config import MODEL_SIZES, EncoderConfig, HparamError, UserError
from electra_span.containers import check_hub_snapshot

_LABELS = {"discriminator": "discriminator head", "masked_lm": "masked LM head", "cloze": "cloze head"}
_ONE_ENCODER = ("generator encoder", "generator encoder's own")
_TWO_ENCODERS = ("generator's two encoders", "generator encoders' own")
_PUBLISHED_HEADS = {
    "ElectraForPreTraining": "discriminator",
    "ElectraForMaskedLM": "masked_lm",
    "TwoTowerElectraForMaskedLM": "cloze",
}


def make_parser() -> argparse.ArgumentParser:
    """Returns the parser of this command."""
    parser = argparse_flags.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument(
        "model",
        metavar="SIZE_OR_DIRECTORY",
        help=f"{', '.join(MODEL_SIZES)} (the paper's recipe), the folder of a run, or a published model's",
    )
    parser.add_argument("--hparams", default="{}", help="JSON object of pretraining hparams, or a .json file's path")
    return parser


def main(arguments: argparse.Namespace) -> None:
    """Prints the description of the model named in the arguments."""
    hparams = command_line.read_hparams(arguments.hparams)
    if arguments.model in MODEL_SIZES:
        hparams = {"preset": f"electra-{arguments.model}", **hparams}
        config = PretrainingConfig.from_hparams(model_name=arguments.model, data_dir="", hparams=hparams)
        lines = describe_run(config)
    else:
        if not arguments.model:
            raise UserError(f"SIZE_OR_DIRECTORY must be one of {', '.join(MODEL_SIZES)} or a folder. Received: ''")
        lines = _describe_folder(pathlib.Path(arguments.model), hparams)
    print("\n".join(lines))


def _describe_folder(folder: pathlib.Path, hparams: Mapping[str, Any]) -> list[str]:
    """Returns lines on the run or the published model in a folder."""
    saved = _read_config(folder)
    if hparams and "architectures" in saved:
        raise UserError(f"{folder} is a published model: --hparams say nothing about it; leave them out")
    try:
        if "architectures" not in saved:
            return describe_run(PretrainingConfig.from_saved({**saved, **hparams}))
        return describe_published(saved)
    except HparamError as error:
        raise HparamError(f"{folder / 'config.json'}: {error}") from None


def describe_run(config: PretrainingConfig) -> list[str]:
    """Returns lines on a pretraining run: its parts with their parameters, and its operations."""
    networks = config.networks()
    num_sequences = config.train_batch_size * config.num_train_steps
    total = model_cost.training_flops(networks, seq_length=config.max_seq_length, num_sequences=num_sequences)
    step = model_cost.matmul_flops_per_step(
        networks,
        batch_size=config.train_batch_size,
        seq_length=config.max_seq_length,
        num_predictions=config.max_predictions_per_seq,
    )
    return [
        *_table(run_parameters(config)),
        "",
        f"training: {config.num_train_steps:,} steps of {config.train_batch_size} sequences of {config.max_seq_length}",
        f"training FLOPs, counted as in the ELECTRA paper: {total:.3e}",
        f"FLOPs of matrix products, forward and back: {step:.3e} a step, {step * config.num_train_steps:.3e} in all",
    ]


def run_parameters(config: PretrainingConfig) -> dict[str, int]:
    """Returns the number of parameters of every part of a pretraining run, sums included, by the part's name."""
    heads = [network.head for network in config.networks()]
    head = next((head for head in heads if head != "discriminator"), None)
    encoder = config.discriminator_encoder()
    rows = encoder_parameters(encoder, "discriminator" if "discriminator" in heads else None)
    total = rows["discriminator"] if "discriminator" in rows else rows["encoder"]
    if head is None:
        return {**rows, "all trained": total}
    parts = model_cost.count_parameters(config.generator_encoder(), head)
    of_head = parts.pop(f"{head}_head")
    if config.has_detection_objective and config.untied_generator:
        shared = parts["embeddings"] if config.embedding_sharing == "shared" else 0
        whole, own = _TWO_ENCODERS if head == "cloze" else _ONE_ENCODER
        rows[whole] = sum(parts.values())
        rows[own] = sum(parts.values()) - shared
        total += rows[own]
    return {**rows, _LABELS[head]: of_head, "all trained": total + of_head}


def describe_published(published: Mapping[str, Any]) -> list[str]:
    """Returns lines on a published model: its parts with their parameters.

    Args:
        published: its config.json.
    """
    architectures = published["architectures"]
    if not isinstance(architectures, list) or not all(isinstance(name, str) for name in architectures):
        raise HparamError(f"architectures must be a list of names. Received: {architectures!r}")
    head = _PUBLISHED_HEADS.get(architectures[0]) if architectures else None
    return _table(encoder_parameters(EncoderConfig.from_published(published), head))


def encoder_parameters(config: EncoderConfig, head: str | None) -> dict[str, int]:
    """Returns the number of parameters of an encoder's parts, of the encoder, and of its head and both together."""
    parts = model_cost.count_parameters(config, head)
    of_head = {} if head is None else {_LABELS[head]: parts.pop(f"{head}_head")}
    num_layers = f"2 x {config.num_hidden_layers}" if head == "cloze" else f"{config.num_hidden_layers}"
    rows = {
        "embeddings": parts["embeddings"],
        "embeddings_project": parts["embeddings_project"],
        f"encoder layers ({num_layers})": parts["encoder_layers"],
        "two encoders" if head == "cloze" else "encoder": sum(parts.values()),
        **of_head,
    }
    if head is not None:
        rows["discriminator" if head == "discriminator" else "generator"] = sum([*parts.values(), *of_head.values()])
    return rows


def _table(rows: Mapping[str, int]) -> list[str]:
    return [f"{'part':<28}{'parameters':>14}"] + [f"{name:<28}{count:>14,}" for name, count in rows.items()]


def _read_config(folder: pathlib.Path) -> dict[str, Any]:
    """Returns the config.json of a folder: a run's effective configuration or a published model's."""
    if not folder.is_dir():
        raise UserError(f"{str(folder)!r} is neither a size ({', '.join(MODEL_SIZES)}) nor a folder")
    check_hub_snapshot(folder)
    saved = command_line.read_json_file(str(folder / "config.json"))
    if not ("architectures" in saved or {"model_name", "data_dir"} <= saved.keys()):
        raise UserError(f"{folder / 'config.json'} is neither a run's configuration nor a published model's")
    return saved


if __name__ == "__main__":
    command_line.run(main, make_parser)
