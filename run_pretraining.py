"""Pretrains a model from TFRecords, or evaluates a pretrained one."""

import argparse
import json
import os

from absl.flags import argparse_flags

from configure_pretraining import PretrainingConfig
from electra_span import command_line
from electra_span.places import check_distinct, check_input, check_output_file, check_output_folder, check_outside
from pretrain.config.defaults import PRESETS


def make_parser() -> argparse.ArgumentParser:
    """Returns the parser of this command, with the original's flags."""
    parser = argparse_flags.ArgumentParser(description=__doc__, allow_abbrev=False)
    command_line.add_run_flags(parser, data_dir_help="folder of vocab.txt, pretrain_tfrecords/ and models/")
    return parser


def main(arguments: argparse.Namespace) -> None:
    """Trains or evaluates as the arguments say."""
    config = PretrainingConfig.from_hparams(
        model_name=arguments.model_name,
        data_dir=arguments.data_dir,
        hparams=command_line.read_hparams(arguments.hparams, arguments.words),
    )
    check_output_folder("model_dir", config.model_dir)
    check_input("vocab_file", config.vocab_file)
    _check_results(config)
    if config.preset:
        print(f"preset {config.preset} sets {json.dumps(PRESETS[config.preset])}")
    print(config.to_json(), flush=True)

    # Imports TensorFlow, which takes seconds: only now, with the configuration found in order.
    from pretrain import train

    if config.do_train:
        train.train(config)
    else:
        train.evaluate(config)


def _check_results(config: PretrainingConfig) -> None:
    """Checks that results are written over no other file of the run."""
    results = {"results_txt": config.results_txt, "results_json": config.results_json}
    files = {
        name: os.path.join(config.model_dir, name) for name in ("config.json", "train_log.jsonl", "eval_log.jsonl")
    }
    check_distinct(results, {"vocab_file": config.vocab_file, **files})
    for name, path in results.items():
        check_output_file(name, path)
        for folder in ("checkpoints", "discriminator", "generator", "events"):
            check_outside(name, path, f"the run's folder {folder}", os.path.join(config.model_dir, folder))


if __name__ == "__main__":
    command_line.run(main, make_parser)
