"""What the tensors of a Hugging Face file are called, by whichever tool wrote it."""

import pathlib
from collections.abc import Collection, Mapping

from electra_span.convert.tf1 import ConversionError

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
