"""Models as ONNX graphs: ids in, hidden states and logits out. Needs the extra `onnx`."""

import json
import logging
from typing import Any

import numpy as np
import onnx
import onnxruntime
import tensorflow as tf
import tf2onnx.utils
from tf2onnx.convert import from_function

from electra_span.config import UserError
from electra_span.export.comparison import fixed_inputs, largest_difference
from electra_span.layers.question_head import QuestionHead
from electra_span.models import ElectraTaskModel, TwoTowerGenerator
from electra_span.published.config import published_config
from electra_span.published.names import Model

INPUTS = ("input_ids", "input_mask", "segment_ids")
_OPSET = 18
_MOST_BYTES = 2**31 - 2**20  # of weights in a file, which is one message of protobuf, with something for the graph
_SHAPES = ((2, 24), (3, 7))  # of inputs for which both are compared


class OnnxError(UserError):
    """A model that has no ONNX graph, or one that says something else."""


def onnx_model(model: Model) -> onnx.ModelProto:
    """Returns a model as an ONNX graph, for any number of rows and any length, and its config and labels as metadata.

    Args:
        model: of float32; its outputs are those of `outputs_of`.

    Raises:
        OnnxError: the weights are more than a file may hold.
    """
    size = sum(4 * int(np.prod(weight.shape)) for weight in model.weights)
    if size > _MOST_BYTES:
        raise OnnxError(f"the weights of a model are at most 2 GiB in one ONNX file. Received: {size / 2**30:.1f} GiB")
    signature = [tf.TensorSpec([None, None], tf.int32, name=name) for name in INPUTS]
    function = tf.function(lambda *inputs: outputs_of(model, *inputs), input_signature=signature, autograph=False)
    logging.getLogger("tf2onnx").setLevel(logging.ERROR)
    proto, _ = from_function(
        function, input_signature=signature, opset=_OPSET, custom_op_handlers={"Erfc": (_complement_of_erf, [])}
    )
    for value in (*proto.graph.input, *proto.graph.output):
        for axis, name in zip(value.type.tensor_type.shape.dim, ("batch", "length"), strict=False):
            if not axis.HasField("dim_value"):
                axis.dim_param = name
    onnx.helper.set_model_props(proto, _metadata(model))
    onnx.checker.check_model(proto)
    return proto


def outputs_of(
    model: Model, input_ids: tf.Tensor, input_mask: tf.Tensor, segment_ids: tf.Tensor
) -> dict[str, tf.Tensor]:
    """Returns what a model's ONNX graph does, by name, float32.

    "last_hidden_state", which a two-tower generator has not, and "logits"; of a head for questions "start_logits",
    "end_logits" and, where it has them, "answerable_logit" instead. Ends that are predicted given a start are so given
    the best one. With several heads, names start with their tasks: "TASK_logits".

    Args:
        model: of any kind.
        input_ids, input_mask, segment_ids: int32 [B, L].
    """
    inputs = dict(zip(INPUTS, (input_ids, input_mask, segment_ids), strict=True))
    if isinstance(model, TwoTowerGenerator):
        return {"logits": model(**inputs)}
    states = model.encoder(**inputs)
    outputs = {"last_hidden_state": states}
    if not isinstance(model, ElectraTaskModel):
        return {**outputs, "logits": model.head(states)}
    for task, head in model.heads.items():
        prefix = f"{task}_" if len(model.heads) > 1 else ""
        of_head = (
            _answer_logits(head, states, segment_ids, input_mask)
            if isinstance(head, QuestionHead)
            else {"logits": head(states)}
        )
        outputs.update({prefix + name: logits for name, logits in of_head.items()})
    return outputs


def difference_in_onnxruntime(model: Model, serialized: bytes) -> float:
    """Returns the largest difference between what a model and its ONNX graph say of fixed inputs of two shapes.

    Args:
        model: which the graph was made of.
        serialized: the graph.

    Raises:
        ConversionError: something that the model says is no number.
    """
    session = onnxruntime.InferenceSession(serialized, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    differences = []
    for shape in _SHAPES:
        inputs = fixed_inputs(model.config, shape)
        expected = outputs_of(model, *map(tf.constant, inputs.values()))
        found = session.run(names, inputs)
        differences.append(largest_difference(found, [expected[name].numpy() for name in names]))
    return max(differences)


def _answer_logits(
    head: QuestionHead, states: tf.Tensor, segment_ids: tf.Tensor, input_mask: tf.Tensor
) -> dict[str, tf.Tensor]:
    """Returns what a head for questions says, by name, with the ends given the best start where they wait for one."""
    logits = head(states, segment_ids, input_mask)
    if head.is_joint:
        best = tf.argmax(logits.start, axis=-1, output_type=tf.int32)  # [B]
        logits = head(states, segment_ids, input_mask, best)
    named = zip(("start_logits", "end_logits", "answerable_logit"), logits, strict=True)
    return {name: each for name, each in named if each is not None}


def _metadata(model: Model) -> dict[str, str]:
    """Returns what the graph says of the model: the contents of its config.json, and the labels of each task."""
    metadata = {"config": json.dumps(published_config(model, None), sort_keys=True)}
    if isinstance(model, ElectraTaskModel):
        metadata["labels"] = json.dumps({head.task: head.labels for head in model.head_configs})
    return metadata


def _complement_of_erf(context: Any, node: Any, name: str, arguments: Any) -> None:
    """Replaces a node of TensorFlow's Erfc, which ONNX has not, by 1 - Erf."""
    (output,), dtypes, shapes = node.output, [context.get_dtype(node.output[0])], [context.get_shape(node.output[0])]
    one = context.make_const(tf2onnx.utils.make_name("one"), np.ones([], np.float32))
    erf = context.make_node("Erf", [node.input[0]])
    context.remove_node(node.name)
    context.make_node("Sub", [one.output[0], erf.output[0]], outputs=[output], shapes=shapes, dtypes=dtypes)
