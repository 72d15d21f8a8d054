"""The ELECTRA encoder: embeddings, a projection to the hidden size, transformer blocks."""

from collections.abc import Mapping, MutableMapping
from typing import Any

import keras
import tensorflow as tf

from electra_span.config import EncoderConfig
from electra_span.layers.embeddings import Embeddings, Table
from electra_span.layers.keras_serialization import KerasConfig, built_at_root, register
from electra_span.layers.kernels import Dense, DropoutSeeds, compiled_kernels, plain_kernels
from electra_span.layers.packing import Packing, keep_all, skip_padding
from electra_span.layers.transformer import TransformerBlock
from electra_span.ops import split_seed

_HIDDEN_BIAS = -10000.0  # the original's; its exponential is exactly 0 in float32


@register
class ElectraEncoder(KerasConfig, keras.layers.Layer):
    """Transformer encoder of ELECTRA (Clark et al. 2020), which is BERT's with embeddings of their own width.

    Args:
        config: sizes, dropout rates, initialisation.
        embeddings: the embedding layer to use, shared with another encoder; by default one of its own.
        direction: what a token attends to: all tokens ("both"), itself and those before it ("left_to_right"), or itself
            and those behind it ("right_to_left").
        bases: tables that those of an embedding layer of its own are trained as differences from; see `Embeddings`.
        compile_kernels: compile elementwise functions by XLA, one loop each; for training on a CPU.
        skips_padding: compute on real tokens only, and return zeros at padding; shapes inside are then not static.
        seed: where the seeds of dropout start in models that Keras trains; None for one that follows from Python's
            random numbers, which keras.utils.set_random_seed sets.
    """

    saved_arguments = ("config", "embeddings", "direction", "compile_kernels", "skips_padding", "seed")

    def __init__(
        self,
        config: EncoderConfig,
        embeddings: Embeddings | None = None,
        *,
        direction: str = "both",
        bases: Mapping[str, Table] | None = None,
        compile_kernels: bool = False,
        skips_padding: bool = False,
        seed: int | None = None,
        **kwargs: object,
    ) -> None:
        super().__init__(**kwargs)
        self.config, self.direction = config, direction
        self.compile_kernels, self.skips_padding = compile_kernels, skips_padding
        self.supports_jit = not skips_padding
        self.seed, self._dropout_seeds = seed, DropoutSeeds(seed)
        self.embeddings = embeddings or Embeddings(config, bases, name="embeddings", dtype=self.dtype_policy)
        self.embeddings_project = None
        if config.embedding_size != config.hidden_size:
            self.embeddings_project = Dense(config.hidden_size, name="embeddings_project", dtype=self.dtype_policy)
        kernels = compiled_kernels() if compile_kernels else plain_kernels()
        self.blocks = [
            TransformerBlock(config, kernels, name=f"layer_{index}", dtype=self.dtype_policy)
            for index in range(config.num_hidden_layers)
        ]
        built_at_root(self)

    def build(self, input_shape: object = None) -> None:
        """Creates the weights; they do not depend on input_shape."""
        if not self.embeddings.built:
            self.embeddings.build()
        if self.embeddings_project is not None:
            self.embeddings_project.build((None, self.config.embedding_size))
        for block in self.blocks:
            block.build()
        self.built = True

    def call(
        self,
        input_ids: tf.Tensor,
        input_mask: tf.Tensor | None = None,
        segment_ids: tf.Tensor | None = None,
        dropout_seed: tf.Tensor | None = None,
        training: bool | None = None,
    ) -> tf.Tensor:
        """Returns the last hidden states [B, L, H].

        Args:
            input_ids: int32 [B, L].
            input_mask: int32 [B, L], 1 at tokens and 0 at padding, which no token attends to; all tokens by default.
            segment_ids: int32 [B, L]; zeros by default.
            dropout_seed: int32 [2], from which all dropout is drawn; None for one of the encoder's own in Keras'
                training, else for no dropout.
            training: Keras' argument.
        """
        seed = self._dropout_seeds.of_call(dropout_seed, training)
        return self.hidden_states(input_ids, input_mask, segment_ids, seed)[-1]

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """Returns the shape of the last hidden states, (B, L, H), for that of ids, (B, L)."""
        return (*input_shape, self.config.hidden_size)

    def compute_output_spec(self, input_ids: keras.KerasTensor, *args: object, **kwargs: object) -> keras.KerasTensor:
        """Returns what stands for the last hidden states in a functional model."""
        if len(input_ids.shape) != 2 or "int" not in input_ids.dtype:
            raise ValueError(
                "input_ids are integers [B, L], such as keras.Input([None], dtype='int32') gives. "
                f"Received: {input_ids.dtype} of the shape {input_ids.shape}"
            )
        self._check_length(input_ids.shape[1])
        return keras.KerasTensor(self.compute_output_shape(input_ids.shape), dtype=self.compute_dtype)

    def save_own_variables(self, store: MutableMapping[str, Any]) -> None:
        """Writes where the seeds of dropout stand; weights are those of the layers inside."""
        self._dropout_seeds.save(store)

    def load_own_variables(self, store: Mapping[str, Any]) -> None:
        """Reads what `save_own_variables` wrote."""
        self._dropout_seeds.load(store)

    def hidden_states(
        self,
        input_ids: tf.Tensor,
        input_mask: tf.Tensor | None = None,
        segment_ids: tf.Tensor | None = None,
        dropout_seed: tf.Tensor | None = None,
    ) -> list[tf.Tensor]:
        """Returns what enters the first block and what leaves each block: num_hidden_layers + 1 times [B, L, H]."""
        input_ids = tf.convert_to_tensor(input_ids)
        self._check_length(input_ids.shape[1])
        input_mask = tf.ones_like(input_ids) if input_mask is None else input_mask
        segment_ids = tf.zeros_like(input_ids) if segment_ids is None else segment_ids
        packing = (skip_padding if self.skips_padding else keep_all)(input_mask)
        seeds = split_seed(dropout_seed, 1 + len(self.blocks))

        states = [self._embed(input_ids, segment_ids, packing, seeds[0])]
        mask_bias = self._mask_bias(input_mask)
        for block, seed in zip(self.blocks, seeds[1:], strict=True):
            states.append(block(states[-1], mask_bias=mask_bias, packing=packing, dropout_seed=seed))
        return [packing.unpack(state) for state in states]

    def _check_length(self, length: int | None) -> None:
        """Raises ValueError where sequences of that length, None if not known, have tokens beyond the last position."""
        longest = self.config.max_position_embeddings
        if length is not None and length > longest:
            raise ValueError(f"a sequence has at most max_position_embeddings={longest} tokens. Received: {length}")

    def _mask_bias(self, input_mask: tf.Tensor) -> tf.Tensor:
        """Returns what is added to attention scores: float32 [B, 1, 1, L], or [B, 1, L, L] where one side is read."""
        is_hidden = tf.equal(input_mask, 0)[:, None, None, :]  # [B, 1, 1, L]
        if self.direction != "both":
            places = tf.range(tf.shape(input_mask)[1])
            ahead = places[None, :] - places[:, None]  # [L, L], from the token that reads to the one that is read
            is_hidden |= (ahead > 0) if self.direction == "left_to_right" else (ahead < 0)  # [B, 1, L, L]
        return tf.where(is_hidden, _HIDDEN_BIAS, 0.0)

    def _embed(
        self, input_ids: tf.Tensor, segment_ids: tf.Tensor, packing: Packing, dropout_seed: tf.Tensor | None
    ) -> tf.Tensor:
        """Returns the embeddings of the packed tokens, projected to the hidden size: [T, H]."""
        positions = tf.broadcast_to(tf.range(tf.shape(input_ids)[1]), tf.shape(input_ids))
        x = self.embeddings(
            packing.pack(input_ids),
            positions=packing.pack(positions),
            segment_ids=packing.pack(segment_ids),
            dropout_seed=dropout_seed,
        )
        return x if self.embeddings_project is None else self.embeddings_project(x)
