"""Words of raw strings and their tags: as fine-tuning reads words, over windows, with their places."""

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from electra_span.config import UserError
from electra_span.head_config import HeadConfig
from electra_span.inference.methods import tagged_text
from electra_span.inference.requests import TextCutWarning
from electra_span.inference.results import Entity, TaggedWord
from electra_span.inference.text_batch import read_words, split_words
from finetune.readers.tagged_files import TaggedSentence
from finetune.tagging_task import tagging_features
from tests.electra_span.inference.tiny_text_models import TAGS, make_text_model, wordpiece

PARTS = HeadConfig(task="parts", kind="tagging", labels=("noun", "verb"))
WORDS = ["the", "cats", "sitting", "on", "a", "mat", "x", "日本"]
TOKENIZER = wordpiece()


@pytest.fixture(scope="module")
def model():
    return make_text_model("tasks", heads=(TAGS, PARTS))


def split(text):
    return [word.decode() for word in split_words(tf.constant([text])).words.flat_values.numpy()]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Peter didn't go to Berlin-Mitte.", ["Peter", "didn't", "go", "to", "Berlin-Mitte", "."]),
        ("(1,000.50$ at 12:30, AT&T)", ["(", "1,000.50", "$", "at", "12:30", ",", "AT&T", ")"]),
        ("U.S. -- a_b@c.de!?", ["U.S", ".", "-", "-", "a_b@c.de", "!", "?"]),
        ("日本 café e\u0301té\u00a0ñ 🐈", ["日", "本", "café", "e\u0301té", "ñ", "🐈"]),
        (" \t\n\x00\u200d ", []),
        ("", []),
        ("a\x00b \x00c", ["a", "b", "c"]),
        ("नमस्\u200dते", ["नमस्\u200dते"]),
    ],
)
def test_words_are_between_blanks_with_punctuation_apart(text, words):
    assert split(text) == words


@settings(max_examples=40, deadline=None)
@given(st.lists(st.text(max_size=12), min_size=1, max_size=4))
def test_words_are_the_text_at_their_places_and_nothing_that_is_seen_is_between_them(texts):
    found = split_words(tf.constant([text.encode() for text in texts]))
    columns = (column.to_list() for column in found)
    for text, words, starts, ends in zip(texts, *columns, strict=True):
        assert [word.decode() for word in words] == [text[a:b] for a, b in zip(starts, ends, strict=True)]
        rest = "".join(text[a:b] for a, b in zip([0, *ends], [*starts, len(text)], strict=True))
        assert all(character.isspace() or not character.isprintable() for character in rest)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.lists(st.sampled_from(WORDS), min_size=1, max_size=14), min_size=1, max_size=4), st.integers(3, 9))
def test_windows_of_words_are_those_of_finetuning(sentences, max_seq_length):
    found = read_words(tf.ragged.constant(sentences), tokenizer=TOKENIZER, max_seq_length=max_seq_length)
    wanted = tagging_features(
        [TaggedSentence(index, words, ["O"] * len(words)) for index, words in enumerate(sentences)],
        TOKENIZER,
        max_seq_length,
        labels=["O"],
    )
    rows = np.split(wanted.text.input_ids, wanted.text.row_splits[1:-1])
    lengths = found.batch.input_mask.numpy().sum(axis=1)
    assert [ids[:length].tolist() for ids, length in zip(found.batch.input_ids.numpy(), lengths, strict=True)] == [
        row.tolist() for row in rows
    ]
    assert found.word_positions.numpy().tolist() == wanted.positions.tolist()
    assert found.word_windows.numpy().tolist() == np.repeat(np.arange(len(rows)), np.diff(wanted.word_splits)).tolist()
    most = max_seq_length - 2
    assert found.is_cut.numpy().tolist() == [any(len(TOKENIZER.encode([w])[0]) > most for w in s) for s in sentences]


def test_a_word_has_the_best_tag_at_its_first_token(model):
    text = "The cats, sitting"
    (found,) = model.tag([text], task="tags")
    ids = [model.tokenizer.cls_id, *model.tokenizer.encode([text])[0], model.tokenizer.sep_id]
    probabilities = tf.nn.softmax(model(input_ids=np.array([ids]))["tags"][0]).numpy()
    places = [(0, 3), (4, 8), (8, 9), (10, 17)]
    for word, (start, end), position in zip(found.words, places, (1, 2, 4, 5), strict=True):
        label = int(np.argmax(probabilities[position]))
        assert word[:4] == (text[start:end], start, end, TAGS.labels[label])
        assert isinstance(word, TaggedWord)
        np.testing.assert_allclose(word.probability, probabilities[position, label], atol=1e-5)


def test_given_words_are_as_those_of_the_text_and_places_are_with_blanks_between(model):
    sentences = [["the", "cats"], [], ["Café-日", "\udc00", "on"]]
    found = model.tag(sentences, task="tags")
    assert [[word[:3] for word in tagged.words] for tagged in found] == [
        [("the", 0, 3), ("cats", 4, 8)], [], [("Café-日", 0, 6), ("\udc00", 7, 8), ("on", 9, 11)]
    ]  # fmt: skip
    (of_text,) = model.tag(["the cats"], task="tags")
    assert [word.tag for word in found[0].words] == [word.tag for word in of_text.words]


def test_long_texts_go_on_in_windows_whatever_else_is_asked(model):
    texts = ["", "the cats " * 40, "sitting on a mat"]
    for text, found in zip(texts, model.tag(texts, task="tags"), strict=True):
        (alone,) = model.tag([text], task="tags")
        assert [word[:4] for word in found.words] == [word[:4] for word in alone.words]
        np.testing.assert_allclose(
            [word.probability for word in found.words], [word.probability for word in alone.words], atol=1e-5
        )
        assert [word.word for word in found.words] == text.split()


def test_more_windows_than_are_computed_at_once_are_all_tagged(model):
    (found,) = model.tag(["the cats sitting on a mat " * 100], task="tags")
    first, last = found.words[:6], found.words[6 * 90 :]
    assert len(found.words) == 600
    assert {word.tag for word in first} <= set(TAGS.labels)
    assert all(0.25 <= word.probability <= 1 for word in last)


def test_entities_are_what_the_tags_put_together():
    row = {
        "starts": np.array([0, 4, 8, 9, -1]),
        "ends": np.array([3, 8, 9, 12, -1]),
        "tags": np.array([b"B-X", b"I-X", b"O", b"S-Y", b""]),
        "probabilities": np.ones(5),
        "labels": np.array([b"O", b"B-X", b"I-X", b"S-Y"]),
    }
    assert tagged_text("the cats.Mat", row).entities == [Entity("X", "the cats", 0, 8), Entity("Y", "Mat", 9, 12)]


@pytest.mark.parametrize(
    ("labels", "tags"),
    [
        ("O X-B X-I X-E Y-S", "X-B X-E O Y-S"),
        ("O B_X M_X E_X S_Y", "B_X E_X O S_Y"),
        ("O B-X I-X L-X U-Y", "B-X L-X O U-Y"),
        ("O I-X I-Y", "I-X I-X O I-Y"),
        ("[PAD] O B-X I-X B-Y I-Y X [SEP]", "B-X I-X X B-Y"),
    ],
)
def test_entities_do_not_depend_on_the_scheme_of_the_labels(labels, tags):
    row = {"starts": np.arange(4), "ends": np.arange(1, 5), "probabilities": np.ones(4)}
    row |= {
        key: np.array([tag.encode() for tag in value.split()]) for key, value in (("labels", labels), ("tags", tags))
    }
    assert tagged_text("abcd", row).entities == [Entity("X", "ab", 0, 2), Entity("Y", "d", 3, 4)]


def test_tags_of_a_text_that_look_like_positions_make_no_entities_where_the_labels_are_plain():
    row = {"starts": np.array([0]), "ends": np.array([1]), "probabilities": np.ones(1), "tags": np.array([b"B-NOUN"])}
    row["labels"] = np.array([b"NOUN", b"B-NOUN", b"I-NOUN", b"VERB"])
    assert tagged_text("a", row).entities == []


def test_tags_of_single_words_make_no_entities(model):
    (found,) = model.tag(["the cat"], task="parts")
    assert {word.tag for word in found.words} <= {"noun", "verb"}
    assert found.entities == []


def test_a_word_longer_than_a_window_is_warned_of(model):
    with pytest.warns(TextCutWarning, match="1 of 2 texts"):
        found = model.tag([["日" * 15, "the"], ["cat"]], task="tags")
    assert [len(tagged.words) for tagged in found] == [2, 1]


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        ("the cat", "texts must be a list of strings"),
        ([["the", ""]], r"'' at texts\[0\]\[1\]"),
        ([["a"], "b"], "texts"),
    ],
)
def test_what_is_no_list_of_texts_or_of_words_is_refused(model, texts, message):
    with pytest.raises(UserError, match=message):
        model.tag(texts, task="tags")
