"""An analysis as CSV tables and as one JSON object. Imports no TensorFlow."""

import csv
import io
import json
import re
from collections.abc import Iterator, Sequence
from typing import Any

from electra_span.files import without_controls
from finetune.analysis.analysis import SCORE_NAMES, Analysis
from finetune.analysis.breakdowns import Breakdown, num_words
from finetune.analysis.judging import CLASS_MEANINGS, MISSING
from finetune.analysis.models import ModelAnswers

MODEL_NAMES = ("a", "b")


def csv_tables(analysis: Analysis) -> dict[str, str]:
    """Returns the tables by their file names: one a breakdown, the error classes, and one row a question."""
    tables = {f"{kind.key}.csv": _csv(_breakdown_rows(kind)) for kind in analysis.breakdowns}
    tables["error_classes.csv"] = _csv(_error_rows(analysis))
    tables["questions.csv"] = _csv(_question_rows(analysis))
    return tables


def _csv(rows: Iterator[Sequence[Any]]) -> str:
    stream = io.StringIO(newline="")
    csv.writer(stream, lineterminator="\n").writerows([_without_controls(cell) for cell in row] for row in rows)
    return stream.getvalue()


def _without_controls(cell: Any) -> Any:
    """Returns a cell as a terminal or a spreadsheet may show it; lines and tabs of a text stay."""
    if not isinstance(cell, str) or cell.isprintable():
        return cell
    return re.sub(r"(?:(?!\r\n)[^\n\t])+", lambda part: without_controls(part[0]), cell)


def _prefixed(names: Sequence[str], num_models: int) -> list[str]:
    """Returns the names of columns, for two models with the model's before each."""
    if num_models == 1:
        return [*names]
    return [f"{model}_{name}" for model in MODEL_NAMES for name in names]


def _breakdown_rows(breakdown: Breakdown) -> Iterator[Sequence[Any]]:
    num_models = len(breakdown.groups[0].scores)
    yield breakdown.key, "questions", *_prefixed(SCORE_NAMES, num_models)
    for group in breakdown.groups:
        yield group.name, group.num_questions, *(round(value, 4) for scores in group.scores for value in scores)


def _error_rows(analysis: Analysis) -> Iterator[Sequence[Any]]:
    yield "class", *_prefixed(("questions",), len(analysis.models)), "meaning"
    for name, meaning in CLASS_MEANINGS.items():
        yield name, *(counts[name] for counts in analysis.error_classes), meaning


def _question_rows(analysis: Analysis) -> Iterator[Sequence[Any]]:
    answer_columns = ("prediction", "null_odds", *SCORE_NAMES, "error_class", "nearest_gold_answer")
    yield (
        "id",
        "question",
        "gold_answers",  # a JSON list
        "num_answer_words",
        "num_question_words",
        "num_context_words",
        *(kind.key for kind in analysis.breakdowns),
        *_prefixed(answer_columns, len(analysis.models)),
    )
    for place, question in enumerate(analysis.questions):
        yield (
            question.id,
            question.text,
            json.dumps(question.gold_texts, ensure_ascii=False),
            min(map(num_words, question.gold_texts), default=""),
            num_words(question.text),
            num_words(question.context),
            *(kind.group_of_question[place] for kind in analysis.breakdowns),
            *(value for model in analysis.models for value in _answer_fields(model, place)),
        )


def _answer_fields(model: ModelAnswers, place: int) -> Sequence[Any]:
    answer, null_odds = model.answers[place], model.null_odds[place]
    scores = (round(value, 6) for value in (answer.exact, answer.f1, answer.lenient))
    text = "" if answer.text is None else answer.text
    return text, "" if null_odds is None else null_odds, *scores, answer.error_class, answer.nearest_gold


def summary(analysis: Analysis) -> dict[str, Any]:
    """Returns all numbers, ready for JSON; scores are percentages."""
    tally = analysis.read.tally
    models = zip(MODEL_NAMES, analysis.models, strict=False)
    return {
        "gold": analysis.gold_file,
        "questions": len(analysis.questions),
        "questions_left_out": dict(tally.left_out + tally.passed_over),
        "questions_used_although": dict(tally.kept),
        "seed": analysis.seed,
        "models": {name: _model_entry(analysis, place, model) for place, (name, model) in enumerate(models)},
        "comparison": _comparison_entry(analysis),
        "breakdowns": {
            kind.key: [
                {
                    "group": group.name,
                    "questions": group.num_questions,
                    **{
                        name: dict(zip(SCORE_NAMES, scores, strict=True))
                        for name, scores in zip(MODEL_NAMES, group.scores, strict=False)
                    },
                }
                for group in kind.groups
            ]
            for kind in analysis.breakdowns
        },
    }


def _model_entry(analysis: Analysis, place: int, model: ModelAnswers) -> dict[str, Any]:
    intervals = analysis.intervals[place]
    return {
        "predictions": model.files.predictions,
        "null_odds": model.files.null_odds,
        "threshold": model.threshold.value if model.threshold else None,
        "threshold_is": model.threshold.origin if model.threshold else None,
        "metrics": model.metrics,
        "metrics_squad_v1": model.metrics_v1,
        "lenient": 100 * intervals["lenient"].mean,
        "intervals": {name: [100 * row.low, 100 * row.high] for name, row in intervals.items()},
        "error_classes": analysis.error_classes[place],
        "missing_predictions": {"count": len(model.missing), "first": model.missing[:5]},
        "predictions_to_other_questions": model.num_passed_over,
    }


def _comparison_entry(analysis: Analysis) -> dict[str, Any] | None:
    if analysis.comparison is None:
        return None
    differences = {
        name: {
            "a_minus_b": 100 * row.interval.mean,
            "interval": [100 * row.interval.low, 100 * row.interval.high],
            "p_value": row.p_value,
        }
        for name, row in analysis.comparison.differences.items()
    }
    return {"paired_bootstrap": differences, "mcnemar": analysis.comparison.mcnemar._asdict()}


def summary_line(analysis: Analysis) -> str:
    """Returns the scores, and the difference of two models, in one line a model."""
    lines = []
    for name, model, counts in zip(MODEL_NAMES, analysis.models, analysis.error_classes, strict=False):
        at = f" at threshold {model.threshold.value:.4g} ({model.threshold.origin})" if model.threshold else ""
        lines.append(
            f"{name.upper()} {model.files.predictions}: exact match {model.metrics['exact']:.3f}, "
            f"F1 {model.metrics['f1']:.3f}{at}; {len(analysis.questions)} questions, "
            f"{counts[MISSING]} without prediction"
        )
    if analysis.comparison is not None:
        f1, test = analysis.comparison.differences["f1"], analysis.comparison.mcnemar
        low, high = 100 * f1.interval.low, 100 * f1.interval.high
        lines.append(
            f"A - B: F1 {100 * f1.interval.mean:+.3f} (95 % interval {low:.3f} to {high:.3f}, p {f1.p_value:.4f}); "
            f"McNemar's test on exact match: p {test.p_value:.4g}"
        )
    return "\n".join(lines)
