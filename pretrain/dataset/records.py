"""Files of examples: TFRecords of tf.train.Example, in the original's form.

A record holds `input_ids`, `input_mask` and `segment_ids`, int64 lists of length L, padded with [PAD], 0 and 0.
"""

import functools
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import tensorflow as tf
from google.protobuf.message import DecodeError

from electra_span.files import reason_of
from electra_span.objective.batches import PretrainingExamples
from electra_span.tokenization import Tokenizer
from pretrain.dataset.examples import PackedExamples
from pretrain.dataset.manifest import MANIFEST_NAME, ManifestError, read_manifest
from pretrain.dataset.record_files import FRAME_BYTES, RecordError, first_record, input_files
from pretrain.dataset.workspace import whole_part

__all__ = [
    "RecordError",
    "check_records",
    "find_corruption",
    "find_misfit",
    "input_files",
    "parse_records",
    "read_manifest",
    "serialize",
    "write_records",
]

_FEATURES = ("input_ids", "input_mask", "segment_ids")
_READ_BATCH = 1024
_NUM_CHECKED_RECORDS = 16

# Keys of the protocol buffer wire format: "field 1, 2 or 3 is the following number of bytes".
_FIELD_1, _FIELD_2, _FIELD_3 = b"\x0a", b"\x12", b"\x1a"


def serialize(examples: PackedExamples) -> list[bytes]:
    """Returns each example as a tf.train.Example, byte for byte as protobuf serialises it with sorted keys.

    The numbers of all examples are encoded at once; of a single record only a few pieces are joined.
    """
    max_seq_length = examples.input_ids.shape[1]
    positions = np.arange(max_seq_length)
    is_token = positions < examples.lengths[:, None]  # [num_examples, L]
    is_second = is_token & (positions >= examples.first_lengths[:, None])  # [num_examples, L]
    ids, id_ends = _varints(examples.input_ids)
    masks, segments = is_token.tobytes(), is_second.tobytes()  # a byte a number: 0 and 1 are their own encoding
    records = []
    id_start = 0
    for row, id_end in enumerate(id_ends.tolist()):
        flags = slice(row * max_seq_length, (row + 1) * max_seq_length)
        heads = _heads(id_end - id_start, max_seq_length)
        records.append(b"".join((heads[0], ids[id_start:id_end], heads[1], masks[flags], heads[2], segments[flags])))
        id_start = id_end
    return records


@functools.lru_cache(maxsize=1 << 12)
def _heads(num_id_bytes: int, max_seq_length: int) -> tuple[bytes, bytes, bytes]:
    """Returns what stands in a record before the numbers of each feature."""
    input_ids = _feature_head("input_ids", num_id_bytes)
    input_mask = _feature_head("input_mask", max_seq_length)
    segment_ids = _feature_head("segment_ids", max_seq_length)
    num_bytes = len(input_ids) + num_id_bytes + len(input_mask) + len(segment_ids) + 2 * max_seq_length
    return _FIELD_1 + _varint(num_bytes) + input_ids, input_mask, segment_ids


def _varints(values: np.ndarray) -> tuple[bytes, np.ndarray]:
    """Returns non-negative int32 [num_rows, num_columns] as protobuf varints, and where each row ends, [num_rows]."""
    num_places = max(1, -(-int(values.max(initial=0)).bit_length() // 7))
    groups = np.empty((*values.shape, num_places), np.uint8)  # of 7 bits, lowest first, the 8th set where more follow
    is_used = np.ones(groups.shape, np.bool_)
    rest = values
    for place in range(num_places):
        groups[..., place] = rest & 0xFF
        groups[..., place] |= (rest > 0x7F).astype(np.uint8) << 7
        if place > 0:
            is_used[..., place] = rest > 0
        rest = rest >> 7
    ends = np.count_nonzero(is_used, axis=(1, 2)).cumsum()
    return np.compress(is_used.ravel(), groups.ravel()).tobytes(), ends


def _varint(value: int) -> bytes:
    groups = [value >> shift & 0x7F for shift in range(0, max(1, value.bit_length()), 7)]
    return bytes([*(group | 0x80 for group in groups[:-1]), groups[-1]])


def _feature_head(key: str, num_bytes: int) -> bytes:
    """Returns all of an int64 feature's entry in the features map but the num_bytes of its packed numbers."""
    packed_head = _FIELD_1 + _varint(num_bytes)
    list_head = _FIELD_3 + _varint(len(packed_head) + num_bytes) + packed_head
    value_head = _FIELD_2 + _varint(len(list_head) + num_bytes) + list_head
    name = key.encode()
    key_entry = _FIELD_1 + _varint(len(name)) + name
    return _FIELD_1 + _varint(len(key_entry) + len(value_head) + num_bytes) + key_entry + value_head


def write_records(path: Path, batches: Iterable[PackedExamples]) -> int:
    """Returns the number of records after writing them to one file.

    Raises:
        RecordError: where the file cannot be written: no space, no permission.
    """
    num_records = 0
    try:
        with whole_part(path) as partial, tf.io.TFRecordWriter(str(partial)) as writer:
            for examples in batches:
                records = serialize(examples)
                for record in records:
                    writer.write(record)
                num_records += len(records)
    except (OSError, tf.errors.OpError) as error:
        raise RecordError(f"Cannot write {path}: {reason_of(error)}") from error
    return num_records


def parse_records(serialized: tf.Tensor, max_seq_length: int) -> PretrainingExamples:
    """Returns a batch of examples parsed in one op; for use in tf.data.

    Args:
        serialized: string [B], records.
        max_seq_length: L, the length of every record.
    """
    length = tf.io.FixedLenFeature([max_seq_length], tf.int64)
    features = tf.io.parse_example(serialized, dict.fromkeys(_FEATURES, length))
    return PretrainingExamples(**{name: tf.cast(feature, tf.int32) for name, feature in features.items()})


def holds_records(file: Path, num_records: int) -> bool:
    """Returns whether a file is there and holds so many records, none of them damaged."""
    if not file.is_file():
        return False
    num_found, num_bytes = _readable(tf.data.TFRecordDataset(str(file)), _READ_BATCH)
    return num_found == num_records and num_bytes == file.stat().st_size


def find_corruption(files: Sequence[str]) -> str | None:
    """Returns "FILE: corrupt record at byte OFFSET" for the first damaged record, or None.

    To be asked after a tf.errors.DataLossError, which need not name the file. Reads until it finds the damage.
    """
    for file in files:
        num_records, num_bytes = _readable(tf.data.TFRecordDataset(file), _READ_BATCH)
        if num_bytes < Path(file).stat().st_size:  # a last record of a few bytes is no error to TensorFlow
            _, num_more_bytes = _readable(tf.data.TFRecordDataset(file).skip(num_records), 1)
            return f"{file}: corrupt record at byte {num_bytes + num_more_bytes}"
    return None


def _readable(records: tf.data.Dataset, batch_size: int) -> tuple[int, int]:
    """Returns how many records and bytes come before a damaged record, in whole batches."""
    num_records = num_bytes = 0
    try:
        for lengths in records.map(tf.strings.length).batch(batch_size).as_numpy_iterator():
            num_records += len(lengths)
            num_bytes += int(lengths.sum(dtype=np.int64)) + FRAME_BYTES * len(lengths)
    except tf.errors.DataLossError:
        pass
    return num_records, num_bytes


def check_records(files: Sequence[str], *, max_seq_length: int, tokenizer: Tokenizer) -> None:
    """Checks that records fit the model to be trained: manifests in their folders, and the first record of each file.

    Args:
        files: files of records, as from `input_files`.
        max_seq_length: L of the training.
        tokenizer: the tokenizer of the training.

    Raises:
        RecordError: where length or vocabulary are others, or where the files are no records of examples.
    """
    for folder in sorted({Path(file).parent for file in files}):
        _check_manifest(folder, max_seq_length, tokenizer)
    num_checked = 0
    for file in files:
        first = first_record(file)
        if first is not None:
            _check_record(file, first, max_seq_length, tokenizer)
            num_checked = num_checked or _check_first_records(file, max_seq_length, tokenizer)
    if not num_checked:
        raise RecordError(f"The files hold no record. Received: {len(files)} files, the first {files[0]}")


def _check_first_records(file: str, max_seq_length: int, tokenizer: Tokenizer) -> int:
    """Checks some records of a file, and returns how many."""
    try:
        records = list(tf.data.TFRecordDataset(file).take(_NUM_CHECKED_RECORDS).as_numpy_iterator())
    except tf.errors.DataLossError as error:
        raise RecordError(f"{find_corruption([file])}; build the records again or leave this file out") from error
    for record in records:
        _check_record(file, record, max_seq_length, tokenizer)
    return len(records)


def find_misfit(files: Sequence[str], max_seq_length: int) -> str | None:
    """Returns "FILE: record NUMBER ..." for the first record that is no example of a length, or None.

    To be asked after a tf.errors.InvalidArgumentError of parsing, which names no file. Reads until it finds the record.
    """
    for file in files:
        for number, record in enumerate(tf.data.TFRecordDataset(file).as_numpy_iterator()):
            try:
                _check_features(file, record, max_seq_length)
            except RecordError as error:
                return f"{error} (record {number}, from 0)"
    return None


def _check_manifest(folder: Path, max_seq_length: int, tokenizer: Tokenizer) -> None:
    manifest = read_manifest(folder)
    if manifest is None:
        return
    if "max_seq_length" not in manifest or "fingerprint" not in manifest.get("tokenizer", {}):
        raise ManifestError(f"{folder / MANIFEST_NAME} must have max_seq_length and tokenizer; build the records again")
    if manifest["max_seq_length"] != max_seq_length:
        raise RecordError(
            f"max_seq_length must be {manifest['max_seq_length']}, that of the records in {folder}. "
            f"Received: {max_seq_length}"
        )
    built_with = dict(manifest["tokenizer"])
    if built_with.pop("fingerprint") != tokenizer.fingerprint:
        raise RecordError(
            f"The records in {folder} were built with another vocabulary or other settings, {built_with}. "
            f"Received: {tokenizer.settings} and {tokenizer.vocab_size} entries; use the vocabulary they were built "
            "with, or build them again"
        )


def _check_features(file: str, record: bytes, max_seq_length: int) -> Sequence[int]:
    """Returns the ids of a record that is an example of a length."""
    try:
        features = tf.train.Example.FromString(record).features.feature
    except DecodeError as error:
        raise RecordError(f"{file}: its records are not records of examples (tf.train.Example)") from error
    for name in _FEATURES:
        length = len(features[name].int64_list.value) if name in features else None
        if length is None:
            raise RecordError(f"{file}: records must have the features {', '.join(_FEATURES)}; {name} is missing")
        if length != max_seq_length:
            raise RecordError(
                f"max_seq_length must be {length}, the length of {name} in {file}. Received: {max_seq_length}"
            )
    ids: Sequence[int] = features["input_ids"].int64_list.value
    return ids


def _check_record(file: str, record: bytes, max_seq_length: int, tokenizer: Tokenizer) -> None:
    ids = _check_features(file, record, max_seq_length)
    if ids[0] != tokenizer.cls_id or max(ids) >= tokenizer.vocab_size or min(ids) < 0:
        raise RecordError(
            f"{file}: built with another vocabulary; a record starts with id {ids[0]} and has ids up to {max(ids)}, "
            f"where [CLS] is {tokenizer.cls_id} and the vocabulary has {tokenizer.vocab_size} entries"
        )
