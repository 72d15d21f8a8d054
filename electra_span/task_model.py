"""The model that tasks are trained and evaluated with: one encoder with a head for each task."""

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from electra_span.encoder import ElectraEncoder
from electra_span.head_config import HeadConfig, check_tasks
from electra_span.inference.methods import TextMethods
from electra_span.layers.keras_config import KerasConfig, register, written
from electra_span.layers.paths import built_at_root
from electra_span.layers.question_head import QuestionHead, QuestionLogits
from electra_span.layers.task_heads import ClassificationHead, TaggingHead

_HEAD_CLASSES: dict[str, type[keras.layers.Layer]] = {
    "classification": ClassificationHead,
    "regression": ClassificationHead,
    "tagging": TaggingHead,
    "questions": QuestionHead,
}


@register
class ElectraTaskModel(KerasConfig, TextMethods, keras.Model):
    """An encoder with heads for one or more tasks.

    Args:
        encoder: what they stand on.
        heads: one for each task, in order.

    Attributes:
        heads: the layers of the heads by their tasks.
        head_configs: what they are.
        tokenizer: the encoder's, where the model was loaded with one.
    """

    saved_arguments = ("encoder",)
    max_span_length = 0

    def __init__(self, encoder: ElectraEncoder, heads: Sequence[HeadConfig], **kwargs: object) -> None:
        super().__init__(**kwargs)
        check_tasks(heads)
        self.encoder, self.config, self.head_configs = encoder, encoder.config, tuple(heads)
        self.heads = {head.task: make_head(encoder, head) for head in heads}
        self.tokenizer: Any = None
        self.built = True

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments."""
        return {**super().get_config(), "heads": written(self.head_configs)}

    def call(
        self,
        input_ids: tf.Tensor,
        input_mask: tf.Tensor | None = None,
        segment_ids: tf.Tensor | None = None,
        training: bool | None = None,
    ) -> dict[str, tf.Tensor | QuestionLogits]:
        """Returns what each head says, by its task: float32 [B, C], [B], [B, L, C] or `QuestionLogits`.

        Args:
            input_ids: int32 [B, L].
            input_mask: int32 [B, L], 0 at padding; all tokens by default.
            segment_ids: int32 [B, L]; zeros by default.
            training: Keras' argument, with which dropout acts.
        """
        input_ids = tf.convert_to_tensor(input_ids)
        input_mask = tf.ones_like(input_ids) if input_mask is None else input_mask
        segment_ids = tf.zeros_like(input_ids) if segment_ids is None else segment_ids
        states = self.encoder(input_ids=input_ids, input_mask=input_mask, segment_ids=segment_ids, training=training)
        return {
            head.task: self.heads[head.task](states, *((segment_ids, input_mask) if head.kind == "questions" else ()))
            for head in self.head_configs
        }


def make_head(encoder: ElectraEncoder, head: HeadConfig) -> keras.layers.Layer:
    """Returns an untrained head that is computed as its encoder is.

    Args:
        encoder: what it stands on.
        head: what it is.
    """
    options: dict[str, Any] = {"name": head.layer_name, "dtype": encoder.dtype_policy}
    if head.kind == "questions":
        options["compile_kernels"] = encoder.compile_kernels
    return built_at_root(_HEAD_CLASSES[head.kind](encoder.config, head, **options))
