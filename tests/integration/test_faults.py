"""Mistakes and accidents end in one line that says what is wrong, with everything that was there as it was."""

import pathlib
import shutil

import numpy as np
import pytest

from electra_span.config import HparamError, UserError
from electra_span.files import FileError
from electra_span.folders import lock_folder
from electra_span.tokenization import load_tokenizer
from electra_span.training.checkpoints import CheckpointError, Checkpoints
from pretrain.dataset.manifest import write_manifest
from pretrain.dataset.record_files import RecordError, extent_of, file_entries
from pretrain.train import evaluate, train
from tests.integration.driver import start
from tests.tiny_models import VOCABULARY
from tests.tiny_run import HPARAMS, MAX_SEQ_LENGTH, limited_file_size, tiny_config, write_tiny_data

RUN = {
    "xla": False, "num_train_steps": 8,
    "model_hparam_overrides": {**HPARAMS["model_hparam_overrides"], "num_hidden_layers": 1},
}  # fmt: skip


@pytest.fixture
def data_dir(tmp_path) -> pathlib.Path:
    return write_tiny_data(tmp_path / "data")


def _contents(folder: pathlib.Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def _assert_refused(data_dir: pathlib.Path, error: type[UserError], message: str, **hparams) -> None:
    """Asserts that training and evaluation raise the error before they write anything."""
    before = _contents(data_dir)
    for function, kind in ((train, {}), (evaluate, {"do_train": False, "do_eval": True})):
        with pytest.raises(error, match=message) as raised:
            function(tiny_config(data_dir, **(RUN | kind | hparams)))
        assert "\n" not in str(raised.value)
    assert _contents(data_dir) == before


def test_a_missing_vocabulary_is_named(data_dir):
    (data_dir / "vocab.txt").unlink()
    _assert_refused(data_dir, UserError, r"data/vocab\.txt")


def test_missing_records_are_named(data_dir):
    shutil.rmtree(data_dir / "pretrain_tfrecords")
    _assert_refused(
        data_dir, RecordError, r"Every pattern must match .*data/pretrain_tfrecords/pretrain_data\.tfrecord\*"
    )


def test_missing_records_of_evaluation_are_named_before_training(data_dir):
    _assert_refused(data_dir, RecordError, r"Every pattern must match .*data/dev\*", eval_tfrecords=f"{data_dir}/dev*")


def test_records_of_another_length_are_refused(data_dir):
    _assert_refused(data_dir, RecordError, r"max_seq_length must be 16, .* Received: 12", max_seq_length=12)


def test_records_of_evaluation_of_another_length_are_refused(data_dir, tmp_path):
    write_tiny_data(tmp_path / "dev", max_seq_length=12, num_files=1)
    files = f"{tmp_path}/dev/pretrain_tfrecords/*"
    _assert_refused(data_dir, RecordError, r"max_seq_length must be 12, .* Received: 16", eval_tfrecords=files)


def test_records_of_a_larger_vocabulary_are_refused(data_dir):
    shorter = VOCABULARY[:-4]
    (data_dir / "vocab.txt").write_text("\n".join(shorter) + "\n", encoding="utf-8")
    _assert_refused(data_dir, RecordError, r"built with another vocabulary.* has 33 entries")


def test_records_whose_manifest_tells_of_another_vocabulary_are_refused(data_dir):
    tokenizer = load_tokenizer(data_dir / "vocab.txt")
    settings = {**tokenizer.settings, "fingerprint": tokenizer.fingerprint}
    write_manifest(data_dir / "pretrain_tfrecords", {"max_seq_length": MAX_SEQ_LENGTH, "tokenizer": settings})
    (data_dir / "vocab.txt").write_text("\n".join((*VOCABULARY[:-1], "other")) + "\n", encoding="utf-8")
    _assert_refused(data_dir, RecordError, "were built with another vocabulary")


def _write_manifest(data_dir: pathlib.Path) -> pathlib.Path:
    """Returns the folder of records after writing their manifest."""
    tokenizer = load_tokenizer(data_dir / "vocab.txt")
    records = data_dir / "pretrain_tfrecords"
    names = [f"pretrain_data.tfrecord-{shard}-of-3" for shard in range(3)]
    entries = file_entries(records, names, [31, 31, 30])
    settings = {**tokenizer.settings, "fingerprint": tokenizer.fingerprint}
    write_manifest(records, {"max_seq_length": MAX_SEQ_LENGTH, "tokenizer": settings, **entries})
    return records


def test_a_file_of_records_that_was_cut_between_two_of_them_is_refused(data_dir, tmp_path):
    file = _write_manifest(data_dir) / "pretrain_data.tfrecord-1-of-3"
    whole, dev = file.read_bytes(), write_tiny_data(tmp_path / "dev")
    shutil.copytree(data_dir / "pretrain_tfrecords", dev / "pretrain_tfrecords", dirs_exist_ok=True)
    (dev / "pretrain_tfrecords" / file.name).unlink()
    file.write_bytes(whole[: len(whole) * 15 // 31])
    file.write_bytes(whole[: extent_of(file).num_bytes])
    message = r"-1-of-3: manifest\.json says 31 records in \d+ bytes, and 1\d whole records in \d+ bytes are there"
    _assert_refused(data_dir, RecordError, message)
    file.write_bytes(whole)
    files, message = f"{dev}/pretrain_tfrecords/*", r"dev/.*-1-of-3: missing; manifest\.json says 31 records"
    _assert_refused(data_dir, RecordError, message, eval_tfrecords=files)
    phase = {"max_seq_length": MAX_SEQ_LENGTH, "num_train_steps": 4}
    phases = [{**phase, "pretrain_tfrecords": name} for name in (str(file), files)]
    _assert_refused(data_dir, RecordError, message, phases=phases)


def test_a_record_of_another_length_is_named_wherever_it_is(data_dir, tmp_path):
    other = write_tiny_data(tmp_path / "other", max_seq_length=12, num_files=1) / "pretrain_tfrecords"
    longer = (other / "pretrain_data.tfrecord-0-of-1").read_bytes()
    file = data_dir / "pretrain_tfrecords" / "pretrain_data.tfrecord-2-of-3"
    whole = file.read_bytes()
    file.write_bytes(whole + longer)
    with pytest.raises(RecordError, match=r"max_seq_length must be 12, .*-2-of-3. Received: 16 \(record 30, from 0\)"):
        train(tiny_config(data_dir, **RUN | {"num_train_steps": 30}))
    shutil.rmtree(data_dir / "models")
    file.write_bytes(longer)
    _assert_refused(data_dir, RecordError, r"max_seq_length must be 12, the length of input_ids in .*-2-of-3")


def test_a_vocabulary_larger_than_the_model_is_refused(data_dir):
    _assert_refused(data_dir, HparamError, r"vocab_size must be at least the 37 entries .* Received: 36", vocab_size=36)


def test_a_vocabulary_without_the_mask_is_refused(data_dir):
    tokens = ["[unused]" if token == "[MASK]" else token for token in VOCABULARY]
    (data_dir / "vocab.txt").write_text("\n".join(tokens) + "\n", encoding="utf-8")
    _assert_refused(data_dir, UserError, r"vocab\.txt.*\[MASK\]")


def test_the_folder_of_another_configuration_is_refused_by_the_names_of_its_settings(data_dir):
    model_dir = data_dir / "models" / "tiny"
    model_dir.mkdir(parents=True)
    other = tiny_config(data_dir, **RUN, learning_rate=2e-3, seed=3, log_steps=99)
    (model_dir / "config.json").write_text(other.to_json())
    _assert_refused(data_dir, HparamError, r"models/tiny holds a run with other values of seed, learning_rate;")


@pytest.mark.parametrize("content", ["{", "[]", "{}", '{"model_name": "tiny", "data_dir": "d", "lerning_rate": 1}'])
def test_a_folder_whose_configuration_cannot_be_read_is_refused(data_dir, content):
    model_dir = data_dir / "models" / "tiny"
    model_dir.mkdir(parents=True)
    (model_dir / "config.json").write_text(content)
    _assert_refused(data_dir, HparamError, r"models/tiny/config\.json(:| is not a run configuration:| must be) ")


def test_an_evaluation_without_a_checkpoint_says_to_train_first(data_dir):
    with pytest.raises(CheckpointError, match=r"models/tiny holds no checkpoint; train first"):
        evaluate(tiny_config(data_dir, **RUN, do_train=False, do_eval=True))


def test_a_second_training_in_a_folder_is_refused_before_it_writes_anything(data_dir):
    model_dir = data_dir / "models" / "tiny"
    two_stages = {"training_mode": "two_stage", "sbpo_weight": 0.0}
    with lock_folder(model_dir, "training"):
        before = _contents(data_dir)
        for hparams in ({}, two_stages):
            with pytest.raises(FileError, match=r"Another training is writing to .*models/tiny; wait until"):
                train(tiny_config(data_dir, **RUN, **hparams))
        assert _contents(data_dir) == before
    message = r"Another training is writing to .*tiny/generator_stage; wait until"
    with lock_folder(model_dir / "generator_stage", "training"), pytest.raises(FileError, match=message):
        train(tiny_config(data_dir, **RUN, **two_stages))


def test_a_run_can_be_evaluated_while_it_trains_whose_folder_gets_rid_of_what_killed_runs_left(data_dir):
    model_dir = data_dir / "models" / "tiny"
    left = [model_dir / name for name in (".config.json.1.unfinished", "checkpoints/ckpt-9.data-00000-of-00001")]
    for path in left:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    train(tiny_config(data_dir, **RUN | {"num_train_steps": 1}))
    with lock_folder(model_dir, "training"):
        assert evaluate(tiny_config(data_dir, **RUN, do_train=False, do_eval=True))["step"] == 1
    assert not any(path.exists() for path in (*left, model_dir / ".lock"))


def _flip_a_bit(file: pathlib.Path, record: int) -> int:
    """Returns the offset of a record after flipping a bit in it."""
    content = bytearray(file.read_bytes())
    offset = 0
    for _ in range(record):
        offset += int.from_bytes(content[offset : offset + 8], "little") + 16
    content[offset + 20] ^= 4
    file.write_bytes(content)
    return offset


def test_a_damaged_record_met_while_training_is_named_with_its_offset(data_dir):
    file = data_dir / "pretrain_tfrecords" / "pretrain_data.tfrecord-1-of-3"
    offset = _flip_a_bit(file, record=25)
    with pytest.raises(RecordError, match=rf"pretrain_data\.tfrecord-1-of-3: corrupt record at byte {offset}$"):
        train(tiny_config(data_dir, **RUN | {"num_train_steps": 30}))


def test_a_damaged_record_met_in_evaluation_is_named_with_its_offset(data_dir, tmp_path):
    train(tiny_config(data_dir, **RUN | {"num_train_steps": 1}))
    dev = write_tiny_data(tmp_path / "dev", num_files=1) / "pretrain_tfrecords" / "pretrain_data.tfrecord-0-of-1"
    offset = _flip_a_bit(dev, record=80)
    with pytest.raises(RecordError, match=rf"dev/.*tfrecord-0-of-1: corrupt record at byte {offset}$"):
        evaluate(tiny_config(data_dir, **RUN, do_train=False, do_eval=True, eval_tfrecords=str(dev)))


def test_a_full_disk_leaves_the_checkpoint_before_from_which_the_run_goes_on(data_dir, monkeypatch):
    save = Checkpoints.save

    def save_until_full(checkpoints, step):
        with limited_file_size(10_000 if step == 8 else 1 << 30):
            save(checkpoints, step)

    checkpoints = data_dir / "models" / "tiny" / "checkpoints"
    with monkeypatch.context() as patched:
        patched.setattr(Checkpoints, "save", save_until_full)
        with pytest.raises(CheckpointError, match=r"cannot write the checkpoint .*ckpt-8, older ones are kept: "):
            train(tiny_config(data_dir, **RUN))
    assert {path.stem for path in checkpoints.iterdir()} == {"ckpt-4"}
    train(tiny_config(data_dir, **RUN))
    assert (data_dir / "models" / "tiny" / "discriminator" / "model.safetensors").exists()


def test_a_truncated_file_met_while_training_is_one_line_and_status_2(data_dir):
    file = data_dir / "pretrain_tfrecords" / "pretrain_data.tfrecord-2-of-3"
    file.write_bytes(file.read_bytes()[:-7])
    assert start(data_dir, "tiny", HPARAMS | RUN) == 2
    output = (data_dir / "tiny.output").read_text()
    (line,) = [line for line in output.splitlines() if line.startswith("error: ")]
    assert "pretrain_data.tfrecord-2-of-3: corrupt record at byte" in line
    assert "Traceback" not in output


def test_a_loss_that_is_not_finite_is_one_line_and_status_2_with_its_batch_beside_the_checkpoints(data_dir):
    hparams = HPARAMS | RUN | {"learning_rate": 1e6, "num_warmup_steps": 0, "save_checkpoints_steps": 1}
    assert start(data_dir, "tiny", hparams) == 2
    output = (data_dir / "tiny.output").read_text()
    (line,) = [line for line in output.splitlines() if line.startswith("error: ")]
    assert "not finite at step 2" in line
    assert "Traceback" not in output
    checkpoints = data_dir / "models" / "tiny" / "checkpoints"
    assert {path.stem for path in checkpoints.glob("ckpt*")} == {"ckpt-1"}
    batch = np.load(checkpoints / "nonfinite_batch_2.npz")
    assert batch["input_ids"].shape == (HPARAMS["train_batch_size"], MAX_SEQ_LENGTH)
