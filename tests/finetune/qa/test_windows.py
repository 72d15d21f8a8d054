"""Windows are those of the original; each token has one owner, and answers are where they belong."""

import collections
import itertools
import json
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from electra_span.tokenization import load_with_special_tokens
from finetune.qa.decoding import covered_text
from finetune.qa.examples import Answer, Question
from finetune.qa.readers import read_questions
from finetune.qa.windows import iter_windows, questions_without_target, tokenize_contexts, window_starts
from tests.finetune.qa.recorded_inputs import INPUTS
from tests.finetune.qa.tiny_pieces import PieceTokenizer


def _question(context="one two three", text="what is it", answer=None, number=0):
    answers = () if answer is None else (answer,)
    return Question(f"q{number}", text, context, answers, tuple(answer.text for answer in answers), answer is None)


def _windows(questions, tokenizer=None, *, max_seq_length=20, doc_stride=4, max_query_length=5):
    return list(
        iter_windows(
            questions,
            tokenizer or PieceTokenizer(),
            max_seq_length=max_seq_length,
            doc_stride=doc_stride,
            max_query_length=max_query_length,
        )
    )


def _recorded_windows(golden, name, max_seq_length, tokenizer):
    """Returns recorded rows by question, and ours."""
    task, split = name.split("_")
    file, file_format = INPUTS[task]
    recorded = json.loads(golden(f"qa/features_{name}_{max_seq_length}.json").read_text())
    questions = read_questions(golden(f"qa/{file}"), file_format, for_training=split == "train").questions
    windows = collections.defaultdict(list)
    for window in _windows(questions, tokenizer, max_seq_length=max_seq_length, doc_stride=32, max_query_length=16):
        windows[questions[window.question_index].id].append(window)
    rows = {row["example"]["qas_id"] or row["example"]["qid"]: row["features"] for row in recorded["rows"]}
    return rows, windows, {question.id: question for question in questions}


RECORDED = [
    (name, length) for name in ("squad_train", "squadv1_train", "newsqa_train", "squad_dev") for length in (64, 128)
]


@pytest.mark.parametrize(("name", "max_seq_length"), RECORDED)
def test_windows_are_the_original_s(golden, wordpiece, name, max_seq_length):
    rows, windows, questions = _recorded_windows(golden, name, max_seq_length, wordpiece)
    assert rows
    for question_id, features in rows.items():
        own = windows[question_id]
        assert [window.window_index for window in own] == [feature["doc_span_index"] for feature in features]
        words = [match.start() for match in re.finditer("[^ \t\r\n\u202f]+", questions[question_id].context)]
        for window, feature in zip(own, features, strict=True):
            assert window.input_ids.tolist() == feature["input_ids"]
            assert window.segment_ids.tolist() == feature["segment_ids"]
            assert len(window.input_ids) == feature["input_mask_len"]
            assert wordpiece.tokens(window.input_ids) == feature["tokens"]
            assert window.first_context_position == feature["first_doc_token"]
            assert window.is_max_context.tolist() == feature["token_is_max_context"]
            word_of_token = np.searchsorted(words, window.token_starts, side="right") - 1
            assert word_of_token.tolist() == feature["token_to_orig_map"]


@pytest.mark.parametrize(("name", "max_seq_length"), RECORDED[:6])
def test_targets_are_the_original_s(golden, wordpiece, name, max_seq_length):
    rows, windows, questions = _recorded_windows(golden, name, max_seq_length, wordpiece)
    for question_id, features in rows.items():
        for window, feature in zip(windows[question_id], features, strict=True):
            assert window.start_position == feature["start_positions"]
            assert window.end_position == feature["end_positions"]
            assert questions[question_id].is_impossible == feature["is_impossible"]


def test_answers_with_white_space_that_the_original_loses_are_trained_on(golden, wordpiece):
    for name in ("squad_train", "squadv1_train", "newsqa_train"):
        rows, windows, questions = _recorded_windows(golden, name, 128, wordpiece)
        more = questions.keys() - rows.keys()
        texts = {covered_text(questions[i], w, w.start_position, w.end_position) for i in more for w in windows[i]}
        assert texts == {"no\xa0break", "Leading spaces"}


def test_an_answer_inside_of_a_word_is_its_own_tokens():
    context = "An unbreakable yes-yes, twice."
    for text, start, tokens in (("reak", 6, "reakab"), ("yes", 19, "yes"), ("yes", 15, "yes"), ("ce.", 27, "ce.")):
        question = _question(context, answer=Answer(text, start))
        window = _windows([question], max_seq_length=30)[0]
        assert covered_text(question, window, window.start_position, window.end_position) == tokens
        first = window.start_position - window.first_context_position
        assert window.token_starts[first] == start


def test_an_impossible_question_and_a_window_without_the_answer_have_position_0():
    context = " ".join(f"w{number}" for number in range(15))
    windows = _windows([_question(context, answer=Answer("w12 w13", context.index("w12"))), _question(context)])
    with_target = [window for window in windows if window.start_position or window.end_position]
    assert {window.question_index for window in with_target} == {0}
    assert 0 < len(with_target) < sum(window.question_index == 0 for window in windows)
    for window in with_target:
        assert window.end_position - window.start_position == 1
        assert window.end_position < len(window.input_ids) - 1


def test_questions_whose_answer_is_in_no_window_are_named():
    context = " ".join(f"w{number}" for number in range(30))
    answers = [Answer(context[:90], 0), Answer("w7", context.index("w7")), Answer(" ", 2), None]
    questions = [_question(context, answer=answer, number=number) for number, answer in enumerate(answers)]
    windows = _windows(questions)
    assert {window.question_index for window in windows if window.start_position or window.end_position} == {1}
    assert questions_without_target(questions, windows) == ["q0", "q2"]


def test_questions_are_cut_and_contexts_can_be_empty():
    windows = _windows([_question("", text="aaa " * 9), _question(" ", text="")])
    lengths = [len(window.input_ids) for window in windows]
    assert lengths == [8, 3]
    assert [window.first_context_position for window in windows] == [7, 2]
    assert windows[1].input_ids.tolist() == [1, 2, 2]
    assert windows[1].segment_ids.tolist() == [0, 0, 1]


def test_contexts_are_tokenized_once_and_batches_change_nothing(monkeypatch):
    questions = [_question(f"context {number % 3}", number=number) for number in range(10)]
    whole = _windows(questions)
    texts = []
    tokenizer = PieceTokenizer()
    monkeypatch.setattr(tokenizer, "encode", lambda rows: texts.extend(rows) or PieceTokenizer().encode(rows))
    assert len(tokenize_contexts([question.context for question in questions], tokenizer)) == 3
    assert texts == ["context 0", "context 1", "context 2"]
    monkeypatch.setattr("finetune.qa.windows._BATCH_SIZE", 4)
    for window, same in zip(whole, _windows(questions), strict=True):
        for value, same_value in zip(window, same, strict=True):
            np.testing.assert_array_equal(value, same_value)
    assert [window.question_index for window in whole] == list(range(10))


@pytest.mark.parametrize("settings", [{"max_seq_length": 8}, {"doc_stride": 0}, {"max_query_length": -1}])
def test_windows_without_room_are_errors(settings):
    with pytest.raises(ValueError, match=r"max_seq_length must be above max_query_length \+ 3.*Received: "):
        _windows([_question()], **settings)


@given(st.integers(0, 60), st.integers(1, 20), st.integers(1, 25))
def test_windows_start_by_the_stride_until_the_last_token_is_in(num_tokens, capacity, doc_stride):
    starts = window_starts(num_tokens, capacity, doc_stride)
    assert starts[0] == 0
    assert {second - first for first, second in itertools.pairwise(starts)} <= {min(doc_stride, capacity)}
    assert starts[-1] + capacity >= num_tokens
    assert len(starts) == 1 or starts[-2] + capacity < num_tokens


@given(st.integers(0, 60), st.integers(0, 8), st.integers(9, 40), st.integers(1, 25))
def test_every_token_is_owned_by_one_window_and_by_one_that_shows_most_around_it(words, query, length, doc_stride):
    question = _question(" ".join("ab" for _ in range(words)), text="ab " * query)
    windows = _windows([question], max_seq_length=length, doc_stride=doc_stride)
    owned = collections.Counter()
    around = collections.defaultdict(int)
    own_around = {}
    for window in windows:
        assert len(window.input_ids) <= length
        num_tokens = len(window.token_starts)
        for place, (start, is_own) in enumerate(zip(window.token_starts.tolist(), window.is_max_context, strict=True)):
            smaller_side = min(place, num_tokens - 1 - place)
            around[start] = max(around[start], smaller_side)
            owned[start] += int(is_own)
            if is_own:
                own_around[start] = smaller_side
    assert owned == dict.fromkeys(range(0, 3 * words, 3), 1)
    assert all(around[start] - own_around[start] <= 1 for start in own_around)


def test_a_hundred_tokens_more_in_a_window_outweigh_one_more_beside_a_token():
    # Two windows: tokens 0 to 499, and 128 to 502, which is 125 tokens shorter. The middle between the first one's end
    # and the second one's start is at 313.5: without the lengths' hundredths, the second one owns all behind it.
    question = _question(" ".join("ab" for _ in range(503)), text="")
    first, second = _windows([question], max_seq_length=503, doc_stride=128)
    assert (len(first.token_starts), len(second.token_starts)) == (500, 375)
    assert np.flatnonzero(~first.is_max_context)[0] == 315
    assert 128 + np.flatnonzero(second.is_max_context)[0] == 315


@pytest.mark.parametrize("name", ["wordpiece", "gpt2_bpe", "sentencepiece"])
def test_every_answer_of_real_questions_is_recovered(shared_data, wordpiece, name):
    if name == "wordpiece":
        tokenizer = wordpiece
    else:
        tokenizer = load_with_special_tokens(shared_data / "tokenizers" / name).tokenizer
    questions = read_questions(shared_data / "squad-v2.0/dev.json", "squad", for_training=False).questions[::8]
    found = set()
    for window in _windows(questions, tokenizer, max_seq_length=384, doc_stride=64, max_query_length=64):
        question = questions[window.question_index]
        if window.start_position:
            found.add(question.id)
            text = covered_text(question, window, window.start_position, window.end_position)
            assert " ".join(question.answers[0].text.split()) in text
    assert found == {question.id for question in questions if not question.is_impossible}
