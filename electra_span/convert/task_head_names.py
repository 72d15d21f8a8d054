"""The names of the variables of heads for tasks."""

from collections.abc import Iterator, Sequence

from electra_span.config import EncoderConfig
from electra_span.convert.naming import Name, dense_names
from electra_span.head_config import QUESTION_HIDDEN_SIZE, HeadConfig, has_transformers_layout

# What transformers calls the layers of the heads that it has; a head's last layer is another one where it is alone.
_TRANSFORMERS_NAMES = {"dense": "classifier.dense", "positions": "qa_outputs"}
_LAST_OF_TWO, _ALONE = "classifier.out_proj", "classifier"


def task_head_names(heads: Sequence[HeadConfig], config: EncoderConfig) -> Iterator[Name]:
    """Yields the names of the variables of a model's heads.

    In a safetensors file they are transformers', where the model is one of its own.

    Args:
        heads: of the model, all of them.
        config: of its encoder.
    """
    is_transformers = has_transformers_layout(heads)
    for head in heads:
        layers = list(_layers(head, config.hidden_size))
        for ours, tf1, shape in layers:
            hugging_face = f"heads.{head.task}.{ours}"
            if is_transformers:
                hugging_face = _TRANSFORMERS_NAMES.get(ours, _LAST_OF_TWO if len(layers) > 1 else _ALONE)
            in_checkpoint = " ".join(f"task_specific/{head.task}/{name}" for name in tf1.split())
            yield from dense_names((f"{head.layer_name}/{ours}", in_checkpoint, hugging_face), shape)


def _layers(head: HeadConfig, size: int) -> Iterator[tuple[str, str, tuple[int, int]]]:
    """Yields our name, TF1's and the kernel's shape of each dense layer of a head on states of that size."""
    if head.kind == "questions":
        yield from _layers_for_questions(head, size)
    elif head.has_hidden_layer:  # which the original has not
        yield "dense", "classifier/dense", (size, size)
        yield "prediction", "classifier/out_proj", (size, head.num_outputs)
    else:
        yield "prediction", "dense", (size, head.num_outputs)


def _layers_for_questions(head: HeadConfig, size: int) -> Iterator[tuple[str, str, tuple[int, int]]]:
    """Yields what `_layers` does for a head for questions, whose layers the original numbers as it makes them."""
    if head.joint_prediction:
        yield "positions", "dense", (size, 1)
        yield "end_hidden", "qa_hidden", (2 * size, QUESTION_HIDDEN_SIZE)
        yield "end", "dense_1", (QUESTION_HIDDEN_SIZE, 1)
    else:
        yield "positions", "dense dense_1", (size, 2)
    if not head.answerable_classifier:
        return
    if head.answerable_uses_start_logits:
        yield "answerable_hidden", "dense_2", (2 * size, QUESTION_HIDDEN_SIZE)
        yield "answerable", "dense_3", (QUESTION_HIDDEN_SIZE, 1)
    else:
        yield "answerable", "dense_2", (size, 1)
