"""An analysis as one page of HTML: no scripts, nothing to be fetched. Imports no TensorFlow."""

import os
from collections.abc import Sequence

import numpy as np

from finetune.analysis.analysis import Analysis
from finetune.analysis.breakdowns import Breakdown
from finetune.analysis.charts import BarGroup, Line, bar_chart, legend, line_chart, share_strip
from finetune.analysis.escaping import shown
from finetune.analysis.judging import CLASS_MEANINGS, CORRECT
from finetune.analysis.models import ModelAnswers, Threshold
from finetune.analysis.page_examples import example_lists
from finetune.analysis.page_parts import cards, number, short_number, table
from finetune.analysis.page_scores import score_section
from finetune.analysis.page_style import STYLE

_METHOD = """
<p>Exact match and F1 are those of SQuAD 2.0's evaluator: case, punctuation, English articles and white space do not
count, a question is compared with the gold answer it suits best, and no answer is right where there is none. A question
without a prediction counts as wrong. The lenient score also counts an answer that contains a gold answer, or is a part
of one.</p>
<p>Intervals are 95 % percentile intervals of 10,000 bootstrap resamples of the questions, paired where two models are
compared; McNemar's test is the exact one. They tell how far the questions decide, not how far another training run
would differ.</p>
"""


def page(analysis: Analysis) -> str:
    """Returns the page."""
    name = shown(os.path.basename(analysis.gold_file))
    sections = (_head, score_section, _threshold_section, _breakdown_section, _error_section, example_lists)
    parts = [
        "<!doctype html>",
        '<html lang="en">',
        "<head>",
        '<meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>{name}: answers analysed</title>",
        f"<style>{STYLE}</style>",
        "</head>",
        "<body>",
        "<main>",
        *(section(analysis) for section in sections),
        "</main>",
        f"<footer><h2>How this was measured</h2>{_METHOD}</footer>",
        "</body>",
        "</html>",
    ]
    return "\n".join(parts) + "\n"


def _head(analysis: Analysis) -> str:
    num_answerable = sum(bool(question.gold_texts) for question in analysis.questions)
    num_all = len(analysis.questions)
    names = [os.path.basename(model.files.predictions) for model in analysis.models]
    whose = shown(names[0]) if len(names) == 1 else "two models"
    kinds = f"{num_answerable:,} with an answer, {num_all - num_answerable:,} without"
    lines = [
        f"<h1>Answers of {whose} to {shown(os.path.basename(analysis.gold_file))}</h1>",
        f'<p class="lead">{num_all:,} questions: {kinds}.</p>',
        *(_model_line(letter, model) for letter, model in zip("AB", analysis.models, strict=False) if len(names) == 2),
        *(
            _doubts("" if len(names) == 1 else f"{letter}: ", model)
            for letter, model in zip("AB", analysis.models, strict=False)
        ),
        cards(analysis),
    ]
    return "\n".join(filter(None, lines))


def _model_line(letter: str, model: ModelAnswers) -> str:
    return f'<p><b>{letter}</b> <span class="soft">{shown(model.files.predictions)}</span></p>'


def _doubts(prefix: str, model: ModelAnswers) -> str:
    """Returns what is wrong with the files of a model, nothing where they are complete."""
    doubts = []
    if model.missing:
        first = ", ".join(map(shown, model.missing[:3])) + (", …" if len(model.missing) > 3 else "")
        doubts.append(
            f"{len(model.missing):,} questions have no prediction, or no null odds, and count as wrong ({first})"
        )
    if model.num_passed_over:
        doubts.append(f"{model.num_passed_over:,} predictions are to other questions, and passed over")
    return f'<p class="soft">{prefix}{"; ".join(doubts)}.</p>' if doubts else ""


def _threshold_section(analysis: Analysis) -> str:
    parts = [
        _threshold(letter if len(analysis.models) == 2 else "", model.threshold, model)
        for letter, model in zip("AB", analysis.models, strict=False)
        if model.threshold is not None and model.curve
    ]
    if not parts:
        return ""
    lead = (
        '<p class="lead">A question whose null odds are above the threshold gets no answer. A threshold tuned on the '
        "questions it is reported on is too good by what was fitted; the held-out rows are tuned on one half of the "
        "questions and measured on the other. --threshold sets another.</p>"
    )
    return "\n".join(("<h2>When it does not answer</h2>", lead, *parts))


def _threshold(letter: str, threshold: Threshold, model: ModelAnswers) -> str:
    used = short_number(threshold.value)
    curve = np.array(model.curve)  # [P, 3]
    chart = line_chart(
        f"Scores by threshold {letter}",
        [Line("exact match", curve[:, 0], curve[:, 1]), Line("F1", curve[:, 0], curve[:, 2])],
        x_title="threshold of the null odds: more is answered to the right",
        marked_x=threshold.value,
        mark=f"used here: {used}",
    )
    metrics = model.metrics
    rows = [
        (f"used here ({threshold.origin})", used, number(metrics["exact"]), number(metrics["f1"])),
        *(
            (f"{title} {spoken}", short_number(metrics[f"{key}_{name}_thresh"]), *_only(name, metrics[f"{key}_{name}"]))
            for key, title in (("best", "best on these questions, by"), ("heldout", "held out, tuned by"))
            for name, spoken in (("exact", "exact match"), ("f1", "F1"))
            if f"{key}_{name}" in metrics
        ),
    ]
    heading = f"<h3>{letter}</h3>" if letter else ""
    columns = ("", "threshold", "exact match", "F1")
    return "\n".join((heading, legend(("exact match", "F1")), chart, table(columns, rows)))


def _only(name: str, value: float) -> tuple[str, str]:
    """Returns the fields of both scores where only one is known."""
    return (number(value), "") if name == "exact" else ("", number(value))


def _breakdown_section(analysis: Analysis) -> str:
    kinds = [kind for kind in analysis.breakdowns if kind.key != "answerable" or len(kind.groups) > 1]
    return "\n".join(("<h2>Which questions are hard</h2>", *(_breakdown(kind, len(analysis.models)) for kind in kinds)))


def _breakdown(kind: Breakdown, num_models: int) -> str:
    if num_models == 1:
        series = ["exact match", "F1"]
        groups = [BarGroup(row.name, row.num_questions, row.scores[0][:2]) for row in kind.groups]
    else:
        series = ["F1 of A", "F1 of B"]
        groups = [BarGroup(row.name, row.num_questions, [scores.f1 for scores in row.scores]) for row in kind.groups]
    rows = [
        (row.name, f"{row.num_questions:,}", *(number(value) for scores in row.scores for value in scores))
        for row in kind.groups
    ]
    names = ("exact match", "F1", "lenient")
    columns = names if num_models == 1 else [f"{letter}: {name}" for letter in "AB" for name in names]
    return "\n".join(
        (
            f"<h3>{shown(kind.title)}</h3>",
            f'<p class="lead">{shown(kind.explanation)}</p>',
            legend(series),
            bar_chart(kind.title, groups, series),
            f"<details><summary>Table</summary>{table(('', 'questions', *columns), rows)}</details>",
        )
    )


def _error_section(analysis: Analysis) -> str:
    names = [name for name in CLASS_MEANINGS if name != CORRECT]
    strips = []
    for letter, counts in zip("AB", analysis.error_classes, strict=False):
        wrong = {name: counts[name] for name in names}
        if any(wrong.values()):
            title = f"Wrong answers of {letter}" if len(analysis.models) == 2 else "Wrong answers"
            strips.append(f"<h3>{title}: {sum(wrong.values()):,}</h3>{share_strip(title, wrong)}")
    return "\n".join(("<h2>What goes wrong</h2>", *strips, _error_table(analysis, names)))


def _error_table(analysis: Analysis, names: Sequence[str]) -> str:
    num_all = len(analysis.questions)
    letters = [""] if len(analysis.models) == 1 else ["A: ", "B: "]
    columns = ["", *(f"{letter}{name}" for letter in letters for name in ("questions", "of all")), "what it is"]
    colours = {name: place for place, name in enumerate(names, 1)}
    rows = []
    for name, meaning in CLASS_MEANINGS.items():
        values = [counts[name] for counts in analysis.error_classes]
        cells = [cell for value in values for cell in (f"{value:,}", f"{100 * value / num_all:.1f} %")]
        rows.append((name, *cells, meaning))
    return table(columns, rows, colours=colours, text_columns=(0, len(columns) - 1))
