"""Fine-tunes a pretrained model on one or more tasks, or evaluates a fine-tuned one."""

import argparse

from absl.flags import argparse_flags

from electra_span import command_line
from electra_span.places import check_input, check_output_folder
from finetune.config import FinetuningConfig


def make_parser() -> argparse.ArgumentParser:
    """Returns the parser of this command, with the original's flags."""
    parser = argparse_flags.ArgumentParser(description=__doc__, allow_abbrev=False)
    command_line.add_run_flags(parser, data_dir_help="folder of finetuning_data/ and models/")
    return parser


def main(arguments: argparse.Namespace) -> None:
    """Trains or evaluates as the arguments say."""
    config = FinetuningConfig.from_hparams(
        model_name=arguments.model_name,
        data_dir=arguments.data_dir,
        hparams=command_line.read_hparams(arguments.hparams, arguments.words),
    )
    check_output_folder("model_dir", config.model_dir)
    if config.vocab_file is not None:
        check_input("vocab_file", config.vocab_file)
    print(config.to_json(), flush=True)

    # Imports TensorFlow, which takes seconds: only now, with the configuration found in order.
    from finetune import train

    if config.do_train:
        train.train(config)
    else:
        train.evaluate(config)


if __name__ == "__main__":
    command_line.run(main, make_parser)
