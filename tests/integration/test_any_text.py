"""Text of any language, and a table, by the command lines alone: a tokenizer of its own, records, a published model."""

import csv
import json

import numpy as np
import pytest

import run_pretraining
from electra_span.published.save_load import load_pretrained
from electra_span.tokenization import load_tokenizer
from scripts import build_pretraining_dataset, create_vocab
from tests.tiny_run import HPARAMS

_NUM_BYTES = 150_000
_NUM_ROWS = 1500


def _run(command, *arguments):
    """Runs a command as its command line would."""
    command.main(command.make_parser().parse_args(list(map(str, arguments))))


def _pretrain(folder, corpus_flags, vocabulary_flags, **hparams):
    """Goes from a corpus to FOLDER/models/tiny; returns the tokenizer."""
    tokenizer_dir = folder / "tokenizer"
    _run(create_vocab, *corpus_flags, "--output-dir", tokenizer_dir, *vocabulary_flags)
    tokenizer = load_tokenizer(tokenizer_dir)
    places = ("--vocab-file", tokenizer_dir, "--output-dir", folder / "pretrain_tfrecords")
    _run(build_pretraining_dataset, *corpus_flags, *places, "--max-seq-length", 16, "--num-out-files", 2)
    hparams = {**HPARAMS, "vocab_file": str(tokenizer_dir), "vocab_size": tokenizer.vocab_size, **hparams}
    _run(run_pretraining, "--data-dir", folder, "--model-name", "tiny", "--hparams", json.dumps(hparams))
    return tokenizer


def _manifest(folder):
    return json.loads((folder / "pretrain_tfrecords" / "manifest.json").read_text(encoding="utf-8"))


def _knows_capitals_and_umlauts(tokenizer):
    return {"ü", "Ü", "##ä", "Die"} <= set(tokenizer.vocabulary)


def _knows_bytes(tokenizer):
    return tokenizer.unk_id not in tokenizer.encode_flat(["Übermut \U0001f986"]).ids


def _takes_each_character_for_a_word(tokenizer):
    chinese = [token for token in tokenizer.vocabulary if any("\u4e00" <= character <= "\u9fff" for character in token)]
    words = len(chinese) > 500 and all(len(token) == 1 for token in chinese)
    return words and len(tokenizer.encode(["中国人"])[0]) == 3


def _knows_words_of_several_characters(tokenizer):
    return {"中国", "▁"} <= set(tokenizer.vocabulary)


@pytest.mark.parametrize(
    ("language", "kind", "vocab_size", "flags", "fits"),
    [
        ("german", "wordpiece", 700, ["--no-lower-case"], _knows_capitals_and_umlauts),
        ("german", "bpe", 600, [], _knows_bytes),
        ("zhwiki", "wordpiece", 6000, ["--min-frequency", 1], _takes_each_character_for_a_word),
        ("zhwiki", "sentencepiece-unigram", 3500, [], _knows_words_of_several_characters),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_language_goes_from_text_to_a_published_model(tmp_path, shared_data, language, kind, vocab_size, flags, fits):
    source = min(path for path in (shared_data / "corpus" / language).iterdir() if path.is_file())
    text = source.read_bytes()[:_NUM_BYTES].decode("utf-8", "ignore")
    corpus = tmp_path / "corpus"
    corpus.mkdir()
    (corpus / "text.txt").write_text(text, encoding="utf-8")
    vocabulary_flags = ("--tokenizer-type", kind, "--vocab-size", vocab_size, *flags)
    spans = {"masking": "span", "span_whole_words": True, "num_train_steps": 4}
    tokenizer = _pretrain(tmp_path, ("--corpus-dir", corpus), vocabulary_flags, **spans)
    assert fits(tokenizer)
    manifest = _manifest(tmp_path)
    assert manifest["tokenizer"]["fingerprint"] == tokenizer.fingerprint
    assert manifest["unknown_tokens"] < 0.01 * manifest["tokens_in"]
    assert manifest["tokens_in"] == manifest["tokens_out"] + sum(manifest["dropped"].values())

    published = tmp_path / "models" / "tiny" / "discriminator"
    model = load_pretrained(published)
    assert model.tokenizer.fingerprint == tokenizer.fingerprint
    assert json.loads((published / "config.json").read_text())["pad_token_id"] == tokenizer.pad_id
    ids = [tokenizer.cls_id, *model.tokenizer.encode([text[:200]])[0][:12], tokenizer.sep_id]
    assert np.isfinite(model(input_ids=np.array([ids]))).all()


def test_a_column_of_a_table_trains_a_model_with_compositional_embeddings(tmp_path, shared_data):
    with (shared_data / "csv" / "airline_tweets.csv").open(encoding="utf-8", newline="") as file:
        reader = csv.reader(file)
        rows = [row for row, _ in zip(reader, range(1 + _NUM_ROWS), strict=False)]
    table = tmp_path / "airline_tweets.csv"
    with table.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows(rows)
    tokenizer = _pretrain(
        tmp_path,
        ("--corpus-files", table, "--col-name", "text"),
        ("--vocab-size", 500),
        embedding_type="compositional",
        train_batch_size=32,
        num_train_steps=40,
    )
    assert _manifest(tmp_path)["sources"]["csv"]["num_rows"] == _NUM_ROWS
    lines = (tmp_path / "models" / "tiny" / "train_log.jsonl").read_text(encoding="utf-8").splitlines()
    logged = [json.loads(line) for line in lines]
    first, last = logged[0], {name: np.mean([each[name] for each in logged[-3:]]) for name in logged[0]}
    assert last["total_loss"] < 0.85 * first["total_loss"]
    assert last["mlm_loss"] < first["mlm_loss"] - 0.7
    model = load_pretrained(tmp_path / "models" / "tiny" / "discriminator")
    assert model.config.embedding_type == "compositional"
    assert model.tokenizer.fingerprint == tokenizer.fingerprint
