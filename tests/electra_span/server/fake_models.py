"""Models that say something simple of every text, so that the server is tested without TensorFlow."""

import re
import threading
import warnings

import numpy as np

from electra_span.config import UserError
from electra_span.inference.requests import TextCutWarning
from electra_span.inference.results import (
    Answer,
    Answers,
    Classification,
    Entity,
    Fill,
    ReplacedToken,
    Score,
    TaggedText,
    TaggedWord,
    TokenVectors,
)
from electra_span.server import schemas
from electra_span.server.served_models import ServedModel

WIDTH = 3  # of vectors
CUT_LENGTH = 500
NEEDS = {
    command: f"a model for {command}" for command in ("replaced", "fill_mask", "answer", "classify", "tag", "embed")
}


def _words(text: str) -> list[tuple[str, int, int]]:
    return [(found.group(), *found.span()) for found in re.finditer(r"\S+", text)]


class FakeModel:
    """Knows every command.

    Attributes:
        may_go_on: calls about the text "wait" end once it is set.
        has_begun: set by them.
        num_calls: so far.
    """

    def __init__(self) -> None:
        self.may_go_on, self.has_begun, self.num_calls = threading.Event(), threading.Event(), 0

    def replaced_tokens(self, texts):
        """Words of an odd number of characters were replaced."""
        self.num_calls += 1
        if "wait" in texts:
            self.has_begun.set()
            assert self.may_go_on.wait(20)
        if "fail" in texts:
            raise RuntimeError("a secret of /etc/passwd")
        if "mistake" in texts:
            raise UserError("this model\ncannot do it")
        if any(len(text) > CUT_LENGTH for text in texts):
            warnings.warn("1 of 1 texts have more tokens than fit", TextCutWarning, stacklevel=2)
        return [[ReplacedToken(*word, 0.9 if len(word[0]) % 2 else 0.1) for word in _words(text)] for text in texts]

    def fill_mask(self, texts, num_candidates):
        """Every mask is a cat, or something numbered; the third mask of a text is behind what is read."""
        names = ["cat", *(f"thing{number}" for number in range(1, num_candidates))]
        return [
            [
                [Fill(name, text.replace("[MASK]", name, 1), 0.5 / 2**rank) for rank, name in enumerate(names)]
                if number < 2
                else []
                for number in range(text.count("[MASK]"))
            ]
            for text in texts
        ]

    def answer(self, questions, contexts, *, task=None, num_answers=1, no_answer_threshold=None):
        """The last words of the context are the answers; a question about nothing has none, with no threshold."""
        return [
            Answers(
                [Answer(*word, 0.6 / 2**rank) for rank, word in enumerate(_words(context)[::-1][:num_answers])],
                None if task == "untold" else -1.25,
                "nothing" not in question or no_answer_threshold is not None,
            )
            for question, context in zip(questions, contexts, strict=True)
        ]

    def classify(self, texts, pairs=None, *, task=None):
        """Texts with a second one are alike, others differ; task "score" counts characters."""
        if task == "score":
            return [Score(float(len(text))) for text in texts]
        if task == "broken":
            return [Score(float("nan")) for _ in texts]
        label, other = ("alike", "different") if pairs else ("different", "alike")
        return [
            Classification(label, 0.75, {"alike": 0.25, "different": 0.25, label: 0.75, other: 0.25}) for _ in texts
        ]

    def tag(self, texts, *, task=None):
        """Words with a capital are names."""
        return [self._tagged(_words(text)) for text in texts]

    def _tagged(self, words):
        tagged = [TaggedWord(*word, "S-NAME" if word[0][0].isupper() else "O", 0.8) for word in words]
        return TaggedText(tagged, [Entity("NAME", word, start, end) for word, start, end in words if word[0].isupper()])

    def embed(self, texts, *, pooling="first"):
        """Vectors of ones."""
        if pooling != "none":
            return np.ones([len(texts), WIDTH], np.float32)
        return [
            TokenVectors(
                [word for word, _, _ in _words(text)],
                [(start, end) for _, start, end in _words(text)],
                np.ones([len(_words(text)), WIDTH], np.float32),
            )
            for text in texts
        ]


def served(
    name: str, *commands: str, model: FakeModel | None = None, kind: str = "fake model", tasks=()
) -> ServedModel:
    """Returns a fake that is served for some commands; for all, where none are named."""
    description = schemas.Model(
        name=name,
        kind=kind,
        commands=list(commands or NEEDS),
        tasks=[schemas.Task(name=task, command=command, labels=[]) for task, command in tasks],
        mask_token="[MASK]",
        max_tokens=128,
    )
    return ServedModel(description, model or FakeModel())
