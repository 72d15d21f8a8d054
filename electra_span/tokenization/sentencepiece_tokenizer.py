"""The files of a SentencePiece tokenizer: its .model, and the tokenizer.json that Hugging Face's tokenizers read."""

import base64
import enum
import functools
import hashlib
import itertools
import pathlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal, TypeAlias

import numpy as np
import sentencepiece
import tensorflow as tf
import tensorflow_text as tf_text
from google.protobuf import __version__ as protobuf_version
from google.protobuf import runtime_version
from google.protobuf.message import DecodeError

from electra_span.files import shown
from electra_span.tokenization import base, normalization, published
from electra_span.tokenization.vocabulary import SpecialTokens, VocabularyError

MODEL_FILE = "spiece.model"
# As ALBERT, XLNet and T5, Llama, DeBERTa, and the rest name it.
_MODEL_FILES = (MODEL_FILE, "tokenizer.model", "spm.model", "sentencepiece.bpe.model")
SPACE = "▁"
ModelProto: TypeAlias = Any  # protobuf's generated modules have no types
_UNIGRAM, _BPE = 1, 2  # of TrainerSpec.ModelType


class PieceType(enum.IntEnum):
    """ModelProto.SentencePiece.Type, without the module that needs a certain protobuf."""

    NORMAL = 1
    UNKNOWN = 2
    CONTROL = 3
    USER_DEFINED = 4
    UNUSED = 5
    BYTE = 6


def find_model(path: pathlib.Path) -> pathlib.Path | None:
    """Returns the .model file that a path names or, of a folder, holds; None where there is none."""
    if not path.is_dir():
        return path if path.suffix == ".model" else None
    named = [path / name for name in _MODEL_FILES if (path / name).exists()]
    return next(iter(named or sorted(path.glob("*.model"))), None)


def read_model(path: pathlib.Path) -> bytes:
    """Returns the content of a .model file."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise VocabularyError(f"{path}: cannot be read ({error.strerror})") from error


def parse_model(model: bytes) -> ModelProto:
    """Returns a model's fields.

    Raises:
        VocabularyError: where it is no model, or one of a kind whose words cannot be told.
    """
    proto = _new_proto()
    try:
        proto.ParseFromString(model)
    except DecodeError as error:
        raise VocabularyError(f"not a SentencePiece model ({error})") from error
    if proto.trainer_spec.model_type not in (_UNIGRAM, _BPE):
        raise VocabularyError(f"model_type must be unigram or bpe. Received: {proto.trainer_spec.model_type}")
    if proto.trainer_spec.treat_whitespace_as_suffix:
        raise VocabularyError("treat_whitespace_as_suffix must be false. Received: true")
    return proto


def _new_proto() -> ModelProto:
    """Returns a model without fields.

    sentencepiece 0.2.3 has a module that protobuf refuses below 7.36.1, and does not require that version. Imported
    here, it stops only those who use SentencePiece.

    Raises:
        VocabularyError: the installed versions of sentencepiece and protobuf do not go together.
    """
    try:
        from sentencepiece import sentencepiece_model_pb2
    except (ImportError, runtime_version.VersionError) as error:
        raise VocabularyError(
            f"the installed sentencepiece does not work with protobuf {protobuf_version}: pip install "
            f"'sentencepiece<0.2.3'. Received: {shown(str(error))}"
        ) from error
    return vars(sentencepiece_model_pb2)["ModelProto"]()


def with_control_symbols(model: bytes, names: Sequence[str]) -> bytes:
    """Returns a model in which names are control symbols: appended, or changed where they are of another kind."""
    proto = parse_model(model)
    pieces = {piece.piece: piece for piece in proto.pieces}
    changed = [name for name in names if name not in pieces or pieces[name].type != PieceType.CONTROL]
    for name in changed:
        piece = pieces[name] if name in pieces else proto.pieces.add(piece=name, score=0.0)
        piece.type = PieceType.CONTROL
    return proto.SerializeToString() if changed else model


def write_sentencepiece(
    directory: pathlib.Path,
    model: bytes,
    *,
    special_tokens: SpecialTokens,
    never_in_text: Sequence[str],
    model_max_length: int | None,
) -> None:
    """Writes spiece.model, tokenizer.json and tokenizer_config.json; see Tokenizer.save."""
    directory.mkdir(parents=True, exist_ok=True)
    (directory / MODEL_FILE).write_bytes(model)
    published.write_json(directory / published.TOKENIZER_FILE, tokenizer_json(model, special_tokens, never_in_text))
    published.write_config(directory, published.generic_config("sentencepiece"), special_tokens, model_max_length)


def tokenizer_json(model: bytes, special_tokens: SpecialTokens, never_in_text: Sequence[str]) -> dict[str, Any]:
    """Returns the content of a tokenizer.json with a model's ids.

    Deviation: where the model is BPE, spaces around user-defined symbols are lost or added there.

    Args:
        model: the content of a .model file.
        special_tokens: their names.
        never_in_text: all control symbols.
    """
    proto = parse_model(model)
    vocabulary = [piece.piece for piece in proto.pieces]
    special = {*special_tokens, *never_in_text}
    is_bpe = proto.trainer_spec.model_type == _BPE
    added = [
        {"id": token_id, "content": piece.piece, "special": piece.piece in special, "normalized": False}
        | dict.fromkeys(("single_word", "lstrip", "rstrip"), False)
        for token_id, piece in enumerate(proto.pieces)
        if piece.piece in special or (is_bpe and piece.type == PieceType.USER_DEFINED)
    ]
    prepend_scheme = "always" if proto.normalizer_spec.add_dummy_prefix else "never"
    metaspace = {
        "type": "Metaspace",
        "replacement": SPACE,
        "prepend_scheme": prepend_scheme,
        "split": proto.trainer_spec.split_by_whitespace,
    }
    decoders = [metaspace]
    if proto.trainer_spec.byte_fallback:
        decoders = [{"type": "ByteFallback"}, {"type": "Fuse"}, metaspace]
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": added,
        "normalizer": _normalizer(proto),
        "pre_tokenizer": metaspace,
        "post_processor": published.around_texts(vocabulary, special_tokens),
        "decoder": {"type": "Sequence", "decoders": decoders},
        "model": _bpe(proto) if is_bpe else _unigram(proto),
    }


def _normalizer(proto: ModelProto) -> dict[str, Any]:
    """Returns tokenizer.json's form of a model's normalisation."""
    spec = proto.normalizer_spec
    parts: list[Mapping[str, Any]] = []
    if spec.precompiled_charsmap:
        charsmap = base64.b64encode(spec.precompiled_charsmap).decode("ascii")
        parts.append({"type": "Precompiled", "precompiled_charsmap": charsmap})
    if spec.remove_extra_whitespaces:
        parts.append({"type": "Strip", "strip_left": True, "strip_right": True})
        parts.append({"type": "Replace", "pattern": {"Regex": " {2,}"}, "content": " "})
    return {"type": "Sequence", "normalizers": parts}


def _unigram(proto: ModelProto) -> dict[str, Any]:
    """Returns tokenizer.json's unigram model."""
    unk_id = next(number for number, piece in enumerate(proto.pieces) if piece.type == PieceType.UNKNOWN)
    best = max((piece.score for piece in proto.pieces if piece.type == PieceType.NORMAL), default=0.0)

    def score(piece: Any) -> float:
        # What the library itself takes for user-defined symbols, so that no other pieces win.
        return len(piece.piece) * best - 0.1 if piece.type == PieceType.USER_DEFINED else piece.score

    return {
        "type": "Unigram",
        "unk_id": unk_id,
        "vocab": [[piece.piece, score(piece)] for piece in proto.pieces],
        "byte_fallback": proto.trainer_spec.byte_fallback,
    }


def _bpe(proto: ModelProto) -> dict[str, Any]:
    """Returns tokenizer.json's BPE: each way to make a piece of two is a merge, those of the best pieces first."""
    normal = {piece.piece: piece.score for piece in proto.pieces if piece.type == PieceType.NORMAL}
    merges = [
        [piece[:middle], piece[middle:]]
        for piece in sorted(normal, key=lambda piece: -normal[piece])
        for middle in range(1, len(piece))
        if piece[:middle] in normal and piece[middle:] in normal
    ]
    unknown = next(piece.piece for piece in proto.pieces if piece.type == PieceType.UNKNOWN)
    return {
        "type": "BPE",
        "dropout": None,
        "unk_token": unknown,
        "continuing_subword_prefix": None,
        "end_of_word_suffix": None,
        "fuse_unk": True,
        "byte_fallback": proto.trainer_spec.byte_fallback,
        "ignore_merges": False,
        "vocab": {piece.piece: token_id for token_id, piece in enumerate(proto.pieces)},
        "merges": merges,
    }


_BLANK_BYTES = ("<0x09>", "<0x0A>", "<0x0B>", "<0x0C>", "<0x0D>", "<0x20>")


class SentencePieceTokenizer(base.Tokenizer):
    """Pieces of texts with their spaces, as a SentencePiece model has learned them.

    Attributes:
        model: the content of the .model file.
    """

    tokenizer_type = "sentencepiece"

    def __init__(self, model: bytes, config: Mapping[str, Any] | None = None) -> None:
        """Builds the tokenizer.

        Args:
            model: the content of a .model file. Its unknown piece is [UNK], whatever its name.
            config: a tokenizer_config.json that may name the other special tokens.

        Raises:
            VocabularyError: for what is no model, or one that lacks a special token.
        """
        pieces = parse_model(model).pieces
        unknown = [piece.piece for piece in pieces if piece.type == PieceType.UNKNOWN]
        if len(unknown) != 1:
            raise VocabularyError(f"a SentencePiece model must have one unknown piece. Received: {len(unknown)}")
        super().__init__([piece.piece for piece in pieces], {**(config or {}), "unk_token": unknown[0]})
        self.model = model
        special = [token for token in self.special_tokens if token != unknown[0]]
        self._others = [
            token_id
            for token_id, piece in enumerate(pieces)
            if piece.type == PieceType.CONTROL and piece.piece not in special
        ]
        # A model may have a special token that texts can have: a user-defined [MASK].
        encoding_model = with_control_symbols(model, special)
        self._processor = sentencepiece.SentencePieceProcessor(model_proto=encoding_model)
        self._graph_tokenizer = tf_text.SentencepieceTokenizer(encoding_model, out_type=tf.int32)

    @property
    def special_ids(self) -> tuple[int, ...]:
        """Ids that no text has: [PAD], [CLS], [SEP], [MASK], then the model's other control symbols."""
        return (*super().special_ids, *self._others)

    @property
    def settings(self) -> dict[str, Any]:
        """tokenizer_type, the names of the special tokens, and the model's sha256, which has all the rest."""
        return {
            "tokenizer_type": self.tokenizer_type,
            "special_tokens": list(self.special_tokens),
            "model_sha256": hashlib.sha256(self.model).hexdigest(),
        }

    @property
    def resources(self) -> list[Any]:
        """The model, which TensorFlow's operation holds."""
        return [self._graph_tokenizer]

    @functools.cached_property
    def is_continuation(self) -> np.ndarray:
        """Which ids are of text that begins with no blank, [UNK] included, bool [vocab_size]."""
        starts = [token.startswith(SPACE) or token[0].isspace() or token in _BLANK_BYTES for token in self.vocabulary]
        is_continuation = ~np.array(starts)
        is_continuation[list(self.special_ids)] = False
        return is_continuation

    def encode_ragged(self, texts: tf.Tensor) -> tf.RaggedTensor:
        """Returns the ids (int32 [n, None]) of texts (string [n], UTF-8), with graph operations only."""
        return self._graph_tokenizer.tokenize(normalization.valid_utf8(texts))

    def encode_ragged_with_offsets(self, texts: tf.Tensor) -> base.RaggedTokens:
        """Returns the ids of texts (string [n], UTF-8) with their places, with graph operations only.

        Places are those of `encode_with_offsets`.
        """
        texts = normalization.valid_utf8(texts)
        ids, starts, ends = self._graph_tokenizer.tokenize_with_offsets(texts)
        lengths = normalization.utf8_lengths(tf.strings.unicode_decode(texts, "UTF-8"))
        positions = tf.stack([starts.flat_values, ends.flat_values])  # [2, T]
        places_of_ids = tf.unstack(normalization.characters_at(positions, ids.value_rowids(), lengths))
        return base.RaggedTokens(ids, *map(ids.with_flat_values, places_of_ids))

    def encode_flat(self, texts: Sequence[str]) -> base.FlatIds:
        """Returns the ids of many texts end to end: the fast path, without Python objects per token."""
        rows = self._encode(texts, "numpy")
        row_splits = np.zeros(len(rows) + 1, np.int64)
        np.cumsum([len(row) for row in rows], out=row_splits[1:])
        return base.FlatIds(np.concatenate([*rows, np.empty(0, np.int32)]), row_splits)

    def encode_with_offsets(self, texts: Sequence[str]) -> base.IdsWithOffsets:
        """Returns the ids of each text, and which code points of the text each one covers.

        Blanks before a word are covered with it. Of a character that normalisation turns into several, one piece
        covers all, and others none.
        """
        encodings = self._encode(texts, "offset_mapping")
        offsets = [
            base.original_offsets(text, [(start, end) for start, end in encoding["offsets"]])
            for text, encoding in zip(texts, encodings, strict=True)
        ]
        return base.IdsWithOffsets([list(encoding["ids"]) for encoding in encodings], offsets)

    def _encode(self, texts: Sequence[str], return_type: Literal["numpy", "offset_mapping"]) -> list[Any]:
        base.check_texts(texts)
        if not texts:  # which sentencepiece 0.2.2 takes for a mistake
            return []
        return self._processor.encode([base.without_surrogates(text) for text in texts], return_type=return_type)

    def decode(self, ids: Iterable[int]) -> str:
        """Returns the text of ids, special tokens by their names, with spaces around these."""
        ids = list(ids)
        tokens = self.tokens(ids)
        by_name = {*self.special_ids, self.unk_id}
        parts: list[str] = []
        for is_named, group in itertools.groupby(zip(ids, tokens, strict=True), lambda pair: pair[0] in by_name):
            run = list(group)
            names = [token for _, token in run]
            parts += names if is_named else [self._processor.decode([token_id for token_id, _ in run])]
        return " ".join(parts)

    def save(self, directory: str | pathlib.Path, model_max_length: int | None = None) -> None:
        """Writes spiece.model, tokenizer.json and tokenizer_config.json; see Tokenizer.save."""
        write_sentencepiece(
            pathlib.Path(directory),
            self.model,
            special_tokens=self.special_tokens,
            never_in_text=self.tokens(self.special_ids),
            model_max_length=model_max_length,
        )
