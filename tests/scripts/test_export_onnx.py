"""Models as ONNX files: onnxruntime says what Keras says, of any number of rows and any length."""

import json

import numpy as np
import pytest
import tensorflow as tf

from electra_span.config import EncoderConfig, UserError
from electra_span.encoder import ElectraEncoder
from electra_span.head_config import HeadConfig
from electra_span.models import ElectraDiscriminator, ElectraGenerator, ElectraTaskModel, make_two_towers
from electra_span.published.save_load import save_pretrained
from scripts import export_onnx
from tests.tiny_models import TINY, randomize

onnx = pytest.importorskip("onnx", reason="needs the extra onnx")
onnxruntime = pytest.importorskip("onnxruntime", reason="needs the extra onnx")
pytest.importorskip("tf2onnx", reason="needs the extra onnx")

COMPOSITIONAL = EncoderConfig(**{**vars(TINY), "embedding_type": "compositional"})
LABELS = HeadConfig(task="mood", kind="classification", labels=("good", "bad"), classifier="dense")
NUMBER = HeadConfig(task="stars", kind="regression", score_range=(1.0, 5.0))
TAGS = HeadConfig(task="tags", kind="tagging", labels=("O", "B", "I"))
ANSWERS = HeadConfig(task="answers", kind="questions")
SIMPLE_ANSWERS = HeadConfig(task="simple", kind="questions", joint_prediction=False, answerable_classifier=False)


def _encoder(config=TINY):
    return ElectraEncoder(config, name="electra")


MODELS = {
    "discriminator": lambda: ElectraDiscriminator(_encoder(), max_span_length=2),
    "generator": lambda: ElectraGenerator(_encoder(COMPOSITIONAL)),
    "two_towers": lambda: make_two_towers(ElectraEncoder, TINY),
    "classification": lambda: ElectraTaskModel(_encoder(), (LABELS,)),
    "questions": lambda: ElectraTaskModel(_encoder(), (ANSWERS,)),
    "several_tasks": lambda: ElectraTaskModel(_encoder(), (NUMBER, TAGS, SIMPLE_ANSWERS)),
}
OUTPUTS = {
    "discriminator": {"last_hidden_state": ["batch", "length", 12], "logits": ["batch", "length"]},
    "generator": {"last_hidden_state": ["batch", "length", 12], "logits": ["batch", "length", 37]},
    "two_towers": {"logits": ["batch", "length", 37]},
    "classification": {"last_hidden_state": ["batch", "length", 12], "logits": ["batch", 2]},
    "questions": {
        "last_hidden_state": ["batch", "length", 12],
        "start_logits": ["batch", "length"],
        "end_logits": ["batch", "length"],
        "answerable_logit": ["batch"],
    },
    "several_tasks": {
        "last_hidden_state": ["batch", "length", 12],
        "stars_logits": ["batch"],
        "tags_logits": ["batch", "length", 3],
        "simple_start_logits": ["batch", "length"],
        "simple_end_logits": ["batch", "length"],
    },
}


def _export(model, folder):
    save_pretrained(model, None, folder / "model")
    target = folder / "onnx" / "model.onnx"
    export_onnx.main(export_onnx.make_parser().parse_args([str(folder / "model"), str(target)]))
    return target


def _inputs(shape, seed):
    generator = np.random.default_rng(seed)
    lengths = generator.integers(1, shape[1] + 1, shape[0])
    mask = (np.arange(shape[1]) < lengths[:, None]).astype(np.int32)
    ids = generator.integers(1, TINY.vocab_size, shape).astype(np.int32) * mask
    return {"input_ids": ids, "input_mask": mask, "segment_ids": (np.arange(shape[1]) > 3).astype(np.int32) * mask}


def _by_name(kind, model, inputs):
    """What Keras says, under the names of the outputs."""
    said = model(**inputs)
    if kind in ("discriminator", "generator", "two_towers"):
        return {"logits": said}
    if kind == "classification":
        return {"logits": said["mood"]}
    if kind == "questions":
        head, states = model.heads["answers"], model.encoder(**inputs)
        best = tf.argmax(said["answers"].start, axis=-1, output_type=tf.int32)
        given = head(states, inputs["segment_ids"], inputs["input_mask"], best)
        return {"start_logits": given.start, "end_logits": given.end, "answerable_logit": said["answers"].answerable}
    start, end, _ = said["simple"]
    return {
        "stars_logits": said["stars"],
        "tags_logits": said["tags"],
        "simple_start_logits": start,
        "simple_end_logits": end,
    }


@pytest.mark.parametrize("kind", MODELS)
def test_onnxruntime_says_what_keras_says(kind, tmp_path, capsys):
    model = MODELS[kind]()
    randomize(model, scale=0.5)
    file = _export(model, tmp_path)
    session = onnxruntime.InferenceSession(file)
    assert {output.name: output.shape for output in session.get_outputs()} == OUTPUTS[kind]
    assert [(each.name, each.type, each.shape) for each in session.get_inputs()] == [
        (name, "tensor(int32)", ["batch", "length"]) for name in ("input_ids", "input_mask", "segment_ids")
    ]
    for shape in ((1, 16), (4, 5)):
        inputs = _inputs(shape, seed=shape[0])
        expected = _by_name(kind, model, inputs)
        if kind != "two_towers":
            expected["last_hidden_state"] = model.encoder(**inputs)
        assert set(expected) == set(OUTPUTS[kind])
        for name, logits in zip(expected, session.run(list(expected), inputs), strict=True):
            np.testing.assert_allclose(logits, expected[name], rtol=0, atol=1e-4, err_msg=name)
    assert "differs from Keras by" in capsys.readouterr().out
    assert [each.name for each in file.parent.iterdir()] == ["model.onnx"]


def test_a_file_tells_its_labels_and_config(tmp_path):
    props = {each.key: each.value for each in onnx.load(_export(MODELS["classification"](), tmp_path)).metadata_props}
    assert json.loads(props["labels"]) == {"mood": ["good", "bad"]}
    config = json.loads(props["config"])
    assert config["architectures"] == ["ElectraForSequenceClassification"]
    assert config["max_position_embeddings"] == TINY.max_position_embeddings


def test_a_graph_that_says_something_else_is_not_written(tmp_path, monkeypatch):
    from electra_span.export import onnx

    monkeypatch.setattr(onnx, "difference_in_onnxruntime", lambda model, serialized: 0.5)
    with pytest.raises(UserError, match=r"differs from Keras by 0.5\. Nothing was written"):
        _export(MODELS["discriminator"](), tmp_path)
    assert not (tmp_path / "onnx").exists()


def test_weights_that_no_file_can_hold_are_refused(monkeypatch):
    from electra_span.export import onnx

    monkeypatch.setattr(onnx, "_MOST_BYTES", 1000)
    with pytest.raises(UserError, match="at most 2 GiB"):
        onnx.onnx_model(MODELS["discriminator"]())
