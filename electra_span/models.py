"""The models of ELECTRA as they are published: encoders with their heads."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Self

import keras
import tensorflow as tf

from electra_span.config import EncoderConfig
from electra_span.encoder import ElectraEncoder
from electra_span.head_config import HeadConfig, check_tasks
from electra_span.inference.methods import TextMethods
from electra_span.layers.embeddings import Embeddings
from electra_span.layers.heads import (
    ClassificationHead,
    MaskedLMHead,
    ReplacedTokenHead,
    SpanMaskedLMHead,
    SpanReplacedTokenHead,
    Spans,
    TaggingHead,
)
from electra_span.layers.keras_serialization import KerasConfig, built_at_root, register, written
from electra_span.layers.question_head import QuestionHead, QuestionLogits
from electra_span.objective.batches import MaskedBatch
from electra_span.objective.corruption import HeadLogits
from electra_span.ops import gather_positions, split_seed


@register
class ElectraGenerator(KerasConfig, TextMethods, keras.Model):
    """Masked language model: an encoder whose head scores all words, tied to its word embeddings.

    Args:
        encoder: what it stands on.
        max_span_length: of the span head that is trained beside (SBGO); 0 for none.
    """

    saved_arguments = ("encoder", "max_span_length")
    capabilities = ("fill_mask", "embed")

    def __init__(self, encoder: ElectraEncoder, *, max_span_length: int = 0, **kwargs: object) -> None:
        super().__init__(**kwargs)
        self.encoder, self.config, self.max_span_length = encoder, encoder.config, max_span_length
        parts, dtype = (encoder.config, encoder.embeddings), encoder.dtype_policy
        self.head = built_at_root(MaskedLMHead(*parts, name="generator_predictions", dtype=dtype))
        self.span_head = None
        if max_span_length:
            name = "generator_span_predictions"
            self.span_head = built_at_root(
                SpanMaskedLMHead(*parts, max_span_length=max_span_length, name=name, dtype=dtype)
            )
        self.built = True

    def call(
        self,
        input_ids: tf.Tensor,
        input_mask: tf.Tensor | None = None,
        segment_ids: tf.Tensor | None = None,
        positions: tf.Tensor | None = None,
        dropout_seed: tf.Tensor | None = None,
        training: bool | None = None,
    ) -> tf.Tensor:
        """Returns float32 logits [B, L, V], or [B, N, V] where positions [B, N] are given.

        The other arguments are those of `ElectraEncoder.call`.
        """
        states = self.head_states(input_ids, input_mask, segment_ids, dropout_seed, training)
        return self.head(states if positions is None else gather_positions(states, positions))

    def head_states(
        self,
        input_ids: tf.Tensor,
        input_mask: tf.Tensor | None = None,
        segment_ids: tf.Tensor | None = None,
        dropout_seed: tf.Tensor | None = None,
        training: bool | None = None,
    ) -> tf.Tensor:
        """Returns what the head makes its logits of: [B, L, H]. The arguments are those of `call`."""
        return self.encoder(
            input_ids=input_ids,
            input_mask=input_mask,
            segment_ids=segment_ids,
            dropout_seed=dropout_seed,
            training=training,
        )

    def generate(self, batch: MaskedBatch, *, dropout_seed: tf.Tensor | None = None) -> HeadLogits:
        """Returns what both heads say at the masked positions of a batch, whose masked ids are read."""
        states = self.encoder(batch.masked_input_ids, batch.input_mask, batch.segment_ids, dropout_seed=dropout_seed)
        tokens = self.head(gather_positions(states, batch.masked_lm_positions))
        return HeadLogits(tokens, _span_logits(self.span_head, states, batch))


@register
class TwoTowerGenerator(KerasConfig, TextMethods, keras.Model):
    """Cloze model: two encoders read a row from both ends, and predict each token without having read it.

    Deviation: the original's states at either end of a row come from the row's other end, or from padding, and untied
    towers embed words apart; here they are zeros, and towers have one embedding layer.

    Args:
        left_to_right: reads each token and those before it.
        right_to_left: reads each token and those behind it, with the embedding layer of left_to_right.

    Source: Clark et al. 2020, "Pre-Training Transformers as Energy-Based Cloze Models", section 2.
    """

    saved_arguments = ("left_to_right", "right_to_left")
    capabilities = ("fill_mask",)  # a tower reads a text from one side only: no state of it stands for the text
    max_span_length = 0

    def __init__(self, left_to_right: ElectraEncoder, right_to_left: ElectraEncoder, **kwargs: object) -> None:
        super().__init__(**kwargs)
        self.left_to_right, self.right_to_left, self.config = left_to_right, right_to_left, left_to_right.config
        head = MaskedLMHead(
            self.config,
            left_to_right.embeddings,
            num_states=2,
            name="cloze_predictions",
            dtype=left_to_right.dtype_policy,
        )
        self.head = built_at_root(head)
        self.built = True

    @classmethod
    def from_config(cls, config: Mapping[str, Any], custom_objects: Any = None) -> Self:
        """Returns an untrained model of a config that `get_config` returned."""
        left_to_right = keras.saving.deserialize_keras_object(config["left_to_right"])
        of_right = {**config["right_to_left"]["config"], "embeddings": left_to_right.embeddings}
        towers = {"left_to_right": left_to_right, "right_to_left": ElectraEncoder.from_config(of_right)}
        return super().from_config({**config, **towers}, custom_objects)

    @property
    def embeddings(self) -> Embeddings:
        """The embedding layer of both towers."""
        return self.left_to_right.embeddings

    def call(
        self,
        input_ids: tf.Tensor,
        input_mask: tf.Tensor | None = None,
        segment_ids: tf.Tensor | None = None,
        positions: tf.Tensor | None = None,
        dropout_seed: tf.Tensor | None = None,
        training: bool | None = None,
    ) -> tf.Tensor:
        """Returns float32 logits of each token, given all others of its row: as those of `ElectraGenerator.call`."""
        states = self.head_states(input_ids, input_mask, segment_ids, dropout_seed, training)
        return self.head(states if positions is None else gather_positions(states, positions))

    def head_states(
        self,
        input_ids: tf.Tensor,
        input_mask: tf.Tensor | None = None,
        segment_ids: tf.Tensor | None = None,
        dropout_seed: tf.Tensor | None = None,
        training: bool | None = None,
    ) -> tf.Tensor:
        """Returns what the head makes its logits of: [B, L, 2H]. The arguments are those of `call`."""
        input_mask = tf.ones_like(input_ids) if input_mask is None else input_mask
        before, behind = (
            tower(
                input_ids=input_ids,
                input_mask=input_mask,
                segment_ids=segment_ids,
                dropout_seed=seed,
                training=training,
            )
            for tower, seed in zip((self.left_to_right, self.right_to_left), split_seed(dropout_seed, 2), strict=True)
        )
        return surroundings(before, behind, input_mask)

    def generate(self, batch: MaskedBatch, *, dropout_seed: tf.Tensor | None = None) -> HeadLogits:
        """Returns what the head says at the masked positions of a batch and at all; the original ids are read."""
        cloze = self(batch.input_ids, batch.input_mask, batch.segment_ids, dropout_seed=dropout_seed)
        return HeadLogits(gather_positions(cloze, batch.masked_lm_positions), cloze=cloze)


@register
class ElectraDiscriminator(KerasConfig, TextMethods, keras.Model):
    """Replaced token detector: an encoder whose head gives one score a token.

    Args:
        encoder: what it stands on.
        max_span_length: of the span head that is trained beside (SBPO); 0 for none.
    """

    saved_arguments = ("encoder", "max_span_length")
    capabilities = ("replaced", "embed")

    def __init__(self, encoder: ElectraEncoder, *, max_span_length: int = 0, **kwargs: object) -> None:
        super().__init__(**kwargs)
        self.encoder, self.config, self.max_span_length = encoder, encoder.config, max_span_length
        config, dtype = encoder.config, encoder.dtype_policy
        self.head = built_at_root(ReplacedTokenHead(config, name="discriminator_predictions", dtype=dtype))
        self.span_head = None
        if max_span_length:
            name = "discriminator_span_predictions"
            span_head = SpanReplacedTokenHead(config, max_span_length=max_span_length, name=name, dtype=dtype)
            self.span_head = built_at_root(span_head)
        self.built = True

    def call(
        self,
        input_ids: tf.Tensor,
        input_mask: tf.Tensor | None = None,
        segment_ids: tf.Tensor | None = None,
        dropout_seed: tf.Tensor | None = None,
        training: bool | None = None,
    ) -> tf.Tensor:
        """Returns float32 logits [B, L], positive where a token looks replaced.

        The arguments are those of `ElectraEncoder.call`.
        """
        states = self.encoder(
            input_ids=input_ids,
            input_mask=input_mask,
            segment_ids=segment_ids,
            dropout_seed=dropout_seed,
            training=training,
        )
        return self.head(states)

    def detect(self, input_ids: tf.Tensor, batch: MaskedBatch, *, dropout_seed: tf.Tensor | None = None) -> HeadLogits:
        """Returns what both heads say about corrupted ids [B, L] of a batch."""
        states = self.encoder(input_ids, batch.input_mask, batch.segment_ids, dropout_seed=dropout_seed)
        return HeadLogits(self.head(states), _span_logits(self.span_head, states, batch))


def make_two_towers(
    build_encoder: Callable[..., ElectraEncoder], config: EncoderConfig, embeddings: Embeddings | None = None
) -> TwoTowerGenerator:
    """Returns a two-tower generator of encoders that build_encoder makes, `ElectraEncoder` with its options bound.

    Args:
        build_encoder: takes config, embeddings, direction and name.
        config: of each tower.
        embeddings: the embedding layer to use, shared with a discriminator; by default one of its own.
    """
    left_to_right = build_encoder(config, embeddings, direction="left_to_right", name="generator_ltr")
    right_to_left = build_encoder(config, left_to_right.embeddings, direction="right_to_left", name="generator_rtl")
    return TwoTowerGenerator(left_to_right, right_to_left, name="generator_model", dtype=left_to_right.dtype_policy)


def surroundings(before: tf.Tensor, behind: tf.Tensor, input_mask: tf.Tensor) -> tf.Tensor:
    """Returns for each token the states of its two neighbours, zeros where it has none: [B, L, 2H].

    Args:
        before: [B, L, H], what is known of each token and those before it.
        behind: [B, L, H], what is known of each token and those behind it.
        input_mask: int32 [B, L], 0 at padding, which is no neighbour.
    """
    is_token = tf.cast(input_mask, before.dtype)[:, :, tf.newaxis]  # [B, L, 1]
    left = tf.pad((before * is_token)[:, :-1], [[0, 0], [1, 0], [0, 0]])
    right = tf.pad((behind * is_token)[:, 1:], [[0, 0], [0, 1], [0, 0]])
    return tf.concat([left, right], axis=-1)


def _span_logits(span_head: keras.layers.Layer | None, states: tf.Tensor, batch: MaskedBatch) -> tf.Tensor | None:
    """Returns what a span head says at the masked positions of a batch; None without one."""
    if span_head is None:
        return None
    return span_head(states, Spans(batch.span_left, batch.span_right, batch.span_offset))


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
    capabilities = ("classify", "answer", "tag", "embed")  # as far as one of its heads is of the kind
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
