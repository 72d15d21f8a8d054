"""Models' methods on raw strings: what they return is what the network says, text by text."""

import functools
import warnings

import numpy as np
import pytest
import tensorflow as tf

from electra_span.config import UserError
from electra_span.inference.requests import TextCutWarning
from electra_span.inference.results import Classification, ReplacedToken, Score
from electra_span.inference.signatures import all_signatures
from electra_span.tokenization import ByteLevelBpeTokenizer
from electra_span.tokenization.byte_level_bpe import BpeDescription
from tests.electra_span.inference.tiny_text_models import (
    FACTS,
    LENGTH,
    MOOD,
    PLAIN,
    TAGS,
    TEXTS,
    VOCABULARY,
    make_text_model,
    sentence_piece,
)
from tests.electra_span.tokenization.tiny_tokenizers import BPE_VOCABULARY, MERGES

model_of = functools.cache(make_text_model)
pytestmark = pytest.mark.filterwarnings("ignore::electra_span.inference.requests.TextCutWarning")


@pytest.fixture(scope="module")
def tasks():
    return make_text_model("tasks", heads=(MOOD, LENGTH))


@pytest.fixture(scope="module")
def reader():
    return make_text_model("tasks", heads=(FACTS, PLAIN))


def ids_of(model, text):
    """Returns the row of ids of a text, cut to the model's 16 tokens."""
    tokenizer = model.tokenizer
    return np.array([[tokenizer.cls_id, *tokenizer.encode([text])[0][:14], tokenizer.sep_id]], np.int32)


def test_a_classification_is_the_softmax_of_the_heads_logits(tasks):
    for text, found in zip(TEXTS, tasks.classify(TEXTS, task="mood"), strict=True):
        wanted = tf.nn.softmax(tasks(input_ids=ids_of(tasks, text))["mood"][0]).numpy()
        assert isinstance(found, Classification)
        assert list(found.probabilities) == list(MOOD.labels)
        np.testing.assert_allclose(list(found.probabilities.values()), wanted, atol=1e-5)
        assert (found.label, found.probability) == max(found.probabilities.items(), key=lambda item: item[1])


def test_a_score_is_in_the_range_that_the_head_was_trained_on(tasks):
    found = tasks.classify(TEXTS[:3], task="length")
    for text, score in zip(TEXTS[:3], found, strict=True):
        assert isinstance(score, Score)
        np.testing.assert_allclose(score.score, 1 + 4 * tasks(input_ids=ids_of(tasks, text))["length"][0], rtol=1e-4)


def test_pairs_are_two_segments_and_an_empty_one_is_none(tasks):
    pair, single = tasks.classify(["the cat", "the cat"], ["sat", ""], task="mood")
    cls_, sep = tasks.tokenizer.cls_id, tasks.tokenizer.sep_id
    the, cat, sat = map(VOCABULARY.index, ("the", "cat", "sat"))
    logits = tasks(input_ids=np.array([[cls_, the, cat, sep, sat, sep]]), segment_ids=np.array([[0, 0, 0, 0, 1, 1]]))
    np.testing.assert_allclose(list(pair.probabilities.values()), tf.nn.softmax(logits["mood"][0]), atol=1e-5)
    (alone,) = tasks.classify(["the cat"], task="mood")
    np.testing.assert_allclose(single.probability, alone.probability, atol=1e-6)


def test_vectors_are_the_first_state_the_mean_of_all_or_one_for_each_token():
    model = model_of("discriminator")
    first, mean = (model.embed(TEXTS, pooling=pooling) for pooling in ("first", "mean"))
    assert (first.shape, mean.shape, first.dtype, mean.dtype) == ((6, 12), (6, 12), np.float32, np.float32)
    for row, text in enumerate(TEXTS):
        states = model.encoder(ids_of(model, text))[0].numpy()
        np.testing.assert_allclose(first[row], states[0], atol=1e-5)
        np.testing.assert_allclose(mean[row], states.mean(axis=0), atol=1e-5)
        (found,) = model.embed([text], pooling="none")
        np.testing.assert_allclose(found.vectors, states[1:-1], atol=1e-5)
        assert found.tokens == model.tokenizer.tokens(ids_of(model, text)[0, 1:-1])
        assert len(found.places) == len(found.tokens)
    (found,) = model.embed(["on cats"], pooling="none")
    assert list(zip(found.tokens, found.places, strict=True)) == [("on", (0, 2)), ("cat", (3, 6)), ("##s", (6, 7))]


def test_replaced_tokens_have_the_discriminators_probability_and_their_places():
    model = model_of("discriminator")
    for text, tokens in zip(TEXTS, model.replaced_tokens(TEXTS), strict=True):
        wanted = tf.sigmoid(model(input_ids=ids_of(model, text))[0, 1:-1])
        np.testing.assert_allclose([token.probability for token in tokens], wanted, atol=1e-5)
        assert [token.token for token in tokens] == model.tokenizer.tokens(ids_of(model, text)[0, 1:-1])
    (tokens,) = model.replaced_tokens(["A Café: 日!"])
    assert [token[:3] for token in tokens] == [
        ("a", 0, 1), ("cafe", 2, 6), ("[UNK]", 6, 7), ("日", 8, 9), ("[UNK]", 9, 10)
    ]  # fmt: skip
    assert isinstance(tokens[0], ReplacedToken)


def test_places_count_lone_surrogates_which_no_model_reads():
    (tokens,) = model_of("discriminator").replaced_tokens(["\ud800the \udc00cat"])
    assert [token[:3] for token in tokens] == [("the", 1, 4), ("cat", 6, 9)]


@pytest.mark.parametrize("kind", ["generator", "two_towers"])
def test_masks_are_filled_by_the_most_probable_tokens(kind):
    model = model_of(kind)
    (masks,) = model.fill_mask(["the [MASK] sat on[MASK] ."], num_candidates=30)
    mask, tokens = VOCABULARY.index("[MASK]"), ["the", "[MASK]", "sat", "on", "[MASK]", "."]
    ids = [model.tokenizer.cls_id, *(VOCABULARY.index(token) for token in tokens), model.tokenizer.sep_id]
    logits = model(input_ids=np.array([ids]))[0, :, : len(VOCABULARY)]
    for fills, place in zip(masks, np.flatnonzero(np.array(ids) == mask), strict=True):
        assert sorted(fill.token for fill in fills) == sorted(VOCABULARY)  # ids without a token are none
        probabilities = dict(zip(VOCABULARY, tf.nn.softmax(logits[place]).numpy(), strict=True))
        np.testing.assert_allclose(
            [fill.probability for fill in fills], [probabilities[fill.token] for fill in fills], atol=1e-5
        )
        assert [fill.probability for fill in fills] == sorted((fill.probability for fill in fills), reverse=True)


def test_a_filled_text_goes_on_with_the_word_where_the_token_does():
    (first, second), (third,) = model_of("generator").fill_mask(["the [MASK]  [MASK].", "日 [MASK]"], 17)
    texts = {fill.token: fill.text for fill in first}
    assert (texts["cat"], texts["##s"]) == ("the cat  [MASK].", "thes  [MASK].")
    texts = {fill.token: fill.text for fill in second}
    assert (texts["cat"], texts["##s"]) == ("the [MASK]  cat.", "the [MASK]s.")
    assert {fill.token: fill.text for fill in third}["日"] == "日 日"


def test_pieces_with_their_blanks_are_filled_in_as_words():
    model = model_of("generator", sentence_piece())
    ((fills,),) = model.fill_mask(["the <mask> sat"], 40)
    texts = {fill.token: fill.text for fill in fills}
    whole = next(token for token in texts if token.startswith("▁") and len(token) > 1)
    part = next(token for token in texts if token.isalpha())
    assert (texts[whole], texts[part]) == (f"the {whole[1:]} sat", f"the{part} sat")


def test_byte_level_bpe_is_filled_in_and_tagged_in_python():
    tokenizer = ByteLevelBpeTokenizer(BpeDescription(vocabulary=BPE_VOCABULARY, merges=MERGES))
    ((fills,),) = make_text_model("generator", tokenizer).fill_mask(["the <mask> cat"], 300)
    texts = {fill.token: fill.text for fill in fills}
    assert (texts["Ġcat"], texts["the"]) == ("the cat cat", "thethe cat")
    (tagged,) = make_text_model("tasks", tokenizer, heads=(TAGS,)).tag(["the caf\u00e9, cat"])
    assert [word[:3] for word in tagged.words] == [("the", 0, 3), ("café", 4, 8), (",", 8, 9), ("cat", 10, 13)]


def test_a_mask_that_there_is_no_room_for_has_no_candidates():
    with pytest.warns(TextCutWarning, match="1 of 2 texts have more than the 16 tokens"):
        found = model_of("generator").fill_mask(["[MASK] " + "the " * 20 + "[MASK]", "[MASK]"], 3)
    assert [[len(fills) for fills in masks] for masks in found] == [[3, 0], [3]]


def test_more_masks_than_are_computed_at_once_are_all_filled():
    model = model_of("generator")
    texts = ["[MASK]" * count for count in (1, *[14] * 20, 3)]
    found = model.fill_mask(texts, 2)
    assert [len(masks) for masks in found] == [1, *[14] * 20, 3]
    assert all(len(fills) == 2 for masks in found for fills in masks)
    for masks, text in ((found[0], texts[0]), (found[15], texts[15]), (found[-1], texts[-1])):
        for fills, alone in zip(masks, model.fill_mask([text], 2)[0], strict=True):
            assert [fill.token for fill in fills] == [fill.token for fill in alone]
            np.testing.assert_allclose(fills[0].probability, alone[0].probability, atol=1e-5)


def test_in_a_graph_texts_may_have_no_mask_at_all():
    outputs = all_signatures(model_of("generator"))["fill_mask"].function(tf.constant(["the cat", ""]))
    assert [outputs[name].shape[:2] for name in ("tokens", "texts", "probabilities", "starts")] == [[2, 0]] * 4


def test_texts_that_were_cut_are_counted_in_a_warning(tasks):
    with pytest.warns(TextCutWarning, match="2 of 3 texts have more than the 16 tokens"):
        tasks.classify(["the " * 15, "the " * 14, "cat " * 999], task="mood")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        tasks.classify(["the " * 14], task="mood")


@pytest.mark.parametrize("dtype", ["float32", "mixed_bfloat16", "mixed_float16"])
def test_texts_of_all_lengths_together_are_as_one_at_a_time(dtype):
    texts, tolerance = [*TEXTS, *("cat " * count for count in range(70))], 1e-5 if dtype == "float32" else 0.02
    tasks = make_text_model("tasks", dtype=dtype)
    for many, (one,) in zip(tasks.classify(texts), (tasks.classify([text]) for text in texts), strict=True):
        np.testing.assert_allclose(list(many.probabilities.values()), list(one.probabilities.values()), atol=tolerance)
    vectors = tasks.embed(texts, pooling="mean")
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(vectors[9], tasks.embed([texts[9]], pooling="mean")[0], atol=3 * tolerance)
    discriminator = make_text_model("discriminator", dtype=dtype)
    for row, text in zip(discriminator.replaced_tokens(texts), texts, strict=True):
        (alone,) = discriminator.replaced_tokens([text])
        np.testing.assert_allclose([t.probability for t in row], [t.probability for t in alone], atol=tolerance)


@pytest.mark.parametrize("task", ["facts", "plain"])
def test_answers_are_the_best_parts_of_the_context_at_their_places(reader, task):
    context = "A Café: on the mat, " * 5 + "the cats sitting."
    (found,) = reader.answer(["cat on mat"], [context], task=task, num_answers=20)
    assert len({answer.text for answer in found.answers}) == len(found.answers) > 1
    for answer in found.answers:
        assert answer.text == " ".join(context[answer.start : answer.end].split())
    probabilities = [answer.probability for answer in found.answers]
    assert probabilities == sorted(probabilities, reverse=True)
    np.testing.assert_allclose(sum(probabilities), 1, atol=1e-5)
    (best,) = reader.answer(["cat on mat"], [context], task=task)
    assert (best.answers[0][:3], len(best.answers)) == (found.answers[0][:3], 1)
    np.testing.assert_allclose(best.answers[0].probability, probabilities[0], atol=1e-5)


def test_the_threshold_decides_whether_there_is_an_answer(reader):
    score = reader.answer(["cat"], ["the cat sat"], task="facts")[0].no_answer_score
    for threshold, has_answer in ((score + 0.1, True), (score - 0.1, False)):
        (found,) = reader.answer(["cat"], ["the cat sat"], task="facts", no_answer_threshold=threshold)
        assert found.has_answer == has_answer
        assert len(found.answers) == 1


def test_by_default_only_a_head_with_a_classifier_of_answerability_says_that_there_is_no_answer(reader):
    (found,) = reader.answer(["cat"], ["the cat sat"], task="plain")
    assert found.no_answer_score > -2.75
    assert found.has_answer
    (found,) = reader.answer(["cat"], ["the cat sat"], task="facts")
    assert found.has_answer == (found.no_answer_score <= -2.75)


def test_a_context_without_tokens_has_no_answer(reader):
    (found,) = reader.answer(["cat"], [""], task="plain", no_answer_threshold=1e9)
    assert (found.answers, found.has_answer) == ([], False)


def test_questions_that_were_cut_are_counted(reader):
    with pytest.warns(TextCutWarning, match="1 of 2 questions have more than the 4 tokens"):
        reader.answer(["the cat sat on", "the cat sat on a"], ["mat", "mat " * 40], task="facts")


def test_questions_of_all_lengths_together_are_as_one_at_a_time(reader):
    questions, contexts = ["cat", "the mat", "a"], ["the cat sat " * 30, "on the mat.", "café cats in the mat " * 5]
    together = reader.answer(questions, contexts, task="facts", num_answers=3)
    for question, context, found in zip(questions, contexts, together, strict=True):
        (alone,) = reader.answer([question], [context], task="facts", num_answers=3)
        assert [answer[:3] for answer in found.answers] == [answer[:3] for answer in alone.answers]
        np.testing.assert_allclose(found.no_answer_score, alone.no_answer_score, atol=1e-4)


def test_no_texts_have_no_results(tasks):
    assert tasks.classify([], task="mood") == []
    assert tasks.embed([]).shape == (0, 12)
    assert model_of("generator").fill_mask([]) == []


@pytest.mark.parametrize(
    ("kind", "ask", "message"),
    [
        ("generator", lambda m: m.answer(["a"], ["b"]), "answer is not for .* Load a model that was fine-tuned"),
        ("tasks", lambda m: m.answer(["a"], ["b"]), "needs a head for questions, and this model has 'mood'"),
        ("tasks", lambda m: m.answer("a", ["b"]), "questions must be a list of strings"),
        ("tasks", lambda m: m.answer(["a"], []), "same number. Received: 1 questions, 0 contexts"),
        ("tasks", lambda m: m.answer(["a"], ["b"], num_answers=21), "num_answers .* from 1 to 20. Received: 21"),
        ("discriminator", lambda m: m.fill_mask(["[MASK]"]), "fill_mask is not for .*Discriminator. Load a generator"),
        ("discriminator", lambda m: m.classify(["a"]), "classify is not for .* Load a model that was fine-tuned"),
        ("generator", lambda m: m.replaced_tokens(["a"]), "replaced is not for .*Generator. Load a discriminator"),
        ("generator", lambda m: m.classify([]), "classify is not for"),
        ("two_towers", lambda m: m.embed(["a"]), "embed is not for a model of type TwoTower.* Load the discriminator"),
        ("tasks", lambda m: m.fill_mask(["[MASK]"]), "Load a generator"),
        ("generator", lambda m: m.fill_mask(["a [MASK]", "a mask"]), r"have a mask, \[MASK\]. Received: 'a mask' at 1"),
        (
            "generator",
            lambda m: m.fill_mask(["[MASK]"], 0),
            "num_candidates must be .* from 1 to .* Received: 0",
        ),
        ("tasks", lambda m: m.classify("a"), r"texts must be a list of strings, also for one: \[text\]. Received: 'a'"),
        ("tasks", lambda m: m.classify(["a", 3]), "texts must be a list of strings. Received: 3 at 1"),
        ("tasks", lambda m: m.classify(["a"], ["b", "c"]), "same number. Received: 1 texts, 2 pairs"),
        ("tasks", lambda m: m.classify(["a"], task="moo"), "this model can classify: 'mood'. Received: 'moo'"),
        ("tasks", lambda m: m.embed(["a"], pooling="max"), "one of first, mean, none. Received: 'max'"),
    ],
)
def test_what_a_model_cannot_be_asked_is_one_line_that_says_what_to_do(kind, ask, message):
    with pytest.raises(UserError, match=message) as raised:
        ask(model_of(kind))
    assert "\n" not in str(raised.value)


def test_a_model_of_several_tasks_wants_to_know_which(tasks):
    with pytest.raises(UserError, match="classify needs task=, for this model has several: 'mood', 'length'"):
        tasks.classify(["a"])


def test_a_model_without_a_tokenizer_says_so():
    model = make_text_model("discriminator")
    model.tokenizer = None
    with pytest.raises(UserError, match="this model has none"):
        model.replaced_tokens(["a"])
