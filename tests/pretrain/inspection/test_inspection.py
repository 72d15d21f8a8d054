import json
import random
import sys
from collections import Counter

import numpy as np
import pytest

from pretrain.builder import build
from pretrain.builder.build import build_dataset, plan_corpus
from pretrain.builder.settings import BuildSettings
from pretrain.dataset.packing import Packing
from pretrain.inspection.inspection import InspectionSettings, inspect_corpus
from pretrain.quality.settings import QualityError
from pretrain.quality.words import script_counts
from pretrain.sources.corpus import CorpusError, corpus_files

WORDS = ("the", "a", "cat", "dog", "house", "tree", "sees", "finds", "near", "under", "old", "small")
REPEATED = "this is a line of more than ten words that comes again"
LONGEST = "so this line has very many words " * 20
STRANGE = "xq9#zj~~kq{w}^^vz|qj0x"
FOREIGN = "Ж%ф§ъ¶щ¿Я¬ю×ё÷э±ы¤ь¦"
CONTEXT = "one two three four five six seven eight nine ten eleven twelve thirteen"


def _sentence(draws, num_words=12):
    return " ".join(draws.choices(WORDS, k=num_words))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A corpus of 30 files of 5 documents, with things planted in it, and an evaluation file beside it."""
    folder = tmp_path_factory.mktemp("inspected")
    (folder / "corpus").mkdir()
    draws = random.Random(0)
    for number in range(30):
        documents = [[_sentence(draws) for _ in range(4)] for _ in range(5)]
        documents[4].append(REPEATED)
        planted = {3: LONGEST, 7: STRANGE, 11: FOREIGN, 13: f"So: {CONTEXT.upper()}, and more"}
        if number in planted:
            documents[0].append(planted[number])
        if number in (17, 23):
            documents[1] = [" ".join(f"{word}{place}" for place in range(60)) for word in ("red", "blue")]
        if number == 23:
            documents[1][0] += " at last"
        text = "\n\n".join("\n".join(lines) for lines in documents)
        (folder / "corpus" / f"{number:02}.txt").write_text(text, encoding="utf-8")
    (folder / "dev.json").write_text(json.dumps({"data": [{"context": CONTEXT, "id": "7"}]}), encoding="utf-8")
    return folder


@pytest.fixture(scope="module", autouse=True)
def _small_tasks():
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr(build, "_MIN_TASK_BYTES", 2_000)
        yield


def _inspected(folder, **settings):
    settings = InspectionSettings(**settings)
    files = corpus_files(folder)
    read = {"blanks_separate_docs": settings.blanks_separate_docs, "source_settings": settings.source_settings}
    return inspect_corpus(files, plan_corpus(files, **read), settings)


@pytest.fixture(scope="module")
def report(folder):
    return _inspected(folder / "corpus", against=(folder / "dev.json",))


def test_documents_lines_words_and_characters_are_those_of_the_text(folder, report):
    texts = [path.read_text(encoding="utf-8") for path in (folder / "corpus").iterdir()]
    lines = [line.strip() for text in texts for line in text.split("\n") if line]
    assert report["text"]["documents"] == 150
    assert report["text"]["lines"] == len(lines) == sum(report["text"]["lines_by_characters"].values())
    assert report["text"]["characters"] == sum(map(len, lines))
    assert report["text"]["different_characters"] == len(set("".join(lines)))
    assert sum(report["text"]["documents_by_words"].values()) == 150
    assert report["text"]["lines_by_characters"]["512 to 1023"] == 1
    assert report["corpus"]["files"] == report["corpus"]["sources"]["text"]["num_files"] == 30
    assert report["tokens"] is None


def test_planted_lines_are_the_strangest_and_the_longest(report):
    strangest = {line["text"]: line["file"] for line in report["strangest_lines"][:2]}
    assert strangest.keys() == {STRANGE, FOREIGN}
    assert strangest[FOREIGN] == "11.txt"
    assert report["longest_lines"][0]["characters"] == len(LONGEST.strip())
    assert report["longest_lines"][0]["text"] == f"{LONGEST[:239]}…"


def test_planted_repetitions_are_found(report):
    found = report["repetitions"]
    assert found["near_duplicate_documents"] == 1
    assert found["alike_documents"] == 0
    (group,) = found["groups"]
    assert group["original"]["file"] == "17.txt"
    assert group["duplicate"]["file"] == "23.txt"
    assert group["original"]["text"].startswith("red0 red1 ")
    assert 0.8 <= group["similarity"] < 1
    assert (found["most_repeated_lines"][0]["times"], found["most_repeated_lines"][0]["text"]) == (30, REPEATED)
    assert found["repeated_lines"] == found["repeated_long_lines"] == 29 + 1


def test_planted_contamination_is_found(folder, report):
    overlap = report["overlap"]
    (file,) = overlap["files"]
    assert file == {"file": str(folder / "dev.json"), "texts": 1, "texts_too_short": 1, "texts_shared": 1}
    assert overlap["contaminated_documents"] == 1
    assert overlap["examples"] == [{"document": 13 * 5 + 1, "shared": CONTEXT}]


def test_report_does_not_depend_on_the_number_of_processes(folder, report):
    again = _inspected(folder / "corpus", against=(folder / "dev.json",), num_processes=2)
    assert json.dumps(again) == json.dumps(report)


@pytest.mark.parametrize("packing", [Packing(24), Packing(16, "sentences", "keep"), Packing(20, "rows")])
def test_tokens_and_fill_are_those_of_a_build(folder, letter_vocab, tmp_path, packing):
    tokens = _inspected(folder / "corpus", vocab_file=letter_vocab, packing=packing, seed=5)["tokens"]
    manifest = build_dataset(
        BuildSettings(
            corpus_dir=folder / "corpus",
            vocab_file=letter_vocab,
            output_dir=tmp_path / "records",
            num_out_files=1,
            seed=5,
            **packing._asdict(),
        )
    )
    names = ("num_examples", "tokens_in", "tokens_out", "unknown_tokens", "dropped", "fill", "format")
    assert {name: tokens[name] for name in names} == {name: manifest[name] for name in names}
    assert sum(tokens["examples_by_fill"].values()) == manifest["num_examples"]
    assert tokens["unknown_rate"] == manifest["unknown_tokens"] / manifest["tokens_in"] > 0
    assert tokens["tokens_a_word"] > 2


def test_large_tasks_are_read_in_batches_with_the_same_findings(folder, report, monkeypatch):
    monkeypatch.setattr("pretrain.sources.corpus._BATCH_CHARACTERS", 300)
    again = _inspected(folder / "corpus", against=(folder / "dev.json",))
    assert again == report


def test_characters_are_counted_by_script():
    text = "Abc ß; γδ, я 你好 ひカ 12 ½ + \u0301 한 \ue000"
    counts = script_counts(Counter(map(ord, text)))
    expected = {"blanks": text.count(" "), "Latin": 4, "Greek": 2, "Cyrillic": 1, "Han": 2, "Hiragana": 1}
    expected |= {"Katakana": 1, "Hangul": 1, "punctuation": 2, "digits and numbers": 3, "symbols": 1}
    expected |= {"marks of many scripts": 1, "control characters and unassigned ones": 1}
    assert counts == expected
    assert sum(counts.values()) == len(text)
    assert list(counts.values()) == sorted(counts.values(), reverse=True)


def test_corpus_without_text_is_an_error(tmp_path):
    (tmp_path / "blank.txt").write_text("\n \n", encoding="utf-8")
    with pytest.raises(CorpusError, match="must hold text"):
        _inspected(tmp_path)


def test_wikipedia_against_squad(shared_data, monkeypatch):
    monkeypatch.setattr(build, "_MIN_TASK_BYTES", 1 << 20)
    files = [shared_data / "corpus" / "enwiki" / f"wiki_{number}" for number in (21, 27)]
    settings = InspectionSettings(against=(shared_data / "squad-v1.1" / "dev.json",))
    read = {"blanks_separate_docs": True, "source_settings": settings.source_settings}
    report = inspect_corpus(files, plan_corpus(files, **read), settings)
    assert report["overlap"]["files"][0]["texts"] > 11_000
    assert report["text"]["words"] > 280_000
    assert report["scripts"]["Latin"] > 0.7 * report["text"]["characters"]
    assert report["repetitions"]["most_repeated_lines"][0]["times"] > 30
    total = np.sum(list(report["scripts"].values()))
    assert total == report["text"]["characters"]


@pytest.mark.parametrize(("module", "package"), [("datasketch", "datasketch"), ("fontTools.unicodedata", "fonttools")])
def test_missing_package_is_an_error_with_the_remedy(folder, monkeypatch, module, package):
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(QualityError, match=rf"install {package}: pip install 'electra-span\[inspect\]'"):
        _inspected(folder / "corpus")


def test_settings_are_checked():
    with pytest.raises(QualityError, match=r"duplicate_threshold must be from 0\.3 to 0\.95\. Received: 1\.0"):
        InspectionSettings(duplicate_threshold=1.0)
