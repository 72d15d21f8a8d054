"""The part of the page with questions to be read. Imports no TensorFlow."""

from finetune.analysis.analysis import Analysis, ExampleList
from finetune.analysis.escaping import shown
from finetune.analysis.excerpts import NEITHER, Piece, excerpt
from finetune.analysis.judging import JudgedAnswer
from finetune.analysis.models import ModelAnswers


def example_lists(analysis: Analysis) -> str:
    """Returns the examples of errors and, of two models, of questions that only one has right."""
    two = len(analysis.models) == 2
    whose = " of A" if two else ""
    lead = (
        f'<p class="lead">Drawn at random with seed {analysis.seed}. <mark class="gold">Right</mark>, '
        '<mark class="predicted">answered</mark>, <mark class="both">both</mark>.</p>'
    )
    lists = [_list(analysis, row) for row in analysis.examples] or ["<p>There are none: every answer is right.</p>"]
    parts = [f"<h2>Errors{whose} to read</h2>", lead, *lists]
    if two:
        parts += ["<h2>Where they differ</h2>", *(_list(analysis, row) for row in analysis.differing)]
    return "\n".join(parts)


def _list(analysis: Analysis, examples: ExampleList) -> str:
    items = "\n".join(_example(analysis, place) for place in examples.questions)
    count = f"{len(examples.questions)} of {examples.num_all:,}"
    return (
        f'<details><summary><b>{shown(examples.title)}</b> <span class="soft">{count}; {shown(examples.explanation)}'
        f"</span></summary>\n{items}\n</details>"
    )


def _example(analysis: Analysis, place: int) -> str:
    question = analysis.questions[place]
    judged = [model.answers[place] for model in analysis.models]
    golds = " · ".join(f"<b>{shown(text)}</b>" for text in question.gold_texts) or "no answer"
    pieces = excerpt(question, judged[0].nearest_gold, [answer.text or "" for answer in judged])
    names = ["answered"] if len(judged) == 1 else ["A", "B"]
    answers = [
        f'<p><span class="name">{name}</span>{_answer(answer, model, place)}</p>'
        for name, answer, model in zip(names, judged, analysis.models, strict=True)
    ]
    return "\n".join(
        (
            '<article class="example">',
            f'<p class="question">{shown(question.text) or "(no text)"}</p>',
            f'<p><span class="name">right</span>{golds}</p>',
            *answers,
            f'<p class="context">{"".join(map(_piece, pieces))}</p>',
            f'<p class="id">{shown(question.id)}</p>',
            "</article>",
        )
    )


def _answer(answer: JudgedAnswer, model: ModelAnswers, place: int) -> str:
    if answer.text is None:
        return "no prediction"
    text = f"<b>{shown(answer.text)}</b>" if answer.text else "no answer"
    facts = [f"F1 {answer.f1:.2f}"]
    null_odds = model.null_odds[place]
    if null_odds is not None:
        facts.append(f"null odds {null_odds:.3g}")
    return f'{text} <span class="soft">({shown(", ".join(facts))})</span>'


def _piece(piece: Piece) -> str:
    text = "\n".join(map(shown, piece.text.split("\n")))
    return text if piece.mark == NEITHER else f'<mark class="{piece.mark}">{text}</mark>'
