#!/bin/sh
# The whole way from text to a fine-tuned ELECTRA: environment, vocabulary, TFRecords, pretraining, evaluation, summary,
# then fine-tuning and evaluation on tasks.
#
#   sh scripts/train.sh                                        # the text that ships with Python, a tiny model, minutes
#   CORPUS_DIR=my_text HPARAMS=recipe.json MODEL_NAME=mine sh scripts/train.sh
#   CORPUS_FILES=tweets.csv CORPUS_FLAGS='--col-name text' TASK=csv:labelled.csv sh scripts/train.sh
#   PRETRAIN=false DATA_DIR=my_data MODEL_NAME=electra_base FINETUNING_HPARAMS='{"model_size": "base"}' TASK=squad \
#       sh scripts/train.sh
#
# From the environment, all optional:
#   CORPUS_DIR      folder of files of text, of the kinds that README.md lists
#   CORPUS_FILES    in its place, files, folders and patterns: tweets.csv, or 'a.csv more/**/*.jsonl.gz'
#   CORPUS_FLAGS    flags of both scripts that read text: '--col-name tweet --encoding latin-1'
#   BUILD_FLAGS     flags of build_pretraining_dataset.py alone: '--format sentences --num-out-files 10'
#   DATA_DIR        folder for all that is made (default: data/NAME in the repository, NAME that of CORPUS_DIR, or of
#                   the first of CORPUS_FILES up to its dot, or "default")
#   MODEL_NAME      the model goes into DATA_DIR/models/MODEL_NAME (default: tiny)
#   HPARAMS         hparams of pretraining as JSON, or a JSON file (default: the tiny recipe below)
#   TOKENIZER_TYPE  of a new vocabulary: wordpiece (default; DATA_DIR/vocab.txt), bpe, sentencepiece-unigram or
#                   sentencepiece-bpe (folder DATA_DIR/tokenizer)
#   VOCAB_SIZE      number of tokens of a new vocabulary (default: 8000 with the tiny recipe, else the hparam
#                   vocab_size, 30522); an existing one is used as it is
#   NUM_PROCESSES   for building the TFRecords (default: the number of cores)
#   PRETRAIN        false: nothing is pretrained; DATA_DIR/models/MODEL_NAME/discriminator, or the hparam
#                   init_checkpoint, is fine-tuned as it is
#   TASK            tasks to fine-tune on, one after the other: squad, 'sst cola' (files in DATA_DIR/finetuning_data),
#                   csv:PATH, tag:PATH, qa:PATH (default: two tasks that are made of the text that ships with Python)
#   FINETUNING_HPARAMS
#                   hparams of fine-tuning as JSON, or a JSON file (default: for the tiny recipe and those two tasks
#                   the recipes below, else {})
#   FINETUNE        false: the end is the pretrained model (default: true; with a corpus of one's own and no TASK, false)
#   PYTHON          the Python 3.11, 3.12 or 3.13 that makes .venv (default: the first one found)
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
# What so short a pretraining teaches is not worth keeping: all layers learn alike, and for long.
modules_recipe='{
    "max_seq_length": 128, "train_batch_size": 16, "learning_rate": 3e-4, "layerwise_lr_decay": 1.0,
    "num_train_epochs": 10
}'
cloze_recipe='{
    "max_seq_length": 256, "train_batch_size": 16, "learning_rate": 3e-4, "layerwise_lr_decay": 1.0,
    "num_train_epochs": 6, "qa_na_threshold": 0.0
}'
hparams=${HPARAMS:-$tiny_recipe}
model_name=${MODEL_NAME:-tiny}
tokenizer_type=${TOKENIZER_TYPE:-wordpiece}
vocab_size=${VOCAB_SIZE:-}
pretrain=${PRETRAIN:-true}
finetune=true
[ -z "${CORPUS_DIR:-}${CORPUS_FILES:-}" ] || finetune=${TASK:+true}
finetune=${FINETUNE:-${finetune:-false}}
num_processes=${NUM_PROCESSES:-$(nproc 2>/dev/null || getconf _NPROCESSORS_ONLN)}
export TF_CPP_MIN_LOG_LEVEL="${TF_CPP_MIN_LOG_LEVEL:-2}"

python() {
    script=$1
    shift
    "$venv_python" "$repository/$script" "$@"
}

# Stops at what is wrong in the environment variables, and sets data_dir.
check_variables() {
    case $tokenizer_type in
        wordpiece | bpe | sentencepiece-unigram | sentencepiece-bpe) ;;
        *) fail "TOKENIZER_TYPE=$tokenizer_type is none of wordpiece, bpe, sentencepiece-unigram, sentencepiece-bpe" ;;
    esac
    for switch in "PRETRAIN=$pretrain" "FINETUNE=$finetune"; do
        case ${switch#*=} in
            true | false) ;;
            *) fail "$switch is neither true nor false" ;;
        esac
    done
    [ "$pretrain$finetune" != falsefalse ] || fail "PRETRAIN=false and FINETUNE=false leave nothing to do"
    name=default
    if [ -n "${CORPUS_DIR:-}" ]; then
        [ -z "${CORPUS_FILES:-}" ] || fail "CORPUS_DIR and CORPUS_FILES name a corpus each; leave one of them out"
        [ -d "$CORPUS_DIR" ] || fail "CORPUS_DIR=$CORPUS_DIR is no folder"
        name=$(basename -- "$CORPUS_DIR")
    elif [ -n "${CORPUS_FILES:-}" ]; then
        check_files
    fi
    data_dir=${DATA_DIR:-$repository/data/$name}
    data_dir=${data_dir%/}
}

# Sets name. What is neither a pattern nor quoted must be there; what patterns match is seen when the corpus is read.
check_files() {
    first=$CORPUS_FILES
    if [ ! -e "$CORPUS_FILES" ]; then
        first=
        set -f
        for word in $CORPUS_FILES; do
            first=${first:-$word}
            case $word in
                *[][*?\'\"\\]*) ;;
                *) [ -e "$word" ] || fail "CORPUS_FILES: $word is not there" ;;
            esac
        done
        set +f
    fi
    name=$(basename -- "$first")
    name=${name%%.*}
    [ -n "${DATA_DIR:-}" ] || case $name in
        '' | *[][*?\'\"\\]*) fail "CORPUS_FILES=$CORPUS_FILES gives no name; name a folder: DATA_DIR=data/NAME" ;;
    esac
}

# Prints words so that `eval` gets them back as they are.
quoted() {
    "$venv_python" -c 'import shlex, sys; print(shlex.join(sys.argv[1:]))' "$@"
}

# Prints the words of a variable, split at blanks outside of quotation marks, as `quoted` does; nothing is expanded.
words_of() {
    "$venv_python" -c '
import shlex, sys
try:
    print(shlex.join(shlex.split(sys.argv[2])))
except ValueError as error:
    sys.exit(f"error: {sys.argv[1]}: {error}. Received: {sys.argv[2]}")' "$1" "$2"
}

# Sets corpus_flags, which say what the text is, and build_flags.
read_flags() {
    corpus_flags=$(words_of CORPUS_FLAGS "${CORPUS_FLAGS:-}")
    build_flags=$(words_of BUILD_FLAGS "${BUILD_FLAGS:-}")
    if [ -z "${CORPUS_FILES:-}" ]; then
        files=$(quoted --corpus-dir "${CORPUS_DIR:-$data_dir/corpus}")
    elif [ -e "$CORPUS_FILES" ]; then
        files=$(quoted --corpus-files "$CORPUS_FILES")
    else
        files=$(words_of CORPUS_FILES "--corpus-files $CORPUS_FILES")
    fi
    corpus_flags="$files $corpus_flags"
}

# Sets what the other steps take from the hparams, and stops at a mistake in them before anything is made.
read_hparams() {
    values=$(python scripts/print_hparams.py --data-dir "$data_dir" --model-name "$model_name" --hparams "$hparams" \
        vocab_size max_seq_length do_lower_case vocab_file model_dir phases)
    {
        IFS= read -r table_size
        IFS= read -r max_seq_length
        IFS= read -r do_lower_case
        IFS= read -r vocab_file
        IFS= read -r model_dir
        IFS= read -r phases
    } <<EOF
$values
EOF
    [ "$phases" = None ] || fail "phases need records of several lengths, of which one is built here; see README.md"
    if [ -n "${HPARAMS:-}" ]; then
        vocab_size=${vocab_size:-$table_size}
    else
        vocab_size=${vocab_size:-8000}
    fi
    if [ "$tokenizer_type" != wordpiece ] && [ "$vocab_file" = "$data_dir/vocab.txt" ]; then
        vocab_file=$data_dir/tokenizer
    fi
}

# Sets tasks and finetuned_dir, and stops at a mistake in tasks, hparams or places before anything is made.
read_tasks() {
    if [ -z "${TASK:-}" ]; then
        tasks=$(quoted "csv:$data_dir/default_tasks/modules" "qa:$data_dir/default_tasks/cloze")
    elif [ -e "${TASK#*:}" ]; then
        tasks=$(quoted "$TASK")
    else
        tasks=$(words_of TASK "$TASK")
    fi
    eval "set -- $tasks"
    for task in "$@"; do
        set_finetuning_hparams
        finetuned_dir=$(python scripts/print_hparams.py --finetuning --data-dir "$data_dir" --model-name "$model_name" \
            --hparams "$finetuning_hparams" "task_names=$task_names" model_dir)
        case $task in
            *:*) place=${task#*:} ;;
            *) place=$data_dir/finetuning_data/$task ;;
        esac
        [ -z "${TASK:-}" ] || [ -e "$place" ] || fail "TASK: $task needs its files in $place"
    done
}

# Sets finetuning_hparams and task_names for a task.
set_finetuning_hparams() {
    task_names=$("$venv_python" -c 'import json, sys; print(json.dumps(sys.argv[1:]))' "$task")
    finetuning_hparams={}
    [ "$pretrain" = false ] || [ -n "${HPARAMS:-}${TASK:-}" ] || case $task in
        csv:*) finetuning_hparams=$modules_recipe ;;
        qa:*) finetuning_hparams=$cloze_recipe ;;
    esac
    finetuning_hparams=${FINETUNING_HPARAMS:-$finetuning_hparams}
}

make_corpus() {
    eval "set -- $corpus_flags"
    if [ -n "${CORPUS_DIR:-}${CORPUS_FILES:-}" ]; then
        say "Corpus: $*"
    elif [ -d "$data_dir/corpus" ]; then
        say "Corpus: $data_dir/corpus is there"
    else
        say "Corpus: writing the text that ships with Python to $data_dir/corpus"
        python scripts/write_default_corpus.py "$data_dir/corpus"
    fi
}

# Stops at flags that the scripts do not have or that do not fit the text, before any time is spent on it.
check_corpus() {
    eval "set -- $corpus_flags $build_flags"
    "$venv_python" -c '
import sys
sys.path.insert(0, sys.argv[1])
from build_pretraining_dataset import make_parser
sys.argv[0] = "build_pretraining_dataset.py"
make_parser().parse_args(sys.argv[2:])' "$repository/scripts" "$@" --vocab-file vocab --output-dir records
    eval "set -- $corpus_flags"
    python scripts/create_vocab.py --preview "$@" --tokenizer-type "$tokenizer_type"
}

make_vocabulary() {
    if [ -e "$vocab_file" ]; then
        say "Vocabulary: $vocab_file is there"
    else
        say "Vocabulary: learning $tokenizer_type of $vocab_size tokens, fewer where the text has not so many" \
            "(VOCAB_SIZE names another number)"
        eval "set -- $corpus_flags"
        set -- "$@" --vocab-size "$vocab_size" --tokenizer-type "$tokenizer_type"
        if [ "$tokenizer_type" = wordpiece ]; then
            python scripts/create_vocab.py "$@" --vocab-file "$vocab_file" --do-lower-case "$do_lower_case"
        else
            python scripts/create_vocab.py "$@" --output-dir "$vocab_file"
        fi
    fi
    num_tokens=$(python scripts/vocab_size.py "$vocab_file")
    if [ "$table_size" != 30522 ] && [ "$num_tokens" -gt "$table_size" ]; then
        fail "the hparam vocab_size=$table_size is less than the $num_tokens tokens of $vocab_file"
    fi
}

# What the hparams decide comes last, and wins over BUILD_FLAGS.
make_records() {
    say "TFRecords: $data_dir/pretrain_tfrecords"
    eval "set -- $build_flags"
    set -- --num-processes "$num_processes" --num-out-files 100 "$@"
    eval "set -- $corpus_flags \"\$@\""
    python scripts/build_pretraining_dataset.py "$@" --vocab-file "$vocab_file" \
        --output-dir "$data_dir/pretrain_tfrecords" --max-seq-length "$max_seq_length" --do-lower-case "$do_lower_case"
}

# Sets what fits the tiny recipe to few examples: a tenth is held out, and a batch has no more than are left.
fit_recipe() {
    fitted=
    [ -z "${HPARAMS:-}" ] || return 0
    manifest=$data_dir/pretrain_tfrecords/manifest.json
    num_examples=$(sed -n 's/^ *"num_examples": \([0-9]*\).*/\1/p' "$manifest")
    if [ "$num_examples" -lt 10000 ]; then
        held_out=$(((num_examples + 9) / 10))
        batch_size=$((num_examples - held_out < 128 ? num_examples - held_out : 128))
        fitted="num_eval_examples=$held_out train_batch_size=$batch_size"
        say "Only $num_examples examples: $fitted"
    fi
}

# Where the hparams leave vocab_size at its default, the model's table is as large as the vocabulary.
run_pretraining() {
    [ "$table_size" != 30522 ] || set -- "vocab_size=$num_tokens" "$@"
    [ "$tokenizer_type" = wordpiece ] || set -- "vocab_file=$vocab_file" "$@"
    # shellcheck disable=SC2086
    python run_pretraining.py --data-dir "$data_dir" --model-name "$model_name" --hparams "$hparams" $fitted "$@"
}

run_all_of_pretraining() {
    read_flags
    make_corpus
    check_corpus
    make_vocabulary
    make_records
    fit_recipe
    say "Pretraining: $model_dir"
    run_pretraining do_train=true do_eval=false
    say "Evaluation on the held-out examples"
    run_pretraining do_train=false do_eval=true
    say "Summary"
    python scripts/summarize_pretraining.py "$model_dir"
}

make_tasks() {
    if [ -n "${TASK:-}" ]; then
        return
    elif [ -d "$data_dir/default_tasks" ]; then
        say "Tasks: $data_dir/default_tasks is there"
    else
        say "Tasks: writing two of the text that ships with Python to $data_dir/default_tasks"
        python scripts/write_default_tasks.py "$data_dir/default_tasks"
    fi
}

# The model is that of pretraining, which may have another folder than its name's.
run_finetuning() {
    set_finetuning_hparams
    set -- "task_names=$task_names"
    if [ "$pretrain" = true ] && [ "$model_dir" != "$data_dir/models/$model_name" ]; then
        set -- "$@" "model_dir=$model_dir"
        finetuned_dir=$model_dir
    fi
    say "Fine-tuning: $task"
    python run_finetuning.py --data-dir "$data_dir" --model-name "$model_name" --hparams "$finetuning_hparams" "$@"
    say "Scores: $task"
    python scripts/summarize_finetuning.py "$finetuned_dir" "$task"
}

check_variables
prepare_environment
[ "$pretrain" = false ] || read_hparams
[ "$finetune" = false ] || read_tasks
[ "$pretrain" = false ] || run_all_of_pretraining
if [ "$finetune" = true ]; then
    make_tasks
    eval "set -- $tasks"
    for task in "$@"; do
        run_finetuning
    done
fi
