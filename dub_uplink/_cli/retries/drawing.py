"""What a ``RetryConfig`` does to one call: as a table, a drawing in text, or an SVG."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any
from xml.sax.saxutils import escape

from dub_uplink._cli.retries.timeline import Timeline, Try, timeline
from dub_uplink.utils import RetryConfig

#: An attempt, the part of a wait that is sure, the part that is up to chance, the deadline.
MARKS = ("█", "─", "░", "│")
ASCII_MARKS = ("#", "-", ".", "|")
_LABEL = "{:>3}  {:>8}  "  # the number of an attempt, and when it begins
_ROW = "{:>7}   {:>10}   {:>24}"  # the same, and the wait
_MOST_ROWS = 24
_NARROWEST = 40


def plot(
    config: RetryConfig | None = RetryConfig(),  # noqa: B008 - it is frozen
    *,
    width: int = 80,
    ascii_only: bool = False,
    **call: Any,
) -> str:
    """Draw the attempts and waits of one call that keeps failing, as lines of text.

    Args:
        config: the policy; ``None`` for no retries.
        width: columns; at least 40 are used.
        ascii_only: draw with characters that every encoding has.
        call: ``attempt_seconds``, ``status`` and ``retry_after``, as
            :func:`~dub_uplink._cli.retries.timeline.timeline` takes them.

    Raises:
        ValueError: ``attempt_seconds`` is negative or not finite.
    """
    found = timeline(config, **call)
    return f"{draw(found, width=width, ascii_only=ascii_only)}\n\n{summary(found)}"


def draw(found: Timeline, *, width: int = 80, ascii_only: bool = False) -> str:
    """The drawing of :func:`plot` without what stands below it."""
    marks = ASCII_MARKS if ascii_only else MARKS
    indent = len(_LABEL.format("", ""))
    columns = max(width, _NARROWEST) - indent - 1
    span = _span(found)
    lines = [_axis(span, columns, indent)]
    for number, one in _shown(found):
        label = _LABEL.format(number, seconds(one.started)) if one else _LABEL.format("...", "")
        row = _row(one, span, columns, marks) if one else " " * columns
        lines.append(label + row + (marks[3] if math.isfinite(found.deadline) else ""))
    attempt, sure, chance, deadline = marks
    legend = f"{attempt} attempt   {sure} wait   {chance} up to chance"
    if math.isfinite(found.deadline):
        legend += f"   {deadline} deadline"
    return "\n".join([*(line.rstrip() for line in lines), "", legend])


def table(found: Timeline) -> str:
    """A line for each attempt: its number, when it begins, the wait after it."""
    lines = [_ROW.format("attempt", "begins at", "then waits")]
    for number, one in _shown(found):
        wait = ""
        if one is not None and one.shortest is not None and one.longest is not None:
            wait = f"{seconds(one.shortest)} to {seconds(one.longest)}"
        begins = seconds(one.started) if one is not None else ""
        lines.append(_ROW.format(number or "...", begins, wait).rstrip())
    return "\n".join(lines)


def summary(found: Timeline) -> str:
    """How many attempts there were, how long it took, and what ended it."""
    count = len(found.tries)
    attempts = "1 attempt" if count == 1 else f"{count} attempts"
    return f"{attempts} in {seconds(found.elapsed)}. {found.end}"


def seconds(value: float) -> str:
    """A time with as many digits as one reads."""
    if value >= 1e6:
        return f"{value:.1e} s"
    return f"{value:.2f} s" if value < 10 else f"{value:,.1f} s"


def _shown(found: Timeline) -> Iterator[tuple[int, Try | None]]:
    """The attempts with their numbers; of very many the first and the last, ``None`` between."""
    numbered = list(enumerate(found.tries, 1))
    if len(numbered) <= _MOST_ROWS:
        yield from numbered
        return
    yield from numbered[: _MOST_ROWS - 2]
    yield 0, None
    yield numbered[-1]


def _span(found: Timeline) -> float:
    """Seconds that the axis shows: the call's time, where it has a bound."""
    return found.deadline if math.isfinite(found.deadline) else found.elapsed or 1.0


def _step(span: float, labels: float) -> float:
    """The distance of about so many round numbers on an axis: 1, 2 or 5 times a power of ten."""
    least = span / max(labels, 1)
    power = 10.0 ** math.floor(math.log10(least))
    return next(power * n for n in (1, 2, 5, 10) if power * n >= least * (1 - 1e-9))


def _ticks(span: float, labels: float) -> list[float]:
    step = _step(span, labels)
    return [n * step for n in range(int(span / step * (1 + 1e-9)) + 1)]


def _axis(span: float, columns: int, indent: int) -> str:
    line = [" "] * (indent + columns + 1)
    end = -1
    for tick in _ticks(span, columns / 8):
        text = f"{tick:g}" if tick else "0 s"
        at = indent + round(tick / span * columns)
        if at > end and at + len(text) <= len(line):
            line[at : at + len(text)] = text
            end = at + len(text)
    return "".join(line)


def _row(one: Try, span: float, columns: int, marks: tuple[str, str, str, str]) -> str:
    """An attempt and the wait after it, one character for each part of the axis."""

    def column(moment: float) -> int:
        return min(round(moment / span * columns), columns)

    attempt, sure, chance, _ = marks
    row = [" "] * columns
    if one.shortest is not None and one.longest is not None:
        shortest, longest = column(one.ended + one.shortest), column(one.ended + one.longest)
        row[column(one.ended) : shortest] = sure * (shortest - column(one.ended))
        row[shortest:longest] = chance * (longest - shortest)
    # Last, and one character at the least: an attempt is never hidden by its wait.
    start = min(column(one.started), columns - 1)
    length = max(column(one.ended) - start, 1)
    row[start : start + length] = attempt * length
    return "".join(row)


# The SVG: measures in pixels, colours that can be read on white and on black.
_WIDTH, _LEFT, _RIGHT, _TOP, _HEIGHT = 760, 100, 40, 44, 16
_GREY, _TEAL, _AMBER, _RED = "#6b7280", "#0d9488", "#d97706", "#dc2626"


def svg(found: Timeline) -> str:
    """The drawing as an SVG document."""
    span = _span(found)
    shown = list(_shown(found))
    bottom = _TOP + _HEIGHT * len(shown) + 4

    def x(moment: float) -> float:
        return _LEFT + min(moment / span, 1.0) * (_WIDTH - _LEFT - _RIGHT)

    parts = [f"<title>{escape(summary(found))}</title>"]
    for tick in _ticks(span, 9):
        parts.append(_line(x(tick), _TOP - 6, bottom, f'stroke="{_GREY}" stroke-opacity="0.25"'))
        parts.append(_text(x(tick), _TOP - 12, "middle", f"{tick:g}" if tick else "0 s"))
    for place, (number, one) in enumerate(shown):
        y = _TOP + _HEIGHT * place
        if one is None:
            parts.append(_text(_LEFT - 10, y + 11, "end", "…"))
            continue
        parts.append(_text(30, y + 11, "end", str(number)))
        parts.append(_text(_LEFT - 10, y + 11, "end", seconds(one.started)))
        if one.shortest is not None and one.longest is not None:
            shortest, longest = one.ended + one.shortest, one.ended + one.longest
            waits = f"waits {seconds(one.shortest)} to {seconds(one.longest)}"
            parts.append(_bar(x(one.ended), x(shortest), y + 5, 4, _GREY, 0.5, waits))
            parts.append(_bar(x(shortest), x(longest), y + 2, 10, _AMBER, 0.5, waits))
        end = max(x(one.ended), x(one.started) + 2)
        told = f"attempt {number}, at {seconds(one.started)}"
        parts.append(_bar(x(one.started), end, y + 1, 12, _TEAL, 1, told))
    if math.isfinite(found.deadline):
        parts.append(_line(x(span), _TOP - 6, bottom, f'stroke="{_RED}" stroke-width="2"'))
    parts += _legend(math.isfinite(found.deadline))
    parts.append(_text(_LEFT, bottom + 20, "start", summary(found)))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {bottom + 32}" role="img"'
        ' font-family="system-ui, sans-serif" font-size="11">\n' + "\n".join(parts) + "\n</svg>\n"
    )


def _legend(deadline: bool) -> list[str]:
    entries = [("attempt", _TEAL), ("wait", _GREY), ("up to chance", _AMBER)]
    if deadline:
        entries.append(("deadline", _RED))
    parts = []
    for place, (text, colour) in enumerate(entries):
        left = _LEFT + 110 * place
        parts.append(_bar(left, left + 10, 4, 10, colour, 1 if colour in (_TEAL, _RED) else 0.5))
        parts.append(_text(left + 15, 13, "start", text))
    return parts


def _bar(
    left: float, right: float, y: float, height: float, colour: str, opacity: float, told: str = ""
) -> str:
    title = f"<title>{escape(told)}</title>" if told else ""
    return (
        f'<rect x="{left:.1f}" y="{y}" width="{right - left:.1f}" height="{height}"'
        f' fill="{colour}" fill-opacity="{opacity}">{title}</rect>'
    )


def _line(x: float, top: float, bottom: float, style: str) -> str:
    return f'<line x1="{x:.1f}" y1="{top}" x2="{x:.1f}" y2="{bottom}" {style}/>'


def _text(x: float, y: float, anchor: str, text: str) -> str:
    return f'<text x="{x:.1f}" y="{y}" text-anchor="{anchor}" fill="{_GREY}">{escape(text)}</text>'
