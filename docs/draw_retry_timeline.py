"""Draw ``retry-timeline.svg``: ``python docs/draw_retry_timeline.py``.

The picture shows the attempts of a call with the default retry policy if every response is a 503.
The figures are those of ``dub-uplink retries``. ``--check`` writes nothing and fails if the picture
is out of date.
"""

from __future__ import annotations

import math
import sys
from html import escape
from pathlib import Path

from dub_uplink._cli.retries.timeline import Timeline, compute_timeline, format_seconds
from dub_uplink.utils import RetryConfig

PICTURE = Path(__file__).with_name("retry-timeline.svg")

# Sizes in pixels, and colours with enough contrast on light and on dark pages.
WIDTH, LEFT, RIGHT, TOP, ROW = 760, 100, 40, 44, 16
GREY, TEAL, AMBER, RED = "#6b7280", "#0d9488", "#d97706", "#dc2626"
TICK_SECONDS = 10
LEGEND = (
    ("attempt", TEAL, 1.0),
    ("wait", GREY, 0.5),
    ("random part of a wait", AMBER, 0.5),
    ("deadline", RED, 1.0),
)


def picture(timeline: Timeline) -> str:
    """Return the timeline as an SVG document."""
    bottom = TOP + ROW * len(timeline.attempts) + 4

    def x(seconds: float) -> float:
        return LEFT + min(seconds / timeline.deadline, 1.0) * (WIDTH - LEFT - RIGHT)

    parts = [f"<title>{escape(timeline.summary())}</title>"]
    for tick in range(0, math.floor(timeline.deadline) + 1, TICK_SECONDS):
        style = f'stroke="{GREY}" stroke-opacity="0.25"'
        parts.append(line(x(tick), TOP - 6, bottom, style))
        parts.append(text(x(tick), TOP - 12, "middle", str(tick) if tick else "0 s"))
    for index, attempt in enumerate(timeline.attempts):
        y = TOP + ROW * index
        started = format_seconds(attempt.started)
        parts.append(text(30, y + 11, "end", str(index + 1)))
        parts.append(text(LEFT - 10, y + 11, "end", started))
        if attempt.shortest_wait is not None and attempt.longest_wait is not None:
            shortest, longest = attempt.shortest_wait, attempt.longest_wait
            title = f"waits {format_seconds(shortest)} to {format_seconds(longest)}"
            certain, end = x(attempt.ended + shortest), x(attempt.ended + longest)
            parts.append(bar(x(attempt.ended), certain, y + 5, 4, GREY, 0.5, title))
            parts.append(bar(certain, end, y + 2, 10, AMBER, 0.5, title))
        end = max(x(attempt.ended), x(attempt.started) + 2)
        title = f"attempt {index + 1}, at {started}"
        parts.append(bar(x(attempt.started), end, y + 1, 12, TEAL, 1, title))
    parts.append(line(x(timeline.deadline), TOP - 6, bottom, f'stroke="{RED}" stroke-width="2"'))
    for (label, colour, opacity), left in zip(LEGEND, (100, 210, 290, 450), strict=True):
        parts.append(bar(left, left + 10, 4, 10, colour, opacity, label))
        parts.append(text(left + 15, 13, "start", label))
    parts.append(text(LEFT, bottom + 20, "start", timeline.summary()))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {bottom + 32}" role="img"'
        ' font-family="system-ui, sans-serif" font-size="11">\n' + "\n".join(parts) + "\n</svg>\n"
    )


def bar(
    left: float, right: float, y: float, height: float, colour: str, opacity: float, title: str
) -> str:
    """Return a rectangle with a title."""
    return (
        f'<rect x="{left:.1f}" y="{y}" width="{right - left:.1f}" height="{height}"'
        f' fill="{colour}" fill-opacity="{opacity}"><title>{escape(title)}</title></rect>'
    )


def line(x: float, top: float, bottom: float, style: str) -> str:
    """Return a vertical line."""
    return f'<line x1="{x:.1f}" y1="{top}" x2="{x:.1f}" y2="{bottom}" {style}/>'


def text(x: float, y: float, anchor: str, words: str) -> str:
    """Return a line of text."""
    return f'<text x="{x:.1f}" y="{y}" text-anchor="{anchor}" fill="{GREY}">{escape(words)}</text>'


if __name__ == "__main__":
    drawn = picture(compute_timeline(RetryConfig()))
    if "--check" not in sys.argv:
        PICTURE.write_text(drawn, encoding="utf-8", newline="\n")
    elif PICTURE.read_text(encoding="utf-8") != drawn:
        sys.exit(f"{PICTURE.name} is out of date: run python docs/{Path(__file__).name}")
