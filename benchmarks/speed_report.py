"""Render the measurements of a run as a table, as JSON and as a plot.

All functions are pure. The module does not import the package under test.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from html import escape

from .speed import BASELINE, CASES, CLIENTS, FRESH, MEMORY, Measurements

#: The largest permitted ratios to requests and to the official SDK, by case.
TARGETS: Mapping[str, tuple[float | None, float | None]] = {
    "get": (0.9, 0.31),
    "list": (1.1, 0.25),
    "expanded": (1.4, 0.28),
    "iterate": (1.35, 0.3),
    "fresh": (1.9, 0.75),
    "memory": (None, 0.9),
}
NO_VALUE = "-"
ALL = (*CASES, FRESH, MEMORY)


def _amount(case: str, value: float | None) -> str:
    if value is None:
        return NO_VALUE
    if case == MEMORY.name:
        return f"{value / 1024:.1f} MB"
    return f"{value:.2f} s" if value >= 1 else f"{value * 1000:.3g} ms"


def _format_ratio(measurements: Measurements, case: str, to: str) -> str:
    ratio, quartiles = (
        measurements.ratio(case, "ours", to),
        measurements.quartiles(case, "ours", to),
    )
    if ratio is None:
        return NO_VALUE
    return f"**{ratio:.2f}**" + (
        f" ({quartiles[0]:.2f} to {quartiles[1]:.2f})" if quartiles else ""
    )


def table(measurements: Measurements, about: Mapping[str, str]) -> str:
    """Return the medians and the ratios as reStructuredText."""
    head = ["", *CLIENTS.values(), "to requests", f"to {CLIENTS['official']}"]
    rows = [
        [
            case.title,
            *(_amount(case.name, measurements.median(case.name, client)) for client in CLIENTS),
            _format_ratio(measurements, case.name, BASELINE),
            _format_ratio(measurements, case.name, "official"),
        ]
        for case in ALL
    ]
    lines = [".. list-table::", "   :header-rows: 1", "   :stub-columns: 1", ""]
    for row in [head, *rows]:
        cells = [f"     - {cell}".rstrip() for cell in row]
        lines += ["   * " + cells[0].strip(), *cells[1:]]
    environment = ", ".join(f"{name} {value}" for name, value in about.items())
    return "\n".join(
        [
            *lines,
            "",
            "The times are medians on one machine. The last two columns show the ratios of the",
            "medians of dub-uplink, and in brackets the quartiles of the ratios of the rounds.",
            "The iteration of the official SDK is a loop over its pages, because the paging of",
            "that SDK ends after one page.",
            "",
            f"{environment}.",
            "",
        ]
    )


def as_json(measurements: Measurements, about: Mapping[str, str]) -> str:
    """Return the figures of the table and the targets as JSON."""
    cases = {
        case.name: {
            "title": case.title,
            "unit": "kilobytes" if case is MEMORY else "seconds",
            "medians": {client: measurements.median(case.name, client) for client in CLIENTS},
            "ratios": {
                to: {
                    "ratio": measurements.ratio(case.name, "ours", to),
                    "quartiles": measurements.quartiles(case.name, "ours", to),
                }
                for to in (BASELINE, "official", "official_2024")
            },
            "targets": TARGETS.get(case.name),
        }
        for case in ALL
    }
    return json.dumps({"about": dict(about), "clients": CLIENTS, "cases": cases}, indent=2) + "\n"


def missed_targets(measurements: Measurements) -> list[str]:
    """Return a line for each ratio above its target."""
    lines: list[str] = []
    for name, targets in TARGETS.items():
        for to, target in zip((BASELINE, "official"), targets, strict=True):
            ratio = measurements.ratio(name, "ours", to)
            if target is not None and ratio is not None and ratio > target:
                lines.append(f"{name}: ratio {ratio:.2f} to {CLIENTS[to]}, target {target}")
    return lines


# Colours with enough contrast on light and on dark pages.
_COLOURS = {"ours": "#0d9488", "official": "#d97706", "official_2024": "#a8a29e"}
_TEXT = "#6b7280"
_BAR, _GAP, _LEFT, _WIDTH, _TOP = 11, 14, 190, 760, 58


def plot(measurements: Measurements, about: Mapping[str, str]) -> str:
    """Return an SVG bar chart of the ratios to plain requests."""
    shown = [case for case in ALL if measurements.median(case.name, BASELINE)]
    ratios = {
        (case.name, client): measurements.ratio(case.name, client, BASELINE)
        for case in shown
        for client in _COLOURS
    }
    most = max(max((r for r in ratios.values() if r is not None), default=1.0), 1.5)
    scale = (_WIDTH - _LEFT - 60) / most
    parts: list[str] = []
    x = _LEFT
    for client, colour in _COLOURS.items():
        parts.append(f'<rect x="{x}" y="30" width="10" height="10" rx="2" fill="{colour}"/>')
        parts.append(_text(x + 15, 39, CLIENTS[client]))
        x += 130
    y = _TOP
    for case in shown:
        bars = [(c, r) for c in _COLOURS if (r := ratios[case.name, c]) is not None]
        middle = y + len(bars) * _BAR / 2 + 4
        parts.append(_text(_LEFT - 10, middle, case.title, anchor="end"))
        for client, ratio in bars:
            parts.append(
                f'<rect x="{_LEFT}" y="{y}" width="{ratio * scale:.1f}" height="{_BAR - 2}" rx="2"'
                f' fill="{_COLOURS[client]}"><title>{escape(CLIENTS[client])}: {ratio:.2f} times'
                " plain requests</title></rect>"
            )
            parts.append(_text(_LEFT + max(ratio, 1.0) * scale + 5, y + 8, f"{ratio:.2f}", size=9))
            y += _BAR
        y += _GAP
    line = _LEFT + scale
    parts.append(
        f'<line x1="{line:.1f}" y1="{_TOP - 6}" x2="{line:.1f}" y2="{y - _GAP + 4}"'
        f' stroke="{_TEXT}" stroke-dasharray="3 3"/>'
    )
    environment = ", ".join(f"{name} {value}" for name, value in about.items())
    parts.append(
        _text(_LEFT, y + 4, "dashed: requests + json, the least work of a client on requests")
    )
    parts.append(_text(10, y + 22, environment, size=8))
    title = "Time and memory, in multiples of plain requests (less is better)"
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {y + 32:.0f}" role="img"'
        ' font-family="system-ui, sans-serif" font-size="11">\n'
        f"<title>{title}</title>\n"
        + _text(10, 18, title, size=14)
        + "\n"
        + "\n".join(parts)
        + "\n</svg>\n"
    )


def _text(x: float, y: float, text: str, *, anchor: str = "start", size: int = 11) -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="{size}" fill="{_TEXT}">'
        f"{escape(text)}</text>"
    )
