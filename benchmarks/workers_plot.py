"""Plot the results of ``benchmarks.workers`` as SVG."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import Any

# Colours with enough contrast on light and on dark pages.
_SUCCESSFUL, _REJECTED, _TEXT = "#0d9488", "#dc2626", "#6b7280"
_WIDTH, _LEFT, _PANEL, _GAP, _TOP, _STEP = 760, 62, 110, 44, 62, 0.1


def plot(results: Mapping[str, Any], limit: int, window: float, about: str) -> str:
    """Return an SVG of the requests in the last window over time, with one panel per mode."""
    parts: list[str] = []
    y = _TOP
    for name, result in results.items():
        text = f"{name}: {result['used']:.1%} of the limit used, {result['rejected']:.2%} rejected"
        parts.append(_text(_LEFT, y - 8, text))
        parts += _panel(result["seen"], y, limit, window)
        y += _PANEL + _GAP
    for n, (colour, text) in enumerate(((_SUCCESSFUL, "successful"), (_REJECTED, "rejected"))):
        x = _LEFT + n * 90
        parts.append(f'<rect x="{x}" y="26" width="10" height="10" rx="2" fill="{colour}"/>')
        parts.append(_text(x + 15, 35, text))
    title = f"Requests within the last {window:g} s, dashed the limit of {limit}"
    parts.append(_text(_LEFT, 15, title, size=12))
    parts.append(_text(_LEFT, y - 6, about, size=8))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {y}" role="img"'
        f' font-family="sans-serif"><title>{escape(title)}</title>{"".join(parts)}</svg>\n'
    )


def _panel(requests: list[tuple[float, int]], top: float, limit: int, window: float) -> list[str]:
    end = max(at for at, _ in requests)
    times = [n * _STEP for n in range(round(end / _STEP) + 1)]
    successful = [_count(requests, at, window, rejected=False) for at in times]
    rejected = [_count(requests, at, window, rejected=True) for at in times]
    most = max(limit * 1.25, *(a + b for a, b in zip(successful, rejected, strict=True)))
    bottom = top + _PANEL

    def area(values: list[int], below: list[int], colour: str) -> str:
        pairs = zip(values, below, strict=True)
        xs = [_LEFT + at / end * (_WIDTH - _LEFT - 20) for at in times]
        upper = [bottom - (a + b) / most * _PANEL for a, b in pairs]
        lower = [bottom - b / most * _PANEL for b in below]
        points = [*zip(xs, upper, strict=True), *zip(reversed(xs), reversed(lower), strict=True)]
        text = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        return f'<polygon points="{text}" fill="{colour}" fill-opacity="0.75"/>'

    line = bottom - limit / most * _PANEL
    right = _WIDTH - 20
    parts = [
        area(successful, [0] * len(successful), _SUCCESSFUL),
        area(rejected, successful, _REJECTED),
        (
            f'<line x1="{_LEFT}" y1="{line:.1f}" x2="{right}" y2="{line:.1f}" stroke="{_TEXT}"'
            ' stroke-dasharray="4 3"/>'
        ),
        f'<line x1="{_LEFT}" y1="{bottom}" x2="{right}" y2="{bottom}" stroke="{_TEXT}"/>',
        _text(_LEFT - 6, line + 4, f"{limit}", anchor="end", size=9),
        _text(_LEFT - 6, bottom + 3, "0", anchor="end", size=9),
    ]
    for seconds in range(0, int(end) + 1, 5):
        x = _LEFT + seconds / end * (right - _LEFT)
        parts.append(_text(x, bottom + 13, f"{seconds} s", anchor="middle", size=9))
    return parts


def _count(requests: list[tuple[float, int]], at: float, window: float, *, rejected: bool) -> int:
    return sum(
        at - window < time <= at and (status == 429) == rejected for time, status in requests
    )


def _text(x: float, y: float, text: str, *, anchor: str = "start", size: int = 11) -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" fill="{_TEXT}"'
        f' text-anchor="{anchor}">{escape(text)}</text>'
    )
