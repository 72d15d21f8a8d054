import pathlib

import pytest
import tensorflow as tf

from electra_span.errors import reason_of


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
