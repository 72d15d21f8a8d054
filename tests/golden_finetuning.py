"""Reading the recorded runs of the original's fine-tuning graph."""

import json
import pathlib
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from electra_span.config import EncoderConfig
from electra_span.convert.tf1 import load_tf1_weights
from electra_span.encoder import ElectraEncoder
from electra_span.head_config import HeadConfig
from electra_span.models import ElectraTaskModel
from electra_span.published.names import names_of, relative_path

MODES = ("squad_joint", "squad_joint_cls_only", "squad_independent", "squadv1_plain")
TRAINING_MODES = ("squad_joint_training", "squad_independent_training")
_QUESTION_FIELDS = ("joint_prediction", "answerable_classifier", "answerable_uses_start_logits")
_HEADS = {
    "cola": HeadConfig(task="cola", kind="classification", labels=("0", "1")),
    "mnli": HeadConfig(task="mnli", kind="classification", labels=("a", "b", "c")),
    "sts": HeadConfig(task="sts", kind="regression"),
    "chunk": HeadConfig(task="chunk", kind="tagging", labels=("p", "q", "r", "s", "t")),
}


class RecordedTasks(NamedTuple):
    """One recorded mode: our model with its weights, and recorded tensors by name."""

    model: ElectraTaskModel
    tensors: dict[str, np.ndarray]
    beam_size: int

    def inputs(self) -> dict[str, tf.Tensor]:
        """The recorded batch, as our model takes it."""
        names = ("input_ids", "input_mask", "segment_ids")
        return {name: tf.constant(self.tensors[f"in/{name}"], tf.int32) for name in names}


def read_tasks(folder: pathlib.Path, dtype: str = "float32", **options: object) -> RecordedTasks:
    """Returns one mode of golden/tf1_finetune; options are `ElectraEncoder`'s."""
    meta = json.loads((folder / "meta.json").read_text())
    settings = meta["config"]
    tensors = dict(np.load(folder / "io.npz"))
    flags = {name: settings[name] for name in _QUESTION_FIELDS}
    heads = [_HEADS.get(task) or HeadConfig(task=task, kind="questions", **flags) for task in meta["tasks"]]
    config = EncoderConfig(
        vocab_size=300, embedding_size=settings["embedding_size"], **settings["model_hparam_overrides"]
    )
    model = ElectraTaskModel(ElectraEncoder(config, name="electra", dtype=dtype, **options), heads, dtype=dtype)
    load_tf1_weights(model, folder.parent / folder.name.removesuffix("_training") / "model.ckpt")
    return RecordedTasks(model, tensors, settings["beam_size"])


def tf1_gradients(model: ElectraTaskModel, recorded: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Returns recorded gradients by the paths of our variables, of those that all were recorded for."""
    names = {name.ours: name.tf1.split() for name in names_of(model)}
    found = {}
    for variable in model.trainable_variables:
        parts = names[relative_path(variable)]
        scoped = [part if part.startswith("task_specific/") else f"electra/{part}" for part in parts]
        if all(name in recorded for name in scoped):
            found[variable.path] = np.concatenate([recorded[name] for name in scoped], axis=-1)
    return found
