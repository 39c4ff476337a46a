"""Draw ``call-flow.svg`` from the imports of the package: ``python docs/draw_call_flow.py``.

This file has the positions of the boxes; grimp reads the imports from the code. The picture omits
indirect imports. ``--check`` writes nothing and fails if the picture is out of date.
"""

from __future__ import annotations

import sys
from html import escape
from pathlib import Path
from typing import NamedTuple

import grimp

PICTURE = Path(__file__).with_name("call-flow.svg")


class Box(NamedTuple):
    """A package or module: its row, its column, its purpose, and its width in columns."""

    row: float
    column: float
    about: str
    columns: float = 1


BOXES = {
    "_client": Box(0, 1.2, "settings, lifetime"),
    "_customers": Box(1, 1.2, "endpoints, pages, lookups", columns=1.3),
    "_declarative": Box(2, 1.2, "arguments, schemas", columns=1.3),
    "_transport": Box(3, 1.2, "attempts and waits", columns=1.3),
    "_http": Box(4, 0, "one attempt"),
    "_rate_limit": Box(4, 1.35, "slots for requests"),
    "_concurrency": Box(4, 2.7, "batches"),
    "retries": Box(5, 2.0, "policy, budget, clock"),
    "models": Box(6, 0, "data and errors", columns=3.7),
}
#: Libraries, shown in the box of the package that imports them.
LIBRARIES = ("aiohttp", "marshmallow", "requests", "tenacity", "uplink")

WIDTH, STEP, ROW, TOP, LEFT = 640, 166, 84, 14, 14
GAP, BOX_HEIGHT = 10, 52
CARD, FILL, EDGE, INK, FAINT, LIBRARY = (
    "#ffffff", "#f0fdfa", "#0d9488", "#1f2937", "#6b7280", "#b45309",
)  # fmt: skip
STYLE = 'role="img" font-family="system-ui, sans-serif" font-size="12" text-anchor="middle"'
HEAD = (
    '<marker id="m" markerWidth="7" markerHeight="7" refX="5" refY="3" orient="auto">'
    f'<path d="M0,0 L6,3 L0,6 z" fill="{FAINT}"/></marker>'
)
SHAPE = f'height="{BOX_HEIGHT}" rx="6" fill="{FILL}" stroke="{EDGE}"'


def imports() -> tuple[dict[str, set[str]], dict[str, list[str]]]:
    """Return the imports among the boxes, and the libraries that each box imports."""
    graph = grimp.build_graph("dub_uplink", include_external_packages=True)
    # `Customer.from_dict` loads the reader of responses lazily, which is not part of a call.
    graph.remove_import(
        importer="dub_uplink.models.components", imported="dub_uplink._customers.schemas"
    )
    uses: dict[str, set[str]] = {}
    libraries: dict[str, list[str]] = {}
    for name in BOXES:
        module = f"dub_uplink.{name}"
        inside = {module, *graph.find_descendants(module)}
        imported = set().union(*map(graph.find_modules_directly_imported_by, inside))
        # `dub_uplink.models.errors` is drawn as `models`.
        drawn = {one.split(".")[1] for one in imported if one.startswith("dub_uplink.")}
        uses[name] = (drawn & BOXES.keys()) - {name}
        libraries[name] = [library for library in LIBRARIES if library in imported]
    return uses, libraries


def reduced(uses: dict[str, set[str]]) -> dict[str, set[str]]:
    """Return the imports without the indirect ones."""

    def reach(name: str) -> set[str]:
        return uses[name].union(*map(reach, uses[name]))

    return {
        name: {one for one in used if not any(one in reach(other) for other in used - {one})}
        for name, used in uses.items()
    }


def place(name: str) -> tuple[float, float, float]:
    """Return the left, the right and the upper edge of a box."""
    box = BOXES[name]
    left = LEFT + box.column * STEP
    return left, left + box.columns * STEP - GAP, TOP + box.row * ROW


def arrow(source: str, target: str) -> str:
    """Return an arrow to a lower box: first a curve, then a vertical line."""
    left, right, y1 = place(source)
    x1 = (left + right) / 2
    left, right, y2 = place(target)
    wide = BOXES[target].columns > 1
    x2 = min(max(x1, left + GAP), right - GAP) if wide else (left + right) / 2
    y1, corner = y1 + BOX_HEIGHT, y1 + ROW - 12
    middle = (y1 + corner) / 2
    return (
        f'<path d="M{x1:.0f},{y1:.0f} C{x1:.0f},{middle:.0f} {x2:.0f},{middle:.0f}'
        f' {x2:.0f},{corner:.0f} V{y2 - 5:.0f}"/>'
    )


def text(x: float, y: float, words: str, style: str) -> str:
    """Return a line of text centred at ``x``."""
    return f'<text x="{x:.0f}" y="{y:.0f}" {style}>{escape(words)}</text>'


def picture() -> str:
    """Return the picture as SVG."""
    uses, libraries = imports()
    height = TOP + ROW * max(box.row for box in BOXES.values()) + BOX_HEIGHT + TOP
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height:.0f}" {STYLE}>',
        "<title>The packages that a call passes; an arrow is an import</title>",
        f"<defs>{HEAD}</defs>",
        # The background makes the picture independent of the colour of the page.
        f'<rect width="{WIDTH}" height="{height:.0f}" rx="8" fill="{CARD}"/>',
        f'<g fill="none" stroke="{FAINT}" stroke-width="1.4" marker-end="url(#m)">',
        *(arrow(name, one) for name, used in reduced(uses).items() for one in sorted(used)),
        "</g>",
    ]
    for name, box in BOXES.items():
        left, right, y = place(name)
        x = (left + right) / 2
        lines += [
            f'<rect x="{left:.0f}" y="{y:.0f}" width="{right - left:.0f}" {SHAPE}/>',
            text(x, y + 18, name, f'font-weight="600" fill="{INK}"'),
            text(x, y + 33, box.about, f'font-size="11" fill="{FAINT}"'),
            text(x, y + 46, ", ".join(libraries[name]), f'font-size="10" fill="{LIBRARY}"'),
        ]
    return "\n".join([*lines, "</svg>", ""])


if __name__ == "__main__":
    if "--check" not in sys.argv:
        PICTURE.write_text(picture(), encoding="utf-8")
    elif PICTURE.read_text(encoding="utf-8") != picture():
        sys.exit(f"{PICTURE.name} is out of date: run python docs/{Path(__file__).name}")
