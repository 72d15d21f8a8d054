"""The part of the page with the scores of one model, or the comparison of two. Imports no TensorFlow."""

from finetune.analysis.analysis import SCORE_NAMES, Analysis, Comparison, Difference, Interval
from finetune.analysis.page_parts import number, p_equation, p_value, table

_TITLES = {"exact": "exact match", "f1": "F1", "lenient": "lenient"}


def score_section(analysis: Analysis) -> str:
    """Returns the scores with their intervals and, of two models, what they differ by."""
    parts = ["<h2>Scores</h2>" if analysis.comparison is None else "<h2>Is one better?</h2>"]
    if analysis.comparison is not None:
        parts += [f'<p class="verdict">{line}</p>' for line in _verdicts(analysis.comparison)]
    return "\n".join((*parts, _table(analysis), _v1_note(analysis)))


def _table(analysis: Analysis) -> str:
    letters = ["score"] if len(analysis.models) == 1 else ["A", "B"]
    columns = ["", *(name for letter in letters for name in (letter, "95 % interval"))]
    if analysis.comparison is not None:
        columns += ["A − B", "95 % interval", "p"]
    rows = []
    for name in SCORE_NAMES:
        cells = [_TITLES[name]]
        for model, intervals in zip(analysis.models, analysis.intervals, strict=True):
            mean = model.metrics.get(name, 100 * intervals[name].mean)
            cells += [number(mean), _range(intervals[name])]
        if analysis.comparison is not None:
            row = analysis.comparison.differences[name]
            cells += [number(100 * row.interval.mean, is_signed=True), _range(row.interval), p_value(row.p_value)]
        rows.append(cells)
    return table(columns, rows + _part_rows(analysis))


def _part_rows(analysis: Analysis) -> list[list[str]]:
    """Returns the rows of questions with and without an answer, where there are both."""
    if not {"HasAns_f1", "NoAns_f1"} <= analysis.models[0].metrics.keys():
        return []
    parts = {
        "HasAns_exact": "exact match, with an answer",
        "HasAns_f1": "F1, with an answer",
        "NoAns_exact": "right, without an answer",
    }
    has_difference = analysis.comparison is not None
    rows = []
    for key, title in parts.items():
        values = [model.metrics[key] for model in analysis.models]
        cells = [title, *(cell for value in values for cell in (number(value), ""))]
        rows.append([*cells, number(values[0] - values[1], is_signed=True), "", ""] if has_difference else cells)
    return rows


def _verdicts(comparison: Comparison) -> list[str]:
    f1, test = comparison.differences["f1"], comparison.mcnemar
    if f1.interval.low <= 0 <= f1.interval.high:
        verdict = f"No: their F1 differs by {_points(f1)}, which chance explains"
    else:
        verdict = f"Yes, {'A' if f1.interval.mean > 0 else 'B'}: its F1 is {_points(f1)} higher"
    return [
        f"{verdict} (A − B: 95 % interval {_range(f1.interval)}, {p_equation(f1.p_value)}).",
        f"A alone is right at {test.num_first_only:,} questions, B alone at {test.num_second_only:,}; McNemar's exact "
        f"test on exact match: {p_equation(test.p_value)}.",
    ]


def _points(difference: Difference) -> str:
    return f"{abs(100 * difference.interval.mean):.2f} points"


def _range(interval: Interval) -> str:
    return f"{number(100 * interval.low)} to {number(100 * interval.high)}"


def _v1_note(analysis: Analysis) -> str:
    """Returns the numbers of SQuAD 1.1's evaluator where they are others."""
    notes = [
        f"{letter}: exact match {number(model.metrics_v1['exact_match'])}, F1 {number(model.metrics_v1['f1'])}"
        for letter, model in zip("AB", analysis.models, strict=False)
        if model.metrics_v1
        and abs(model.metrics_v1["f1"] - model.metrics["f1"]) + _exact_gap(model.metrics_v1, model.metrics)
    ]
    lead = "SQuAD 1.1's evaluator, which scores answers without words in another way, gives "
    return f'<p class="lead">{lead}{"; ".join(notes)}.</p>' if notes else ""


def _exact_gap(metrics_v1: dict[str, float], metrics: dict[str, float]) -> float:
    return abs(metrics_v1["exact_match"] - metrics["exact"])
