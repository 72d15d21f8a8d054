"""Writes a published model as a TensorFlow SavedModel that takes raw strings, tokenizer included.

Its signatures are what the model can do: classify, answer, tag, replaced, fill_mask, embed, ... TensorFlow and
tensorflow-text run it without this package, and TensorFlow Serving as it is.
"""

import argparse
import pathlib
from collections.abc import Mapping
from typing import Any

from absl.flags import argparse_flags

from electra_span import command_line
from electra_span.config import UserError
from electra_span.folders import whole_folder
from electra_span.inference.requests import MOST_ANSWERS, OWN_THRESHOLD
from electra_span.places import check_input, check_output_folder

_LARGEST_DIFFERENCE = 1e-4  # of numbers; equal graphs mostly give 0


def make_parser() -> argparse.ArgumentParser:
    """Returns the parser of this command."""
    parser = argparse_flags.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("model", metavar="MODEL", type=command_line.parse_path, help="folder of a published model")
    parser.add_argument(
        "target",
        metavar="OUT",
        type=command_line.parse_path,
        help="the folder to write, new or empty; TensorFlow Serving wants a number for its name, as models/mine/1",
    )
    parser.add_argument(
        "--num-answers",
        type=command_line.whole_number(1, MOST_ANSWERS),
        default=5,
        metavar="N",
        help=f"of answer, up to {MOST_ANSWERS} (default: 5)",
    )
    parser.add_argument(
        "--no-answer-threshold",
        type=command_line.number(),
        default=OWN_THRESHOLD,
        metavar="X",
        help="of answer, the no_answer_score above which has_answer is false (default: the original's -2.75; none for "
        "a head without a classifier of answerability)",
    )
    parser.add_argument(
        "--num-candidates",
        type=command_line.whole_number(1),
        default=5,
        metavar="N",
        help="of fill_mask, up to the number of tokens (default: 5)",
    )
    return parser


def main(arguments: argparse.Namespace) -> None:
    """Writes what the arguments name, loads it again, compares, and prints its signatures."""
    target = arguments.target
    check_input("MODEL", arguments.model, expects_folder=True)
    check_output_folder("OUT", target)
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise UserError(f"OUT must be a new or an empty folder. Received: {str(target)!r}")
    from electra_span.export.saved_model import write_saved_model
    from electra_span.published.save_load import load_pretrained

    model = load_pretrained(arguments.model)
    with whole_folder(target) as partial:
        written = write_saved_model(
            model,
            partial,
            num_answers=arguments.num_answers,
            no_answer_threshold=arguments.no_answer_threshold,
            num_candidates=arguments.num_candidates,
        )
        difference = _largest_difference(written, partial, model.tokenizer.special_tokens.mask)
        if not difference <= _LARGEST_DIFFERENCE:
            raise UserError(f"{target}: differs from the model by {difference:.3g}. Nothing was written")
    for name, function in written.items():
        inputs = function.structured_input_signature[1]
        print(f"{name}({', '.join(inputs)}) -> {', '.join(sorted(function.structured_outputs))}")
    print(f"wrote {target}, which differs from the model by at most {difference:.3g}")


def _largest_difference(written: Mapping[str, Any], target: pathlib.Path, mask: str) -> float:
    """Returns the largest difference of any number from a model's when its SavedModel is loaded, inf of any text.

    Args:
        written: the model's functions by the names of signatures.
        target: of the SavedModel.
        mask: the mask token's name.
    """
    import numpy as np
    import tensorflow as tf

    texts = tf.constant([f"A text with {mask} in it, and another one.", "", f"{mask} " * 9])
    differences = [0.0]
    signatures = tf.saved_model.load(str(target)).signatures
    for name, function in written.items():
        specs = function.structured_input_signature[1]
        inputs = {
            key: texts if len(spec.shape) == 1 else tf.strings.split(texts).to_tensor() for key, spec in specs.items()
        }
        loaded = signatures[name](**inputs)
        for key, wanted in function(**inputs).items():
            if wanted.dtype.is_floating:
                differences.append(float(np.max(np.abs(wanted - loaded[key]), initial=0.0)))
            elif not np.array_equal(wanted, loaded[key]):
                differences.append(float("inf"))
    return max(differences)


if __name__ == "__main__":
    command_line.run(main, make_parser)
