"""`python -m electra_span`: texts in from anywhere, JSON lines out, one line for a mistake."""

import functools
import io
import json
import subprocess
import sys

import pytest

from electra_span import save_pretrained
from electra_span.__main__ import main, make_parser
from electra_span.cli.command_io import coloured
from electra_span.config import UserError
from electra_span.inference.results import ReplacedToken
from electra_span.published import save_load
from tests.command_errors import error_line
from tests.electra_span.inference.tiny_text_models import FACTS, LENGTH, MOOD, TAGS, make_text_model

COMMAND = [sys.executable, "-m", "electra_span"]


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """A folder as pretraining leaves it, with a model for tasks beside."""
    folder = tmp_path_factory.mktemp("models")
    for name, model in {
        "discriminator": make_text_model("discriminator"),
        "generator": make_text_model("generator"),
        "tasks": make_text_model("tasks", heads=(MOOD, LENGTH, TAGS, FACTS)),
    }.items():
        save_pretrained(model, model.tokenizer, folder / name)
    return folder


class Stdin(io.TextIOWrapper):
    def __init__(self, content):
        super().__init__(io.BytesIO(content))


@pytest.fixture(scope="module")
def load():
    """`load_pretrained`, which keeps what it loaded."""
    return functools.cache(save_load.load_pretrained)


@pytest.fixture
def ask(models, load, capsys, monkeypatch):
    """Runs a command on a model, named by its place in `models`, and returns the lines that it printed."""

    def run(command, model, *arguments, stdin=b""):
        monkeypatch.setattr(sys, "stdin", Stdin(stdin))
        monkeypatch.setattr(save_load, "load_pretrained", load)
        main(make_parser().parse_args([command, str(models / model), *arguments]))
        return capsys.readouterr().out.splitlines()

    return run


def test_texts_are_arguments_before_and_after_flags(ask):
    lines = [*map(json.loads, ask("classify", "tasks", "the cat", "--task", "mood", "", "on"))]
    assert [line["text"] for line in lines] == ["the cat", "", "on"]
    model = make_text_model("tasks", heads=(MOOD, LENGTH, TAGS, FACTS))
    for line, wanted in zip(lines, model.classify(["the cat", "", "on"], task="mood"), strict=True):
        assert line["label"] == wanted.label
        assert line["probabilities"] == pytest.approx(wanted.probabilities, abs=1e-5)


def test_a_line_of_a_file_or_of_standard_input_is_a_text(ask, tmp_path):
    content = "\ufeffthe Café\r\n\nsat on".encode()
    (tmp_path / "texts").write_bytes(content)
    of_file = ask("embed", "discriminator", "--file", str(tmp_path / "texts"))
    assert [json.loads(line)["text"] for line in of_file] == ["the Café", "", "sat on"]
    assert all(len(json.loads(line)["vector"]) == 12 for line in of_file)
    assert ask("embed", "discriminator", stdin=content) == of_file
    assert ask("embed", "discriminator", "--file", "-", stdin=content) == of_file


def test_of_a_pretraining_run_each_command_takes_the_half_that_can_do_it(ask):
    (line,) = ask("replaced", "", "on the mat")
    assert [(token["token"], token["start"], token["end"]) for token in json.loads(line)["tokens"]] == [
        ("on", 0, 2), ("the", 3, 6), ("mat", 7, 10)
    ]  # fmt: skip
    (line,) = ask("fill-mask", "", "the [MASK]", "--num-candidates", "2")
    ((first, second),) = json.loads(line)["masks"]
    assert first["probability"] >= second["probability"]
    assert first.keys() == {"token", "text", "probability"}


def test_pairs_and_questions_are_json_objects_whose_other_fields_come_back(ask):
    rows = [{"text": "the cat", "pair": "sat", "id": 7}, {"id": 8, "text": "on", "pair": ""}]
    lines = ask("classify", "tasks", "--task", "length", "--pairs", stdin="\n".join(map(json.dumps, rows)).encode())
    assert [(line["id"], line["pair"], line.keys() > {"score"}) for line in map(json.loads, lines)] == [
        (7, "sat", True), (8, "", True)
    ]  # fmt: skip
    row = {"question": "cat", "context": "the cat sat", "id": 9}
    (line,) = map(json.loads, ask("answer", "tasks", json.dumps(row), "--num-answers", "2"))
    assert line.keys() == {"question", "id", "answers", "no_answer_score", "has_answer"}
    assert line["answers"][0].keys() == {"text", "start", "end", "probability"}
    assert len(line["answers"]) == 2


def test_a_context_for_all_questions_is_a_flag_or_a_file(ask, tmp_path):
    context = "the cat\nsat on a mat"
    (tmp_path / "context").write_text(context)
    by_flag = ask("answer", "tasks", "cat", "mat", "--context", context)
    assert by_flag == ask("answer", "tasks", "cat", "mat", "--context-file", str(tmp_path / "context"))
    assert [json.loads(line)["question"] for line in by_flag] == ["cat", "mat"]
    assert "context" not in json.loads(by_flag[0])


def test_words_are_found_or_given(ask):
    (line,) = ask("tag", "tasks", "cats, on")
    assert [word["word"] for word in json.loads(line)["words"]] == ["cats", ",", "on"]
    (line,) = ask("tag", "tasks", "cats, on", "--words")
    assert [(word["word"], word["start"]) for word in json.loads(line)["words"]] == [("cats,", 0), ("on", 6)]


def test_tokens_have_their_vectors(ask):
    (line,) = ask("embed", "discriminator", "the mat", "--pooling", "none")
    assert json.loads(line).keys() == {"text", "tokens", "places", "vectors"}


def test_numbers_have_no_more_digits_than_they_are_worth(ask):
    (line,) = ask("classify", "tasks", "a", "--task", "mood")
    assert all(len(f"{number}") <= 11 for number in json.loads(line)["probabilities"].values())


def test_what_a_terminal_obeys_is_escaped_in_lines(ask):
    (line,) = ask("embed", "discriminator", "caf\u00e9 \x1b[31m\x9b \ud800")
    assert "\x1b" not in line
    assert "\x9b" not in line
    assert json.loads(line)["text"] == "caf\u00e9 \x1b[31m\x9b \ud800"
    (line,) = ask("embed", "discriminator", "café 日")
    assert '"text": "café 日"' in line


def test_many_lines_go_in_batches_and_come_out_in_order(ask, monkeypatch):
    monkeypatch.setattr("electra_span.cli.command_io._BATCH_SIZE", 3)
    lines = ask("embed", "discriminator", stdin="".join(f"the {'cat ' * n}\n" for n in range(8)).encode())
    assert [json.loads(line)["text"].count("cat") for line in lines] == list(range(8))


def test_suspicious_tokens_are_coloured_where_that_is_asked_for(ask):
    text = "on the mat"
    (line,) = ask("replaced", "discriminator", text, "--color", "always")
    assert line.replace("\x1b[33m", "").replace("\x1b[1;31m", "").replace("\x1b[0m", "") == text
    for choice in ("auto", "never"):  # standard output is no terminal here
        (line,) = ask("replaced", "discriminator", text, "--color", choice)
        assert json.loads(line)["text"] == text


def test_colours_are_by_probability_and_hide_nothing():
    tokens = [ReplacedToken("a", 0, 1, 0.2), ReplacedToken("b", 2, 3, 0.5), ReplacedToken("c", 3, 5, 0.95)]
    assert coloured("A b\x1bc d", tokens) == "A \x1b[33mb\x1b[0m\x1b[1;31m\ufffdc\x1b[0m d"
    both = [ReplacedToken("x", 0, 1, 0.9), ReplacedToken("y", 0, 1, 0.9)]  # two tokens of one character
    assert coloured("日", both) == "\x1b[1;31m日\x1b[0m"


def test_cut_texts_are_a_warning_on_standard_error(models, load, capsys, monkeypatch):
    monkeypatch.setattr(save_load, "load_pretrained", load)
    main(make_parser().parse_args(["embed", str(models / "tasks"), "the " * 40]))
    assert capsys.readouterr().err.startswith("warning: 1 of 1 texts have more than the 16 tokens")


@pytest.mark.parametrize(
    ("arguments", "stdin", "message"),
    [
        (["embed", "discriminator"], b"", "standard input: has no text"),
        (["embed", "discriminator"], b"a\n\xff\n", "standard input, line 2: is not UTF-8 text: byte 1"),
        (["embed", "discriminator", "--file", "none"], b"", "cannot read the file 'none': No such file"),
        (["embed", "discriminator", "--file", "none", "a"], b"", "texts come as arguments or from --file, not both"),
        (["embed", "none", "a"], b"", "MODEL: .*none: No such file"),
        (["answer", "tasks"], b'{"question": "a"}', 'line 1: .* strings "question" and "context". Received:'),
        (["answer", "tasks", "{"], b"", "argument 1: .* It must be a JSON object"),
        (["classify", "tasks", "--pairs"], b'{"text": "a", "pair": "b"}\n[]', "line 2: must be a JSON object with the"),
        (["classify", "tasks", "a"], b"", "classify needs task=, for this model has several: 'mood', 'length'"),
        (["fill-mask", "discriminator", "[MASK]"], b"", "fill_mask is not for .* Load a generator"),
        (["fill-mask", "generator", "the cat"], b"", r"must have a mask, \[MASK\]. Received: 'the cat'"),
    ],
)
def test_mistakes_are_one_line(ask, arguments, stdin, message):
    command, model, *others = arguments
    with pytest.raises(UserError, match=message) as raised:
        ask(command, model, *others, stdin=stdin)
    assert "\n" not in str(raised.value)


def test_help_imports_no_tensorflow():
    code = (
        "import sys\nfrom electra_span.__main__ import make_parser\n"
        "try: make_parser().parse_args(sys.argv[1:])\n"
        "except SystemExit as end: print(end.code, 'tensorflow' in sys.modules)"
    )
    for arguments in (["--help"], ["answer", "--help"], ["serve", "--help"], []):
        done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=True)
        assert done.stdout.splitlines()[-1] == ("0 False" if arguments else "2 False")


def test_the_command_reads_a_pipe_and_ends_with_its_reader(models):
    command = [*COMMAND, "fill-mask", str(models)]
    done = subprocess.run(command, input="the [MASK]\nthe cat\n", capture_output=True, text=True, check=False)
    assert error_line(done) == "error: texts must have a mask, [MASK]. Received: 'the cat' at 1"
    with subprocess.Popen(
        [*COMMAND, "embed", str(models)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        process.stdout.close()
        process.stdin.write(b"the cat\n" * 3000)
        process.stdin.close()
        errors = process.stderr.read().decode()
        assert process.wait() == 0
    assert "Traceback" not in errors
