"""Bar charts as SVG to be put into a page: its fonts and colours, no other file, words for those who hear it."""

import html
from collections.abc import Mapping

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
