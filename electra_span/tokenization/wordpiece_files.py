"""The files of a WordPiece tokenizer: vocab.txt, or tokenizer.json, and what stands beside it, as Hugging Face's."""

import dataclasses
import pathlib
from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple

from electra_span.config import HparamError, from_hparams
from electra_span.files import shown, write_text
from electra_span.tokenization import published
from electra_span.tokenization.vocabulary import SPECIAL_TOKENS, SpecialTokens, VocabularyError, check_vocabulary

MAX_WORD_LENGTH = 200  # code points, after normalisation; a longer word is unknown
PREFIX = "##"
BERT_WORDS: Mapping[str, Any] = {"type": "BertPreTokenizer"}
_THEIR_MAX_WORD_LENGTH = 100  # in transformers, where the class decides
_LARGEST_MAX_WORD_LENGTH = 100_000  # so that names that no word is equal to can be made
_TYPE = "wordpiece"


class Case(NamedTuple):
    """What a user says of letters; it holds where the files say nothing."""

    do_lower_case: bool = True
    strip_accents: bool | None = None  # None: as do_lower_case


@dataclasses.dataclass(frozen=True, kw_only=True)
class WordPieceSettings:
    """What a tokenizer_config.json says about WordPiece."""

    do_lower_case: bool = True
    strip_accents: bool | None = None
    tokenize_chinese_chars: bool = True

    @property
    def normalizer(self) -> dict[str, Any]:
        """The normalizer of a tokenizer.json that does this."""
        return bert_normalizer(self.do_lower_case, self.strip_accents, self.tokenize_chinese_chars)


@dataclasses.dataclass(frozen=True, kw_only=True)
class WordPieceDescription:
    """All that makes up a WordPiece tokenizer; objects are those of tokenizer.json."""

    vocabulary: Sequence[str]  # tokens in the order of their ids, added ones included
    normalizer: Mapping[str, Any] | None
    pre_tokenizer: Mapping[str, Any] | None = dataclasses.field(default_factory=lambda: BERT_WORDS)
    prefix: str = PREFIX  # of tokens inside words
    max_word_length: int = MAX_WORD_LENGTH
    unk_token: str | None = None  # where the files name it
    added_tokens: Sequence[Mapping[str, Any]] = ()  # found in texts as they are, before the algorithm
    other_special_tokens: Sequence[str] = ()  # in no text, as the five that every vocabulary has
    unlisted: Collection[str] = ()  # tokens that are added alone, so that no word is cut into them


def bert_normalizer(
    do_lower_case: bool, strip_accents: bool | None = None, tokenize_chinese_chars: bool = True
) -> dict[str, Any]:
    """Returns BERT's normalisation as in a tokenizer.json."""
    return {
        "type": "BertNormalizer",
        "clean_text": True,
        "handle_chinese_chars": tokenize_chinese_chars,
        "strip_accents": do_lower_case if strip_accents is None else strip_accents,
        "lowercase": do_lower_case,
    }


def read_wordpiece(path: pathlib.Path, beside: published.Beside, case: Case) -> WordPieceDescription:
    """Returns the tokenizer of a folder or a file.

    Args:
        path: a file with one token a line, a tokenizer.json, or a folder with either. Of a class that transformers
            rebuilds (see Beside), tokenizer_config.json alone decides about letters; else tokenizer.json does.
        beside: what stands beside it.
        case: what holds where the files say nothing.

    Raises:
        VocabularyError: where a file is missing, unreadable, of another kind, or against another one.
    """
    settings = _settings(path, beside.config, case)
    file = published.find_tokenizer_file(path)
    if file is None:
        return _from_lines(path / published.VOCABULARY_FILE if path.is_dir() else path, beside, settings)
    content = published.read_json(file)
    model = published.model_of(file, content)
    if model["type"] != "WordPiece":
        raise VocabularyError(f"{file}: the model must be WordPiece. Received: {shown(str(model['type']))}")
    is_rebuilt = beside.is_rebuilt(_TYPE)
    added = published.all_added(file, content, beside, is_rebuilt=is_rebuilt)
    description = _described(file, model.get("vocab"), added, normalizer=content.get("normalizer"))
    description = dataclasses.replace(
        description,
        pre_tokenizer=content.get("pre_tokenizer"),
        prefix=_checked(file, model, "continuing_subword_prefix", str, PREFIX),
        max_word_length=_checked(file, model, "max_input_chars_per_word", int, _THEIR_MAX_WORD_LENGTH),
        unk_token=_checked(file, model, "unk_token", str, SPECIAL_TOKENS.unk),
    )
    if path.is_dir() and (path / published.VOCABULARY_FILE).exists():
        _check_lines(path / published.VOCABULARY_FILE, file, description.vocabulary)
    return _rebuilt(file, description, beside, settings) if is_rebuilt else description


def _settings(path: pathlib.Path, config: Mapping[str, Any], case: Case) -> WordPieceSettings:
    """Returns the settings of a folder: as it says, else as the user does."""
    by_user = WordPieceSettings(do_lower_case=case.do_lower_case)
    names = [field.name for field in dataclasses.fields(WordPieceSettings)]
    try:
        said = from_hparams(WordPieceSettings, {name: config[name] for name in names if name in config})
    except HparamError as error:
        raise VocabularyError(f"{path / published.CONFIG_FILE}: {error}") from error
    do_lower_case = (said if "do_lower_case" in config else by_user).do_lower_case
    by_case = case.strip_accents if do_lower_case else False
    return dataclasses.replace(
        said,
        do_lower_case=do_lower_case,
        strip_accents=said.strip_accents if "strip_accents" in config else by_case,
    )


def _from_lines(path: pathlib.Path, beside: published.Beside, settings: WordPieceSettings) -> WordPieceDescription:
    """Returns the tokenizer of a file with one token a line."""
    text = published.read_text(path)
    published.check_is_list_of_tokens(path, text)
    tokens = published.lines_of(text)
    try:
        check_vocabulary(tokens)
    except VocabularyError as error:
        raise VocabularyError(f"{path}: {error}") from error
    listed = {token: token_id for token_id, token in enumerate(tokens)}
    is_theirs = beside.is_rebuilt(_TYPE) and "tokenizer_type" not in beside.config
    return dataclasses.replace(
        _described(path, listed, beside.added_tokens, normalizer=settings.normalizer),
        max_word_length=_THEIR_MAX_WORD_LENGTH if is_theirs else MAX_WORD_LENGTH,
    )


def _described(
    path: pathlib.Path,
    listed: Any,
    added: Mapping[str, Mapping[str, Any]],
    normalizer: Mapping[str, Any] | None,
) -> WordPieceDescription:
    """Returns a tokenizer of listed (ids by token) and added tokens."""
    return WordPieceDescription(
        vocabulary=published.vocabulary_of(path, listed, added),
        normalizer=normalizer,
        added_tokens=[token for token in added.values() if not token["special"]],
        other_special_tokens=[name for name, token in added.items() if token["special"]],
        unlisted=[name for name in added if name not in listed],
    )


def _rebuilt(
    file: pathlib.Path, description: WordPieceDescription, beside: published.Beside, settings: WordPieceSettings
) -> WordPieceDescription:
    """Returns the tokenizer that transformers 5 makes of the vocabulary; warns where the file says something else."""
    is_ours = "tokenizer_type" in beside.config
    built = dataclasses.replace(
        description,
        normalizer=settings.normalizer,
        pre_tokenizer=BERT_WORDS,
        prefix=PREFIX,
        max_word_length=description.max_word_length if is_ours else _THEIR_MAX_WORD_LENGTH,
        unk_token=None,
    )
    theirs = dataclasses.replace(description, normalizer=resolved(description.normalizer))
    parts = ("normalizer", "pre_tokenizer", "prefix", "max_word_length")
    unused = [name for name in parts if getattr(theirs, name) != getattr(built, name)]
    if unused:
        published.warn_of_unused(file, unused, beside)
    return built


def resolved(normalizer: Any) -> Any:
    """Returns a normalizer of a tokenizer.json with strip_accents of BERT's, which may be left to its lowercase."""
    if isinstance(normalizer, Mapping) and normalizer.get("type") == "BertNormalizer":
        strip_accents = normalizer.get("strip_accents")
        return {**normalizer, "strip_accents": normalizer.get("lowercase") if strip_accents is None else strip_accents}
    return normalizer


def _checked(path: pathlib.Path, model: Mapping[str, Any], name: str, kind: type, default: Any) -> Any:
    """Returns a field of a model; raises VocabularyError where it is of another type, empty, or out of bounds."""
    value = model.get(name, default)
    if type(value) is not kind or not value:
        raise VocabularyError(
            f"{path}: {name} must be a {kind.__name__} that is not empty. Received: {shown(repr(value))}"
        )
    if isinstance(value, int) and not 1 <= value <= _LARGEST_MAX_WORD_LENGTH:
        raise VocabularyError(f"{path}: {name} must be from 1 to {_LARGEST_MAX_WORD_LENGTH}. Received: {value}")
    return value


def _check_lines(path: pathlib.Path, file: pathlib.Path, vocabulary: Sequence[str]) -> None:
    """Raises VocabularyError where a vocab.txt has other tokens than the tokenizer.json that is read."""
    lines = published.lines_of(published.read_text(path))
    expected = published.lines_of("\n".join(vocabulary))
    for number, token in enumerate(lines):
        theirs = expected[number] if number < len(expected) else None
        if token != theirs:
            raise VocabularyError(
                f"{path}: must have the tokens of {file.name} in their order; remove the file that is wrong. Received: "
                f"{shown(repr(token))} on line {number + 1}, and {shown(repr(theirs))} there"
            )


def lowers(normalizer: Any) -> bool:
    """Returns whether a normalizer of a tokenizer.json lowers letters."""
    return _has(normalizer, "Lowercase", "lowercase")


def strips(normalizer: Any) -> bool:
    """Returns whether a normalizer of a tokenizer.json drops accents."""
    return _has(normalizer, "StripAccents", "strip_accents")


def _has(normalizer: Any, kind: str, flag: str) -> bool:
    if not isinstance(normalizer, Mapping):
        return False
    parts = normalizer.get("normalizers", [])
    is_here = normalizer.get("type") == kind or bool((resolved(normalizer) or {}).get(flag))
    return is_here or (isinstance(parts, list) and any(_has(part, kind, flag) for part in parts))


def tokenizer_json(
    description: WordPieceDescription,
    *,
    unk_token: str,
    special_tokens: Sequence[str] = (),
    post_processor: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Returns the content of a tokenizer.json.

    Args:
        description: the tokenizer.
        unk_token: stands for words that cannot be cut into tokens.
        special_tokens: those to be found in texts, as transformers does.
        post_processor: what puts special tokens around texts, if anything.
    """
    unlisted = set(description.unlisted)
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": published.added_with_special(description.vocabulary, description.added_tokens, special_tokens),
        "normalizer": description.normalizer,
        "pre_tokenizer": description.pre_tokenizer,
        "post_processor": post_processor,
        "decoder": {"type": "WordPiece", "prefix": description.prefix, "cleanup": True},
        "model": {
            "type": "WordPiece",
            "unk_token": unk_token,
            "continuing_subword_prefix": description.prefix,
            "max_input_chars_per_word": description.max_word_length,
            "vocab": {
                token: token_id for token_id, token in enumerate(description.vocabulary) if token not in unlisted
            },
        },
    }


def write_wordpiece(
    directory: pathlib.Path,
    description: WordPieceDescription,
    special_tokens: SpecialTokens,
    *,
    settings: Mapping[str, Any] | None = None,
    model_max_length: int | None,
) -> None:
    """Writes the files of a WordPiece tokenizer.

    Args:
        directory: made if it is not there.
        description: the tokenizer.
        special_tokens: their names.
        settings: do_lower_case and strip_accents, where these and the tokens are all of it: then vocab.txt is written.
        model_max_length: in tokens; None leaves it out.
    """
    directory.mkdir(parents=True, exist_ok=True)
    cased = {} if settings is None else {**settings, "tokenize_chinese_chars": True}
    published.write_config(directory, {**published.generic_config(_TYPE), **cased}, special_tokens, model_max_length)
    vocabulary_file = directory / published.VOCABULARY_FILE
    if settings is None:
        vocabulary_file.unlink(missing_ok=True)
    else:
        write_text(vocabulary_file, "".join(f"{token}\n" for token in description.vocabulary))
    content = tokenizer_json(
        description,
        unk_token=special_tokens.unk,
        special_tokens=[*special_tokens, *description.other_special_tokens],
        post_processor=published.around_texts(description.vocabulary, special_tokens),
    )
    published.write_json(directory / published.TOKENIZER_FILE, content)
