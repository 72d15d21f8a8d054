import errno
import json
import os
import pathlib
import subprocess
import sys
import time

import pytest
import tensorflow as tf

from electra_span.files import (
    FileError,
    JsonError,
    parse_json,
    read_json,
    read_json_object,
    reason_of,
    remove_unfinished,
    shown,
    whole_file,
    write_json,
    write_text,
)

ROOT = pathlib.Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("{", "malformed JSON at line 1, column 2"),
        ("[1,\n2,]", "malformed JSON at line 2, column 3"),
        ('{"n": ' + "9" * 4301 + "}", "an integer in the JSON has more than 4,300 digits"),
        ("[" * 5000, "nested too deeply"),
        (b'{"a": "\xff"}', "not UTF-8 at byte 7"),
        ("", "malformed JSON"),
    ],
)
def test_bad_json_is_one_short_line_that_names_its_source(text, reason):
    with pytest.raises(JsonError) as raised:
        parse_json(text, "rows.jsonl, line 3")
    message = str(raised.value)
    assert message.startswith("rows.jsonl, line 3: ")
    assert reason in message
    assert len(message) < 250
    assert "\n" not in message


def test_json_may_begin_with_a_byte_order_mark():
    assert parse_json(b'\xef\xbb\xbf{"a": 1}', "x") == parse_json('\ufeff{"a": 1}', "x") == {"a": 1}


def test_a_key_that_is_there_twice_is_refused_only_where_asked():
    text = '{"a": {"b": 1, "b": 2}}'
    assert parse_json(text, "x") == {"a": {"b": 2}}
    with pytest.raises(JsonError, match="x: the key 'b' is there twice"):
        parse_json(text, "x", unique_keys=True)


@pytest.mark.parametrize(("content", "reason"), [(b"[1]", "must be a JSON object"), (b"\xff", "not UTF-8"), (None, "")])
def test_a_json_file_that_cannot_be_used_is_named(tmp_path, content, reason):
    path = tmp_path / "settings.json"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(JsonError, match=f"settings.json: .*{reason}"):
        read_json_object(path)


def test_a_folder_is_no_json_file(tmp_path):
    with pytest.raises(JsonError, match="cannot be read"):
        read_json(tmp_path)


def _fill_disk(partial: pathlib.Path) -> None:
    partial.write_text("half", encoding="utf-8")
    raise OSError(errno.ENOSPC, "full")


def test_a_file_appears_when_it_is_whole(tmp_path):
    path = tmp_path / "new folder" / "rows"
    with whole_file(path) as partial:
        partial.write_text("new", encoding="utf-8")
        assert not path.exists()
    assert path.read_text(encoding="utf-8") == "new"
    with pytest.raises(OSError, match="full") as raised, whole_file(path) as partial:
        _fill_disk(partial)
    assert raised.value.filename == str(path)
    assert path.read_text(encoding="utf-8") == "new"
    assert list(path.parent.iterdir()) == [path]


def test_two_writers_of_a_file_have_temporary_names_of_their_own(tmp_path):
    path = tmp_path / "rows"
    with whole_file(path) as first, whole_file(path) as second:
        first.write_text("first", encoding="utf-8")
        second.write_text("second", encoding="utf-8")
    assert path.read_text(encoding="utf-8") == "first"


def test_a_file_may_have_the_longest_name_there_is(tmp_path):
    path = tmp_path / ("é" * 127)
    write_text(path, "x")
    assert path.read_text(encoding="utf-8") == "x"


def test_links_are_followed_and_devices_stay(tmp_path):
    link, target = tmp_path / "link", tmp_path / "target"
    link.symlink_to(target)
    write_text(link, "x")
    assert link.is_symlink()
    assert target.read_text(encoding="utf-8") == "x"
    write_text("/dev/null", "x")
    assert pathlib.Path("/dev/null").is_char_device()


def _written_to_stdout(command: str, folder: pathlib.Path) -> None:
    """Runs a shell command line in which SCRIPT prints, writes a file to /dev/stdout, and prints again."""
    script = (
        "print('before'); from electra_span.files import write_text; write_text('/dev/stdout', 'x'); print('after')"
    )
    command = command.replace("SCRIPT", f'"{sys.executable}" -c "{script}"')
    subprocess.run(["bash", "-c", command], cwd=folder, env={**os.environ, "PYTHONPATH": str(ROOT)}, check=True)


@pytest.mark.parametrize(
    ("command", "content"),
    [
        ("SCRIPT > out", "before\nxafter\n"),
        ("echo line > out; SCRIPT >> out", "line\nbefore\nxafter\n"),
        ("SCRIPT | cat > out", "before\nxafter\n"),
    ],
)
def test_standard_output_is_written_to_wherever_it_goes(tmp_path, command, content):
    _written_to_stdout(command, tmp_path)
    assert (tmp_path / "out").read_text(encoding="utf-8") == content


def test_a_pipe_is_written_to_and_stays(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with subprocess.Popen(["cat", tmp_path / "pipe"], stdout=subprocess.PIPE) as reader:
        write_text(tmp_path / "pipe", "x")
        assert reader.stdout.read() == b"x"
    assert (tmp_path / "pipe").is_fifo()


def test_a_file_that_cannot_be_renamed_onto_is_written_in_place_with_its_mode(tmp_path, monkeypatch):
    (tmp_path / "rows").write_text("old", encoding="utf-8")
    (tmp_path / "rows").chmod(0o664)

    def busy(*_: object) -> None:
        raise OSError(errno.EBUSY, "Device or resource busy")

    with monkeypatch.context() as patched:
        patched.setattr(os, "replace", busy)
        write_text(tmp_path / "rows", "new")
    assert (tmp_path / "rows").read_text(encoding="utf-8") == "new"
    write_text(tmp_path / "rows", "newer")
    assert (tmp_path / "rows").stat().st_mode & 0o777 == 0o664
    assert list(tmp_path.iterdir()) == [tmp_path / "rows"]


def test_what_killed_writers_left_is_removed_when_it_is_old(tmp_path):
    old, new, other = (tmp_path / name for name in (".rows.1.unfinished", ".rows.2.unfinished", ".x.3.unfinished"))
    for path in (old, new, other):
        path.touch()
    for path in (old, other):
        os.utime(path, (time.time() - 7200,) * 2)
    write_text(tmp_path / "rows", "x")
    assert sorted(tmp_path.iterdir()) == [new, other, tmp_path / "rows"]
    remove_unfinished(tmp_path)
    assert list(tmp_path.iterdir()) == [tmp_path / "rows"]


def test_numbers_that_json_cannot_express_leave_the_file_as_it_was(tmp_path):
    write_json(tmp_path / "a.json", {"a": 1})
    with pytest.raises(FileError, match=r"a\.json: all numbers"):
        write_json(tmp_path / "a.json", {"a": float("nan")})
    assert json.loads((tmp_path / "a.json").read_text(encoding="utf-8")) == {"a": 1}


def test_texts_are_shown_short_and_without_control_characters():
    assert shown("a\x1b[2Jb\u202ec") == "a\ufffd[2Jb\ufffdc"
    assert shown("x" * 1000, 21) == "xxxxxxxxx...xxxxxxxxx"


def test_an_operating_systems_error_is_its_words():
    with pytest.raises(FileNotFoundError) as raised:
        pathlib.Path("/nowhere/at/all").read_text()
    assert reason_of(raised.value) == "No such file or directory"


def test_an_operations_error_is_told_without_names_of_nodes():
    with pytest.raises(tf.errors.OpError) as raised:
        tf.io.write_file("/dev/full/file", "text")
    assert "[Op:" in str(raised.value)
    assert reason_of(raised.value).startswith("/dev/full")
    assert "{{" not in reason_of(raised.value)
    assert "[Op:" not in reason_of(raised.value)


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        (
            "{{function_node __wrapped__Save}} /a/b; No space left on device [Op:SaveV2]",
            "/a/b; No space left on device",
        ),
        ("not whole\nsecond line", "not whole"),
        ("indices are wrong [[{{node x/y}}]]", "indices are wrong"),
        ("", ""),
    ],
)
def test_internals_and_further_lines_are_left_out(message, reason):
    assert reason_of(ValueError(message)) == reason
