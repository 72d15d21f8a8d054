"""Our published models in transformers, where it is installed."""

import numpy as np
import pytest

from electra_span.config import EncoderConfig
from electra_span.encoder import ElectraEncoder
from electra_span.models import ElectraDiscriminator, ElectraGenerator
from electra_span.pretrained import load_pretrained, save_pretrained
from electra_span.tokenization import load_tokenizer
from tests.tiny_models import TINY, VOCABULARY, randomize

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

IDS = np.array([[2, 7, 36, 8, 9, 3], [2, 30, 3, 11, 3, 0], [2, 5, 4, 3, 0, 0]])
MASK = (IDS > 0).astype(np.int64)
SEGMENTS = np.array([[0, 0, 0, 0, 1, 1], [0, 0, 0, 1, 1, 0], [0, 0, 0, 0, 0, 0]])
CONFIGS = {
    "projected": TINY,
    "unprojected": EncoderConfig(**{**vars(TINY), "embedding_size": TINY.hidden_size}),
    "compositional": EncoderConfig(**{**vars(TINY), "embedding_type": "compositional"}),
}
TABLES_OF_OUR_OWN = {"electra.embeddings.word_quotients.weight", "electra.embeddings.word_remainders.weight"}
AUTO_CLASSES = {"AutoModelForPreTraining": ElectraDiscriminator, "AutoModelForMaskedLM": ElectraGenerator}


@pytest.fixture
def tokenizer(tmp_path):
    path = tmp_path / "vocab.txt"
    path.write_text("\n".join(VOCABULARY) + "\n", encoding="utf-8")
    return load_tokenizer(path)


@pytest.mark.parametrize("auto_class", AUTO_CLASSES)
@pytest.mark.parametrize("config", CONFIGS)
def test_our_published_model_gives_equal_logits_in_transformers(auto_class, config, tokenizer, tmp_path):
    ours = AUTO_CLASSES[auto_class](ElectraEncoder(CONFIGS[config], name="electra"))
    randomize(ours)
    save_pretrained(ours, tokenizer, tmp_path / "model")
    theirs, report = getattr(transformers, auto_class).from_pretrained(tmp_path / "model", output_loading_info=True)
    unexpected = set(report.pop("unexpected_keys"))
    assert unexpected == (TABLES_OF_OUR_OWN if config == "compositional" else set())
    problems = {name: found for name, found in report.items() if found}
    assert problems == {}
    with torch.no_grad():
        expected = theirs.eval()(
            input_ids=torch.tensor(IDS), attention_mask=torch.tensor(MASK), token_type_ids=torch.tensor(SEGMENTS)
        ).logits
    logits = ours(input_ids=IDS, input_mask=MASK, segment_ids=SEGMENTS)
    np.testing.assert_allclose(logits, expected.numpy(), rtol=0, atol=2e-5)


@pytest.mark.parametrize("auto_class", AUTO_CLASSES)
def test_a_model_that_transformers_wrote_gives_equal_logits_here(auto_class, tokenizer, tmp_path):
    ours = AUTO_CLASSES[auto_class](ElectraEncoder(TINY, name="electra"))
    randomize(ours)
    save_pretrained(ours, tokenizer, tmp_path / "ours")
    getattr(transformers, auto_class).from_pretrained(tmp_path / "ours").save_pretrained(tmp_path / "theirs")
    transformers.AutoTokenizer.from_pretrained(tmp_path / "ours").save_pretrained(tmp_path / "theirs")
    loaded = load_pretrained(tmp_path / "theirs")
    np.testing.assert_array_equal(loaded(input_ids=IDS, input_mask=MASK), ours(input_ids=IDS, input_mask=MASK))
    assert loaded.tokenizer.vocabulary == tokenizer.vocabulary


def test_transformers_reads_our_tokenizer(tokenizer, tmp_path):
    model = ElectraDiscriminator(ElectraEncoder(TINY, name="electra"))
    save_pretrained(model, tokenizer, tmp_path / "model")
    theirs = transformers.AutoTokenizer.from_pretrained(tmp_path / "model")
    text = "Word0 word31 unheard-of Wörd7 [MASK]"
    assert theirs(text, add_special_tokens=False)["input_ids"][:3] == tokenizer.encode([text])[0][:3]
    ids = theirs("word1 word2", "word3")
    assert ids["input_ids"] == [2, *tokenizer.encode(["word1 word2"])[0], 3, *tokenizer.encode(["word3"])[0], 3]
    assert ids["token_type_ids"] == [0, 0, 0, 0, 1, 1]
    assert theirs.model_max_length == TINY.max_position_embeddings
    assert (theirs.mask_token_id, theirs.pad_token_id, theirs.cls_token_id) == (4, 0, 2)
