import os
import subprocess
import sys
import unicodedata

import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from electra_span.tokenization import normalization

SETTINGS = [(True, True), (True, False), (False, False)]
IDEOGRAPHS = [
    range(0x3400, 0x4DC0),
    range(0x4E00, 0xA000),
    range(0xF900, 0xFB00),
    range(0x20000, 0x2A6E0),
    range(0x2A700, 0x2CEB0),
    range(0x2F800, 0x2FA20),
]


def normalized_words(texts: list[str], do_lower_case: bool, strip_accents: bool) -> list[list[str]]:
    encoded = tf.constant([text.encode("utf-8", "ignore") for text in texts])
    normalized = normalization.normalize(encoded, do_lower_case=do_lower_case, strip_accents=strip_accents)
    return [row.decode().split() for row in normalization.space_words(normalized).numpy()]


def expected_words(text: str, do_lower_case: bool, strip_accents: bool) -> list[str]:
    """BERT's rules one character at a time, with Python's own Unicode tables."""
    words = []
    for word in "".join(map(_cleaned, text)).split():
        if do_lower_case:
            word = word.lower()
        if strip_accents:
            decomposed = unicodedata.normalize("NFD", word)
            word = "".join(character for character in decomposed if unicodedata.category(character) != "Mn")
        words += "".join(f" {character} " if _is_punctuation(character) else character for character in word).split()
    return words


def _cleaned(character: str) -> str:
    if character in "\t\n\r" or unicodedata.category(character).startswith("Z"):
        return " "
    if character == "\ufffd" or unicodedata.category(character).startswith("C"):
        return ""
    return f" {character} " if any(ord(character) in block for block in IDEOGRAPHS) else character


def _is_punctuation(character: str) -> bool:
    if character.isascii():
        return character.isprintable() and not character.isalnum() and character != " "
    return unicodedata.category(character).startswith("P")


def is_stable(character: str) -> bool:
    """Whether every Unicode version in use knows the code point, or none ever will."""
    code_point = ord(character)
    is_noncharacter = code_point & 0xFFFE == 0xFFFE or 0xFDD0 <= code_point <= 0xFDEF
    return is_noncharacter or unicodedata.ucd_3_2_0.category(character) != "Cn"


def representative_characters() -> list[str]:
    """All stable code points, but few of the thousands of ideographs, syllables and private-use characters."""
    uniform = [range(0x3401, 0x4DB5), range(0x4E01, 0x9FA5), range(0xAC01, 0xD7A3), range(0xD801, 0xF8FF)]
    uniform += [range(0x20001, 0x2A6D6), range(0xF0001, 0xFFFFD), range(0x100001, 0x10FFFD)]
    skipped = {code_point for block in uniform for code_point in block if code_point % 97}
    return [chr(code) for code in range(0x110000) if code not in skipped and is_stable(chr(code))]


@pytest.mark.parametrize(("do_lower_case", "strip_accents"), SETTINGS)
def test_every_code_point_is_kept_dropped_or_split_as_in_the_original(do_lower_case, strip_accents):
    characters = representative_characters()
    assert len(characters) > 10_000
    words = normalized_words([f"a{character}b" for character in characters], do_lower_case, strip_accents)
    different = [
        f"U+{ord(character):04X}"
        for character, row in zip(characters, words, strict=True)
        if row != expected_words(f"a{character}b", do_lower_case, strip_accents)
    ]
    assert different == []


@pytest.mark.parametrize(("do_lower_case", "strip_accents"), SETTINGS)
@given(text=st.text(st.characters().filter(is_stable)))
@hypothesis_settings(deadline=None)
def test_any_text_has_the_words_of_the_original(do_lower_case, strip_accents, text):
    assert normalized_words([text], do_lower_case, strip_accents) == [
        expected_words(text, do_lower_case, strip_accents)
    ]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Crème BRÛLÉE", ["creme", "brulee"]),
        ("ΟΔΥΣΣΕΥΣ", ["οδυσσευς"]),
        ("İstanbul", ["istanbul"]),
        ("日本go語", ["日", "本", "go", "語"]),
        ("don't $5<6", ["don", "'", "t", "$", "5", "<", "6"]),
        ("a\u200bb\x00c\ufffdd\ue000e\ufffff", ["abcdef"]),
        ("a\u00a0b\u3000c\u2028d\te", ["a", "b", "c", "d", "e"]),
        ("\u0301\u0308", []),
    ],
)
def test_lowered_text_without_accents(text, words):
    assert normalized_words([text], do_lower_case=True, strip_accents=True) == [words]


def test_bytes_that_are_not_utf8_are_dropped():
    texts = tf.constant([b"na\xc3\xafve", b"bad \xff\xfe utf8 \xc3", b"\xed\xa0\x80surrogate", b"a\x00b"])
    assert normalization.valid_utf8(texts).numpy().tolist() == [b"na\xc3\xafve", b"bad  utf8 ", b"surrogate", b"a\x00b"]


@pytest.mark.parametrize("locale", ["tr_TR.UTF-8", "lt_LT.UTF-8"])
def test_lower_case_does_not_depend_on_the_locale(locale):
    text = "ISPARTA İZMİR I\u0307 Ì Í Ĩ Į\u0301 J\u0301 ĮI"
    program = f"""
import tensorflow as tf
from electra_span.tokenization import normalization
for strip_accents in (True, False):
    words = normalization.normalize(tf.constant([{text!r}]), do_lower_case=True, strip_accents=strip_accents)
    print(ascii(words.numpy()[0].decode().split()))
"""
    result = subprocess.run(
        [sys.executable, "-c", program],
        env=os.environ | {"LC_ALL": locale, "PYTHONIOENCODING": "utf-8"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert result.stdout.splitlines() == [
        ascii(expected_words(text, do_lower_case=True, strip_accents=strip_accents)) for strip_accents in (True, False)
    ]
