"""A build on Apache Beam's runner of this machine, several workers."""

import dataclasses
import sys

import pytest

from pretrain.builder import build
from pretrain.builder.build import BuildError, BuildSettings, build_dataset

TWO_WORKERS = "--runner=DirectRunner --direct_running_mode=multi_processing --direct_num_workers=2"


@pytest.fixture
def settings(many_files, letter_vocab, tmp_path, monkeypatch):
    """A build of twelve tasks."""
    monkeypatch.setattr(build, "_MIN_TASK_BYTES", 2000)
    return BuildSettings(
        corpus_dir=many_files,
        vocab_file=letter_vocab,
        output_dir=tmp_path / "beam",
        max_seq_length=16,
        num_out_files=5,
        runner="beam",
        beam_options=TWO_WORKERS,
    )


def _contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_workers_of_beam_write_what_one_process_writes(settings, tmp_path):
    pytest.importorskip("apache_beam")
    build_dataset(settings)
    alone = dataclasses.replace(settings, runner="local", beam_options="", output_dir=tmp_path / "alone")
    build_dataset(alone)
    assert len(_contents(alone.output_dir)) == 6
    assert _contents(settings.output_dir) == _contents(alone.output_dir)


def test_what_is_wrong_with_a_corpus_is_told_as_without_beam(settings):
    pytest.importorskip("apache_beam")
    bad = settings.corpus_dir / "05.txt"
    bad.write_bytes(b"abc\n\xff\n" * 300)
    with pytest.raises(BuildError, match=r"05\.txt: not UTF-8 at byte 4"):
        build_dataset(settings)
    kept = list((settings.output_dir / ".partial").glob("task-*.json"))
    assert 0 < len(kept) < 12
    bad.write_text("abc\nd", encoding="utf-8")
    assert build_dataset(settings)["num_documents"] > 11


def test_missing_beam_is_an_error_with_the_remedy(settings, monkeypatch):
    monkeypatch.setitem(sys.modules, "apache_beam", None)
    with pytest.raises(BuildError, match=r"pip install 'electra-span\[beam\]'"):
        build_dataset(settings)


def test_options_of_beam_are_said_as_on_its_command_line(settings):
    given = dataclasses.replace(settings, beam_options="--runner=FlinkRunner --flink_master='host: 8081'")
    assert given.beam_arguments == ["--runner=FlinkRunner", "--flink_master=host: 8081"]
    here = dataclasses.replace(settings, beam_options="", num_processes=7)
    assert here.beam_arguments == [
        "--runner=DirectRunner", "--direct_running_mode=multi_processing", "--direct_num_workers=7",
    ]  # fmt: skip
    with pytest.raises(BuildError, match="beam_options go with the runner beam only"):
        dataclasses.replace(settings, runner="local")
    with pytest.raises(BuildError, match="runner must be one of local, beam"):
        dataclasses.replace(settings, runner="spark", beam_options="")
