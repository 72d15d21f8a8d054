"""Answers, n-best lists and null odds are the original's; texts come from what the tokens cover."""

import json
from typing import NamedTuple

import numpy as np
import pytest

from electra_span.tokenization import WordPieceTokenizer
from finetune.metrics import squad
from finetune.qa.alignment import align, aligned_text, normalized_words
from finetune.qa.decoding import (
    WHITE_SPACE,
    Candidates,
    DecodedQuestion,
    ScoredAnswer,
    answers_above_threshold,
    covered_text,
    decode,
    independent_candidates,
    joint_candidates,
    joint_null_scores,
)
from finetune.qa.examples import Question
from finetune.qa.readers import read_questions
from finetune.qa.windows import Window, iter_windows
from tests.finetune.qa.recorded_inputs import INPUTS
from tests.finetune.qa.tiny_pieces import PieceTokenizer

SCENARIOS = [
    "squad_joint_classifier",
    "squad_joint_noclassifier",
    "squad_independent_noclassifier",
    "squadv1_joint",
    "squadv1_independent_short",
    "newsqa_joint",
]
# Contexts in which the original's texts are others: white space that is no space to it, dropped characters, text
# without spaces.
OTHER_TEXTS = {f"q{number:03}" for number in range(22, 35)} | {f"m{number:03}" for number in range(20, 33)}


class Recorded(NamedTuple):
    """A recorded scenario and its inputs."""

    task: str
    expected: dict
    questions: list[Question]
    windows: list[Window]
    candidates: list[Candidates]
    null_scores: np.ndarray | None

    def decode(self, **settings):
        config = self.expected["config"]
        return decode(
            self.questions,
            self.windows,
            self.candidates,
            self.null_scores,
            n_best_size=config["n_best_size"],
            max_answer_length=config["max_answer_length"],
            subtract_best=not config["answerable_classifier"],
            **settings,
        )


@pytest.fixture(scope="module")
def predict(golden):
    return json.loads(golden("qa/predict.json").read_text())


@pytest.fixture(params=SCENARIOS)
def recorded(request, golden, wordpiece, predict):
    expected = predict[request.param]
    config = expected["config"]
    file, file_format = INPUTS[expected["task"]]
    questions = read_questions(golden(f"qa/{file}"), file_format, for_training=False).questions
    windows = list(iter_windows(questions, wordpiece, max_seq_length=64, doc_stride=32, max_query_length=16))
    outputs = np.load(golden(f"qa/predict_{request.param}.npz"))
    assert [1000 * window.question_index + window.window_index for window in windows] == outputs["eid"].tolist()
    if config["joint_prediction"]:
        names = ("start_top_log_probs", "start_top_index", "end_top_log_probs", "end_top_index")
        candidates = [joint_candidates(*rows) for rows in zip(*(outputs[name] for name in names), strict=True)]
    else:
        rows = zip(outputs["start_logits"], outputs["end_logits"], strict=True)
        candidates = [independent_candidates(*row, config["n_best_size"]) for row in rows]
    null_scores = None
    if expected["task"] == "squad":
        raw = outputs["start_logits"][:, 0] + outputs["end_logits"][:, 0]
        null_scores = outputs["answerable_logit"] if config["answerable_classifier"] else raw
    return Recorded(expected["task"], expected, questions, windows, candidates, null_scores)


def test_n_best_lists_are_the_original_s(recorded, wordpiece):
    decoded = list(recorded.decode(answer_text=aligned_text(wordpiece)))
    assert {row.id: row.text for row in decoded} == recorded.expected["predictions"]
    for row in decoded:
        expected = recorded.expected["nbest"][row.id]
        assert [answer.text for answer in row.nbest] == [answer["text"] for answer in expected]
        for answer, recorded_answer in zip(row.nbest, expected, strict=True):
            for name in ("probability", "start_logit", "end_logit"):
                assert getattr(answer, name) == pytest.approx(recorded_answer[name], abs=2e-6)


def test_null_odds_are_the_original_s(recorded, wordpiece):
    decoded = {row.id: row.null_odds for row in recorded.decode(answer_text=aligned_text(wordpiece))}
    expected = recorded.expected["null_odds"]
    assert decoded == (dict.fromkeys(decoded) if expected is None else pytest.approx(expected, abs=2e-6))


def test_results_are_the_original_s(recorded, wordpiece):
    decoded = list(recorded.decode(answer_text=aligned_text(wordpiece)))
    gold = {question.id: question.gold_texts for question in recorded.questions}
    predictions = {row.id: row.text for row in decoded}
    if recorded.task == "squad":
        null_odds = {row.id: row.null_odds for row in decoded}
        threshold = recorded.expected["config"]["qa_na_threshold"]
        scores = squad.evaluate_v2(gold, predictions, null_odds, threshold)
        refused = squad.evaluate_v2(gold, answers_above_threshold(decoded, threshold))
        assert refused.metrics["exact"] == pytest.approx(scores.metrics["exact"])
    else:
        evaluate = {"squadv1": squad.evaluate_v1, "newsqa": squad.evaluate_v1}[recorded.task]
        scores = evaluate(gold, predictions)
    own = {name: value for name, value in scores.metrics.items() if name in recorded.expected["results"]}
    assert own == pytest.approx(recorded.expected["results"], abs=2e-6)
    assert scores.missing == []


def test_covered_texts_differ_where_alignment_fails_only(recorded, wordpiece):
    pairs = list(zip(recorded.decode(), recorded.decode(answer_text=aligned_text(wordpiece)), strict=True))
    differing = {own.id for own, aligned in pairs if own != aligned}
    assert differing <= OTHER_TEXTS
    contexts = {question.id: WHITE_SPACE.sub(" ", question.context) for question in recorded.questions}
    for own, _ in pairs:
        assert all(answer.text in contexts[own.id] or answer.text == "empty" for answer in own.nbest)


def test_texts_are_aligned_as_by_the_original(golden, wordpiece):
    cases = json.loads(golden("qa/get_final_text.json").read_text())
    tokenizers = {True: wordpiece, False: WordPieceTokenizer(wordpiece.vocabulary, do_lower_case=False)}
    for do_lower_case, tokenizer in tokenizers.items():
        own_cases = [case for case in cases if case["do_lower_case"] == do_lower_case]
        assert len(own_cases) == len(cases) // 2
        normalized = normalized_words([case["orig_text"] for case in own_cases], tokenizer)
        for case, words in zip(own_cases, normalized, strict=True):
            assert align(case["pred_text"], case["orig_text"], words) == case["final_text"]


def test_best_positions_and_probabilities_are_the_original_s(golden):
    helpers = json.loads(golden("qa/qa_metrics_helpers.json").read_text())
    for case in helpers["best_indexes"]:
        logits = np.array(case["logits"], np.float32)
        candidates = independent_candidates(logits, np.zeros(1), case["n"])
        assert candidates.start_positions.tolist() == case["best"]
    for case in helpers["softmax"]:
        if case["scores"]:  # a list of answers has at least one
            rows = [(2 + number, 2 + number, score, 0.0) for number, score in enumerate(case["scores"])]
            by_score = {row.start_logit: row.probability for row in _decode_one("ab " * 9, rows)[0].nbest}
            assert by_score == pytest.approx(dict(zip(case["scores"], case["probs"], strict=True)))


def _spans(*rows):
    starts, ends, start_logits, end_logits = np.array(rows or np.zeros((0, 4))).T
    return Candidates(starts.astype(int), ends.astype(int), start_logits, end_logits)


def _decode_one(context, *spans, null_scores=None, n_best_size=9, max_answer_length=9, max_seq_length=40, **settings):
    """Decodes spans, a list a window, of a question without text: the context begins at position 2."""
    distinct = " ".join(f"{word}{number}" for number, word in enumerate(context.split()))
    question = Question("q", "", distinct, (), (), is_impossible=True)
    windows = list(
        iter_windows([question], PieceTokenizer(), max_seq_length=max_seq_length, doc_stride=2, max_query_length=1)
    )
    assert len(windows) == len(spans)
    candidates = [_spans(*rows) for rows in spans]
    settings |= {"n_best_size": n_best_size, "max_answer_length": max_answer_length}
    return list(decode([question], windows, candidates, null_scores, **settings))


def test_spans_outside_of_the_context_out_of_order_or_too_long_are_no_answers():
    wrong = [(0, 0, 9, 9), (1, 2, 9, 9), (6, 5, 9, 9), (2, 7, 9, 9), (3, 7, 9, 9), (2, 5, 9, 9)]
    nbest = _decode_one("a b c d e", [*wrong, (3, 5, 1, 1)], max_answer_length=3)[0].nbest
    assert [answer.text for answer in nbest] == ["b1 c2 d3"]


def test_a_question_without_any_allowed_span_is_answered_as_by_the_original():
    decoded = _decode_one("a b", [(0, 0, 5, 5)], null_scores=[2.0], subtract_best=True)[0]
    assert decoded == DecodedQuestion("q", "empty", 2.0, [ScoredAnswer("empty", 1.0, 0.0, 0.0)])


def test_an_answer_starts_on_a_token_that_its_window_owns():
    # Tokens 0 to 4 and 2 to 5 are in the windows; the first owns those up to 3. A span may end on another's.
    spans = [(6, 6, 9, 9), (3, 5, 1, 1), (5, 6, 0, 0)], [(2, 2, 9, 9), (3, 3, 9, 9), (4, 5, 2, 2)]
    nbest = _decode_one("a b c d e f", *spans, max_seq_length=8)[0].nbest
    assert {answer.text for answer in nbest} == {"b1 c2 d3", "d3 e4", "e4 f5"}


def test_null_odds_are_the_smallest_of_all_windows():
    spans = [(2, 2, 1, 1)], [(5, 5, 0.5, 0.5)]
    decoded = _decode_one("a b c d e f", *spans, null_scores=[3.0, -1.5], max_seq_length=8)[0]
    assert decoded.null_odds == -1.5
    decoded = _decode_one("a b c d e f", *spans, null_scores=[3.0, -1.5], max_seq_length=8, subtract_best=True)[0]
    assert decoded.null_odds == -3.5


def test_equal_texts_are_listed_once_and_lists_end_at_n_best_size():
    rows = [(2, 2, 1.0, 1.0), (2, 2, 0.5, 0.5), (3, 3, 0.25, 0.0), (4, 4, 0.0, 0.0), (5, 5, -1.0, 0.0)]
    nbest = _decode_one("a b c d", rows, n_best_size=3)[0].nbest
    assert [answer.text for answer in nbest] == ["a0", "b1", "c2"]
    assert [answer.score for answer in nbest] == [2.0, 0.25, 0.0]
    assert sum(answer.probability for answer in nbest) == pytest.approx(1)


def test_a_question_is_refused_above_the_threshold_and_not_at_it():
    decoded = [DecodedQuestion(name, "text", odds, []) for name, odds in (("a", -3.0), ("b", -2.75), ("c", -2.5))]
    decoded.append(DecodedQuestion("d", "text", None, []))
    assert answers_above_threshold(decoded, -2.75) == {"a": "text", "b": "text", "c": "", "d": "text"}


def test_a_joint_null_score_is_comparable_with_answers():
    # The original takes the raw logit, so that its null odds change with a constant that changes no probability.
    logits = np.array([[1.0, 4.0, 2.5], [0.5, 0.0, 3.0]])
    log_probs, shifted = (rows - np.log(np.exp(rows).sum(1, keepdims=True)) for rows in (logits, logits + 7))
    np.testing.assert_allclose(joint_null_scores(log_probs), joint_null_scores(shifted))
    np.testing.assert_allclose(np.exp(joint_null_scores(log_probs)), [0.0391, 0.0725], atol=2e-4)


def _whole_text(context, wordpiece):
    """Returns the covered and the aligned text of all tokens but the last of a context."""
    question = Question("q", "", context, (), (), is_impossible=False)
    window = next(iter_windows([question], wordpiece, max_seq_length=64, doc_stride=8, max_query_length=1))
    end = len(window.input_ids) - 3
    return covered_text(question, window, 2, end), aligned_text(wordpiece)(question, window, 2, end)


@pytest.mark.parametrize(
    ("context", "covered", "aligned"),
    [
        ("Zu\u0308rich,", "Zu\u0308rich", "Zu\u0308rich,"),  # an accent of its own, dropped
        ("cafe\u0301.", "cafe\u0301", "cafe\u0301."),  # at the end
        ("no\xa0break", "no", "no\xa0break"),
        ("is 東京は", "is 東京", "is 東京"),
        ("Steve\n\n Smith's", "Steve Smith'", "Steve Smith'"),
    ],
)
def test_texts_are_what_the_tokens_cover(wordpiece, context, covered, aligned):
    assert _whole_text(context, wordpiece) == (covered, aligned)
