#!/bin/sh
# Trains and compares the objectives of the family on one corpus: docs/experiments.md. Sixteen runs of eight minutes or
# more on two cores; run again, it goes on where it stopped.
#
#   CORPUS_DIR=wikipedia PROBE_DIR=SST-2 sh scripts/compare_objectives.sh [ARGUMENTS of compare_objectives.py]
#
# From the environment:
#   CORPUS_DIR  folder of UTF-8 text files or WikiExtractor pieces
#   PROBE_DIR   folder of train.tsv and dev.tsv with columns sentence and label
#   DATA_DIR    folder for all that is made (default: data/comparison in the repository)
#   RESULTS     file of results (default: DATA_DIR/results.jsonl)
set -eu

repository=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
. "$repository/scripts/environment.sh"

[ -d "${CORPUS_DIR:-}" ] || fail "CORPUS_DIR must be a folder of text. Received: '${CORPUS_DIR:-}'"
[ -f "${PROBE_DIR:-}/train.tsv" ] || fail "PROBE_DIR must be a folder with train.tsv. Received: '${PROBE_DIR:-}'"
data_dir=${DATA_DIR:-$repository/data/comparison}
export TF_CPP_MIN_LOG_LEVEL="${TF_CPP_MIN_LOG_LEVEL:-2}"

prepare_environment
if [ ! -f "$data_dir/vocab.txt" ]; then
    "$venv_python" "$repository/scripts/create_vocab.py" --corpus-dir "$CORPUS_DIR" --vocab-file "$data_dir/vocab.txt" \
        --vocab-size 8000 --tokenizer-type wordpiece --do-lower-case true
fi
"$venv_python" "$repository/scripts/build_pretraining_dataset.py" --corpus-dir "$CORPUS_DIR" \
    --vocab-file "$data_dir/vocab.txt" --output-dir "$data_dir/pretrain_tfrecords" --max-seq-length 64 \
    --num-out-files 100
exec "$venv_python" "$repository/scripts/compare_objectives.py" --data-dir "$data_dir" --probe-dir "$PROBE_DIR" \
    --results "${RESULTS:-$data_dir/results.jsonl}" "$@"
