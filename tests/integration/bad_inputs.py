"""Inputs that must be refused, over all commands: what to run in a prepared folder, and what the refusal must name."""

import dataclasses
import json
import os
import pathlib
import struct
import types
import typing
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from configure_pretraining import PretrainingConfig
from finetune.config import FinetuningConfig

Prepare = Callable[[pathlib.Path], Sequence[str]]

HUGE, LONG_NUMBER, DEEP = 10**30, "9" * 5000, "[" * 100_000
MODEL, GENERATOR = "run/discriminator", "run/generator"


@dataclasses.dataclass(frozen=True)
class BadInput:
    """A command that must end with one line and status 2.

    Attributes:
        name: of the case.
        module: of the command.
        arguments: of its command line; {folder} stands for the prepared folder.
        names: a regular expression that the line must match: the flag, hparam or file that is wrong.
        damage: changes the prepared folder first.
    """

    name: str
    module: str
    arguments: Sequence[str]
    names: str
    damage: Callable[[pathlib.Path], object] = lambda folder: None


def all_bad_inputs() -> Iterator[BadInput]:
    """Yields all cases."""
    yield from _hparams("run_pretraining", PretrainingConfig)
    yield from _hparams("run_finetuning", FinetuningConfig)
    yield from _hparam_texts()
    yield from _impossible_pairs()
    yield from _vocabularies()
    yield from _tokenizer_files()
    yield from _published_files()
    yield from _records()
    yield from _corpora()
    yield from _task_files()
    yield from _question_files()
    yield from _places()
    yield from _flags()
    yield from _rows()
    yield from _summaries()


def _pretrain(**hparams: Any) -> list[str]:
    settings = {"preset": "tiny-test", **hparams} if "preset" in hparams else hparams
    return ["--data-dir", "{folder}/data", "--model-name", "new", "--hparams", "{folder}/tiny.json", *_words(settings)]


def _finetune(task: str = "sst", **hparams: Any) -> list[str]:
    arguments = ["--data-dir", "{folder}/data", "--model-name", "tuned", "--hparams", "{folder}/tuned.json"]
    return [*arguments, *_words({"task_names": [task], **hparams})]


def _words(hparams: Mapping[str, Any]) -> list[str]:
    return [f"{name}={json.dumps(value)}" for name, value in hparams.items()]


def _hparams(module: str, config: type) -> Iterator[BadInput]:
    """Yields values of wrong types, and impossible ones, for every hparam."""
    make = _pretrain if module == "run_pretraining" else _finetune
    for name, declared in typing.get_type_hints(config).items():
        if name in ("model_name", "data_dir"):
            continue
        for kind, value in _bad_values(name, declared).items():
            yield BadInput(f"{module} {name} {kind}", module, make(**{name: value}), name)


def _bad_values(name: str, declared: Any) -> dict[str, Any]:
    """Returns values that no field of a type can have, by what is wrong with them."""
    choices = typing.get_args(declared) if isinstance(declared, types.UnionType) else (declared,)
    kinds = {typing.get_origin(choice) or choice for choice in choices}
    values: dict[str, Any] = {}
    if not kinds & {Mapping}:
        values["object"] = {"a": 1}
    if not kinds & {Sequence}:
        values["list"] = [1]
    if str in kinds and bool not in kinds:
        values |= {"number": 3.5, "null character": "a\0b", "half a character": "a\ud800"}
    if kinds & {int, float} and str not in kinds:
        values |= {"text": "a lot", "boolean": True} if bool not in kinds else {"text": "a lot"}
    if int in kinds and bool not in kinds:
        values |= {"fraction": 1.5} if name in ("word_column", "tag_column") else {"fraction": 1.5, "negative": -5}
        if not name.startswith(("num_tpu", "iterations_per_loop")):
            values["huge"] = HUGE
    if kinds == {bool}:
        values |= {"number": 2, "text": "yes"}
    if float in kinds:
        values["infinite"] = float("inf")
    return values


def _hparam_texts() -> Iterator[BadInput]:
    """Yields texts of --hparams and of words that are no hparams."""
    texts = {
        "nothing": "",
        "no object": "[]",
        "half": '{"seed": 1',
        "long integer": f'{{"seed": {LONG_NUMBER}}}',
        "deep": f'{{"phases": {DEEP}',
        "twice": '{"seed": 1, "seed": 2}',
        "comment": '{"seed": 1} // one',
        "single quotes": "{'seed': 1}",
        "unknown": '{"lerning_rate": 1}',
        "missing file": "nowhere.json",
        "folder": "{folder}/folder.json",
        "binary": "{folder}/binary.json",
    }
    for module in ("run_pretraining", "run_finetuning"):
        for name, text in texts.items():
            arguments = ["--data-dir", "{folder}/data", "--model-name", "new", "--hparams", text]
            yield BadInput(f"{module} --hparams {name}", module, arguments, "hparam|JSON|json|seed")
        for word in ("seed", "=1", f"seed={LONG_NUMBER}", f"seed={DEEP}", "sead=1", "seed=[1", "seed=\ud800"):
            arguments = ["--data-dir", "{folder}/data", "--model-name", "new", word]
            yield BadInput(f"{module} {word[:12]!r}", module, arguments, "key=value|seed|sead|KEY=VALUE")
    schedules = ([], [[]], [[0]], [[0, 0.1, 5]], [[5, 0.1], [0, 0.2]], [[0, 0.1], [0, 0.2]], [[-1, 0.1]], [[0, -1]])
    for name in ("mask_prob", "disc_weight", "temperature"):
        for value in schedules:
            yield BadInput(f"schedule {name} {value}", "run_pretraining", _pretrain(**{name: value}), name)


def _impossible_pairs() -> Iterator[BadInput]:
    """Yields hparams that are impossible, alone or together."""
    together: dict[str, dict[str, Any]] = {
        "replace_probs": {"replace_probs": [0.5, 0.6, 0.1]},
        "phases": {"phases": []},
        "phases ": {"phases": [{"max_seq_length": 8}]},
        "stage_steps": {"stage_steps": [1]},
        "model_hparam_overrides": {"model_hparam_overrides": {"hidden_sise": 3}},
        "hidden_size": {"model_hparam_overrides": {"hidden_size": HUGE}},
        "hidden_act": {"model_hparam_overrides": {"hidden_act": "relu"}},
        "num_attention_heads": {"model_hparam_overrides": {"num_attention_heads": 7}},
        "mask_prob": {"mask_prob": 1.5},
        "preset": {"preset": "electra-giant"},
        "use_tpu": {"use_tpu": True},
        "generator_hidden_size": {"generator_hidden_size": 1e300},
        "generator_layers": {"generator_layers": 1e300},
        "max_seq_length": {"max_seq_length": 100_000},
        "training_mode": {"training_mode": "jiont"},
    }
    for name, hparams in together.items():
        yield BadInput(f"pretraining pair {name}", "run_pretraining", _pretrain(**hparams), name.strip())
    alike: dict[str, dict[str, Any]] = {
        "task_names": {"task_names": []},
        "sstt": {"task_names": ["sstt"]},
        "task_names ": {"task_names": ["sst", "sst"]},
        "task_weights": {"task_weights": {"sst": -1}},
        "task_weights ": {"task_weights": {"sst": "a lot"}},
        "task": {"task_weights": {"cola": 1}},
        "dev_rate": {"dev_rate": 1},
        "encoding": {"encoding": "utf-9"},
        "encoding ": {"encoding": "undefined"},
        "csv_delimiter": {"csv_delimiter": ";;"},
        "csv_delimiter ": {"csv_delimiter": ""},
        "classifier_head": {"classifier_head": "round"},
        "precision": {"precision": "float8"},
    }
    for name, hparams in alike.items():
        yield BadInput(f"finetuning pair {name}", "run_finetuning", _finetune(**hparams), name.strip())


_DAMAGED_JSON: dict[str, bytes] = {
    "empty": b"",
    "half": b'{"model": {',
    "list": b"[]",
    "number": b"7",
    "null": b"null",
    "text": b'"text"',
    "binary": bytes(range(256)),
    "utf-16": '{"a": 1}'.encode("utf-16"),
    "long integer": b'{"vocab_size": ' + LONG_NUMBER.encode() + b"}",
    "deep": DEEP.encode(),
}


def _writes(name: str, content: bytes) -> Callable[[pathlib.Path], object]:
    def damage(folder: pathlib.Path) -> None:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        path.write_bytes(content)

    return damage


def _edits(name: str, **fields: Any) -> Callable[[pathlib.Path], object]:
    def damage(folder: pathlib.Path) -> None:
        path = folder / name
        path.write_text(json.dumps({**json.loads(path.read_text(encoding="utf-8")), **fields}), encoding="utf-8")

    return damage


def _cuts(name: str, num_bytes: int | None = None) -> Callable[[pathlib.Path], object]:
    def damage(folder: pathlib.Path) -> None:
        for path in folder.glob(name):
            content = path.read_bytes()
            path.write_bytes(content[: len(content) // 2 if num_bytes is None else num_bytes])

    return damage


def _vocabularies() -> Iterator[BadInput]:
    """Yields files that are no vocabularies, to every command that reads one."""
    special = b"[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\n"
    contents = {
        "vocab.txt empty": b"",
        "vocab.txt twice": special + b"a\na\n",
        "vocab.txt latin": special + b"\xe9t\xe9\n",
        "vocab.txt utf-16": special.decode().encode("utf-16"),
        "vocab.txt binary": bytes(range(256)),
        "vocab.txt zeros": b"\0" * 100,
        "vocab.txt no mask": b"[PAD]\n[UNK]\n[CLS]\n[SEP]\na\n",
        "vocab.txt json": b'{\n"a": 1,\n"b": 2\n}\n',
        "vocab.txt html": b"<!doctype html>\n<html>\n<html>\n",
        "vocab.txt scores": b"<unk>\t0\n<s>\t0\n</s>\t0\n\xe2\x96\x81a\t-1.5\n",
        "vocab.txt zip": b"PK\x03\x04" + b"\0" * 40,
        "spm.vocab scores": b"<unk>\t0\n<s>\t0\n</s>\t0\n\xe2\x96\x81a\t-1.5\n",
        "spm.model text": b"no model",
        "spm.model empty": b"",
        "vocab.json list": b"[]",
        "vocab.json half": b'{"a": 0',
        "vocab.json text": b'{"a": "b"}',
        "vocab.json holes": b'{"a": 0, "b": 7}',
        "vocab.json long": b'{"a": ' + LONG_NUMBER.encode() + b"}",
        "vocab.json deep": DEEP.encode(),
        "tokenizer.json empty": b"",
        "tokenizer.json list": b"[]",
        "tokenizer.json model": b'{"model": []}',
        "tokenizer.json type": b'{"model": {"type": 7, "vocab": {}}}',
        "merges.txt alone": b"#version: 0.2\na b\n",
    }
    for name, content in contents.items():
        file = name.split()[0]
        damage = _writes(f"vocabulary/{file}", content)
        path = f"{{folder}}/vocabulary/{file}"
        for module, arguments in {
            "scripts.build_pretraining_dataset": [*_BUILD, "--vocab-file", path],
            "run_pretraining": _pretrain(vocab_file=path),
        }.items():
            yield BadInput(f"{module} vocabulary {name}", module, arguments, "vocab|merges|tokenizer|spm", damage)
    module, arguments = "scripts.build_pretraining_dataset", [*_BUILD, "--vocab-file", "{folder}/corpus"]
    yield BadInput(f"{module} vocabulary a folder without one", module, arguments, "corpus")


_BUILD = ["--corpus-dir", "{folder}/corpus", "--output-dir", "{folder}/built", "--max-seq-length", "16"]


def _tokenizer_files() -> Iterator[BadInput]:
    """Yields tokenizer settings of wrong types in a published folder."""
    config = f"{MODEL}/tokenizer_config.json"
    fields: dict[str, Any] = {
        "tokenizer_type": ["a"],
        "tokenizer_type  ": "letters",
        "do_lower_case": "yes",
        "strip_accents": 3,
        "cls_token": 7,
        "mask_token": {"a": 1},
        "pad_token": ["[PAD]"],
        "tokenize_chinese_chars": "no",
    }
    for name, value in fields.items():
        yield BadInput(
            f"tokenizer_config {name}",
            "electra_span.__main__",
            _ASK,
            "token|vocab",
            _edits(config, **{name.strip(): value}),
        )
    for name, content in _DAMAGED_JSON.items():
        yield BadInput(
            f"tokenizer_config.json {name}", "electra_span.__main__", _ASK, "tokenizer", _writes(config, content)
        )


_ASK = ["replaced", f"{{folder}}/{MODEL}", "good red"]
_USES_OF_MODEL: dict[str, list[str]] = {
    "electra_span.__main__": _ASK,
    "scripts.describe_model": [f"{{folder}}/{MODEL}"],
    "scripts.convert_checkpoint": [f"{{folder}}/{MODEL}", "{folder}/converted"],
    "scripts.export_saved_model": [f"{{folder}}/{MODEL}", "{folder}/exported"],
    "scripts.export_onnx": [f"{{folder}}/{MODEL}", "{folder}/exported.onnx"],
}


_CHECKED_BY_WEIGHTS = ("hidden_size", "vocab_size", "num_hidden_layers", "architectures", "max_position_embeddings")


def _published_files() -> Iterator[BadInput]:
    """Yields damaged files of published models, to every command that reads one."""
    config, weights = f"{MODEL}/config.json", f"{MODEL}/model.safetensors"
    fields: dict[str, Any] = {
        "hidden_size": "wide",
        "hidden_size ": 17,
        "hidden_size  ": -3,
        "vocab_size": 3,
        "vocab_size ": HUGE,
        "num_hidden_layers": 1,
        "num_hidden_layers ": 3,
        "num_hidden_layers  ": 10**6,
        "num_attention_heads": 0,
        "num_attention_heads ": None,
        "embedding_size": [8],
        "hidden_act": "relu",
        "architectures": ["BertModel"],
        "architectures ": [],
        "architectures  ": 7,
        "layer_norm_eps": -1,
        "max_position_embeddings": 5,
        "type_vocab_size": 0,
        "hidden_dropout_prob": 2,
    }
    damages = {f"config.json {name}": _edits(config, **{name.strip(): value}) for name, value in fields.items()}
    damages |= {f"config.json {name}": _writes(config, content) for name, content in _DAMAGED_JSON.items()}
    header = json.dumps({"a": {"dtype": "F32", "shape": [HUGE], "data_offsets": [0, 4]}}).encode()
    damages |= {
        "model.safetensors empty": _writes(weights, b""),
        "model.safetensors text": _writes(weights, b"no weights"),
        "model.safetensors half": _cuts(weights),
        "model.safetensors header alone": _cuts(weights, 8),
        "model.safetensors long header": _writes(weights, struct.pack("<Q", 2**63) + b"{}"),
        "model.safetensors huge shape": _writes(weights, struct.pack("<Q", len(header)) + header + b"\0" * 4),
        "model.safetensors zeros": _writes(weights, b"\0" * 100),
        "model.safetensors missing": lambda folder: (folder / weights).unlink(),
        "config.json missing": lambda folder: (folder / config).unlink(),
        "config.json folder": lambda folder: ((folder / config).unlink(), (folder / config).mkdir()),
    }
    for name, damage in damages.items():
        for module, arguments in _USES_OF_MODEL.items():
            needs_weights = name.split()[-1] in _CHECKED_BY_WEIGHTS or "safetensors" in name
            if module == "scripts.describe_model" and needs_weights:
                continue
            if module == "scripts.convert_checkpoint" and name == "config.json missing":  # sizes are the weights'
                continue
            yield BadInput(f"{module} {name}", module, arguments, "config|safetensors|discriminator", damage)


def _records() -> Iterator[BadInput]:
    """Yields damaged records and manifests."""
    first = "data/pretrain_tfrecords/pretrain_data.tfrecord-0-of-3"
    manifest = "data/pretrain_tfrecords/manifest.json"
    damages: dict[str, Callable[[pathlib.Path], object]] = {
        "records cut": _cuts(first),
        "records empty": _cuts(first, 0),
        "records of text": _writes(first, b"text\n" * 99),
        "records cut between two": cut_between_records,
        "records missing": lambda folder: (folder / first).unlink(),
        "records of zeros": _writes(first, b"\0" * 160),
        "all records empty": _cuts("data/pretrain_tfrecords/*-of-3", 0),
        "manifest length": _edits(manifest, max_seq_length=99),
        "manifest text": _edits(manifest, max_seq_length="sixteen"),
        "manifest tokenizer": _edits(manifest, tokenizer=7),
    }
    damages |= {f"manifest {name}": _writes(manifest, content) for name, content in _DAMAGED_JSON.items()}
    for name, damage in damages.items():
        yield BadInput(name, "run_pretraining", _pretrain(), "tfrecord|manifest|record", damage)
    for value in ("", "nowhere/*", "{folder}/corpus/*", "{folder}/corpus"):
        for hparam in ("pretrain_tfrecords", "eval_tfrecords") if value else ("pretrain_tfrecords",):
            yield BadInput(
                f"{hparam} {value!r}", "run_pretraining", _pretrain(**{hparam: value}), "record|corpus|pattern"
            )


def cut_between_records(folder: pathlib.Path) -> None:
    """Cuts a file of records after one of its records, which TensorFlow takes for its end."""
    path = folder / "data/pretrain_tfrecords/pretrain_data.tfrecord-0-of-3"
    content = path.read_bytes()
    (length,) = struct.unpack("<Q", content[:8])
    path.write_bytes(content[: length + 16])


_CONTAINERS: dict[str, bytes] = {
    "zip": b"PK\x03\x04" + b"\0" * 60,
    "docx": b"PK\x03\x04\x14\0\x06\0" + b"\0" * 60,
    "pdf": b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n",
    "7z": b"7z\xbc\xaf\x27\x1c" + b"\0" * 40,
    "rar": b"Rar!\x1a\x07\x01\0" + b"\0" * 40,
    "arrow": b"ARROW1\0\0" + b"\xff" * 40,
    "sqlite": b"SQLite format 3\0" + b"\0" * 40,
    "npy": b"\x93NUMPY\x01\0v\0" + b"\0" * 40,
    "png": b"\x89PNG\r\n\x1a\n" + b"\0" * 40,
}


def _corpora() -> Iterator[BadInput]:
    """Yields corpora that cannot be read, to every command that reads one."""
    files: dict[str, tuple[str, bytes, list[str]]] = {
        "an empty folder": ("empty/nothing/x", b"", []),
        "latin": ("corpus2/a.txt", b"caf\xe9\n" * 50, []),
        "utf-16": ("corpus2/a.txt", "good\n".encode("utf-16") * 9, []),
        "undefined": ("corpus2/a.txt", b"good red\n" * 9, ["--encoding", "undefined"]),
        "encoding": ("corpus2/a.txt", b"good red\n" * 9, ["--encoding", "utf-9"]),
        "no text": ("corpus2/a.txt", b"\n\n \n", []),
        "gz": ("corpus2/a.txt.gz", b"no gzip", []),
        "xz": ("corpus2/a.txt.xz", b"no xz", []),
        "zst": ("corpus2/a.txt.zst", b"no zst", []),
        "tar": ("corpus2/a.tar", b"no tar" * 200, []),
        "parquet": ("corpus2/a.parquet", b"no parquet", []),
        "column": ("corpus2/a.csv", b"a,b\n1,2\n", ["--col-name", "text"]),
        "delimiter": ("corpus2/a.csv", b"text,b\n1,2\n", ["--csv-delimiter", ";;"]),
        "field": ("corpus2/a.jsonl", b'{"a": "b"}\n' * 9, ["--text-field", "text"]),
        "json": ("corpus2/a.jsonl", b'{"text": "a"\n' * 200, []),
        "list": ("corpus2/a.json", b"[1, 2, 3]", []),
        "long integer": ("corpus2/a.jsonl", b'{"text": "a", "n": %s}\n' % LONG_NUMBER.encode(), []),
        "deep": ("corpus2/a.jsonl", b'{"text": "a", "n": ' + DEEP.encode() + b"}\n", []),
        "number": ("corpus2/a.jsonl", b'{"text": 7}\n' * 200, []),
    }
    for kind, content in _CONTAINERS.items():
        files[kind] = (f"corpus2/a.{kind}", content, [])
        files[f"{kind} replaced"] = (f"corpus2/a.{kind}", content, ["--on-bad-text", "replace"])
    for name, (file, content, flags) in files.items():
        source = ["--corpus-dir", "{folder}/" + file.split("/")[0], *flags]
        pattern = file.split("/")[0] + "|corpus|text|encoding|delimiter|column|field"
        for module, arguments in {
            "scripts.create_vocab": ["--vocab-file", "{folder}/new.txt", "--vocab-size", "50"],
            "scripts.build_pretraining_dataset": [*_BUILD[2:], "--vocab-file", "{folder}/data/vocab.txt"],
            "scripts.inspect_corpus": ["--json", "{folder}/new.json"],
        }.items():
            yield BadInput(f"{module} corpus {name}", module, [*source, *arguments], pattern, _writes(file, content))


def _task_files() -> Iterator[BadInput]:
    """Yields tables and tagged files that are not what a task needs."""
    header, rows = b"text,label\n", b"good one,a\nbad two,b\n" * 9
    tables: dict[str, tuple[bytes, dict[str, Any]]] = {
        "empty": (b"", {}),
        "header alone": (header, {}),
        "no label column": (b"text,kind\ngood,a\n", {}),
        "no text column": (b"title,label\ngood,a\n", {}),
        "one label": (header + b"good,a\n" * 20, {}),
        "latin": (header + b"caf\xe9,a\n" * 20, {}),
        "utf-16": ((header + rows).decode().encode("utf-16"), {}),
        "scores": (header + rows, {"is_regression": True}),
        "binary": (bytes(range(256)) * 9, {}),
        "zip": (b"PK\x03\x04" + b"\0" * 60, {}),
        "column twice": (b"text,label,text\na,b,c\n" * 9, {}),
        "many bad rows": (header + b"a,b,c,d\n" * 50, {}),
        "pair column": (header + rows, {"text_pair_column": "other"}),
    }
    for name, (content, hparams) in tables.items():
        task = "csv:{folder}/table.csv"
        pattern = "table|label|text|column"
        yield BadInput(
            f"csv {name}", "run_finetuning", _finetune(task, **hparams), pattern, _writes("table.csv", content)
        )
    tagged: dict[str, tuple[bytes, dict[str, Any]]] = {
        "empty": (b"", {}),
        "one column": (b"good\nbad\n\n" * 9, {}),
        "latin": (b"caf\xe9 O\n\n" * 9, {}),
        "word column": (b"good B-A\nbad O\n\n" * 9, {"word_column": 7}),
        "tag column": (b"good B-A\nbad O\n\n" * 9, {"tag_column": 7}),
        "binary": (bytes(range(256)) * 9, {}),
    }
    for name, (content, hparams) in tagged.items():
        task = "tag:{folder}/tags.txt"
        pattern = r"tags\.txt|column"
        yield BadInput(
            f"tag {name}", "run_finetuning", _finetune(task, **hparams), pattern, _writes("tags.txt", content)
        )
    for file in ("train.tsv", "dev.tsv"):
        for name, content in {"empty": b"", "header": b"sentence\tlabel\n", "binary": bytes(range(256)) * 9}.items():
            path = f"data/finetuning_data/sst/{file}"
            yield BadInput(f"sst {file} {name}", "run_finetuning", _finetune(), file, _writes(path, content))
    for task in (
        "csv:{folder}/nowhere.csv",
        "tag:{folder}/nowhere.txt",
        "qa:{folder}/nowhere.json",
        "cola",
        "csv:",
        "csv:{folder}/corpus",
        "qa:{folder}/corpus",
        "tag:{folder}/corpus",
        "xyz:{folder}/corpus",
        "csv:\0",
    ):
        yield BadInput(f"task {task!r}", "run_finetuning", _finetune(task), "nowhere|cola|csv|corpus|xyz|task")


def _squad(**question: Any) -> dict[str, Any]:
    answers = [{"text": "good", "answer_start": 0}]
    complete = {"id": "1", "question": "who", "answers": answers, "is_impossible": False, **question}
    return {"data": [{"title": "t", "paragraphs": [{"context": "good red one", "qas": [complete] * 1}]}]}


def _question_files() -> Iterator[BadInput]:
    """Yields question and prediction files that cannot be used."""
    contents: dict[str, bytes] = {name: content for name, content in _DAMAGED_JSON.items() if name != "null"}
    wrong: dict[str, Any] = {
        "data a number": {"data": 7},
        "no articles": {"data": []},
        "paragraphs a text": {"data": [{"paragraphs": "a"}]},
        "context a number": {"data": [{"paragraphs": [{"context": [1], "qas": []}]}]},
        "no question": _squad(question=None),
        "answers a number": _squad(answers=7),
        "start a list": _squad(answers=[{"text": "good", "answer_start": [0]}]),
        "answer a number": _squad(answers=[{"text": [7], "answer_start": 0}]),
        "id a list": _squad(id=[1]),
    }
    contents |= {name: json.dumps(value).encode() for name, value in wrong.items()}
    for name, content in contents.items():
        damage = _writes("questions.json", content)
        tune = _finetune("qa:{folder}/questions.json", max_bad_rows=0, max_bad_rate=0)
        yield BadInput(f"qa {name}", "run_finetuning", tune, "questions", damage)
        analyze = ["--gold", "{folder}/questions.json", "--predictions", "{folder}/predictions.json"]
        analyze += ["--output", "{folder}/analysis", "--max-bad-rows", "0", "--max-bad-rate", "0"]
        yield BadInput(f"analyze gold {name}", "scripts.analyze_qa", analyze, "questions", damage)
    for name, content in _DAMAGED_JSON.items():
        damage = _writes("predictions2.json", content)
        for flag in ("--predictions", "--null-odds", "--compare"):
            analyze = ["--gold", "{folder}/good_questions.json", "--output", "{folder}/analysis"]
            analyze += ["--predictions", "{folder}/predictions.json"] if flag != "--predictions" else []
            arguments = [*analyze, flag, "{folder}/predictions2.json"]
            yield BadInput(f"analyze {flag} {name}", "scripts.analyze_qa", arguments, "predictions2", damage)
    for source in ("mrqa", "quac", "newsqa"):
        for name, content in _DAMAGED_JSON.items():
            if source == "newsqa" and name in ("deep", "long integer"):
                continue  # a table, whose header is not as it should be: tested by the others
            convert = ["--from", source, "--input", "{folder}/source", "--output", "{folder}/squad.json"]
            damage = _writes("source", content)
            yield BadInput(f"convert {source} {name}", "scripts.convert_qa_dataset", convert, "source", damage)


def _places() -> Iterator[BadInput]:
    """Yields places that cannot be written to, for every flag and hparam that names one."""
    places = {
        "below a file": "{folder}/data/vocab.txt/x",
        "a loop": "{folder}/loop",
        "too long": "{folder}/" + "x" * 300,
        "too long below": "{folder}/new/" + "x" * 300,
        "empty": "",
        "a null character": "{folder}/a\0b",
    }
    of_files = {**places, "a folder": "{folder}/corpus"}
    of_folders = {**places, "a file": "{folder}/data/vocab.txt"}
    corpus = ["--corpus-dir", "{folder}/corpus"]
    answers = ["--gold", "{folder}/good_questions.json", "--predictions", "{folder}/predictions.json"]
    squad = ["--from", "mrqa", "--input", "{folder}/source"]
    files: dict[str, tuple[str, list[str]]] = {
        "--vocab-file": ("scripts.create_vocab", [*corpus, "--vocab-size", "50"]),
        "--html": ("scripts.inspect_corpus", corpus),
        "--json": ("scripts.inspect_corpus", corpus),
        "--output": ("scripts.convert_qa_dataset", squad),
    }
    folders: dict[str, tuple[str, list[str]]] = {
        "--output-dir": ("scripts.build_pretraining_dataset", [*corpus, "--vocab-file", "{folder}/data/vocab.txt"]),
        "--output-dir ": ("scripts.create_vocab", [*corpus, "--vocab-size", "50"]),
        "--output": ("scripts.analyze_qa", answers),
    }
    for flags, kinds in ((files, of_files), (folders, of_folders)):
        for flag, (module, arguments) in flags.items():
            for name, place in kinds.items():
                pattern = f"{flag.strip()}|{flag.strip()[2:].replace('-', '_')}"
                yield BadInput(f"{module} {flag}{name}", module, [*arguments, flag.strip(), place], pattern)
    targets = {
        "scripts.convert_checkpoint": of_folders,
        "scripts.export_saved_model": of_folders,
        "scripts.export_onnx": of_files,
        "scripts.write_default_corpus": of_folders,
        "scripts.write_default_tasks": of_folders,
    }
    for module, kinds in targets.items():
        source = [f"{{folder}}/{MODEL}"] if "default" not in module else []
        for name, place in kinds.items():
            yield BadInput(f"{module} target {name}", module, [*source, place], "(?i)target|out|folder|file|path|new")
    for name, place in of_folders.items():
        for module, make in (("run_pretraining", _pretrain), ("run_finetuning", _finetune)):
            yield BadInput(f"{module} model_dir {name}", module, make(model_dir=place), "model_dir")
    for name, place in of_files.items():
        yield BadInput(f"results_txt {name}", "run_pretraining", _pretrain(results_txt=place), "results")


def _flags() -> Iterator[BadInput]:
    """Yields values of flags that are impossible."""
    build = [*_BUILD, "--vocab-file", "{folder}/data/vocab.txt"]
    vocabulary = ["--corpus-dir", "{folder}/corpus", "--vocab-file", "{folder}/new.txt"]
    inspect = ["--corpus-dir", "{folder}/corpus", "--json", "{folder}/new.json"]
    flags: dict[str, tuple[list[str], dict[str, list[str]]]] = {
        "scripts.build_pretraining_dataset": (
            build,
            {
                "--max-seq-length": ["0", "2", "-5", "x", "1000000000000", LONG_NUMBER],
                "--num-out-files": ["0", "-1", "1000000000", "x"],
                "--num-processes": ["0", "-1", "1000000000"],
                "--seed": ["-1", "x", str(HUGE)],
                "--format": ["lines"],
                "--duplicate-threshold": ["2", "-1", "nan"],
                "--max-bad-rate": ["2", "-1", "nan"],
                "--blanks-separate-docs": ["perhaps"],
                "--beam-options": ["x"],
                "--drop-overlap": ["{folder}/nowhere", "{folder}/corpus"],
            },
        ),
        "scripts.create_vocab": (
            vocabulary,
            {
                "--vocab-size": ["0", "-1", "x", "3", str(HUGE)],
                "--max-sentences": ["0", "-1", "x"],
                "--min-frequency": ["-1", "x"],
                "--character-coverage": ["2", "-1", "nan"],
                "--tokenizer-type": ["letters"],
            },
        ),
        "scripts.inspect_corpus": (
            inspect,
            {
                "--num-processes": ["0", "-1"],
                "--max-seq-length": ["0", "-1", "1000000000000"],
                "--against": ["{folder}/nowhere"],
                "--duplicate-threshold": ["nan", "5"],
            },
        ),
        "scripts.export_saved_model": (
            [f"{{folder}}/{MODEL}", "{folder}/exported"],
            {
                "--num-answers": ["0", "-1", "x", str(HUGE)],
                "--num-candidates": ["0", str(HUGE)],
                "--no-answer-threshold": ["nan", "x"],
            },
        ),
    }
    for module, (arguments, values) in flags.items():
        for flag, wrong in values.items():
            for value in wrong:
                name = f"{module} {flag} {value[:12]}"
                yield BadInput(
                    name, module, [*arguments, flag, value], f"{flag[2:].replace('-', '[-_]')}|nowhere|corpus"
                )


def _rows() -> Iterator[BadInput]:
    """Yields files of rows to ask a model about that cannot be read."""
    contents: dict[str, bytes] = {
        **{name: content for name, content in _DAMAGED_JSON.items() if name not in ("empty",)},
        "no text": b'{"title": "a"}\n',
        "text a number": b'{"text": 7}\n',
        "text a list": b'{"text": ["a"]}\n',
    }
    for name, content in contents.items():
        for command in ("replaced", "answer") if name in ("binary", "utf-16") else ("answer",):
            arguments = [command, f"{{folder}}/{MODEL}", "--file", "{folder}/rows.jsonl"]
            yield BadInput(
                f"{command} rows {name}", "electra_span.__main__", arguments, "rows", _writes("rows.jsonl", content)
            )
    for command in ("classify", "tag", "answer", "fill-mask"):
        yield BadInput(
            f"{command} by a discriminator", "electra_span.__main__", [command, f"{{folder}}/{MODEL}", "a"], ""
        )


def _summaries() -> Iterator[BadInput]:
    """Yields damaged files of runs, to the commands that summarize them."""
    for file in ("config.json", "results/unsup_results.json"):
        for name, content in _DAMAGED_JSON.items():
            yield BadInput(
                f"summarize {file} {name}",
                "scripts.summarize_pretraining",
                ["{folder}/run"],
                file,
                _writes(f"run/{file}", content),
            )
    for place in ("nowhere", "corpus", "data/vocab.txt"):
        for module in ("scripts.summarize_pretraining", "scripts.describe_model"):
            yield BadInput(f"{module} {place}", module, [f"{{folder}}/{place}"], place)
        yield BadInput(
            f"summarize_finetuning {place}", "scripts.summarize_finetuning", [f"{{folder}}/{place}", "sst"], place
        )


def fill_in(arguments: Sequence[str], folder: pathlib.Path) -> list[str]:
    """Returns arguments with the folder in place of its mark."""
    return [argument.replace("{folder}", os.fspath(folder)) for argument in arguments]
