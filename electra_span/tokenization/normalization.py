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


_ROW_BITS = 32  # positions in one text are below 2^32


def characters_at(positions: tf.Tensor, rows: tf.Tensor, lengths: tf.RaggedTensor) -> tf.Tensor:
    """Returns the number in its text of the character that each byte is in, int32 [K, T]; behind the last, their count.

    Args:
        positions: integers [K, T], bytes in the texts.
        rows: the texts, among n.
        lengths: integers [n, None], the bytes of each character; 0 for those that no byte is in.
    """
    # All texts end to end, so that one search does.
    behind = tf.cumsum(tf.cast(lengths.flat_values, tf.int64))
    starts = lengths.row_starts()
    first_bytes = tf.gather(tf.concat([[0], behind], axis=0), starts)  # [n]
    found = _num_not_above(tf.cast(positions, tf.int64) + tf.gather(first_bytes, rows), behind)
    return found - tf.gather(tf.cast(starts, tf.int32), rows)


def num_up_to(positions: tf.Tensor, rows: tf.Tensor, among: tf.RaggedTensor) -> tf.Tensor:
    """Returns how many numbers of its text each position is not below, int32 [K, T].

    Args:
        positions: integers [K, T], from 0 to 2^32.
        rows: the texts, among n.
        among: int64 [n, None], ascending in every row, from 0 to 2^32.
    """
    # Every text has a range of its own, so that one search over all of them does.
    bases = tf.bitwise.left_shift(rows, tf.constant(_ROW_BITS, tf.int64))
    keys = tf.bitwise.left_shift(among.value_rowids(), tf.constant(_ROW_BITS, tf.int64)) + among.flat_values
    found = _num_not_above(tf.cast(positions, tf.int64) + bases, keys)
    return found - tf.cast(tf.gather(among.row_starts(), rows), tf.int32)


def utf8_lengths(code_points: tf.RaggedTensor) -> tf.RaggedTensor:
    """Returns the bytes of code points (int32 [n, None]) in UTF-8, int32 [n, None]."""
    is_longer = tf.stack([code_points.flat_values >= first for first in (0x80, 0x800, 0x10000)])
    return code_points.with_flat_values(1 + tf.reduce_sum(tf.cast(is_longer, tf.int32), axis=0))


def ends_of(character: str, texts: tf.Tensor, rows: tf.Tensor) -> tf.RaggedTensor:
    """Returns the byte behind each occurrence of a character in some of the texts.

    Args:
        character: one code point.
        texts: string [n], valid UTF-8.
        rows: int64 [r], ascending; the texts that are searched.

    Returns:
        int64 [n, None]; none for the other texts.
    """
    code_points, starts = tf.strings.unicode_decode_with_offsets(tf.gather(texts, rows), "UTF-8")
    is_found = tf.equal(code_points.flat_values, ord(character))
    found_rows = tf.gather(rows, tf.boolean_mask(starts.value_rowids(), is_found))
    found = tf.boolean_mask(starts.flat_values, is_found) + len(character.encode())
    num_texts = tf.shape(texts, out_type=tf.int64)[0]
    return tf.RaggedTensor.from_value_rowids(found, found_rows, nrows=num_texts, validate=False)


def _num_not_above(values: tf.Tensor, among: tf.Tensor) -> tf.Tensor:
    """Returns how many of among (int64 [N], ascending) are not above each of values (int64 [K, T]): int32 [K, T]."""
    flat_values = tf.reshape(values, [1, -1])
    found = tf.raw_ops.UpperBound(sorted_inputs=among[tf.newaxis], values=flat_values)
    return tf.reshape(found, tf.shape(values))
