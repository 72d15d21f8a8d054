"""A model's answers from strings are those of the evaluation of fine-tuned models."""

import dataclasses
import functools
from typing import NamedTuple

import numpy as np
import pytest
import scipy.special
import tensorflow as tf

from electra_span.config import EncoderConfig, HparamError
from electra_span.encoder import ElectraEncoder
from electra_span.head_config import HeadConfig
from electra_span.inference.question_answering import AnswerSettings, answer_function
from electra_span.inference.requests import NO_ANSWER_THRESHOLD
from electra_span.models import ElectraTaskModel
from electra_span.tokenization import ByteLevelBpeTokenizer, SentencePieceTokenizer, WordPieceTokenizer
from electra_span.tokenization.byte_level_bpe import BpeDescription
from finetune.config import FinetuningConfig
from finetune.qa import decoding
from finetune.qa.examples import Question
from finetune.qa.windows import iter_windows
from tests.electra_span.tokenization.tiny_tokenizers import BPE_VOCABULARY, MERGES, train_model
from tests.tiny_models import randomize

LETTERS = "abcdehinorstu"
WORDPIECE_VOCABULARY = (
    *("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "the", "cat", "##s", ".", ",", "日", "本", "ᄒ", "##ᅡ", "##ᆫ"),
    *LETTERS,
    *(f"##{letter}" for letter in LETTERS if letter != "s"),
)
TOKENIZERS = {
    "wordpiece": lambda: WordPieceTokenizer(WORDPIECE_VOCABULARY),
    "sentencepiece": lambda: SentencePieceTokenizer(train_model("unigram")),
    "bpe": lambda: ByteLevelBpeTokenizer(BpeDescription(vocabulary=BPE_VOCABULARY, merges=MERGES)),
}
HEADS = {
    "joint": {},
    "joint, answerable by the first token": {"answerable_uses_start_logits": False},
    "joint without answerability": {"answerable_classifier": False},
    "independent": {"joint_prediction": False},
    "independent without answerability": {"joint_prediction": False, "answerable_classifier": False},
}
SIZES = {"max_seq_length": 24, "doc_stride": 5, "max_query_length": 7, "max_answer_length": 6}
LIST_SIZES = {"n_best_size": 9, "beam_size": 5}
ACCENTED = "no\u0301é"
LONG = " ".join(f"{'the cats'[: number % 9]} sat, on\ta \u202f mat.{ACCENTED[: number % 4]}" for number in range(13))
ROWS = [
    ("who sat on the mat that the cat sat on", LONG),
    ("who", "the cat. the cat, the cat the cat the cat the cat"),
    ("", LONG),
    ("who", ""),
    ("what is it", "\x00\u0301 "),
    ("日本", "  한 日本\u00a0cafe\u0301\u0301 the\n\ncat 日  "),
    ("who is", LONG),
]


class Setup(NamedTuple):
    """A model of one head, and what reads its texts."""

    model: ElectraTaskModel
    head: HeadConfig
    tokenizer: object

    @functools.cache  # noqa: B019
    def function(self, **settings):
        sizes = AnswerSettings(**{**SIZES, **LIST_SIZES, "window_batch_size": 4, **settings})
        return answer_function(self.model, self.head, self.tokenizer, sizes)


def make_setup(head_name="joint", tokenizer_name="wordpiece"):
    return _cached_setup(head_name, tokenizer_name)


@functools.cache
def _cached_setup(head_name, tokenizer_name):
    tokenizer = TOKENIZERS[tokenizer_name]()
    config = EncoderConfig(
        vocab_size=tokenizer.vocab_size,
        embedding_size=8,
        hidden_size=12,
        num_hidden_layers=1,
        num_attention_heads=3,
        intermediate_size=20,
        max_position_embeddings=26,
    )
    head = HeadConfig(task="asked", kind="questions", **HEADS[head_name])
    model = ElectraTaskModel(ElectraEncoder(config), [head])
    randomize(model)
    return Setup(model, head, tokenizer)


def evaluated(setup, rows, *, sizes=SIZES, n_best_size=9, beam_size=5):
    """Returns what the evaluation of fine-tuned models decodes, each window by itself."""
    questions = [Question(str(number), text, context, (), (), True) for number, (text, context) in enumerate(rows)]
    settings = {name: sizes[name] for name in ("max_seq_length", "doc_stride", "max_query_length")}
    windows = list(iter_windows(questions, setup.tokenizer, **settings))
    ids = tf.ragged.constant([window.input_ids.tolist() for window in windows], tf.int32)
    segment_ids = tf.ragged.constant([window.segment_ids.tolist() for window in windows], tf.int32).to_tensor()
    input_mask = tf.ones_like(ids).to_tensor()
    layer, head = setup.model.heads["asked"], setup.head
    states = setup.model.encoder(ids.to_tensor(), input_mask, segment_ids)
    spans = layer.best_spans(states, segment_ids, input_mask, beam_size)
    starts = spans.start_logits.numpy()
    if head.joint_prediction:
        candidates = [
            decoding.joint_candidates(*row) for row in zip(*(value.numpy() for value in spans[:4]), strict=True)
        ]
        null_scores = scipy.special.log_softmax(starts, axis=-1)[:, 0]
    else:
        ends = spans.end_logits.numpy()
        candidates = [decoding.independent_candidates(*row, n_best_size) for row in zip(starts, ends, strict=True)]
        null_scores = starts[:, 0] + ends[:, 0]
    if head.answerable_classifier:
        null_scores = spans.answerable_logit.numpy()
    return list(
        decoding.decode(
            questions, windows, candidates, null_scores,
            n_best_size=n_best_size, max_answer_length=sizes["max_answer_length"],
            subtract_best=not head.answerable_classifier,
        )
    )  # fmt: skip


def answered(function, rows, *arguments):
    texts = ([row[side].encode() for row in rows] for side in (0, 1))
    return {
        name: value.numpy()
        for name, value in function(*(tf.constant(side, tf.string, [len(rows)]) for side in texts), *arguments).items()
    }


def texts_of(outputs):
    return [[text.decode() for text in row if text] for row in outputs["answers"]]


def assert_equal(outputs, expected):
    lists = [[row for row in decoded.nbest if row.text != decoding.NO_CANDIDATE] for decoded in expected]
    assert texts_of(outputs) == [[row.text for row in rows] for rows in lists]
    for found, rows in zip(outputs["probabilities"], lists, strict=True):
        np.testing.assert_allclose(found[: len(rows)], [row.probability for row in rows], rtol=2e-5, atol=1e-7)
        assert not found[len(rows) :].any()
    np.testing.assert_allclose(outputs["no_answer_score"], [row.null_odds for row in expected], rtol=2e-5, atol=2e-5)


@pytest.mark.parametrize(
    ("head_name", "tokenizer_name"),
    [*((name, "wordpiece") for name in HEADS), ("joint", "sentencepiece"), ("independent", "bpe")],
)
def test_answers_scores_and_probabilities_are_those_of_the_evaluation(head_name, tokenizer_name):
    setup = make_setup(head_name, tokenizer_name)
    outputs = answered(setup.function(), ROWS)
    expected = evaluated(setup, ROWS)
    assert max(len(decoded.nbest) for decoded in expected) == 9
    assert_equal(outputs, expected)


def test_places_are_code_points_of_the_answers_without_blanks_around():
    setup = make_setup("independent", "bpe")
    outputs = answered(setup.function(), ROWS)
    num_answers = 0
    for (_, context), texts, starts, ends in zip(
        ROWS, texts_of(outputs), outputs["starts"], outputs["ends"], strict=True
    ):
        covered = [context[start:end] for start, end in zip(starts, ends, strict=True)][: len(texts)]
        assert [text.strip() for text in covered] == covered
        assert [" ".join(text.replace("\u00a0", "!").split()) for text in covered] == [
            text.replace("\u00a0", "!") for text in texts
        ]
        assert (starts[len(texts) :] == -1).all()
        assert (ends[len(texts) :] == -1).all()
        num_answers += len(texts)
    assert num_answers > 20


def test_accents_at_the_end_belong_to_the_answer():
    outputs = answered(make_setup().function(), [("who", "cafe\u0301\u0301")])
    index = outputs["ends"][0].tolist().index(6)
    assert texts_of(outputs)[0][index].endswith("e\u0301\u0301")


@pytest.mark.parametrize("head_name", ["joint", "independent without answerability"])
def test_nothing_in_a_context_means_no_answer_whatever_the_threshold(head_name):
    setup = make_setup(head_name)
    outputs = answered(setup.function(), [("who", ""), ("", ""), ("who", "\x00"), ("", "the cat")], 1e9)
    assert outputs["answers"].tolist()[:3] == [[b""] * 9] * 3
    assert outputs["has_answer"].tolist() == [False, False, False, True]
    assert np.isfinite(outputs["no_answer_score"]).all()
    assert not outputs["probabilities"][:3].any()


def test_the_threshold_decides_whether_there_is_an_answer():
    function = make_setup().function()
    scores = answered(function, ROWS[:3])["no_answer_score"]
    assert (
        answered(function, ROWS[:3], float(np.sort(scores)[1]))["has_answer"].tolist()
        == (scores <= np.sort(scores)[1]).tolist()
    )
    assert answered(function, ROWS[:3])["has_answer"].tolist() == (scores <= NO_ANSWER_THRESHOLD).tolist()


def test_a_head_that_has_not_learned_that_there_may_be_no_answer_always_has_one():
    function = make_setup("independent without answerability").function()
    outputs = answered(function, ROWS[:3])
    assert outputs["has_answer"].all()
    above_all = float(outputs["no_answer_score"].min()) - 1
    assert not answered(function, ROWS[:3], above_all)["has_answer"].any()


def test_no_question_has_no_answers():
    outputs = answered(make_setup().function(), [])
    assert {name: value.shape for name, value in outputs.items()} == {
        **dict.fromkeys(("answers", "starts", "ends", "probabilities"), (0, 9)),
        **dict.fromkeys(("no_answer_score", "has_answer"), (0,)),
    }


def test_neither_other_questions_nor_the_number_of_windows_at_a_time_change_an_answer():
    together = answered(make_setup().function(), ROWS)
    function = make_setup().function(window_batch_size=1)
    for number, row in enumerate(ROWS):
        alone = answered(function, [row])
        assert alone["answers"].tolist() == together["answers"][number : number + 1].tolist()
        np.testing.assert_allclose(alone["probabilities"], together["probabilities"][number : number + 1], atol=1e-5)


def test_a_list_goes_on_behind_many_spans_of_one_text():
    setup = make_setup("independent")
    rows = [("who", "the cat " * 40)]
    expected = evaluated(setup, rows, n_best_size=30)
    assert_equal(answered(setup.function(n_best_size=30), rows), expected)
    assert len(expected[0].nbest) < 30  # all of the spans had to be looked at


@pytest.mark.parametrize("doc_stride", [1, 3, 100])
def test_each_token_is_owned_as_in_the_evaluation_whatever_the_stride(doc_stride):
    setup = make_setup("joint without answerability")
    sizes = {**SIZES, "doc_stride": doc_stride}
    outputs = answered(setup.function(doc_stride=doc_stride), ROWS)
    assert_equal(outputs, evaluated(setup, ROWS, sizes=sizes))


def test_a_beam_wider_than_a_window_is_no_error():
    setup = make_setup()
    outputs = answered(setup.function(beam_size=30, n_best_size=40), ROWS[1:6])
    assert_equal(outputs, evaluated(setup, ROWS[1:6], n_best_size=40, beam_size=30))


def test_bytes_that_are_not_utf8_are_left_out():
    outputs = make_setup().function()(tf.constant([b"wh\xffo"]), tf.constant([b"\xffthe\xe2\x82 cat"]))
    assert (
        outputs["answers"].numpy().tolist()
        == answered(make_setup().function(), [("who", "the cat")])["answers"].tolist()
    )


def test_unequal_numbers_of_questions_and_contexts_are_refused():
    with pytest.raises(tf.errors.InvalidArgumentError, match="as many contexts as questions"):
        make_setup().function()(tf.constant(["who", "what"]), tf.constant(["the cat"]))


@pytest.mark.parametrize("tokenizer_name", ["wordpiece", "sentencepiece"])
def test_a_saved_model_answers_as_the_function_it_was_made_of(tmp_path, tokenizer_name):
    setup = make_setup("joint", tokenizer_name)
    function = setup.function()
    module = tf.Module()
    module.parts = [
        *(variable.value for variable in setup.model.variables),
        setup.tokenizer.__dict__.get("_graph_tokenizer"),
    ]
    specs = [tf.TensorSpec([None], tf.string, name=side) for side in ("questions", "contexts")]
    module.answer = tf.function(lambda questions, contexts: function(questions, contexts), input_signature=specs)
    tf.saved_model.save(module, tmp_path)
    restored = tf.saved_model.load(tmp_path)
    assert texts_of(answered(restored.answer, ROWS)) == texts_of(answered(function, ROWS))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"max_seq_length": 27}, "max_seq_length must be at most 26.* Received: 27"),
        ({"max_query_length": 21}, "max_seq_length must be at least 25.* Received: 24"),
        ({"max_query_length": -1}, "max_query_length must be at least 0. Received: -1"),
        ({"doc_stride": 0}, "doc_stride must be at least 1. Received: 0"),
        ({"window_batch_size": 0}, "window_batch_size must be at least 1"),
    ],
)
def test_sizes_that_cannot_be_are_refused(settings, message):
    with pytest.raises(HparamError, match=message):
        make_setup().function(**settings)


def test_defaults_are_those_of_fine_tuning():
    defaults = {field.name: field.default for field in dataclasses.fields(FinetuningConfig)}
    own = dataclasses.asdict(AnswerSettings())
    shared = own.keys() - {"max_seq_length", "window_batch_size"}
    assert {name: own[name] for name in shared} == {name: defaults[name] for name in shared}
    assert defaults["qa_na_threshold"] == NO_ANSWER_THRESHOLD
