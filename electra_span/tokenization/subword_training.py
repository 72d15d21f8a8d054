"""Byte-level BPE and SentencePiece tokenizers learned from text, with the libraries' own trainers."""

import io
import json
import sys
from collections.abc import Iterable, Sequence
from typing import Any

import sentencepiece
import tokenizers
from tokenizers import models, normalizers, pre_tokenizers, trainers

from electra_span.tokenization.byte_level_bpe import BpeDescription, ByteLevelBpeTokenizer
from electra_span.tokenization.sentencepiece_tokenizer import SentencePieceTokenizer
from electra_span.tokenization.vocabulary import SPECIAL_TOKENS, VocabularyError, check_special_tokens

_NUM_BYTES = 256
_MIN_CHARACTER_COVERAGE = 0.98  # SentencePiece's own limit
_MAX_LINE_BYTES = 1 << 26  # SentencePiece passes over longer lines without a word
_NUM_THREADS = 8  # not the machine's number of cores: sums of the unigram model depend on it


def train_bpe(
    lines: Iterable[str],
    *,
    vocab_size: int,
    min_frequency: int = 2,
    lowercase: bool = False,
    strip_accents: bool = False,
    special_tokens: Sequence[str] = SPECIAL_TOKENS,
) -> ByteLevelBpeTokenizer:
    """Returns a byte-level BPE tokenizer: special tokens, all bytes, then what is merged of them.

    The first word of a text is encoded as any other, as after a space.

    Args:
        lines: the text.
        vocab_size: the number of tokens; fewer come out where the text has not so many pieces.
        min_frequency: how often a pair must be in the text to be merged.
        lowercase: whether texts are lowered.
        strip_accents: whether texts are decomposed (NFD) and their accents dropped.
        special_tokens: in the order of their ids, those of the five roles among them.

    Raises:
        VocabularyError: for a number out of range, or special tokens that do not have all roles.
    """
    names = check_special_tokens(special_tokens)
    min_size = _NUM_BYTES + len(special_tokens)
    if vocab_size < min_size:
        raise VocabularyError(f"vocab_size must be at least {min_size}, for all bytes. Received: {vocab_size}")
    if min_frequency < 1:
        raise VocabularyError(f"min_frequency must be at least 1. Received: {min_frequency}")
    backend = tokenizers.Tokenizer(models.BPE())
    parts: list[normalizers.Normalizer] = [normalizers.Lowercase()] if lowercase else []
    parts += [normalizers.NFD(), normalizers.StripAccents()] if strip_accents else []
    if parts:
        backend.normalizer = normalizers.Sequence(parts)
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        min_frequency=min_frequency,
        show_progress=sys.stderr.isatty(),
        special_tokens=list(special_tokens),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
    )
    backend.train_from_iterator(lines, trainer)
    content = json.loads(backend.to_str())
    ids = content["model"]["vocab"]
    description = BpeDescription(
        vocabulary=sorted(ids, key=ids.__getitem__),
        merges=[(left, right) for left, right in content["model"]["merges"]],
        normalizer=content["normalizer"],
        pre_tokenizer=content["pre_tokenizer"],
        other_special_tokens=[token for token in special_tokens if token not in names],
    )
    return ByteLevelBpeTokenizer(description)


def train_sentencepiece(
    lines: Iterable[str],
    *,
    model_type: str,
    vocab_size: int,
    lowercase: bool = False,
    character_coverage: float = 0.9995,
    special_tokens: Sequence[str] = SPECIAL_TOKENS,
) -> SentencePieceTokenizer:
    """Returns a SentencePiece tokenizer: special tokens, then pieces.

    Args:
        lines: the text; all of it is held in memory.
        model_type: unigram or bpe.
        vocab_size: the number of pieces; fewer come out where the text has not so many.
        lowercase: whether texts are case-folded, beside what is done to all (NFKC, and one space for any blanks).
        character_coverage: the share of the text's characters that have pieces, the most frequent ones.
        special_tokens: in the order of their ids, those of the five roles among them.

    Raises:
        VocabularyError: for a number out of range, special tokens that do not have all roles, or too little text.
    """
    names = check_special_tokens(special_tokens)
    if not _MIN_CHARACTER_COVERAGE <= character_coverage <= 1:
        raise VocabularyError(
            f"character_coverage must be from {_MIN_CHARACTER_COVERAGE} to 1. Received: {character_coverage}"
        )
    places: dict[str, Any] = {}
    for spec, token in (("pad", names.pad), ("unk", names.unk), ("bos", names.cls), ("eos", names.sep)):
        places |= {f"{spec}_id": special_tokens.index(token), f"{spec}_piece": token}
    named = (names.pad, names.unk, names.cls, names.sep)
    writer = io.BytesIO()
    try:
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter(lines),
            model_writer=writer,
            model_type=model_type,
            vocab_size=vocab_size,
            character_coverage=character_coverage,
            normalization_rule_name="nmt_nfkc_cf" if lowercase else "nmt_nfkc",
            control_symbols=[token for token in special_tokens if token not in named],
            hard_vocab_limit=False,
            max_sentence_length=_MAX_LINE_BYTES,
            shuffle_input_sentence=False,
            num_threads=_NUM_THREADS,
            minloglevel=2,
            **places,
        )
    except (RuntimeError, OSError) as error:
        raise VocabularyError(f"no SentencePiece model can be learned: {error}") from error
    return SentencePieceTokenizer(writer.getvalue())
