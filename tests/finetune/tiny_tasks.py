"""A tiny model and a task of each kind that it learns in a moment."""

import json
import pathlib

import keras
import numpy as np

from electra_span.config import EncoderConfig
from electra_span.encoder import ElectraEncoder
from electra_span.models import ElectraDiscriminator
from electra_span.published.save_load import save_pretrained
from electra_span.tokenization.wordpiece import WordPieceTokenizer
from finetune.config import FinetuningConfig

WORDS = ("good", "bad", "red", "green", "blue", "one", "two", "three", "who", "came", "nobody", "the")
VOCABULARY = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS)
CONFIG = EncoderConfig(
    vocab_size=len(VOCABULARY),
    embedding_size=8,
    hidden_size=16,
    num_hidden_layers=2,
    num_attention_heads=2,
    intermediate_size=24,
    max_position_embeddings=32,
)
HPARAMS = {
    "xla": False, "precision": "float32", "max_seq_length": 24, "max_query_length": 4, "doc_stride": 8,
    "train_batch_size": 8, "eval_batch_size": 6, "predict_batch_size": 6, "num_train_epochs": 3, "log_steps": 5,
    "learning_rate": 3e-3, "layerwise_lr_decay": 1.0, "answerable_uses_start_logits": False,
}  # fmt: skip
_COLOURS, _NUMBERS = ("red", "green", "blue"), ("one", "two", "three")


def configure(data_dir: pathlib.Path, *tasks: str, model_name: str = "tiny", **hparams) -> FinetuningConfig:
    """Returns the configuration of a run on tasks of `write_tasks`."""
    merged = {**HPARAMS, "init_checkpoint": str(data_dir / "pretrained"), "task_names": list(tasks), **hparams}
    return FinetuningConfig.from_hparams(model_name=model_name, data_dir=str(data_dir), hparams=merged)


def write_tasks(data_dir: pathlib.Path, num_train: int = 64, num_dev: int = 18) -> pathlib.Path:
    """Writes a published model and the files of tasks sst, sts, chunk and squad; returns data_dir."""
    keras.utils.set_random_seed(0)
    tokenizer = WordPieceTokenizer(VOCABULARY)
    save_pretrained(ElectraDiscriminator(ElectraEncoder(CONFIG, name="electra")), tokenizer, data_dir / "pretrained")
    generator = np.random.default_rng(0)
    for split, num_rows in (("train", num_train), ("dev", num_dev), ("test", 7)):
        for task, write in (("sst", _sst), ("sts", _sts), ("chunk", _chunk), ("squad", _squad)):
            folder = data_dir / "finetuning_data" / task
            folder.mkdir(parents=True, exist_ok=True)
            write(folder, split, num_rows, generator)
    return data_dir


def _words(generator, choices, most):
    return [str(word) for word in generator.choice(choices, generator.integers(1, most))]


def _sst(folder, split, num_rows, generator):
    """Sentences are good or bad by their first words."""
    lines = ["index\tsentence" if split == "test" else "sentence\tlabel"]
    for number in range(num_rows):
        label = number % 2
        text = " ".join([("bad", "good")[label], *_words(generator, _COLOURS, 5)])
        lines.append(f"{number}\t{text}" if split == "test" else f"{text}\t{label}")
    (folder / f"{split}.tsv").write_text("\n".join(lines) + "\n")


def _sts(folder, split, num_rows, generator):
    """Pairs have 5 where a word says that they are good."""
    lines = ["index\tsentence1\tsentence2" + ("" if split == "test" else "\tscore")]
    for number in range(num_rows):
        score = "" if split == "test" else f"\t{(1.0, 5.0)[number % 2]}"
        lines.append(f"{number}\t{' '.join(_words(generator, _COLOURS, 5))}\t{('bad', 'good')[number % 2]} the{score}")
    (folder / f"{split}.tsv").write_text("\n".join(lines) + "\n")


def _chunk(folder, split, num_rows, generator):
    """Colours are a kind of spans of their own, and so are numbers."""
    kinds = {**dict.fromkeys(_COLOURS, "C"), **dict.fromkeys(_NUMBERS, "N")}
    sentences = []
    for _ in range(num_rows):
        words = _words(generator, [*_COLOURS, *_NUMBERS, "the"], 8)
        sentences.append("".join(f"{word} X {'B-' + kinds[word] if word in kinds else 'O'}\n" for word in words))
    (folder / f"{split}.txt").write_text("\n".join(sentences))


def _squad(folder, split, num_rows, generator):
    """Who came: the colour in the context, or nobody."""
    paragraphs = []
    for number in range(num_rows):
        words = _words(generator, ["the", *_NUMBERS], 12)
        is_impossible = number % 4 == 0
        if not is_impossible:
            words.insert(int(generator.integers(len(words) + 1)), str(generator.choice(_COLOURS)))
        context = " ".join(words)
        answers = [{"text": word, "answer_start": context.index(word)} for word in words if word in _COLOURS]
        question = {
            "id": f"{split}{number}",
            "question": "who came",
            "is_impossible": is_impossible,
            "answers": answers,
        }
        paragraphs.append({"context": context, "qas": [question]})
    content = {"version": "2.0", "data": [{"title": "t", "paragraphs": paragraphs}]}
    (folder / f"{split}.json").write_text(json.dumps(content))
