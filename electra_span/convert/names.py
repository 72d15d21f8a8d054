"""One table of variable names: ours, the original's TensorFlow 1 checkpoints', Hugging Face's."""

from collections.abc import Iterator, Sequence

import keras

from electra_span.config import SPAN_OFFSET_SIZE, EncoderConfig
from electra_span.convert.naming import Modules, Name, dense_names, norm_names
from electra_span.convert.task_head_names import task_head_names
from electra_span.encoder import ElectraEncoder
from electra_span.head_config import HEAD_SUFFIX, HeadConfig
from electra_span.models import ElectraDiscriminator, ElectraGenerator, TwoTowerGenerator
from electra_span.task_model import ElectraTaskModel

Model = ElectraDiscriminator | ElectraGenerator | TwoTowerGenerator | ElectraTaskModel
ModelClass = type[ElectraEncoder] | type[Model]

# What TF1 and Hugging Face call the tables of the embeddings, where that is not our name.
_TABLES_ELSEWHERE = {"segment_embeddings": "token_type_embeddings"}

# Modules of an encoder, and of its blocks ({} is the block's index): ours, TF1's, Hugging Face's, and the fields of
# EncoderConfig that are their sizes.
_EMBEDDING_NORM = ("embeddings/norm", "embeddings/LayerNorm", "electra.embeddings.LayerNorm")
_PROJECTION = ("embeddings_project", "embeddings_project", "electra.embeddings_project")
_BLOCK_DENSE = (
    (
        ("layer_{}/query", "encoder/layer_{}/attention/self/query", "electra.encoder.layer.{}.attention.self.query"),
        ("hidden_size", "hidden_size"),
    ),
    (
        ("layer_{}/key", "encoder/layer_{}/attention/self/key", "electra.encoder.layer.{}.attention.self.key"),
        ("hidden_size", "hidden_size"),
    ),
    (
        ("layer_{}/value", "encoder/layer_{}/attention/self/value", "electra.encoder.layer.{}.attention.self.value"),
        ("hidden_size", "hidden_size"),
    ),
    (
        (
            "layer_{}/attention_output",
            "encoder/layer_{}/attention/output/dense",
            "electra.encoder.layer.{}.attention.output.dense",
        ),
        ("hidden_size", "hidden_size"),
    ),
    (
        (
            "layer_{}/intermediate",
            "encoder/layer_{}/intermediate/dense",
            "electra.encoder.layer.{}.intermediate.dense",
        ),
        ("hidden_size", "intermediate_size"),
    ),
    (
        ("layer_{}/output", "encoder/layer_{}/output/dense", "electra.encoder.layer.{}.output.dense"),
        ("intermediate_size", "hidden_size"),
    ),
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
_SPAN_DISCRIMINATOR, _SPAN_GENERATOR = SPAN_HEADS = ("discriminator_span_predictions", "generator_span_predictions")
_CLOZE = "cloze_predictions"
_HEADS = (_DISCRIMINATOR, _GENERATOR, _SPAN_DISCRIMINATOR, _SPAN_GENERATOR, _CLOZE)
_TOWERS = ("generator_ltr", "generator_rtl")


def names_of(model: Model) -> list[Name]:
    """Returns the names of a model's variables; a generator's output table is its word embeddings."""
    heads = model.head_configs if isinstance(model, ElectraTaskModel) else ()
    return list(expected_names(type(model), model.config, model.max_span_length, heads))


def expected_names(
    model_class: ModelClass, config: EncoderConfig, max_span_length: int = 0, heads: Sequence[HeadConfig] = ()
) -> Iterator[Name]:
    """Yields the names of the variables that a model has, without making any.

    Args:
        model_class: of the model, or of an encoder alone.
        config: of its encoder.
        max_span_length: of its span head; 0 for none.
        heads: of a model for tasks.
    """
    yield from _embedding_names(config)
    if issubclass(model_class, TwoTowerGenerator):
        for tower in _TOWERS:
            yield from (_of_tower(name, tower) for name in _layer_names(config))
        yield from _masked_lm_names(_CLOZE, config, num_states=2)
        return
    yield from _layer_names(config)
    yield from task_head_names(heads, config)
    if issubclass(model_class, ElectraTaskModel | ElectraEncoder):
        return
    if max_span_length:
        yield from _span_head_names(model_class, config, max_span_length)
    if issubclass(model_class, ElectraGenerator):
        yield from _masked_lm_names(_GENERATOR, config, num_states=1)
        return
    dense = (f"{_DISCRIMINATOR}/dense", f"{_DISCRIMINATOR}/dense", f"{_DISCRIMINATOR}.dense")
    prediction = (f"{_DISCRIMINATOR}/prediction", f"{_DISCRIMINATOR}/dense_1", f"{_DISCRIMINATOR}.dense_prediction")
    yield from dense_names(dense, (config.hidden_size, config.hidden_size))
    yield from dense_names(prediction, (config.hidden_size, 1))


def relative_path(variable: keras.Variable) -> str:
    """Returns a variable's path below its model: without the encoder's own name in front, if it is the only one."""
    first, _, rest = variable.path.partition("/")
    is_of_tower = first in _TOWERS and not rest.startswith("embeddings/")  # which both towers share
    is_of_head = first in _HEADS or first.endswith(HEAD_SUFFIX)
    return variable.path if is_of_head or is_of_tower else rest


def _masked_lm_names(head: str, config: EncoderConfig, *, num_states: int) -> Iterator[Name]:
    """Yields the names of the variables of a head of words, which predicts from num_states hidden states."""
    yield from dense_names(
        (f"{head}/dense", f"{head}/dense", f"{head}.dense"), (num_states * config.hidden_size, config.embedding_size)
    )
    yield from norm_names((f"{head}/norm", f"{head}/LayerNorm", f"{head}.LayerNorm"), config.embedding_size)
    bias = "generator_lm_head.bias" if head == _GENERATOR else f"{head}.output_bias"
    yield Name(f"{head}/output_bias", f"{head}/output_bias", bias, (config.vocab_size,))


def _span_head_names(model_class: ModelClass, config: EncoderConfig, max_span_length: int) -> Iterator[Name]:
    """Yields the names of a span head's variables, which neither the original nor transformers has."""
    is_discriminator = issubclass(model_class, ElectraDiscriminator)

    def modules(name: str) -> Modules:
        path = f"{_SPAN_DISCRIMINATOR if is_discriminator else _SPAN_GENERATOR}/{name}"
        return path, path, path.replace("/", ".")

    hidden_size = config.hidden_size
    yield Name(*modules("boundary/position_embeddings"), (max_span_length, SPAN_OFFSET_SIZE))
    for index, width in enumerate((2 * hidden_size + SPAN_OFFSET_SIZE, hidden_size)):
        yield from dense_names(modules(f"boundary/dense_{index}"), (width, hidden_size))
        yield from norm_names(modules(f"boundary/norm_{index}"), hidden_size)
    if is_discriminator:
        yield from dense_names(modules("prediction"), (hidden_size, 1))
        return
    if config.embedding_size != hidden_size:
        yield from dense_names(modules("projection"), (hidden_size, config.embedding_size))
    yield Name(*modules("output_bias"), (config.vocab_size,))


def _embedding_names(config: EncoderConfig) -> Iterator[Name]:
    for table, shape in config.embedding_tables.items():
        theirs = f"embeddings/{_TABLES_ELSEWHERE.get(table, table)}"
        yield Name(f"embeddings/{table}", theirs, f"electra.{theirs.replace('/', '.')}.weight", shape)
    yield from norm_names(_EMBEDDING_NORM, config.embedding_size)


def _layer_names(config: EncoderConfig) -> Iterator[Name]:
    """Yields the names of what an encoder has beside its embeddings."""

    def sizes(fields: tuple[str, str]) -> tuple[int, int]:
        return getattr(config, fields[0]), getattr(config, fields[1])

    if config.embedding_size != config.hidden_size:
        yield from dense_names(_PROJECTION, (config.embedding_size, config.hidden_size))
    for index in range(config.num_hidden_layers):
        for modules, fields in _BLOCK_DENSE:
            yield from dense_names(_of_layer(modules, index), sizes(fields))
        for modules in _BLOCK_NORM:
            yield from norm_names(_of_layer(modules, index), config.hidden_size)


def _of_tower(name: Name, tower: str) -> Name:
    hugging_face = name.hugging_face.replace("electra.", f"{tower}.", 1)
    return Name(f"{tower}/{name.ours}", f"{tower}/{name.tf1}", hugging_face, name.shape)


def _of_layer(modules: Modules, index: int) -> Modules:
    ours, tf1, hugging_face = modules
    return ours.format(index), tf1.format(index), hugging_face.format(index)
