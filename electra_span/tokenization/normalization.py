"""BERT's text normalisation as graph operations, equal to the original FullTokenizer's.

The original works word by word in Python, with the Unicode tables of that Python. Here a whole batch of texts goes
through a few regular expressions, with TensorFlow's tables: Unicode 15.0, but 13.0 for lower case, so the forty capital
letters that Unicode 14 added stay capital. As in the original, code points that the tables do not know are dropped.
"""

import tensorflow as tf
import tensorflow_text as tf_text

# Blanks other than the space itself: \P{Z} is all that is not a separator, so what is neither that nor a space.
_BLANK = r"[^\P{Z} ]|[\t\n\r]"

# Control, format, private-use and unassigned code points and noncharacters: what is in no other category.
_CONTROL = r"[^\p{L}\p{M}\p{N}\p{P}\p{S}\p{Z}]+|\x{FFFD}"

# Characters that are words by themselves: punctuation (in ASCII, all that is no letter or digit) and CJK ideographs.
_PUNCTUATION = r"!-/:-@\[-`{-~\p{P}"
IDEOGRAPH = (
    r"\x{3400}-\x{4DBF}\x{4E00}-\x{9FFF}\x{F900}-\x{FAFF}\x{20000}-\x{2A6DF}\x{2A700}-\x{2CEAF}\x{2F800}-\x{2FA1F}"
)
_LONE_CHARACTER = f"[{_PUNCTUATION}{IDEOGRAPH}]"

# TensorFlow lowers by the rules of the process's locale. These are the letters, beside ASCII, for which a Turkish,
# Azerbaijani or Lithuanian one has its own rules, and what every other makes of them.
_LOCALE_DEPENDENT_LOWERCASE = {"İ": "i\u0307", "Ì": "ì", "Í": "í", "Ĩ": "ĩ", "Į": "į"}


def valid_utf8(texts: tf.Tensor) -> tf.Tensor:
    """Returns texts (string [n]) without the bytes that are not UTF-8."""
    return tf.strings.unicode_transcode(texts, "UTF-8", "UTF-8", errors="ignore")


def normalize(texts: tf.Tensor, *, do_lower_case: bool, strip_accents: bool) -> tf.Tensor:
    """Returns texts as words between spaces, punctuation characters and CJK ideographs.

    Nothing else is left: no control characters, no blank but the space. Every code point is normalised by itself, but
    for the order of marks and the form of a final sigma.

    Args:
        texts: string [n], valid UTF-8.
        do_lower_case: whether letters are lowered.
        strip_accents: whether texts are decomposed (NFD) and their nonspacing marks dropped.

    Returns:
        string [n].
    """
    texts = tf.strings.regex_replace(texts, _BLANK, " ")
    texts = tf.strings.regex_replace(texts, _CONTROL, "")
    if do_lower_case:
        texts = tf.strings.lower(texts)  # ASCII only, the same in every locale
        if not strip_accents:  # with accents goes all that the locale decides
            for capital, small in _LOCALE_DEPENDENT_LOWERCASE.items():
                texts = tf.strings.regex_replace(texts, capital, small)
        texts = tf.strings.lower(texts, encoding="utf-8")
    if strip_accents:
        texts = tf.strings.regex_replace(tf_text.normalize_utf8(texts, "NFD"), r"\p{Mn}+", "")
    return texts


def space_words(texts: tf.Tensor) -> tf.Tensor:
    """Returns normalised texts (string [n]) with spaces around punctuation and ideographs, each a word by itself."""
    return tf.strings.regex_replace(texts, _LONE_CHARACTER, r" \0 ")
