"""Places that cannot be written to or read, for every command and flag that names one: one line, and nothing done."""

import json
import pathlib
import shutil
from collections.abc import Iterator, Mapping, Sequence

import pytest

from tests.in_process import run_command

# What a flag is given in place of a file or a folder; {here} stands for the prepared folder.
_BAD: Mapping[str, str] = {
    "below a file": "{here}/file.txt/x",
    "a loop of links": "{here}/loop",
    "a loop above": "{here}/loop/x",
    "a name too long": "{here}/" + "x" * 300,
    "a name too long below": "{here}/new/" + "x" * 300,
    "a path too long": "{here}/" + "x/" * 3000 + "x",
    "nothing": "",
}
_BAD_HPARAM = {**_BAD, "a null character": "{here}/a\0b"}  # which no argument of a process can have
_MISSING = {"nowhere": "{here}/nowhere"}
_FOLDER, _FILE = {"a folder": "{here}/corpus"}, {"a file": "{here}/file.txt"}

_CORPUS = ["--corpus-dir", "{here}/corpus"]
_VOCABULARY = ["--vocab-file", "{here}/vocab.txt"]
_RUN = ["--data-dir", "{here}", "--model-name", "m"]
_MRQA = ["--from", "mrqa", "--input", "{here}/mrqa.jsonl"]
_ANALYZE = ["--gold", "{here}/gold.json", "--predictions", "{here}/answers.json", "--output", "{here}/out"]
_PRETRAIN = [*_RUN, "vocab_size=6"]
_MODEL = "{here}/corpus"

# Command, its other arguments, the flag with the place ("" for an argument, a word with "=" for an hparam), bad places.
_WRITTEN: Sequence[tuple[str, list[str], str, Mapping[str, str]]] = [
    ("run_pretraining", _PRETRAIN, "model_dir=", _BAD_HPARAM | _FILE),
    ("run_pretraining", _PRETRAIN, "results_txt=", _BAD_HPARAM | _FOLDER),
    ("run_finetuning", [*_RUN, 'task_names=["sst"]'], "model_dir=", _BAD_HPARAM | _FILE),
    ("scripts.build_pretraining_dataset", [*_CORPUS, *_VOCABULARY], "--output-dir", _BAD | _FILE),
    ("scripts.create_vocab", _CORPUS, "--vocab-file", _BAD | _FOLDER),
    ("scripts.create_vocab", _CORPUS, "--output-dir", _BAD | _FILE),
    ("scripts.create_vocab", ["--add-special-tokens", "{here}/vocab.txt"], "--output-dir", _BAD | _FILE),
    ("scripts.inspect_corpus", _CORPUS, "--html", _BAD | _FOLDER),
    ("scripts.inspect_corpus", _CORPUS, "--json", _BAD | _FOLDER),
    ("scripts.convert_qa_dataset", _MRQA, "--output", _BAD | _FOLDER),
    ("scripts.convert_qa_dataset", [*_MRQA, "--output", "{here}/new.json"], "--report", _BAD | _FOLDER),
    ("scripts.analyze_qa", _ANALYZE, "--output", _BAD | _FILE),
    ("scripts.convert_checkpoint", [_MODEL], "", _BAD | _FILE),
    ("scripts.export_saved_model", [_MODEL], "", _BAD | _FILE),
    ("scripts.export_onnx", [_MODEL], "", _BAD | _FOLDER),
    ("scripts.write_default_corpus", [], "", _BAD | _FILE),
    ("scripts.write_default_tasks", [], "", _BAD | _FILE),
    ("scripts.hparam_table", [], "--update", _BAD | _FOLDER),
    (
        "scripts.compare_objectives",
        ["--data-dir", "d", "--probe-dir", "p", "--only-table"],
        "--results",
        _BAD | _FOLDER,
    ),
]
_READ: Sequence[tuple[str, list[str], str, Mapping[str, str]]] = [
    ("run_pretraining", _PRETRAIN, "--hparams", {"a folder": "{here}/folder.json", "nowhere": "{here}/nowhere.json"}),
    ("run_pretraining", _PRETRAIN, "vocab_file=", _BAD_HPARAM | _MISSING),
    ("scripts.build_pretraining_dataset", [*_VOCABULARY, "--output-dir", "{here}/new"], "--corpus-dir",
     _BAD | _MISSING | _FILE),
    ("scripts.build_pretraining_dataset", [*_VOCABULARY, "--output-dir", "{here}/new"], "--corpus-files",
     _BAD | _MISSING),
    ("scripts.build_pretraining_dataset", [*_CORPUS, "--output-dir", "{here}/new"], "--vocab-file",
     _BAD | _MISSING | _FOLDER),
    ("scripts.build_pretraining_dataset", [*_CORPUS, *_VOCABULARY, "--output-dir", "{here}/new"], "--drop-overlap",
     _BAD | _MISSING | _FOLDER),
    ("scripts.create_vocab", ["--vocab-file", "{here}/new"], "--corpus-dir", _BAD | _MISSING | _FILE),
    ("scripts.create_vocab", ["--vocab-file", "{here}/new"], "--corpus-files", _BAD | _MISSING),
    ("scripts.create_vocab", ["--output-dir", "{here}/new"], "--add-special-tokens", _BAD | _MISSING),
    ("scripts.create_vocab", ["--preview"], "--corpus-files", _BAD | _MISSING),
    ("scripts.inspect_corpus", [], "--corpus-dir", _BAD | _MISSING | _FILE),
    ("scripts.inspect_corpus", _CORPUS, "--against", _BAD | _MISSING | _FOLDER),
    ("scripts.inspect_corpus", _CORPUS, "--vocab-file", _BAD | _MISSING),
    ("scripts.convert_qa_dataset", [*_MRQA, "--output", "{here}/new"], "--input", _BAD | _MISSING | _FOLDER),
    ("scripts.analyze_qa", _ANALYZE, "--gold", _BAD | _MISSING | _FOLDER),
    ("scripts.analyze_qa", _ANALYZE, "--predictions", _BAD | _MISSING | _FOLDER),
    ("scripts.analyze_qa", _ANALYZE, "--null-odds", _BAD | _MISSING | _FOLDER),
    ("scripts.analyze_qa", _ANALYZE, "--compare", _BAD | _MISSING | _FOLDER),
    ("scripts.describe_model", [], "", _BAD | _MISSING | _FILE),
    ("scripts.describe_model", ["small"], "--hparams", {"a folder": "{here}/folder.json"}),
    ("scripts.summarize_pretraining", [], "", _BAD | _MISSING | _FILE),
    ("scripts.summarize_finetuning", ["sst"], "SOURCE", _BAD | _MISSING | _FILE),
    ("scripts.hparam_table", [], "--update", _MISSING),
    ("scripts.probe_encoder", ["{here}/corpus"], "", _BAD | _MISSING | _FILE),
    ("scripts.convert_checkpoint", ["{here}/new"], "SOURCE", _BAD | _MISSING),
    ("electra_span.__main__", ["embed", "a text"], "MODEL", _BAD | _MISSING | _FILE),
    ("scripts.probe_encoder", ["{here}/corpus"], "SOURCE", _BAD | _MISSING | _FILE),
    ("scripts.export_onnx", ["{here}/new"], "SOURCE", _BAD | _MISSING | _FILE),
    ("scripts.export_saved_model", ["{here}/new"], "SOURCE", _BAD | _MISSING | _FILE),
    ("run_finetuning", [*_RUN, 'task_names=["sst"]'], "vocab_file=", _BAD_HPARAM | _MISSING),
    ("electra_span.__main__", ["answer", "why", "--context", "a text"], "MODEL", _BAD | _MISSING | _FILE),
    ("electra_span.__main__", ["embed", "{here}/corpus"], "--file", _BAD | _MISSING | _FOLDER),
    ("electra_span.__main__", ["answer", "{here}/corpus", "why"], "--context-file", _BAD | _MISSING | _FOLDER),
    ("electra_span.__main__", ["serve"], "", _BAD | _MISSING | _FILE),
]  # fmt: skip


def _cases() -> Iterator[object]:
    for command, arguments, flag, places in (*_WRITTEN, *_READ):
        for name, place in places.items():
            case = f"{command} {flag} {name}"
            yield pytest.param(command, _with_place(arguments, flag, place), flag.strip("-="), place, id=case)


def _with_place(arguments: Sequence[str], flag: str, place: str) -> list[str]:
    """Returns a command's arguments with a place."""
    if flag.endswith("="):
        return [*arguments, flag + json.dumps(place)]
    if flag == "SOURCE":
        return [place, *arguments]
    if flag == "MODEL":
        return [arguments[0], place, *arguments[1:]]
    return [*arguments, *filter(None, [flag]), place]


@pytest.fixture(scope="module")
def here(tmp_path_factory) -> pathlib.Path:
    """A folder with small files that commands read."""
    folder = tmp_path_factory.mktemp("places")
    (folder / "corpus").mkdir()
    (folder / "corpus" / "a.txt").write_text("good red one\n\nbad two\n", encoding="utf-8")
    (folder / "vocab.txt").write_text("[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\ngood\n", encoding="utf-8")
    (folder / "file.txt").write_text("text\n", encoding="utf-8")
    (folder / "folder.json").mkdir()
    (folder / "loop").symlink_to(folder / "loop")
    answers = [{"text": "good", "answer_start": 0}]
    asked = {"id": "1", "question": "who", "answers": answers, "is_impossible": False}
    gold = {"version": "2.0", "data": [{"title": "t", "paragraphs": [{"context": "good red", "qas": [asked]}]}]}
    (folder / "gold.json").write_text(json.dumps(gold), encoding="utf-8")
    (folder / "answers.json").write_text('{"1": "good"}', encoding="utf-8")
    (folder / "mrqa.jsonl").write_text('{"header": {}}\n', encoding="utf-8")
    return folder


def _names(folder: pathlib.Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


@pytest.mark.parametrize(("command", "arguments", "name", "place"), _cases())
def test_a_place_that_cannot_be_is_one_line_that_names_it_and_nothing_is_written(command, arguments, name, place, here):
    before = _names(here)
    ended = run_command(command, *(argument.replace("{here}", str(here)) for argument in arguments), folder=here)
    assert len(ended.mistake) <= 1000, ended.mistake
    assert ended.mistake.isprintable()
    shown = place.removeprefix("{here}/").split("/")[0][:50]
    is_named = (shown or "''") in ended.mistake.replace(str(here), "")
    assert is_named or (name or "must be a path").replace("_", "-") in ended.mistake.replace("_", "-"), ended.mistake
    assert _names(here) == before


_BUILD = ["scripts.build_pretraining_dataset", *_VOCABULARY]
_LEARN = ["scripts.create_vocab", "--vocab-size", "50"]


@pytest.mark.parametrize(
    "command",
    [
        ["run_pretraining", *_PRETRAIN, "results_txt={here}/x.json"],
        ["run_pretraining", *_PRETRAIN, "results_txt={here}/models/m/config.txt"],
        ["run_pretraining", *_PRETRAIN, "results_txt={here}/models/m/train_log.jsonl"],
        ["run_pretraining", *_PRETRAIN, "results_txt={here}/models/m/discriminator/config.txt"],
        ["run_pretraining", *_PRETRAIN, "results_txt={here}/vocab.txt"],
        ["scripts.inspect_corpus", *_CORPUS, "--html", "{here}/same", "--json", "{here}/same"],
        ["scripts.inspect_corpus", *_CORPUS, "--html", "{here}/corpus/new.html"],
        ["scripts.inspect_corpus", "--corpus-files", "{here}/file.txt", "--json", "{here}/file.txt"],
        ["scripts.inspect_corpus", *_CORPUS, "--against", "{here}/file.txt", "--json", "{here}/file.txt"],
        [*_LEARN, *_CORPUS, "--vocab-file", "{here}/corpus/a.txt"],
        [*_LEARN, *_CORPUS, "--vocab-file", "{here}/corpus/new.txt"],
        [*_LEARN, "--corpus-files", "{here}/file.txt", "--vocab-file", "{here}/file.txt"],
        [*_LEARN, "--corpus-files", "{here}/link.txt", "--vocab-file", "{here}/file.txt"],
        [*_LEARN, "--corpus-files", "{here}/corpus", "--output-dir", "{here}/corpus/new"],
        [*_BUILD, *_CORPUS, "--output-dir", "{here}/corpus/new"],
        [*_BUILD, "--corpus-files", "{here}/corpus", "--output-dir", "{here}/corpus/new"],
        ["scripts.convert_qa_dataset", *_MRQA, "--output", "{here}/mrqa.jsonl"],
        ["scripts.convert_qa_dataset", *_MRQA, "--output", "{here}/same", "--report", "{here}/same"],
        ["scripts.analyze_qa", "--gold", "{here}/gold.json", "--predictions", "{here}/out/summary.json", "--output",
         "{here}/out"],
        ["scripts.export_onnx", "{here}/out", "{here}/out/summary.json"],
    ],
    ids=" ".join,
)  # fmt: skip
def test_what_a_command_writes_is_none_of_its_other_files(command, here, tmp_path):
    folder = tmp_path / "here"
    shutil.copytree(here, folder, symlinks=True)
    (folder / "out").mkdir()
    (folder / "out" / "summary.json").write_text('{"1": "good"}', encoding="utf-8")
    (folder / "link.txt").symlink_to(folder / "file.txt")
    before = _names(folder)
    module, *arguments = (argument.replace("{here}", str(folder)) for argument in command)
    ended = run_command(module, *arguments, folder=folder)
    assert "must not be" in ended.mistake or "must be different files" in ended.mistake
    assert _names(folder) == before
