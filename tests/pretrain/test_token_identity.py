"""No token of any source, tokenizer or format is lost: each is in the records, or counted as dropped."""

import functools

import numpy as np
import pytest
import tensorflow as tf

from electra_span.tokenization import load_tokenizer
from electra_span.tokenization.subword_training import train_bpe, train_sentencepiece
from pretrain.builder.build import BuildSettings, build_dataset
from pretrain.dataset.packing import DOCUMENT_TAILS, FORMATS
from pretrain.dataset.records import input_files, parse_records
from pretrain.sources.settings import SourceSettings
from tests.pretrain.source_forms import DOCUMENTS, FORMS, PLAIN

MAX_SEQ_LENGTH = 19
LINES = [line for lines in DOCUMENTS for line in lines]
TOKENIZERS = ("wordpiece", "bpe", "sentencepiece-unigram", "sentencepiece-bpe")
DROPPED = {
    "pairs": {"end_of_first_segment", "end_of_second_segment"},
    "sentences": {"document_tails"},
    "rows": {"end_of_row"},
}


def _write_wordpiece(folder):
    """Writes a vocabulary with special tokens at its end, which knows neither "ü" nor ";"."""
    letters = "abcdefghiklxyzn"
    pieces = [*letters, "計", *(f"##{letter}" for letter in letters), "##bc", "<", ",", '"', "&", ">"]
    tokens = [*pieces, "[SEP]", "[UNK]", "[MASK]", "[CLS]", "[PAD]"]
    (folder / "vocab.txt").write_text("".join(f"{token}\n" for token in tokens), encoding="utf-8")


@pytest.fixture(scope="session")
def tokenizer_dirs(tmp_path_factory):
    """Folders of small tokenizers of every kind, special tokens in different places."""
    folders = {kind: tmp_path_factory.mktemp(kind) for kind in TOKENIZERS}
    _write_wordpiece(folders["wordpiece"])
    train_bpe(LINES, vocab_size=285, special_tokens=("<s>", "<pad>", "</s>", "<unk>", "<mask>")).save(folders["bpe"])
    for model_type in ("unigram", "bpe"):
        names = ("[MASK]", "[CLS]", "[PAD]", "[UNK]", "[SEP]")
        learned = train_sentencepiece(LINES, model_type=model_type, vocab_size=48, special_tokens=names)
        learned.save(folders[f"sentencepiece-{model_type}"])
    return folders


@functools.cache
def _tokenizer(folder):
    return load_tokenizer(folder)


def _settings(folder, vocab_file, **changes):
    told = {"corpus_dir": folder / "corpus", "vocab_file": vocab_file, "output_dir": folder / "records"}
    return BuildSettings(**{**told, "max_seq_length": MAX_SEQ_LENGTH, "num_out_files": 2, **changes})


def _write_corpus(folder, name="a.txt", content=PLAIN):
    (folder / "corpus").mkdir()
    (folder / "corpus" / name).write_bytes(content)


def _parsed(settings):
    files = input_files(f"{settings.output_dir}/pretrain_data.tfrecord*")
    records = list(tf.data.TFRecordDataset(files).as_numpy_iterator())
    return parse_records(tf.constant(records), settings.max_seq_length)


def _segments(settings, tokenizer):
    """Returns what the [SEP]s of each example end, after checking all else in it."""
    segments = []
    parsed = _parsed(settings)
    fields = (parsed.input_ids.numpy(), parsed.input_mask.numpy(), parsed.segment_ids.numpy())
    for ids, mask, segment_ids in zip(*fields, strict=True):
        length = mask.sum()
        assert (mask == (np.arange(settings.max_seq_length) < length)).all()
        assert (ids[length:] == tokenizer.pad_id).all()
        assert np.flatnonzero(ids == tokenizer.cls_id).tolist() == [0]
        ends = np.flatnonzero(ids == tokenizer.sep_id)
        assert ends[-1] == length - 1
        second = ends[0] + 1 if settings.format == "pairs" else length
        assert segment_ids.tolist() == [int(second <= place < length) for place in range(len(ids))]
        assert len(ends) <= {"pairs": 2, "rows": 1}.get(settings.format, length)
        segments.append([part[:-1].tolist() for part in np.split(ids[1:length], ends)[:-1]])
    return segments


def _check_identity(settings, manifest, tokenizer):
    """Checks the counts against the text of DOCUMENTS and the records, and returns the records' segments."""
    segments = _segments(settings, tokenizer)
    num_tokens = sum(len(segment) for example in segments for segment in example)
    num_special = sum(1 + len(example) for example in segments)
    num_positions = len(segments) * settings.max_seq_length
    rows = tokenizer.encode(LINES)
    assert manifest["format"] == settings.format
    assert set(manifest["dropped"]) == DROPPED[settings.format]
    assert manifest["tokens_in"] == sum(map(len, rows))
    assert manifest["tokens_out"] == num_tokens
    assert manifest["tokens_in"] == num_tokens + sum(manifest["dropped"].values())
    assert manifest["special_tokens"] == num_special
    assert manifest["unknown_tokens"] == sum(row.count(tokenizer.unk_id) for row in rows)
    assert manifest["num_examples"] == len(segments)
    assert manifest["fill"] == round((num_tokens + num_special) / num_positions, 4)
    return segments


@functools.cache
def _documents(tokenizer):
    """Returns the ids of each document, and which of them start a word."""
    ids = [[token for row in tokenizer.encode(lines) for token in row] for lines in DOCUMENTS]
    starts = []
    for lines in DOCUMENTS:
        is_start = [~tokenizer.is_continuation[row] for row in tokenizer.encode_flat(lines).rows()]
        for line in is_start:
            line[:1] = True
        starts.append(np.concatenate(is_start))
    return list(zip(ids, starts, strict=True))


def _chunks(ids, is_start, room):
    """Returns a document in pieces of at most room tokens, each as long as words and 16 tokens back allow."""
    chunks = []
    while len(ids) > room:
        reach = range(room, max(0, room - 17), -1)
        cut = next((place for place in reach if is_start[place]), room)
        chunks.append(ids[:cut])
        ids, is_start = ids[cut:], is_start[cut:]
    return [*chunks, ids]


def _wanted(documents, settings):
    """Returns all segments that the records must have, sorted."""
    room = settings.max_seq_length - 2
    if settings.format == "rows":
        return sorted(ids[:room] for ids, _ in documents)
    chunks = [_chunks(*document, room) for document in documents]
    is_kept = settings.document_tails != "drop"
    return sorted(chunk for each in chunks for chunk in each if is_kept or chunk is not each[-1] or len(chunk) == room)


@pytest.mark.parametrize("tokenizer_type", TOKENIZERS)
@pytest.mark.parametrize("example_format", FORMATS)
@pytest.mark.parametrize(("name", "kind", "content", "told"), FORMS, ids=[form[0] for form in FORMS])
def test_every_token_is_in_the_records_or_counted(
    tmp_path, tokenizer_dirs, name, kind, content, told, example_format, tokenizer_type
):
    vocab_file = tokenizer_dirs[tokenizer_type]
    _write_corpus(tmp_path, name, content())
    settings = _settings(tmp_path, vocab_file, format=example_format, source_settings=SourceSettings(**told))
    manifest = build_dataset(settings)
    tokenizer = _tokenizer(vocab_file)
    segments = _check_identity(settings, manifest, tokenizer)
    assert list(manifest["sources"]) == [kind]
    assert (manifest["unknown_tokens"] > 0) == (tokenizer_type == "wordpiece")
    if example_format == "pairs":
        assert sum(manifest["dropped"].values()) > 0
    else:
        found = sorted(segment for example in segments for segment in example)
        assert found == _wanted(_documents(tokenizer), settings)


@pytest.mark.parametrize("tokenizer_type", TOKENIZERS)
@pytest.mark.parametrize("document_tails", DOCUMENT_TAILS)
def test_tails_are_joined_kept_or_counted_as_dropped(tmp_path, tokenizer_dirs, document_tails, tokenizer_type):
    vocab_file = tokenizer_dirs[tokenizer_type]
    _write_corpus(tmp_path)
    settings = _settings(tmp_path, vocab_file, format="sentences", document_tails=document_tails)
    manifest = build_dataset(settings)
    segments = _check_identity(settings, manifest, _tokenizer(vocab_file))
    found = sorted(segment for example in segments for segment in example)
    assert found == _wanted(_documents(_tokenizer(vocab_file)), settings)
    assert (manifest["dropped"]["document_tails"] > 0) == (document_tails == "drop")
    assert (max(map(len, segments)) > 1) == (document_tails == "join")
