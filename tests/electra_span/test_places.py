import pathlib

import pytest

from electra_span.files import FileError
from electra_span.places import check_output_file, check_output_folder


def _places(folder: pathlib.Path) -> dict[str, pathlib.Path]:
    """Returns places where neither a file nor a folder can be written, by what is wrong with them."""
    (folder / "file").touch()
    (folder / "loop").symlink_to(folder / "loop")
    return {
        "is not a folder": folder / "file" / "below" / "x",
        "Too many levels of symbolic links": folder / "loop",
        "File name too long": folder / "new" / ("x" * 300),
        "must be the path of": pathlib.PurePath("\0"),
    }


def test_places_that_cannot_be_written_to_are_refused_before_any_work(tmp_path):
    for reason, place in _places(tmp_path).items():
        for check in (check_output_file, check_output_folder):
            with pytest.raises(FileError, match=f"^--output.*{reason}"):
                check("--output", place)
    for check in (check_output_file, check_output_folder):
        with pytest.raises(FileError, match="must be the path of"):
            check("model_dir", "")
    with pytest.raises(FileError, match="is a folder; a file is needed"):
        check_output_file("--json", tmp_path)
    with pytest.raises(FileError, match="is a file; a folder is needed"):
        check_output_folder("model_dir", tmp_path / "file")


def test_places_that_can_be_written_to_are_left_as_they_are(tmp_path):
    check_output_file("--json", tmp_path / "a" / "b" / "c.json")
    check_output_folder("model_dir", tmp_path / "a" / "b")
    check_output_folder("model_dir", tmp_path)
    check_output_file("--json", "/dev/stdout")
    check_output_file("--json", "c.json")
    (tmp_path / "dangling").symlink_to(tmp_path / "later")
    check_output_file("--json", tmp_path / "dangling")
    assert [path.name for path in tmp_path.iterdir()] == ["dangling"]
