#!/bin/sh
# Everything from text to a fine-tuned ELECTRA: environment, vocabulary, TFRecords, pretraining, evaluation, summary,
# then fine-tuning and evaluation on tasks.
#
#   sh scripts/train.sh                                        # the text that ships with Python, a tiny model, minutes
#   CORPUS_DIR=my_text HPARAMS=recipe.json MODEL_NAME=mine sh scripts/train.sh
#   CORPUS_FILES=tweets.csv CORPUS_FLAGS='--col-name text' TASK=csv:labelled.csv sh scripts/train.sh
#   PRETRAIN=false DATA_DIR=my_data MODEL_NAME=electra_base FINETUNING_HPARAMS='{"model_size": "base"}' TASK=squad \
#       sh scripts/train.sh
#
# train_variables.py lists all variables, and train_pipeline.py runs the steps. A second run reuses what exists, and an
# interrupted training continues.
set -eu

repository=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
. "$repository/scripts/environment.sh"

# Mistakes are reported before 700 MB are installed.
venv_python=$repository/.venv/bin/python
make_venv
"$venv_python" "$repository/scripts/train_variables.py"

prepare_environment
exec "$venv_python" "$repository/scripts/train_pipeline.py"
