"""Records ids of BERT's own FullTokenizer on texts made here, into tests/golden/wordpiece.

Needs Python 3.11 (Unicode 14) and the package bert-tensorflow 1.0.4, which Google published BERT's code in; not an
extra of this project, because nothing else needs it.

Example:
    pip install --no-deps bert-tensorflow==1.0.4 six absl-py
    python tests/golden/record_wordpiece.py
"""

import json
import pathlib
import random
import unicodedata

from absl import flags
from bert.tokenization import FullTokenizer

FOLDER = pathlib.Path(__file__).resolve().parent / "wordpiece"
SPECIAL_TOKENS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
WORDS = (
    "the lamp hangs over a table of oak and nobody moved it in summer when rain came from sea we eat soup with "
    "fig bread then go to sleep un happy like ly ness re do ing ed er est s play work read cold Berlin Oslo CAFÉ café "
    "cafe naïve naive straße strasse σοφός σοφοσ мир война город אבג देश ไทย 한국 東京 山 川 水"
)
# What the texts are put together from: one list per kind of difficulty.
PIECES = {
    "english": "The lamp|hangs|over|OAK|table|unhappiness|replaying|soup|workers'|rereads|it's|3.14|no-one|and|Berlin",
    "accents": "Café|cafe\u0301|naïve|NAÏVE|Straße|ÅNGSTRÖM|Dvořák|fiancée|ﬁg|İstanbul|résumé|Ñandú|a\u0301\u0328b",
    "scripts": "мир|ВОЙНА|Ёлка|σοφός|ΣΟΦΙΑ|אָבג|देशों|हिन्दी|ไทย|한국어|東京の山|山川水|カタカナ|𠀀𠀁|العربية",
    "punctuation": "...|(a)|b-c|$5|x^2|`q`|~|«lamp»|“rain”|sea—oak|¿soup?|e.g.|100%|a/b|#tag|@home|[MASK]|·|…|、|。",
    "controls": "a\u200bb|\ufeffrain|tab\there|line\nfeed|\u00a0|\u3000|\u2028|so\u00adft|\u0000|\ufffd|\x7f|\u202e|\r",
    "emoji": "\U0001f600|\U0001f469\u200d\U0001f52c|\U0001f1f3\U0001f1f4|\u2764\ufe0f|\u2602|\U0001f3fd|\U0001fae0",
    "long": "x" * 199 + "|" + "y" * 200 + "|" + "z" * 201 + "|" + "un" * 60 + "|" + "é" * 150,
}
ALPHABET = (
    "".join(WORDS.split()) + "abcdefghijklmnopqrstuvwxyzABCXYZ0123456789.,;:!?'\"()[]{}-_/\\@#$%^&*+=<>|~`é\u0301"
)
SETTINGS = {"lower_strip": True, "lower_keep_accents": True, "cased": False}
BYTES = (b"rain \xff\xfe came", b"caf\xc3\xa9", b"caf\xc3", b"\xe6\x9d\xb1\xe4\xba", b"a\x00b", b"\xed\xa0\x80oak")


def main() -> None:
    """Writes the vocabulary, the texts with their ids under each setting, and the ids of bytes."""
    flags.FLAGS.mark_as_parsed()
    FOLDER.mkdir(parents=True, exist_ok=True)
    (FOLDER / "vocab.txt").write_text("\n".join(make_vocabulary()) + "\n", encoding="utf-8")
    tokenizers = {name: make_tokenizer(name) for name in SETTINGS}
    with (FOLDER / "strings.jsonl").open("w") as file:
        for number, (group, text) in enumerate(make_texts(random.Random(7))):
            row = {"i": number, "group": group, "text": text}
            row |= {name: encode(tokenizer, text) for name, tokenizer in tokenizers.items()}
            file.write(to_line(row))
    with (FOLDER / "bytes.jsonl").open("w") as file:
        for value in BYTES:
            file.write(to_line({"bytes_hex": value.hex(), "lower_strip": encode(tokenizers["lower_strip"], value)}))


def make_vocabulary() -> list[str]:
    """Returns special tokens, whole words, endings and every character of the texts but some of each kind."""
    words = sorted({form for word in WORDS.split() for form in (word, word.lower())})
    endings = [
        f"##{word}" for word in ("s", "ing", "ed", "er", "ness", "ly", "play", "un", "happi", "ес", "ς", "ों", "é")
    ]
    characters = sorted({letter for letter in ALPHABET + "".join(PIECES.values()) if letter.isprintable()} - set(" |"))
    kept = [letter for number, letter in enumerate(characters) if number % 7]  # the others become [UNK]
    tokens = [*SPECIAL_TOKENS, *words, *endings, *kept, *(f"##{letter}" for letter in kept[::2])]
    return list(dict.fromkeys(tokens))


def make_texts(rng: random.Random) -> list[tuple[str, str]]:
    """Returns pairs of group and text: each piece alone, pieces of one kind, pieces of all kinds, and noise."""
    kinds = {name: text.split("|") for name, text in PIECES.items()}
    every = [piece for name, pieces in kinds.items() if name != "long" for piece in pieces]
    texts = [("empty", ""), ("empty", " \t\n")]
    texts += [(name, piece) for name, pieces in kinds.items() for piece in pieces]
    texts += [(name, " ".join(rng.choices(pieces, k=6))) for name, pieces in kinds.items() if name != "long"]
    texts += [("mixed", rng.choice(["", " "]).join(rng.choices(every, k=8))) for _ in range(24)]
    return texts + [("noise", "".join(chr(draw_code_point(rng)) for _ in range(20))) for _ in range(16)]


def draw_code_point(rng: random.Random) -> int:
    """Returns an assigned code point, most often one of the lower blocks.

    Unassigned and private ones are left out: BERT's class keeps them and ELECTRA's drops them.
    """
    while True:
        code = rng.randrange(rng.choice([0x80, 0x250, 0x2000, 0x3100, 0x10000, 0x1FB00]))
        if unicodedata.category(chr(code)) not in ("Cn", "Co", "Cs"):
            return code


def to_line(row: dict) -> str:
    """Returns a row as one line of JSON in ASCII."""
    return json.dumps(row, separators=(",", ":")) + "\n"


def make_tokenizer(name: str) -> FullTokenizer:
    """Returns the tokenizer of one setting."""
    tokenizer = FullTokenizer(str(FOLDER / "vocab.txt"), do_lower_case=SETTINGS[name])
    if name == "lower_keep_accents":
        # ELECTRA's copy of this class has strip_accents=False for it, which leaves this one step out.
        tokenizer.basic_tokenizer._run_strip_accents = lambda text: text
    return tokenizer


def encode(tokenizer: FullTokenizer, text: str | bytes) -> dict[str, list]:
    """Returns the tokens and ids of a text."""
    tokens = tokenizer.tokenize(text)
    return {"tokens": tokens, "ids": tokenizer.convert_tokens_to_ids(tokens)}


if __name__ == "__main__":
    main()
