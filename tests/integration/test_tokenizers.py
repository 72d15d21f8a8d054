"""Text in German and Chinese, through a tokenizer of its own of each kind, to a published model."""

import json

import numpy as np
import pytest

from electra_span.pretrained import load_pretrained
from electra_span.tokenization import load_tokenizer
from pretrain.build import BuildSettings, build_dataset
from pretrain.train import train
from scripts import create_vocab
from tests.tiny_run import tiny_config

# The kind of the tokenizer and its number of tokens: enough for the language's characters.
CASES = [("german", "bpe", 600), ("zhwiki", "sentencepiece-unigram", 3500)]


@pytest.mark.parametrize(("language", "kind", "vocab_size"), CASES)
def test_a_language_goes_from_text_to_a_published_model(tmp_path, shared_data, language, kind, vocab_size):
    source = min(path for path in (shared_data / "corpus" / language).iterdir() if path.is_file())
    lines = source.read_bytes()[:150_000].decode("utf-8", "ignore").split("\n")
    corpus, tokenizer_dir = tmp_path / "corpus", tmp_path / "tokenizer"
    corpus.mkdir()
    (corpus / "text.txt").write_text("\n".join(lines), encoding="utf-8")
    flags = [
        "--corpus-dir",
        corpus,
        "--output-dir",
        tokenizer_dir,
        "--tokenizer-type",
        kind,
        "--vocab-size",
        vocab_size,
    ]
    create_vocab.main(create_vocab.make_parser().parse_args(list(map(str, flags))))
    manifest = build_dataset(
        BuildSettings(
            corpus_dir=corpus,
            vocab_file=tokenizer_dir,
            output_dir=tmp_path / "pretrain_tfrecords",
            max_seq_length=16,
            num_out_files=2,
        )
    )
    tokenizer = load_tokenizer(tokenizer_dir)
    assert manifest["tokenizer"]["fingerprint"] == tokenizer.fingerprint
    assert manifest["unknown_tokens"] < 0.01 * manifest["tokens_in"]
    assert manifest["tokens_in"] == manifest["tokens_out"] + sum(manifest["dropped"].values())
    config = tiny_config(
        tmp_path,
        vocab_file=str(tokenizer_dir),
        vocab_size=tokenizer.vocab_size,
        num_train_steps=4,
        masking="span",
        span_whole_words=True,
    )
    train(config)
    model = load_pretrained(tmp_path / "models" / "tiny" / "discriminator")
    assert model.tokenizer.fingerprint == tokenizer.fingerprint
    published = json.loads((tmp_path / "models" / "tiny" / "discriminator" / "config.json").read_text())
    assert published["pad_token_id"] == tokenizer.pad_id
    ids = [tokenizer.cls_id, *model.tokenizer.encode(lines[:3])[0][:12], tokenizer.sep_id]
    assert np.isfinite(model(input_ids=np.array([ids]))).all()
