"""The head that finds the answer to a question in a context, and whether there is one.

Source: ELECTRA's question answering (Clark et al. 2020, appendix B), whose joint prediction of start and end follows
XLNet's (Yang et al. 2019).
"""

from typing import Any, NamedTuple

import keras
import tensorflow as tf

from electra_span.config import EncoderConfig
from electra_span.head_config import QUESTION_HIDDEN_SIZE, HeadConfig
from electra_span.layers.keras_serialization import KerasConfig, register
from electra_span.layers.kernels import Dense, bias_gelu, bias_gelu_by_erf
from electra_span.ops import gather_positions

_FORBIDDEN = -1000.0  # the original's, added to the logits of positions that are no answer
_NO_POSITION = -1e30  # the log-probability of places in a beam that is longer than the rows


class QuestionLogits(NamedTuple):
    """What the head says of a batch of windows.

    Attributes:
        start: float32 [B, L], of answers starting at each token.
        end: float32 [B, L], of answers ending at each token, given their start where both are predicted jointly; None
            then, where no start is given.
        answerable: float32 [B], positive where there seems to be no answer; None without that classifier.
    """

    start: tf.Tensor
    end: tf.Tensor | None
    answerable: tf.Tensor | None


class BestSpans(NamedTuple):
    """The best answers in a batch of windows, from a beam of S starts with S ends each, best first.

    Where starts and ends are predicted independently, the beam is zeros, as the original's: both logits say it all.

    Attributes:
        start_top_log_probs: float32 [B, S], of the best starts.
        start_top_index: int32 [B, S], their positions.
        end_top_log_probs: float32 [B, S, S], of the best ends for each start.
        end_top_index: int32 [B, S, S], their positions.
        start_logits, end_logits, answerable_logit: as in `QuestionLogits`.
    """

    start_top_log_probs: tf.Tensor
    start_top_index: tf.Tensor
    end_top_log_probs: tf.Tensor
    end_top_index: tf.Tensor
    start_logits: tf.Tensor
    end_logits: tf.Tensor | None
    answerable_logit: tf.Tensor | None


@register
class QuestionHead(KerasConfig, keras.layers.Layer):
    """Scores of starts, ends and answerability.

    Answers are in the second segment; position 0 stands for none. Predicted jointly, an end is scored by a hidden layer
    over the states of the start and of the end. Answerability is scored by a hidden layer over the states of the first
    token and of the expected start, or by one layer on the first token's alone.

    Args:
        config: of the encoder.
        head: of kind "questions".
        compile_kernels: compile the scores of a beam's ends by XLA, in one loop; for a CPU.
    """

    saved_arguments = ("config", "head", "compile_kernels")

    def __init__(
        self, config: EncoderConfig, head: HeadConfig, *, compile_kernels: bool = False, **kwargs: object
    ) -> None:
        super().__init__(**kwargs)
        self.config, self.head, self.compile_kernels = config, head, compile_kernels
        self.is_joint = head.joint_prediction
        self._compiled_scores = tf.function(_scores, jit_compile=True, autograph=False) if compile_kernels else None
        has_answerable = head.answerable_classifier
        reads_starts = has_answerable and head.answerable_uses_start_logits

        def hidden_layer(name: str, is_there: bool) -> Any:
            units, dtype = QUESTION_HIDDEN_SIZE, self.dtype_policy
            return Dense(units, name=name, dtype=dtype) if is_there else None

        def output_layer(name: str, is_there: bool = True, units: int = 1) -> Any:
            return Dense(units, name=name, dtype="float32") if is_there else None

        self.positions = output_layer("positions", units=1 if self.is_joint else 2)
        self.end_hidden, self.end = hidden_layer("end_hidden", self.is_joint), output_layer("end", self.is_joint)
        self.answerable_hidden = hidden_layer("answerable_hidden", reads_starts)
        self.answerable = output_layer("answerable", has_answerable)

    def build(self, input_shape: object = None) -> None:
        """Creates the weights; they do not depend on input_shape."""
        size = self.config.hidden_size
        widths = {
            self.positions: size,
            self.end_hidden: 2 * size,
            self.end: QUESTION_HIDDEN_SIZE,
            self.answerable_hidden: 2 * size,
            self.answerable: QUESTION_HIDDEN_SIZE if self.answerable_hidden is not None else size,
        }
        for layer, width in widths.items():
            if layer is not None:
                layer.build((None, width))

    def call(
        self,
        states: tf.Tensor,
        segment_ids: tf.Tensor,
        input_mask: tf.Tensor,
        start_positions: tf.Tensor | None = None,
    ) -> QuestionLogits:
        """Returns the logits of a batch.

        Args:
            states: [B, L, H].
            segment_ids: int32 [B, L], 1 where answers may be.
            input_mask: int32 [B, L], 0 at padding.
            start_positions: int32 [B], the starts that ends are scored for, where both are predicted jointly.
        """
        forbidden = _forbidden(segment_ids, input_mask)
        start, *ends = (logits + forbidden for logits in self.position_logits(states))
        end = ends[0] if ends else None
        if self.is_joint and start_positions is not None:
            from_start, from_end = self._end_parts(states, start_positions[:, tf.newaxis])
            end = self._end_logits(from_start + from_end) + forbidden
        return QuestionLogits(start, end, self._answerable_logit(states, start))

    def position_logits(self, states: tf.Tensor) -> list[tf.Tensor]:
        """Returns the logits of starts and, unless they wait for a start, of ends, before any position is forbidden.

        They are transformers', float32 [B, L] each, for states [B, L, H].
        """
        return tf.unstack(self.positions(tf.cast(states, tf.float32)), axis=-1)

    def best_spans(self, states: tf.Tensor, segment_ids: tf.Tensor, input_mask: tf.Tensor, beam_size: int) -> BestSpans:
        """Returns the best answers of a batch.

        Args:
            states, segment_ids, input_mask: as in `call`.
            beam_size: starts, and ends of each. Where a row has fewer tokens, those that it has not are at position 0
                with a log-probability of -1e30.
        """
        logits = self(states, segment_ids, input_mask)
        if not self.is_joint:
            starts = tf.zeros([tf.shape(states)[0], beam_size])
            ends = tf.zeros([tf.shape(states)[0], beam_size, beam_size])
            beam = (starts, tf.cast(starts, tf.int32), ends, tf.cast(ends, tf.int32))
            return BestSpans(*beam, *logits)
        starts = top_positions(tf.nn.log_softmax(logits.start), beam_size)
        end_logits = self._beam_of_ends(states, starts[1]) + _forbidden(segment_ids, input_mask)[:, tf.newaxis]
        ends = top_positions(tf.nn.log_softmax(end_logits), beam_size)
        return BestSpans(*starts, *ends, *logits)

    def _beam_of_ends(self, states: tf.Tensor, start_positions: tf.Tensor) -> tf.Tensor:
        """Returns the logits of ends for starts [B, S]: float32 [B, S, L].

        One start of every row at a time: all together would take S times the memory of [B, L, 512].
        """
        from_start, from_end = self._end_parts(states, start_positions)
        by_start = tf.transpose(from_start, [1, 0, 2])  # [S, B, 512]
        logits = tf.map_fn(
            lambda one: self._end_logits_from(one[:, tf.newaxis], from_end),
            by_start,
            fn_output_signature=tf.float32,
            parallel_iterations=1,
        )  # [S, B, L]
        return tf.transpose(logits, [1, 0, 2])

    def _end_parts(self, states: tf.Tensor, start_positions: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns what starts [B, S] and ends put into the hidden layer: [B, S, 512] and [B, L, 512]."""
        kernel = tf.cast(self.end_hidden.kernel, states.dtype)  # [2H, 512]
        of_start, of_end = kernel[: self.config.hidden_size], kernel[self.config.hidden_size :]
        return tf.matmul(gather_positions(states, start_positions), of_start), tf.matmul(states, of_end)

    def _end_logits_from(self, from_start: tf.Tensor, from_end: tf.Tensor) -> tf.Tensor:
        """Returns the logits of ends, float32 [B, L], for one start: from_start [B, 1, 512], from_end [B, L, 512]."""
        if self._compiled_scores is None:
            return self._end_logits(from_start + from_end)
        weights = self.end_hidden.bias, self.end.kernel, self.end.bias
        return self._compiled_scores(from_start, from_end, *map(tf.convert_to_tensor, weights))

    def _end_logits(self, hidden: tf.Tensor) -> tf.Tensor:
        """Returns the logits of ends, float32 [B, L], for what goes into the hidden layer [B, L, 512]."""
        x = bias_gelu(hidden, self.end_hidden.bias)
        return tf.squeeze(self.end(tf.cast(x, tf.float32)), axis=-1)

    def _answerable_logit(self, states: tf.Tensor, start_logits: tf.Tensor) -> tf.Tensor | None:
        """Returns how much speaks for no answer: float32 [B]; None without that classifier."""
        if self.answerable is None:
            return None
        x = states[:, 0]
        if self.answerable_hidden is not None:
            probs = tf.cast(tf.nn.softmax(start_logits), states.dtype)
            expected_start = tf.linalg.matvec(states, probs, transpose_a=True)  # [B, H]
            x = tf.matmul(tf.concat([x, expected_start], axis=-1), tf.cast(self.answerable_hidden.kernel, x.dtype))
            x = bias_gelu(x, self.answerable_hidden.bias)
        return tf.squeeze(self.answerable(tf.cast(x, tf.float32)), axis=-1)


def _scores(first: tf.Tensor, second: tf.Tensor, bias: tf.Tensor, kernel: tf.Tensor, last_bias: tf.Tensor) -> tf.Tensor:
    """Returns what a hidden layer with GELU and a layer of one unit make of sums: compiled, without keeping any of it.

    Args:
        first, second: [B, 1, U] and [B, L, U], the two parts of what goes into the hidden layer.
        bias: [U], the hidden layer's.
        kernel, last_bias: float32 [U, 1] and [1], the last layer's.

    Returns:
        float32 [B, L].
    """
    wide = [tf.cast(part, tf.float32) for part in (first, second, bias)]
    return tf.reduce_sum(bias_gelu_by_erf(wide[0] + wide[1], wide[2]) * kernel[:, 0], axis=-1) + last_bias


def _forbidden(segment_ids: tf.Tensor, input_mask: tf.Tensor) -> tf.Tensor:
    """Returns what is added to the logits of positions: float32 [B, L], 0 in the context and at 0, else -1000."""
    is_first = tf.equal(tf.range(tf.shape(input_mask)[1]), 0)  # [L]
    is_allowed = (tf.cast(segment_ids, tf.bool) & tf.cast(input_mask, tf.bool)) | is_first  # [B, L]
    return tf.where(is_allowed, 0.0, _FORBIDDEN)


def top_positions(log_probs: tf.Tensor, size: int) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns the largest of log_probs and where they are, best first: float32 and int32 [..., size].

    Args:
        log_probs: float32 [..., L], or logits.
        size: where it is above L, those that are missing are at position 0 with -1e30.
    """
    length = tf.shape(log_probs)[-1]
    missing = tf.maximum(size - length, 0)
    paddings = tf.concat([tf.zeros([tf.rank(log_probs) - 1, 2], tf.int32), [[0, missing]]], axis=0)
    values, index = tf.math.top_k(tf.pad(log_probs, paddings, constant_values=_NO_POSITION), size)
    return values, tf.where(index < length, index, 0)
