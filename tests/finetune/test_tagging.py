import json
import pathlib

import numpy as np
import pytest

from electra_span.tokenization import WordPieceTokenizer, load_tokenizer, load_with_special_tokens
from finetune.readers.reading import BadRowLimit, DataError
from finetune.readers.tagged_files import TaggedSentence, labels_of, read_tagged
from finetune.tagging_task import joined_windows, tagging_features

NO_BAD_ROWS = BadRowLimit(num_rows=0, rate=0)
VOCABULARY = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "b", "c", "##b", "##c"]
LABELS = ("B-X", "E-X", "O", "S-X")


@pytest.fixture(scope="module")
def english(shared_data):
    return load_tokenizer(shared_data / "vocab/vocab.txt")


@pytest.fixture(scope="module")
def tokenizer():
    return WordPieceTokenizer(VOCABULARY)


@pytest.fixture(scope="module")
def recorded(golden):
    return json.loads(golden("glue/tagging.json").read_text())["features"]


@pytest.fixture
def chunks(golden):
    splits = ("train", "dev", "test")
    return {
        split: read_tagged(golden(f"glue/data/chunk/{split}.txt"), reading="original").sentences for split in splits
    }


def write(folder: pathlib.Path, text: str) -> pathlib.Path:
    (folder / "train.txt").write_text(text, encoding="utf-8")
    return folder / "train.txt"


def windows(features) -> list[dict]:
    text = features.text
    rows = zip(text.row_splits[:-1], text.row_splits[1:], strict=True)
    words = zip(features.word_splits[:-1], features.word_splits[1:], strict=True)
    return [
        {
            "input_ids": text.input_ids[slice(*row)].tolist(),
            "segment_ids": text.segment_ids[slice(*row)].tolist(),
            "positions": features.positions[slice(*word)].tolist(),
            "labels": features.labels[slice(*word)].tolist(),
        }
        for row, word in zip(rows, words, strict=True)
    ]


def test_sentences_and_labels_are_the_recorded_ones_and_one_that_the_original_lost(recorded, chunks):
    mapping = recorded["256"]["label_mapping"]
    labels = labels_of([sentence for split in chunks.values() for sentence in split])
    assert labels == (*sorted(mapping, key=mapping.get), "S-WHNP")
    lost = chunks["dev"].pop()
    assert lost == TaggedSentence(2, ("Which",), ("S-WHNP",))
    for split, rows in recorded["256"]["rows"].items():
        there = [(number, list(words), [mapping[tag] for tag in tags]) for number, words, tags in chunks[split]]
        assert there == [(row["eid"], row["words"], row["labels"]) for row in rows]


@pytest.mark.parametrize("max_seq_length", [32, 48, 64, 256])
def test_features_are_the_recorded_ones_where_the_original_cuts_nothing(recorded, chunks, english, max_seq_length):
    labels = sorted(recorded["256"]["label_mapping"])
    num_equal = 0
    for split, rows in recorded[str(max_seq_length)]["rows"].items():
        sentences = {sentence.example_id: sentence for sentence in chunks[split]}
        for row in rows:
            is_cut = row["chunk_labels_mask_sum"] < len(row["words"])
            if is_cut or "[CLS]" in row["words"]:
                continue
            features = tagging_features([sentences[row["eid"]]], english, max_seq_length, labels=labels, segment_id=1)
            assert windows(features) == [
                {
                    "input_ids": row["input_ids"],
                    "segment_ids": row["segment_ids"],
                    "positions": row["chunk_labeled_positions"],
                    "labels": row["chunk_labels"][: len(row["words"])],
                }
            ]
            num_equal += 1
    assert num_equal == {32: 5, 48: 6, 64: 6, 256: 7}[max_seq_length]


def test_no_word_is_lost_where_the_original_cuts(recorded, chunks, english):
    """The original, at 64, keeps 6 of these 40 words."""
    sentence = chunks["train"][3]
    row = recorded["64"]["rows"]["train"][3]
    features = tagging_features([sentence], english, 64, labels=labels_of(chunks["train"]))
    there = windows(features)
    assert there[0]["input_ids"][: row["length"] - 1] == row["input_ids"][:-1]
    assert there[0]["positions"][:6] == row["chunk_labeled_positions"]
    whole = recorded["256"]["rows"]["train"][3]["input_ids"]
    assert [token for window in there for token in window["input_ids"][1:-1]] == whole[1:-1]
    assert features.text.lengths().tolist() == [64, 64, 6]
    assert features.first_words.tolist() == [0, 19, 38]
    windows_of_tags = np.split(np.array(sentence.tags), features.word_splits[1:-1])
    assert joined_windows(features.example_ids.tolist(), windows_of_tags) == {3: list(sentence.tags)}


def test_words_are_tokenized_as_in_text_and_every_one_has_its_own_tag(recorded, chunks, english):
    """The original moves the tags after a word that leaves no token, and after the word [CLS]."""
    sentence = chunks["train"][1]
    row = recorded["256"]["rows"]["train"][1]
    (window,) = windows(tagging_features([sentence], english, 256, labels=labels_of(chunks["train"])))
    assert window["positions"][:7] == row["chunk_labeled_positions"][:7]
    assert window["input_ids"][:22] == row["input_ids"][:22]
    starts = dict(zip(sentence.words, window["positions"], strict=True))
    ids = window["input_ids"]
    assert english.tokens(ids[starts["東京"] : starts["\u200b"]]) == ["東", "京"]
    assert english.tokens(ids[starts["\u200b"] : starts["[CLS]"]]) == ["[UNK]"]
    assert english.tokens(ids[starts["[CLS]"] : starts["away"]]) == ["[", "cl", "##s", "]"]
    assert english.tokens(ids[starts["away"] :]) == ["away", "[SEP]"]


def test_windows_hold_as_many_whole_words_as_fit(tokenizer):
    sentences = [
        TaggedSentence(4, ("a", "ab", "abc"), ("O", "S-X", "O")),
        TaggedSentence(7, ("c",), ("S-X",)),
        TaggedSentence(9, ("abcbcbc", "b"), ("O", "S-Y")),
    ]
    features = tagging_features(sentences, tokenizer, 6, labels=LABELS)
    words = [" ".join(tokenizer.tokens(window["input_ids"][1:-1])) for window in windows(features)]
    assert words == ["a a ##b", "a ##b ##c", "c", "a ##b ##c ##b", "b"]
    assert [window["positions"] for window in windows(features)] == [[1, 2], [1], [1], [1], [1]]
    assert features.example_ids.tolist() == [4, 4, 7, 9, 9]
    assert features.first_words.tolist() == [0, 2, 0, 0, 1]
    assert features.labels.tolist() == [2, 3, 2, 3, 2, 0]
    assert features.is_known.tolist() == [True, True, True, True, True, False]
    assert set(features.text.segment_ids) == {0}
    tags = np.split(np.array(["O", "S-X", "B-X", "O", "E-X", "S-Y"]), features.word_splits[1:-1])
    joined = joined_windows(features.example_ids.tolist(), tags)
    assert joined == {4: ["O", "S-X", "B-X"], 7: ["O"], 9: ["E-X", "S-Y"]}


@pytest.mark.parametrize("path", ["gpt2_bpe", "sentencepiece"])
def test_words_have_the_pieces_that_they_have_in_text_whatever_the_tokenizer(shared_data, path):
    other = load_with_special_tokens(shared_data / "tokenizers" / path).tokenizer
    sentence = TaggedSentence(0, ("some", "undecorated", "words"), ("O", "B-X", "E-X"))
    features = tagging_features([sentence], other, 32, labels=LABELS)
    assert features.text.input_ids[[0, -1]].tolist() == [other.cls_id, other.sep_id]
    ids = features.text.input_ids[1:-1]
    assert ids.tolist() == other.encode([" some undecorated words"])[0]
    assert len(ids) > 3
    assert features.positions.tolist() == [
        1 + place for place in range(len(ids)) if not other.is_continuation[ids[place]]
    ]


def test_no_sentences_have_no_features(tokenizer):
    features = tagging_features([], tokenizer, 6, labels=LABELS)
    assert [len(values) for values in (*features.text, *features[1:])] == [0, 0, 1, 0, 0, 1, 0, 0, 0]


def test_a_length_without_room_is_an_error(tokenizer):
    with pytest.raises(DataError, match=r"max_seq_length must be at least 3 for sentences. Received: 2"):
        tagging_features([], tokenizer, 2, labels=LABELS)


def test_columns_may_be_any_and_parted_by_tabs_or_blanks(tmp_path):
    file = write(tmp_path, "1 B-X\tHello there\r\n2 I-X  you all\r\n\r\n\r\n3 O x y\r\n")
    (first, second), tally, _, _ = read_tagged(file, word_column=-2, tag_column=1)
    assert first == TaggedSentence(0, ("Hello", "you"), ("B-X", "E-X"))
    assert second == TaggedSentence(1, ("x",), ("O",))
    assert tally.num_rows == 2


def test_only_blanks_and_tabs_part_columns(tmp_path):
    (sentence,) = read_tagged(write(tmp_path, "a\u00a0b\u2028 O\n")).sentences
    assert sentence.words == ("a\u00a0b\u2028",)


def test_tags_of_neither_scheme_are_repaired_as_conlleval_reads_them_and_counted(tmp_path):
    file = write(tmp_path, "a I-X\nb I-Y\nc I-Y\n\na B-X\nb I-X\n\na B-X\nb E-X\n\na B-X\nb E-X\nc B-X\nc I-X\n")
    read = read_tagged(file, limit=NO_BAD_ROWS)
    tags = [sentence.tags for sentence in read.sentences]
    assert tags == [("S-X", "B-Y", "E-Y"), ("B-X", "E-X"), ("B-X", "E-X"), ("B-X", "E-X", "B-X", "E-X")]
    assert read.num_repaired == 1  # the first one is IOB1
    original = read_tagged(file, reading="original").sentences
    assert [sentence.tags for sentence in original[:2]] == [("B-Y", "I-Y", "E-Y"), ("B-X", "E-X")]


@pytest.mark.parametrize(
    ("line", "mistake"),
    [
        ("b", r"not 3 columns as in the first line. Received: 1"),
        ("b x NP", r"the tag is neither O nor one with a position .* Received: 'NP'"),
        ("b x I-\udce9", r"not of the file's encoding"),
    ],
)
def test_a_broken_line_is_named_and_its_sentence_left_out(tmp_path, line, mistake):
    file = tmp_path / "train.txt"
    file.write_bytes(f"a x O\n\n\na x O\n{line}\n\nc x S-X\n".encode("utf-8", "surrogateescape"))
    read = read_tagged(file)
    assert [sentence.words for sentence in read.sentences] == [("a",), ("c",)]
    assert [sentence.example_id for sentence in read.sentences] == [0, 2]
    assert read.tally.left_out.total() == 1
    with pytest.raises(DataError, match=rf"1 of the first 2 rows are bad.*train\.txt: line 5: {mistake}"):
        read_tagged(file, limit=NO_BAD_ROWS)


def test_if_most_lines_have_tabs_only_these_part_columns(tmp_path):
    file = write(tmp_path, "New York\tB-LOC\nis \t O\n\n\tO\n\nbig\t\n\nb O\n\nc\tO\n")
    read = read_tagged(file)
    assert [sentence.words for sentence in read.sentences] == [("New York", "is"), ("c",)]
    assert read.tally.left_out == {
        "the word is empty": 1, "the tag is empty": 1, "not 2 columns as in the first line": 1,
    }  # fmt: skip


def test_comments_before_sentences_are_counted_and_no_words_and_a_word_that_begins_so_is_one(tmp_path):
    two = "# text = a b\n## 17\n# O\n#a B-X\na O\n# O\n\n#\thttp://a.b [2010-01-02]\n#\n\n# id: 3\n#b S-Y\n"
    for text in (two, two.replace(" O", "\tO").replace(" B-", "\tB-").replace(" S-", "\tS-")):
        read = read_tagged(write(tmp_path, text), limit=NO_BAD_ROWS)
        assert [sentence.words for sentence in read.sentences] == [("#", "#a", "a", "#"), ("#b",)]
        assert read.tally.passed_over == {"comment lines": 5}
    plain = read_tagged(write(tmp_path, "# newdoc\n# SYM\na NOUN\n# SYM\n"), limit=NO_BAD_ROWS)
    assert [sentence.words for sentence in plain.sentences] == [("#", "a", "#")]


def test_conllu_is_read_by_its_words(tmp_path):
    lines = [
        "# sent_id = 1",
        "# text = Im Haus",
        "1-2 Im _ _ _",
        "1 In in ADP APPR",
        "2 dem der DET ART",
        "2.1 e e X X",
    ]
    rows = "\n".join(line if line[0] == "#" else "\t".join([*line.split(), *"_____"]) for line in lines)
    (sentence,) = read_tagged(write(tmp_path, rows), word_column=1, tag_column=3, limit=NO_BAD_ROWS).sentences
    assert (sentence.words, sentence.tags) == (("In", "dem"), ("ADP", "DET"))


def test_other_schemes_are_read_as_the_same_sentences(tmp_path):
    expected = read_tagged(write(tmp_path, "a B-X\nb I-X\nc I-X\nd B-Y\n\ne O\n")).sentences
    for tags in ("B-X M-X E-X S-Y", "B-X I-X L-X U-Y", "X-B X-I X-I Y-B", "I_X I_X I_X I_Y"):
        rows = "\n".join(map(" ".join, zip("abcd", tags.split(), strict=True)))
        assert read_tagged(write(tmp_path, f"{rows}\n\ne O\n"), limit=NO_BAD_ROWS).sentences == expected


def test_files_are_read_for_the_scheme_of_the_model(tmp_path):
    file = write(tmp_path, "a B-X\nb I-X\nc B-X\n")
    for labels in (("O", "B-X", "I-X"), ("O", "I-X"), ("O", "B-X", "M-X", "E-X", "S-X"), ("O", "X-B", "X-I")):
        assert read_tagged(file, labels=labels, limit=NO_BAD_ROWS).sentences[0].tags == ("B-X", "E-X", "S-X")
    with pytest.raises(DataError, match="a tag that the model does not know"):
        read_tagged(file, labels=("NOUN", "VERB"), limit=NO_BAD_ROWS)
    with pytest.raises(DataError, match="the tag is neither O nor one with a position"):
        read_tagged(write(tmp_path, "a NOUN\n"), labels=("O", "B-X"), limit=NO_BAD_ROWS)


def test_a_column_that_is_no_tag_is_refused(tmp_path):
    with pytest.raises(DataError, match=r"line 1: word_column and tag_column must differ. Received: 1 columns"):
        read_tagged(write(tmp_path, "good\nbad\n"), limit=NO_BAD_ROWS)
    many = "".join(f"word x{number}\n" for number in range(101))
    with pytest.raises(DataError, match=r"tag_column must be the column of tags. Received: -1, with 101 different"):
        read_tagged(write(tmp_path, many))
    assert read_tagged(write(tmp_path, many + "word x1\n" * 1000)).file_tags[:2] == ("x0", "x1")


def test_a_tag_that_the_model_does_not_know_is_counted_and_kept(tmp_path):
    read = read_tagged(write(tmp_path, "a O\n\nb B-Z\n"), labels=LABELS)
    assert [sentence.tags for sentence in read.sentences] == [("O",), ("S-Z",)]
    assert read.tally.kept == {"a tag that the model does not know": 1}


def test_a_column_that_is_not_there_a_missing_and_an_empty_file_are_errors(tmp_path):
    with pytest.raises(DataError, match=r"line 1: no column 0 or 2. Received: 2 columns"):
        read_tagged(write(tmp_path, "a O\n"), tag_column=2, limit=NO_BAD_ROWS)
    with pytest.raises(DataError, match=r"train\.txt: there are no sentences in it"):
        read_tagged(write(tmp_path, "-DOCSTART- O\n\n"))
    with pytest.raises(DataError, match=r"gone\.txt: cannot be read: No such file"):
        read_tagged(tmp_path / "gone.txt")


def test_conll_2000_is_read_whole(shared_data):
    read = {split: read_tagged(shared_data / f"chunk/{split}.txt", limit=NO_BAD_ROWS) for split in ("train", "test")}
    assert {split: len(part.sentences) for split, part in read.items()} == {"train": 8936, "test": 2012}
    assert {split: sum(len(one.words) for one in part.sentences) for split, part in read.items()} == {
        "train": 211727, "test": 47377,
    }  # fmt: skip
    only_in_test = set(labels_of(read["test"].sentences)) - set(labels_of(read["train"].sentences))
    assert only_in_test == {"B-LST", "E-LST"}
    assert [part.num_repaired for part in read.values()] == [0, 0]


def test_a_trailing_tab_is_no_column(tmp_path):
    path = write(tmp_path, "EU\tB-ORG\t\nrejects\tO\t\n\n")
    assert [sentence.words for sentence in read_tagged(path, limit=NO_BAD_ROWS).sentences] == [("EU", "rejects")]


def test_numbers_of_words_are_not_taken_for_words(tmp_path):
    path = write(tmp_path, "1\tEU\tPROPN\n2\trejects\tVERB\n\n1\tAll\tDET\n2\tleft\tVERB\n3\t.\tPUNCT\n")
    with pytest.raises(DataError, match=r"train\.txt: word_column must be the column of words\. Received: 0, which"):
        read_tagged(path)
    assert read_tagged(path, word_column=1).sentences[1].words == ("All", "left", ".")
