"""What the table of variable names is made of."""

import pathlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import NamedTuple

import keras

from electra_span.config import SPAN_OFFSET_SIZE, EncoderConfig, UserError
from electra_span.encoder import ElectraEncoder
from electra_span.head_config import HEAD_SUFFIX, QUESTION_HIDDEN_SIZE, HeadConfig, has_transformers_layout
from electra_span.models import ElectraDiscriminator, ElectraGenerator, ElectraTaskModel, TwoTowerGenerator

Modules = tuple[str, str, str]  # a layer's name: ours, TF1's (or several), Hugging Face's


class ConversionError(UserError):
    """A checkpoint that does not hold what the model needs."""


class Name(NamedTuple):
    """The names of one variable.

    Attributes:
        ours: the variable's path below its model, `relative_path`.
        tf1: below "electra" or "generator" in a TF1 checkpoint; heads and towers stand at the top level. Where the
            original has several variables, which ours holds side by side along its last axis: all, with spaces between.
        hugging_face: in a safetensors file, where dense kernels are transposed.
        shape: the variable's.
    """

    ours: str
    tf1: str
    hugging_face: str
    shape: tuple[int, ...]

    @property
    def is_transposed(self) -> bool:
        """Whether Hugging Face stores the transposed matrix."""
        return self.ours.endswith("/kernel")

    @property
    def hugging_face_shape(self) -> tuple[int, ...]:
        """The shape in a safetensors file."""
        return self.shape[::-1] if self.is_transposed else self.shape


def dense_names(modules: Modules, shape: tuple[int, int]) -> Iterator[Name]:
    """Yields the names of a dense layer's kernel, of that shape, and bias."""
    ours, tf1, hugging_face = modules
    kernel, bias = (" ".join(f"{name}/{kind}" for name in tf1.split()) for kind in ("kernel", "bias"))
    yield Name(f"{ours}/kernel", kernel, f"{hugging_face}.weight", shape)
    yield Name(f"{ours}/bias", bias, f"{hugging_face}.bias", shape[1:])


def norm_names(modules: Modules, size: int) -> Iterator[Name]:
    """Yields the names of a LayerNorm's two vectors of that size."""
    ours, tf1, hugging_face = modules
    yield Name(f"{ours}/gamma", f"{tf1}/gamma", f"{hugging_face}.weight", (size,))
    yield Name(f"{ours}/beta", f"{tf1}/beta", f"{hugging_face}.bias", (size,))


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


# The words' vectors, the output table of a generator, which is tied to them, and the two tables of compositional words.
WORD_EMBEDDINGS = "electra.embeddings.word_embeddings.weight"
OUTPUT_TABLE = "generator_lm_head.weight"
COMPOSITIONAL_TENSORS = ("electra.embeddings.word_quotients.weight", "electra.embeddings.word_remainders.weight")

_ENCODER = "electra."
_MODULES = ("embeddings", "embeddings_project", "encoder")  # of an encoder, which has no prefix if saved alone
_WRAPPER = "module."  # of torch's DataParallel
_COMPILED = "_orig_mod."  # of torch.compile, before the name of each compiled module
_OLD_NORMS = {"LayerNorm.gamma": "LayerNorm.weight", "LayerNorm.beta": "LayerNorm.bias"}  # of the oldest files


def names_in_file(path: pathlib.Path, names: Collection[str]) -> Mapping[str, str]:
    """Returns the name of each tensor in a file, by its name in transformers.

    Prefixes of wrappers are left out, and the old names of LayerNorms are renamed, as transformers does. An output
    table without words' vectors, which is tied to them, stands for both.

    Args:
        path: of the file, for errors.
        names: of its tensors.

    Raises:
        ConversionError: two tensors have the same name in transformers.
    """
    found: dict[str, str] = {}
    for name in names:
        theirs = _name_in_transformers(name)
        if theirs in found:
            raise ConversionError(
                f"{path}: has two tensors for {theirs}, {found[theirs]} and {name}; remove the one that is not meant"
            )
        found[theirs] = name
    if OUTPUT_TABLE in found and not found.keys() & {WORD_EMBEDDINGS, *COMPOSITIONAL_TENSORS}:
        found[WORD_EMBEDDINGS] = found[OUTPUT_TABLE]
    return found


def _name_in_transformers(name: str) -> str:
    bare = name.removeprefix(_WRAPPER).replace(_COMPILED, "")
    for old, new in _OLD_NORMS.items():
        bare = bare.removesuffix(old) + new if bare.endswith(old) else bare
    while bare.startswith(_ENCODER):
        bare = bare.removeprefix(_ENCODER)
    return _ENCODER + bare if bare.split(".")[0] in _MODULES else bare
