"""Converts a pretrained ELECTRA: the original's TensorFlow checkpoints, Hugging Face's folders and ours.

What SOURCE is, is recognised, and the sizes are read from its weights. TARGET gets the published form (Hugging Face's):
the model itself where SOURCE holds one, else TARGET/discriminator and TARGET/generator.
"""

import argparse
import pathlib
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from absl.flags import argparse_flags

from electra_span import command_line
from electra_span.config import UserError
from electra_span.files import without_controls
from electra_span.folders import whole_folder
from electra_span.places import check_output_folder

if TYPE_CHECKING:
    import numpy as np

    from electra_span.convert.source_models import Half
    from electra_span.convert.sources import Source
    from electra_span.published.names import Model
    from electra_span.tokenization import Tokenizer

_LARGEST_DIFFERENCE = 1e-4  # of logits; equal weights give 0


def make_parser() -> argparse.ArgumentParser:
    """Returns the parser of this command."""
    parser = argparse_flags.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument(
        "source",
        metavar="SOURCE",
        type=command_line.parse_path,
        help="a TensorFlow checkpoint of the original (its path before .index, or its folder), a Hugging Face folder, "
        "a folder with discriminator and generator as run_pretraining writes, or a zip of any of these",
    )
    parser.add_argument(
        "target", metavar="TARGET", type=command_line.parse_path, help="the folder to write, new or empty"
    )
    parser.add_argument("--to", choices=("published", "tf1"), default="published", help="the form to write")
    parser.add_argument("--vocab-file", help="the vocabulary; by default the source's own, beside its weights")
    command_line.add_switch(
        parser, "--do-lower-case", True, "whether a vocabulary without settings is of lowered texts"
    )
    for flag, network in (("--num-attention-heads", "model"), ("--generator-num-attention-heads", "generator")):
        rule = (
            f"of the {network}; no weight tells it. By default what config.json says, or one for each 64 of its width"
        )
        parser.add_argument(flag, type=_count, metavar="N", help=rule)
    return parser


def main(arguments: argparse.Namespace) -> None:
    """Converts what the arguments name, and prints what was found, written and left out."""
    check_output_folder("TARGET", arguments.target)
    if arguments.target.exists() and (not arguments.target.is_dir() or any(arguments.target.iterdir())):
        raise UserError(f"TARGET must be a new or an empty folder. Received: {str(arguments.target)!r}")
    if not arguments.source.exists() and not arguments.source.parent.is_dir():
        raise UserError(f"SOURCE: no such file or folder. Received: {str(arguments.source)!r}")
    from electra_span.convert.sources import opened

    try:
        with opened(arguments.source, arguments.target) as source_path, whole_folder(arguments.target) as folder:
            convert(arguments, source_path, folder)
    except UserError as error:  # which may quote names from files of others
        raise UserError(without_controls(str(error).replace("\n", " "))) from error


def convert(arguments: argparse.Namespace, source_path: pathlib.Path, folder: pathlib.Path) -> None:
    """Converts the source at a path, which is no zip, into a folder; prints what `main` does."""
    from electra_span.convert.sources import read_source

    heads = {
        "discriminator": arguments.num_attention_heads,
        "generator": arguments.generator_num_attention_heads,
    }
    source = read_source(source_path, heads)
    if any(half.part == "encoder" for half in source.halves):
        raise UserError(f"{arguments.source}: is an encoder without a head, of which no form here is made")
    print(f"{arguments.source} is {source.kind}", *_describe(source), sep="\n")
    tokenizers = [_read_tokenizer(half, arguments) for half in source.halves]
    if None in tokenizers:
        print("no vocabulary: the target gets no tokenizer; --vocab-file names one")
    for half, tokenizer in zip(source.halves, tokenizers, strict=True):
        num_rows = half.architecture.config.vocab_size
        if tokenizer is not None and tokenizer.vocab_size < num_rows:
            print(
                f"{half.part}: the tokenizer has {tokenizer.vocab_size} tokens, the table {num_rows} rows; those from "
                f"{tokenizer.vocab_size} on are of no token"
            )
    if arguments.to == "tf1":
        tokenizer = next((each for each in tokenizers if each is not None), None)
        _convert_to_tf1(source.halves, tokenizer, folder, arguments.target)
    else:
        for half, tokenizer in zip(source.halves, tokenizers, strict=True):
            name = half.part if len(source.halves) > 1 else ""
            _convert_to_published(half, tokenizer, folder / name, arguments.target / name)


def _convert_to_published(
    half: "Half", tokenizer: "Tokenizer | None", folder: pathlib.Path, target: pathlib.Path
) -> None:
    """Writes a model to a folder, which becomes another one, and compares what it holds with the source."""
    from electra_span.convert.source_models import build
    from electra_span.export.comparison import logits_of
    from electra_span.published.save_load import load_pretrained, save_pretrained

    save_pretrained(build(half), tokenizer, folder)
    _compare(half.part, target, logits_of(load_pretrained(folder)), _logits_of_source(half))


def _convert_to_tf1(
    halves: "Sequence[Half]", tokenizer: "Tokenizer | None", folder: pathlib.Path, target: pathlib.Path
) -> None:
    """Writes models to a folder, which becomes another one, and compares what it holds with the source."""
    from electra_span.convert.source_models import build
    from electra_span.convert.tf1 import load_tf1_weights, write_tf1
    from electra_span.export.comparison import logits_of
    from electra_span.published.save_load import make_model

    models: Mapping[str, Model] = {half.part: build(half) for half in halves}
    prefix = write_tf1(models, tokenizer, folder)
    for half in halves:
        written = make_model(half.architecture, "float32")
        load_tf1_weights(written, prefix)
        _compare(half.part, target / prefix.name, logits_of(written), _logits_of_source(half))


def _logits_of_source(half: "Half") -> "list[np.ndarray]":
    """Returns the logits of a source's model, which is read another way than for writing where there is one."""
    from electra_span.convert.source_models import build
    from electra_span.convert.tf1 import load_tf1_weights
    from electra_span.export.comparison import logits_of
    from electra_span.published.config import CONFIG_FILE
    from electra_span.published.save_load import load_pretrained, make_model
    from electra_span.published.tensor_files import WEIGHTS_FILE

    weights = half.located.weights
    if weights.is_tf1:
        model = make_model(half.architecture, "float32")
        load_tf1_weights(model, weights.path)
        return logits_of(model)
    is_loadable = weights.path.name == WEIGHTS_FILE and (half.folder / CONFIG_FILE).exists()
    model = load_pretrained(half.folder) if is_loadable else build(half)
    return logits_of(model if model.config == half.architecture.config else build(half))


def _compare(part: str, path: pathlib.Path, written: "list[np.ndarray]", source: "list[np.ndarray]") -> None:
    from electra_span.export.comparison import largest_difference

    difference = largest_difference(written, source)
    if difference > _LARGEST_DIFFERENCE:
        raise UserError(
            f"{path}: the {part}'s logits differ from the source's by {difference:.3g}; nothing was written"
        )
    print(f"wrote {path}: the {part}'s logits differ from the source's by at most {difference:.3g}")


def _describe(source: "Source") -> Iterator[str]:
    """Yields lines on the models of a source, and on what of it they do not take."""
    for half in source.halves:
        config = half.architecture.config
        sizes = ", ".join(
            f"{name} {getattr(config, name)}"
            for name in ("vocab_size", "embedding_size", "hidden_size", "num_hidden_layers", "num_attention_heads",
                         "intermediate_size", "max_position_embeddings")
        )  # fmt: skip
        yield f"{half.part}: {half.architecture.model_class.__name__}, {sizes}"
    known, unknown = source.unused
    if known:
        example = without_controls(known[0])
        yield f"left out, known to say nothing of the model (optimizer, step, copies): {len(known)}, as {example}"
    yield from (f"left out, unknown: {without_controls(name)}" for name in unknown)


def _read_tokenizer(half: "Half", arguments: argparse.Namespace) -> "Tokenizer | None":
    """Returns the tokenizer of the file that was named, or of the source; None where there is none."""
    from electra_span.convert.source_models import checked_against, source_tokenizer
    from electra_span.tokenization import load_tokenizer

    if arguments.vocab_file is None:
        return source_tokenizer(half, do_lower_case=arguments.do_lower_case)
    tokenizer = load_tokenizer(arguments.vocab_file, do_lower_case=arguments.do_lower_case)
    return checked_against(half.architecture.config, tokenizer, arguments.vocab_file)


def _count(text: str) -> int:
    if not text.isascii() or not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"must be at least 1. Received: {text!r}")
    return int(text)


if __name__ == "__main__":
    command_line.run(main, make_parser)
