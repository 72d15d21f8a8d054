"""What each JSON endpoint asks of a model, and how its results go out."""

import re
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from electra_span.config import UserError
from electra_span.server import schemas
from electra_span.server.limits import Limits
from electra_span.server.served_models import ServedModel

_SURROGATE = re.compile("[\ud800-\udfff]")


class Endpoint(NamedTuple):
    """A row of the table of endpoints.

    Attributes:
        command: its name, behind /api/.
        summary: what it does.
        request, response: their schemas.
        ask: returns the results, as the response's schema has them or with equal attributes; takes model, request
            and limits.
    """

    command: str
    summary: str
    request: type[schemas.Request]
    response: type[schemas.Response]
    ask: Callable[[ServedModel, Any, Limits], Any]


def check_texts(request: schemas.Request, limits: Limits) -> None:
    """Raises UserError for too many texts, or one that is too long or none."""
    for field in ("texts", "pairs", "questions", "contexts"):
        texts = getattr(request, field, None) or []
        if len(texts) > limits.max_texts:
            raise UserError(f"{field}: a request may have {limits.max_texts:,}. Received: {len(texts):,}")
        for index, text in enumerate(texts):
            _check_text(f"{field}[{index}]", text, limits.max_text_length)


def _check_text(place: str, text: str, max_length: int) -> None:
    """Raises UserError for a text that is too long, or has half of a character as JSON's escapes can write it."""
    if len(text) > max_length:
        raise UserError(f"{place}: a text may have {max_length:,} characters. Received: {len(text):,}")
    half = _SURROGATE.search(text)
    if half:
        raise UserError(f"{place}: must be Unicode text. Received: a lone {half.group()!r} at {half.start()}")


def _replaced(served: ServedModel, request: schemas.ReplacedRequest, limits: Limits) -> Any:
    return served.model.replaced_tokens(request.texts)


def _fill_mask(served: ServedModel, request: schemas.FillMaskRequest, limits: Limits) -> Any:
    masks = served.model.fill_mask(request.texts, request.num_candidates)
    mask_token = served.description.mask_token
    return [_masks(text, mask_token, candidates) for text, candidates in zip(request.texts, masks, strict=True)]


def _masks(text: str, mask_token: str, candidates: Sequence[Any]) -> list[dict[str, Any]]:
    """Returns the masks of a text, with their places and candidates."""
    masks, end = [], 0
    for fills in candidates:
        start = text.index(mask_token, end)
        end = start + len(mask_token)
        masks.append({"start": start, "end": end, "candidates": fills})
    return masks


def _answer(served: ServedModel, request: schemas.AnswerRequest, limits: Limits) -> Any:
    return served.model.answer(
        request.questions,
        request.contexts,
        task=request.task,
        num_answers=request.num_answers,
        no_answer_threshold=request.no_answer_threshold,
    )


def _classify(served: ServedModel, request: schemas.ClassifyRequest, limits: Limits) -> Any:
    return served.model.classify(request.texts, request.pairs, task=request.task)


def _tag(served: ServedModel, request: schemas.TagRequest, limits: Limits) -> Any:
    return served.model.tag(request.texts, task=request.task)


def _embed(served: ServedModel, request: schemas.EmbedRequest, limits: Limits) -> Any:
    found = served.model.embed(request.texts, pooling=request.pooling)
    vectors = found if request.pooling != "none" else [row.vectors for row in found]
    num_numbers = sum(vector.size for vector in vectors)
    if num_numbers > limits.max_embedding_numbers:
        raise UserError(
            f"texts: their vectors may have {limits.max_embedding_numbers:,} numbers in all. Received: texts with "
            f"{num_numbers:,}; send fewer at a time"
        )
    if request.pooling != "none":
        return found.tolist()
    return [
        [
            {"token": token, "start": start, "end": end, "vector": vector}
            for token, (start, end), vector in zip(row.tokens, row.places, row.vectors.tolist(), strict=True)
        ]
        for row in found
    ]


ENDPOINTS = (
    Endpoint(
        "replaced",
        "How probable it is of each token that it was replaced, as a discriminator sees it",
        schemas.ReplacedRequest,
        schemas.ReplacedResponse,
        _replaced,
    ),
    Endpoint(
        "fill_mask",
        "What a generator puts in the place of masks",
        schemas.FillMaskRequest,
        schemas.FillMaskResponse,
        _fill_mask,
    ),
    Endpoint(
        "answer",
        "Which part of a context answers a question",
        schemas.AnswerRequest,
        schemas.AnswerResponse,
        _answer,
    ),
    Endpoint(
        "classify",
        "Which label a text or a pair of texts has, or which score",
        schemas.ClassifyRequest,
        schemas.ClassifyResponse,
        _classify,
    ),
    Endpoint("tag", "Which tag each word has", schemas.TagRequest, schemas.TagResponse, _tag),
    Endpoint("embed", "Texts, or their tokens, as vectors", schemas.EmbedRequest, schemas.EmbedResponse, _embed),
)
