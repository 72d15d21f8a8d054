import json
import struct

import numpy as np
import pytest
import tensorflow as tf

from electra_span.tokenization import load_tokenizer
from pretrain.dataset.examples import PackedExamples
from pretrain.dataset.records import (
    RecordError,
    check_records,
    find_corruption,
    input_files,
    parse_records,
    serialize,
    write_records,
)
from tests.tiny_run import limited_file_size

VOCAB_SIZE = 57  # of letter_vocab
CLS_ID, SEP_ID = 2, 3


def _examples(num_examples=5, max_seq_length=11, vocab_size=VOCAB_SIZE, seed=0):
    """Returns examples of one and two segments with random ids."""
    generator = np.random.default_rng(seed)
    lengths = generator.integers(3, max_seq_length, num_examples, endpoint=True)
    first_lengths = np.where(np.arange(num_examples) % 2, lengths, np.minimum(lengths, 3))
    input_ids = generator.integers(5, vocab_size, (num_examples, max_seq_length))
    input_ids[np.arange(max_seq_length) >= lengths[:, None]] = 0
    input_ids[:, 0] = CLS_ID
    return PackedExamples(input_ids.astype(np.int32), first_lengths.astype(np.int32), lengths.astype(np.int32))


def _protobuf(features):
    """Returns the tf.train.Example of integer features."""
    return tf.train.Example(
        features=tf.train.Features(
            feature={
                name: tf.train.Feature(int64_list=tf.train.Int64List(value=values)) for name, values in features.items()
            }
        )
    )


def _features(examples, row):
    positions = np.arange(examples.input_ids.shape[1])
    is_token = positions < examples.lengths[row]
    return {
        "input_ids": examples.input_ids[row].tolist(),
        "input_mask": is_token.astype(int).tolist(),
        "segment_ids": (is_token & (positions >= examples.first_lengths[row])).astype(int).tolist(),
    }


def _write(path, **arguments):
    write_records(path, [_examples(**arguments)])
    return str(path)


@pytest.mark.parametrize(
    ("max_seq_length", "vocab_size"), [(5, 100), (11, 128), (64, 129), (128, 30522), (512, 1 << 22)]
)
def test_records_are_byte_for_byte_what_protobuf_writes(max_seq_length, vocab_size):
    examples = _examples(num_examples=7, max_seq_length=max_seq_length, vocab_size=vocab_size)
    for row, record in enumerate(serialize(examples)):
        assert record == _protobuf(_features(examples, row)).SerializeToString(deterministic=True)


def test_ids_on_the_borders_of_their_encoding_survive():
    ids = [0, 1, 127, 128, 16383, 16384, 2**21 - 1, 2**21, 2**28, 2**31 - 1]
    examples = PackedExamples(np.asarray([ids], np.int32), np.asarray([10], np.int32), np.asarray([10], np.int32))
    (record,) = serialize(examples)
    assert list(tf.train.Example.FromString(record).features.feature["input_ids"].int64_list.value) == ids


def test_no_examples_make_no_records(tmp_path):
    assert write_records(tmp_path / "empty", [_examples(num_examples=0)]) == 0
    assert (tmp_path / "empty").read_bytes() == b""


def test_written_examples_are_parsed_back_in_batches(tmp_path):
    examples = _examples()
    path = tmp_path / "records"
    assert write_records(path, [_examples(), _examples(num_examples=2)]) == 7
    batch = next(iter(tf.data.TFRecordDataset(str(path)).batch(5)))
    parsed = parse_records(batch, 11)
    assert parsed.input_ids.dtype == parsed.input_mask.dtype == parsed.segment_ids.dtype == tf.int32
    for row in range(5):
        for name, values in _features(examples, row).items():
            assert getattr(parsed, name)[row].numpy().tolist() == values


def test_records_of_the_original_are_parsed(golden):
    name = "pretrain_data.tfrecord-0-of-3"
    writer = json.loads(golden("pretrain_data/example_writer.json").read_text(encoding="utf-8"))
    expected = writer["jobs"]["1"]["records"][name]
    records = list(tf.data.TFRecordDataset(str(golden(f"pretrain_data/{name}"))).as_numpy_iterator())
    if len(records) != len(expected):
        expected = writer["jobs"]["2"]["records"][name]
    parsed = parse_records(tf.constant(records), 64)
    assert len(records) == len(expected)
    for row, example in enumerate(expected):
        length = example["length"]
        assert parsed.input_ids[row].numpy().tolist() == example["input_ids"] + [0] * (64 - length)
        assert parsed.segment_ids[row].numpy().tolist() == example["segment_ids"] + [0] * (64 - length)
        assert parsed.input_mask[row].numpy().tolist() == [1] * length + [0] * (64 - length)


def test_records_of_the_original_are_those_serialised_here_but_for_the_order_of_features(golden):
    path = golden("pretrain_data/pretrain_data.tfrecord-0-of-3")
    for record in tf.data.TFRecordDataset(str(path)).as_numpy_iterator():
        parsed = parse_records(tf.constant([record]), 64)
        mask, segments = parsed.input_mask.numpy(), parsed.segment_ids.numpy()
        lengths = mask.sum(axis=1)
        (ours,) = serialize(PackedExamples(parsed.input_ids.numpy(), lengths - segments.sum(axis=1), lengths))
        assert len(ours) == len(record)
        assert ours == tf.train.Example.FromString(record).SerializeToString(deterministic=True)


def test_record_of_another_length_does_not_parse():
    with pytest.raises(tf.errors.InvalidArgumentError):
        parse_records(tf.constant(serialize(_examples())), 12)


def test_input_files_come_in_the_order_of_their_numbers(tmp_path):
    names = [f"pretrain_data.tfrecord-{number}-of-12" for number in range(12)]
    for name in [*names, "manifest.json"]:
        (tmp_path / name).touch()
    expected = [str(tmp_path / name) for name in names]
    assert input_files(f"{tmp_path}/pretrain_data.tfrecord*") == expected
    assert input_files(f"{tmp_path}/*-1?-of-12, {tmp_path}/*-[0-9]-of-12,{tmp_path}/*-3-of-12") == expected


def test_pattern_without_files_is_an_error_that_names_it(tmp_path):
    (tmp_path / "a").touch()
    with pytest.raises(RecordError, match=r"Every pattern must match.*nothing\*"):
        input_files(f"{tmp_path}/a,{tmp_path}/nothing*")


def _offsets(path):
    """Returns where each record of a file starts."""
    content, offset, offsets = path.read_bytes(), 0, []
    while offset < len(content):
        offsets.append(offset)
        offset += struct.unpack_from("<Q", content, offset)[0] + 16
    return offsets


@pytest.mark.parametrize("damaged", [0, 1, 1023, 1024, 1500, 2999])
def test_flipped_bit_is_found_with_file_and_offset_of_its_record(tmp_path, damaged):
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    _write(whole)
    _write(broken, num_examples=3000)
    offset = _offsets(broken)[damaged]
    content = bytearray(broken.read_bytes())
    content[offset + 30] ^= 4
    broken.write_bytes(content)
    assert find_corruption([str(whole), str(broken)]) == f"{broken}: corrupt record at byte {offset}"


@pytest.mark.parametrize("kept_bytes_of_last", [1, 12, 40])
def test_truncated_file_is_found_with_file_and_offset_of_its_last_record(tmp_path, kept_bytes_of_last):
    path = tmp_path / "broken"
    _write(path, num_examples=5)
    offset = _offsets(path)[-1]
    path.write_bytes(path.read_bytes()[: offset + kept_bytes_of_last])
    assert find_corruption([str(path)]) == f"{path}: corrupt record at byte {offset}"


def test_whole_files_have_no_corruption(tmp_path):
    assert find_corruption([_write(tmp_path / "a"), _write(tmp_path / "b", num_examples=1024)]) is None


def _manifest(folder, tokenizer, **changes):
    manifest = {
        "format_version": 1,
        "max_seq_length": 11,
        "tokenizer": {**tokenizer.settings, "fingerprint": tokenizer.fingerprint},
    }
    (folder / "manifest.json").write_text(json.dumps({**manifest, **changes}), encoding="utf-8")


def test_fitting_records_pass_with_and_without_manifest(tmp_path, letter_vocab):
    tokenizer = load_tokenizer(letter_vocab)
    empty = tmp_path / "empty"
    empty.touch()
    files = [str(empty), _write(tmp_path / "a")]
    check_records(files, max_seq_length=11, tokenizer=tokenizer)
    _manifest(tmp_path, tokenizer)
    check_records(files, max_seq_length=11, tokenizer=tokenizer)


def test_records_of_another_length_are_an_error(tmp_path, letter_vocab):
    tokenizer = load_tokenizer(letter_vocab)
    file = _write(tmp_path / "a")
    with pytest.raises(RecordError, match=r"max_seq_length must be 11.*Received: 128"):
        check_records([file], max_seq_length=128, tokenizer=tokenizer)
    _manifest(tmp_path, tokenizer)
    with pytest.raises(RecordError, match=r"max_seq_length must be 11.*Received: 128"):
        check_records([file], max_seq_length=128, tokenizer=tokenizer)


def test_another_vocabulary_is_an_error_told_by_the_manifest(tmp_path, letter_vocab):
    _manifest(tmp_path, load_tokenizer(letter_vocab))
    cased = load_tokenizer(letter_vocab, do_lower_case=False)
    with pytest.raises(RecordError, match="another vocabulary or other settings"):
        check_records([_write(tmp_path / "a")], max_seq_length=11, tokenizer=cased)


@pytest.mark.parametrize("bad_id", [VOCAB_SIZE, 1 << 20])
def test_ids_out_of_range_are_an_error(tmp_path, letter_vocab, bad_id):
    examples = _examples()
    examples.input_ids[3, 1] = bad_id
    write_records(tmp_path / "a", [examples])
    with pytest.raises(RecordError, match=rf"another vocabulary.* ids up to {bad_id}.* has 57 entries"):
        check_records([str(tmp_path / "a")], max_seq_length=11, tokenizer=load_tokenizer(letter_vocab))


def test_record_that_does_not_start_with_cls_is_an_error(tmp_path, letter_vocab):
    examples = _examples()
    examples.input_ids[0, 0] = 9
    write_records(tmp_path / "a", [examples])
    with pytest.raises(RecordError, match=r"starts with id 9.*\[CLS\] is 2"):
        check_records([str(tmp_path / "a")], max_seq_length=11, tokenizer=load_tokenizer(letter_vocab))


def _write_raw(path, *records):
    with tf.io.TFRecordWriter(str(path)) as writer:
        for record in records:
            writer.write(record)
    return str(path)


def test_missing_feature_is_an_error_that_names_it(tmp_path, letter_vocab):
    features = _features(_examples(), 0)
    del features["segment_ids"]
    file = _write_raw(tmp_path / "a", _protobuf(features).SerializeToString())
    with pytest.raises(RecordError, match="segment_ids is missing"):
        check_records([file], max_seq_length=11, tokenizer=load_tokenizer(letter_vocab))


def test_files_without_records_or_of_something_else_are_errors(tmp_path, letter_vocab):
    tokenizer = load_tokenizer(letter_vocab)
    with pytest.raises(RecordError, match="hold no record"):
        check_records([_write_raw(tmp_path / "empty")], max_seq_length=11, tokenizer=tokenizer)
    with pytest.raises(RecordError, match="not records of examples"):
        check_records([_write_raw(tmp_path / "other", b"\xff text")], max_seq_length=11, tokenizer=tokenizer)
    (tmp_path / "text").write_text("Call me Ishmael." * 9, encoding="utf-8")
    with pytest.raises(RecordError, match="text: corrupt record at byte 0"):
        check_records([str(tmp_path / "text")], max_seq_length=11, tokenizer=tokenizer)


def test_file_that_cannot_be_written_is_an_error_with_path_and_reason(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(RecordError, match=r"Cannot write .*file/a: (File exists|Not a directory)"):
        write_records(tmp_path / "file" / "a", [_examples()])


def test_full_disk_is_an_error_with_path_and_reason_and_leaves_no_file(tmp_path):
    with limited_file_size(2000), pytest.raises(RecordError, match=r"Cannot write .*/records.*File too large"):
        write_records(tmp_path / "records", [_examples(num_examples=2000)])
    assert list(tmp_path.iterdir()) == []
