"""What goes into the JSON endpoints and comes out of them, as OpenAPI tells it.

Places are code points, as Python counts a string; JavaScript's strings count UTF-16 units, of which an emoji has two.
"""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat

Command = Literal["replaced", "fill_mask", "answer", "classify", "tag", "embed"]
Start = Annotated[int, Field(ge=0, description="first code point (not byte, not UTF-16 unit) of the text as it came")]
End = Annotated[int, Field(ge=0, description="the code point behind the last one")]
Probability = Annotated[FiniteFloat, Field(ge=0, le=1 + 1e-5)]
Texts = Annotated[list[str], Field(min_length=1, description="a batch of texts")]
ModelName = Annotated[
    str | None, Field(description="as /api/models has it; by default the first model that knows the command")
]
TaskName = Annotated[str | None, Field(description="of the head, needed where a model has several that could do it")]


class Request(BaseModel):
    """What all requests have."""

    model_config = ConfigDict(extra="forbid", strict=True)

    model: ModelName = None


class ReplacedRequest(Request):
    """Texts whose replaced tokens are looked for."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"texts": ["the cat sat on the moon"]}]})

    texts: Texts


class FillMaskRequest(Request):
    """Texts with masks, written as the model's mask token ("[MASK]" mostly)."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"texts": ["the cat [MASK] on the mat"]}]})

    texts: Texts
    num_candidates: Annotated[int, Field(ge=1, le=100, description="tokens for each mask")] = 5


class AnswerRequest(Request):
    """Questions, and for each the context with its answer."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"questions": ["Who sat on it?"], "contexts": ["The cat sat on the mat."]}]}
    )

    questions: Texts
    contexts: Texts
    task: TaskName = None
    num_answers: Annotated[int, Field(ge=1, le=20, description="for each question")] = 1
    no_answer_threshold: Annotated[
        FiniteFloat | None,
        Field(
            description="the no_answer_score above which has_answer is false; by default the original's -2.75, or none "
            "for a head without a classifier of answerability"
        ),
    ] = None


class ClassifyRequest(Request):
    """Texts, or pairs of texts where the task is about two."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"texts": ["a film to remember"]}]})

    texts: Texts
    pairs: Annotated[list[str] | None, Field(min_length=1, description="the second text of each, or nothing")] = None
    task: TaskName = None


class TagRequest(Request):
    """Texts whose words are tagged."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"texts": ["The cat sat on the mat ."]}]})

    texts: Texts
    task: TaskName = None


class EmbedRequest(Request):
    """Texts that are wanted as vectors."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"texts": ["the cat sat"], "pooling": "mean"}]})

    texts: Texts
    pooling: Annotated[
        Literal["first", "mean", "none"],
        Field(description="the state of the first token, the mean of all, or one vector a token"),
    ] = "first"


class Result(BaseModel):
    """What all results have: they are read from what the models' methods return."""

    model_config = ConfigDict(from_attributes=True)


class ReplacedToken(Result):
    """A token, and how probable it is that it was replaced."""

    token: str
    start: Start
    end: End
    probability: Probability


class Candidate(Result):
    """A token for a mask."""

    token: str
    text: Annotated[str, Field(description="the text with this mask filled in, the others as they were")]
    probability: Probability


class Mask(Result):
    """A mask, and what may stand in its place."""

    start: Start
    end: End
    candidates: Annotated[list[Candidate], Field(description="best first; none where the model read no further")]


class Answer(Result):
    """A part of the context."""

    text: str
    start: Start
    end: End
    probability: Annotated[Probability, Field(description="among the answers that were looked at")]


class Answers(Result):
    """What a model answers to a question."""

    answers: Annotated[list[Answer], Field(description="best first")]
    no_answer_score: Annotated[
        FiniteFloat | None, Field(description="how much speaks for there being none; null where the model cannot tell")
    ]
    has_answer: bool


class Classification(Result):
    """The label of a text."""

    label: str
    probability: Probability
    probabilities: Annotated[dict[str, Probability], Field(description="of all labels")]


class Score(Result):
    """The number that a model of regression gives a text."""

    score: FiniteFloat


class TaggedWord(Result):
    """A word with its tag."""

    word: str
    start: Start
    end: End
    tag: str
    probability: Probability


class Entity(Result):
    """Words that belong together by their tags."""

    kind: str
    text: str
    start: Start
    end: End


class TaggedText(Result):
    """The words of a text, and what they stand for together."""

    words: list[TaggedWord]
    entities: Annotated[list[Entity], Field(description="where tags are of the kind B-X, I-X, E-X, S-X and O")]


class TokenVector(Result):
    """A token with its vector."""

    token: str
    start: Start
    end: End
    vector: list[FiniteFloat]


class Response(BaseModel):
    """What all answers have, beside results: one for each text, in order."""

    model: Annotated[str, Field(description="which was asked")]
    warnings: Annotated[list[str], Field(description="such as that a text was cut, being longer than the model reads")]


class ReplacedResponse(Response):
    """The tokens of each text."""

    results: list[list[ReplacedToken]]


class FillMaskResponse(Response):
    """The masks of each text."""

    results: list[list[Mask]]


class AnswerResponse(Response):
    """The answers to each question."""

    results: list[Answers]


class ClassifyResponse(Response):
    """The label of each text, or its score."""

    results: list[Classification | Score]


class TagResponse(Response):
    """The words of each text."""

    results: list[TaggedText]


class EmbedResponse(Response):
    """The vector of each text, or of each of its tokens."""

    results: list[list[FiniteFloat]] | list[list[TokenVector]]


class Task(BaseModel):
    """What a head of a model is for."""

    name: str
    command: Command
    labels: list[str]


class Model(BaseModel):
    """A model that is served."""

    name: str
    kind: Annotated[str, Field(description="such as discriminator")]
    commands: list[Command]
    tasks: list[Task]
    mask_token: Annotated[str, Field(description="what stands for a mask in a text")]
    max_tokens: Annotated[int, Field(description="that it reads of a text; `answer` goes through longer contexts")]


class ServerLimits(BaseModel):
    """What is taken in one request."""

    max_request_bytes: int
    max_texts: int
    max_text_length: Annotated[int, Field(description="in code points")]


class Models(BaseModel):
    """All models that are served."""

    models: list[Model]
    needs: Annotated[dict[Command, str], Field(description="the model to load for a command")]
    limits: ServerLimits


class Error(BaseModel):
    """What was wrong."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"error": "texts: must be a list of strings. Received: 'the cat'"}]}
    )

    error: str
