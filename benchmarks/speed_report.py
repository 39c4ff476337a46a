"""The result of a run as a table, as JSON and as a plot.

Pure functions of what was measured. Imports nothing of the package under test.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from html import escape

from .speed import CASES, CLIENTS, FRESH, MEMORY, Measured

TARGETS: Mapping[str, tuple[float | None, float | None]] = {
    "get": (0.9, 0.31),
    "list": (1.1, 0.25),
    "expanded": (1.4, 0.28),
    "iterate": (1.35, 0.3),
    "fresh": (1.9, 0.75),
    "memory": (None, 0.9),
}
NOTHING = "-"
ALL = (*CASES, FRESH, MEMORY)


def _amount(case: str, value: float | None) -> str:
    if value is None:
        return NOTHING
    if case == MEMORY.name:
        return f"{value / 1024:.1f} MB"
    return f"{value:.2f} s" if value >= 1 else f"{value * 1000:.3g} ms"


def _ratio(measured: Measured, case: str, to: str) -> str:
    ratio, spread = measured.ratio(case, "ours", to), measured.spread(case, "ours", to)
    if ratio is None:
        return NOTHING
    return f"**{ratio:.2f}**" + (f" ({spread[0]:.2f} to {spread[1]:.2f})" if spread else "")


def table(measured: Measured, about: Mapping[str, str]) -> str:
    """The medians and the ratios as reStructuredText."""
    head = ["", *CLIENTS.values(), "to requests", f"to {CLIENTS['official']}"]
    rows = [
        [
            case.title,
            *(_amount(case.name, measured.median(case.name, client)) for client in CLIENTS),
            _ratio(measured, case.name, "floor"),
            _ratio(measured, case.name, "official"),
        ]
        for case in ALL
    ]
    lines = [".. list-table::", "   :header-rows: 1", "   :stub-columns: 1", ""]
    for row in [head, *rows]:
        cells = [f"     - {cell}".rstrip() for cell in row]
        lines += ["   * " + cells[0].strip(), *cells[1:]]
    told = ", ".join(f"{name} {value}" for name, value in about.items())
    return "\n".join(
        [
            *lines,
            "",
            "Medians; in brackets the quartiles of the rounds' own ratios. The ratios are those of",
            "dub-uplink and are the result, the times those of one machine. An iteration is",
            "compared with a loop by hand: the official SDK's own paging ends after one page.",
            "",
            f"{told}.",
            "",
        ]
    )


def as_json(measured: Measured, about: Mapping[str, str]) -> str:
    """All that the table says, in numbers, and the targets."""
    found = {
        case.name: {
            "title": case.title,
            "unit": "kilobytes" if case is MEMORY else "seconds",
            "medians": {client: measured.median(case.name, client) for client in CLIENTS},
            "ratios": {
                to: {
                    "ratio": measured.ratio(case.name, "ours", to),
                    "quartiles": measured.spread(case.name, "ours", to),
                }
                for to in ("floor", "official", "official_2024")
            },
            "targets": TARGETS.get(case.name),
        }
        for case in ALL
    }
    return json.dumps({"about": dict(about), "clients": CLIENTS, "cases": found}, indent=2) + "\n"


def missed(measured: Measured) -> list[str]:
    """The figures that were not reached, one line each."""
    found: list[str] = []
    for name, targets in TARGETS.items():
        for to, target in zip(("floor", "official"), targets, strict=True):
            ratio = measured.ratio(name, "ours", to)
            if target is not None and ratio is not None and ratio > target:
                found.append(f"{name}: {ratio:.2f} to {CLIENTS[to]}, not {target}")
    return found


# Mid-tones that hold on a white page and on a black one.
_COLOURS = {"ours": "#0d9488", "official": "#d97706", "official_2024": "#a8a29e"}
_TEXT = "#6b7280"
_BAR, _GAP, _LEFT, _WIDTH, _TOP = 11, 14, 190, 760, 58


def plot(measured: Measured, about: Mapping[str, str]) -> str:
    """Bars of how many times plain requests each client takes, as SVG."""
    shown = [case for case in ALL if measured.median(case.name, "floor")]
    ratios = {
        (case.name, client): measured.ratio(case.name, client, "floor")
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
    told = ", ".join(f"{name} {value}" for name, value in about.items())
    parts.append(
        _text(_LEFT, y + 4, "dashed: requests + json, the least that a client on it needs")
    )
    parts.append(_text(10, y + 22, told, size=8))
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
