"""Models of ours that transformers or sentence-transformers read and wrote again, where they are installed."""

import numpy as np
import pytest

from electra_span.config import EncoderConfig, UserError
from electra_span.convert.source_models import build
from electra_span.convert.warm_start import opened_source
from electra_span.encoder import ElectraEncoder
from electra_span.head_config import HeadConfig
from electra_span.models import ElectraDiscriminator, ElectraGenerator
from electra_span.published.save_load import load_pretrained, load_task_model, save_pretrained
from electra_span.tokenization import load_tokenizer
from tests.tiny_models import TINY, VOCABULARY, randomize

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

IDS = np.array([[2, 7, 36, 8, 9, 3], [2, 30, 3, 11, 3, 0]])
INPUTS = {"input_ids": IDS, "input_mask": (IDS > 0).astype(np.int32)}
COMPOSITIONAL = EncoderConfig(**{**vars(TINY), "embedding_type": "compositional"})
KINDS = {"discriminator": ElectraDiscriminator, "generator": ElectraGenerator}
AUTO_CLASSES = {"discriminator": "AutoModelForPreTraining", "generator": "AutoModelForMaskedLM"}
HEADS = ("AutoModelForSequenceClassification", "AutoModelForTokenClassification", "AutoModelForQuestionAnswering")


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """Published folders by kind, of models with a span head and compositional words."""
    root = tmp_path_factory.mktemp("published")
    (root / "vocab.txt").write_text("\n".join(VOCABULARY) + "\n", encoding="utf-8")
    for kind, model_class in KINDS.items():
        model = model_class(ElectraEncoder(COMPOSITIONAL, name="electra"), max_span_length=4)
        randomize(model)
        save_pretrained(model, load_tokenizer(root / "vocab.txt"), root / kind)
    return root


def _there(model):
    with torch.no_grad():
        return model.eval()(input_ids=torch.tensor(IDS), attention_mask=torch.tensor(INPUTS["input_mask"]))


def _started_from(folder):
    with opened_source("init_checkpoint", folder, beside=folder.parent / "new") as source:
        (half,) = source.halves
        return build(half)


def _assert_equal_logits(folder, logits):
    for read in (load_pretrained, _started_from):
        np.testing.assert_allclose(read(folder)(**INPUTS), logits, rtol=0, atol=1e-5)


@pytest.mark.parametrize("form", ["one file", "several files", "pytorch_model.bin", "a compiled model's"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_model_with_a_span_head_and_compositional_words_comes_back_without_them(kind, form, saved, tmp_path):
    theirs = getattr(transformers, AUTO_CLASSES[kind]).from_pretrained(saved / kind)
    with torch.no_grad():
        for parameter in theirs.parameters():  # as if it had been trained there
            parameter += 0.01 * torch.randn_like(parameter)
    size = {"max_shard_size": "5KB"} if form == "several files" else {}
    theirs.save_pretrained(tmp_path / "again", **size)
    if form in ("pytorch_model.bin", "a compiled model's"):
        prefix = "" if form == "pytorch_model.bin" else "_orig_mod."
        state = {prefix + name: value for name, value in theirs.state_dict().items()}
        torch.save(state, tmp_path / "again/pytorch_model.bin")
        (tmp_path / "again/model.safetensors").unlink()
    _assert_equal_logits(tmp_path / "again", _there(theirs).logits)


@pytest.mark.parametrize("auto_class", ["AutoModelForPreTraining", "AutoModelForMaskedLM"])
def test_a_model_that_was_made_the_other_kind_is_read_as_that(auto_class, saved, tmp_path):
    kind = "generator" if auto_class == "AutoModelForPreTraining" else "discriminator"
    theirs = getattr(transformers, auto_class).from_pretrained(saved / kind)
    theirs.save_pretrained(tmp_path / "again")
    _assert_equal_logits(tmp_path / "again", _there(theirs).logits)


@pytest.mark.parametrize("auto_class", HEADS)
def test_a_head_for_a_task_on_our_discriminator_is_read(auto_class, saved, tmp_path):
    theirs = getattr(transformers, auto_class).from_pretrained(saved / "discriminator")
    theirs.save_pretrained(tmp_path / "again")
    found = _there(theirs)
    for read in (load_pretrained, _started_from):
        again = read(tmp_path / "again")
        (head,) = again.head_configs
        if head.kind == "questions":
            start, end = again.heads[head.task].position_logits(again.encoder(**INPUTS))
            np.testing.assert_allclose(start, found.start_logits, rtol=0, atol=1e-5)
            np.testing.assert_allclose(end, found.end_logits, rtol=0, atol=1e-5)
        else:
            np.testing.assert_allclose(again(**INPUTS)[head.task], found.logits, rtol=0, atol=1e-5)


def test_an_untied_generator_of_transformers_is_refused(tmp_path):
    settings = {name: getattr(TINY, name) for name in ("vocab_size", "embedding_size", "hidden_size")}
    config = transformers.ElectraConfig(
        **settings, num_hidden_layers=1, num_attention_heads=3, intermediate_size=20, tie_word_embeddings=False
    )
    transformers.ElectraForMaskedLM(config).save_pretrained(tmp_path / "untied")
    for read in (load_pretrained, _started_from):
        with pytest.raises(UserError, match=r"generator_lm_head\.weight must equal"):
            read(tmp_path / "untied")


def test_an_encoder_of_sentence_transformers_is_read(saved, tmp_path):
    sentence_transformers = pytest.importorskip("sentence_transformers")
    models = pytest.importorskip("sentence_transformers.models")
    module = models.Transformer(str(saved / "discriminator"))
    pooling = models.Pooling(module.get_word_embedding_dimension())
    sentence_transformers.SentenceTransformer(modules=[module, pooling]).save(str(tmp_path / "again"))
    theirs = transformers.AutoModel.from_pretrained(tmp_path / "again")
    ours = load_task_model(tmp_path / "again", [HeadConfig(task="a", kind="regression")])
    np.testing.assert_allclose(ours.encoder(**INPUTS), _there(theirs).last_hidden_state, rtol=0, atol=1e-5)
    with opened_source("init_checkpoint", tmp_path / "again", beside=tmp_path / "new") as source:
        assert [half.part for half in source.halves] == ["encoder"]
    with pytest.raises(UserError, match="is an encoder without a head"):
        load_pretrained(tmp_path / "again")
