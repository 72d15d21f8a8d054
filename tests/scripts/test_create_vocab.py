import pathlib
import subprocess
import sys

import pytest

from electra_span.config import UserError
from electra_span.tokenization import load_tokenizer
from pretrain.sources.corpus import CorpusError
from scripts import create_vocab
from tests.in_process import run_command

SCRIPT = pathlib.Path(create_vocab.__file__)
TEXT = """<doc id="1" url="https://example.org/1" title="Lighthouse">
Lighthouse

The lighthouse keeper lit the lamp, and the lamp lit the sea.
A keeper keeps what a café's keeper kept.
</doc>
"""


@pytest.fixture
def corpus(tmp_path):
    folder = tmp_path / "corpus"
    (folder / "AA").mkdir(parents=True)
    (folder / "AA" / "wiki_00").write_text(TEXT * 3, encoding="utf-8")
    (folder / "wiki_01").write_text(TEXT, encoding="utf-8")
    return folder


def _run(*arguments):
    return subprocess.run([sys.executable, SCRIPT, *map(str, arguments)], capture_output=True, text=True)


def _main(*arguments):
    create_vocab.main(create_vocab.make_parser().parse_args(list(map(str, arguments))))


def test_the_command_writes_a_vocabulary_that_fits_its_corpus(tmp_path, corpus):
    vocab_file = tmp_path / "made" / "vocab.txt"
    result = _run("--corpus-dir", corpus, "--vocab-file", vocab_file, "--vocab-size", 200)
    assert result.returncode == 0, result.stderr
    tokenizer = load_tokenizer(vocab_file)
    assert tokenizer.vocabulary[:5] == ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
    assert 70 < tokenizer.vocab_size <= 200
    assert "keeper" in tokenizer.vocabulary
    assert "https" not in tokenizer.vocabulary
    assert tokenizer.unk_id not in tokenizer.encode_flat(TEXT.splitlines()[2:5]).ids
    assert list(vocab_file.parent.iterdir()) == [vocab_file]
    assert "8 lines in 2 files" in result.stderr
    assert f"{tokenizer.vocab_size} tokens; 200 were asked for" in result.stderr
    assert "0.0000% of the tokens" in result.stderr


def test_help_does_not_wait_for_tensorflow():
    program = f"""
import runpy, sys
sys.argv = ["create_vocab.py", "--help"]
try:
    runpy.run_path({str(SCRIPT)!r}, run_name="__main__")
finally:
    assert "tensorflow" not in sys.modules
"""
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=SCRIPT.parents[1])
    assert result.returncode == 0, result.stderr
    assert "--no-strip-accents" in result.stdout


def test_text_that_is_not_utf8_ends_the_command_with_file_and_byte(tmp_path, corpus):
    (corpus / "wiki_02").write_bytes(b"fine\nna\xefve\n")
    result = _run("--corpus-dir", corpus, "--vocab-file", tmp_path / "vocab.txt")
    assert result.returncode == 2
    assert "wiki_02" in result.stderr
    assert "byte 7" in result.stderr
    assert "Traceback" not in result.stderr
    assert not (tmp_path / "vocab.txt").exists()


def test_another_vocabulary_is_only_replaced_when_told_to(tmp_path, corpus):
    vocab_file = tmp_path / "vocab.txt"
    arguments = ("--corpus-dir", corpus, "--vocab-file", vocab_file, "--vocab-size")
    _main(*arguments, 70)
    first = vocab_file.read_bytes()
    _main(*arguments, 70)
    assert vocab_file.read_bytes() == first
    with pytest.raises(create_vocab.OutputError, match="--overwrite"):
        _main(*arguments, 60)
    assert vocab_file.read_bytes() == first
    _main(*arguments, 60, "--overwrite")
    assert load_tokenizer(vocab_file).vocab_size == 60


@pytest.mark.parametrize(
    ("flags", "do_lower_case", "do_strip_accents"),
    [
        ([], True, True),
        (["--do-lower-case=false"], False, True),
        (["--no-lower-case"], False, True),
        (["--do-lower-case", "--no-strip-accents"], True, False),
        (["--do-strip-accents", "no"], True, False),
        (["--lowercase", "false", "--strip-accents"], False, True),
        (["--tokenizer-type", "bpe"], False, False),
        (["--tokenizer-type", "bpe", "--lowercase"], True, False),
    ],
)
def test_switches_are_off_when_they_say_so(flags, do_lower_case, do_strip_accents):
    arguments = create_vocab.make_parser().parse_args(["--corpus-dir", "a", "--vocab-file", "b", *flags])
    options = create_vocab.training_options(arguments)
    assert (options["do_lower_case"], options["do_strip_accents"]) == (do_lower_case, do_strip_accents)


@pytest.mark.parametrize(
    ("flags", "characters"), [([], {"e"}), (["--no-strip-accents"], {"e", "é"}), (["--no-lower-case"], {"e", "é", "T"})]
)
def test_switches_decide_about_the_vocabulary(tmp_path, corpus, flags, characters):
    _main("--corpus-dir", corpus, "--vocab-file", tmp_path / "vocab.txt", "--vocab-size", 200, *flags)
    tokens = set((tmp_path / "vocab.txt").read_text(encoding="utf-8").split("\n"))
    assert {"e", "é", "T"} & tokens == characters


@pytest.mark.parametrize("place", [".", "corpus/vocab.txt"])
def test_the_vocabulary_goes_neither_over_a_folder_nor_into_the_corpus(tmp_path, corpus, place):
    with pytest.raises(UserError, match=r"--vocab-file.* (is a folder; a file is needed|must not be in the corpus)"):
        _main("--corpus-dir", corpus, "--vocab-file", tmp_path / place)


def test_an_empty_corpus_is_refused(tmp_path):
    (tmp_path / "corpus").mkdir()
    result = _run("--corpus-dir", tmp_path / "corpus", "--vocab-file", tmp_path / "vocab.txt")
    assert result.returncode == 2
    assert result.stderr.startswith("error: ")
    assert len(result.stderr.splitlines()) == 1


def test_missing_special_tokens_are_added_and_named(tmp_path, shared_data):
    result = _run(
        "--add-special-tokens", shared_data / "tokenizers" / "gpt2_bpe", "--output-dir", tmp_path / "made" / "gpt2"
    )
    assert result.returncode == 0, result.stderr
    assert "added [PAD] as 50257, [UNK] as 50258, [CLS] as 50259, [SEP] as 50260, [MASK] as 50261" in result.stderr
    tokenizer = load_tokenizer(tmp_path / "made" / "gpt2")
    assert tokenizer.encode(["Hello world"]) == [[15496, 995]]
    assert (tokenizer.vocab_size, tokenizer.mask_id) == (50262, 50261)


def test_special_tokens_are_added_to_word_pieces_once(tmp_path):
    vocab_file = tmp_path / "words.txt"
    vocab_file.write_text("[UNK]\ncat\n[CLS]\n", encoding="utf-8")
    _main("--add-special-tokens", vocab_file, "--output-dir", tmp_path / "made", "--no-lower-case")
    tokenizer = load_tokenizer(tmp_path / "made")
    assert tokenizer.vocabulary == ("[UNK]", "cat", "[CLS]", "[PAD]", "[SEP]", "[MASK]")
    assert tokenizer.settings["do_lower_case"] is False
    before = {path: path.read_bytes() for path in (tmp_path / "made").iterdir()}
    _main("--add-special-tokens", tmp_path / "made", "--output-dir", tmp_path / "made")
    assert {path: path.read_bytes() for path in (tmp_path / "made").iterdir()} == before
    vocab_file.write_text("[UNK]\ndog\n", encoding="utf-8")
    with pytest.raises(create_vocab.OutputError, match="--overwrite"):
        _main("--add-special-tokens", vocab_file, "--output-dir", tmp_path / "made")
    assert {path: path.read_bytes() for path in (tmp_path / "made").iterdir()} == before


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--add-special-tokens", "a"], "--add-special-tokens needs --output-dir"),
        (["--add-special-tokens", "a", "--output-dir", "b", "--corpus-dir", "c"], "has no use for --corpus-dir"),
        (["--corpus-dir", "a", "--vocab-file", "b", "--output-dir", "c"], "one of them"),
        (["--vocab-file", "a"], "learning needs --corpus-dir"),
        (["--corpus-dir", "a"], "learning needs --vocab-file or --output-dir"),
        (["--preview"], "--preview needs --corpus-dir"),
    ],
)
def test_flags_that_do_not_go_together_are_refused(flags, message):
    with pytest.raises(create_vocab.OutputError, match=message):
        _main(*flags)


KINDS = ["wordpiece", "bpe", "sentencepiece-unigram", "sentencepiece-bpe"]
FILES = {
    "wordpiece": {"vocab.txt", "tokenizer.json", "tokenizer_config.json"},
    "bpe": {"vocab.json", "merges.txt", "tokenizer.json", "tokenizer_config.json"},
    "sentencepiece": {"spiece.model", "tokenizer.json", "tokenizer_config.json"},
}


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_tokenizer_is_written_whole_and_fits_its_corpus(tmp_path, corpus, kind):
    flags = ("--corpus-dir", corpus, "--output-dir", tmp_path / "made", "--tokenizer-type", kind, "--vocab-size", 300)
    _main(*flags, "--special-tokens", "<s>", "<pad>", "</s>", "<unk>", "<mask>", "<eod>")
    assert {path.name for path in (tmp_path / "made").iterdir()} == FILES[kind.split("-")[0]]
    tokenizer = load_tokenizer(tmp_path / "made")
    assert tokenizer.vocabulary[:6] == ("<s>", "<pad>", "</s>", "<unk>", "<mask>", "<eod>")
    assert 20 < tokenizer.vocab_size <= 300
    assert tokenizer.unk_id not in tokenizer.encode_flat(TEXT.splitlines()[2:5]).ids
    before = tokenizer.fingerprint
    _main(*flags, "--special-tokens", "<s>", "<pad>", "</s>", "<unk>", "<mask>", "<eod>")
    assert load_tokenizer(tmp_path / "made").fingerprint == before
    with pytest.raises(create_vocab.OutputError, match="--overwrite"):
        _main(*flags)
    assert load_tokenizer(tmp_path / "made").fingerprint == before


@pytest.mark.parametrize(
    ("kind", "flags", "message"),
    [
        ("bpe", ["--character-coverage", "0.99"], "bpe has no --character-coverage; it has --min-frequency"),
        ("sentencepiece-bpe", ["--min-frequency", "3"], "has no --min-frequency; it has --character-coverage"),
        ("sentencepiece-unigram", ["--strip-accents"], "has no --do-strip-accents"),
    ],
)
def test_an_option_that_a_kind_of_tokenizer_does_not_have_is_refused(tmp_path, corpus, kind, flags, message):
    with pytest.raises(create_vocab.OptionError, match=message):
        _main("--corpus-dir", corpus, "--output-dir", tmp_path / "made", "--tokenizer-type", kind, *flags)


@pytest.mark.parametrize(
    ("flag", "value"),
    [
        ("--max-sentences", "0"),
        ("--vocab-size", "1" + "0" * 30),
        ("--min-frequency", "9" * 5000),
        ("--character-coverage", "nan"),
    ],
)
def test_numbers_that_cannot_be_are_refused_by_their_flags(tmp_path, corpus, flag, value):
    given = ("--corpus-dir", corpus, "--vocab-file", tmp_path / "vocab.txt", flag, value)
    assert f"argument {flag}: must be a " in run_command("scripts.create_vocab", *given).mistake


def test_only_word_pieces_go_into_one_vocabulary_file(tmp_path, corpus):
    with pytest.raises(create_vocab.OptionError, match="bpe has no --vocab-file; name an --output-dir"):
        _main("--corpus-dir", corpus, "--vocab-file", tmp_path / "vocab.txt", "--tokenizer-type", "bpe")


def test_a_sample_is_what_is_learned_from(tmp_path, corpus):
    result = _run("--corpus-dir", corpus, "--output-dir", tmp_path / "made", "--max-sentences", 4, "--vocab-size", 60)
    assert result.returncode == 0, result.stderr
    assert "8 lines in 2 files, 4 lines used" in result.stderr


def test_a_vocabulary_is_learned_from_the_column_of_a_table(tmp_path):
    table, vocab_file = tmp_path / "a.csv", tmp_path / "vocab.txt"
    table.write_bytes(b"id,tweet\r\n" + b'x,"a ""bird""\r\nsings"\r\n' * 20)
    _main("--corpus-files", tmp_path / "*.csv", "--col-name", "tweet", "--vocab-file", vocab_file, "--vocab-size", 60)
    tokens = vocab_file.read_text(encoding="utf-8").split("\n")
    assert {"bird", "sings"} <= set(tokens)
    assert "x" not in tokens


def test_a_preview_shows_how_the_flags_have_the_text_read_and_learns_nothing(tmp_path, capsys):
    (tmp_path / "a.csv").write_text("id;text\n1;Käse\n", encoding="latin-1")
    flags = ("--preview", "--corpus-files", tmp_path / "a.csv", "--csv-delimiter", ";")
    _main(*flags, "--encoding", "latin-1", "--output-dir", tmp_path / "made")
    assert f"first text of {tmp_path / 'a.csv'}: Käse\n" in capsys.readouterr().out
    assert not (tmp_path / "made").exists()
    with pytest.raises(CorpusError, match="not UTF-8 at byte 11"):
        _main(*flags)
    with pytest.raises(create_vocab.OptionError, match="bpe has no --character-coverage"):
        _main(*flags, "--tokenizer-type", "bpe", "--character-coverage", "0.99")
