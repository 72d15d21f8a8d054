"""What is asked for, by the word that asks. Imports no TensorFlow."""

import itertools
import re

OTHER = "other"
_WORDS = ("who", "whom", "whose", "what", "when", "where", "which", "why")
_AFTER_HOW = ("far", "long", "many", "much", "old")
# All there are, in the order in which they are shown.
QUESTION_WORDS = (*_WORDS, *(f"how {word}" for word in _AFTER_HOW), f"how {OTHER}", OTHER)

_LETTERS = re.compile(r"[^\W\d_]+")


def question_word(question: str) -> str:
    """Returns the first word of a question that asks for something, one of QUESTION_WORDS.

    Case and punctuation do not matter: "What's", "(what" and "WHAT?" are what. "How" is told apart by the word after
    it.

    Deviation: the notebooks this follows look for words between white space, so that "what's" is no question word, and
    take the last of why, when, how, what, who, where, which, in this order of words, that occurs anywhere.

    Args:
        question: English text.
    """
    words = _LETTERS.findall(question.lower())
    for word, following in itertools.pairwise([*words, ""]):
        if word in _WORDS:
            return word
        if word == "how":
            return f"how {following if following in _AFTER_HOW else OTHER}"
    return OTHER
