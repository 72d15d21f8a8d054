"""Pieces of a page of HTML, with all text escaped. Imports no TensorFlow."""

from collections.abc import Mapping, Sequence

from finetune.analysis.analysis import Analysis
from finetune.analysis.escaping import shown


def number(value: float, *, is_signed: bool = False) -> str:
    """Returns a score, or the difference of two, in percent for a page."""
    return f"{value:{'+' if is_signed else ''}.2f}".replace("-", "−")


def short_number(value: float) -> str:
    """Returns any number with four digits that count, for a page."""
    return f"{value:.4g}".replace("-", "−")


def p_value(value: float) -> str:
    """Returns a p-value for a page."""
    return "< 0.001" if value < 0.001 else f"{value:.3f}"


def p_equation(value: float) -> str:
    """Returns a p-value for a sentence."""
    return f"p {'' if value < 0.001 else '= '}{p_value(value)}"


def table(
    columns: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    colours: Mapping[str, int] | None = None,
    text_columns: Sequence[int] = (0,),
) -> str:
    """Returns a table.

    Args:
        columns: their titles.
        rows: texts by column.
        colours: of series, by the texts of first columns that have one.
        text_columns: places of the columns that hold words; the others hold numbers.
    """

    def cell(place: int, text: str, tag: str) -> str:
        key = (colours or {}).get(text) if place == 0 and tag == "td" else None
        content = f'<span class="key series-{key}">{shown(text)}</span>' if key else shown(text)
        kind = "" if place in text_columns else ' class="number"'
        return f"<{tag}{kind}>{content}</{tag}>"

    lines = [(columns, "th"), *((row, "td") for row in rows)]
    body = "\n".join(
        f"<tr>{''.join(cell(place, text, tag) for place, text in enumerate(row))}</tr>" for row, tag in lines
    )
    return f'<div class="wide"><table>\n{body}\n</table></div>'


def cards(analysis: Analysis) -> str:
    """Returns the scores that tell most, large."""
    wanted = {
        "exact": "exact match",
        "f1": "F1",
        "lenient": "lenient",
        "HasAns_f1": "F1 where there is an answer",
        "NoAns_f1": "right where there is none",
    }
    scores = [
        {**model.metrics, "lenient": 100 * intervals["lenient"].mean}
        for model, intervals in zip(analysis.models, analysis.intervals, strict=True)
    ]
    has_both = {"HasAns_f1", "NoAns_f1"} <= scores[0].keys()
    names = [name for name in wanted if has_both or name in ("exact", "f1", "lenient")]
    items = "".join(
        f'<div class="card"><b>{" / ".join(f"{row[name]:.1f}" for row in scores)}</b><span>{wanted[name]}</span></div>'
        for name in names
    )
    return f'<div class="cards">{items}</div>'
