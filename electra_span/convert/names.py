"""One table of variable names: ours, the original's TensorFlow 1 checkpoints', Hugging Face's."""

from typing import NamedTuple

import keras

from electra_span.models import ElectraDiscriminator, ElectraGenerator

Model = ElectraDiscriminator | ElectraGenerator


class Name(NamedTuple):
    """The names of one variable.

    Attributes:
        ours: the variable's path below its model, `relative_path`.
        tf1: below "electra" or "generator" in a TF1 checkpoint; prediction heads stand at the top level.
        hugging_face: in a safetensors file, where dense kernels are transposed.
    """

    ours: str
    tf1: str
    hugging_face: str

    @property
    def is_transposed(self) -> bool:
        """Whether Hugging Face stores the transposed matrix."""
        return self.ours.endswith("/kernel")


# Modules of an encoder, and of its blocks ({} is the block's index): ours, TF1's, Hugging Face's.
_TABLES = (
    ("embeddings/word_embeddings", "embeddings/word_embeddings", "electra.embeddings.word_embeddings"),
    ("embeddings/position_embeddings", "embeddings/position_embeddings", "electra.embeddings.position_embeddings"),
    ("embeddings/segment_embeddings", "embeddings/token_type_embeddings", "electra.embeddings.token_type_embeddings"),
)
_EMBEDDING_NORM = ("embeddings/norm", "embeddings/LayerNorm", "electra.embeddings.LayerNorm")
_PROJECTION = ("embeddings_project", "embeddings_project", "electra.embeddings_project")
_BLOCK_DENSE = (
    ("layer_{}/query", "encoder/layer_{}/attention/self/query", "electra.encoder.layer.{}.attention.self.query"),
    ("layer_{}/key", "encoder/layer_{}/attention/self/key", "electra.encoder.layer.{}.attention.self.key"),
    ("layer_{}/value", "encoder/layer_{}/attention/self/value", "electra.encoder.layer.{}.attention.self.value"),
    (
        "layer_{}/attention_output",
        "encoder/layer_{}/attention/output/dense",
        "electra.encoder.layer.{}.attention.output.dense",
    ),
    ("layer_{}/intermediate", "encoder/layer_{}/intermediate/dense", "electra.encoder.layer.{}.intermediate.dense"),
    ("layer_{}/output", "encoder/layer_{}/output/dense", "electra.encoder.layer.{}.output.dense"),
)
_BLOCK_NORM = (
    (
        "layer_{}/attention_norm",
        "encoder/layer_{}/attention/output/LayerNorm",
        "electra.encoder.layer.{}.attention.output.LayerNorm",
    ),
    ("layer_{}/output_norm", "encoder/layer_{}/output/LayerNorm", "electra.encoder.layer.{}.output.LayerNorm"),
)
_DISCRIMINATOR = "discriminator_predictions"
_GENERATOR = "generator_predictions"


def names_of(model: Model) -> list[Name]:
    """Returns the names of a model's variables; a generator's output table is its word embeddings."""
    config = model.config
    names = _encoder_names(config.num_hidden_layers, config.embedding_size != config.hidden_size)
    if isinstance(model, ElectraDiscriminator):
        dense = _dense(f"{_DISCRIMINATOR}/dense", f"{_DISCRIMINATOR}/dense", f"{_DISCRIMINATOR}.dense")
        prediction = (f"{_DISCRIMINATOR}/prediction", f"{_DISCRIMINATOR}/dense_1", f"{_DISCRIMINATOR}.dense_prediction")
        return [*names, *dense, *_dense(*prediction)]
    return [
        *names,
        *_dense(f"{_GENERATOR}/dense", f"{_GENERATOR}/dense", f"{_GENERATOR}.dense"),
        *_norm(f"{_GENERATOR}/norm", f"{_GENERATOR}/LayerNorm", f"{_GENERATOR}.LayerNorm"),
        Name(f"{_GENERATOR}/output_bias", f"{_GENERATOR}/output_bias", "generator_lm_head.bias"),
    ]


def relative_path(variable: keras.Variable) -> str:
    """Returns a variable's path below its model: without the encoder's own name in front."""
    first, _, rest = variable.path.partition("/")
    return variable.path if first in (_DISCRIMINATOR, _GENERATOR) else rest


def _encoder_names(num_layers: int, projects_embeddings: bool) -> list[Name]:
    names = [Name(ours, tf1, f"{hugging_face}.weight") for ours, tf1, hugging_face in _TABLES]
    names += _norm(*_EMBEDDING_NORM)
    if projects_embeddings:
        names += _dense(*_PROJECTION)
    for index in range(num_layers):
        for module in _BLOCK_DENSE:
            names += _dense(*(name.format(index) for name in module))
        for module in _BLOCK_NORM:
            names += _norm(*(name.format(index) for name in module))
    return names


def _dense(ours: str, tf1: str, hugging_face: str) -> list[Name]:
    kinds = (("kernel", "kernel", "weight"), ("bias", "bias", "bias"))
    return [Name(f"{ours}/{a}", f"{tf1}/{b}", f"{hugging_face}.{c}") for a, b, c in kinds]


def _norm(ours: str, tf1: str, hugging_face: str) -> list[Name]:
    kinds = (("gamma", "gamma", "weight"), ("beta", "beta", "bias"))
    return [Name(f"{ours}/{a}", f"{tf1}/{b}", f"{hugging_face}.{c}") for a, b, c in kinds]
