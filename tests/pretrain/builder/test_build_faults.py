"""A build that is stopped anywhere goes on where it was, and its records are those of a build that was not."""

import dataclasses
import functools
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pretrain.builder import build, steps
from pretrain.builder.build import BuildError, BuildSettings, build_dataset
from pretrain.dataset.workers import Workers
from pretrain.sources.corpus import CorpusError

ROOT = Path(__file__).parents[3]
NUM_FILES, NUM_SHARDS = 12, 40


@pytest.fixture
def settings(many_files, letter_vocab, tmp_path):
    """A build of a task for each file, and of a read for each shard."""
    return BuildSettings(
        corpus_dir=many_files,
        vocab_file=letter_vocab,
        output_dir=tmp_path / "records",
        max_seq_length=16,
        num_out_files=NUM_SHARDS,
    )


@pytest.fixture(autouse=True)
def _small_tasks(monkeypatch):
    monkeypatch.setattr(build, "_MIN_TASK_BYTES", 2000)


@pytest.fixture
def undisturbed(settings, tmp_path):
    """What a build writes that nothing stops."""
    other = dataclasses.replace(settings, output_dir=tmp_path / "undisturbed")
    build_dataset(other)
    return _contents(other.output_dir)


def _contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def _stop(monkeypatch, step, error, after):
    """Makes a step raise an error after it has done so many pieces; the list returned gets those that it does."""
    real, done = getattr(steps, step), []

    def stopping(*arguments):
        if len(done) == after:
            raise error
        real(*arguments)
        done.append(arguments[-1])

    monkeypatch.setattr(steps, step, stopping)
    return done


@pytest.mark.parametrize("after", [1, NUM_FILES - 1])
def test_finished_tasks_are_not_done_again(settings, undisturbed, monkeypatch, after):
    with monkeypatch.context() as patch:
        done = _stop(patch, "encode_task", OSError(28, "No space left on device", "rows"), after)
        with pytest.raises(BuildError, match="No space left on device: rows"):
            build_dataset(settings)
        assert len(done) == after
    results = {path.name: path.stat().st_mtime_ns for path in (settings.output_dir / ".partial").glob("task-*")}
    assert len(results) == after
    unchanged = {}
    real = steps.read_result

    def look(workspace, number):
        name = f"task-{number}.json"
        unchanged[name] = (workspace / name).stat().st_mtime_ns == results.get(name)
        return real(workspace, number)

    monkeypatch.setattr(steps, "read_result", look)
    build_dataset(settings)
    assert [name for name, is_unchanged in unchanged.items() if is_unchanged] == sorted(
        results, key=lambda name: int(name[5:-5])
    )
    assert _contents(settings.output_dir) == undisturbed


@pytest.mark.parametrize("damage", ["nothing", "missing", "short", "changed"])
def test_finished_shards_are_kept_if_they_are_whole(settings, undisturbed, monkeypatch, damage):
    with monkeypatch.context() as patch:
        _stop(patch, "write_shards", KeyboardInterrupt, 7)
        with pytest.raises(KeyboardInterrupt):
            build_dataset(settings)
    shards = sorted((settings.output_dir / ".partial").glob("pretrain_data*"))
    assert len(shards) == 7
    stamps = {path: path.stat().st_mtime_ns for path in shards}
    content = shards[3].read_bytes()
    if damage == "missing":
        shards[3].unlink()
    else:
        changed = content[:-9] + b"x" + content[-8:]
        shards[3].write_bytes({"nothing": content, "short": content[:-1], "changed": changed}[damage])
    stamps[shards[3]] = shards[3].stat().st_mtime_ns if damage == "nothing" else None
    real = build.publish

    def look(folder, output_dir, names):
        assert [path.name for path in shards if path.stat().st_mtime_ns == stamps[path]] == [
            path.name for path in shards if stamps[path] is not None
        ]
        real(folder, output_dir, names)

    monkeypatch.setattr(build, "publish", look)
    build_dataset(settings)
    assert _contents(settings.output_dir) == undisturbed


@pytest.mark.parametrize("damaged", ["task-2.json", "rows-2"])
def test_a_finished_task_without_content_is_done_again(settings, undisturbed, monkeypatch, damaged):
    with monkeypatch.context() as patch:
        _stop(patch, "encode_task", KeyboardInterrupt, 5)
        with pytest.raises(KeyboardInterrupt):
            build_dataset(settings)
    (settings.output_dir / ".partial" / damaged).write_bytes(b"")
    build_dataset(settings)
    assert _contents(settings.output_dir) == undisturbed


def test_other_settings_begin_anew(settings, undisturbed, monkeypatch):
    with monkeypatch.context() as patch:
        _stop(patch, "encode_task", KeyboardInterrupt, 5)
        with pytest.raises(KeyboardInterrupt):
            build_dataset(dataclasses.replace(settings, seed=1))
    build_dataset(settings)
    assert _contents(settings.output_dir) == undisturbed


def test_a_source_that_was_written_to_begins_anew(settings, monkeypatch):
    with monkeypatch.context() as patch:
        _stop(patch, "encode_task", KeyboardInterrupt, 5)
        with pytest.raises(KeyboardInterrupt):
            build_dataset(settings)
    first = settings.corpus_dir / "00.txt"
    first.write_text("h" * first.stat().st_size, encoding="utf-8")
    manifest = build_dataset(settings)
    again = build_dataset(dataclasses.replace(settings, output_dir=settings.output_dir.with_name("again")))
    assert manifest["tokens_in"] == again["tokens_in"]


def test_a_source_that_disappears_is_an_error_that_names_it(settings, undisturbed, monkeypatch):
    gone = settings.corpus_dir / "06.txt"
    text = gone.read_bytes()
    stamp = gone.stat().st_mtime_ns
    real = build.plan_tasks

    def planned_and_gone(*arguments, **options):
        tasks = real(*arguments, **options)
        gone.unlink()
        return tasks

    with monkeypatch.context() as patch:
        patch.setattr(build, "plan_tasks", planned_and_gone)
        with pytest.raises(CorpusError, match=r"06\.txt: No such file"):
            build_dataset(settings)
    assert len(list((settings.output_dir / ".partial").glob("task-*"))) == 6
    gone.write_bytes(text)
    os.utime(gone, ns=(stamp, stamp))
    build_dataset(settings)
    assert _contents(settings.output_dir) == undisturbed


def _encode_or_die(folder: Path, settings: BuildSettings, workspace: Path, task: steps.Task) -> None:
    """Encodes a task; the first time that it comes to the sixth one, its process is killed in the middle."""
    if task[0] == 5 and not (folder / "died").exists():
        (folder / "died").touch()
        (workspace / ".rows-5.0.unfinished").write_bytes(b"half")
        os.kill(os.getpid(), signal.SIGKILL)
    steps.encode_task(settings, workspace, task)


def test_work_of_a_killed_worker_is_done_again(settings, undisturbed, monkeypatch, tmp_path):
    real = Workers.map

    def deadly_map(workers, function, items, **options):
        if options["label"] == "tokenized":
            function = functools.partial(_encode_or_die, tmp_path, *function.args)
        return real(workers, function, items, **options)

    monkeypatch.setattr(Workers, "map", deadly_map)
    build_dataset(dataclasses.replace(settings, num_processes=2))
    assert (tmp_path / "died").exists()
    assert _contents(settings.output_dir) == undisturbed


def test_killed_publication_goes_on(settings, undisturbed, monkeypatch):
    class Killed(BaseException):
        pass

    real, renamed = Path.rename, []

    def rename(path, target):
        renamed.append(path)
        if len(renamed) == 9:
            raise Killed
        return real(path, target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", rename)
        with pytest.raises(Killed):
            build_dataset(settings)
    assert len(list(settings.output_dir.glob("pretrain_data*"))) == 8
    build_dataset(settings)
    assert _contents(settings.output_dir) == undisturbed


def test_a_build_killed_at_any_moment_goes_on(settings, undisturbed):
    script = settings.output_dir.with_name("build.py")
    script.write_text(
        """
import sys
from pretrain.builder import build
from scripts.build_pretraining_dataset import main, make_parser
build._MIN_TASK_BYTES = 2000
main(make_parser().parse_args(sys.argv[1:]))
""",
        encoding="utf-8",
    )
    paths = [f"--corpus-dir={settings.corpus_dir}", f"--vocab-file={settings.vocab_file}"]
    numbers = ["--max-seq-length=16", f"--num-out-files={NUM_SHARDS}"]
    command = [sys.executable, str(script), *paths, f"--output-dir={settings.output_dir}", *numbers]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    partial = settings.output_dir / ".partial"
    for pattern in ("task-*", "pretrain_data*"):
        process = subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL)
        while process.poll() is None and len(list(partial.glob(pattern))) < 2:
            time.sleep(0.002)
        process.kill()
        process.wait()
    assert subprocess.run(command, env=environment, check=False).returncode == 0
    assert _contents(settings.output_dir) == undisturbed
