"""What commands print after a mistake of their user."""

import subprocess


def error_line(done: subprocess.CompletedProcess[str]) -> str:
    """Returns the one line that a command printed after the user's mistake."""
    lines = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert len(lines) == 1
    return lines[0]
