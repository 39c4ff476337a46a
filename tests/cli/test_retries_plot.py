"""``dub-uplink retries``: what it draws is what a client does."""

from __future__ import annotations

import itertools
import re
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET

import pytest
import requests
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from dub_uplink import Clock, CustomersConsumer, errors
from dub_uplink._cli.commands import cli
from dub_uplink._cli.retries import drawing
from dub_uplink._cli.retries.drawing import plot
from dub_uplink._cli.retries.timeline import timeline
from dub_uplink.utils import BackoffStrategy, RetryConfig

if TYPE_CHECKING:
    from collections.abc import Callable

    Run = Callable[..., subprocess.CompletedProcess[str]]

DOCS = Path(__file__).parents[2] / "docs"
QUICK = RetryConfig("backoff", BackoffStrategy(1_000, 4_000, 2.0, 10_000), True)

END = "The next wait, 2 to 4 s, would end after the deadline: the error is raised at once."


class Failing(requests.adapters.BaseAdapter):
    """Answers a status after so many seconds of a time that it moves itself."""

    def __init__(self, seconds: float, status: int, headers: dict[str, str]) -> None:
        super().__init__()
        self.now = 0.0
        self.began: list[float] = []
        self._seconds, self._status, self._headers = seconds, status, headers

    def send(self, request: Any, *_: Any, timeout: Any = None, **__: Any) -> requests.Response:
        self.began.append(self.now)
        self.now += min(self._seconds, timeout[1])
        if self._seconds >= timeout[1]:
            raise requests.ReadTimeout("timed out", request=request)
        response = requests.Response()
        response.status_code = self._status
        response.headers.update(self._headers)
        response._content = b"{}"
        return response

    def close(self) -> None:
        pass

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def called(
    config: RetryConfig | None, seconds: float, status: int, retry_after: str | None, chance: float
) -> tuple[list[float], list[float], float]:
    """When the attempts of a client began, its waits, and when it gave up."""
    headers = {} if retry_after is None else {"Retry-After": retry_after}
    adapter = Failing(seconds, status, headers)
    session = requests.Session()
    session.mount("https://", adapter)
    clock = Clock(
        monotonic=lambda: adapter.now, random=lambda: chance, sleep=adapter.sleep, time=lambda: 1e9
    )
    waits: list[float] = []
    customers = CustomersConsumer(
        "dub_test",
        client=session,
        retry_config=config,
        timeout_ms=86_400_000,
        clock=clock,
        on_retry=lambda _, wait, __: waits.append(wait),
    )
    with pytest.raises(errors.DubError):
        customers.list()
    return adapter.began, waits, adapter.now


intervals = st.integers(1, 20_000)


@given(
    initial=intervals,
    longest=intervals,
    exponent=st.floats(1, 8),
    elapsed=st.integers(1, 200_000),
    seconds=st.sampled_from([0.0, 0.2, 3.0, 70.0]),
    status=st.sampled_from([429, 500, 503, 404]),
    retry_after=st.sampled_from([None, "0", "1", "7", "3600", "soon"]),
)
def test_a_timeline_is_what_a_client_does(
    initial: int,
    longest: int,
    exponent: float,
    elapsed: int,
    seconds: float,
    status: int,
    retry_after: str | None,
) -> None:
    strategy = BackoffStrategy(initial, max(initial, longest), exponent, elapsed)
    config = RetryConfig("backoff", strategy)
    found = timeline(config, attempt_seconds=seconds, status=status, retry_after=retry_after)
    began, waits, ended = called(config, seconds, status, retry_after, 0.5)
    assert [one.started for one in found.tries] == pytest.approx(began)
    assert found.elapsed == pytest.approx(ended)
    pairs = itertools.pairwise(found.tries)
    assert [after.started - before.ended for before, after in pairs] == pytest.approx(waits)
    for one, wait in zip(found.tries, waits, strict=False):
        assert one.shortest is not None
        assert one.longest is not None
        assert one.shortest <= wait <= one.longest + 1e-9


@pytest.mark.parametrize("retry_after", [None, "2"])
def test_the_range_of_a_wait_is_what_chance_makes_of_it(retry_after: str | None) -> None:
    first = timeline(QUICK, attempt_seconds=0, retry_after=retry_after).tries[0]
    for chance, expected in ((0.0, first.shortest), (1.0, first.longest)):
        assert called(QUICK, 0, 503, retry_after, chance)[1][0] == expected


def test_the_budget_of_a_client_ends_a_call_as_well() -> None:
    config = RetryConfig("backoff", BackoffStrategy(1, 1, 1.0, 10**6))
    found = timeline(config, attempt_seconds=0)
    assert len(found.tries) == len(called(config, 0, 503, None, 0.5)[0]) == 101
    assert found.end == "The client's budget of 100 retries is used up: the error is raised."


def test_a_call_without_retries_is_one_attempt() -> None:
    for config in (None, RetryConfig("none")):
        assert len(timeline(config).tries) == len(called(config, 0.2, 503, None, 0.5)[0]) == 1
        assert "no retries" in plot(config)


def test_a_drawing_shows_attempts_waits_and_the_deadline() -> None:
    assert plot(QUICK, width=60, attempt_seconds=1).splitlines() == [
        "               0 s      2        4       6        8",
        "  1    0.00 s  ████───░░                                   │",
        "  2    1.75 s          ████────░░░░░                       │",
        "  3    4.25 s                     ████─────────░░░░░░░░░   │",
        "  4    8.25 s                                      █████   │",
        "",
        "█ attempt   ─ wait   ░ up to chance   │ deadline",
        "",
        f"4 attempts in 9.25 s. {END}",
    ]


def test_a_drawing_needs_neither_click_nor_rich(environment: dict[str, str]) -> None:
    code = (
        "import sys\nfrom dub_uplink._cli.retries.drawing import plot\nplot()\n"
        "print({'click', 'rich'} & {*sys.modules})"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, check=False, env=environment, text=True
    )
    assert (done.stdout, done.stderr) == ("set()\n", "")


@given(
    width=st.integers(1, 200),
    elapsed=st.integers(1, 10**15),
    seconds=st.floats(0, 1e12),
    ascii_only=st.booleans(),
)
def test_a_drawing_fits_its_width(
    width: int, elapsed: int, seconds: float, ascii_only: bool
) -> None:
    config = RetryConfig("backoff", BackoffStrategy(1, 1_000, 2.0, elapsed))
    found = timeline(config, attempt_seconds=seconds)
    drawn = drawing.draw(found, width=width, ascii_only=ascii_only)
    lines = drawn.splitlines()
    rows = lines[1 : lines.index("")]
    assert max(map(len, lines[: len(rows) + 1])) <= max(width, 40)
    assert len(rows) <= 24
    mark = "#" if ascii_only else "█"
    assert all(mark in row for row in rows if not row.startswith("..."))
    assert drawn.isascii() == ascii_only
    assert all(line == line.rstrip() for line in lines)


@given(retry_after=st.text(max_size=30), seconds=st.sampled_from([0.0, 0.2, 100.0]))
def test_an_svg_is_well_formed_and_stays_in_its_frame(retry_after: str, seconds: float) -> None:
    found = timeline(RetryConfig(), attempt_seconds=seconds, retry_after=retry_after)
    root = ET.fromstring(drawing.svg(found))
    _, _, width, height = map(float, root.attrib["viewBox"].split())
    for rect in root.iter("{http://www.w3.org/2000/svg}rect"):
        x, y, w, h = (float(rect.attrib[name]) for name in ("x", "y", "width", "height"))
        assert w >= 0
        assert x >= 0
        assert x + w <= width
        assert y + h <= height


def test_the_picture_in_the_docs_is_the_one_that_is_drawn(tmp_path: Path) -> None:
    made = tmp_path / "retries.svg"
    done = CliRunner().invoke(cli, ["retries", "--svg", str(made)])
    assert (done.exit_code, done.output) == (0, f"Drawn into {made}.\n")
    assert made.read_bytes() == (DOCS / "retry-timeline.svg").read_bytes()


def test_without_plot_it_is_a_table() -> None:
    arguments = ["retries", "--initial-interval", "1000", "--max-interval", "4000"]
    done = CliRunner().invoke(cli, [*arguments, "--max-elapsed-time", "10000"])
    assert done.exit_code == 0
    assert done.output.splitlines() == [
        'RetryConfig("backoff", BackoffStrategy(1000, 4000, 2, 10000), True)',
        "Each attempt is answered 503 after 0.2 s.",
        "",
        "attempt    begins at                 then waits",
        "      1       0.00 s           0.50 s to 1.00 s",
        "      2       0.95 s           1.00 s to 2.00 s",
        "      3       2.65 s           2.00 s to 4.00 s",
        "      4       5.85 s           2.00 s to 4.00 s",
        "      5       9.05 s",
        "",
        *textwrap.wrap(f"5 attempts in 9.25 s. {END}", 80),
    ]


def test_it_draws_for_the_terminal_that_it_has() -> None:
    plain = CliRunner().invoke(cli, ["retries", "--plot"], env={"COLUMNS": "72"})
    assert plain.exit_code == 0
    assert "█" in plain.output
    assert "\x1b" not in plain.output
    assert max(map(len, plain.output.splitlines())) <= 72
    coloured = CliRunner().invoke(cli, ["retries", "--plot"], env={"FORCE_COLOR": "1"}, color=True)
    assert "\x1b[36m█" in coloured.output


def test_no_color_and_a_poor_encoding_are_heeded(run: Run) -> None:
    ascii_only = {"PYTHONUTF8": "0", "PYTHONIOENCODING": "ascii"}
    poor = run("retries", "--plot", env={**ascii_only, "FORCE_COLOR": "1", "NO_COLOR": "1"})
    assert (poor.returncode, poor.stderr) == (0, "")
    assert "#" in poor.stdout
    assert "?" not in poor.stdout
    assert not re.search(r"\x1b\[[0-9;]*3[0-9]", poor.stdout)


def test_a_retry_after_that_does_not_fit_is_told() -> None:
    done = CliRunner().invoke(cli, ["retries", "--retry-after", "3600", "--status", "429"])
    assert done.exit_code == 0
    assert "Each attempt is answered 429" in done.output
    assert "1 attempt in 0.20 s. Retry-After asks for 3,600.0 s and 89.8 s are" in done.output


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--exponent", "0.5"], "--exponent must be 1 or more"),
        (["--max-interval", "1"], "--max-interval must not be below --initial-interval"),
        (["--max-elapsed-time", "0"], "--max-elapsed-time must be above 0"),
        (["--attempt-seconds", "-1"], "--attempt-seconds must be 0 or more"),
        (["--attempt-seconds", "inf"], "--attempt-seconds must be 0 or more and finite"),
        (["--status", "200"], "--status"),
    ],
)
def test_a_value_out_of_range_is_told_by_the_name_of_its_option(
    arguments: list[str], told: str
) -> None:
    done = CliRunner().invoke(cli, ["retries", *arguments])
    assert done.exit_code == 2
    assert told in done.output


def test_a_file_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    done = CliRunner().invoke(cli, ["retries", "--svg", str(tmp_path / "none" / "x.svg")])
    assert done.exit_code == 1
    assert "cannot write" in done.output
    assert done.output.count("\n") == 1
