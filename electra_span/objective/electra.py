"""ELECTRA's objective as a Keras model around any two Keras models.

Source: Clark et al. 2020, "ELECTRA: Pre-training Text Encoders as Discriminators Rather Than Generators", section 2.
"""

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, Self

import keras
import tensorflow as tf

from electra_span.layers.keras_serialization import register
from electra_span.objective import wiring
from electra_span.objective.batches import MaskedBatch
from electra_span.objective.corruption import HeadLogits, Predictions, corrupt_batch, predict
from electra_span.objective.electra_config import (
    read_arguments,
    written_masking,
    written_models,
    written_table,
)
from electra_span.objective.losses import Losses, LossWeights, joint_losses
from electra_span.objective.masking import MaskingConfig, compiles, make_masking, mask_ids, mask_of
from electra_span.objective.metrics import make_metrics, update_metrics
from electra_span.ops import gather_positions

# (ids int32 [B, L], mask int32 [B, L] with 1 at tokens and 0 at padding) -> what a model is called with
ModelInputs = Callable[[tf.Tensor, tf.Tensor], Any]

_NUM_CHECKED_ROWS = 8


class ElectraOutputs(NamedTuple):
    """What `Electra` makes of a batch.

    Attributes:
        batch: the ids with their masked positions.
        predictions: what both models say about it.
    """

    batch: MaskedBatch
    predictions: Predictions


@register
class Electra(keras.Model):
    """Two models that are trained together: one fills masked tokens in, the other finds what was filled in.

    `compile(optimizer)` and `fit(ids)` train both; `evaluate(ids)` reports the same numbers; `predict(ids)` gives the
    discriminator's logits [B, L] for ids as they are. Reported are the total `loss`; `mlm_loss` and `gen_acc`, the
    generator's mean loss and accuracy over masked positions; `disc_loss`, the discriminator's mean loss over tokens;
    `disc_acc`, the mean of its accuracies on replaced and on original tokens (0.5: it knows nothing), and `disc_auc`.
    Padding counts nowhere. What the models share is theirs: a layer in both is trained by both losses.

    Args:
        generator: gives logits [B, L, V] for ids [B, L], or hidden states [B, L, D] where word_embeddings is given.
        discriminator: gives logits [B, L] or [B, L, 1], positive where a token looks replaced, or has a layer that
            discriminator_layer names.
        mask_id: id of [MASK].
        pad_id: id of padding: where it stands, there is no token.
        special_ids: further ids that are never masked, as those of [CLS] and [SEP].
        vocab_size: V; needed where random tokens are drawn.
        mask_prob: share of a row's tokens to mask, 0.15 by default.
        max_predictions_per_seq: N, most masked positions of a row; by default mask_prob of L.
        replace_probs: shares of masked tokens that become [MASK], a random token, or stay: (0.85, 0, 0.15) by default.
        masking: all about masking, in place of the five above: of words, of spans.
        gen_weight: of the generator's mean loss in the total.
        disc_weight: of the discriminator's.
        temperature: divides the logits that replacements are drawn from.
        disallow_correct: never draw the original token.
        word_embeddings: [V, D], variable, array or embedding layer: the generator's hidden states times it are its
            logits, formed at masked positions only.
        output_bias: [V], variable or array, added to these logits.
        discriminator_layer: name or index of the layer whose output [B, L, D] gets a head of one dense layer. What
            comes behind it is not used.
        generator_inputs: makes what the generator is called with, of ids and mask; by default the ids alone.
        discriminator_inputs: the same for the discriminator.
        seed: of masks and replacements.

    Raises:
        wiring.WiringError: the models do not fit; see `check_wiring`.
        ValueError: an argument is not what it may be.
    """

    train_function: Any
    test_function: Any

    def __init__(
        self,
        generator: keras.Model,
        discriminator: keras.Model,
        *,
        mask_id: int,
        pad_id: int,
        special_ids: Sequence[int] | None = None,
        vocab_size: int | None = None,
        mask_prob: float | None = None,
        max_predictions_per_seq: int | None = None,
        replace_probs: tuple[float, float, float] | None = None,
        masking: MaskingConfig | None = None,
        gen_weight: float = 1.0,
        disc_weight: float = 50.0,
        temperature: float = 1.0,
        disallow_correct: bool = False,
        word_embeddings: Any = None,
        output_bias: Any = None,
        discriminator_layer: str | int | None = None,
        generator_inputs: ModelInputs | None = None,
        discriminator_inputs: ModelInputs | None = None,
        seed: int = 0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.mask_id, self.pad_id, self.vocab_size, self.seed = mask_id, pad_id, vocab_size, seed
        self.masking = make_masking(
            masking,
            mask_id=mask_id,
            pad_id=pad_id,
            vocab_size=vocab_size,
            special_ids=special_ids,
            mask_prob=mask_prob,
            max_predictions_per_seq=max_predictions_per_seq,
            replace_probs=replace_probs,
        )
        self.supports_jit = compiles(self.masking)
        self.objective_weights = LossWeights(gen=gen_weight, disc=disc_weight)
        self._corrupt = functools.partial(corrupt_batch, temperature=temperature, disallow_correct=disallow_correct)

        head = None
        if discriminator_layer is not None:
            discriminator = wiring.tap_layer(discriminator, discriminator_layer)
            head = keras.layers.Dense(1, name="head", dtype="float32")
        self.generator, self.discriminator, self.head = generator, discriminator, head
        if output_bias is not None and word_embeddings is None:
            raise ValueError("output_bias goes with word_embeddings. Received: word_embeddings=None")
        self.word_embeddings, self.output_bias = word_embeddings, output_bias
        self._generator_inputs, self._discriminator_inputs = (
            inputs or _ids_alone for inputs in (generator_inputs, discriminator_inputs)
        )
        self.step = self.add_weight(
            name="step", shape=(), dtype="int64", initializer="zeros", trainable=False, aggregation="only_first_replica"
        )
        self.reports = make_metrics()
        self._is_checked = False

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments, of which Keras makes a .keras file."""
        makers = {"generator_inputs": self._generator_inputs, "discriminator_inputs": self._discriminator_inputs}
        return {
            **super().get_config(),
            **written_models(self.generator, self.discriminator, is_tapped=self.head is not None),
            **written_table(self.word_embeddings, self.output_bias),
            **{
                name: None if maker is _ids_alone else keras.saving.serialize_keras_object(maker)
                for name, maker in makers.items()
            },
            **self._corrupt.keywords,
            "mask_id": self.mask_id,
            "pad_id": self.pad_id,
            "vocab_size": self.vocab_size,
            "masking": written_masking(self.masking),
            "gen_weight": self.objective_weights.gen,
            "disc_weight": self.objective_weights.disc,
            "seed": self.seed,
        }

    @classmethod
    def from_config(cls, config: Mapping[str, Any], custom_objects: Any = None) -> Self:
        """Returns an untrained model of a config that `get_config` returned."""
        return cls(**read_arguments(config))

    def call(self, input_ids: tf.Tensor, training: bool | None = None) -> ElectraOutputs:
        """Returns a batch with its masks and what both models say about it.

        In training, masks and replacements are drawn from the seed, the step and the ids; else from seed and ids.

        Args:
            input_ids: int [B, L], of a static L.
            training: whether this is a step of training, which is counted.
        """
        wiring.check_rank(input_ids)
        if training:
            with tf.control_dependencies([input_ids]):  # a step of no ids, at the end of the data, does not count
                self.step.assign_add(1)
        step = self.step.value if training else tf.zeros([], tf.int64)
        batch = mask_ids(
            tf.cast(input_ids, tf.int32), pad_id=self.pad_id, seed=self.seed, step=step, config=self.masking
        )
        predictions = predict(
            batch,
            generator=lambda batch: HeadLogits(self._generate(batch, training)),
            discriminator=lambda ids, batch: HeadLogits(self._detect(ids, batch.input_mask, training)),
            corrupt=self._corrupt,
        )
        return ElectraOutputs(batch, predictions)

    def discriminate(self, input_ids: tf.Tensor, training: bool | None = None) -> tf.Tensor:
        """Returns the discriminator's logits for ids as they are, positive where one looks replaced: float32 [B, L].

        Args:
            input_ids: int [B, L].
            training: of Keras' layers.
        """
        input_ids = tf.cast(input_ids, tf.int32)
        return self._detect(input_ids, mask_of(input_ids, self.pad_id), training)

    def compute_losses(self, outputs: ElectraOutputs) -> Losses:
        """Returns the losses of a batch, whose `total` is to be minimised; under a strategy, a replica's share of it.

        Args:
            outputs: of a call.
        """
        part = whole = outputs.batch
        replicas = tf.distribute.get_strategy().num_replicas_in_sync
        if replicas > 1 and not tf.distribute.in_cross_replica_context():
            counts = [tf.reduce_sum(part.masked_lm_weights), tf.reduce_sum(tf.cast(part.input_mask, tf.float32))]
            of_tokens, of_mask = tf.distribute.get_replica_context().all_reduce("sum", counts)
            whole = part._replace(masked_lm_weights=of_tokens, input_mask=of_mask)
        return joint_losses(outputs.predictions, part, whole, weights=self.objective_weights)

    def compute_loss(
        self,
        x: Any = None,
        y: Any = None,
        y_pred: Any = None,
        sample_weight: Any = None,
        training: bool = True,
    ) -> tf.Tensor:
        """Returns the total loss of a batch, with what layers added, for `fit` and `evaluate`; counts their metrics."""
        if y is not None or sample_weight is not None:
            raise wiring.WiringError("fit and evaluate take ids alone. Received: targets or weights beside them")
        losses, (mlm_logits, detection, *_) = self.compute_losses(y_pred), y_pred.predictions
        update_metrics(self.reports, y_pred.batch, mlm_logits=mlm_logits, detection=detection, losses=losses)
        added = [tf.cast(tf.reduce_sum(loss), tf.float32) for loss in self.losses]
        return losses.total + sum(added) / tf.distribute.get_strategy().num_replicas_in_sync

    def compute_metrics(self, x: Any, y: Any, y_pred: Any, sample_weight: Any = None) -> dict[str, Any]:
        """Returns what `compute_loss` counted."""
        return self.get_metrics_result()

    def predict_step(self, data: Any) -> tf.Tensor:
        """Returns the discriminator's logits for ids as they are, for `predict`."""
        return self.discriminate(keras.utils.unpack_x_y_sample_weight(data)[0], training=False)

    def quantize(self, *args: Any, **kwargs: Any) -> None:
        """Raises NotImplementedError: quantized weights are not trained."""
        raise NotImplementedError(
            "Electra trains both models, and quantized weights are not trained. Quantize the "
            "discriminator alone once training is done"
        )

    def make_train_function(self, force: bool = False) -> None:
        """Makes what `fit` runs for a step; before the first, the wiring is checked on its ids."""
        if self.train_function is None or force:
            super().make_train_function(force)
            self.train_function = wiring.checked_first(self.train_function, self._check_once)

    def make_test_function(self, force: bool = False) -> None:
        """Makes what `evaluate` runs for a batch; see `make_train_function`."""
        if self.test_function is None or force:
            super().make_test_function(force)
            self.test_function = wiring.checked_first(self.test_function, self._check_once)

    def check_wiring(self, input_ids: Any) -> None:
        """Raises an error unless the two models fit the objective; `fit` calls this by itself, a loop may.

        Shapes fit; ids are among the generator's words; neither model returns probabilities; each loss trains its own
        model, and the discriminator's nothing that is the generator's alone.

        Args:
            input_ids: int [B, L], real ones; only the first 8 rows go through the models.

        Raises:
            wiring.WiringError: with what was received and what to do.
        """
        input_ids = tf.convert_to_tensor(input_ids)
        wiring.check_rank(input_ids)
        rows = tf.cast(input_ids[:_NUM_CHECKED_ROWS], tf.int32)
        states = self._states(tf.zeros_like(rows), tf.ones_like(rows), training=False)
        table = self.word_embeddings
        vocab_size = states.shape[2] if table is None else wiring.table_values(table).shape[0]
        wiring.check_ids(input_ids, vocab_size=vocab_size, mask_id=self.mask_id, pad_id=self.pad_id)
        with tf.GradientTape(persistent=True) as tape:
            outputs = self(rows, training=False)
            losses = joint_losses(outputs.predictions, *[outputs.batch] * 2, weights=LossWeights())
            mlm_loss, disc_loss = tf.reduce_sum(losses.mlm), tf.reduce_sum(losses.disc)
        wiring.check_word_logits(outputs.predictions.mlm_logits)
        if self.head is None:
            logits = outputs.predictions.detection.logits
            wiring.check_token_logits(logits[outputs.batch.input_mask > 0], self.discriminator)
        wiring.check_gradients(
            tape,
            mlm_loss=mlm_loss,
            disc_loss=disc_loss,
            of_generator=wiring.trainable_of(self.generator, table, self.output_bias),
            of_discriminator=wiring.trainable_of(self.discriminator, self.head),
        )
        self._is_checked = True

    def _check_once(self, data: Any) -> None:
        """Checks the wiring on Keras' data of a batch, unless that was done."""
        if not self._is_checked:
            ids = keras.utils.unpack_x_y_sample_weight(data)[0]
            self.distribute_strategy.run(self.check_wiring, args=(ids,))

    def _states(self, input_ids: tf.Tensor, input_mask: tf.Tensor, training: bool | None) -> tf.Tensor:
        """Returns what the generator gives: [B, L, V], or [B, L, D]."""
        # Outside of any scope TensorFlow refuses names such as _model, whereupon Keras leaves its own scope open.
        with tf.name_scope("generator"):
            output = self.generator(self._generator_inputs(input_ids, input_mask), training=training)
        return wiring.checked_states(output, input_ids, table=self.word_embeddings, vocab_size=self.vocab_size)

    def _generate(self, batch: MaskedBatch, training: bool | None) -> tf.Tensor:
        """Returns the generator's logits at the masked positions: float32 [B, N, V]."""
        states = self._states(batch.masked_input_ids, batch.input_mask, training)
        states = gather_positions(states, batch.masked_lm_positions)
        if self.word_embeddings is None:
            return tf.cast(states, tf.float32)
        return wiring.word_logits(states, table=self.word_embeddings, bias=self.output_bias)

    def _detect(self, input_ids: tf.Tensor, input_mask: tf.Tensor, training: bool | None) -> tf.Tensor:
        """Returns the discriminator's logits: float32 [B, L]."""
        with tf.name_scope("discriminator"):
            output = self.discriminator(self._discriminator_inputs(input_ids, input_mask), training=training)
        return wiring.checked_scores(output if self.head is None else self.head(output), input_ids)


def _ids_alone(input_ids: tf.Tensor, input_mask: tf.Tensor) -> tf.Tensor:
    return input_ids
