"""The text of an answer, from the tokens that a model points at."""

import re
import unicodedata
from collections.abc import Callable

from finetune.qa.examples import Question
from finetune.qa.windows import Window

# Between the words of a context, as the original splits it.
WHITE_SPACE = re.compile("[ \t\r\n\u202f]+")

# Returns the text of the tokens from one position of a window to another, inclusive.
AnswerText = Callable[[Question, Window, int, int], str]


def covered_text(question: Question, window: Window, start_position: int, end_position: int) -> str:
    """Returns the part of the context that tokens cover, with single spaces between its words.

    Deviation: the original goes back to whole words, and looks in them for the tokens' text, which fails where
    normalisation changes the number of characters, and in text without spaces; see `alignment`.

    Args:
        question: whose context it is.
        window: of the question.
        start_position, end_position: the first and the last token, in the window's input_ids.
    """
    start = int(window.token_starts[start_position - window.first_context_position])
    end = int(window.token_ends[end_position - window.first_context_position])
    # No token covers an accent that the tokenizer drops; it belongs to the letter before it.
    while end < len(question.context) and unicodedata.category(question.context[end]) == "Mn":
        end += 1
    return WHITE_SPACE.sub(" ", question.context[start:end]).strip()
