"""Charts as SVG to be put into a page: its fonts and colours, no other file, words for those who hear it.

Colours are the page's variables --series-1 and on. Imports no TensorFlow.
"""

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from finetune.analysis.escaping import shown

_WIDTH = 760
_LABEL_WIDTH, _COUNT_WIDTH, _VALUE_WIDTH = 150, 64, 46
_BAR_HEIGHT, _BAR_GAP, _GROUP_GAP = 10, 3, 13
_LETTERS = 4  # pixels by which the base of a line of letters is below its middle
_MAX_POINTS = 400


class BarGroup(NamedTuple):
    """Bars about one thing."""

    name: str
    num_questions: int
    values: Sequence[float]  # of each series, from 0 to 100


class Line(NamedTuple):
    """A line through points of rising x."""

    name: str
    x: np.ndarray
    y: np.ndarray  # from 0 to 100


def legend(names: Sequence[str]) -> str:
    """Returns a line that tells the colours of series."""
    items = (f'<span class="key series-{number}">{shown(name)}</span>' for number, name in enumerate(names, 1))
    return f'<p class="legend">{"".join(items)}</p>'


def bar_chart(title: str, groups: Sequence[BarGroup], series: Sequence[str]) -> str:
    """Returns a chart of horizontal bars from 0 to 100, one a series for every group, with its name and count.

    Args:
        title: what is shown.
        groups: from above to below.
        series: the names of the bars of every group.
    """
    row_height = len(series) * (_BAR_HEIGHT + _BAR_GAP) + _GROUP_GAP
    left, right = _LABEL_WIDTH + _COUNT_WIDTH, _WIDTH - _VALUE_WIDTH
    height = row_height * len(groups) + 18
    spoken = "; ".join(
        f"{group.name}, {group.num_questions} questions: "
        + ", ".join(f"{name} {value:.1f}" for name, value in zip(series, group.values, strict=True))
        for group in groups
    )
    grid = [_tick(left + (right - left) * share / 100, 0, height - 16, f"{share}") for share in range(0, 101, 25)]
    rows = [_bar_row(place * row_height, row_height, group, series, left, right) for place, group in enumerate(groups)]
    return _svg(height, f"{title}. {spoken}", [*grid, *rows])


def _bar_row(top: int, height: int, group: BarGroup, series: Sequence[str], left: int, right: int) -> str:
    middle = top + height / 2 + _LETTERS
    parts = [
        f'<text x="{_LABEL_WIDTH}" y="{middle}" text-anchor="end">{shown(group.name)}</text>',
        f'<text class="soft" x="{left - 10}" y="{middle}" text-anchor="end">{group.num_questions:,}</text>',
    ]
    for number, (name, value) in enumerate(zip(series, group.values, strict=True)):
        bar_top = top + _GROUP_GAP / 2 + number * (_BAR_HEIGHT + _BAR_GAP)
        width = (right - left) * value / 100
        parts.append(
            f'<rect class="series-{number + 1}" x="{left}" y="{bar_top}" width="{width:.1f}" height="{_BAR_HEIGHT}" '
            f'rx="2"><title>{shown(group.name)}: {shown(name)} {value:.2f}</title></rect>'
            f'<text class="value" x="{left + width + 5:.1f}" y="{bar_top + _BAR_HEIGHT - 1.5}">{value:.1f}</text>'
        )
    return "".join(parts)


def share_strip(title: str, counts: Mapping[str, int]) -> str:
    """Returns one bar that is parted by how many of each there are, in the order of the colours.

    Args:
        title: what is counted.
        counts: by name, at least one above 0.
    """
    total = sum(counts.values())
    parts, left = [], 0.0
    for number, (name, count) in enumerate(counts.items(), 1):
        width = _WIDTH * count / total
        label = f"{name}: {count:,} ({100 * count / total:.1f} %)"
        parts.append(
            f'<rect class="series-{number}" x="{left:.1f}" y="0" width="{width:.1f}" height="26">'
            f"<title>{shown(label)}</title></rect>"
        )
        if width > 44:
            parts.append(
                f'<text class="on-bar" x="{left + width / 2:.1f}" y="{13 + _LETTERS}" text-anchor="middle">'
                f"{100 * count / total:.0f} %</text>"
            )
        left += width
    spoken = ", ".join(f"{name} {count}" for name, count in counts.items())
    return _svg(26, f"{title}: {spoken}", parts)


def line_chart(title: str, lines: Sequence[Line], *, x_title: str, marked_x: float, mark: str) -> str:
    """Returns a chart of lines, the middle 98 % of the points, with a mark at one x.

    Args:
        title: what is shown.
        lines: with the same x, at least one point.
        x_title: what x is.
        marked_x: where the upright is, or the end of the chart nearest to it.
        mark: what it says.
    """
    low_x, high_x = (float(value) for value in np.percentile(lines[0].x, (1, 99)))
    if low_x == high_x:
        low_x, high_x = low_x - 1, high_x + 1
    is_shown = (lines[0].x >= low_x) & (lines[0].x <= high_x)
    y_ticks = _ticks(*_limits(np.concatenate([line.y[is_shown] for line in lines])))
    left, right, top, bottom = 46, _WIDTH - 20, 22, 250

    def place_x(value: float) -> float:
        return left + (right - left) * (value - low_x) / (high_x - low_x)

    def place_y(value: float) -> float:
        return bottom - (bottom - top) * (value - y_ticks[0]) / (y_ticks[-1] - y_ticks[0])

    parts = [_level(place_y(value), left, right, f"{value:g}") for value in y_ticks]
    parts += [
        _tick(place_x(value), bottom, bottom + 5, f"{value:g}")
        for value in _ticks(low_x, high_x)
        if low_x <= value <= high_x
    ]
    for number, line in enumerate(lines, 1):
        x, y = line.x[is_shown], line.y[is_shown]
        kept = np.unique(np.linspace(0, len(x) - 1, _MAX_POINTS).astype(int))
        points = " ".join(f"{place_x(x[place]):.1f},{place_y(y[place]):.1f}" for place in kept)
        parts.append(
            f'<polyline class="line series-{number}" points="{points}"><title>{shown(line.name)}</title></polyline>'
        )
    nearest = min(max(marked_x, low_x), high_x)
    parts.append(_upright(place_x(nearest), top, bottom, mark, is_right=2 * nearest > low_x + high_x))
    middle = (left + right) / 2
    parts.append(f'<text class="soft" x="{middle}" y="{bottom + 38}" text-anchor="middle">{shown(x_title)}</text>')
    return _svg(bottom + 44, f"{title}; {mark}", parts)


def _upright(x: float, top: float, bottom: float, label: str, *, is_right: bool) -> str:
    """Returns a marked x with its label, which is on its left where it is right of the middle."""
    anchor, text_x = ("end", x - 6) if is_right else ("start", x + 6)
    return (
        f'<line class="mark" x1="{x:.1f}" x2="{x:.1f}" y1="{top - 14}" y2="{bottom}"/>'
        f'<text x="{text_x:.1f}" y="{top - 8}" text-anchor="{anchor}">{shown(label)}</text>'
    )


def _limits(values: np.ndarray) -> tuple[float, float]:
    low, high = float(values.min()), float(values.max())
    return (low, high) if high - low > 1 else (max(0.0, low - 1), min(100.0, high + 1))


def _ticks(low: float, high: float) -> list[float]:
    """Returns round numbers, four to ten or so, of which the first is not above low and the last not below high."""
    exponent = 10.0 ** math.floor(math.log10((high - low) / 4))
    step = next(factor * exponent for factor in (1, 2, 5, 10) if factor * exponent >= (high - low) / 8)
    numbers = range(math.floor(low / step), math.ceil(high / step) + 1)
    return [round(number * step, 10) for number in numbers]


def _tick(x: float, top: float, bottom: float, label: str) -> str:
    return (
        f'<line class="grid" x1="{x:.1f}" x2="{x:.1f}" y1="{top}" y2="{bottom}"/>'
        f'<text class="soft" x="{x:.1f}" y="{bottom + 14}" text-anchor="middle">{label}</text>'
    )


def _level(y: float, left: float, right: float, label: str) -> str:
    return (
        f'<line class="grid" x1="{left}" x2="{right}" y1="{y:.1f}" y2="{y:.1f}"/>'
        f'<text class="soft" x="{left - 8}" y="{y + _LETTERS:.1f}" text-anchor="end">{label}</text>'
    )


def _svg(height: float, spoken: str, parts: Sequence[str]) -> str:
    label = shown(spoken)
    return f'<svg viewBox="0 0 {_WIDTH} {height:g}" role="img" aria-label="{label}">\n' + "\n".join(parts) + "\n</svg>"
