"""Bar charts as SVG to be put into a page: its fonts and colours, no other file, words for those who hear it."""

import html
from collections.abc import Mapping, Sequence
from typing import Any

from electra_span.files import without_controls
from pretrain.inspection.report_text import overlap_rows, repetition_rows, summary_rows

_ROW_HEIGHT, _BAR_HEIGHT, _WIDTH = 22, 14, 720
_LABEL_WIDTH, _VALUE_WIDTH = 240, 160
_BASELINE = 11  # of the letters, from the top of the bar


def bar_chart(title: str, counts: Mapping[str, int]) -> str:
    """Returns a chart of horizontal bars, each with its name, number and share.

    Args:
        title: what is counted.
        counts: by name, in the order of the bars.
    """
    largest, total = max((1, *counts.values())), max(1, sum(counts.values()))
    height = _ROW_HEIGHT * len(counts)
    rows = [
        _row(place * _ROW_HEIGHT, name, count, count / largest, f"{count:,} ({100 * count / total:.1f} %)")
        for place, (name, count) in enumerate(counts.items())
    ]
    return "\n".join(
        (
            f'<svg viewBox="0 0 {_WIDTH} {height}" role="img" aria-label="{html.escape(_spoken(title, counts))}">',
            *rows,
            "</svg>",
        )
    )


def _spoken(title: str, counts: Mapping[str, int]) -> str:
    return f"{title}: " + ", ".join(f"{name} {count}" for name, count in counts.items())


def _row(top: int, name: str, count: int, share: float, value: str) -> str:
    room = _WIDTH - _LABEL_WIDTH - _VALUE_WIDTH
    width = max(1.0, share * room) if count else 0.0
    left = _LABEL_WIDTH + 8
    text = top + _BASELINE
    return (
        f'<text class="name" x="{_LABEL_WIDTH}" y="{text}" text-anchor="end">{html.escape(name)}</text>'
        f'<rect class="bar" x="{left}" y="{top}" width="{width:.1f}" height="{_BAR_HEIGHT}" rx="2"/>'
        f'<text class="value" x="{left + width + 6:.1f}" y="{text}">{value}</text>'
    )


_STYLE = """
:root { color-scheme: light dark; --ink: #1b1f24; --soft: #59636e; --line: #d5dae0; --paper: #fff; --bar: #2f6fb4; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e6e9ed; --soft: #9aa5b1; --line: #38414b; --paper: #14181d; --bar: #6ca6e6; }
}
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 62rem; padding: 2rem 1.25rem 4rem; background: var(--paper); color: var(--ink);
  font: 16px/1.5 system-ui, sans-serif; }
h1 { font-size: 1.6rem; margin: 0 0 1.5rem; }
h2 { font-size: 1.2rem; margin: 2.75rem 0 .75rem; border-bottom: 1px solid var(--line); padding-bottom: .3rem; }
h3 { font-size: 1rem; margin: 1.75rem 0 .5rem; }
p { max-width: 44rem; color: var(--soft); margin: .25rem 0 .9rem; }
svg { display: block; width: 100%; max-width: 45rem; height: auto; font: 12px system-ui, sans-serif; }
svg text { fill: var(--ink); }
svg .value { fill: var(--soft); }
svg .bar { fill: var(--bar); }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { text-align: left; vertical-align: top; padding: .3rem 1rem .3rem 0; border-bottom: 1px solid var(--line); }
th { font-weight: 500; color: var(--soft); white-space: nowrap; }
td.number { text-align: right; white-space: nowrap; }
td.text { font: 13px/1.45 ui-monospace, monospace; overflow-wrap: anywhere; min-width: 18rem; unicode-bidi: isolate; }
td.file { min-width: 8rem; font-size: 13px; color: var(--soft); overflow-wrap: anywhere; }
"""


def report_html(report: Mapping[str, Any], title: str) -> str:
    """Returns the page.

    Args:
        report: as inspect_corpus returns it.
        title: what the corpus is called.
    """
    sections = (_summary, _lengths, _scripts, _repetitions, _overlap, _lines)
    parts = [
        "<!doctype html>",
        '<html lang="en">',
        "<head>",
        '<meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>{_text(title)}: what is in the corpus</title>",
        f"<style>{_STYLE}</style>",
        "</head>",
        "<body>",
        "<main>",
        f"<h1>What is in {_text(title)}</h1>",
        *(section(report) for section in sections),
        "</main>",
        "</body>",
        "</html>",
    ]
    return "\n".join(parts) + "\n"


def _text(text: str) -> str:
    """Returns text for a page."""
    return html.escape(without_controls(text))


def _summary(report: Mapping[str, Any]) -> str:
    return _facts(summary_rows(report))


def _lengths(report: Mapping[str, Any]) -> str:
    charts = [
        ("Lines by characters", report["text"]["lines_by_characters"]),
        ("Documents by words", report["text"]["documents_by_words"]),
    ]
    if report["tokens"] is not None:
        charts.append(("Examples by fill", report["tokens"]["examples_by_fill"]))
    return "<h2>Lengths</h2>\n" + "\n".join(_chart(title, counts, level=3) for title, counts in charts)


def _scripts(report: Mapping[str, Any]) -> str:
    return _chart("Characters by script", report["scripts"], level=2)


def _repetitions(report: Mapping[str, Any]) -> str:
    found = report["repetitions"]
    groups = [
        (group["near_duplicates"], group["similarity"], group["original"]["text"], group["duplicate"]["text"])
        for group in found["groups"]
    ]
    lines = [(line["times"], line["text"], line["file"]) for line in found["most_repeated_lines"]]
    return "\n".join(
        (
            "<h2>Repetitions</h2>",
            "<p>Documents are near-duplicates where the sets of their five words in a row are estimated to be as "
            "similar as told; the first of several counts as the original. A build leaves them, and the repeated "
            "lines that are long, out with --dedup.</p>",
            _facts(repetition_rows(report)),
            _table("Largest groups", ("near-duplicates", "similarity", "original", "first near-duplicate"), groups),
            _table("Most repeated lines", ("times", "line", "file of the first"), lines),
        )
    )


def _overlap(report: Mapping[str, Any]) -> str:
    overlap = report["overlap"]
    if overlap is None:
        return ""
    return "\n".join(
        (
            "<h2>Overlap with evaluation files</h2>",
            f"<p>A document shares text with an evaluation file where {overlap['ngram_words']} words in a row are the "
            f"same, without case and punctuation; evaluation texts of {overlap['least_words']} to "
            f"{overlap['ngram_words'] - 1} words are looked for as a whole. A build leaves such documents out with "
            "--drop-overlap.</p>",
            _facts(overlap_rows(report)),
            _table(
                "Some of them",
                ("document", "shared words"),
                [(example["document"], example["shared"]) for example in overlap["examples"]],
            ),
        )
    )


def _lines(report: Mapping[str, Any]) -> str:
    longest = [(line["characters"], line["text"], line["file"]) for line in report["longest_lines"]]
    strangest = [(line["bits_a_character"], line["text"], line["file"]) for line in report["strangest_lines"]]
    return "\n".join(
        (
            "<h2>Lines to look at</h2>",
            "<p>Strange are those whose characters follow each other least probably, by the pairs of neighbouring "
            "characters of this corpus: markup, code, other languages, damaged text.</p>",
            _table("Strangest lines", ("bits a character", "line", "file"), strangest),
            _table("Longest lines", ("characters", "line", "file"), longest),
        )
    )


def _chart(title: str, counts: Mapping[str, int], *, level: int) -> str:
    return f"<h{level}>{_text(title)}</h{level}>\n{bar_chart(title, counts)}"


def _facts(rows: Sequence[tuple[str, str]]) -> str:
    cells = "\n".join(f'<tr><th scope="row">{_text(name)}</th><td>{_text(value)}</td></tr>' for name, value in rows)
    return f'<div class="wide"><table>\n{cells}\n</table></div>'


def _table(title: str, names: Sequence[str], rows: Sequence[Sequence[int | float | str]]) -> str:
    """Returns a table with its title; nothing, where it has no rows."""
    if not rows:
        return ""
    head = "".join(f'<th scope="col">{_text(name)}</th>' for name in names)
    body = "\n".join(f"<tr>{''.join(map(_cell, row, names))}</tr>" for row in rows)
    return f'<h3>{_text(title)}</h3>\n<div class="wide"><table>\n<tr>{head}</tr>\n{body}\n</table></div>'


def _cell(value: int | float | str, name: str) -> str:
    if isinstance(value, str):
        return f'<td class="{"file" if name.startswith("file") else "text"}">{_text(value)}</td>'
    return f'<td class="number">{value:,}</td>'
