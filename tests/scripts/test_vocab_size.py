import subprocess
import sys

import pytest

from scripts import vocab_size


@pytest.mark.parametrize("words", [["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "cat"], ["cat"]])
def test_the_number_of_tokens_is_all_that_is_printed(tmp_path, words):
    (tmp_path / "vocab.txt").write_text("\n".join(words), encoding="utf-8")
    command = [sys.executable, vocab_size.__file__, tmp_path / "vocab.txt"]
    done = subprocess.run(command, capture_output=True, text=True)
    if len(words) > 1:
        assert (done.returncode, done.stdout) == (0, "6\n")
    else:
        assert (done.returncode, done.stdout) == (2, "")
        assert "--add-special-tokens" in done.stderr
