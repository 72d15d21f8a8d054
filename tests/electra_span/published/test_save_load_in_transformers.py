"""Our published models in transformers, where it is installed."""

import numpy as np
import pytest

from electra_span.config import EncoderConfig
from electra_span.encoder import ElectraEncoder
from electra_span.head_config import HeadConfig
from electra_span.models import ElectraDiscriminator, ElectraGenerator, ElectraTaskModel
from electra_span.published.save_load import load_pretrained, load_task_model, save_pretrained
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

TASK_HEADS = {
    "AutoModelForSequenceClassification": [
        HeadConfig(task="a", kind="classification", labels=("no", "yes", "maybe"), classifier="dense"),
        HeadConfig(task="a", kind="regression", score_range=(0.0, 5.0), classifier="dense"),
    ],
    "AutoModelForTokenClassification": [HeadConfig(task="b", kind="tagging", labels=("O", "B", "I", "E"))],
    "AutoModelForQuestionAnswering": [
        HeadConfig(task="c", kind="questions", joint_prediction=False, answerable_classifier=False)
    ],
}
TASKS = [(auto_class, head) for auto_class, heads in TASK_HEADS.items() for head in heads]


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


def _task_model(*heads):
    model = ElectraTaskModel(ElectraEncoder(TINY, name="electra"), heads)
    randomize(model)
    return model


def _read_there(auto_class, folder):
    """The model that transformers makes of a folder, once it is seen to have missed and left out nothing."""
    model, report = getattr(transformers, auto_class).from_pretrained(folder, output_loading_info=True)
    assert {name: found for name, found in report.items() if found} == {}
    return model.eval()


def _outputs_there(model):
    with torch.no_grad():
        return model(
            input_ids=torch.tensor(IDS), attention_mask=torch.tensor(MASK), token_type_ids=torch.tensor(SEGMENTS)
        )


@pytest.mark.parametrize(("auto_class", "head"), TASKS, ids=lambda value: getattr(value, "kind", None))
def test_our_models_with_its_heads_give_equal_logits_in_transformers(auto_class, head, tokenizer, tmp_path):
    ours = _task_model(head)
    save_pretrained(ours, tokenizer, tmp_path)
    theirs = _read_there(auto_class, tmp_path)
    found = _outputs_there(theirs)
    inputs = {"input_ids": IDS, "input_mask": MASK, "segment_ids": SEGMENTS}
    if head.kind == "questions":
        start, end = ours.heads[head.task].position_logits(ours.encoder(**inputs))
        np.testing.assert_allclose(start, found.start_logits, rtol=0, atol=2e-5)
        np.testing.assert_allclose(end, found.end_logits, rtol=0, atol=2e-5)
        return
    logits = ours(**inputs)[head.task].numpy()
    np.testing.assert_allclose(logits, found.logits.numpy().reshape(logits.shape), rtol=0, atol=2e-5)
    labels = dict(enumerate(head.labels or ["LABEL_0"]))
    assert (theirs.config.num_labels, theirs.config.id2label) == (head.num_outputs, labels)
    if head.kind != "tagging":
        problem = {"classification": "single_label_classification", "regression": "regression"}[head.kind]
        assert theirs.config.problem_type == problem


@pytest.mark.parametrize(("auto_class", "head"), TASKS, ids=lambda value: getattr(value, "kind", None))
def test_a_model_for_a_task_that_transformers_wrote_again_is_the_same_here(auto_class, head, tokenizer, tmp_path):
    ours = _task_model(head)
    save_pretrained(ours, tokenizer, tmp_path / "ours")
    _read_there(auto_class, tmp_path / "ours").save_pretrained(tmp_path / "theirs")
    again = load_task_model(tmp_path / "theirs", None)
    assert again.head_configs == (head,)
    for first, second in zip(ours.variables, again.variables, strict=True):
        np.testing.assert_array_equal(first, second, err_msg=first.path)


def test_a_head_that_transformers_put_in_place_of_ours_is_read(tokenizer, tmp_path):
    save_pretrained(_task_model(TASK_HEADS["AutoModelForSequenceClassification"][0]), tokenizer, tmp_path / "ours")
    tagger = transformers.AutoModelForTokenClassification.from_pretrained(tmp_path / "ours", num_labels=5)
    tagger.save_pretrained(tmp_path / "theirs")
    again = load_task_model(tmp_path / "theirs", None)
    assert [(head.kind, len(head.labels)) for head in again.head_configs] == [("tagging", 5)]
    found = _outputs_there(tagger.eval()).logits
    logits = again(input_ids=IDS, input_mask=MASK, segment_ids=SEGMENTS)["tagging"]
    np.testing.assert_allclose(logits, found, rtol=0, atol=2e-5)


def test_transformers_reads_the_encoder_of_a_model_with_heads_of_ours_and_we_read_it_again(tokenizer, tmp_path):
    ours = _task_model(HeadConfig(task="a", kind="questions"), HeadConfig(task="b", kind="regression"))
    save_pretrained(ours, tokenizer, tmp_path / "ours")
    theirs, report = transformers.AutoModel.from_pretrained(tmp_path / "ours", output_loading_info=True)
    assert all(name.startswith("heads.") for name in report["unexpected_keys"])
    assert not report["missing_keys"]
    expected = _outputs_there(theirs.eval()).last_hidden_state
    states = ours.encoder(input_ids=IDS, input_mask=MASK, segment_ids=SEGMENTS)
    np.testing.assert_allclose(states, expected, rtol=0, atol=5e-6)
    theirs.save_pretrained(tmp_path / "theirs")
    again = load_task_model(tmp_path / "theirs", TASK_HEADS["AutoModelForTokenClassification"])
    for first, second in zip(ours.encoder.variables, again.encoder.variables, strict=True):
        np.testing.assert_array_equal(first, second, err_msg=first.path)
