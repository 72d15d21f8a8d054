"""The README.md of a published model: a header that the Hugging Face hub reads, and text for people."""

import json
import math
import pathlib
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from electra_span.files import reason_of, without_controls, write_text
from electra_span.head_config import OWN_ARCHITECTURE, architecture_of
from electra_span.models import ElectraDiscriminator, ElectraGenerator
from electra_span.published.card_metadata import Origin
from electra_span.published.config import Architecture, PublishedModelError

CARD_FILE = "README.md"
MARK = "<!-- electra-span writes this file anew with the model; without this line it is yours and stays as it is -->"

_OWN_LIBRARY = "electra-span"
PIPELINES = {
    "classification": "text-classification",
    "regression": "text-classification",
    "tagging": "token-classification",
    "questions": "question-answering",
}
_CALLS = {
    "classification": 'model.classify(["a text", "another one"])',
    "regression": 'model.classify(["a text"], ["another one"])',
    "tagging": 'model.tag(["a text"])',
    "questions": 'model.answer(["a question?"], ["a text that answers it"])',
}
_CACHED_NAME = re.compile(r"models--([A-Za-z0-9_.-]+?)--([A-Za-z0-9_.-]+)")  # a folder of the hub's cache
_PRECISION = 4  # decimals; a number that YAML would not know as one, such as 1e-05, cannot come out


class ModelCard(NamedTuple):
    """A card to be written.

    Attributes:
        header: for the hub, of values that JSON has; without those that are None.
        title: of the text.
        sections: headings, and the Markdown below each.
    """

    header: Mapping[str, Any]
    title: str
    sections: Sequence[tuple[str, str]]


def write_card(directory: pathlib.Path, card: ModelCard) -> bool:
    """Writes README.md into a published folder; returns False where a person wrote the one that is there.

    Args:
        directory: the folder.
        card: what to write.

    Raises:
        PublishedModelError: it cannot be written, for example because the disk is full.
    """
    file = directory / CARD_FILE
    try:
        if file.exists() and MARK not in file.read_text(encoding="utf-8", errors="replace"):
            return False
        write_text(file, render(card))
    except OSError as error:
        raise PublishedModelError(f"cannot write {file}: {reason_of(error)}") from error
    return True


def render(card: ModelCard) -> str:
    """Returns the text of a card. Its header is YAML of values in JSON, which is a part of YAML."""
    header = [f"{key}: {_json(value)}" for key, value in card.header.items() if value is not None]
    parts = ["\n".join(["---", *header, "---"]), MARK, f"# {plain(card.title)}"]
    parts += [f"## {heading}\n\n{text.strip()}" for heading, text in card.sections if text.strip()]
    return "\n\n".join(parts) + "\n"


def make_header(
    architecture: Architecture, origin: Origin, *, started_from: str | None, tags: Sequence[str] = ()
) -> dict[str, Any]:
    """Returns what the hub is told of any model.

    Args:
        architecture: of the model.
        origin: what people say of it.
        started_from: a path that training started from; one in the hub's cache tells the name of the base model.
        tags: beside "electra" and the name of this library.
    """
    kinds = {head.kind for head in architecture.heads}
    pipeline = "feature-extraction" if issubclass(architecture.model_class, ElectraDiscriminator) else None
    if issubclass(architecture.model_class, ElectraGenerator):
        pipeline = "fill-mask"
    elif len(kinds) == 1:
        pipeline = PIPELINES[kinds.pop()]
    cached = _CACHED_NAME.search(started_from or "")
    return {
        "language": origin.language,
        "license": origin.model_license,
        "library_name": _OWN_LIBRARY if transformers_class(architecture) is None else "transformers",
        "pipeline_tag": pipeline,
        "base_model": origin.base_model or (f"{cached[1]}/{cached[2]}" if cached else None),
        "tags": list(dict.fromkeys(["electra", _OWN_LIBRARY, *tags])),
    }


def transformers_class(architecture: Architecture) -> str | None:
    """Returns the class that transformers reads a model as; None where it has none."""
    if architecture.heads:
        name = architecture_of(architecture.heads)
        return None if name == OWN_ARCHITECTURE else name
    names = {ElectraDiscriminator: "ElectraForPreTraining", ElectraGenerator: "ElectraForMaskedLM"}
    return next((name for kind, name in names.items() if issubclass(architecture.model_class, kind)), None)


def usage(architecture: Architecture, *, mask: str = "[MASK]") -> str:
    """Returns how a model is loaded and used, as Markdown: here, and by transformers where it knows such models.

    Args:
        architecture: of the model.
        mask: the name of the mask token.
    """
    if architecture.heads:
        calls = list(dict.fromkeys(_CALLS[head.kind] for head in architecture.heads))
    elif issubclass(architecture.model_class, ElectraDiscriminator):
        calls = ['model.replaced_tokens(["the cat sat on the moon"])', 'model.embed(["a text"])']
    else:
        calls = [f"model.fill_mask([{json.dumps(f'a {mask} sat on the mat')}])"]
    ours = _code("python", ["import electra_span", "", 'model = electra_span.load_pretrained("FOLDER")', *calls])
    name = transformers_class(architecture)
    if name is None:
        return f"{ours}\n\nThe model has parts that `transformers` does not know."
    tokenizer = 'tokenizer = AutoTokenizer.from_pretrained("FOLDER")'
    model = f'model = {name}.from_pretrained("FOLDER")'
    theirs = _code("python", [f"from transformers import AutoTokenizer, {name}", "", tokenizer, model])
    return f"{ours}\n\n{theirs}"


def describe_origin(origin: Origin, started_from: str | None) -> list[tuple[str, str]]:
    """Returns what is said of a model's language, licences and beginnings, as rows for `table`."""
    rows = {
        "language": ", ".join(origin.languages),
        "licence of the data": origin.data_license,
        "licence of the model": origin.model_license,
        "started from": origin.base_model or (pathlib.PurePath(started_from).name if started_from else None),
    }
    return [(name, value) for name, value in rows.items() if value]


def table(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """Returns a Markdown table.

    Args:
        columns: their names.
        rows: of cells, which are shown as text.
    """
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join(f"| {' | '.join(plain(str(cell)) for cell in line)} |" for line in lines)


def json_block(content: Mapping[str, Any]) -> str:
    """Returns an object as a block of JSON in Markdown, which nothing in it can end."""
    text = json.dumps(content, indent=2, ensure_ascii=False).replace("`", "\\u0060")
    return _code("json", map(without_controls, text.split("\n")))


def plain(text: str) -> str:
    """Returns a text as Markdown that shows it in one line, with nothing in it obeyed."""
    text = without_controls(text.replace("\n", " "))
    return re.sub(r"([\\`*_\[\]<>|#])", r"\\\1", text)


def rounded(value: float) -> float | None:
    """Returns a number as cards have it, None for one that is not finite."""
    return round(value, _PRECISION) if math.isfinite(value) else None


def _json(value: Any) -> str:
    """Returns a value in one line of JSON that YAML reads as the same."""
    text = json.dumps(value, ensure_ascii=False, allow_nan=False)
    return without_controls(text).replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")  # YAML's ends of lines


def _code(language: str, lines: Iterable[str]) -> str:
    return "\n".join([f"```{language}", *lines, "```"])
