"""Published models for tasks: recorded outputs of transformers, saving and loading, and folders not in order."""

import dataclasses
import functools
import json

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from electra_span.config import HparamError
from electra_span.encoder import ElectraEncoder
from electra_span.head_config import HeadConfig
from electra_span.models import ElectraDiscriminator, ElectraGenerator, ElectraTaskModel, make_two_towers
from electra_span.published.names import relative_path
from electra_span.published.save_load import PublishedModelError, load_pretrained, load_task_model, save_pretrained
from electra_span.tokenization import load_tokenizer
from tests.tiny_models import TINY, VOCABULARY, randomize

LABELS = HeadConfig(task="labels", kind="classification", labels=("no", "yes", "maybe"))
DENSE = dataclasses.replace(LABELS, classifier="dense")
SCORE = HeadConfig(task="score", kind="regression", score_range=(0.0, 5.0))
DENSE_SCORE = dataclasses.replace(SCORE, classifier="dense")
TAGS = HeadConfig(task="tags", kind="tagging", labels=("O", "B-x", "I-x", "E-x"))
JOINT = HeadConfig(task="joint", kind="questions")
APART = HeadConfig(task="apart", kind="questions", joint_prediction=False)
PLAIN = dataclasses.replace(APART, task="plain", answerable_classifier=False)

# The heads of a model, and the architecture that it is published under.
PUBLISHED = {
    "dense": ((DENSE,), "ElectraForSequenceClassification"),
    "dense_score": ((DENSE_SCORE,), "ElectraForSequenceClassification"),
    "tags": ((TAGS,), "ElectraForTokenClassification"),
    "plain": ((PLAIN,), "ElectraForQuestionAnswering"),
    "linear": ((LABELS,), "ElectraTaskModel"),
    "joint": ((JOINT,), "ElectraTaskModel"),
    "apart": ((APART,), "ElectraTaskModel"),
    "several": ((TAGS, SCORE, DENSE), "ElectraTaskModel"),
}
RECORDED = {
    "seqcls": HeadConfig(
        task="classification",
        kind="classification",
        labels=("LABEL_0", "LABEL_1", "LABEL_2"),
        classifier="dense",
    ),
    "seqreg": HeadConfig(task="regression", kind="regression", classifier="dense"),
    "qa": HeadConfig(task="questions", kind="questions", joint_prediction=False, answerable_classifier=False),
    "tokcls": HeadConfig(task="tagging", kind="tagging", labels=tuple(f"LABEL_{index}" for index in range(5))),
}


def _model(*heads, seed=0):
    model = ElectraTaskModel(ElectraEncoder(TINY, name="electra"), heads)
    randomize(model, seed)
    return model


def _config(folder):
    return json.loads((folder / "config.json").read_text())


def _change_config(folder, **changes):
    settings = {name: value for name, value in {**_config(folder), **changes}.items() if value is not ...}
    (folder / "config.json").write_text(json.dumps(settings))


def _assert_equal_variables(first, second):
    assert [variable.path for variable in first] == [variable.path for variable in second]
    for before, after in zip(first, second, strict=True):
        np.testing.assert_array_equal(before.numpy(), after.numpy(), err_msg=before.path)


@pytest.mark.parametrize("recording", ["hf", "hf/tiny"])
@pytest.mark.parametrize("name", RECORDED)
def test_logits_of_transformers_models_are_those_recorded_and_tensors_stay_as_they_are(
    golden, name, recording, tmp_path
):
    folder, head = golden(f"{recording}/{name}"), RECORDED[name]
    model, tensors = load_pretrained(folder), dict(np.load(folder / "io.npz"))
    assert model.head_configs == (head,)
    inputs = {
        ours: tensors[theirs]
        for ours, theirs in (
            ("input_ids", "input_ids"), ("input_mask", "attention_mask"), ("segment_ids", "token_type_ids")
        )
    }  # fmt: skip
    states = model.encoder(**inputs)
    np.testing.assert_allclose(states, tensors["last_hidden_state"], rtol=0, atol=5e-6)
    if head.kind == "questions":
        start, end = model.heads[head.task].position_logits(states)
        np.testing.assert_allclose(start, tensors["start_logits"], rtol=0, atol=2e-5)
        np.testing.assert_allclose(end, tensors["end_logits"], rtol=0, atol=2e-5)
    else:
        logits = model(**inputs)[head.task].numpy().reshape(tensors["logits"].shape)
        np.testing.assert_allclose(logits, tensors["logits"], rtol=0, atol=2e-5)
    save_pretrained(model, None, tmp_path)
    ours, theirs = (load_file(where / "model.safetensors") for where in (tmp_path, folder))
    assert ours.keys() == theirs.keys()
    assert all(np.array_equal(ours[tensor], theirs[tensor]) for tensor in theirs)
    settings, published = _config(tmp_path), _config(folder)
    del settings["heads"]
    assert settings.items() <= {"problem_type": ..., **published}.items()


@pytest.mark.parametrize("name", PUBLISHED)
@pytest.mark.parametrize("load", [load_pretrained, functools.partial(load_task_model, heads=None)])
def test_a_saved_model_loads_bit_for_bit_with_its_heads(name, load, tmp_path):
    heads, architecture = PUBLISHED[name]
    model = _model(*heads)
    save_pretrained(model, None, tmp_path)
    assert _config(tmp_path)["architectures"] == [architecture]
    loaded = load(tmp_path)
    assert isinstance(loaded, ElectraTaskModel)
    assert loaded.head_configs == heads
    assert loaded.tokenizer is None
    _assert_equal_variables(model.variables, loaded.variables)


def test_the_tensors_of_heads_are_transformers_or_below_heads(tmp_path):
    of_heads = {}
    for name, (heads, _) in PUBLISHED.items():
        save_pretrained(_model(*heads), None, tmp_path / name)
        tensors = load_file(tmp_path / name / "model.safetensors")
        of_heads[name] = {tensor: value.shape for tensor, value in tensors.items() if not tensor.startswith("electra.")}
    size = TINY.hidden_size
    assert of_heads["dense"] == {
        "classifier.dense.weight": (size, size), "classifier.dense.bias": (size,),
        "classifier.out_proj.weight": (3, size), "classifier.out_proj.bias": (3,),
    }  # fmt: skip
    assert of_heads["tags"] == {"classifier.weight": (4, size), "classifier.bias": (4,)}
    assert of_heads["plain"] == {"qa_outputs.weight": (2, size), "qa_outputs.bias": (2,)}
    assert of_heads["linear"] == {"heads.labels.prediction.weight": (3, size), "heads.labels.prediction.bias": (3,)}
    assert {tensor.split(".")[1] for tensor in of_heads["several"]} == {"tags", "score", "labels"}
    assert of_heads["joint"]["heads.joint.end_hidden.weight"] == (512, 2 * size)


def test_labels_are_told_to_transformers_too(tmp_path):
    save_pretrained(_model(DENSE), None, tmp_path / "dense")
    save_pretrained(_model(DENSE_SCORE), None, tmp_path / "score")
    settings = _config(tmp_path / "dense")
    assert settings["id2label"] == {"0": "no", "1": "yes", "2": "maybe"}
    assert settings["label2id"] == {"no": 0, "yes": 1, "maybe": 2}
    assert settings["problem_type"] == "single_label_classification"
    settings = _config(tmp_path / "score")
    assert (settings["problem_type"], len(settings["id2label"])) == ("regression", 1)
    for name, head in (("dense", DENSE), ("score", DENSE_SCORE)):
        _change_config(tmp_path / name, heads=..., architectures=["ElectraForSequenceClassification"])
        described = dataclasses.replace(head, task=head.kind, score_range=None)
        assert load_pretrained(tmp_path / name).head_configs == (described,)


def test_what_transformers_changed_counts_more_than_our_own_words(tmp_path):
    save_pretrained(_model(DENSE), None, tmp_path)
    _change_config(tmp_path, id2label={"0": "a", "1": "b", "2": "c"})
    (head,) = load_pretrained(tmp_path).head_configs
    assert (head.task, head.labels) == ("classification", ("a", "b", "c"))
    save_pretrained(_model(TAGS), None, tmp_path)
    _change_config(tmp_path, heads=[dataclasses.asdict(SCORE)])
    (head,) = load_pretrained(tmp_path).head_configs
    assert (head.task, head.labels) == ("tagging", TAGS.labels)


def _source(kind, folder):
    """A published folder to take an encoder from; returns its model."""
    encoder = ElectraEncoder(TINY, name="electra")
    model = {
        "discriminator": lambda: ElectraDiscriminator(encoder, max_span_length=3),
        "generator": lambda: ElectraGenerator(encoder),
        "fine-tuned": lambda: ElectraTaskModel(encoder, [TAGS, JOINT]),
        "transformers": lambda: ElectraDiscriminator(encoder),
    }[kind]()
    randomize(model, 1)
    vocabulary = folder.parent / "vocab.txt"
    vocabulary.write_text("\n".join(VOCABULARY) + "\n", encoding="utf-8")
    save_pretrained(model, load_tokenizer(vocabulary), folder)
    if kind == "transformers":  # as its ElectraModel is saved
        tensors = load_file(folder / "model.safetensors")
        bare = {name.removeprefix("electra."): value for name, value in tensors.items() if name.startswith("electra.")}
        save_file(bare, folder / "model.safetensors")
        _change_config(folder, architectures=["ElectraModel"])
    return model


@pytest.mark.parametrize("kind", ["discriminator", "generator", "fine-tuned", "transformers"])
def test_any_published_models_encoder_takes_new_heads(kind, tmp_path):
    source = _source(kind, tmp_path / "source")
    model = load_task_model(tmp_path / "source", [TAGS, DENSE])
    assert model.head_configs == (TAGS, DENSE)
    _assert_equal_variables(source.encoder.variables, model.encoder.variables)
    assert model.tokenizer.vocab_size == len(VOCABULARY)
    kernel = model.heads["tags"].prediction.kernel.numpy()
    assert np.abs(kernel).max() <= np.sqrt(6 / sum(kernel.shape))  # new, although the folder has one of this name
    if kind == "fine-tuned":
        assert not np.array_equal(kernel, source.heads["tags"].prediction.kernel)


def test_options_of_the_encoder_and_dropout_rates_are_taken(tmp_path):
    source = _source("discriminator", tmp_path / "source")
    build_encoder = functools.partial(ElectraEncoder, dtype="mixed_bfloat16", skips_padding=True)
    dropouts = {"hidden_dropout_prob": 0.25}
    model = load_task_model(tmp_path / "source", [LABELS], build_encoder=build_encoder, dropouts=dropouts)
    assert model.encoder.skips_padding
    assert model.config == dataclasses.replace(TINY, hidden_dropout_prob=0.25)
    ids = np.array([[2, 7, 3]], np.int32)
    assert (model.encoder(ids).dtype, model(ids)["labels"].dtype) == ("bfloat16", "float32")
    _assert_equal_variables(source.encoder.variables, model.encoder.variables)
    with pytest.raises(HparamError, match=r"hidden_dropout_prob must be at least 0 and below 1\. Received: 1.5"):
        load_task_model(tmp_path / "source", [LABELS], dropouts={"hidden_dropout_prob": 1.5})


def test_random_weights_take_sizes_and_tokenizer_alone(tmp_path):
    source = _source("fine-tuned", tmp_path / "source")
    (tmp_path / "source" / "model.safetensors").unlink()
    model = load_task_model(tmp_path / "source", None, random_weights=True)
    assert model.head_configs == (TAGS, JOINT)
    assert model.config == TINY
    assert model.tokenizer.vocab_size == len(VOCABULARY)
    for ours, theirs in zip(model.variables, source.variables, strict=True):
        assert not np.array_equal(ours, theirs), relative_path(ours)


def test_a_two_tower_generator_is_no_source_and_the_error_says_why(tmp_path):
    save_pretrained(make_two_towers(ElectraEncoder, TINY), None, tmp_path)
    with pytest.raises(PublishedModelError, match=r"two-tower generator.*one side\. Take the discriminator"):
        load_task_model(tmp_path, [LABELS])


def test_a_model_without_heads_has_none_to_load(tmp_path):
    _source("discriminator", tmp_path / "source")
    with pytest.raises(PublishedModelError, match="has no heads for tasks, being an ElectraDiscriminator"):
        load_task_model(tmp_path / "source", None)
    _source("transformers", tmp_path / "encoder")
    with pytest.raises(PublishedModelError, match="is an encoder without a head"):
        load_pretrained(tmp_path / "encoder")


# What is done to the config.json of a published model, and what the error must say.
OWN_CONFIGS = [
    ({"heads": ...}, "heads must be a list of one object for each task. Received: None"),
    ({"heads": []}, r"heads must be a list of one object for each task\. Received: \[\]"),
    ({"heads": {"a": 1}}, "heads must be a list"),
    ({"heads": ["tags"]}, "a list of objects. Received: 'tags' in it"),
    ({"heads": [{"kind": "tagging"}]}, "must each have a task"),
    ({"heads": [{"task": "a", "kind": "tagging", "label": ["x"]}]}, "unknown hparam 'label': did you mean 'labels'"),
    ({"heads": [{"task": "a", "kind": "tagging", "labels": "xy"}]}, "labels must be"),
    ({"heads": [{"task": "a", "kind": "tagging", "labels": [["x"], ["x"]]}]}, "must be strings"),
    ({"heads": [{"task": "../a", "kind": "regression"}]}, "letters, digits and underscores"),
    ({"heads": [{"task": "a", "kind": "regression"}] * 2}, "heads must be of different tasks. Received: 'a' 2 times"),
    ({"heads": [dataclasses.asdict(DENSE)]}, r"architectures must be \['ElectraForSequenceClassification'\]"),
]
TRANSFORMERS_CONFIGS = [
    ({"id2label": {"0": "a", "2": "b"}}, r'id2label must be an object with the keys "0", "1"'),
    ({"id2label": ["a", "b"]}, "id2label must be an object"),
    ({"id2label": {"0": "a", "1": 7}}, "labels of task 'classification' must be strings"),
    ({"id2label": {"0": "a", "1": "a"}}, "must differ. Received: 'a' twice"),
    ({"problem_type": "multi_label_classification"}, r"problem_type must be .*Received: 'multi_label_classification'"),
    ({"problem_type": "regression"}, "'regression' with 3 labels"),
    ({"id2label": {"0": "a"}}, "task 'classification': classification needs at least 2"),
]


@pytest.mark.parametrize(("changes", "message"), OWN_CONFIGS)
def test_a_bad_description_of_heads_is_an_error_that_names_the_file(changes, message, tmp_path):
    save_pretrained(_model(TAGS, SCORE), None, tmp_path)
    _change_config(tmp_path, **changes)
    with pytest.raises(PublishedModelError, match=message) as caught:
        load_pretrained(tmp_path)
    assert str(tmp_path / "config.json") in str(caught.value)


@pytest.mark.parametrize(("changes", "message"), TRANSFORMERS_CONFIGS)
def test_bad_labels_of_transformers_are_an_error_that_names_the_file(changes, message, tmp_path):
    save_pretrained(_model(DENSE), None, tmp_path)
    _change_config(tmp_path, heads=..., **changes)
    with pytest.raises(PublishedModelError, match=message) as caught:
        load_pretrained(tmp_path)
    assert str(tmp_path / "config.json") in str(caught.value)


def test_labels_that_the_file_does_not_hold_are_found_before_anything_is_made(tmp_path):
    save_pretrained(_model(DENSE), None, tmp_path)
    _change_config(tmp_path, heads=..., id2label={"0": "a", "1": "b"})
    with pytest.raises(PublishedModelError, match=r"classifier\.out_proj\.weight must have the shape \(2, 12\)"):
        load_pretrained(tmp_path)
    save_pretrained(_model(TAGS, SCORE), None, tmp_path)
    _change_config(tmp_path, heads=[*_config(tmp_path)["heads"], dataclasses.asdict(JOINT)])
    with pytest.raises(PublishedModelError, match=r"lacks the tensor heads\.joint\.positions\.weight"):
        load_pretrained(tmp_path)
