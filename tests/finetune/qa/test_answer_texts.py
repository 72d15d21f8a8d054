"""The texts of answers in a graph are those of the evaluation of fine-tuned models."""

import numpy as np
import tensorflow as tf
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from electra_span.inference.n_best import answer_texts, context_text
from finetune.qa.decoding import covered_text
from finetune.qa.examples import Question
from finetune.qa.windows import Window

BLANKS = "".join(map(chr, [*range(9, 14), *range(28, 33), 0x85, 0xA0, 0x1680, 0x2007, 0x2028, 0x202F, 0x205F, 0x3000]))
CHARACTERS = st.sampled_from(f"ab日\u0301\u0300\u200b\x00\U0001f600{BLANKS}      ")


def _covered(context, start, end):
    window = Window(0, 0, np.zeros(0), 0, np.array([start]), np.array([end]), np.zeros(0), 0, 0)
    return covered_text(Question("", "", context, (), (), False), window, 0, 0)


@given(data=st.data(), contexts=st.lists(st.text(CHARACTERS, max_size=12), min_size=1, max_size=3))
@hypothesis_settings(deadline=None)
def test_texts_are_those_of_the_evaluation_and_places_those_of_the_texts(data, contexts):
    rows = data.draw(st.lists(st.integers(0, len(contexts) - 1), max_size=4))
    spans = [sorted(data.draw(st.tuples(*[st.integers(0, len(contexts[row]))] * 2))) for row in rows]
    starts, ends = np.array(spans, np.int32).reshape(-1, 2).T
    found = answer_texts(context_text(tf.constant(contexts)), tf.constant(rows, tf.int64, [len(rows)]), starts, ends)
    texts = [text.decode() for text in found.texts.numpy()]
    assert texts == [_covered(contexts[row], *span) for row, span in zip(rows, spans, strict=True)]
    for row, text, start, end in zip(rows, texts, found.starts.numpy(), found.ends.numpy(), strict=True):
        assert 0 <= start <= end <= len(contexts[row])
        covered = contexts[row][start:end]
        assert covered == covered.strip()
        assert covered.split() == text.split()


def test_every_character_that_python_strips_is_a_blank():
    blanks = [chr(code_point) for code_point in range(0x3100) if chr(code_point).isspace()]
    found = answer_texts(
        context_text(tf.constant([f"{blank}a{blank}" for blank in blanks])),
        tf.range(len(blanks), dtype=tf.int64),
        tf.zeros(len(blanks), tf.int32),
        tf.fill(len(blanks), 3),
    )
    assert len(blanks) > 20
    assert set(found.texts.numpy()) == {b"a"}
    assert set(zip(found.starts.numpy(), found.ends.numpy(), strict=True)) == {(1, 2)}
