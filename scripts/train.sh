#!/bin/sh
# The whole way from text to a pretrained ELECTRA: environment, vocabulary, TFRecords, pretraining, evaluation, summary.
#
#   sh scripts/train.sh                                        # the text that ships with Python, a tiny model, minutes
#   CORPUS_DIR=my_text HPARAMS=recipe.json MODEL_NAME=mine sh scripts/train.sh
#
# From the environment, all optional:
#   CORPUS_DIR     folder of UTF-8 text files, one sentence a line, a blank line between documents
#   DATA_DIR       folder for all that is made (default: data/NAME in the repository, NAME that of CORPUS_DIR or "default")
#   MODEL_NAME     the model goes into DATA_DIR/models/MODEL_NAME (default: tiny)
#   HPARAMS        hparams as JSON, or a JSON file (default: the tiny recipe below)
#   VOCAB_SIZE     number of tokens of a new vocabulary (default: 8000 for the default corpus, else the hparam
#                  vocab_size, 30522); an existing DATA_DIR/vocab.txt is used as it is
#   NUM_PROCESSES  for building the TFRecords (default: the number of cores)
#   PYTHON         the Python 3.11, 3.12 or 3.13 that makes .venv (default: the first one found)
#
# Run again, it reuses what is there, and an interrupted training goes on where it was.
set -eu

repository=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
. "$repository/scripts/environment.sh"

# Learns visibly from the default corpus in minutes on two cores.
tiny_recipe='{
    "max_seq_length": 32, "embedding_size": 128, "generator_hidden_size": 0.5,
    "model_hparam_overrides": {
        "hidden_size": 128, "num_hidden_layers": 3, "num_attention_heads": 2, "intermediate_size": 512,
        "initializer_range": 0.05, "hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0
    },
    "train_batch_size": 128, "eval_batch_size": 128, "learning_rate": 1e-3, "num_warmup_steps": 60,
    "num_train_steps": 1000, "save_checkpoints_steps": 200, "log_steps": 20,
    "num_eval_examples": 1000, "eval_every_steps": 200
}'
hparams=${HPARAMS:-$tiny_recipe}
model_name=${MODEL_NAME:-tiny}
if [ -n "${CORPUS_DIR:-}" ]; then
    corpus_dir=$CORPUS_DIR
    data_dir=${DATA_DIR:-$repository/data/$(basename -- "$CORPUS_DIR")}
    vocab_size=${VOCAB_SIZE:-}
    [ -d "$corpus_dir" ] || fail "CORPUS_DIR=$corpus_dir is no folder"
else
    data_dir=${DATA_DIR:-$repository/data/default}
    corpus_dir=$data_dir/corpus
    vocab_size=${VOCAB_SIZE:-8000}
fi
num_processes=${NUM_PROCESSES:-$(nproc 2>/dev/null || getconf _NPROCESSORS_ONLN)}
export TF_CPP_MIN_LOG_LEVEL="${TF_CPP_MIN_LOG_LEVEL:-2}"

python() {
    script=$1
    shift
    "$venv_python" "$repository/$script" "$@"
}

# Sets what the other steps take from the hparams, and stops at a mistake in them before anything is made.
read_hparams() {
    values=$(python scripts/print_hparams.py --data-dir "$data_dir" --model-name "$model_name" --hparams "$hparams" \
        vocab_size max_seq_length do_lower_case vocab_file model_dir)
    {
        IFS= read -r table_size
        IFS= read -r max_seq_length
        IFS= read -r do_lower_case
        IFS= read -r vocab_file
        IFS= read -r model_dir
    } <<EOF
$values
EOF
    vocab_size=${vocab_size:-$table_size}
}

make_corpus() {
    if [ -n "${CORPUS_DIR:-}" ]; then
        say "Corpus: $corpus_dir"
    elif [ -d "$corpus_dir" ]; then
        say "Corpus: $corpus_dir is there"
    else
        say "Corpus: writing the text that ships with Python to $corpus_dir"
        python scripts/write_default_corpus.py "$corpus_dir"
    fi
}

make_vocabulary() {
    if [ -f "$vocab_file" ]; then
        say "Vocabulary: $vocab_file is there"
    else
        say "Vocabulary: learning $vocab_size tokens"
        python scripts/create_vocab.py --corpus-dir "$corpus_dir" --vocab-file "$vocab_file" \
            --vocab-size "$vocab_size" --tokenizer-type wordpiece --do-lower-case "$do_lower_case"
    fi
}

make_records() {
    say "TFRecords: $data_dir/pretrain_tfrecords"
    python scripts/build_pretraining_dataset.py --corpus-dir "$corpus_dir" --vocab-file "$vocab_file" \
        --output-dir "$data_dir/pretrain_tfrecords" --max-seq-length "$max_seq_length" \
        --do-lower-case "$do_lower_case" --num-processes "$num_processes" --num-out-files 100
}

# Where the hparams leave vocab_size at its default, the model's table is as large as the vocabulary that is there.
run_pretraining() {
    if [ "$table_size" = 30522 ]; then
        set -- vocab_size="$(grep -c '' "$vocab_file")" "$@"
    fi
    python run_pretraining.py --data-dir "$data_dir" --model-name "$model_name" --hparams "$hparams" "$@"
}

prepare_environment
read_hparams
make_corpus
make_vocabulary
make_records
say "Pretraining: $model_dir"
run_pretraining do_train=true do_eval=false
say "Evaluation on the held-out examples"
run_pretraining do_train=false do_eval=true
say "Summary"
python scripts/summarize_pretraining.py "$model_dir"
