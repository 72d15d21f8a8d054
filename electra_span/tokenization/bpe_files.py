"""The files of a byte-level BPE tokenizer: vocab.json and merges.txt, or tokenizer.json, as Hugging Face's."""

import dataclasses
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

from electra_span.tokenization import published
from electra_span.tokenization.vocabulary import SpecialTokens, VocabularyError

VOCABULARY_FILE = "vocab.json"
MERGES_FILE = "merges.txt"
_FIRST_LINE = "#version: 0.2"
_BYTE_LEVEL = "ByteLevel"

# Fields of tokenizer.json's BPE that make another algorithm of it, and the values that do not.
_OTHER_ALGORITHMS = {
    "dropout": (None, 0.0),
    "byte_fallback": (None, False),
    "continuing_subword_prefix": (None, ""),
    "end_of_word_suffix": (None, ""),
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class BpeDescription:
    """All that makes up a byte-level BPE tokenizer; objects are those of tokenizer.json."""

    vocabulary: Sequence[str]  # tokens in the order of their ids, added ones included
    merges: Sequence[tuple[str, str]]  # the first is made first
    normalizer: Mapping[str, Any] | None = None
    pre_tokenizer: Mapping[str, Any] = dataclasses.field(
        default_factory=lambda: {
            "type": _BYTE_LEVEL,
            "add_prefix_space": False,
            "trim_offsets": True,
            "use_regex": True,
        }
    )
    ignore_merges: bool = False  # whether a word that is a token is taken whole
    added_tokens: Sequence[Mapping[str, Any]] = ()  # found in texts as they are, before the algorithm
    other_special_tokens: Sequence[str] = ()  # in no text, as the five that every vocabulary has


def read_bpe(path: pathlib.Path) -> BpeDescription:
    """Returns the tokenizer of a folder or one of its files.

    Args:
        path: a folder with tokenizer.json, or with vocab.json and merges.txt; or any of these files.

    Raises:
        VocabularyError: where one is missing, unreadable, or of another kind of tokenizer.
    """
    if path.is_dir():
        is_one_file = (path / published.TOKENIZER_FILE).exists()
        path = path / (published.TOKENIZER_FILE if is_one_file else VOCABULARY_FILE)
    elif path.name == MERGES_FILE:
        path = path.with_name(VOCABULARY_FILE)
    content = published.read_json(path)
    if isinstance(content.get("model"), Mapping):
        return _from_tokenizer_file(path, content)
    return BpeDescription(
        vocabulary=published.tokens_in_order(path, content), merges=_read_merges(path.with_name(MERGES_FILE))
    )


def _from_tokenizer_file(path: pathlib.Path, content: Mapping[str, Any]) -> BpeDescription:
    model = content["model"]
    if model.get("type") != "BPE" or not _is_byte_level(content.get("pre_tokenizer") or {}):
        raise VocabularyError(
            f"{path}: the model must be BPE behind a byte-level pre-tokenizer. Received: {model.get('type')}; where "
            "there is a .model file of SentencePiece beside it, name that"
        )
    for name, values in _OTHER_ALGORITHMS.items():
        if model.get(name) not in values:
            raise VocabularyError(f"{path}: {name} must be {values[0]}. Received: {model[name]!r}")
    added = content.get("added_tokens", [])
    return BpeDescription(
        vocabulary=published.all_tokens(path, content),
        merges=[_pair(path, merge) for merge in model.get("merges", [])],
        normalizer=content.get("normalizer"),
        pre_tokenizer=content["pre_tokenizer"],
        ignore_merges=bool(model.get("ignore_merges", False)),
        added_tokens=[token for token in added if not token.get("special")],
        other_special_tokens=[token["content"] for token in added if token.get("special")],
    )


def _is_byte_level(pre_tokenizer: Mapping[str, Any]) -> bool:
    parts = pre_tokenizer.get("pretokenizers", []) if pre_tokenizer.get("type") == "Sequence" else [pre_tokenizer]
    return any(part.get("type") == _BYTE_LEVEL for part in parts)


def _read_merges(path: pathlib.Path) -> list[tuple[str, str]]:
    """Returns the pairs of a merges.txt, in its order."""
    lines = [line.rstrip("\r") for line in published.read_text(path).split("\n")]
    if lines[0].startswith("#version"):
        lines = lines[1:]
    return [_pair(path, line) for line in lines if line]


def _pair(path: pathlib.Path, merge: str | Sequence[str]) -> tuple[str, str]:
    parts = merge.split(" ") if isinstance(merge, str) else merge
    if len(parts) != 2:
        raise VocabularyError(f"{path}: a merge must be two tokens. Received: {merge!r}")
    return parts[0], parts[1]


def tokenizer_json(
    description: BpeDescription,
    *,
    unk_token: str,
    special_tokens: Sequence[str],
    post_processor: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Returns the content of a tokenizer.json.

    Args:
        description: the tokenizer.
        unk_token: stands for bytes that are no tokens, where there are any.
        special_tokens: those to be found in texts, as transformers does.
        post_processor: what puts special tokens around texts, if anything.
    """
    ids = {token: token_id for token_id, token in enumerate(description.vocabulary)}
    special = {
        token: {"content": token, "single_word": False, "lstrip": False, "rstrip": False, "normalized": False}
        for token in special_tokens
    }
    added = [{**token, "special": False} for token in description.added_tokens if token["content"] not in special]
    added += [{**token, "special": True} for token in special.values()]
    added.sort(key=lambda token: ids[token["content"]])
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": sorted(
            ({**token, "id": ids[token["content"]]} for token in added), key=lambda each: each["id"]
        ),
        "normalizer": description.normalizer,
        "pre_tokenizer": description.pre_tokenizer,
        "post_processor": post_processor,
        "decoder": {"type": _BYTE_LEVEL, "add_prefix_space": True, "trim_offsets": True, "use_regex": True},
        "model": {
            "type": "BPE",
            "dropout": None,
            "unk_token": unk_token,
            "continuing_subword_prefix": None,
            "end_of_word_suffix": None,
            "fuse_unk": False,
            "byte_fallback": False,
            "ignore_merges": description.ignore_merges,
            "vocab": ids,
            "merges": [list(merge) for merge in description.merges],
        },
    }


def write_bpe(
    directory: pathlib.Path,
    description: BpeDescription,
    *,
    special_tokens: SpecialTokens,
    other_special_tokens: Sequence[str],
    model_max_length: int | None,
) -> None:
    """Writes vocab.json, merges.txt, tokenizer.json and tokenizer_config.json; see Tokenizer.save."""
    directory.mkdir(parents=True, exist_ok=True)
    content = tokenizer_json(
        description,
        unk_token=special_tokens.unk,
        special_tokens=[*special_tokens, *other_special_tokens],
        post_processor=published.around_texts(description.vocabulary, special_tokens),
    )
    merges = "".join(f"{left} {right}\n" for left, right in description.merges)
    (directory / MERGES_FILE).write_text(f"{_FIRST_LINE}\n{merges}", encoding="utf-8")
    published.write_json(directory / VOCABULARY_FILE, content["model"]["vocab"])
    published.write_json(directory / published.TOKENIZER_FILE, content)
    published.write_config(directory, published.generic_config("bpe"), special_tokens, model_max_length)
