"""The vocabularies that lie beside the weights of a source."""

import os

from electra_span.config import EncoderConfig
from electra_span.convert.halves import Half
from electra_span.convert.tf1 import ConversionError
from electra_span.pretrained import read_tokenizer
from electra_span.tokenization import Tokenizer, load_tokenizer
from electra_span.tokenization.published import CONFIG_FILE, VOCABULARY_FILE


def source_tokenizer(half: Half, *, do_lower_case: bool = True) -> Tokenizer | None:
    """Returns the tokenizer beside a half's weights, None where there is none.

    Args:
        half: of a source.
        do_lower_case: whether a vocabulary without settings is of lowered texts.

    Raises:
        UserError: it cannot be used, or has more tokens than the half has vectors.
    """
    if not half.located.weights.is_tf1 or (half.folder / CONFIG_FILE).exists():
        return read_tokenizer(half.folder, half.architecture.config, do_lower_case=do_lower_case)
    file = half.folder / VOCABULARY_FILE
    if not file.exists():
        return None
    return checked_against(half.architecture.config, load_tokenizer(file, do_lower_case=do_lower_case), file)


def checked_against(config: EncoderConfig, tokenizer: Tokenizer, file: str | os.PathLike[str]) -> Tokenizer:
    """Returns a tokenizer that a model has a vector of each token for; raises ConversionError for another one.

    Args:
        config: of the model's encoder.
        tokenizer: to be checked.
        file: it is from.
    """
    if tokenizer.vocab_size > config.vocab_size:
        raise ConversionError(
            f"{file}: must have at most the model's {config.vocab_size} tokens. Received: {tokenizer.vocab_size}"
        )
    return tokenizer
