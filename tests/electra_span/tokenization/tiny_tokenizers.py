"""Small byte-level BPE and SentencePiece tokenizers for tests."""

import io

import sentencepiece
import tokenizers

SPECIAL_TOKENS = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
ALPHABET = sorted(tokenizers.pre_tokenizers.ByteLevel.alphabet())
MERGES = [("t", "h"), ("th", "e"), ("Ġ", "th"), ("Ġ", "the"), ("c", "a"), ("ca", "t"), ("Ġ", "cat"), ("Ã", "©")]
BPE_VOCABULARY = [*SPECIAL_TOKENS, *ALPHABET, *("".join(merge) for merge in MERGES)]
LINES = [f"the cat number {number} sat on the mat, and the café cat ran" for number in range(40)]


def train_model(model_type, **options):
    """Returns the content of a small SentencePiece model."""
    writer = io.BytesIO()
    defaults = {
        "vocab_size": 70,
        "pad_id": 3,
        "control_symbols": ["<mask>", "<eod>"],
        "user_defined_symbols": ["<br>"],
        "minloglevel": 2,
        "hard_vocab_limit": model_type == "bpe",
    }
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(LINES), model_writer=writer, model_type=model_type, **{**defaults, **options}
    )
    return writer.getvalue()
