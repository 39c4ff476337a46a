"""Run the demo: print the code, the requests and the result of each step of a tour."""

from __future__ import annotations

import contextlib
import inspect
import io
import logging
import re
import textwrap
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from rich.console import Console, RenderableType
from rich.syntax import Syntax
from rich.table import Table
from rich.text import Text

from dub_uplink import Dub
from dub_uplink._cli.demo.tour import connect, live_tour, tour
from dub_uplink._cli.io.text import make_printable
from dub_uplink.models import components
from dub_uplink.testing import FakeDub
from dub_uplink.utils import BackoffStrategy, RetryConfig

#: The maximum width, in characters. A duration is at the right edge, and must be near its step.
MAX_WIDTH = 100
INDENT = 2

#: The columns of a table of customers: the id, and the fields that the steps set.
SHOWN_FIELDS = ("id", "external_id", "name", "email", "country")

#: With these retries, the live demo fails within 10 seconds if there is no network.
LIVE_RETRIES = RetryConfig("backoff", BackoffStrategy(500, 2_000, 2.0, 10_000), False)


@dataclass(frozen=True)
class Step:
    """A step of a tour: its title and its code."""

    title: str
    code: str


def parse_steps(function: Callable[..., Iterator[object]]) -> list[Step]:
    """Parse the steps of a tour from the source code of its function."""
    body = textwrap.dedent("".join(inspect.getsourcelines(function)[0][1:]))
    blocks = re.findall(r"^# (.+)\n((?:.*\n)*?)yield .*$", body, re.MULTILINE)
    return [Step(title, code.rstrip()) for title, code in blocks]


def run_demo(console: Console) -> None:
    """Serve a fake of Dub's API, and run the tour on it."""
    fake = FakeDub(token="dub_test")
    fake.add(external_id="user_0", name="Charles Babbage", email="cb@example.com", country="GB")
    with fake.serve() as url, connect(url) as s:
        console.print(Text.assemble("A fake of Dub's API is running at ", (url, "bold"), ":"))
        print_indented(console, highlight_code(inspect.getsource(connect).splitlines()[2].strip()))
        console.print()
        run_steps(console, parse_steps(tour), tour(s, fake))
    console.print("The same with your own customers, reading only:")
    console.print("  DUB_API_KEY=dub_... dub-uplink demo --live", style="bold")


def run_live_demo(console: Console) -> None:
    """Run the read-only tour against Dub."""
    with Dub(retry_config=LIVE_RETRIES, timeout_ms=10_000) as s:
        run_steps(console, parse_steps(live_tour), live_tour(s))


class LogCapture(logging.Handler):
    """A log handler that collects the messages of the client. Use it as a context manager."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Append the message of a record."""
        if record.levelno > logging.DEBUG:
            # If the client retries an attempt, it logs the attempt twice. Keep the second message.
            del self.lines[-1:]
        self.lines.append(record.getMessage())

    def __enter__(self) -> LogCapture:
        logger = logging.getLogger("dub_uplink")
        self._previous_level = logger.level
        logger.addHandler(self)
        logger.setLevel(logging.DEBUG)
        return self

    def __exit__(self, *_: object) -> None:
        logger = logging.getLogger("dub_uplink")
        logger.setLevel(self._previous_level)
        logger.removeHandler(self)


def run_steps(console: Console, steps: list[Step], results: Iterator[object]) -> None:
    """Run and print the steps. Each ``next(results)`` runs one step and returns its result."""
    total_seconds = 0.0
    for number, step in enumerate(steps, 1):
        console.print(Text.assemble((f"{number} ", "bold cyan"), (step.title, "bold")))
        print_indented(console, highlight_code(step.code))
        printed_text = io.StringIO()
        started = time.perf_counter()
        with LogCapture() as log, contextlib.redirect_stdout(printed_text):
            result = next(results)
        seconds = time.perf_counter() - started
        total_seconds += seconds
        for line in log.lines:
            print_indented(console, Text(f"-> {make_printable(line)}", style="dim"))
        outcome = printed_text.getvalue() or "nothing" if result is None else result
        duration_text = Text(format_duration(seconds), "dim")
        print_indented(
            console,
            make_two_cells(render_result(outcome, narrow=console.width < 90), duration_text),
        )
        console.print()
    console.print(
        Text(f"{len(steps)} steps in {format_duration(total_seconds)}.", style="bold green")
    )


def print_indented(console: Console, content: RenderableType) -> None:
    """Print content with an indent. Remove the trailing spaces that rich adds."""
    options = console.options.update_width(console.width - INDENT)
    for segments in console.render_lines(content, options, pad=False):
        line = Text.assemble(*((segment.text, segment.style or "") for segment in segments))
        line.rstrip()
        console.print(Text(" " * INDENT) + line, no_wrap=True)


def make_two_cells(left: RenderableType, right: RenderableType) -> Table:
    """Create a table with two cells. The second cell is at the right edge."""
    grid = Table.grid(expand=True, padding=(0, 1))
    grid.add_column(ratio=1)
    grid.add_column(justify="right", no_wrap=True)
    grid.add_row(left, right)
    return grid


def format_duration(seconds: float) -> str:
    """Format a duration in seconds or milliseconds."""
    return f"{seconds:.1f} s" if seconds >= 1 else f"{seconds * 1000:.0f} ms"


def highlight_code(code: str) -> Text:
    """Highlight Python code. Return a ``Text``, because ``Syntax`` pads lines with spaces."""
    highlighted = Syntax("", "python", theme="ansi_dark").highlight(code)
    highlighted.rstrip()
    return highlighted


def render_result(result: object, *, narrow: bool) -> RenderableType:
    """Convert customers to a table, and any other result to text."""
    if isinstance(result, components.Customer):
        return make_customer_table([result], narrow=narrow)
    if isinstance(result, list):
        return make_customer_table(result, narrow=narrow) if result else Text("no customers yet")
    return Text(make_printable(str(result)))


def make_customer_table(customers: list[components.Customer], *, narrow: bool) -> Table:
    """Create a table with a row for each customer. Omit empty columns."""
    names = [name for name in SHOWN_FIELDS if any(getattr(c, name) for c in customers)]
    table = Table(*names, box=None, padding=(0, 2, 0, 0), header_style="dim", pad_edge=False)
    for customer in customers:
        cells = {name: make_printable(getattr(customer, name) or "") for name in names}
        if narrow:
            cells["id"] = f"{cells['id'][:10]}..."
        table.add_row(*map(Text, cells.values()))
    return table
