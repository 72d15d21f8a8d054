import builtins
import json
import runpy

import numpy as np
import pytest
import sentencepiece
import tensorflow as tf
from google.protobuf import runtime_version
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from electra_span.objective.words import find_units
from electra_span.tokenization import VocabularyError, load_tokenizer, load_with_special_tokens, sentencepiece_tokenizer
from electra_span.tokenization.sentencepiece_tokenizer import SentencePieceTokenizer
from tests.electra_span.tokenization.tiny_tokenizers import train_model

TEXTS = ["the cat", "  the\tcafé  ", "", "<mask> [MASK]</s> <eod>", "日本 \U0001f600\x00 ﬁ", "a\ud800 the<br>\udfffcat"]


@pytest.fixture(scope="module", params=["unigram", "bpe"])
def tokenizer(request):
    return SentencePieceTokenizer(train_model(request.param))


@pytest.fixture(scope="module")
def published(shared_data):
    return shared_data / "tokenizers" / "sentencepiece" / "test_model.model"


def test_ids_are_those_of_the_library_on_text_of_three_languages(published, shared_data):
    extended = load_with_special_tokens(published)
    library = sentencepiece.SentencePieceProcessor(model_file=str(published))
    texts = (published.parent / "botchan.txt").read_text(encoding="utf-8").split("\n")[:800]
    for name in ("german", "zhwiki"):
        file = min(path for path in (shared_data / "corpus" / name).rglob("*") if path.is_file())
        texts += file.read_bytes()[:40_000].decode("utf-8", "ignore").split("\n")
    assert extended.added == ["<pad>", "<mask>"]
    assert extended.tokenizer.vocab_size == library.get_piece_size() + 2
    ids = library.encode(texts)
    assert extended.tokenizer.encode(texts) == ids
    assert extended.tokenizer.encode_ragged(tf.constant(texts)).to_list() == ids


def test_a_model_that_lacks_special_tokens_is_refused_with_the_flag_that_adds_them(published):
    with pytest.raises(VocabularyError, match=r"test_model\.model: token \[PAD\] is missing.*--add-special-tokens"):
        load_tokenizer(published)


def test_special_tokens_have_the_roles_of_their_names(tokenizer):
    roles = ("pad", "unk", "cls", "sep", "mask")
    names = [tokenizer.vocabulary[getattr(tokenizer, f"{role}_id")] for role in roles]
    assert names == ["<pad>", "<unk>", "<s>", "</s>", "<mask>"]
    assert tokenizer.tokens(tokenizer.special_ids) == ["<pad>", "<s>", "</s>", "<mask>", "<eod>"]


def test_encoding_can_be_exported_and_reads_raw_strings(tokenizer, tmp_path):
    module = tf.Module()
    module.tokenizer = tokenizer._graph_tokenizer
    signature = tf.TensorSpec([None], tf.string)
    module.encode = tf.function(lambda texts: tokenizer.encode_ragged(texts).to_tensor(-1), input_signature=[signature])
    tf.saved_model.save(module, tmp_path)
    exported = tf.saved_model.load(tmp_path).encode(tf.constant([b"the\xff cat"]))
    assert exported.numpy().tolist() == tokenizer.encode(["the cat"])


@given(
    texts=st.lists(st.text() | st.text(st.sampled_from("the cat\né日\u3000<s>mask/eod\U0001f600\ud800ﬁ")), max_size=3)
)
@hypothesis_settings(deadline=None)
def test_any_text_gives_ordinary_ids_at_places_of_the_text_in_its_order(tokenizer, texts):
    rows = tokenizer.encode_with_offsets(texts)
    assert rows.ids == tokenizer.encode(texts)
    for text, ids, offsets in zip(texts, *rows, strict=True):
        assert not set(ids) & set(tokenizer.special_ids)
        assert len(ids) == len(offsets)
        assert all(0 <= start <= end <= len(text) for start, end in offsets)
        assert offsets == sorted(offsets)


@given(text=st.text(st.sampled_from("the catsorndm ,é<>\u3000ﬁ\ud800"), max_size=40))
@hypothesis_settings(deadline=None)
def test_decoded_ids_are_the_text_as_the_model_normalises_it(tokenizer, text):
    (ids,) = tokenizer.encode([text])
    if tokenizer.unk_id not in ids:
        normalised = sentencepiece.SentencePieceProcessor(model_proto=tokenizer.model).normalize(
            text.encode("utf-8", "ignore").decode()
        )
        assert tokenizer.decode(ids) == normalised.replace("▁", " ").removeprefix(" ")


@given(text=st.text(st.sampled_from("the catsorndm ,é\ud800"), max_size=40))
@hypothesis_settings(deadline=None)
def test_the_text_that_a_piece_covers_is_the_piece_s(tokenizer, text):
    (ids,), (offsets,) = tokenizer.encode_with_offsets([text])
    for token, (start, end) in zip(tokenizer.tokens(ids), offsets, strict=True):
        covered = text[start:end].encode("utf-8", "ignore").decode()
        assert covered.strip(" ") == token.strip("▁")


@pytest.mark.parametrize("text", ["<mask>", "x </s> <s><pad>", "<eod> <mask>the"])
def test_names_of_special_tokens_in_a_text_are_text(tokenizer, text):
    (ids,) = tokenizer.encode([text])
    assert not set(ids) & set(tokenizer.special_ids)


def test_a_mask_that_texts_could_have_is_made_one_that_they_cannot():
    tokenizer = SentencePieceTokenizer(
        train_model("unigram", control_symbols=[], user_defined_symbols=["<mask>", "<br>"])
    )
    (ids,) = tokenizer.encode(["the <mask> cat<br>"])
    assert tokenizer.mask_id not in ids
    assert ids[-1] == tokenizer.vocabulary.index("<br>")
    assert tokenizer.encode_ragged(tf.constant(["the <mask> cat<br>"])).to_list() == [ids]


def test_words_of_a_text_are_found_as_units(tokenizer):
    text = "the cats, sat  on\tcafé 日本 mat"
    (ids,) = tokenizer.encode([text])
    row = np.array([[tokenizer.cls_id, *ids, tokenizer.sep_id]])
    candidates = ~np.isin(row, tokenizer.special_ids)
    units = find_units(tf.constant(candidates), tf.constant(tokenizer.is_continuation[row]))
    firsts = [place for place, is_candidate in zip(*map(np.ravel, units[1::-1]), strict=True) if is_candidate]
    words = [tokenizer.decode(row[0, a:b]) for a, b in zip(firsts, [*firsts[1:], row.shape[1] - 1], strict=True)]
    assert [word.strip() for word in words] == ["the", "cats,", "sat", "on", "café", "<unk>", "mat"]


def test_decoding_names_special_tokens(tokenizer):
    ids = [tokenizer.cls_id, *tokenizer.encode(["the cat"])[0], tokenizer.sep_id]
    assert tokenizer.decode(ids) == "<s> the cat </s>"
    with pytest.raises(VocabularyError, match=f"below {tokenizer.vocab_size}"):
        tokenizer.decode([tokenizer.vocab_size])


def test_a_saved_tokenizer_is_loaded_as_it_was(tokenizer, tmp_path):
    tokenizer.save(tmp_path / "published", model_max_length=128)
    for path in (tmp_path / "published", tmp_path / "published" / "spiece.model"):
        loaded = load_tokenizer(path)
        assert loaded.fingerprint == tokenizer.fingerprint
        assert loaded.encode(TEXTS) == tokenizer.encode(TEXTS)
    config = json.loads((tmp_path / "published" / "tokenizer_config.json").read_text())
    assert (config["mask_token"], config["model_max_length"]) == ("<mask>", 128)


def test_fingerprints_tell_models_apart(tokenizer):
    other = SentencePieceTokenizer(train_model("unigram", control_symbols=["<mask>"]))
    assert other.fingerprint != tokenizer.fingerprint


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"no model", "not a SentencePiece model"),
        (train_model("word", vocab_size=18), "model_type must be unigram or bpe"),
        (train_model("bpe", treat_whitespace_as_suffix=True), "treat_whitespace_as_suffix"),
    ],
)
def test_a_file_that_is_no_usable_model_is_refused_with_its_name(tmp_path, content, message):
    (tmp_path / "a.model").write_bytes(content)
    with pytest.raises(VocabularyError, match=message) as error:
        load_tokenizer(tmp_path)
    assert str(error.value).startswith(str(tmp_path / "a.model"))


def test_a_folder_without_its_model_is_refused(tokenizer, tmp_path):
    tokenizer.save(tmp_path)
    (tmp_path / "spiece.model").unlink()
    with pytest.raises(VocabularyError, match=r"must hold a \.model file"):
        load_tokenizer(tmp_path)


@pytest.mark.parametrize("error", [runtime_version.VersionError("gencode 7.36.1 runtime 6.33.6"), ImportError("no")])
def test_versions_that_do_not_go_together_stop_sentencepiece_alone_and_in_one_line(tmp_path, monkeypatch, error):
    model = train_model("unigram")
    import_module = builtins.__import__

    def refuse(name, *arguments, **keywords):
        if "sentencepiece_model_pb2" in f"{name} {arguments[2:3]}":
            raise error
        return import_module(name, *arguments, **keywords)

    monkeypatch.setattr(builtins, "__import__", refuse)
    runpy.run_path(sentencepiece_tokenizer.__file__)  # what every tokenizer imports
    (tmp_path / "vocab.txt").write_text("[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\na", encoding="utf-8")
    assert load_tokenizer(tmp_path).encode(["a"]) == [[5]]
    with pytest.raises(VocabularyError, match=r"^the installed sentencepiece .* pip install.*Received: \w+[^\n]*$"):
        SentencePieceTokenizer(model)


def test_types_of_pieces_are_those_of_the_model():
    types = sentencepiece_tokenizer._new_proto().SentencePiece.Type.items()
    assert dict(types) == {kind.name: kind.value for kind in sentencepiece_tokenizer.PieceType}
